-- How far a distribution has come.

CREATE FUNCTION teamscale_internal.report_progress(phase text, rows_total bigint DEFAULT -1) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_report_progress';
COMMENT ON FUNCTION teamscale_internal.report_progress(text, bigint) IS
    'Notes the phase of this session''s distribute_table() or undistribute_table(), and how many rows it is about to move; -1: as before.';
REVOKE ALL ON FUNCTION teamscale_internal.report_progress(text, bigint) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.estimated_rows("table" regclass) RETURNS bigint
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_estimated_rows';
COMMENT ON FUNCTION teamscale_internal.estimated_rows(regclass) IS
    'How many rows the planner thinks that a table, or this node''s leaves of a sharded one, have.';

CREATE FUNCTION teamscale_internal.distribution_progress(OUT pid integer, OUT "table" oid, OUT command text, OUT phase text,
                                                         OUT rows_total bigint, OUT rows_moved bigint)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'teamscale_distribution_progress';
COMMENT ON FUNCTION teamscale_internal.distribution_progress() IS
    'The distributions that run in this database; only members of their role see more than the process.';

CREATE VIEW teamscale.stat_progress_distribute AS
    SELECT p.pid, p."table"::pg_catalog.regclass AS "table", p.command, p.phase, p.rows_total, p.rows_moved
    FROM teamscale_internal.distribution_progress() AS p;
COMMENT ON VIEW teamscale.stat_progress_distribute IS
    'One row for each distribute_table() or undistribute_table() that runs on this node.';
COMMENT ON COLUMN teamscale.stat_progress_distribute.pid IS 'The process that runs it, as in pg_stat_activity.';
COMMENT ON COLUMN teamscale.stat_progress_distribute."table" IS 'The table.';
COMMENT ON COLUMN teamscale.stat_progress_distribute.command IS 'distribute_table or undistribute_table.';
COMMENT ON COLUMN teamscale.stat_progress_distribute.phase IS
    'checking, preparing nodes, creating leaves, moving rows, adding indexes and constraints.';
COMMENT ON COLUMN teamscale.stat_progress_distribute.rows_total IS 'How many rows there are to move, as the planner estimates.';
COMMENT ON COLUMN teamscale.stat_progress_distribute.rows_moved IS 'How many have been moved, those that stay on their node included.';
GRANT SELECT ON teamscale.stat_progress_distribute TO PUBLIC;
