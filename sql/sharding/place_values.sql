-- List sharding: a set of values is a bucket.

-- Makes a bucket of values in a group, and its leaf in every table of the group.
CREATE FUNCTION teamscale_internal.create_list_bucket(group_of_table integer, new_values text[], node integer) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_bucket integer := coalesce((SELECT max(bucket_id) FROM teamscale_internal.bucket), 0) + 1;
BEGIN
    PERFORM teamscale_internal.act_on_nodes(teamscale_internal.active_nodes(), ARRAY[
        format('INSERT INTO teamscale_internal.bucket (bucket_id, group_id, "values") VALUES (%s, %s, %L)',
               new_bucket, group_of_table, new_values),
        format('INSERT INTO teamscale_internal.placement (bucket_id, node_id) VALUES (%s, %s)', new_bucket, node)]);
    PERFORM teamscale_internal.act_on_nodes(ARRAY[node],
        ARRAY(SELECT format('SELECT teamscale_internal.create_leaves(%L)', t.relation)
              FROM teamscale_internal.sharded_table AS t WHERE t.group_id = group_of_table ORDER BY t.table_id));
END
$$;
COMMENT ON FUNCTION teamscale_internal.create_list_bucket(integer, text[], integer) IS
    'A new list bucket on a node, with a leaf in each table of the group.';
REVOKE ALL ON FUNCTION teamscale_internal.create_list_bucket(integer, text[], integer) FROM PUBLIC;

-- Values are read and compared by statements that run as the acting role: that may call what a user wrote. Read by the
-- type's input function, which a literal is given to, and not by a cast; compared as DISTINCT and GROUP BY do, by the
-- type's own operator class, and not by an operator that a path leads to.
CREATE FUNCTION teamscale_internal.value_rows("values" text[], group_row teamscale_internal.colocation_group, fresh boolean) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('(%1$L::%2$s%3$s, %1$L, %4$s)', v, group_row.key_type, ' COLLATE ' || group_row.key_collation, fresh::text), ', ')
    FROM unnest("values") AS v
$$;
COMMENT ON FUNCTION teamscale_internal.value_rows(text[], teamscale_internal.colocation_group, boolean) IS
    'Rows of a VALUES list: a key of the group, its text and a mark; null when there are none.';

-- Of keys that are equal ('1.0' and '1.00') one.
CREATE FUNCTION teamscale_internal.distinct_values(new_values text[], group_row teamscale_internal.colocation_group) RETURNS text[]
    LANGUAGE sql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT teamscale_internal.read_as_actor(
        format('SELECT array_agg(teamscale.text_form(k) ORDER BY k) FROM (SELECT DISTINCT k FROM (VALUES %s) AS v (k, t, fresh)) AS d',
               teamscale_internal.value_rows(new_values, group_row, true)), '{}')
$$;
COMMENT ON FUNCTION teamscale_internal.distinct_values(text[], teamscale_internal.colocation_group) IS
    'Keys of a group in their type''s own text form, each once.';
REVOKE ALL ON FUNCTION teamscale_internal.distinct_values(text[], teamscale_internal.colocation_group) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.placed_values(new_values text[], group_row teamscale_internal.colocation_group) RETURNS text[]
    LANGUAGE sql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(teamscale_internal.read_as_actor(
        format('SELECT array_agg(t) FROM (SELECT unnest(array_agg(t) FILTER (WHERE fresh)) AS t FROM (VALUES %s) AS v (k, t, fresh) '
               'GROUP BY k HAVING bool_or(fresh) AND bool_or(NOT fresh)) AS p',
               concat_ws(', ', teamscale_internal.value_rows(new_values, group_row, true), teamscale_internal.value_rows(
                   ARRAY(SELECT unnest(b."values") FROM teamscale_internal.bucket AS b WHERE b.group_id = group_row.group_id),
                   group_row, false))), '{}'), '{}')
$$;
COMMENT ON FUNCTION teamscale_internal.placed_values(text[], teamscale_internal.colocation_group) IS
    'Those of the keys that a list bucket of the group holds already.';
REVOKE ALL ON FUNCTION teamscale_internal.placed_values(text[], teamscale_internal.colocation_group) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.place_present_values("table" regclass, key name, group_of_table integer) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    group_row teamscale_internal.colocation_group;
    present text[];
    placed text[];
    value text;
BEGIN
    SELECT * INTO group_row FROM teamscale_internal.colocation_group AS g WHERE g.group_id = group_of_table;
    present := teamscale_internal.read_as_actor(
        format('SELECT array_agg(teamscale.text_form(k) ORDER BY k) FROM (SELECT DISTINCT %I AS k FROM ONLY %s) AS d', key, "table"), '{}');
    IF present IS NULL THEN RETURN; END IF;
    placed := teamscale_internal.placed_values(present, group_row);
    FOREACH value IN ARRAY present LOOP
        CONTINUE WHEN value = ANY (placed);
        PERFORM teamscale_internal.create_list_bucket(group_of_table, ARRAY[value],
            (SELECT l.node_id FROM teamscale_internal.local_node AS l));
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.place_present_values(regclass, name, integer) IS
    'Makes a bucket on this node of each key in a table that its group does not place yet.';
REVOKE ALL ON FUNCTION teamscale_internal.place_present_values(regclass, name, integer) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.place_values("table" regclass, new_values text[], node text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target teamscale_internal.node := teamscale_internal.require_node(place_values.node);
    group_row teamscale_internal.colocation_group;
    others text;
    placed text;
BEGIN
    PERFORM teamscale_internal.require_owner("table");
    PERFORM teamscale_internal.begin_catalog_change();
    SELECT g.* INTO group_row
    FROM teamscale_internal.sharded_table AS t JOIN teamscale_internal.colocation_group AS g USING (group_id)
    WHERE t.relation = "table";
    IF group_row IS NULL OR group_row.method <> 'list' THEN
        RAISE EXCEPTION 'table "%" is not sharded by list', "table"
            USING ERRCODE = 'wrong_object_type',
                  HINT = 'Shard it with teamscale.distribute_table(..., method => ''list'').';
    END IF;
    -- They get a leaf, too.
    SELECT string_agg(t.relation::text, ', ') INTO others
    FROM teamscale_internal.sharded_table AS t JOIN pg_class AS c ON c.oid = t.relation
    WHERE t.group_id = group_row.group_id AND NOT pg_has_role(teamscale_internal.acting_role(), c.relowner, 'USAGE');
    IF others IS NOT NULL THEN
        RAISE EXCEPTION 'must be owner of all tables that are colocated with "%"', "table"
            USING ERRCODE = 'insufficient_privilege', DETAIL = format('Others own %s.', others);
    END IF;
    IF target.state <> 'active' THEN
        RAISE EXCEPTION 'node "%" is disabled', target.name
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call teamscale.enable_node() for it first.';
    END IF;
    IF new_values = '{}' OR array_position(new_values, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'values to place must be given, and not null'
            USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The values are %L.', new_values);
    END IF;
    new_values := teamscale_internal.distinct_values(new_values, group_row);
    SELECT string_agg(quote_literal(v), ', ' ORDER BY v) INTO placed
    FROM unnest(teamscale_internal.placed_values(new_values, group_row)) AS v;
    IF placed IS NOT NULL THEN
        RAISE EXCEPTION 'values of table "%" are placed already', "table"
            USING ERRCODE = 'duplicate_object', DETAIL = format('Placed are %s.', placed),
                  HINT = 'The view teamscale.bucket shows where.';
    END IF;
    PERFORM teamscale_internal.create_list_bucket(group_row.group_id, new_values, target.node_id);
END
$$;
COMMENT ON FUNCTION teamscale_internal.place_values(regclass, text[], text) IS
    'What place_values() does, on behalf of its caller.';
REVOKE ALL ON FUNCTION teamscale_internal.place_values(regclass, text[], text) FROM PUBLIC;

CREATE FUNCTION teamscale.place_values("table" regclass, "values" text[], node text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_place_values';
COMMENT ON FUNCTION teamscale.place_values(regclass, text[], text) IS
    'Makes a bucket of a set of keys of a list-sharded table, and of the tables colocated with it, on a node. '
    '42710 when one of them is placed already.';
REVOKE ALL ON FUNCTION teamscale.place_values(regclass, text[], text) FROM PUBLIC;
