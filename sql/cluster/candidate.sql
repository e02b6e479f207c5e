-- What is checked of a database that is to be a node. It may belong to somebody whose operators a superuser must not call:
-- they are named by their schema.

-- What a database says of itself, once it has the extension; null when it does not.
CREATE FUNCTION teamscale_internal.identity_of(conninfo text, role name) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF teamscale_internal.query_conninfo(conninfo, role,
           'SELECT extversion FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) ''teamscale''') IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN teamscale_internal.query_conninfo(conninfo, role, 'SELECT teamscale_internal.node_identity()')::jsonb;
END
$$;
COMMENT ON FUNCTION teamscale_internal.identity_of(text, name) IS
    'node_identity() of the database that conninfo leads to; null when it does not have the extension.';
REVOKE ALL ON FUNCTION teamscale_internal.identity_of(text, name) FROM PUBLIC;

-- What a node must be able to do by its own settings.
CREATE FUNCTION teamscale_internal.check_settings(subject text, identity jsonb) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF identity #>> '{database,boot}' IS NULL THEN
        RAISE EXCEPTION '% does not load teamscale at the server''s start', subject
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'Its shared_preload_libraries lacks it.',
                  HINT = 'Add teamscale to shared_preload_libraries and restart the server.';
    END IF;
    IF (identity ->> 'prepared transactions')::integer = 0 THEN
        RAISE EXCEPTION '% cannot prepare transactions', subject
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'Its max_prepared_transactions is 0; transactions over several nodes need two-phase commit.',
                  HINT = 'Set max_prepared_transactions to at least max_connections and restart the server.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.check_settings(text, jsonb) IS
    'Raises 55000 unless a database of this identity can be a node by its server''s settings.';

-- What must be alike on all nodes: an index or a text comparison of one node would be wrong on another.
CREATE FUNCTION teamscale_internal.check_compatibility(node_name text, own jsonb, other jsonb) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    differences text;
BEGIN
    SELECT string_agg(format('%s: %s here, %s there', key, o.value, n.value), E'\n' ORDER BY key) INTO differences
    FROM jsonb_each_text(own -> 'compatibility') AS o
         FULL JOIN jsonb_each_text(other -> 'compatibility') AS n USING (key)
    WHERE o.value IS DISTINCT FROM n.value;
    IF differences IS NOT NULL THEN
        RAISE EXCEPTION 'node "%" does not match this node', node_name
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = differences,
                  HINT = 'All nodes need the same version of PostgreSQL and of teamscale, encoding and collation.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.check_compatibility(text, jsonb, jsonb) IS
    'Raises 55000 with the list of differences unless two databases of these identities can share a cluster.';

-- Reaches target from source and sees that it is the database that was meant.
CREATE FUNCTION teamscale_internal.check_reach(source text, source_conninfo text, target text, target_conninfo text,
                                               expected jsonb, role name) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reached jsonb;
    reason text;
BEGIN
    BEGIN
        reached := teamscale_internal.query_conninfo(source_conninfo, role,
            format('SELECT teamscale_internal.identity_of(%L, %L)', target_conninfo, role))::jsonb;
    EXCEPTION WHEN connection_exception OR sqlclient_unable_to_establish_sqlconnection THEN
        GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
        RAISE EXCEPTION 'node "%" cannot reach node "%"', source, target
            USING ERRCODE = 'sqlclient_unable_to_establish_sqlconnection',
                  DETAIL = format(E'The connection string is %L.\n%s', target_conninfo, coalesce(nullif(reason, ''), SQLERRM)),
                  HINT = 'Every node must reach every node under the same connection string.';
    END;
    IF reached -> 'database' IS DISTINCT FROM expected -> 'database' THEN
        RAISE EXCEPTION 'from node "%" the connection string of node "%" leads to another database', source, target
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('The connection string is %L.', target_conninfo),
                  HINT = 'Every node must reach every node under the same connection string.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.check_reach(text, text, text, text, jsonb, name) IS
    'Raises unless the source node reaches, under the target''s conninfo, the database of the expected identity.';
REVOKE ALL ON FUNCTION teamscale_internal.check_reach(text, text, text, text, jsonb, name) FROM PUBLIC;

-- A role must be a superuser there, too.
CREATE FUNCTION teamscale_internal.check_role(node_name text, conninfo text, role name, wanted name, purpose text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF teamscale_internal.query_conninfo(conninfo, role, format(
           'SELECT rolsuper::text FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) %L', wanted))
       IS DISTINCT FROM 'true' THEN
        RAISE EXCEPTION 'role "%" is no superuser on node "%"', wanted, node_name
            USING ERRCODE = 'insufficient_privilege', DETAIL = purpose,
                  HINT = format('Make it one there, with CREATE ROLE or ALTER ROLE %I SUPERUSER.', wanted);
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.check_role(text, text, name, name, text) IS
    'Raises 42501 unless the wanted role is a superuser in the database that conninfo leads to, asked as role.';
REVOKE ALL ON FUNCTION teamscale_internal.check_role(text, text, name, name, text) FROM PUBLIC;

-- Its version must be this node's before anything else of it is used.
CREATE FUNCTION teamscale_internal.require_extension(node_name text, conninfo text, role name) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own text := (SELECT e.extversion FROM pg_extension AS e WHERE e.extname = 'teamscale');
    other text := teamscale_internal.query_conninfo(conninfo, role,
                      'SELECT extversion FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) ''teamscale''');
BEGIN
    IF other IS NULL THEN
        PERFORM teamscale_internal.query_conninfo(conninfo, role, format('CREATE EXTENSION teamscale VERSION %L', own));
    ELSIF other <> own THEN
        RAISE EXCEPTION 'node "%" has another version of teamscale', node_name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('It is %s here, %s there.', own, other),
                  HINT = 'Install the same version on all servers, and run ALTER EXTENSION teamscale UPDATE where it is older.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_extension(text, text, name) IS
    'Creates the extension in the database that conninfo leads to, if it is missing; raises 55000 when it has another version.';
REVOKE ALL ON FUNCTION teamscale_internal.require_extension(text, text, name) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.check_candidate(node_name text, conninfo text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role name := (teamscale_internal.require_cluster()).settling_role;
    candidate jsonb;
BEGIN
    PERFORM teamscale_internal.check_role(node_name, conninfo, role, role,
                                          'This role settles in-doubt transactions on every node.');
    PERFORM teamscale_internal.check_role(node_name, conninfo, role, current_user,
                                          'This role, which calls the function, makes the catalog there.');
    PERFORM teamscale_internal.require_extension(node_name, conninfo, role);
    candidate := teamscale_internal.identity_of(conninfo, role);
    PERFORM teamscale_internal.check_settings(format('node "%s"', node_name), candidate);
    PERFORM teamscale_internal.check_compatibility(node_name, teamscale_internal.node_identity(), candidate);
    RETURN candidate;
END
$$;
COMMENT ON FUNCTION teamscale_internal.check_candidate(text, text) IS
    'Makes the extension where it is missing and raises unless the database can be a node by itself; gives its identity.';
REVOKE ALL ON FUNCTION teamscale_internal.check_candidate(text, text) FROM PUBLIC;

-- The candidate and all active nodes must reach each other.
CREATE FUNCTION teamscale_internal.check_connections(node_name text, conninfo text, candidate jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role name := (teamscale_internal.require_cluster()).settling_role;
    other record;
BEGIN
    PERFORM teamscale_internal.check_reach(node_name, conninfo, node_name, conninfo, candidate, role);
    FOR other IN
        SELECT n.name, n.conninfo, teamscale_internal.identity_of(n.conninfo, role) AS identity
        FROM teamscale_internal.node AS n WHERE n.state = 'active' AND n.name <> node_name ORDER BY n.node_id
    LOOP
        IF other.identity -> 'database' = candidate -> 'database' THEN
            RAISE EXCEPTION 'the connection string of node "%" leads to node "%"', node_name, other.name
                USING ERRCODE = 'invalid_parameter_value',
                      DETAIL = format('The connection string is %L.', conninfo),
                      HINT = 'Each node is a database of its own.';
        END IF;
        PERFORM teamscale_internal.check_reach(other.name, other.conninfo, node_name, conninfo, candidate, role);
        PERFORM teamscale_internal.check_reach(node_name, conninfo, other.name, other.conninfo, other.identity, role);
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.check_connections(text, text, jsonb) IS
    'Raises unless the database is none of the active nodes, and all of them and it reach each other.';
REVOKE ALL ON FUNCTION teamscale_internal.check_connections(text, text, jsonb) FROM PUBLIC;
