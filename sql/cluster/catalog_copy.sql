-- Making another database's catalog this node's.

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

-- The node is locked out of turn (see begin_catalog_change()): whoever holds its catalog may wait for a node that this
-- change has locked, and nobody sees a deadlock over several databases.
CREATE FUNCTION teamscale_internal.lock_catalog(node_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM teamscale_internal.cluster FOR UPDATE NOWAIT;
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'the catalog of node "%" is being changed', node_name
        USING ERRCODE = 'lock_not_available', DETAIL = 'A command that takes the database for a node of its cluster is not over.',
              HINT = 'Try again.';
END
$$;
COMMENT ON FUNCTION teamscale_internal.lock_catalog(text) IS
    'Locks the catalog of this database until the transaction ends; 55P03 when somebody else has it.';
REVOKE ALL ON FUNCTION teamscale_internal.lock_catalog(text) FROM PUBLIC;

-- Gives a node the whole catalog, and the empty parents of the sharded tables that it lacks. It must be active here already.
-- What it has of other tables goes. keep: it may have some of the present ones, with rows.
CREATE FUNCTION teamscale_internal.copy_catalog_to(node teamscale_internal.node, keep boolean) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer[] := ARRAY[node.node_id];
    tables jsonb := teamscale_internal.sharded_table_copies();
BEGIN
    PERFORM teamscale_internal.execute_on_nodes(target, statement)
    FROM unnest(ARRAY[
        format('SELECT teamscale_internal.lock_catalog(%L)', node.name),
        format('SELECT teamscale_internal.drop_outdated_tables(%L, %L)', node.name, CASE WHEN keep THEN tables ELSE '[]' END),
        'DELETE FROM teamscale_internal.cluster',
        'DELETE FROM teamscale_internal.node',
        'DELETE FROM teamscale_internal.local_node',
        'DELETE FROM teamscale_internal.colocation_group',
        'DELETE FROM teamscale_internal.bucket',
        'DELETE FROM teamscale_internal.placement',
        teamscale_internal.catalog_copy('cluster'),
        teamscale_internal.catalog_copy('node'),
        format('INSERT INTO teamscale_internal.local_node (node_id) VALUES (%s)', node.node_id),
        -- Their keys' types come with them, which groups name.
        format('SELECT teamscale_internal.make_tables(%L, %L)', node.name, tables),
        teamscale_internal.catalog_copy('colocation_group'),
        teamscale_internal.catalog_copy('bucket'),
        teamscale_internal.catalog_copy('placement'),
        teamscale_internal.catalog_copy('sharded_table'),
        'SELECT teamscale_internal.make_leaves()']) AS statement;
    PERFORM teamscale_internal.check_same_definitions();
END
$$;
COMMENT ON FUNCTION teamscale_internal.copy_catalog_to(teamscale_internal.node, boolean) IS
    'Replaces a node''s catalog by this node''s, and makes there the parents of sharded tables that it lacks.';
REVOKE ALL ON FUNCTION teamscale_internal.copy_catalog_to(teamscale_internal.node, boolean) FROM PUBLIC;

-- In a transaction of its own: it must be there when this one fails half way.
CREATE FUNCTION teamscale_internal.note_outside_database(node integer, conninfo text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM teamscale_internal.query_conninfo(n.conninfo, c.settling_role, format(
        'INSERT INTO teamscale_internal.outside_database (node_id, conninfo) VALUES (%s, %L) '
        'ON CONFLICT (node_id, conninfo) DO UPDATE SET since = pg_catalog.clock_timestamp()',
        node, note_outside_database.conninfo))
    FROM teamscale_internal.cluster AS c, teamscale_internal.node AS n
    WHERE n.node_id = teamscale_internal.local_node_id();
END
$$;
COMMENT ON FUNCTION teamscale_internal.note_outside_database(integer, text) IS
    'Has the settling of in-doubt transactions visit a database that the catalog does not name, or not yet.';
REVOKE ALL ON FUNCTION teamscale_internal.note_outside_database(integer, text) FROM PUBLIC;
