-- Making, changing and ending the policies of partitioned tables.

CREATE FUNCTION teamscale_internal.require_table_owner("table" regclass) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner oid := (SELECT c.relowner FROM pg_class AS c WHERE c.oid = "table");
BEGIN
    IF owner IS NULL THEN
        RAISE EXCEPTION 'table does not exist' USING ERRCODE = 'undefined_table',
            DETAIL = format('The table given is %L.', "table");
    END IF;
    IF NOT pg_has_role(current_user, owner, 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of table %', "table" USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_table_owner(regclass) IS
    'Raises 42501 unless the current role owns the table or is a member of its owner; 42P01 without a table.';

-- What is in the way of a policy on a table, each as a sentence.
CREATE FUNCTION teamscale_internal.partition_obstacles("table" regclass, "column" name, kind text) RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH t AS (SELECT * FROM pg_class AS c WHERE c.oid = "table"),
         p AS (SELECT * FROM pg_partitioned_table AS p WHERE p.partrelid = "table"),
         k AS (SELECT * FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attname = "column" AND a.attnum > 0 AND NOT a.attisdropped)
    SELECT 'it is a temporary table' FROM t WHERE t.relpersistence = 't'
    UNION ALL
    SELECT format('it is a partition of "%s"', i.inhparent::regclass) FROM t JOIN pg_inherits AS i ON i.inhrelid = t.oid
    WHERE t.relispartition
    UNION ALL
    SELECT format('it has no column "%s"', "column") WHERE NOT EXISTS (SELECT FROM k)
    UNION ALL
    SELECT format('column "%s" may be null', k.attname) FROM k WHERE NOT k.attnotnull
    UNION ALL
    SELECT 'it is partitioned by more than one column' FROM p WHERE p.partnatts <> 1
    UNION ALL
    SELECT 'it is partitioned by an expression' FROM p WHERE p.partnatts = 1 AND p.partattrs[0] = 0
    UNION ALL
    SELECT format('it is partitioned by column "%s"', a.attname)
    FROM p JOIN pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    WHERE p.partnatts = 1 AND a.attname <> "column"
    UNION ALL
    SELECT format('it is partitioned by %s', CASE p.partstrat WHEN 'r' THEN 'range' WHEN 'l' THEN 'list' ELSE 'hash' END)
    FROM p WHERE p.partstrat <> left(kind, 1)
$$;
COMMENT ON FUNCTION teamscale_internal.partition_obstacles(regclass, name, text) IS
    'What is in the way of a partition policy of a kind on a table, one line each.';

CREATE FUNCTION teamscale_internal.require_partitionable("table" regclass, "column" name, kind text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    obstacles text;
BEGIN
    PERFORM teamscale_internal.require_table_owner("table");
    IF kind IS NULL OR kind NOT IN ('range', 'list', 'hash') THEN
        RAISE EXCEPTION 'invalid kind of partitions: %', coalesce(quote_literal(kind), 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'kind is range, list or hash.';
    END IF;
    IF (SELECT relkind FROM pg_class WHERE oid = "table") NOT IN ('r', 'p') THEN
        RAISE EXCEPTION '"%" is not a table', "table" USING ERRCODE = 'wrong_object_type';
    END IF;
    SELECT string_agg(o, E'\n') INTO obstacles FROM teamscale_internal.partition_obstacles("table", "column", kind) AS o;
    IF obstacles IS NOT NULL THEN
        RAISE EXCEPTION 'table "%" cannot have a partition policy by %s on "%"', "table", kind, "column"
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = obstacles,
                  HINT = 'Change what is listed; nothing has been changed yet.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_partitionable(regclass, name, text) IS
    'Raises 55000 with the list of all obstacles unless a table may have a partition policy; 42501 for those who do not own it.';

-- A policy as one value: an array of its levels, each with the columns of partition_policy and "steps", an array of
-- {"from": bound or null, "every": text}.
CREATE FUNCTION teamscale_internal.read_partition_policy("table" regclass) RETURNS jsonb
    LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(p) || pg_catalog.jsonb_build_object('steps', (
                   SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('from', s.from_bound, 'every', s.every))
                   FROM teamscale_internal.partition_step AS s WHERE s.relation = p.relation AND s.level = p.level))
               ORDER BY p.level)
        FROM teamscale_internal.partition_policy AS p WHERE p.relation = "table";
    END;
COMMENT ON FUNCTION teamscale_internal.read_partition_policy(regclass) IS
    'The partition policy of a table as an array of its levels; null when it has none.';

CREATE FUNCTION teamscale_internal.write_partition_policy("table" regclass, levels jsonb) RETURNS void
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        DELETE FROM teamscale_internal.partition_policy AS p WHERE p.relation = "table";
        INSERT INTO teamscale_internal.partition_policy
            SELECT r.* FROM pg_catalog.jsonb_array_elements(levels) AS l (level),
                 pg_catalog.jsonb_populate_record(NULL::teamscale_internal.partition_policy, l.level) AS r;
        INSERT INTO teamscale_internal.partition_step (relation, level, from_bound, every)
            SELECT "table", (l.level ->> 'level')::smallint, s.step ->> 'from', s.step ->> 'every'
            FROM pg_catalog.jsonb_array_elements(levels) AS l (level),
                 pg_catalog.jsonb_array_elements(l.level -> 'steps') AS s (step)
            WHERE l.level ->> 'kind' = 'range';
        INSERT INTO teamscale_internal.partition_maintenance (relation)
            SELECT "table" WHERE levels <> '[]' ON CONFLICT DO NOTHING;
        DELETE FROM teamscale_internal.partition_maintenance AS m WHERE m.relation = "table" AND levels = '[]';
    END;
COMMENT ON FUNCTION teamscale_internal.write_partition_policy(regclass, jsonb) IS
    'Stores a policy in place of the present one; an empty array ends it.';
REVOKE ALL ON FUNCTION teamscale_internal.write_partition_policy(regclass, jsonb) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.store_partition_policy("table" regclass, levels jsonb) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_store_partition_policy';
COMMENT ON FUNCTION teamscale_internal.store_partition_policy(regclass, jsonb) IS
    'write_partition_policy() for the owner of the table; raises 22023 with what is wrong unless the policy can be carried out on it.';

CREATE FUNCTION teamscale_internal.require_known_choices(on_expiry text, epoch text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF on_expiry = 'archive' THEN
        RAISE EXCEPTION 'partitions cannot be archived: there is no storage for archives' USING ERRCODE = 'feature_not_supported',
            HINT = 'on_expiry is drop, detach or move.';
    END IF;
    IF on_expiry NOT IN ('drop', 'detach', 'move') OR epoch NOT IN ('seconds', 'milliseconds') THEN
        RAISE EXCEPTION 'invalid on_expiry or epoch' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('on_expiry is %L, epoch is %L.', on_expiry, epoch),
            HINT = 'on_expiry: drop, detach or move; epoch: seconds or milliseconds.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_known_choices(text, text) IS 'Raises 22023 or 0A000 for what on_expiry and epoch cannot be.';

CREATE FUNCTION teamscale_internal.check_storage_parameters(names text[], "values" text[]) RETURNS void
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_check_storage_parameters';
COMMENT ON FUNCTION teamscale_internal.check_storage_parameters(text[], text[]) IS
    'Raises 22023 unless these are storage parameters of tables, toast.* among them, and their values.';

CREATE FUNCTION teamscale_internal.require_storage(storage jsonb) RETURNS void
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (CASE WHEN jsonb_typeof(storage) = 'object'
             THEN EXISTS (SELECT FROM jsonb_each(storage) AS e (k, v) WHERE jsonb_typeof(e.v) NOT IN ('string', 'number', 'boolean'))
             ELSE true END) THEN
        RAISE EXCEPTION 'invalid storage of partitions' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('It is %s.', storage), HINT = 'storage is an object of storage parameters: {"fillfactor": 70}.';
    END IF;
    PERFORM teamscale_internal.check_storage_parameters(array_agg(e.k), array_agg(e.v)) FROM jsonb_each_text(storage) AS e (k, v);
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_storage(jsonb) IS 'Raises 22023 for what cannot be the storage parameters of partitions.';

-- Partitioned tables have no storage parameters that their partitions could take over.
CREATE FUNCTION teamscale_internal.partition_storage("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s = %L', (SELECT string_agg(quote_ident(part), '.' ORDER BY n) FROM string_to_table(e.k, '.') WITH ORDINALITY AS p (part, n)), e.v)
    FROM jsonb_each_text(nullif(teamscale_internal.read_partition_policy(pg_partition_root("table")) -> 0 -> 'storage', 'null')) AS e (k, v)
    ORDER BY e.k
$$;
COMMENT ON FUNCTION teamscale_internal.partition_storage(regclass) IS
    'The storage parameters that new partitions of a table, or of a partition of it, get by its policy, as CREATE TABLE has them.';

CREATE FUNCTION teamscale.create_partition_policy(
        "table" regclass, "column" name, every text DEFAULT NULL, kind text DEFAULT 'range', premake integer DEFAULT 4,
        retain text DEFAULT NULL, on_expiry text DEFAULT 'drop', move_to name DEFAULT NULL, time_zone text DEFAULT 'UTC',
        epoch text DEFAULT NULL, "values" jsonb DEFAULT NULL, modulus integer DEFAULT NULL, tablespaces jsonb DEFAULT NULL,
        name_template text DEFAULT '{table}_{period}', default_partition boolean DEFAULT true,
        before_drop regprocedure DEFAULT NULL, sub_policy jsonb DEFAULT NULL, storage jsonb DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    level_1 jsonb;
    levels jsonb;
BEGIN
    PERFORM teamscale_internal.require_partitionable("table", "column", kind);
    PERFORM teamscale_internal.require_known_choices(on_expiry, epoch);
    PERFORM teamscale_internal.require_storage(storage);
    IF teamscale_internal.read_partition_policy("table") IS NOT NULL THEN
        RAISE EXCEPTION 'table "%" has a partition policy already', "table"
            USING ERRCODE = 'duplicate_object',
                  HINT = 'Change it with teamscale.alter_partition_policy(), or end it with teamscale.drop_partition_policy().';
    END IF;
    IF (SELECT relkind FROM pg_class WHERE oid = "table") <> 'p' THEN
        RAISE EXCEPTION 'table "%" is not partitioned', "table"
            USING ERRCODE = 'wrong_object_type',
                  HINT = 'A table is created as a partitioned one, with PARTITION BY.';
    END IF;
    level_1 := jsonb_build_object(
        'relation', "table"::oid, 'level', 1, 'kind', kind, 'premake', premake, 'time_zone', time_zone, 'epoch', epoch,
        'values', "values", 'modulus', modulus, 'name_template', name_template,
        'default_partition', default_partition AND kind <> 'hash', 'retain', retain, 'on_expiry', on_expiry,
        'move_to', move_to, 'tablespaces', tablespaces, 'before_drop', before_drop::oid, 'storage', storage,
        'key', teamscale_internal.column_number("table", "column"),
        'steps', jsonb_build_array(jsonb_build_object('from', NULL, 'every', every)));
    levels := jsonb_build_array(level_1);
    IF sub_policy IS NOT NULL THEN
        levels := levels || teamscale_internal.sub_policy_level("table", sub_policy);
    END IF;
    PERFORM teamscale_internal.store_partition_policy("table", levels);
    PERFORM teamscale_internal.create_planned_partitions("table");
END
$$;
COMMENT ON FUNCTION teamscale.create_partition_policy(regclass, name, text, text, integer, text, text, name, text, text, jsonb, integer, jsonb,
        text, boolean, regprocedure, jsonb, jsonb) IS
    'Gives a partitioned table a policy by which maintenance makes and ends its partitions. every: an interval or a number, of range '
    'partitions; premake: how many periods ahead; retain: an interval, or a number of periods; on_expiry: drop, detach or move (to '
    'schema move_to); time_zone: in which days and months begin, of instants; epoch: seconds or milliseconds, of integer columns; '
    'values: of list partitions, an array of values or of arrays of values; modulus: of hash partitions; tablespaces: '
    '{"age": "tablespace"}; name_template: with {table}, {period}, {from}, {to}, {value}, {modulus}, {remainder}; before_drop: a '
    'function (regclass) returns boolean that may refuse; sub_policy: column, every, kind and so on of the partitions'' own partitions; '
    'storage: storage parameters of new partitions, as {"fillfactor": 70}.';

CREATE FUNCTION teamscale_internal.column_number("table" regclass, "column" name) RETURNS smallint
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.attnum FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attname = "column" AND a.attnum > 0 AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION teamscale_internal.column_number(regclass, name) IS 'The number of a column; null when there is none of that name.';

CREATE FUNCTION teamscale_internal.sub_policy_level("table" regclass, sub_policy jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    "column" name := sub_policy ->> 'column';
    kind text := coalesce(sub_policy ->> 'kind', 'range');
    unknown text;
BEGIN
    SELECT string_agg(quote_literal(k), ', ') INTO unknown FROM jsonb_object_keys(sub_policy) AS k
    WHERE k NOT IN ('column', 'kind', 'every', 'premake', 'time_zone', 'epoch', 'values', 'modulus', 'name_template', 'default_partition');
    IF unknown IS NOT NULL OR teamscale_internal.column_number("table", "column") IS NULL THEN
        RAISE EXCEPTION 'invalid sub_policy' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = coalesce(format('It has the unknown keys %s.', unknown), format('Its column %L does not exist.', "column")),
            HINT = 'Its keys are column, kind, every, premake, time_zone, epoch, values, modulus, name_template, default_partition.';
    END IF;
    RETURN jsonb_build_object(
        'relation', "table"::oid, 'level', 2, 'kind', kind, 'premake', coalesce(sub_policy -> 'premake', '4'),
        'time_zone', coalesce(sub_policy ->> 'time_zone', 'UTC'), 'epoch', sub_policy -> 'epoch', 'values', sub_policy -> 'values',
        'modulus', sub_policy -> 'modulus', 'name_template', coalesce(sub_policy ->> 'name_template', '{table}_{period}'),
        'default_partition', coalesce((sub_policy ->> 'default_partition')::boolean, true) AND kind <> 'hash', 'on_expiry', 'drop',
        'key', teamscale_internal.column_number("table", "column"),
        'steps', jsonb_build_array(jsonb_build_object('from', NULL, 'every', sub_policy ->> 'every')));
END
$$;
COMMENT ON FUNCTION teamscale_internal.sub_policy_level(regclass, jsonb) IS 'A sub_policy as level 2 of a policy; raises 22023 when it is none.';

CREATE FUNCTION teamscale_internal.require_partition_policy("table" regclass) RETURNS jsonb
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    levels jsonb;
BEGIN
    PERFORM teamscale_internal.require_table_owner("table");
    levels := teamscale_internal.read_partition_policy("table");
    IF levels IS NULL THEN
        RAISE EXCEPTION 'table "%" has no partition policy', "table"
            USING ERRCODE = 'undefined_object', HINT = 'Give it one with teamscale.create_partition_policy().';
    END IF;
    RETURN levels;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_partition_policy(regclass) IS
    'The policy of a table of the caller''s; raises 42501 or 42704 when there is none.';

-- Where on its axis a user's text is, so that it means the same in every session.
CREATE FUNCTION teamscale_internal.canonical_point("table" regclass, key smallint, epoch text, point text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN t.type IN ('date'::regtype, 'timestamp'::regtype) THEN to_char(point::timestamp, 'YYYY-MM-DD HH24:MI:SS.US')
                WHEN t.type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) AND epoch IS NULL THEN (point::bigint)::text
                ELSE to_char(point::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00' END
    FROM (SELECT coalesce(nullif(b.typbasetype, 0), b.oid)::regtype AS type
          FROM pg_attribute AS a JOIN pg_type AS b ON b.oid = a.atttypid WHERE a.attrelid = "table" AND a.attnum = key) AS t
$$;
COMMENT ON FUNCTION teamscale_internal.canonical_point(regclass, smallint, text, text) IS
    'A bound that a user gave of a policy''s column: a number, a timestamp, or a timestamp in UTC; null for null.';

CREATE FUNCTION teamscale.alter_partition_policy(
        "table" regclass, every text DEFAULT NULL, "from" text DEFAULT NULL, premake integer DEFAULT NULL, retain text DEFAULT NULL,
        on_expiry text DEFAULT NULL, move_to name DEFAULT NULL, "values" jsonb DEFAULT NULL, modulus integer DEFAULT NULL,
        tablespaces jsonb DEFAULT NULL, name_template text DEFAULT NULL, default_partition boolean DEFAULT NULL,
        before_drop regprocedure DEFAULT NULL, accept_clock boolean DEFAULT false, storage jsonb DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    levels jsonb := teamscale_internal.require_partition_policy("table");
    steps jsonb := levels -> 0 -> 'steps';
BEGIN
    PERFORM teamscale_internal.require_known_choices(on_expiry, NULL);
    PERFORM teamscale_internal.require_storage(storage);
    IF "from" IS NOT NULL AND every IS NULL THEN
        RAISE EXCEPTION 'from is given without every' USING ERRCODE = 'invalid_parameter_value',
            HINT = 'every is the width of the partitions from that bound on.';
    END IF;
    IF every IS NOT NULL THEN
        "from" := teamscale_internal.canonical_point("table", (levels -> 0 ->> 'key')::smallint, levels -> 0 ->> 'epoch', "from");
        SELECT coalesce(jsonb_agg(s) FILTER (WHERE (s ->> 'from') IS DISTINCT FROM "from"), '[]')
            || jsonb_build_array(jsonb_build_object('from', "from", 'every', every)) INTO steps
        FROM jsonb_array_elements(CASE WHEN "from" IS NULL THEN '[]' ELSE steps END) AS s;
    END IF;
    levels := jsonb_set(levels, '{0}', levels -> 0 || jsonb_build_object('steps', steps)
        || jsonb_strip_nulls(jsonb_build_object(
            'premake', premake, 'retain', retain, 'on_expiry', on_expiry, 'move_to', move_to, 'values', "values",
            'modulus', modulus, 'tablespaces', tablespaces, 'name_template', name_template, 'default_partition', default_partition,
            'before_drop', before_drop::oid, 'storage', storage)));
    -- An empty text ends what can be absent.
    levels := jsonb_set(levels, '{0}', (SELECT jsonb_object_agg(k, CASE WHEN k IN ('retain', 'move_to') AND v = '""' THEN 'null' ELSE v END)
                                        FROM jsonb_each(levels -> 0) AS e (k, v)));
    PERFORM teamscale_internal.store_partition_policy("table", levels);
    IF accept_clock THEN
        PERFORM teamscale_internal.accept_partition_clock("table");
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale.alter_partition_policy(regclass, text, text, integer, text, text, name, jsonb, integer, jsonb, text, boolean,
        regprocedure, boolean, jsonb) IS
    'Changes what is given of a policy; the rest stays. every with from: the width of the partitions from that bound on; retain => '''' '
    'ends the retention; accept_clock: the server''s clock is right although it has jumped, so partitions expire by it again.';

CREATE FUNCTION teamscale_internal.accept_partition_clock("table" regclass) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_accept_partition_clock';
COMMENT ON FUNCTION teamscale_internal.accept_partition_clock(regclass) IS
    'Makes the present time the one by which the last maintenance of a table of the caller''s went.';

CREATE FUNCTION teamscale.drop_partition_policy("table" regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM teamscale_internal.require_partition_policy("table");
    PERFORM teamscale_internal.store_partition_policy("table", '[]');
END
$$;
COMMENT ON FUNCTION teamscale.drop_partition_policy(regclass) IS 'Ends the policy of a table; its partitions stay.';
