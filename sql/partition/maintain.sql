-- Planning and carrying out.

CREATE FUNCTION teamscale.plan_partitions(for_table regclass DEFAULT NULL)
    RETURNS TABLE ("table" regclass, action text, object text, bound text, reason text, lock text, rows bigint, bytes bigint)
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_plan_partitions';
COMMENT ON FUNCTION teamscale.plan_partitions(regclass) IS
    'What maintenance would do now to a table, or to all of the caller''s that have a policy, in its order, with the reason, the locks '
    'it takes and estimates of what it touches. Does nothing but ask before_drop functions.';

CREATE PROCEDURE teamscale.maintain_partitions(for_table regclass DEFAULT NULL, max_time interval DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'teamscale_maintain_partitions';
COMMENT ON PROCEDURE teamscale.maintain_partitions(regclass, interval) IS
    'Does what plan_partitions() shows, in a session of the table''s owner, each action a short transaction of its own. An action that '
    'fails is a warning and is recorded in stat_maintenance. max_time: no action begins later. Not in a transaction block.';

CREATE FUNCTION teamscale_internal.create_planned_partitions("table" regclass) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_create_planned_partitions';
COMMENT ON FUNCTION teamscale_internal.create_planned_partitions(regclass) IS
    'Makes the partitions that the plan of a table of the caller''s begins with, in the current transaction.';

CREATE VIEW teamscale.stat_maintenance AS
    SELECT m.relation AS "table", m.last_run, m.last_end, m.last_run + s.setting::integer * interval '1 millisecond' AS next_run,
           m.actions, m.failures, m.failed_runs, m.ranges_ahead, m.last_failure, m.last_failed_action, m.last_sqlstate, m.last_message
    FROM teamscale_internal.partition_maintenance AS m
         JOIN pg_catalog.pg_class AS c ON c.oid = m.relation
         CROSS JOIN pg_catalog.pg_settings AS s
    WHERE s.name = 'teamscale.partition_interval';
COMMENT ON VIEW teamscale.stat_maintenance IS 'How the maintenance of tables with a partition policy goes.';
COMMENT ON COLUMN teamscale.stat_maintenance."table" IS 'The table.';
COMMENT ON COLUMN teamscale.stat_maintenance.last_run IS 'When the last run began; null before the first.';
COMMENT ON COLUMN teamscale.stat_maintenance.last_end IS 'When it had done all that it could; null while it runs, or when it was stopped.';
COMMENT ON COLUMN teamscale.stat_maintenance.next_run IS 'When the maintenance worker will run again, at the earliest.';
COMMENT ON COLUMN teamscale.stat_maintenance.actions IS 'How many actions were carried out.';
COMMENT ON COLUMN teamscale.stat_maintenance.failures IS 'How many failed.';
COMMENT ON COLUMN teamscale.stat_maintenance.failed_runs IS 'How many runs in a row had a failure, up to the last that ended.';
COMMENT ON COLUMN teamscale.stat_maintenance.ranges_ahead IS
    'How many ranges ahead of now were there when the last run began; -1: not even the one of now. Less than premake is a lag.';
COMMENT ON COLUMN teamscale.stat_maintenance.last_failure IS 'When an action failed last.';
COMMENT ON COLUMN teamscale.stat_maintenance.last_failed_action IS 'Which.';
COMMENT ON COLUMN teamscale.stat_maintenance.last_sqlstate IS 'With which SQLSTATE.';
COMMENT ON COLUMN teamscale.stat_maintenance.last_message IS 'With which message.';
GRANT SELECT ON teamscale.stat_maintenance TO PUBLIC;
