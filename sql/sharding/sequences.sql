-- Sequences of sharded tables. Each node has its own; they give values that are unique in the cluster because each node's
-- has a range of 2^48 values: node n that which begins (n - 1) * 2^48 above the base. The base is 0 unless a sequence had
-- gone further before the table was sharded.

-- The sequences that belong to columns: of serial columns, and of identity columns.
CREATE FUNCTION teamscale_internal.owned_sequences("table" regclass)
    RETURNS TABLE (sequence regclass, "column" name, identity boolean, column_type regtype)
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.objid::regclass, a.attname, d.deptype = 'i', a.atttypid::regtype
    FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
         JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = "table"
      AND d.deptype IN ('a', 'i')
    ORDER BY a.attnum
$$;
COMMENT ON FUNCTION teamscale_internal.owned_sequences(regclass) IS 'The sequences of a table''s serial and identity columns.';

-- Those, and the ones that only a default calls.
CREATE FUNCTION teamscale_internal.used_sequences("table" regclass)
    RETURNS TABLE (sequence regclass, "column" name, column_type regtype)
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT sequence, "column", column_type FROM teamscale_internal.owned_sequences("table")
    UNION
    SELECT d.refobjid::regclass, a.attname, a.atttypid::regtype
    FROM pg_attrdef AS e JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid
         JOIN pg_class AS c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid AND c.relkind = 'S'
         JOIN pg_attribute AS a ON a.attrelid = e.adrelid AND a.attnum = e.adnum
    WHERE e.adrelid = "table"
$$;
COMMENT ON FUNCTION teamscale_internal.used_sequences(regclass) IS
    'The sequences that a table''s columns take values from, and the columns.';

-- What else has to do with a sequence: owns it, or takes values from it by a default.
CREATE FUNCTION teamscale_internal.other_users_of_sequence(sequence regclass, "table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_describe_object('pg_class'::regclass, d.refobjid, d.refobjsubid)
    FROM pg_depend AS d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = sequence AND d.refclassid = 'pg_class'::regclass
      AND d.deptype IN ('a', 'i') AND d.refobjid IS DISTINCT FROM "table"
    UNION
    SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM pg_depend AS d LEFT JOIN pg_attrdef AS e ON d.classid = 'pg_attrdef'::regclass AND e.oid = d.objid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = sequence AND d.deptype = 'n'
      AND coalesce(pg_partition_root(e.adrelid), e.adrelid) IS DISTINCT FROM "table"
$$;
COMMENT ON FUNCTION teamscale_internal.other_users_of_sequence(regclass, regclass) IS
    'Who owns a sequence or depends on it, apart from one table and its leaves.';

CREATE FUNCTION teamscale_internal.sequence_options(sequence regclass) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s',
                  seqincrement, seqmin, seqmax, seqstart, seqcache, CASE WHEN seqcycle THEN ' CYCLE' ELSE '' END)
    FROM pg_sequence WHERE seqrelid = sequence
$$;
COMMENT ON FUNCTION teamscale_internal.sequence_options(regclass) IS 'A sequence''s options as CREATE SEQUENCE writes them.';

-- Serial columns' sequences belong to them again, once the table has its owner.
CREATE FUNCTION teamscale_internal.owning_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER SEQUENCE %s OWNED BY %s.%I', sequence, "table", "column")
    FROM teamscale_internal.owned_sequences("table") WHERE NOT identity
$$;
COMMENT ON FUNCTION teamscale_internal.owning_statements(regclass) IS 'ALTER SEQUENCE OWNED BY for the sequences of serial columns.';

CREATE FUNCTION teamscale_internal.require_sequence(name text, definition text, definitions text[], privileges text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    statement text;
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RAISE EXCEPTION 'relation "%" already exists', name
            USING ERRCODE = 'duplicate_table', HINT = 'The table needs a sequence of this name on every node.';
    END IF;
    PERFORM teamscale_internal.define_here(format('CREATE SEQUENCE %s %s', name, definition));
    FOREACH statement IN ARRAY definitions LOOP PERFORM teamscale_internal.define_here(statement); END LOOP;
    FOREACH statement IN ARRAY privileges LOOP EXECUTE statement; END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_sequence(text, text, text[], text[]) IS
    'Makes a sequence that a table uses; 42P07 when something else has its name.';
REVOKE ALL ON FUNCTION teamscale_internal.require_sequence(text, text, text[], text[]) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.drop_unused_sequence(sequence text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF to_regclass(sequence) IS NOT NULL
       AND NOT EXISTS (SELECT FROM teamscale_internal.other_users_of_sequence(to_regclass(sequence), NULL)) THEN
        PERFORM teamscale_internal.define_here(format('DROP SEQUENCE %s', sequence));
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.drop_unused_sequence(text) IS
    'Drops a sequence that require_sequence() made, unless another table uses it now.';
REVOKE ALL ON FUNCTION teamscale_internal.drop_unused_sequence(text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.sequence_calls("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT format('SELECT teamscale_internal.require_sequence(%L, %L, %L, %L)', u.sequence,
        format('AS %s %s', s.seqtypid::regtype, teamscale_internal.sequence_options(u.sequence)),
        ARRAY[format('ALTER SEQUENCE %s OWNER TO %I', u.sequence, pg_get_userbyid(c.relowner))]
            || ARRAY(SELECT * FROM teamscale_internal.comment_statement('SEQUENCE', u.sequence::text, 'pg_class', u.sequence)),
        ARRAY(SELECT * FROM teamscale_internal.privilege_calls(u.sequence)))
    FROM teamscale_internal.used_sequences("table") AS u JOIN pg_sequence AS s ON s.seqrelid = u.sequence
         JOIN pg_class AS c ON c.oid = u.sequence
    -- An identity column makes its own, and what another sharded table uses is there already.
    WHERE NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = u.sequence AND deptype = 'i')
      AND NOT EXISTS (SELECT FROM teamscale_internal.sharded_table AS t
                           CROSS JOIN LATERAL teamscale_internal.used_sequences(t.relation) AS o
                      WHERE t.relation <> "table" AND o.sequence = u.sequence)
$$;
COMMENT ON FUNCTION teamscale_internal.sequence_calls(regclass) IS 'What makes the sequences of a table''s defaults on another node.';

-- --- Ranges --------------------------------------------------------------------------------------------------------------

CREATE FUNCTION teamscale_internal.has_range(sequence regclass) RETURNS boolean
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT seqmax::numeric - seqmin = (1::bigint << 48) - 1 AND seqmin & ((1::bigint << 48) - 1) = 1 FROM pg_sequence WHERE seqrelid = sequence
$$;
COMMENT ON FUNCTION teamscale_internal.has_range(regclass) IS 'Whether a sequence has the range of a node.';

CREATE FUNCTION teamscale_internal.set_sequence_range(sequence regclass, base bigint, start bigint, last bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    node bigint := (SELECT l.node_id FROM teamscale_internal.local_node AS l);
    lowest bigint := base + ((node - 1) << 48) + 1;
    highest bigint := base + (node << 48);
BEGIN
    PERFORM teamscale_internal.define_here(format('ALTER SEQUENCE %s MINVALUE %s MAXVALUE %s START WITH %s RESTART',
                                                  sequence, lowest, highest, lowest + start));
    IF last BETWEEN lowest AND highest THEN PERFORM setval(sequence, last, true); END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.set_sequence_range(regclass, bigint, bigint, bigint) IS
    'Gives a sequence the range of this node: it begins start above its lowest value, or goes on behind last when that is in it.';
REVOKE ALL ON FUNCTION teamscale_internal.set_sequence_range(regclass, bigint, bigint, bigint) FROM PUBLIC;

-- Where the ranges begin: at the range that holds the value given last, which the first node goes on from. When that
-- node takes no part, it must not give these values later: above them then.
CREATE FUNCTION teamscale_internal.range_base(sequence regclass) RETURNS numeric
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT (((coalesce(pg_sequence_last_value(sequence), seqstart) - 1) >> 48)
            + CASE WHEN 1 = ANY (teamscale_internal.active_nodes()) THEN 0 ELSE 1 END) * (2::numeric ^ 48)
    FROM pg_sequence WHERE seqrelid = sequence
$$;
COMMENT ON FUNCTION teamscale_internal.range_base(regclass) IS 'The base of the ranges that a plain table''s sequence would get.';

CREATE FUNCTION teamscale_internal.range_call(sequence regclass) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT teamscale_internal.set_sequence_range(%L, %s, %s, %L)', sequence,
                  teamscale_internal.range_base(sequence)::bigint, (seqstart - 1) & ((1::bigint << 48) - 1),
                  pg_sequence_last_value(sequence))
    FROM pg_sequence WHERE seqrelid = sequence
$$;
COMMENT ON FUNCTION teamscale_internal.range_call(regclass) IS 'What gives a plain table''s sequence its range, on every node.';

CREATE FUNCTION teamscale_internal.range_calls("table" regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT teamscale_internal.range_call(sequence)
                 FROM (SELECT DISTINCT sequence FROM teamscale_internal.used_sequences("table")) AS u)
$$;
COMMENT ON FUNCTION teamscale_internal.range_calls(regclass) IS
    'What gives the sequences of a plain table that is being sharded their ranges, on every node.';

-- For a node that is added later.
CREATE FUNCTION teamscale_internal.added_range_calls("table" regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT format('SELECT teamscale_internal.set_sequence_range(%L, %s, %s, NULL)', sequence,
                               seqmin - 1 - ((l.node_id::bigint - 1) << 48), seqstart - seqmin)
                 FROM (SELECT DISTINCT sequence FROM teamscale_internal.used_sequences("table")) AS u
                      JOIN pg_sequence ON seqrelid = sequence CROSS JOIN teamscale_internal.local_node AS l
                 WHERE teamscale_internal.has_range(sequence))
$$;
COMMENT ON FUNCTION teamscale_internal.added_range_calls(regclass) IS
    'What gives the sequences of a sharded table their ranges on a node that did not have it.';

-- For a change of definitions on all nodes, which may give sharded tables new sequences, or take their ranges away. Those
-- of tables that were sharded with sequences => 'per_node' never had one.
CREATE FUNCTION teamscale_internal.sequences_without_range() RETURNS regclass[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT u.sequence), '{}')
    FROM teamscale_internal.sharded_table AS t CROSS JOIN LATERAL teamscale_internal.used_sequences(t.relation) AS u
    WHERE NOT teamscale_internal.has_range(u.sequence)
$$;
COMMENT ON FUNCTION teamscale_internal.sequences_without_range() IS
    'The sequences that sharded tables take values from and that have no range for each node.';

CREATE FUNCTION teamscale_internal.give_ranges_to_new_sequences(known regclass[]) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    nodes integer[] := teamscale_internal.active_nodes();
    found record;
    obstacles text;
BEGIN
    FOR found IN
        SELECT u.sequence, min(t.relation::oid)::regclass AS relation
        FROM teamscale_internal.sharded_table AS t CROSS JOIN LATERAL teamscale_internal.used_sequences(t.relation) AS u
        WHERE u.sequence = ANY (teamscale_internal.sequences_without_range()) AND u.sequence <> ALL (known)
        GROUP BY u.sequence ORDER BY u.sequence::text
    LOOP
        SELECT string_agg(o, E'\n') INTO obstacles FROM (
            SELECT * FROM teamscale_internal.sequence_obstacles(found.relation, ARRAY[found.sequence], true)
            UNION ALL
            -- Rows that are there already took them, on each node the same.
            SELECT format('sequence "%s" has given values already', found.sequence)
            WHERE EXISTS (SELECT FROM unnest(teamscale_internal.ask_nodes(nodes,
                              format('SELECT pg_catalog.pg_sequence_last_value(%L)', found.sequence))) AS v
                          WHERE v IS NOT NULL)) AS o (o);
        IF obstacles IS NOT NULL THEN
            RAISE EXCEPTION 'sequence "%" of sharded table "%" could give the same value on several nodes', found.sequence, found.relation
                USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = obstacles,
                      HINT = 'Add a bigint column without a default, then give it a sequence that has given no value: '
                          || 'ALTER TABLE ... ALTER COLUMN ... ADD GENERATED ... AS IDENTITY, or SET DEFAULT nextval(...). '
                          || 'Or call teamscale.undistribute_table() first.';
        END IF;
        PERFORM teamscale_internal.act_on_nodes(nodes, ARRAY[teamscale_internal.range_call(found.sequence)]);
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale_internal.give_ranges_to_new_sequences(regclass[]) IS
    'Gives sequences that sharded tables have taken into use a range for each node, but those that are known to have none; '
    '55000 for one that cannot have it.';
REVOKE ALL ON FUNCTION teamscale_internal.give_ranges_to_new_sequences(regclass[]) FROM PUBLIC;

-- When the table becomes a plain one here: what makes its sequences give no value that any node gave.
CREATE FUNCTION teamscale_internal.plain_sequence_statements("table" regclass) RETURNS text[]
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    used record;
    last bigint;
    statements text[] := '{}';
BEGIN
    FOR used IN SELECT DISTINCT sequence, seqmin, seqstart, seqincrement, teamscale_internal.has_range(sequence) AS ranged
                FROM teamscale_internal.used_sequences("table") JOIN pg_sequence ON seqrelid = sequence LOOP
        SELECT CASE WHEN used.seqincrement > 0 THEN max(v::bigint) ELSE min(v::bigint) END INTO last
        FROM unnest(teamscale_internal.ask_nodes(teamscale_internal.active_nodes(),
                        format('SELECT pg_catalog.pg_sequence_last_value(%L)', used.sequence))) AS v;
        IF used.ranged THEN
            statements := statements || format('ALTER SEQUENCE %s NO MINVALUE NO MAXVALUE START WITH %s RESTART', used.sequence,
                                               used.seqstart - used.seqmin + 1);
        END IF;
        IF last IS NOT NULL THEN
            statements := statements || format('SELECT pg_catalog.setval(%L, %s, true)', used.sequence, last);
        END IF;
    END LOOP;
    RETURN statements;
END
$$;
COMMENT ON FUNCTION teamscale_internal.plain_sequence_statements(regclass) IS
    'What takes the ranges off the sequences of a sharded table and makes them go on behind the furthest node''s.';
REVOKE ALL ON FUNCTION teamscale_internal.plain_sequence_statements(regclass) FROM PUBLIC;
