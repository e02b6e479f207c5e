-- What partitions there are, and how their maintenance goes.

CREATE FUNCTION teamscale_internal.describe_partition(partition regclass, OUT lower text, OUT upper text, OUT "values" text[],
                                                      OUT modulus integer, OUT remainder integer, OUT is_default boolean)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_describe_partition';
COMMENT ON FUNCTION teamscale_internal.describe_partition(regclass) IS
    'The bounds of a partition as values of its key''s type; null for a table that is no partition.';

CREATE VIEW teamscale.partition_policy AS
    SELECT p.relation AS "table", p.level, a.attname AS "column", p.kind, s.every, p.premake, p.retain, p.on_expiry, p.move_to,
           p.time_zone, p.epoch, p."values", p.modulus, p.tablespaces, p.name_template, p.default_partition, p.before_drop, p.storage
    FROM teamscale_internal.partition_policy AS p
         JOIN pg_catalog.pg_class AS c ON c.oid = p.relation
         LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = p.relation AND a.attnum = p.key AND NOT a.attisdropped
         LEFT JOIN LATERAL (
             SELECT pg_catalog.string_agg(coalesce('from ' || s.from_bound || ': ', '') || s.every, ', ' ORDER BY s.from_bound NULLS FIRST)
                    AS every
             FROM teamscale_internal.partition_step AS s WHERE s.relation = p.relation AND s.level = p.level) AS s ON true;
COMMENT ON VIEW teamscale.partition_policy IS 'The policies of partitioned tables.';
COMMENT ON COLUMN teamscale.partition_policy."table" IS 'The partitioned table.';
COMMENT ON COLUMN teamscale.partition_policy.level IS '1: of the table; 2: of each of its partitions.';
COMMENT ON COLUMN teamscale.partition_policy."column" IS 'The column by which it is partitioned; null when it was dropped.';
COMMENT ON COLUMN teamscale.partition_policy.kind IS 'range, list or hash.';
COMMENT ON COLUMN teamscale.partition_policy.every IS 'How wide ranges are, and from which bound on where that changes.';
COMMENT ON COLUMN teamscale.partition_policy.premake IS 'How many periods ahead partitions are made.';
COMMENT ON COLUMN teamscale.partition_policy.retain IS 'How long, or how many periods, partitions are kept; null: for ever.';
COMMENT ON COLUMN teamscale.partition_policy.on_expiry IS 'What becomes of a partition then: drop, detach or move.';
COMMENT ON COLUMN teamscale.partition_policy.move_to IS 'The schema that expired partitions are moved to.';
COMMENT ON COLUMN teamscale.partition_policy.time_zone IS 'The zone in which days and months of instants begin.';
COMMENT ON COLUMN teamscale.partition_policy.epoch IS 'The unit of an integer column that holds times.';
COMMENT ON COLUMN teamscale.partition_policy."values" IS 'The values, or sets of values, that list partitions are made of in advance.';
COMMENT ON COLUMN teamscale.partition_policy.modulus IS 'How many hash partitions there are.';
COMMENT ON COLUMN teamscale.partition_policy.tablespaces IS 'The tablespace from an age on.';
COMMENT ON COLUMN teamscale.partition_policy.name_template IS 'How partitions are named.';
COMMENT ON COLUMN teamscale.partition_policy.default_partition IS 'Whether there is a partition for rows that no other takes.';
COMMENT ON COLUMN teamscale.partition_policy.before_drop IS 'The function that may refuse that an expired partition goes.';
COMMENT ON COLUMN teamscale.partition_policy.storage IS 'The storage parameters of new partitions.';
GRANT SELECT ON teamscale.partition_policy TO PUBLIC;

-- Not by pg_partition_tree(), which leaves out what is being detached.
CREATE VIEW teamscale.partition AS
    WITH RECURSIVE tree ("table", partition, level) AS (
        SELECT p.relation, p.relation::oid, 0 FROM teamscale_internal.partition_policy AS p WHERE p.level = 1
        UNION ALL
        SELECT t."table", i.inhrelid, t.level + 1 FROM tree AS t JOIN pg_catalog.pg_inherits AS i ON i.inhparent = t.partition)
    SELECT t."table", c.oid::pg_catalog.regclass AS partition, t.level,
           d.lower, d.upper, d."values", d.modulus, d.remainder,
           CASE WHEN i.inhdetachpending THEN 'detaching' WHEN e.partition IS NOT NULL THEN 'expired' WHEN d.is_default THEN 'default'
                ELSE 'attached' END AS state,
           coalesce(s.spcname, b.spcname) AS tablespace,
           greatest(c.reltuples, 0)::bigint AS rows,
           CASE WHEN c.relkind <> 'p' THEN pg_catalog.pg_total_relation_size(c.oid) END AS bytes
    FROM tree AS t
         JOIN pg_catalog.pg_class AS c ON c.oid = t.partition
         JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = c.oid
         LEFT JOIN teamscale_internal.expired_partition AS e ON e.partition = c.oid
         LEFT JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace
         JOIN pg_catalog.pg_database AS o ON o.datname = pg_catalog.current_database()
         JOIN pg_catalog.pg_tablespace AS b ON b.oid = o.dattablespace
         CROSS JOIN LATERAL teamscale_internal.describe_partition(c.oid) AS d
    WHERE t.level > 0;
COMMENT ON VIEW teamscale.partition IS 'The partitions of tables that have a policy.';
COMMENT ON COLUMN teamscale.partition."table" IS 'The table that has the policy.';
COMMENT ON COLUMN teamscale.partition.partition IS 'The partition.';
COMMENT ON COLUMN teamscale.partition.level IS 'How far below the table it is.';
COMMENT ON COLUMN teamscale.partition.lower IS 'Of a range: its lower bound, which it holds.';
COMMENT ON COLUMN teamscale.partition.upper IS 'Of a range: its upper bound, which it does not hold.';
COMMENT ON COLUMN teamscale.partition."values" IS 'Of a list: its values.';
COMMENT ON COLUMN teamscale.partition.modulus IS 'Of a hash: by what it is divided.';
COMMENT ON COLUMN teamscale.partition.remainder IS 'Of a hash: the remainder.';
COMMENT ON COLUMN teamscale.partition.state IS
    'attached; default: takes what no other does; detaching: a detach that was interrupted; expired: about to be detached.';
COMMENT ON COLUMN teamscale.partition.tablespace IS 'Where it is stored.';
COMMENT ON COLUMN teamscale.partition.rows IS 'The planner''s estimate of its rows.';
COMMENT ON COLUMN teamscale.partition.bytes IS 'What it takes with its indexes; null when it has partitions itself.';
GRANT SELECT ON teamscale.partition TO PUBLIC;
