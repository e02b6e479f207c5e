-- Where the rows of a key are. A key is passed as any type that the table's key takes implicitly, or as
-- text: that is what an untyped parameter of a driver is taken for.

CREATE FUNCTION teamscale.bucket_of("table" regclass, key "any") RETURNS integer
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_bucket_of';
COMMENT ON FUNCTION teamscale.bucket_of(regclass, "any") IS
    'The bucket that holds the rows of a sharded table with this key.';

CREATE FUNCTION teamscale.bucket_of("table" regclass, key text) RETURNS integer
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_bucket_of';
COMMENT ON FUNCTION teamscale.bucket_of(regclass, text) IS
    'The bucket that holds the rows of a sharded table with this key.';

CREATE FUNCTION teamscale.node_of("table" regclass, key "any") RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_node_of';
COMMENT ON FUNCTION teamscale.node_of(regclass, "any") IS
    'The name of the node that holds the rows of a sharded table with this key.';

CREATE FUNCTION teamscale.node_of("table" regclass, key text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_node_of';
COMMENT ON FUNCTION teamscale.node_of(regclass, text) IS
    'The name of the node that holds the rows of a sharded table with this key.';

CREATE FUNCTION teamscale.route("table" regclass, key "any",
                                OUT node text, OUT bucket integer, OUT host text, OUT port text,
                                OUT dbname text, OUT epoch bigint)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_route';
COMMENT ON FUNCTION teamscale.route(regclass, "any") IS
    'For an application that connects to the owner itself: its node, bucket and address, as of epoch.';

CREATE FUNCTION teamscale.route("table" regclass, key text,
                                OUT node text, OUT bucket integer, OUT host text, OUT port text,
                                OUT dbname text, OUT epoch bigint)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_route';
COMMENT ON FUNCTION teamscale.route(regclass, text) IS
    'For an application that connects to the owner itself: its node, bucket and address, as of epoch.';
