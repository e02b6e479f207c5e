-- How a router's connection proves to be a node's.

CREATE TABLE teamscale_internal.node_secret (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    secret bytea NOT NULL
);
COMMENT ON TABLE teamscale_internal.node_secret IS
    'The cluster''s secret. No SQL can read it, and it is not dumped.';
REVOKE ALL ON teamscale_internal.node_secret FROM PUBLIC;

-- Every role's connections prove themselves, so these two may be called by all.
CREATE FUNCTION teamscale_internal.node_challenge() RETURNS bytea
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_node_challenge';
COMMENT ON FUNCTION teamscale_internal.node_challenge() IS
    'A fresh challenge of 32 bytes; teamscale_internal.open_node_session() takes the answer.';

CREATE FUNCTION teamscale_internal.open_node_session(answer bytea, router integer, epoch bigint)
    RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_open_node_session';
COMMENT ON FUNCTION teamscale_internal.open_node_session(bytea, integer, bigint) IS
    'Makes this session a node''s: what it sends is for this node''s own buckets. 28000 for a wrong answer.';

CREATE FUNCTION teamscale_internal.take_settings(settings text[]) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_take_settings';
COMMENT ON FUNCTION teamscale_internal.take_settings(text[]) IS
    'Sets this session as the router''s is: names and values in turn. Only for a router''s connection.';

-- A change of the catalog, by whatever statement, reaches every backend's map.
CREATE FUNCTION teamscale_internal.invalidate_map() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_invalidate_map';
COMMENT ON FUNCTION teamscale_internal.invalidate_map() IS
    'Trigger: makes every backend of this node rebuild its map when the transaction commits.';

DO $$
DECLARE
    catalog_table text;
BEGIN
    FOREACH catalog_table IN ARRAY ARRAY['cluster', 'node', 'local_node', 'colocation_group', 'bucket',
                                         'placement', 'sharded_table']
    LOOP
        EXECUTE format('CREATE TRIGGER invalidate_map AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
                        ON teamscale_internal.%I FOR EACH STATEMENT
                        EXECUTE FUNCTION teamscale_internal.invalidate_map()', catalog_table);
    END LOOP;
END
$$;
