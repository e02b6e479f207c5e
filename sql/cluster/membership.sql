-- Making a cluster, adding nodes to it and taking them away. Only superusers change nodes. What is read before
-- begin_catalog_change() may have changed when it returns.

CREATE FUNCTION teamscale.create_cluster(name text, conninfo text, region text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own jsonb;
    reached jsonb;
BEGIN
    PERFORM teamscale_internal.require_superuser('create a cluster');
    own := teamscale_internal.node_identity();
    LOCK TABLE teamscale_internal.cluster IN SHARE ROW EXCLUSIVE MODE;  -- two at once: the second sees the first
    IF EXISTS (SELECT FROM teamscale_internal.cluster) THEN
        RAISE EXCEPTION 'database "%" is already a node of a cluster', current_database()
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('It is node "%s".',
                                  (SELECT n.name FROM teamscale_internal.node AS n WHERE n.node_id = teamscale_internal.local_node_id())),
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
    INSERT INTO teamscale_internal.cluster (cluster_id, epoch, settling_role, last_node_id)
        VALUES (gen_random_uuid(), 1, current_user, 1);
    INSERT INTO teamscale_internal.node (node_id, name, conninfo, region)
        VALUES (1, create_cluster.name, create_cluster.conninfo, create_cluster.region);
    INSERT INTO teamscale_internal.local_node (node_id) VALUES (1);
END
$$;
COMMENT ON FUNCTION teamscale.create_cluster(text, text, text) IS
    'Makes this database the first node of a new cluster. name: the node''s; conninfo: how every node '
    'reaches this database (no user, password or options); the current role, a superuser, settles in-doubt transactions.';
REVOKE ALL ON FUNCTION teamscale.create_cluster(text, text, text) FROM PUBLIC;

CREATE FUNCTION teamscale.add_node(name text, conninfo text, region text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cluster teamscale_internal.cluster;
    candidate jsonb;
    added teamscale_internal.node;
BEGIN
    PERFORM teamscale_internal.require_superuser('add a node');
    PERFORM teamscale_internal.require_cluster();
    PERFORM teamscale_internal.check_new_node(add_node.name, add_node.conninfo);
    PERFORM teamscale_internal.begin_catalog_change();
    PERFORM teamscale_internal.check_new_node(add_node.name, add_node.conninfo);
    cluster := teamscale_internal.require_cluster();
    candidate := teamscale_internal.check_candidate(add_node.name, add_node.conninfo);
    PERFORM teamscale_internal.check_connections(add_node.name, add_node.conninfo, candidate);
    -- A node that was removed while it was away still takes itself for one.
    IF candidate ->> 'cluster' IS NOT NULL
       AND ((candidate ->> 'cluster')::uuid <> cluster.cluster_id
            OR EXISTS (SELECT FROM teamscale_internal.node AS n WHERE n.node_id = (candidate ->> 'node')::integer)) THEN
        RAISE EXCEPTION 'the database of node "%" is already a node of %', add_node.name,
                        CASE WHEN (candidate ->> 'cluster')::uuid = cluster.cluster_id
                             THEN 'this cluster' ELSE 'another cluster' END
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('The connection string is %L.', add_node.conninfo),
                  HINT = 'A node that was away, or a restored copy of one, comes back with teamscale.enable_node().';
    END IF;
    added := (cluster.last_node_id + 1, add_node.name, add_node.conninfo, add_node.region, 'active');
    PERFORM teamscale_internal.send_secret(added.conninfo, cluster.settling_role);
    PERFORM teamscale_internal.execute_on_nodes(teamscale_internal.active_nodes(), statement)
    FROM unnest(ARRAY[
        format('UPDATE teamscale_internal.cluster SET last_node_id = %s', added.node_id),
        format('INSERT INTO teamscale_internal.node (node_id, name, conninfo, region) VALUES (%s, %L, %L, %L)',
               added.node_id, added.name, added.conninfo, added.region)]) AS statement;
    PERFORM teamscale_internal.copy_catalog_to(added, false);
    PERFORM teamscale_internal.note_outside_database(added.node_id, added.conninfo);
END
$$;
COMMENT ON FUNCTION teamscale.add_node(text, text, text) IS
    'Makes another database a node: creates the extension there if it is missing, checks versions, encoding, collation, '
    'settings and that all nodes reach each other, and gives it the catalog and the empty parents of all sharded tables.';
REVOKE ALL ON FUNCTION teamscale.add_node(text, text, text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.require_no_buckets(node teamscale_internal.node) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held text;
BEGIN
    SELECT string_agg(format('%s: %s', tables, buckets), E'\n' ORDER BY group_id) INTO held
    FROM (SELECT b.group_id, string_agg(b.bucket_id::text, ', ' ORDER BY b.bucket_id) AS buckets,
                 (SELECT coalesce(string_agg(t.relation::text, ', ' ORDER BY t.table_id), 'no table')
                  FROM teamscale_internal.sharded_table AS t WHERE t.group_id = b.group_id) AS tables
          FROM teamscale_internal.placement AS p JOIN teamscale_internal.bucket AS b USING (bucket_id)
          WHERE p.node_id = node.node_id GROUP BY b.group_id) AS g;
    IF held IS NOT NULL THEN
        RAISE EXCEPTION 'node "%" holds buckets', node.name
            USING ERRCODE = 'dependent_objects_still_exist', DETAIL = format(E'Buckets of\n%s', held),
                  HINT = 'A node can be removed once none of its buckets is in use.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_no_buckets(teamscale_internal.node) IS
    'Raises 2BP01 with the list when a node holds buckets.';

-- Nobody would settle what a node that goes has left in doubt. The lock makes commits over several nodes wait that are just
-- being decided here.
CREATE FUNCTION teamscale_internal.require_nothing_in_doubt(node_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    left_over text;
BEGIN
    LOCK TABLE teamscale_internal.commit_record IN EXCLUSIVE MODE;
    SELECT string_agg(gid, E'\n' ORDER BY gid) INTO left_over
    FROM (SELECT r.gid FROM teamscale_internal.commit_record AS r
          UNION ALL
          SELECT p.gid FROM pg_prepared_xacts AS p, teamscale_internal.cluster AS c
          WHERE p.database = current_database() AND starts_with(p.gid, format('teamscale:%s:', c.cluster_id))) AS g;
    IF left_over IS NOT NULL THEN
        RAISE EXCEPTION 'node "%" has transactions in doubt', node_name
            USING ERRCODE = 'object_in_use', DETAIL = left_over,
                  HINT = 'They end when all nodes are reached; the view teamscale.in_doubt_transaction shows them. Try again then.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_nothing_in_doubt(text) IS
    'Raises 55006 with the list of transactions over several nodes that this node has decided or prepared and not ended.';
REVOKE ALL ON FUNCTION teamscale_internal.require_nothing_in_doubt(text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.require_nothing_prepared_by(router integer, node_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    left_over text;
BEGIN
    SELECT string_agg(p.gid, E'\n' ORDER BY p.gid) INTO left_over
    FROM pg_prepared_xacts AS p, teamscale_internal.cluster AS c
    WHERE p.database = current_database() AND starts_with(p.gid, format('teamscale:%s:%s:', c.cluster_id, router));
    IF left_over IS NOT NULL THEN
        RAISE EXCEPTION 'transactions of node "%" are in doubt on another node', node_name
            USING ERRCODE = 'object_in_use', DETAIL = left_over,
                  HINT = 'They end when the node is back. If it never will be, decide each by COMMIT PREPARED or ROLLBACK PREPARED.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_nothing_prepared_by(integer, text) IS
    'Raises 55006 with the list of transactions that are prepared here and wait for the decision of a node.';
REVOKE ALL ON FUNCTION teamscale_internal.require_nothing_prepared_by(integer, text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.forget_cluster(node_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM teamscale_internal.drop_outdated_tables(node_name, '[]');
    DELETE FROM teamscale_internal.placement;
    DELETE FROM teamscale_internal.bucket;
    DELETE FROM teamscale_internal.colocation_group;
    DELETE FROM teamscale_internal.local_node;
    DELETE FROM teamscale_internal.node;
    DELETE FROM teamscale_internal.cluster;
    DELETE FROM teamscale_internal.commit_record;
    DELETE FROM teamscale_internal.outside_database;
    DELETE FROM teamscale_internal.node_secret;
END
$$;
COMMENT ON FUNCTION teamscale_internal.forget_cluster(text) IS
    'Makes this database no node any more: without a catalog, and without the empty parents of sharded tables.';
REVOKE ALL ON FUNCTION teamscale_internal.forget_cluster(text) FROM PUBLIC;

CREATE FUNCTION teamscale.remove_node(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target teamscale_internal.node;
    others integer[];
BEGIN
    PERFORM teamscale_internal.require_superuser('remove a node');
    PERFORM teamscale_internal.require_cluster();
    PERFORM teamscale_internal.require_node(remove_node.name);
    PERFORM teamscale_internal.begin_catalog_change();
    target := teamscale_internal.require_node(remove_node.name);
    PERFORM teamscale_internal.require_no_buckets(target);
    IF target.node_id = teamscale_internal.local_node_id() THEN
        IF (SELECT count(*) FROM teamscale_internal.node) > 1 THEN
            RAISE EXCEPTION 'node "%" cannot remove itself', target.name
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      DETAIL = 'The cluster has other nodes.',
                      HINT = 'Call teamscale.remove_node() on another node.';
        END IF;
        PERFORM teamscale_internal.forget_cluster(target.name);
        RETURN;
    END IF;
    others := array_remove(teamscale_internal.active_nodes(), target.node_id);
    IF target.state = 'active' THEN
        PERFORM teamscale_internal.query_conninfo(target.conninfo, c.settling_role,
                                                  'SELECT pg_catalog.count(*) FROM teamscale.settle_transactions()')
        FROM teamscale_internal.cluster AS c;
        PERFORM teamscale_internal.execute_on_nodes(ARRAY[target.node_id], statement)
        FROM unnest(ARRAY[format('SELECT teamscale_internal.require_nothing_in_doubt(%L)', target.name),
                          format('SELECT teamscale_internal.forget_cluster(%L)', target.name)]) AS statement;
        -- What any of them has prepared there, this transaction for one, is still to be settled.
        PERFORM teamscale_internal.execute_on_nodes(others,
            format('INSERT INTO teamscale_internal.outside_database (node_id, conninfo) VALUES (%s, %L) ON CONFLICT DO NOTHING',
                   target.node_id, target.conninfo));
    ELSE
        PERFORM teamscale_internal.execute_on_nodes(others,
            format('DELETE FROM teamscale_internal.commit_record WHERE node_id = %s', target.node_id));
    END IF;
    PERFORM teamscale_internal.execute_on_nodes(others, statement)
    FROM unnest(ARRAY[format('SELECT teamscale_internal.require_nothing_prepared_by(%s, %L)', target.node_id, target.name),
                      format('DELETE FROM teamscale_internal.node WHERE node_id = %s', target.node_id)]) AS statement;
END
$$;
COMMENT ON FUNCTION teamscale.remove_node(text) IS
    'Takes a node that holds no bucket out of the cluster; 2BP01 with the list of its buckets otherwise.';
REVOKE ALL ON FUNCTION teamscale.remove_node(text) FROM PUBLIC;

CREATE FUNCTION teamscale.disable_node(VARIADIC names text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    targets integer[];
BEGIN
    PERFORM teamscale_internal.require_superuser('disable a node');
    PERFORM teamscale_internal.require_cluster();
    IF names IS NULL OR names = '{}' THEN
        RAISE EXCEPTION 'no node is named'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'The view teamscale.node lists the nodes.';
    END IF;
    targets := ARRAY(SELECT (teamscale_internal.require_node(n)).node_id FROM unnest(names) AS n);
    IF teamscale_internal.local_node_id() = ANY (targets) THEN
        RAISE EXCEPTION 'a node cannot disable itself'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('This is node "%s".',
                                  (SELECT n.name FROM teamscale_internal.node AS n WHERE n.node_id = teamscale_internal.local_node_id())),
                  HINT = 'Call teamscale.disable_node() on another node.';
    END IF;
    -- They need not be reachable.
    PERFORM teamscale_internal.begin_catalog_change(targets);
    targets := ARRAY(SELECT (teamscale_internal.require_node(n)).node_id FROM unnest(names) AS n);
    PERFORM teamscale_internal.execute_on_nodes(
        ARRAY(SELECT n FROM unnest(teamscale_internal.active_nodes()) AS n WHERE n <> ALL (targets)),
        format('UPDATE teamscale_internal.node SET state = ''disabled'' WHERE node_id = ANY (%L)', targets));
END
$$;
COMMENT ON FUNCTION teamscale.disable_node(text[]) IS
    'Leaves nodes out of the cluster until enable_node(): their buckets cannot be reached, and catalog changes go on without '
    'them. Nodes that are away together are named together.';
REVOKE ALL ON FUNCTION teamscale.disable_node(text[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.registered_identity(node teamscale_internal.node, role name) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN teamscale_internal.identity_of(node.conninfo, role);
EXCEPTION WHEN connection_exception OR sqlclient_unable_to_establish_sqlconnection THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION teamscale_internal.registered_identity(teamscale_internal.node, name) IS
    'node_identity() of the database under a node''s connection string; null when it is not reached or does not have the extension.';
REVOKE ALL ON FUNCTION teamscale_internal.registered_identity(teamscale_internal.node, name) FROM PUBLIC;

-- Whether a database that wants to be a node again may be.
CREATE FUNCTION teamscale_internal.check_returning(node teamscale_internal.node, new_conninfo text, candidate jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cluster teamscale_internal.cluster := teamscale_internal.require_cluster();
    present jsonb;
BEGIN
    IF (candidate ->> 'cluster')::uuid IS DISTINCT FROM cluster.cluster_id
       OR (candidate ->> 'node')::integer IS DISTINCT FROM node.node_id THEN
        RAISE EXCEPTION 'the database of node "%" is not that node, nor a copy of it', node.name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('The connection string is %L.', new_conninfo),
                  HINT = 'A database that never was this node is added with teamscale.add_node().';
    END IF;
    -- This change has raised the epoch by one.
    IF (candidate ->> 'epoch')::bigint >= cluster.epoch THEN
        RAISE EXCEPTION 'node "%" has seen changes of the cluster that this node has not', node.name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('Its epoch is %s; here it was %s.', candidate ->> 'epoch', cluster.epoch - 1),
                  HINT = 'Two parts of the cluster have left each other out. Decide for the part whose changes are to stay, '
                         'and call teamscale.enable_node() there.';
    END IF;
    IF node.state = 'active' AND new_conninfo <> node.conninfo THEN
        present := teamscale_internal.registered_identity(node, cluster.settling_role);
        IF present -> 'database' <> candidate -> 'database' AND (present ->> 'cluster')::uuid = cluster.cluster_id
           AND (present ->> 'node')::integer = node.node_id THEN
            RAISE EXCEPTION 'node "%" is another database, which runs', node.name
                USING ERRCODE = 'object_in_use',
                      DETAIL = format('It answers under the connection string %L.', node.conninfo),
                      HINT = 'Before a copy takes its place, stop that database, or leave it out with teamscale.disable_node().';
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.check_returning(teamscale_internal.node, text, jsonb) IS
    'Raises 55000 unless a database of this identity is the node, or a copy of it, and knows no more than this one; 55006 while '
    'the node itself is running.';
REVOKE ALL ON FUNCTION teamscale_internal.check_returning(teamscale_internal.node, text, jsonb) FROM PUBLIC;

CREATE FUNCTION teamscale.enable_node(name text, conninfo text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target teamscale_internal.node;
    registered text;
    candidate jsonb;
BEGIN
    PERFORM teamscale_internal.require_superuser('enable a node');
    PERFORM teamscale_internal.require_cluster();
    target := teamscale_internal.require_node(enable_node.name);
    IF target.node_id = teamscale_internal.local_node_id() THEN
        RAISE EXCEPTION 'node "%" cannot enable itself', target.name
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'A node that is behind does not know what it has missed.',
                  HINT = 'Call teamscale.enable_node() on another, active node.';
    END IF;
    PERFORM teamscale_internal.check_conninfo(coalesce(enable_node.conninfo, target.conninfo));
    -- While it catches up the node takes no part in the change; it may even be another database now.
    PERFORM teamscale_internal.begin_catalog_change(ARRAY[target.node_id]);
    target := teamscale_internal.require_node(enable_node.name);
    registered := target.conninfo;
    candidate := teamscale_internal.check_candidate(target.name, coalesce(enable_node.conninfo, registered));
    PERFORM teamscale_internal.check_returning(target, coalesce(enable_node.conninfo, registered), candidate);
    target.state := 'active';
    target.conninfo := coalesce(enable_node.conninfo, registered);
    PERFORM teamscale_internal.check_connections(target.name, target.conninfo, candidate);
    PERFORM teamscale_internal.send_secret(target.conninfo, c.settling_role) FROM teamscale_internal.cluster AS c;
    PERFORM teamscale_internal.execute_on_nodes(array_remove(teamscale_internal.active_nodes(), target.node_id),
        format('UPDATE teamscale_internal.node SET state = ''active'', conninfo = %L WHERE node_id = %s',
               target.conninfo, target.node_id));
    PERFORM teamscale_internal.copy_catalog_to(target, true);
    IF target.conninfo <> registered THEN
        PERFORM teamscale_internal.note_outside_database(target.node_id, target.conninfo);
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale.enable_node(text, text) IS
    'Brings back a node that was disabled or fell behind, or makes a restored copy of it the node, under a new conninfo '
    'if one is given: checks it as add_node() does and gives it the catalog of now.';
REVOKE ALL ON FUNCTION teamscale.enable_node(text, text) FROM PUBLIC;
