-- List sharding: a set of values is a bucket.

-- Makes a bucket of values in a group, and its leaf in every table of the group.
CREATE FUNCTION teamscale_internal.create_list_bucket(group_of_table integer, new_values text[], node integer) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_bucket integer := coalesce((SELECT max(bucket_id) FROM teamscale_internal.bucket), 0) + 1;
BEGIN
    PERFORM teamscale_internal.execute_on_nodes(teamscale_internal.active_nodes(), statement)
    FROM unnest(ARRAY[
        format('INSERT INTO teamscale_internal.bucket (bucket_id, group_id, "values") VALUES (%s, %s, %L)',
               new_bucket, group_of_table, new_values),
        format('INSERT INTO teamscale_internal.placement (bucket_id, node_id) VALUES (%s, %s)', new_bucket, node)]) AS statement;
    PERFORM teamscale_internal.define_on_nodes(ARRAY[node],
        ARRAY[format('SELECT teamscale_internal.create_leaves(%L)', t.relation)])
    FROM teamscale_internal.sharded_table AS t WHERE t.group_id = group_of_table;
END
$$;
COMMENT ON FUNCTION teamscale_internal.create_list_bucket(integer, text[], integer) IS
    'A new list bucket on a node, with a leaf in each table of the group.';
REVOKE ALL ON FUNCTION teamscale_internal.create_list_bucket(integer, text[], integer) FROM PUBLIC;

-- The values as the key's type writes them, so that each value has one form.
CREATE FUNCTION teamscale_internal.canonical_values(new_values text[], type regtype) RETURNS text[]
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD' SET timezone = 'UTC' AS $$
DECLARE
    result text[];
BEGIN
    EXECUTE format('SELECT array_agg(DISTINCT (v::%s)::text) FROM unnest($1) AS v', type) INTO result USING new_values;
    RETURN result;
END
$$;
COMMENT ON FUNCTION teamscale_internal.canonical_values(text[], regtype) IS
    'Values of a type in its own text form, each once.';

CREATE FUNCTION teamscale_internal.place_present_values("table" regclass, key name, group_of_table integer) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    group_row teamscale_internal.colocation_group;
    present text[];
    value text;
BEGIN
    SELECT * INTO group_row FROM teamscale_internal.colocation_group AS g WHERE g.group_id = group_of_table;
    EXECUTE format('SELECT array_agg(DISTINCT %I::text) FROM ONLY %s', key, "table") INTO present;
    FOREACH value IN ARRAY coalesce(teamscale_internal.canonical_values(present, group_row.key_type), '{}') LOOP
        IF NOT EXISTS (SELECT FROM teamscale_internal.bucket AS b
                       WHERE b.group_id = group_of_table AND value = ANY (b."values")) THEN
            PERFORM teamscale_internal.create_list_bucket(group_of_table, ARRAY[value],
                (SELECT l.node_id FROM teamscale_internal.local_node AS l));
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.place_present_values(regclass, name, integer) IS
    'Makes a bucket on this node of each key in a table that its group does not place yet.';
REVOKE ALL ON FUNCTION teamscale_internal.place_present_values(regclass, name, integer) FROM PUBLIC;

CREATE FUNCTION teamscale.place_values("table" regclass, "values" text[], node text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target teamscale_internal.node := teamscale_internal.require_node(place_values.node);
    group_row teamscale_internal.colocation_group;
    new_values text[];
    placed text;
BEGIN
    IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = "table"), 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of table %', "table" USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT g.* INTO group_row
    FROM teamscale_internal.sharded_table AS t JOIN teamscale_internal.colocation_group AS g USING (group_id)
    WHERE t.relation = "table";
    IF group_row IS NULL OR group_row.method <> 'list' THEN
        RAISE EXCEPTION 'table "%" is not sharded by list', "table"
            USING ERRCODE = 'wrong_object_type',
                  HINT = 'Shard it with teamscale.distribute_table(..., method => ''list'').';
    END IF;
    IF target.state <> 'active' THEN
        RAISE EXCEPTION 'node "%" is disabled', target.name USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    PERFORM teamscale_internal.begin_catalog_change();
    IF "values" IS NULL OR "values" = '{}' OR array_position("values", NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'values to place must be given, and not null' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    new_values := teamscale_internal.canonical_values("values", group_row.key_type);
    SELECT string_agg(format('%L on node "%s"', v, n.name), ', ') INTO placed
    FROM unnest(new_values) AS v
         JOIN teamscale_internal.bucket AS b ON b.group_id = group_row.group_id AND v = ANY (b."values")
         JOIN teamscale_internal.placement AS p USING (bucket_id) JOIN teamscale_internal.node AS n USING (node_id);
    IF placed IS NOT NULL THEN
        RAISE EXCEPTION 'values of table "%" are placed already', "table"
            USING ERRCODE = 'duplicate_object', DETAIL = format('Placed are %s.', placed);
    END IF;
    PERFORM teamscale_internal.create_list_bucket(group_row.group_id, new_values, target.node_id);
END
$$;
COMMENT ON FUNCTION teamscale.place_values(regclass, text[], text) IS
    'Makes a bucket of a set of keys of a list-sharded table, and of the tables colocated with it, on a node. '
    '42710 when one of them is placed already.';
REVOKE ALL ON FUNCTION teamscale.place_values(regclass, text[], text) FROM PUBLIC;
