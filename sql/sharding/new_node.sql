-- What a node that is added, or comes back, needs of the tables that are sharded already.

-- In the order of their making: a foreign key's target comes first.
CREATE FUNCTION teamscale_internal.sharded_table_copies() RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'id', t.table_id, 'since', t.since, 'name', t.relation,
               'prerequisites', ARRAY(SELECT * FROM teamscale_internal.prerequisite_calls(t.relation)),
               'statements', teamscale_internal.create_table_statement(t.relation, pg_get_partkeydef(t.relation))
                   || ARRAY(SELECT * FROM teamscale_internal.column_storage_statements(t.relation))
                   || teamscale_internal.definition_statements(t.relation)
                   || teamscale_internal.dependent_view_statements(t.relation)
                   || teamscale_internal.all_privilege_calls(t.relation)
                   || teamscale_internal.added_range_calls(t.relation)) ORDER BY t.table_id), '[]')
    FROM teamscale_internal.sharded_table AS t
$$;
COMMENT ON FUNCTION teamscale_internal.sharded_table_copies() IS
    'The sharded tables, with what makes each, empty and without leaves, in another database.';

-- --- On the node that gets them -----------------------------------------------------------------------------------------

CREATE FUNCTION teamscale_internal.refuse_copies(node_name text, problems text[]) RETURNS void
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF problems <> '{}' THEN
        RAISE EXCEPTION 'node "%" cannot have the sharded tables of the cluster', node_name
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = array_to_string(problems, E'\n'),
                  HINT = 'Make, change or drop there what is listed, and try again.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.refuse_copies(text, text[]) IS 'Raises 55000 with the list of problems, if there are any.';

-- What has rows was not dropped elsewhere: a table cannot be while one of its owners is left out.
CREATE FUNCTION teamscale_internal.drop_outdated_tables(node_name text, present jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
DECLARE
    scope text := current_setting('teamscale.scope');
    outdated regclass[];
    relation regclass;
    has_rows boolean;
    problems text[] := '{}';
BEGIN
    outdated := ARRAY(
        SELECT t.relation FROM teamscale_internal.sharded_table AS t JOIN pg_class AS c ON c.oid = t.relation
        WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(present) AS p
                          WHERE (p ->> 'id')::integer = t.table_id AND (p ->> 'since')::bigint = t.since)
        ORDER BY t.table_id DESC);
    PERFORM set_config('teamscale.scope', 'local', true);
    FOREACH relation IN ARRAY outdated LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', relation) INTO has_rows;
        IF has_rows THEN
            problems := problems || format('table "%s" has rows, and is not a sharded table of the cluster any more', relation);
        END IF;
    END LOOP;
    PERFORM set_config('teamscale.scope', scope, true);
    PERFORM teamscale_internal.refuse_copies(node_name, problems);
    DELETE FROM teamscale_internal.sharded_table AS t
    WHERE t.relation = ANY (outdated) OR NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = t.relation);
    FOREACH relation IN ARRAY outdated LOOP
        PERFORM teamscale_internal.define_here(format('DROP TABLE %s CASCADE', relation));
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.drop_outdated_tables(text, jsonb) IS
    'Drops the parents of this node''s sharded tables but for those given; raises 55000 with the list of those that have rows.';
REVOKE ALL ON FUNCTION teamscale_internal.drop_outdated_tables(text, jsonb) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.define_or_tell(statement text) RETURNS text
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
DECLARE
    message text;
    detail text;
BEGIN
    PERFORM teamscale_internal.define_here(statement);
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(': ', message, nullif(detail, ''));
END
$$;
COMMENT ON FUNCTION teamscale_internal.define_or_tell(text) IS
    'Runs our own statement, which may change sharded tables, on this node; gives its error, or null.';
REVOKE ALL ON FUNCTION teamscale_internal.define_or_tell(text) FROM PUBLIC;

-- Leaves the catalog without sharded tables: to these statements they are plain ones.
CREATE FUNCTION teamscale_internal.make_tables(node_name text, tables jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept text[] := ARRAY(SELECT t.relation::text FROM teamscale_internal.sharded_table AS t);
    entry jsonb;
    statement text;
    problem text;
    missing text[];
    problems text[] := '{}';
BEGIN
    DELETE FROM teamscale_internal.sharded_table;
    FOR entry IN SELECT * FROM jsonb_array_elements(tables) LOOP
        CONTINUE WHEN entry ->> 'name' = ANY (kept);
        IF to_regclass(entry ->> 'name') IS NOT NULL THEN
            problems := problems || format('relation "%s" exists', entry ->> 'name');
            CONTINUE;
        END IF;
        missing := '{}';
        FOR statement IN SELECT * FROM jsonb_array_elements_text(entry -> 'prerequisites') LOOP
            missing := missing || teamscale_internal.define_or_tell(statement);
        END LOOP;
        missing := array_remove(missing, NULL);
        problems := problems || missing;
        CONTINUE WHEN missing <> '{}';
        FOR statement IN SELECT * FROM jsonb_array_elements_text(entry -> 'statements') LOOP
            problem := teamscale_internal.define_or_tell(statement);
            IF problem IS NOT NULL THEN
                problems := problems || format('%s: %s', entry ->> 'name', problem);
                EXIT;
            END IF;
        END LOOP;
    END LOOP;
    PERFORM teamscale_internal.refuse_copies(node_name, problems);
END
$$;
COMMENT ON FUNCTION teamscale_internal.make_tables(text, jsonb) IS
    'Makes the empty parents of those of the tables that this node lacks, with what they use; raises 55000 with the list of '
    'what cannot be made.';
REVOKE ALL ON FUNCTION teamscale_internal.make_tables(text, jsonb) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.make_leaves() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM teamscale_internal.create_leaves(t.relation), teamscale_internal.conform_leaves(t.relation)
    FROM teamscale_internal.sharded_table AS t;
END
$$;
COMMENT ON FUNCTION teamscale_internal.make_leaves() IS 'Makes the leaves of this node''s buckets that it lacks.';
REVOKE ALL ON FUNCTION teamscale_internal.make_leaves() FROM PUBLIC;
