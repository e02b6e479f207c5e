-- The mirror of distribute_table: the rows of all nodes come back to this one.

CREATE FUNCTION teamscale_internal.gather_rows(source text, target regclass) RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_gather_rows';
COMMENT ON FUNCTION teamscale_internal.gather_rows(text, regclass) IS
    'Stores the other nodes'' rows of a sharded table, named by its qualified name, in a table of this node that has the same '
    'columns and no index or trigger yet; gives their number.';
REVOKE ALL ON FUNCTION teamscale_internal.gather_rows(text, regclass) FROM PUBLIC;

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
    PERFORM teamscale_internal.define_on_nodes(teamscale_internal.active_nodes(), statements);
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
    IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = "table"), 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of table %', "table" USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NOT EXISTS (SELECT FROM teamscale_internal.sharded_table AS t WHERE t.relation = "table") THEN
        RAISE EXCEPTION 'table "%" is not sharded', "table" USING ERRCODE = 'wrong_object_type';
    END IF;
    SELECT string_agg(o, E'\n') INTO obstacles FROM (
        SELECT * FROM teamscale_internal.dependency_obstacles("table")
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

CREATE FUNCTION teamscale.undistribute_table("table" regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := "table"::text;
    old oid := "table";
    local integer;
    all_nodes integer[];
    entry teamscale_internal.sharded_table;
    create_plain text;
    definition text[];
    columns text;
    aside text;
    views text[] := '{}';
    view regclass;
    sequences_of_table text[];
    sequence_values text[];
BEGIN
    PERFORM teamscale_internal.require_cluster();
    PERFORM teamscale_internal.require_undistributable("table");
    PERFORM teamscale_internal.begin_catalog_change();
    all_nodes := teamscale_internal.active_nodes();
    SELECT l.node_id INTO local FROM teamscale_internal.local_node AS l;
    PERFORM teamscale_internal.define_on_nodes(all_nodes, ARRAY[format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', name)]);
    PERFORM teamscale_internal.require_undistributable("table");
    SELECT t.* INTO entry FROM teamscale_internal.sharded_table AS t WHERE t.relation = "table";

    create_plain := teamscale_internal.create_table_statement("table", NULL);
    definition := teamscale_internal.definition_statements("table")
        || ARRAY(SELECT format(t, name) FROM unnest(entry.leaf_templates) AS t);
    columns := teamscale_internal.insertable_columns("table");
    sequences_of_table := ARRAY(
        SELECT format('ALTER SEQUENCE %s OWNED BY %s.%I', sequence, name, "column")
        FROM teamscale_internal.owned_sequences("table") WHERE NOT identity);
    -- Its values stay unique: no node has given a value of this node's range but this one.
    sequence_values := ARRAY(
        SELECT s FROM teamscale_internal.owned_sequences("table") AS o
             CROSS JOIN LATERAL (VALUES
                 (CASE WHEN o.column_type = 'bigint'::regtype
                       THEN format('ALTER SEQUENCE %s NO MINVALUE NO MAXVALUE START WITH 1', o.sequence) END),
                 (CASE WHEN pg_sequence_last_value(o.sequence) IS NOT NULL
                       THEN format('SELECT pg_catalog.setval(%L, %s, true)', o.sequence, pg_sequence_last_value(o.sequence)) END)) AS v (s)
        WHERE s IS NOT NULL);
    FOREACH view IN ARRAY teamscale_internal.dependent_views("table") LOOP
        views := views || ARRAY(SELECT * FROM teamscale_internal.view_statements(view));
    END LOOP;

    FOR view IN SELECT v FROM unnest(teamscale_internal.dependent_views("table")) WITH ORDINALITY AS u (v, n) ORDER BY n DESC LOOP
        EXECUTE format('DROP VIEW %s', view);
    END LOOP;
    PERFORM teamscale_internal.set_aside(old);
    aside := old::regclass::text;
    EXECUTE create_plain;
    PERFORM teamscale_internal.gather_rows(name, name::regclass);
    PERFORM set_config('teamscale.scope', 'local', true);
    EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM %3$s', name, columns, aside);
    PERFORM set_config('teamscale.scope', 'cluster', true);

    PERFORM teamscale_internal.unregister_table(entry.table_id);
    PERFORM teamscale_internal.define_here(format('DROP TABLE %s', aside));
    PERFORM teamscale_internal.define_on_nodes(array_remove(all_nodes, local), ARRAY[
        'SET LOCAL client_min_messages = warning', format('DROP TABLE %s CASCADE', name)]);
    PERFORM teamscale_internal.define_here(statement)
    FROM unnest(definition || sequences_of_table || sequence_values || views) AS statement;
END
$$;
COMMENT ON FUNCTION teamscale.undistribute_table(regclass) IS
    'Makes a sharded table a plain table of this node again, with the rows of all nodes and everything it has, in one transaction. '
    '55000 with the list of obstacles when something stands against it.';
REVOKE ALL ON FUNCTION teamscale.undistribute_table(regclass) FROM PUBLIC;
