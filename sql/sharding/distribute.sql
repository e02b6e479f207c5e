-- Making a plain table a sharded one, in one transaction over all active nodes.

CREATE FUNCTION teamscale_internal.require_owner("table" regclass) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pg_has_role(teamscale_internal.acting_role(), (SELECT relowner FROM pg_class WHERE oid = "table"), 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of table %', "table" USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_owner(regclass) IS 'Raises 42501 unless the acting role owns the table.';

CREATE FUNCTION teamscale_internal.require_distributable("table" regclass, key name, method text, buckets integer,
                                                         colocate_with regclass, sequences text, locked boolean) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    obstacles text;
    of_foreign_keys text;
    of_sequences text;
BEGIN
    PERFORM teamscale_internal.require_owner("table");
    IF EXISTS (SELECT FROM teamscale_internal.sharded_table AS t WHERE t.relation = "table") THEN
        RAISE EXCEPTION 'table "%" is already sharded', "table"
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'The view teamscale.sharded_table shows by what.';
    END IF;
    SELECT string_agg(o, E'\n') INTO obstacles FROM (
        SELECT * FROM teamscale_internal.table_obstacles("table")
        UNION ALL SELECT * FROM teamscale_internal.key_obstacles("table", key, method)
        UNION ALL SELECT * FROM teamscale_internal.uniqueness_obstacles("table", key)
        UNION ALL SELECT * FROM teamscale_internal.dependency_obstacles("table")
        UNION ALL SELECT * FROM teamscale_internal.role_obstacles("table", teamscale_internal.acting_role())) AS o (o);
    SELECT string_agg(o, E'\n') INTO of_foreign_keys
    FROM teamscale_internal.foreign_key_obstacles("table", key,
             teamscale_internal.find_group("table", key, method, buckets, colocate_with)) AS o;
    IF sequences = 'unique' THEN
        SELECT string_agg(o, E'\n') INTO of_sequences FROM teamscale_internal.sequence_obstacles("table", NULL, locked) AS o;
    END IF;
    IF coalesce(obstacles, of_foreign_keys, of_sequences) IS NOT NULL THEN
        RAISE EXCEPTION 'table "%" cannot be sharded by "%"', "table", key
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = concat_ws(E'\n', obstacles, of_foreign_keys, of_sequences),
                  HINT = concat_ws(' ', 'Change or drop what is listed; nothing has been changed yet.',
                      CASE WHEN of_foreign_keys IS NOT NULL
                           THEN 'Foreign keys hold between colocated tables, from the key of one to the key of the other.' END,
                      CASE WHEN of_sequences IS NOT NULL
                           THEN 'With sequences => ''per_node'' sequences stay as they are, and nodes may give the same values.' END);
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_distributable(regclass, name, text, integer, regclass, text, boolean) IS
    'Raises 55000 with the list of all obstacles unless the table can be sharded so; 42501 for those who do not own it.';

CREATE FUNCTION teamscale_internal.require_valid_choice(method text, buckets integer, sequences text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF method IS NULL OR method NOT IN ('hash', 'list') OR sequences IS NULL OR sequences NOT IN ('unique', 'per_node')
       OR buckets IS NULL OR buckets NOT BETWEEN 1 AND 32768 OR buckets & (buckets - 1) <> 0 THEN
        RAISE EXCEPTION 'invalid method, bucket count or choice of sequences'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('method is %L, buckets is %L, sequences is %L.', method, buckets, sequences),
                  HINT = 'method: hash or list; buckets: a power of two up to 32768; sequences: unique or per_node.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_valid_choice(text, integer, text) IS 'Raises 22023 unless distribute_table() knows these values.';

-- Puts a table out of the way of the one that takes its name: its indexes and sequences too.
CREATE FUNCTION teamscale_internal.set_aside("table" regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    object record;
BEGIN
    FOR object IN
        SELECT 'ALTER INDEX' AS command, indexrelid::regclass AS name, indexrelid AS id FROM pg_index WHERE indrelid = "table"
        UNION ALL SELECT 'ALTER SEQUENCE', sequence, sequence FROM teamscale_internal.owned_sequences("table") WHERE identity
        UNION ALL SELECT 'ALTER TABLE', "table", "table"
    LOOP
        PERFORM teamscale_internal.define_here(format('%s %s RENAME TO teamscale_aside_%s', object.command, object.name, object.id));
    END LOOP;
    PERFORM teamscale_internal.define_here(format('DROP STATISTICS %I.%I', stxnamespace::regnamespace::name, stxname))
    FROM pg_statistic_ext WHERE stxrelid = "table";
    PERFORM teamscale_internal.define_here(format('ALTER SEQUENCE %s OWNED BY NONE', sequence))
    FROM teamscale_internal.owned_sequences("table") WHERE NOT identity;
END
$$;
COMMENT ON FUNCTION teamscale_internal.set_aside(regclass) IS
    'Renames a table, its indexes and identity sequences; frees its serial sequences; drops its statistics objects.';
REVOKE ALL ON FUNCTION teamscale_internal.set_aside(regclass) FROM PUBLIC;

-- The columns that an INSERT may name.
CREATE FUNCTION teamscale_internal.insertable_columns("table" regclass) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = "table" AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
$$;
COMMENT ON FUNCTION teamscale_internal.insertable_columns(regclass) IS 'The columns of a table that are not generated, as a list.';

-- Locks a table against everybody, here and where it is sharded on the other nodes, under the name that it had; in the
-- order of the nodes, as LOCK TABLE does.
CREATE FUNCTION teamscale_internal.lock_table("table" regclass, name text, nodes integer[]) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM teamscale_internal.define_on_nodes(ARRAY[node], ARRAY[format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', name)])
    FROM unnest(nodes) WITH ORDINALITY AS n (node, place) ORDER BY place;
    IF "table"::text <> name THEN
        RAISE EXCEPTION 'table "%" was renamed meanwhile', name USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.lock_table(regclass, text, integer[]) IS
    'Locks a table on the nodes given, one after the other; 55000 when its name is another one by then.';
REVOKE ALL ON FUNCTION teamscale_internal.lock_table(regclass, text, integer[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.distribute_table("table" regclass, key name, method text, buckets integer,
                                                    colocate_with regclass, sequences text)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := "table"::text;
    old oid := "table";
    nodes integer[];
    local integer := (SELECT l.node_id FROM teamscale_internal.local_node AS l);
    group_of_table integer;
    new_id integer;
    create_parent text[];
    leaf_actions text[];
    definition text[];
    privileges text[];
    ranges text[] := '{}';
    identity_values text[];
    columns text;
BEGIN
    PERFORM teamscale_internal.require_cluster();
    PERFORM teamscale_internal.require_valid_choice(method, buckets, sequences);
    PERFORM teamscale_internal.require_distributable("table", key, method, buckets, colocate_with, sequences, false);
    PERFORM teamscale_internal.begin_catalog_change();
    PERFORM teamscale_internal.lock_table("table", name, ARRAY[local]);
    -- Once more, now that nobody else changes it.
    PERFORM teamscale_internal.require_distributable("table", key, method, buckets, colocate_with, sequences, true);
    nodes := teamscale_internal.active_nodes();

    PERFORM teamscale_internal.report_progress('preparing nodes');
    -- First, as the key's type and collation may be among them, which the catalog names on every node.
    PERFORM teamscale_internal.act_on_nodes(array_remove(nodes, local),
                                            ARRAY(SELECT * FROM teamscale_internal.prerequisite_calls("table")));
    group_of_table := coalesce(teamscale_internal.find_group("table", key, method, buckets, colocate_with),
                               teamscale_internal.create_group("table", key, method, buckets));
    IF method = 'list' THEN
        PERFORM teamscale_internal.place_present_values("table", key, group_of_table);
    END IF;

    -- Everything that describes the table is read before anything changes.
    create_parent := teamscale_internal.create_table_statement("table", format('%s (%I)', method, key))
        || ARRAY(SELECT * FROM teamscale_internal.column_storage_statements("table"));
    leaf_actions := teamscale_internal.storage_actions("table");
    definition := teamscale_internal.definition_statements("table") || teamscale_internal.dependent_view_statements("table");
    privileges := teamscale_internal.all_privilege_calls("table");
    IF sequences = 'unique' THEN ranges := teamscale_internal.range_calls("table"); END IF;
    identity_values := ARRAY(
        SELECT format('SELECT pg_catalog.setval(%L, %s, true)', sequence, pg_sequence_last_value(sequence))
        FROM teamscale_internal.owned_sequences("table") WHERE identity AND pg_sequence_last_value(sequence) IS NOT NULL);
    columns := teamscale_internal.insertable_columns("table");
    SELECT coalesce(max(t.table_id), 0) + 1 INTO new_id FROM teamscale_internal.sharded_table AS t;

    PERFORM teamscale_internal.report_progress('creating leaves', teamscale_internal.estimated_rows("table"));
    PERFORM teamscale_internal.drop_views("table");
    PERFORM teamscale_internal.set_aside(old);
    PERFORM teamscale_internal.define_on_nodes(nodes, create_parent);
    PERFORM teamscale_internal.act_on_nodes(nodes, ARRAY[
        format('INSERT INTO teamscale_internal.sharded_table (table_id, relation, group_id, leaf_actions) VALUES (%s, %L, %s, %L)',
               new_id, name, group_of_table, leaf_actions),
        format('SELECT teamscale_internal.create_leaves(%L)', name)]);

    PERFORM teamscale_internal.report_progress('moving rows');
    -- That is no event.
    PERFORM teamscale_internal.act_on_nodes(nodes, ARRAY['SELECT teamscale_internal.hide_changes(true)']);
    PERFORM teamscale_internal.define_here(
        format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM ONLY %3$s', name, columns, old::regclass));
    PERFORM teamscale_internal.act_on_nodes(nodes, ARRAY['SELECT teamscale_internal.hide_changes(false)']);

    PERFORM teamscale_internal.report_progress('adding indexes and constraints');
    PERFORM teamscale_internal.define_here(format('DROP TABLE %s', old::regclass));
    PERFORM teamscale_internal.define_on_nodes(nodes, definition);
    PERFORM teamscale_internal.act_on_nodes(nodes, privileges || format('SELECT teamscale_internal.conform_leaves(%L)', name));
    PERFORM teamscale_internal.act_on_nodes(ARRAY[local], identity_values);
    PERFORM teamscale_internal.act_on_nodes(nodes, ranges);
END
$$;
COMMENT ON FUNCTION teamscale_internal.distribute_table(regclass, name, text, integer, regclass, text) IS
    'What distribute_table() does, on behalf of its caller.';
REVOKE ALL ON FUNCTION teamscale_internal.distribute_table(regclass, name, text, integer, regclass, text) FROM PUBLIC;

CREATE FUNCTION teamscale.distribute_table("table" regclass, key name, method text DEFAULT 'hash', buckets integer DEFAULT 64,
                                           colocate_with regclass DEFAULT NULL, sequences text DEFAULT 'unique')
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_distribute_table';
COMMENT ON FUNCTION teamscale.distribute_table(regclass, name, text, integer, regclass, text) IS
    'Shards a table by a key column over all active nodes, with its rows and everything it has, in one transaction. '
    'method: hash (buckets: a power of two) or list; colocate_with: a sharded table whose placement to share (by default any of '
    'the same method, key type and bucket count); sequences: unique gives each node a range of its own, per_node allows duplicates. '
    '55000 with the list of obstacles when something cannot be kept.';
REVOKE ALL ON FUNCTION teamscale.distribute_table(regclass, name, text, integer, regclass, text) FROM PUBLIC;
