-- Making a plain table a sharded one, in one transaction over all active nodes.

CREATE FUNCTION teamscale_internal.define_on_nodes(nodes integer[], statements text[]) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_define_on_nodes';
COMMENT ON FUNCTION teamscale_internal.define_on_nodes(integer[], text[]) IS
    'Runs our own statements, which may change sharded tables, in order on the nodes given, within this transaction.';
REVOKE ALL ON FUNCTION teamscale_internal.define_on_nodes(integer[], text[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.create_leaves(parent regclass) RETURNS integer
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_create_leaves';
COMMENT ON FUNCTION teamscale_internal.create_leaves(regclass) IS
    'Makes the leaves that this node lacks of a sharded table, for the table''s owner; gives how many.';
REVOKE ALL ON FUNCTION teamscale_internal.create_leaves(regclass) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.leaf_name("table" text, table_id integer, bucket_id integer) RETURNS name
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_leaf_name';
COMMENT ON FUNCTION teamscale_internal.leaf_name(text, integer, integer) IS
    'The name of a bucket''s leaf in schema teamscale_bucket, at most 63 bytes.';

-- A sequence's values are unique in the cluster when each node has its own: node n takes those above (n - 1) * 2^48.
CREATE FUNCTION teamscale_internal.sequence_range_statements(sequence regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER SEQUENCE %s MINVALUE %s MAXVALUE %s START WITH %s RESTART WITH %s', sequence,
                  lowest, highest, lowest, CASE WHEN is_first THEN greatest(next, lowest) ELSE lowest END)
    FROM (SELECT (n.node_id - 1)::bigint << 48 | 1 AS lowest, n.node_id::bigint << 48 AS highest, n.node_id = 1 AS is_first,
                 CASE WHEN d.last_value IS NULL THEN d.start_value ELSE d.last_value + d.increment_by END AS next
          FROM teamscale_internal.local_node AS n, pg_sequences AS d
          WHERE format('%I.%I', d.schemaname, d.sequencename)::regclass = sequence) AS r
$$;
COMMENT ON FUNCTION teamscale_internal.sequence_range_statements(regclass) IS
    'What gives a sequence the range of this node; the first node goes on where the sequence was.';

CREATE FUNCTION teamscale_internal.set_sequence_ranges("table" regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owned record;
BEGIN
    FOR owned IN SELECT * FROM teamscale_internal.owned_sequences("table") LOOP
        IF owned.column_type = 'bigint'::regtype THEN
            PERFORM teamscale_internal.define_here(s) FROM teamscale_internal.sequence_range_statements(owned.sequence) AS s;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.set_sequence_ranges(regclass) IS 'Gives the sequences of a table''s columns the range of this node.';
REVOKE ALL ON FUNCTION teamscale_internal.set_sequence_ranges(regclass) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.define_here(statement text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_define_here';
COMMENT ON FUNCTION teamscale_internal.define_here(text) IS 'Runs our own statement, which may change sharded tables, on this node.';
REVOKE ALL ON FUNCTION teamscale_internal.define_here(text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.require_distributable("table" regclass, key name, sequences text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    obstacles text;
BEGIN
    IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = "table"), 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of table %', "table" USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT FROM teamscale_internal.sharded_table AS t WHERE t.relation = "table") THEN
        RAISE EXCEPTION 'table "%" is already sharded', "table" USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT string_agg(o, E'\n') INTO obstacles FROM (
        SELECT * FROM teamscale_internal.table_obstacles("table")
        UNION ALL SELECT * FROM teamscale_internal.key_obstacles("table", key)
        UNION ALL SELECT * FROM teamscale_internal.uniqueness_obstacles("table", key)
        UNION ALL SELECT * FROM teamscale_internal.dependency_obstacles("table")
        UNION ALL SELECT * FROM teamscale_internal.sequence_obstacles("table", sequences)) AS o (o);
    IF obstacles IS NOT NULL THEN
        RAISE EXCEPTION 'table "%" cannot be sharded by "%"', "table", key
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = obstacles,
                  HINT = 'Change or drop what is listed; nothing has been changed yet.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_distributable(regclass, name, text) IS
    'Raises 55000 with the list of all obstacles unless the table can be sharded by the key; 42501 for those who do not own it.';

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

CREATE FUNCTION teamscale.distribute_table("table" regclass, key name, method text DEFAULT 'hash', buckets integer DEFAULT 64,
                                           colocate_with regclass DEFAULT NULL, sequences text DEFAULT 'unique')
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := "table"::text;
    old oid := "table";
    others integer[];
    group_of_table integer;
    new_id integer;
    definition text[];
    create_parent text;
    prerequisites text[];
    views text[] := '{}';
    view regclass;
    sequences_of_table text[];
    leaf_templates text[];
    obstacles text;
    columns text;
    identity_values text[];
BEGIN
    PERFORM teamscale_internal.require_cluster();
    IF method IS NULL OR method NOT IN ('hash', 'list') OR sequences IS NULL OR sequences NOT IN ('unique', 'per_node')
       OR buckets IS NULL OR buckets NOT BETWEEN 1 AND 32768 OR buckets & (buckets - 1) <> 0 THEN
        RAISE EXCEPTION 'invalid method, bucket count or choice of sequences'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('method is %L, buckets is %L, sequences is %L.', method, buckets, sequences),
                  HINT = 'method: hash or list; buckets: a power of two up to 32768; sequences: unique or per_node.';
    END IF;
    PERFORM teamscale_internal.require_distributable("table", key, sequences);
    PERFORM teamscale_internal.begin_catalog_change();
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', name);
    -- Once more, now that nobody else changes it.
    PERFORM teamscale_internal.require_distributable("table", key, sequences);
    -- First, as the key's type and collation may be among them, which the catalog names on every node.
    prerequisites := ARRAY(SELECT * FROM teamscale_internal.prerequisite_statements("table"));
    others := array_remove(teamscale_internal.active_nodes(), (SELECT l.node_id FROM teamscale_internal.local_node AS l));
    PERFORM teamscale_internal.define_on_nodes(others,
        'SET LOCAL client_min_messages = warning'::text || prerequisites);
    group_of_table := teamscale_internal.choose_group("table", key, method, buckets, colocate_with);
    SELECT string_agg(o, E'\n') INTO obstacles FROM teamscale_internal.foreign_key_obstacles("table", key, group_of_table) AS o;
    IF obstacles IS NOT NULL THEN
        RAISE EXCEPTION 'table "%" cannot be sharded by "%"', name, key
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = obstacles,
                  HINT = 'Foreign keys hold between colocated tables and contain the key; nothing has been changed yet.';
    END IF;
    IF method = 'list' THEN
        PERFORM teamscale_internal.place_present_values("table", key, group_of_table);
    END IF;

    -- Everything that describes the table is read before anything changes.
    create_parent := teamscale_internal.create_table_statement("table", format('%s (%I)', method, key));
    definition := teamscale_internal.definition_statements("table");
    leaf_templates := teamscale_internal.storage_templates("table");
    columns := teamscale_internal.insertable_columns("table");
    sequences_of_table := ARRAY(
        SELECT format('ALTER SEQUENCE %s OWNED BY %s.%I', sequence, name, "column")
        FROM teamscale_internal.owned_sequences("table") WHERE NOT identity);
    identity_values := ARRAY(
        SELECT format('SELECT pg_catalog.setval(%L, %s, true)', sequence, pg_sequence_last_value(sequence))
        FROM teamscale_internal.owned_sequences("table") WHERE identity AND pg_sequence_last_value(sequence) IS NOT NULL);
    FOREACH view IN ARRAY teamscale_internal.dependent_views("table") LOOP
        views := views || ARRAY(SELECT * FROM teamscale_internal.view_statements(view));
    END LOOP;
    SELECT coalesce(max(t.table_id), 0) + 1 INTO new_id FROM teamscale_internal.sharded_table AS t;

    FOR view IN SELECT v FROM unnest(teamscale_internal.dependent_views("table")) WITH ORDINALITY AS u (v, n) ORDER BY n DESC LOOP
        EXECUTE format('DROP VIEW %s', view);
    END LOOP;
    PERFORM teamscale_internal.set_aside(old);
    PERFORM teamscale_internal.define_on_nodes(teamscale_internal.active_nodes(), ARRAY[create_parent,
        format('INSERT INTO teamscale_internal.sharded_table (table_id, relation, group_id, leaf_templates) VALUES (%s, %L, %s, %L)',
               new_id, name, group_of_table, leaf_templates),
        format('SELECT teamscale_internal.create_leaves(%L)', name)]);
    EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM ONLY %3$s', name, columns, old::regclass);

    PERFORM teamscale_internal.define_here(format('DROP TABLE %s', old::regclass));
    PERFORM teamscale_internal.define_on_nodes(teamscale_internal.active_nodes(), definition || sequences_of_table || views);
    PERFORM teamscale_internal.define_here(statement) FROM unnest(identity_values) AS statement;
    IF sequences = 'unique' THEN
        PERFORM teamscale_internal.define_on_nodes(teamscale_internal.active_nodes(),
            ARRAY[format('SELECT teamscale_internal.set_sequence_ranges(%L)', name)]);
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale.distribute_table(regclass, name, text, integer, regclass, text) IS
    'Shards a table by a key column over all active nodes, with its rows and everything it has, in one transaction. '
    'method: hash (buckets: a power of two) or list; colocate_with: a sharded table whose placement to share (by default any of '
    'the same method, key type and bucket count); sequences: unique gives each node a range of its own, per_node allows duplicates. '
    '55000 with the list of obstacles when something cannot be kept.';
REVOKE ALL ON FUNCTION teamscale.distribute_table(regclass, name, text, integer, regclass, text) FROM PUBLIC;
