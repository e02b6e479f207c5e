-- Nodes by name: who may change them, and what they are.

CREATE FUNCTION teamscale_internal.require_superuser(action text) RETURNS void
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION 'only superusers may %', action
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('The current role is "%s".', current_user),
                  HINT = 'Ask a superuser to do it.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_superuser(text) IS 'Raises 42501 unless the current role is a superuser.';

CREATE FUNCTION teamscale_internal.require_cluster() RETURNS teamscale_internal.cluster
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cluster teamscale_internal.cluster;
BEGIN
    SELECT * INTO cluster FROM teamscale_internal.cluster;
    IF cluster IS NULL THEN
        RAISE EXCEPTION 'database "%" is no node of a cluster', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Make it the first node with teamscale.create_cluster(), or add it from a node with teamscale.add_node().';
    END IF;
    RETURN cluster;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_cluster() IS 'This node''s cluster row; 55000 when the database is no node.';

CREATE FUNCTION teamscale_internal.require_node(node_name text) RETURNS teamscale_internal.node
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node teamscale_internal.node;
BEGIN
    IF node_name IS NULL THEN
        RAISE EXCEPTION 'the name of a node must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'The view teamscale.node lists the nodes.';
    END IF;
    SELECT * INTO node FROM teamscale_internal.node AS n WHERE n.name = node_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node "%" does not exist', node_name
            USING ERRCODE = 'undefined_object', HINT = 'The view teamscale.node lists the nodes.';
    END IF;
    RETURN node;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_node(text) IS 'The node of that name; 42704 when there is none, 22004 for null.';

CREATE FUNCTION teamscale_internal.local_node_id() RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.node_id FROM teamscale_internal.local_node AS l
$$;
COMMENT ON FUNCTION teamscale_internal.local_node_id() IS 'Which node this database is; null when it is none.';

-- The name and conninfo of a node that is to be.
CREATE FUNCTION teamscale_internal.check_new_node(node_name text, conninfo text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF node_name IS NULL OR conninfo IS NULL OR node_name = '' OR octet_length(node_name) > 63 THEN
        RAISE EXCEPTION 'invalid node name or connection string'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('The name is %L, the connection string %L.', node_name, conninfo),
                  HINT = 'A name has 1 to 63 bytes; a connection string looks like ''host=db2 port=5432 dbname=app''.';
    END IF;
    IF EXISTS (SELECT FROM teamscale_internal.node AS n WHERE n.name = node_name) THEN
        RAISE EXCEPTION 'node "%" already exists', node_name
            USING ERRCODE = 'duplicate_object', HINT = 'The view teamscale.node lists the nodes.';
    END IF;
    PERFORM teamscale_internal.check_conninfo(conninfo);
END
$$;
COMMENT ON FUNCTION teamscale_internal.check_new_node(text, text) IS
    'Raises 22023 or 42710 unless a node may have this name and connection string.';

CREATE VIEW teamscale.node AS
    SELECT n.name, n.conninfo, n.region, n.state,
           n.node_id = (SELECT l.node_id FROM teamscale_internal.local_node AS l) AS is_local,
           (SELECT count(*) FROM teamscale_internal.placement AS p WHERE p.node_id = n.node_id) AS buckets
    FROM teamscale_internal.node AS n;
COMMENT ON VIEW teamscale.node IS 'The nodes of the cluster, as this node knows them.';
COMMENT ON COLUMN teamscale.node.name IS 'The name it was added under.';
COMMENT ON COLUMN teamscale.node.conninfo IS 'How every node reaches the database; it never holds a user or a password.';
COMMENT ON COLUMN teamscale.node.region IS 'Where it is, in the words of whoever added it; may be null.';
COMMENT ON COLUMN teamscale.node.state IS 'active, or disabled: left out until teamscale.enable_node().';
COMMENT ON COLUMN teamscale.node.is_local IS 'Whether this database is the node.';
COMMENT ON COLUMN teamscale.node.buckets IS 'How many buckets the node holds, over all colocation groups.';
GRANT SELECT ON teamscale.node TO PUBLIC;
