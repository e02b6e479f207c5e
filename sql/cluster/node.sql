-- Nodes: making a cluster, adding nodes to it and taking them away. Only superusers change nodes.

CREATE FUNCTION teamscale_internal.require_superuser(action text) RETURNS void
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION 'only superusers may %', action
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('The current role is "%s".', current_user);
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
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node teamscale_internal.node;
BEGIN
    SELECT * INTO node FROM teamscale_internal.node AS n WHERE n.name = node_name;
    IF node IS NULL THEN
        RAISE EXCEPTION 'node "%" does not exist', node_name
            USING ERRCODE = 'undefined_object',
                  HINT = 'The view teamscale.node lists the nodes.';
    END IF;
    RETURN node;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_node(text) IS 'The node of that name; 42704 when there is none.';

-- What a database says of itself, once it has the extension; null when it does not.
CREATE FUNCTION teamscale_internal.identity_of(conninfo text, role name) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF teamscale_internal.query_conninfo(conninfo, role,
           'SELECT extversion FROM pg_catalog.pg_extension WHERE extname = ''teamscale''') IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN teamscale_internal.query_conninfo(conninfo, role, 'SELECT teamscale_internal.node_identity()')::jsonb;
END
$$;
COMMENT ON FUNCTION teamscale_internal.identity_of(text, name) IS
    'node_identity() of the database that conninfo leads to; null when it does not have the extension.';
REVOKE ALL ON FUNCTION teamscale_internal.identity_of(text, name) FROM PUBLIC;

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
        RAISE EXCEPTION 'node "%" already exists', node_name USING ERRCODE = 'duplicate_object';
    END IF;
    PERFORM teamscale_internal.check_conninfo(conninfo);
END
$$;
COMMENT ON FUNCTION teamscale_internal.check_new_node(text, text) IS
    'Raises 22023 or 42710 unless a node may have this name and connection string.';

CREATE FUNCTION teamscale.create_cluster(name text, conninfo text, region text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own jsonb := teamscale_internal.node_identity();
    reached jsonb;
BEGIN
    PERFORM teamscale_internal.require_superuser('create a cluster');
    LOCK TABLE teamscale_internal.cluster IN SHARE ROW EXCLUSIVE MODE;  -- two at once: the second sees the first
    IF EXISTS (SELECT FROM teamscale_internal.cluster) THEN
        RAISE EXCEPTION 'database "%" is already a node of a cluster', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Add further nodes with teamscale.add_node().';
    END IF;
    PERFORM teamscale_internal.check_new_node(create_cluster.name, create_cluster.conninfo);
    PERFORM teamscale_internal.check_settings('this database', own);
    reached := teamscale_internal.identity_of(create_cluster.conninfo, current_user);
    IF reached -> 'database' IS DISTINCT FROM own -> 'database' THEN
        RAISE EXCEPTION 'the connection string of node "%" leads to another database', create_cluster.name
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('The connection string is %L.', create_cluster.conninfo),
                  HINT = 'Give the connection string under which this database and all other nodes reach this database.';
    END IF;
    PERFORM teamscale_internal.create_secret();
    INSERT INTO teamscale_internal.cluster (cluster_id, epoch, settling_role)
        VALUES (gen_random_uuid(), 1, current_user);
    INSERT INTO teamscale_internal.node (node_id, name, conninfo, region)
        VALUES (1, create_cluster.name, create_cluster.conninfo, create_cluster.region);
    INSERT INTO teamscale_internal.local_node (node_id) VALUES (1);
END
$$;
COMMENT ON FUNCTION teamscale.create_cluster(text, text, text) IS
    'Makes this database the first node of a new cluster. name: the node''s; conninfo: how every node '
    'reaches this database (no user, password or options); the current role, a superuser, settles in-doubt transactions.';
REVOKE ALL ON FUNCTION teamscale.create_cluster(text, text, text) FROM PUBLIC;

-- What a node must be able to do by its own settings.
CREATE FUNCTION teamscale_internal.check_settings(subject text, identity jsonb) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF identity #>> '{database,boot}' IS NULL THEN
        RAISE EXCEPTION '% does not load teamscale at the server''s start', subject
            USING ERRCODE = 'object_not_in_prerequisite_state',
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
BEGIN
    BEGIN
        reached := teamscale_internal.query_conninfo(source_conninfo, role,
            format('SELECT teamscale_internal.identity_of(%L, %L)', target_conninfo, role))::jsonb;
    EXCEPTION WHEN connection_exception OR sqlclient_unable_to_establish_sqlconnection THEN
        RAISE EXCEPTION 'node "%" cannot reach node "%"', source, target
            USING ERRCODE = 'sqlclient_unable_to_establish_sqlconnection',
                  DETAIL = format('With the connection string %L: %s', target_conninfo, SQLERRM),
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

-- All checks of a database that is to be a node: compatible, reachable from all and reaching all.
CREATE FUNCTION teamscale_internal.check_candidate(node_name text, conninfo text) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cluster teamscale_internal.cluster := teamscale_internal.require_cluster();
    role name := cluster.settling_role;
    candidate jsonb;
    other record;
BEGIN
    IF teamscale_internal.query_conninfo(conninfo, role,
           format('SELECT rolsuper::text FROM pg_catalog.pg_roles WHERE rolname = %L', role)) <> 'true' THEN
        RAISE EXCEPTION 'role "%" is no superuser on node "%"', role, node_name
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = 'This role settles in-doubt transactions on every node.',
                  HINT = format('Run ALTER ROLE %I SUPERUSER there.', role);
    END IF;
    candidate := teamscale_internal.identity_of(conninfo, role);
    IF candidate IS NULL THEN
        PERFORM teamscale_internal.query_conninfo(conninfo, role,
            format('CREATE EXTENSION teamscale VERSION %L',
                   (SELECT extversion FROM pg_extension WHERE extname = 'teamscale')));
        candidate := teamscale_internal.identity_of(conninfo, role);
    END IF;
    PERFORM teamscale_internal.check_settings(format('node "%s"', node_name), candidate);
    PERFORM teamscale_internal.check_compatibility(node_name, teamscale_internal.node_identity(), candidate);

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
    RETURN candidate;
END
$$;
COMMENT ON FUNCTION teamscale_internal.check_candidate(text, text) IS
    'Makes the extension where it is missing and raises unless the database can be a node; gives its identity.';
REVOKE ALL ON FUNCTION teamscale_internal.check_candidate(text, text) FROM PUBLIC;

-- One catalog table of this node as the statement that fills the same table elsewhere.
CREATE FUNCTION teamscale_internal.catalog_copy(catalog_table text) RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rows jsonb;
BEGIN
    EXECUTE format('SELECT jsonb_agg(to_jsonb(t)) FROM teamscale_internal.%I AS t', catalog_table) INTO rows;
    RETURN format('INSERT INTO teamscale_internal.%1$I '
                  'SELECT * FROM pg_catalog.jsonb_populate_recordset(NULL::teamscale_internal.%1$I, %2$L)',
                  catalog_table, coalesce(rows, '[]'));
END
$$;
COMMENT ON FUNCTION teamscale_internal.catalog_copy(text) IS
    'The INSERT statement that copies a catalog table of this node to another node.';

-- Gives a node the whole catalog and the empty parents of what it lacks. It must be active here already.
CREATE FUNCTION teamscale_internal.copy_catalog_to(node integer) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    catalog_table text;
BEGIN
    PERFORM teamscale_internal.execute_on_nodes(ARRAY[node], format(
        'DELETE FROM teamscale_internal.%I', t))
    FROM unnest(ARRAY['sharded_table', 'placement', 'bucket', 'colocation_group', 'local_node', 'node',
                      'cluster']) AS t;
    FOREACH catalog_table IN ARRAY ARRAY['cluster', 'node', 'colocation_group', 'bucket', 'placement'] LOOP
        PERFORM teamscale_internal.execute_on_nodes(ARRAY[node], teamscale_internal.catalog_copy(catalog_table));
    END LOOP;
    PERFORM teamscale_internal.execute_on_nodes(ARRAY[node],
        format('INSERT INTO teamscale_internal.local_node (node_id) VALUES (%s)', node));
    IF EXISTS (SELECT FROM teamscale_internal.sharded_table) THEN
        PERFORM teamscale_internal.copy_sharded_tables_to(node);
    END IF;
    PERFORM teamscale_internal.execute_on_nodes(ARRAY[node], teamscale_internal.catalog_copy('sharded_table'));
END
$$;
COMMENT ON FUNCTION teamscale_internal.copy_catalog_to(integer) IS
    'Replaces a node''s catalog by this node''s, and makes there the parents of sharded tables that it lacks.';
REVOKE ALL ON FUNCTION teamscale_internal.copy_catalog_to(integer) FROM PUBLIC;

CREATE FUNCTION teamscale.add_node(name text, conninfo text, region text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cluster teamscale_internal.cluster := teamscale_internal.require_cluster();
    candidate jsonb;
    new_id integer;
BEGIN
    PERFORM teamscale_internal.require_superuser('add a node');
    PERFORM teamscale_internal.begin_catalog_change();
    PERFORM teamscale_internal.check_new_node(add_node.name, add_node.conninfo);
    candidate := teamscale_internal.check_candidate(add_node.name, add_node.conninfo);
    IF candidate ->> 'cluster' IS NOT NULL THEN
        RAISE EXCEPTION 'the database of node "%" is already a node of %', add_node.name,
                        CASE WHEN (candidate ->> 'cluster')::uuid = cluster.cluster_id
                             THEN 'this cluster' ELSE 'another cluster' END
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('The connection string is %L.', add_node.conninfo),
                  HINT = 'A node that was away, or a restored copy of one, comes back with teamscale.enable_node().';
    END IF;
    SELECT max(node_id) + 1 INTO new_id FROM teamscale_internal.node;
    PERFORM teamscale_internal.send_secret(add_node.conninfo, cluster.settling_role);
    PERFORM teamscale_internal.execute_on_nodes(teamscale_internal.active_nodes(),
        format('INSERT INTO teamscale_internal.node (node_id, name, conninfo, region) VALUES (%s, %L, %L, %L)',
               new_id, add_node.name, add_node.conninfo, add_node.region));
    PERFORM teamscale_internal.copy_catalog_to(new_id);
END
$$;
COMMENT ON FUNCTION teamscale.add_node(text, text, text) IS
    'Makes another database a node: creates the extension there if it is missing, checks versions, encoding, collation, '
    'settings and that all nodes reach each other, and gives it the catalog and the empty parents of all sharded tables.';
REVOKE ALL ON FUNCTION teamscale.add_node(text, text, text) FROM PUBLIC;

CREATE FUNCTION teamscale.remove_node(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target teamscale_internal.node := teamscale_internal.require_node(remove_node.name);
    held text;
BEGIN
    PERFORM teamscale_internal.require_superuser('remove a node');
    PERFORM teamscale_internal.begin_catalog_change();
    SELECT format('%s: %s', coalesce(string_agg(DISTINCT t.relation::text, ', '), 'no table'),
                  string_agg(DISTINCT b.bucket_id::text, ', ')) INTO held
    FROM teamscale_internal.placement AS p
         JOIN teamscale_internal.bucket AS b USING (bucket_id)
         LEFT JOIN teamscale_internal.sharded_table AS t USING (group_id)
    WHERE p.node_id = target.node_id HAVING count(*) > 0;
    IF held IS NOT NULL THEN
        RAISE EXCEPTION 'node "%" holds buckets', target.name
            USING ERRCODE = 'dependent_objects_still_exist', DETAIL = format('Buckets of %s.', held),
                  HINT = 'A node can be removed once none of its buckets is in use.';
    END IF;
    IF target.node_id = (SELECT l.node_id FROM teamscale_internal.local_node AS l) THEN
        IF (SELECT count(*) FROM teamscale_internal.node) > 1 THEN
            RAISE EXCEPTION 'node "%" cannot remove itself', target.name
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = 'Call teamscale.remove_node() on another node.';
        END IF;
        DELETE FROM teamscale_internal.local_node;
        DELETE FROM teamscale_internal.node;
        DELETE FROM teamscale_internal.cluster;
        DELETE FROM teamscale_internal.node_secret;
        RETURN;
    END IF;
    IF target.state = 'active' THEN
        -- Its empty parents go with it, and it may join this or another cluster again.
        IF EXISTS (SELECT FROM teamscale_internal.sharded_table) THEN
            PERFORM teamscale_internal.forget_sharded_tables_on(target.node_id);
        END IF;
        PERFORM teamscale_internal.execute_on_nodes(ARRAY[target.node_id], format('DELETE FROM teamscale_internal.%I', t))
        FROM unnest(ARRAY['sharded_table', 'placement', 'bucket', 'colocation_group', 'local_node', 'node', 'cluster',
                          'node_secret']) AS t;
    END IF;
    PERFORM teamscale_internal.execute_on_nodes(
        array_remove(teamscale_internal.active_nodes(), target.node_id),
        format('DELETE FROM teamscale_internal.node WHERE node_id = %s', target.node_id));
END
$$;
COMMENT ON FUNCTION teamscale.remove_node(text) IS
    'Takes a node that holds no bucket out of the cluster; 2BP01 with the list of its buckets otherwise.';
REVOKE ALL ON FUNCTION teamscale.remove_node(text) FROM PUBLIC;

CREATE FUNCTION teamscale.disable_node(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target teamscale_internal.node := teamscale_internal.require_node(disable_node.name);
BEGIN
    PERFORM teamscale_internal.require_superuser('disable a node');
    IF target.node_id = (SELECT l.node_id FROM teamscale_internal.local_node AS l) THEN
        RAISE EXCEPTION 'node "%" cannot disable itself', target.name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Call teamscale.disable_node() on another node.';
    END IF;
    IF target.state = 'disabled' THEN RETURN; END IF;
    -- First here, so that the change leaves the node out: it need not be reachable.
    UPDATE teamscale_internal.node SET state = 'disabled' WHERE node_id = target.node_id;
    PERFORM teamscale_internal.begin_catalog_change();
    PERFORM teamscale_internal.execute_on_nodes(teamscale_internal.active_nodes(),
        format('UPDATE teamscale_internal.node SET state = ''disabled'' WHERE node_id = %s', target.node_id));
END
$$;
COMMENT ON FUNCTION teamscale.disable_node(text) IS
    'Leaves a node out of the cluster until enable_node(): its buckets cannot be reached, and catalog changes go on without it.';
REVOKE ALL ON FUNCTION teamscale.disable_node(text) FROM PUBLIC;

CREATE FUNCTION teamscale.enable_node(name text, conninfo text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cluster teamscale_internal.cluster := teamscale_internal.require_cluster();
    target teamscale_internal.node := teamscale_internal.require_node(enable_node.name);
    new_conninfo text := coalesce(enable_node.conninfo, target.conninfo);
    candidate jsonb;
BEGIN
    PERFORM teamscale_internal.require_superuser('enable a node');
    IF target.node_id = (SELECT l.node_id FROM teamscale_internal.local_node AS l) THEN
        RAISE EXCEPTION 'node "%" cannot enable itself', target.name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Call teamscale.enable_node() on another, active node.';
    END IF;
    PERFORM teamscale_internal.check_conninfo(new_conninfo);
    -- While it catches up the node takes no part in the change; it may even be another database now.
    UPDATE teamscale_internal.node SET state = 'disabled' WHERE node_id = target.node_id;
    PERFORM teamscale_internal.begin_catalog_change();
    candidate := teamscale_internal.check_candidate(target.name, new_conninfo);
    IF (candidate ->> 'cluster')::uuid IS DISTINCT FROM cluster.cluster_id
       OR (candidate ->> 'node')::integer IS DISTINCT FROM target.node_id THEN
        RAISE EXCEPTION 'the database of node "%" is not that node, nor a copy of it', target.name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('The connection string is %L.', new_conninfo),
                  HINT = 'A database that never was this node is added with teamscale.add_node().';
    END IF;
    PERFORM teamscale_internal.send_secret(new_conninfo, cluster.settling_role);
    PERFORM teamscale_internal.execute_on_nodes(teamscale_internal.active_nodes(),
        format('UPDATE teamscale_internal.node SET state = ''active'', conninfo = %L WHERE node_id = %s',
               new_conninfo, target.node_id));
    PERFORM teamscale_internal.copy_catalog_to(target.node_id);
END
$$;
COMMENT ON FUNCTION teamscale.enable_node(text, text) IS
    'Brings back a node that was disabled or fell behind, or makes a restored copy of it the node, under a new conninfo '
    'if one is given: checks it as add_node() does and gives it the catalog of now.';
REVOKE ALL ON FUNCTION teamscale.enable_node(text, text) FROM PUBLIC;

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
