-- Partition policies: how a partitioned table's partitions come and go. Of this node alone.

CREATE TABLE teamscale_internal.partition_policy (
    relation regclass NOT NULL,
    level smallint NOT NULL CHECK (level IN (1, 2)),
    key smallint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('range', 'list', 'hash')),
    epoch text CHECK (epoch IN ('seconds', 'milliseconds')),
    time_zone text NOT NULL DEFAULT 'UTC',
    premake integer NOT NULL DEFAULT 4,
    "values" jsonb,
    modulus integer,
    name_template text NOT NULL DEFAULT '{table}_{period}',
    default_partition boolean NOT NULL DEFAULT true,
    retain text,
    on_expiry text NOT NULL DEFAULT 'drop' CHECK (on_expiry IN ('drop', 'detach', 'move')),
    move_to name,
    tablespaces jsonb,
    before_drop regprocedure,
    storage jsonb,
    PRIMARY KEY (relation, level)
);
COMMENT ON TABLE teamscale_internal.partition_policy IS
    'The policies of partitioned tables. level 1: of the table; 2: of each of its partitions. key: the number of the column. '
    'retain, tablespaces, on_expiry and what follows count at level 1 only. storage: the storage parameters of new partitions.';

CREATE TABLE teamscale_internal.partition_step (
    relation regclass NOT NULL,
    level smallint NOT NULL,
    from_bound text,
    every text,
    FOREIGN KEY (relation, level) REFERENCES teamscale_internal.partition_policy ON DELETE CASCADE,
    UNIQUE NULLS NOT DISTINCT (relation, level, from_bound)
);
COMMENT ON TABLE teamscale_internal.partition_step IS
    'How wide the ranges of a policy are: an interval or a number, from a bound on; from_bound null: from the beginning.';

-- What maintenance has done and still has to do.
CREATE TABLE teamscale_internal.partition_maintenance (
    relation regclass PRIMARY KEY,
    clock timestamptz,
    newest jsonb,
    ranges_ahead bigint,
    last_run timestamptz,
    last_end timestamptz,
    actions bigint NOT NULL DEFAULT 0,
    failures bigint NOT NULL DEFAULT 0,
    failed_runs integer NOT NULL DEFAULT 0,
    last_failure timestamptz,
    last_failed_action text,
    last_sqlstate text,
    last_message text
);
COMMENT ON TABLE teamscale_internal.partition_maintenance IS
    'How the maintenance of a table went. clock: the time by which the last run went, against jumps of the clock; newest: the same of number keys, by the OID of the partitioned table.';

CREATE TABLE teamscale_internal.expired_partition (
    partition oid PRIMARY KEY,
    relation regclass NOT NULL,
    on_expiry text NOT NULL,
    move_to name,
    expired_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE teamscale_internal.expired_partition IS
    'Partitions that are expired: detached, or about to be, and what is to become of them.';

REVOKE ALL ON ALL TABLES IN SCHEMA teamscale_internal FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.partition_policy', '');
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.partition_step', '');
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.partition_maintenance', '');
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.expired_partition', 'WHERE false');
