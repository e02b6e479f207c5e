-- The mirror of distribute_table: the rows of all nodes come back to this one.

CREATE FUNCTION teamscale_internal.collect_rows(source regclass, source_name text, target regclass) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_collect_rows';
COMMENT ON FUNCTION teamscale_internal.collect_rows(regclass, text, regclass) IS
    'Stores the rows of a sharded table, called source_name on the other nodes, in a plain table here that has the same columns '
    'and no index or trigger yet.';
REVOKE ALL ON FUNCTION teamscale_internal.collect_rows(regclass, text, regclass) FROM PUBLIC;

-- Takes a table out of the catalog of all nodes, and its group when it was the last.
CREATE FUNCTION teamscale_internal.unregister_table(id integer) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    group_of_table integer;
    statements text[];
BEGIN
    SELECT t.group_id INTO group_of_table FROM teamscale_internal.sharded_table AS t WHERE t.table_id = id;
    statements := ARRAY[format('DELETE FROM teamscale_internal.sharded_table WHERE table_id = %s', id)];
    IF NOT EXISTS (SELECT FROM teamscale_internal.sharded_table AS t WHERE t.group_id = group_of_table AND t.table_id <> id) THEN
        statements := statements || ARRAY[
            format('DELETE FROM teamscale_internal.placement AS p USING teamscale_internal.bucket AS b '
                   'WHERE p.bucket_id = b.bucket_id AND b.group_id = %s', group_of_table),
            format('DELETE FROM teamscale_internal.bucket WHERE group_id = %s', group_of_table),
            format('DELETE FROM teamscale_internal.colocation_group WHERE group_id = %s', group_of_table)];
    END IF;
    PERFORM teamscale_internal.act_on_nodes(teamscale_internal.active_nodes(), statements);
END
$$;
COMMENT ON FUNCTION teamscale_internal.unregister_table(integer) IS
    'Takes a sharded table out of the catalog of all nodes, with its colocation group when no other table is in it.';
REVOKE ALL ON FUNCTION teamscale_internal.unregister_table(integer) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.require_undistributable("table" regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    obstacles text;
BEGIN
    PERFORM teamscale_internal.require_owner("table");
    IF NOT EXISTS (SELECT FROM teamscale_internal.sharded_table AS t WHERE t.relation = "table") THEN
        RAISE EXCEPTION 'table "%" is not sharded', "table"
            USING ERRCODE = 'wrong_object_type', HINT = 'The view teamscale.sharded_table lists the sharded tables.';
    END IF;
    SELECT string_agg(o, E'\n') INTO obstacles FROM (
        SELECT * FROM teamscale_internal.dependency_obstacles("table")
        UNION ALL SELECT * FROM teamscale_internal.role_obstacles("table", teamscale_internal.acting_role())
        UNION ALL
        SELECT format('foreign key "%s" references sharded table "%s"', k.conname, k.confrelid::regclass)
        FROM pg_constraint AS k JOIN teamscale_internal.sharded_table AS t ON t.relation = k.confrelid
        WHERE k.conrelid = "table" AND k.contype = 'f' AND k.conparentid = 0 AND k.confrelid <> "table"
        UNION ALL
        SELECT format('node "%s" is disabled and holds buckets of the table', n.name)
        FROM teamscale_internal.sharded_table AS t JOIN teamscale_internal.bucket AS b USING (group_id)
             JOIN teamscale_internal.placement AS p USING (bucket_id) JOIN teamscale_internal.node AS n USING (node_id)
        WHERE t.relation = "table" AND n.state <> 'active' GROUP BY n.name) AS o (o);
    IF obstacles IS NOT NULL THEN
        RAISE EXCEPTION 'table "%" cannot become a plain table', "table"
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = obstacles,
                  HINT = 'Change or drop what is listed; nothing has been changed yet.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_undistributable(regclass) IS
    'Raises 55000 with the list of all obstacles unless a sharded table can become a plain one.';

CREATE FUNCTION teamscale_internal.undistribute_table("table" regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := "table"::text;
    old oid := "table";
    nodes integer[];
    others integer[];
    local integer := (SELECT l.node_id FROM teamscale_internal.local_node AS l);
    entry teamscale_internal.sharded_table;
    create_plain text[];
    definition text[];
    privileges text[];
    free_sequences text[];
BEGIN
    PERFORM teamscale_internal.require_cluster();
    PERFORM teamscale_internal.require_undistributable("table");
    PERFORM teamscale_internal.begin_catalog_change();
    nodes := teamscale_internal.active_nodes();
    others := array_remove(nodes, local);
    PERFORM teamscale_internal.report_progress('preparing nodes');
    PERFORM teamscale_internal.lock_table("table", name, nodes);
    PERFORM teamscale_internal.require_undistributable("table");
    SELECT t.* INTO entry FROM teamscale_internal.sharded_table AS t WHERE t.relation = "table";

    create_plain := teamscale_internal.create_table_statement("table", NULL)
        || ARRAY(SELECT * FROM teamscale_internal.column_storage_statements("table"))
        || ARRAY(SELECT format('ALTER TABLE %s %s', name, action) FROM unnest(entry.leaf_actions) AS action);
    definition := teamscale_internal.definition_statements("table")
        || teamscale_internal.plain_sequence_statements("table")
        || teamscale_internal.dependent_view_statements("table");
    privileges := teamscale_internal.all_privilege_calls("table");
    free_sequences := ARRAY(SELECT format('SELECT teamscale_internal.drop_unused_sequence(%L)', sequence)
                            FROM teamscale_internal.used_sequences("table"));

    PERFORM teamscale_internal.report_progress('moving rows', (
        SELECT sum(v::bigint)
        FROM unnest(teamscale_internal.ask_nodes(nodes, format('SELECT teamscale_internal.estimated_rows(%L)', name))) AS v)::bigint);
    PERFORM teamscale_internal.drop_views("table");
    PERFORM teamscale_internal.set_aside(old);
    PERFORM teamscale_internal.define_here(statement) FROM unnest(create_plain) AS statement;
    -- That is no event.
    PERFORM teamscale_internal.hide_changes(true);
    PERFORM teamscale_internal.collect_rows(old, name, name::regclass);
    PERFORM teamscale_internal.hide_changes(false);

    PERFORM teamscale_internal.report_progress('adding indexes and constraints');
    PERFORM teamscale_internal.unregister_table(entry.table_id);
    PERFORM teamscale_internal.define_here(format('DROP TABLE %s', old::regclass));
    PERFORM teamscale_internal.define_on_nodes(others, ARRAY['SET LOCAL client_min_messages = warning', format('DROP TABLE %s CASCADE', name)]);
    PERFORM teamscale_internal.act_on_nodes(others, free_sequences);
    PERFORM teamscale_internal.define_here(statement) FROM unnest(definition) AS statement;
    PERFORM teamscale_internal.act_on_nodes(ARRAY[local], privileges);
END
$$;
COMMENT ON FUNCTION teamscale_internal.undistribute_table(regclass) IS 'What undistribute_table() does, on behalf of its caller.';
REVOKE ALL ON FUNCTION teamscale_internal.undistribute_table(regclass) FROM PUBLIC;

CREATE FUNCTION teamscale.undistribute_table("table" regclass) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_undistribute_table';
COMMENT ON FUNCTION teamscale.undistribute_table(regclass) IS
    'Makes a sharded table a plain table of this node again, with the rows of all nodes and everything it has, in one transaction. '
    '55000 with the list of obstacles when something stands against it.';
REVOKE ALL ON FUNCTION teamscale.undistribute_table(regclass) FROM PUBLIC;
