-- What a stream does on each node: on the nodes of the cluster, or in this database alone when it is no node.

CREATE FUNCTION teamscale_internal.stream_nodes() RETURNS integer[]
    LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM teamscale_internal.local_node) THEN teamscale_internal.active_nodes() ELSE '{0}' END
$$;
COMMENT ON FUNCTION teamscale_internal.stream_nodes() IS 'The ids of all active nodes in order; 0 stands for a database that is no node.';
REVOKE ALL ON FUNCTION teamscale_internal.stream_nodes() FROM PUBLIC;

CREATE FUNCTION teamscale_internal.this_node() RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT node_id FROM teamscale_internal.local_node), 0)
$$;
COMMENT ON FUNCTION teamscale_internal.this_node() IS 'The id of this node; 0 for a database that is none.';
REVOKE ALL ON FUNCTION teamscale_internal.this_node() FROM PUBLIC;

CREATE FUNCTION teamscale_internal.node_name(node integer) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT name FROM teamscale_internal.node WHERE node_id = node_name.node), current_database()::text)
$$;
COMMENT ON FUNCTION teamscale_internal.node_name(integer) IS 'What errors and events call a node.';
REVOKE ALL ON FUNCTION teamscale_internal.node_name(integer) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.rows_of_node(node integer, sql text) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_rows_of_node';
COMMENT ON FUNCTION teamscale_internal.rows_of_node(integer, text) IS
    'Runs a statement that writes nothing on another node, within this transaction as the current user, and gives its rows.';
REVOKE ALL ON FUNCTION teamscale_internal.rows_of_node(integer, text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.run_apart(node integer, sql text) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_run_apart';
COMMENT ON FUNCTION teamscale_internal.run_apart(integer, text) IS
    'Runs a statement on another node in a transaction of its own; gives the first column of its last row.';
REVOKE ALL ON FUNCTION teamscale_internal.run_apart(integer, text) FROM PUBLIC;

-- Runs SQL on this node or another one, within this transaction.
CREATE FUNCTION teamscale_internal.run_for_stream(node integer, sql text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF node = teamscale_internal.this_node() THEN
        EXECUTE sql;
    ELSE
        PERFORM teamscale_internal.execute_on_nodes(ARRAY[node], sql);
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.run_for_stream(integer, text) IS 'Runs SQL of ours on one node, within this transaction.';
REVOKE ALL ON FUNCTION teamscale_internal.run_for_stream(integer, text) FROM PUBLIC;
