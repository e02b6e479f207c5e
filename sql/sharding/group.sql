-- Colocation groups: tables with the same buckets in the same places.

CREATE FUNCTION teamscale_internal.create_hash_group(key_type regtype, key_collation regcollation, buckets integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    nodes integer[] := teamscale_internal.active_nodes();
    new_group integer := coalesce((SELECT max(group_id) FROM teamscale_internal.colocation_group), 0) + 1;
    first_bucket integer := coalesce((SELECT max(bucket_id) FROM teamscale_internal.bucket), 0) + 1;
BEGIN
    PERFORM teamscale_internal.act_on_nodes(nodes, ARRAY[
        format('INSERT INTO teamscale_internal.colocation_group VALUES (%s, ''hash'', %L, %L, %s)',
               new_group, key_type, key_collation, buckets),
        format('INSERT INTO teamscale_internal.bucket (bucket_id, group_id, modulus, remainder) '
               'SELECT %1$s + r, %2$s, %3$s, r FROM pg_catalog.generate_series(0, %3$s - 1) AS r',
               first_bucket, new_group, buckets),
        -- In turn, so that each node gets its share of every range of remainders.
        format('INSERT INTO teamscale_internal.placement (bucket_id, node_id) '
               'SELECT %1$s + r, (%2$L::integer[])[1 + r %% %3$s] FROM pg_catalog.generate_series(0, %4$s - 1) AS r',
               first_bucket, nodes, cardinality(nodes), buckets)]);
    RETURN new_group;
END
$$;
COMMENT ON FUNCTION teamscale_internal.create_hash_group(regtype, regcollation, integer) IS
    'A new group of hash buckets, placed evenly over the active nodes; gives its id.';
REVOKE ALL ON FUNCTION teamscale_internal.create_hash_group(regtype, regcollation, integer) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.create_list_group(key_type regtype, key_collation regcollation) RETURNS integer
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_group integer := coalesce((SELECT max(group_id) FROM teamscale_internal.colocation_group), 0) + 1;
BEGIN
    PERFORM teamscale_internal.act_on_nodes(teamscale_internal.active_nodes(), ARRAY[
        format('INSERT INTO teamscale_internal.colocation_group VALUES (%s, ''list'', %L, %L, NULL)',
               new_group, key_type, key_collation)]);
    RETURN new_group;
END
$$;
COMMENT ON FUNCTION teamscale_internal.create_list_group(regtype, regcollation) IS
    'A new group without buckets: place_values() makes them; gives its id.';
REVOKE ALL ON FUNCTION teamscale_internal.create_list_group(regtype, regcollation) FROM PUBLIC;

-- The group that a table would join.
CREATE FUNCTION teamscale_internal.find_group("table" regclass, key name, method text, buckets integer, colocate_with regclass)
    RETURNS integer
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    type regtype;
    collation_of_key regcollation;
    chosen teamscale_internal.colocation_group;
BEGIN
    SELECT a.atttypid, nullif(a.attcollation, 0) INTO type, collation_of_key
    FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attname = key;
    IF colocate_with IS NULL THEN
        RETURN (SELECT min(g.group_id) FROM teamscale_internal.colocation_group AS g
                WHERE (g.method, g.key_type) = (find_group.method, type) AND g.key_collation IS NOT DISTINCT FROM collation_of_key
                  AND (g.method = 'list' OR g.bucket_count = buckets));
    END IF;
    SELECT g.* INTO chosen
    FROM teamscale_internal.colocation_group AS g JOIN teamscale_internal.sharded_table AS t USING (group_id)
    WHERE t.relation = colocate_with;
    IF chosen.group_id IS NULL THEN
        RAISE EXCEPTION 'table "%" is not sharded', colocate_with
            USING ERRCODE = 'wrong_object_type', HINT = 'colocate_with names a sharded table.';
    END IF;
    IF (chosen.method, chosen.key_type, chosen.key_collation) IS DISTINCT FROM (method, type, collation_of_key) THEN
        RAISE EXCEPTION 'table "%" cannot be colocated with "%"', "table", colocate_with
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('Its key is of type %s%s, sharded by %s; there it is of type %s%s, sharded by %s.',
                                  type, ' collation ' || collation_of_key, method,
                                  chosen.key_type, ' collation ' || chosen.key_collation, chosen.method),
                  HINT = 'Tables are colocated by keys of one type and collation, and one method.';
    END IF;
    RETURN chosen.group_id;
END
$$;
COMMENT ON FUNCTION teamscale_internal.find_group(regclass, name, text, integer, regclass) IS
    'The colocation group of the same method, key type, collation and bucket count, or of colocate_with; null if there is none.';

CREATE FUNCTION teamscale_internal.create_group("table" regclass, key name, method text, buckets integer) RETURNS integer
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE method
        WHEN 'list' THEN teamscale_internal.create_list_group(atttypid::regtype, nullif(attcollation, 0)::regcollation)
        ELSE teamscale_internal.create_hash_group(atttypid::regtype, nullif(attcollation, 0)::regcollation, buckets) END
    FROM pg_attribute WHERE attrelid = "table" AND attname = key
$$;
COMMENT ON FUNCTION teamscale_internal.create_group(regclass, name, text, integer) IS 'A new group for a table with this key; gives its id.';
REVOKE ALL ON FUNCTION teamscale_internal.create_group(regclass, name, text, integer) FROM PUBLIC;
