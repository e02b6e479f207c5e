-- What one database asks another before they share a catalog.

CREATE FUNCTION teamscale_internal.boot_id() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_boot_id';
COMMENT ON FUNCTION teamscale_internal.boot_id() IS
    'The random id of this start of the server, as 16 hexadecimal digits; null without shared_preload_libraries.';

CREATE FUNCTION teamscale_internal.node_identity() RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT pg_catalog.jsonb_build_object(
            'database', pg_catalog.jsonb_build_object('boot', teamscale_internal.boot_id(), 'oid', d.oid::bigint),
            'compatibility', pg_catalog.jsonb_build_object(
                'extension version', (SELECT e.extversion FROM pg_catalog.pg_extension AS e WHERE e.extname = 'teamscale'),
                'server version', pg_catalog.current_setting('server_version_num')::integer / 10000,
                'encoding', pg_catalog.pg_encoding_to_char(d.encoding),
                'collation', d.datcollate, 'character type', d.datctype,
                'locale provider', d.datlocprovider, 'ICU locale', d.daticulocale,
                'collation version', pg_catalog.pg_database_collation_actual_version(d.oid)),
            'prepared transactions', pg_catalog.current_setting('max_prepared_transactions')::integer,
            'cluster', (SELECT c.cluster_id FROM teamscale_internal.cluster AS c),
            'epoch', (SELECT c.epoch FROM teamscale_internal.cluster AS c),
            'node', (SELECT l.node_id FROM teamscale_internal.local_node AS l),
            'states', (SELECT pg_catalog.jsonb_object_agg(n.node_id, n.state) FROM teamscale_internal.node AS n))
        FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database();
    END;
COMMENT ON FUNCTION teamscale_internal.node_identity() IS
    'Which database this is (boot id and OID), what a cluster must have alike, and what it knows of its cluster.';

CREATE FUNCTION teamscale_internal.check_conninfo(conninfo text) RETURNS void
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_check_conninfo';
COMMENT ON FUNCTION teamscale_internal.check_conninfo(text) IS
    'Raises 22023 unless this is a libpq connection string for a node: with dbname, without user, password or options.';

CREATE FUNCTION teamscale_internal.query_conninfo(conninfo text, role name, query text) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_query_conninfo';
COMMENT ON FUNCTION teamscale_internal.query_conninfo(text, name, text) IS
    'Runs one statement on another database as the role, in a transaction of its own; gives the first column of the first row.';
REVOKE ALL ON FUNCTION teamscale_internal.query_conninfo(text, name, text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.create_secret() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_create_secret';
COMMENT ON FUNCTION teamscale_internal.create_secret() IS 'Draws a new cluster''s secret of 32 bytes and stores it.';
REVOKE ALL ON FUNCTION teamscale_internal.create_secret() FROM PUBLIC;

CREATE FUNCTION teamscale_internal.send_secret(conninfo text, role name) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_send_secret';
COMMENT ON FUNCTION teamscale_internal.send_secret(text, name) IS
    'Stores the cluster''s secret in another database, whose log does not see it.';
REVOKE ALL ON FUNCTION teamscale_internal.send_secret(text, name) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.receive_secret(secret bytea, cluster text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_receive_secret';
COMMENT ON FUNCTION teamscale_internal.receive_secret(bytea, text) IS
    'Stores the secret that send_secret() sends; 55000 for a node of another cluster.';
REVOKE ALL ON FUNCTION teamscale_internal.receive_secret(bytea, text) FROM PUBLIC;
