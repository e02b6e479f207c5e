-- What a node that is added, or comes back, needs of the tables that are sharded already.

-- Makes a sharded table's parent, without leaves, unless the table is there: what it uses, the table with all it has,
-- privileges and the ranges of its sequences.
CREATE FUNCTION teamscale_internal.create_missing_table(name text, prerequisites text[], definition text[], finish text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
DECLARE
    statement text;
BEGIN
    IF to_regclass(name) IS NOT NULL THEN RETURN; END IF;
    FOREACH statement IN ARRAY prerequisites LOOP EXECUTE statement; END LOOP;
    FOREACH statement IN ARRAY definition LOOP PERFORM teamscale_internal.define_here(statement); END LOOP;
    FOREACH statement IN ARRAY finish LOOP EXECUTE statement; END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.create_missing_table(text, text[], text[], text[]) IS
    'Makes a sharded table''s parent unless a table of that name exists.';
REVOKE ALL ON FUNCTION teamscale_internal.create_missing_table(text, text[], text[], text[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.copy_sharded_tables_to(node integer) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- In the order of their making: a foreign key's target comes first.
    PERFORM teamscale_internal.act_on_nodes(ARRAY[node], ARRAY(
        SELECT format('SELECT teamscale_internal.create_missing_table(%L, %L, %L, %L)', t.relation,
                      ARRAY(SELECT * FROM teamscale_internal.prerequisite_calls(t.relation)),
                      teamscale_internal.create_table_statement(t.relation, pg_get_partkeydef(t.relation))
                          || ARRAY(SELECT * FROM teamscale_internal.column_storage_statements(t.relation))
                          || teamscale_internal.definition_statements(t.relation)
                          || teamscale_internal.dependent_view_statements(t.relation),
                      teamscale_internal.all_privilege_calls(t.relation) || teamscale_internal.added_range_calls(t.relation))
        FROM teamscale_internal.sharded_table AS t ORDER BY t.table_id));
END
$$;
COMMENT ON FUNCTION teamscale_internal.copy_sharded_tables_to(integer) IS
    'Makes on a node the empty parents of the sharded tables that it lacks, with what they use.';
REVOKE ALL ON FUNCTION teamscale_internal.copy_sharded_tables_to(integer) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.forget_sharded_tables_on(node integer) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass;
BEGIN
    PERFORM teamscale_internal.execute_on_nodes(ARRAY[node], 'DELETE FROM teamscale_internal.sharded_table');
    FOR relation IN SELECT t.relation FROM teamscale_internal.sharded_table AS t ORDER BY t.table_id DESC LOOP
        PERFORM teamscale_internal.execute_on_nodes(ARRAY[node], format('DROP TABLE %s CASCADE', relation));
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.forget_sharded_tables_on(integer) IS
    'Drops the empty parents of all sharded tables on a node that leaves the cluster.';
REVOKE ALL ON FUNCTION teamscale_internal.forget_sharded_tables_on(integer) FROM PUBLIC;
