-- What a node that is added, or comes back, needs of the tables that are sharded already.

-- The statements that make a sharded table on a node that does not have it: empty, without leaves.
CREATE FUNCTION teamscale_internal.sharded_table_statements("table" regclass) RETURNS text[]
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := "table"::text;
    statements text[];
    view regclass;
BEGIN
    statements := ARRAY(SELECT * FROM teamscale_internal.prerequisite_statements("table"))
        || teamscale_internal.create_table_statement("table", pg_get_partkeydef("table"))
        || teamscale_internal.definition_statements("table")
        || ARRAY(SELECT format('ALTER SEQUENCE %s OWNED BY %s.%I', sequence, name, "column")
                 FROM teamscale_internal.owned_sequences("table") WHERE NOT identity);
    FOREACH view IN ARRAY teamscale_internal.dependent_views("table") LOOP
        statements := statements || ARRAY(SELECT * FROM teamscale_internal.view_statements(view));
    END LOOP;
    RETURN statements;
END
$$;
COMMENT ON FUNCTION teamscale_internal.sharded_table_statements(regclass) IS
    'What makes a sharded table''s parent, with all that it uses and has, in another database.';

-- Runs statements unless the table exists.
CREATE FUNCTION teamscale_internal.create_missing_table(name text, statements text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
DECLARE
    statement text;
BEGIN
    IF to_regclass(name) IS NOT NULL THEN RETURN; END IF;
    FOREACH statement IN ARRAY statements LOOP
        PERFORM teamscale_internal.define_here(statement);
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.create_missing_table(text, text[]) IS 'Runs the statements unless a table of that name exists.';
REVOKE ALL ON FUNCTION teamscale_internal.create_missing_table(text, text[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.copy_sharded_tables_to(node integer) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    relation regclass;
BEGIN
    -- In the order of their making: a foreign key's target comes first.
    FOR relation IN SELECT t.relation FROM teamscale_internal.sharded_table AS t ORDER BY t.table_id LOOP
        PERFORM teamscale_internal.execute_on_nodes(ARRAY[node],
            format('SELECT teamscale_internal.create_missing_table(%L, %L)', relation,
                   teamscale_internal.sharded_table_statements(relation)));
    END LOOP;
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
