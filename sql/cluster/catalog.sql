-- The cluster's catalog. The same on every node but for local_node; changed only by teamscale, in one
-- transaction over all active nodes that raises cluster.epoch. It has no foreign keys: pg_restore --jobs
-- loads the tables of an extension in any order.

CREATE TABLE teamscale_internal.cluster (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    cluster_id uuid NOT NULL,
    epoch bigint NOT NULL,
    settling_role name NOT NULL,
    last_node_id integer NOT NULL
);
COMMENT ON TABLE teamscale_internal.cluster IS
    'One row: the cluster, the epoch of its map, and the role that settles in-doubt transactions. last_node_id: an id is '
    'never given twice, as sequences and prepared transactions carry it.';

CREATE FUNCTION teamscale_internal.current_epoch() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT c.epoch FROM teamscale_internal.cluster AS c;
    END;
COMMENT ON FUNCTION teamscale_internal.current_epoch() IS 'The epoch of this node''s catalog.';

CREATE TABLE teamscale_internal.node (
    node_id integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    conninfo text NOT NULL,
    region text,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled'))
);
COMMENT ON TABLE teamscale_internal.node IS 'The databases of the cluster and how they are reached.';

CREATE TABLE teamscale_internal.local_node (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    node_id integer NOT NULL
);
COMMENT ON TABLE teamscale_internal.local_node IS 'One row: which of the nodes this database is.';

CREATE TABLE teamscale_internal.colocation_group (
    group_id integer PRIMARY KEY,
    method text NOT NULL CHECK (method IN ('hash', 'list')),
    key_type regtype NOT NULL,
    key_collation regcollation,
    bucket_count integer
);
COMMENT ON TABLE teamscale_internal.colocation_group IS
    'Tables of one group have the same buckets in the same places. bucket_count is null for lists.';

CREATE TABLE teamscale_internal.bucket (
    bucket_id integer PRIMARY KEY,
    group_id integer NOT NULL,
    modulus integer,
    remainder integer,
    "values" text[],
    CHECK ((modulus IS NOT NULL AND remainder IS NOT NULL AND "values" IS NULL)
        OR (modulus IS NULL AND remainder IS NULL AND "values" IS NOT NULL))
);
CREATE INDEX ON teamscale_internal.bucket (group_id);
COMMENT ON TABLE teamscale_internal.bucket IS
    'A part of a group''s key space: a hash remainder, or a set of values in their text form.';

CREATE TABLE teamscale_internal.placement (
    bucket_id integer PRIMARY KEY,
    node_id integer NOT NULL
);
COMMENT ON TABLE teamscale_internal.placement IS 'Which node holds a bucket.';

CREATE TABLE teamscale_internal.sharded_table (
    table_id integer PRIMARY KEY,
    relation regclass NOT NULL UNIQUE,
    group_id integer NOT NULL,
    leaf_actions text[] NOT NULL DEFAULT '{}',
    since bigint NOT NULL DEFAULT teamscale_internal.current_epoch()
);
COMMENT ON TABLE teamscale_internal.sharded_table IS
    'The sharded tables; relation is this node''s parent, whose partition key is the sharding key. leaf_actions: '
    'actions of ALTER TABLE that give each leaf its storage options. since: the epoch that began with it, which tells it '
    'from an earlier table of the same name and id.';

CREATE TABLE teamscale_internal.commit_record (
    gid text PRIMARY KEY,
    node_id integer NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE teamscale_internal.commit_record IS
    'A row is the decision to commit the prepared transaction gid on node_id; written by the router '
    'in its own transaction, deleted by the settling of in-doubt transactions.';

CREATE TABLE teamscale_internal.outside_database (
    node_id integer NOT NULL,
    conninfo text NOT NULL,
    since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (node_id, conninfo)
);
COMMENT ON TABLE teamscale_internal.outside_database IS
    'Databases outside of the cluster in which this node may have left a prepared transaction: one that was being added, or '
    'was to take a node''s place, or was removed. The settling of in-doubt transactions visits them until nothing is left there.';

REVOKE ALL ON ALL TABLES IN SCHEMA teamscale_internal FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.cluster', '');
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.node', '');
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.local_node', '');
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.colocation_group', '');
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.bucket', '');
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.placement', '');
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.sharded_table', '');
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.commit_record', '');
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.outside_database', '');
