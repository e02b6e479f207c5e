-- What a table uses and another node may lack: schemas, types, functions and free sequences, made there before the table.

-- The objects that a table, its views and the objects found so far refer to, those first on which others rest.
CREATE FUNCTION teamscale_internal.used_objects("table" regclass) RETURNS TABLE (class regclass, object oid)
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE used (class, object, depth) AS (
        SELECT 'pg_class'::regclass::oid, "table"::oid, 0
        UNION SELECT 'pg_class'::regclass, v, 0 FROM unnest(teamscale_internal.dependent_views("table")) AS v
        UNION
        SELECT next.class, next.object, used.depth + 1
        FROM used CROSS JOIN LATERAL (
            -- What belongs to a table or type, and what that refers to.
            SELECT d.classid AS class, d.objid AS object FROM pg_depend AS d
            WHERE d.refclassid = used.class AND d.refobjid = used.object AND d.deptype IN ('a', 'i') AND used.depth < 20
              AND d.classid IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass,
                                'pg_policy'::regclass, 'pg_statistic_ext'::regclass, 'pg_rewrite'::regclass, 'pg_class'::regclass)
            UNION ALL
            SELECT d.refclassid, d.refobjid FROM pg_depend AS d
            WHERE d.classid = used.class AND d.objid = used.object AND d.refobjid >= 16384 AND used.depth < 20
            UNION ALL
            SELECT 'pg_class'::regclass, t.typrelid FROM pg_type AS t
            WHERE used.class = 'pg_type'::regclass AND t.oid = used.object AND t.typrelid <> 0) AS next)
    SELECT class::regclass, object FROM used
    WHERE class IN ('pg_namespace'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass, 'pg_collation'::regclass,
                    'pg_class'::regclass)
      AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = used.class AND e.objid = used.object AND e.deptype = 'e')
    GROUP BY class, object ORDER BY max(depth) DESC
$$;
COMMENT ON FUNCTION teamscale_internal.used_objects(regclass) IS
    'Schemas, types, functions, collations and relations that a table rests on, in the order of their making; not extensions'' own.';

CREATE FUNCTION teamscale_internal.create_type_statement(type oid) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE t.typtype
        WHEN 'e' THEN format('CREATE TYPE %s AS ENUM (%s)', type::regtype,
            (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = type))
        WHEN 'c' THEN format('CREATE TYPE %s AS (%s)', type::regtype,
            (SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped))
        WHEN 'd' THEN format('CREATE DOMAIN %s AS %s%s%s%s', type::regtype, format_type(t.typbasetype, t.typtypmod),
            coalesce(' DEFAULT ' || t.typdefault, ''), CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END,
            (SELECT coalesce(string_agg(format(' CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), '' ORDER BY conname), '')
             FROM pg_constraint WHERE contypid = type))
        WHEN 'r' THEN (SELECT format('CREATE TYPE %s AS RANGE (subtype = %s)', type::regtype, rngsubtype::regtype)
                       FROM pg_range WHERE rngtypid = type) END
    FROM pg_type AS t
    WHERE t.oid = type AND (t.typtype <> 'c' OR (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c')
$$;
COMMENT ON FUNCTION teamscale_internal.create_type_statement(oid) IS
    'What makes an enum, composite, domain or range type; null for types that something else makes.';

CREATE FUNCTION teamscale_internal.create_collation_statement("collation" oid) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CREATE COLLATION %s (%s, DETERMINISTIC = %s)', c.oid::regcollation,
                  CASE c.collprovider
                      WHEN 'i' THEN format('PROVIDER = icu, LOCALE = %L', c.colliculocale)
                      ELSE format('PROVIDER = libc, LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype) END,
                  c.collisdeterministic::text)
    FROM pg_collation AS c WHERE c.oid = "collation"
$$;
COMMENT ON FUNCTION teamscale_internal.create_collation_statement(oid) IS 'What makes a collation.';

-- Makes an object unless it exists, and refuses one of the same name that is another.
CREATE FUNCTION teamscale_internal.require_object(name text, existing text, wanted text, statement text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF existing IS NULL THEN
        EXECUTE statement;
    ELSIF existing <> wanted THEN
        RAISE EXCEPTION '% exists on a node with another definition', name
            USING ERRCODE = 'duplicate_object',
                  DETAIL = format(E'There it is:\n%s\nIt should be:\n%s', existing, wanted),
                  HINT = 'Make it the same on all nodes with teamscale.run_on_all_nodes().';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_object(text, text, text, text) IS
    'Runs statement when existing is null; raises 42710 when it differs from wanted.';
REVOKE ALL ON FUNCTION teamscale_internal.require_object(text, text, text, text) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.prerequisite_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = "table"
    UNION ALL
    SELECT statement
    FROM ROWS FROM (teamscale_internal.used_objects("table")) WITH ORDINALITY AS u (class, object, position)
         CROSS JOIN LATERAL (
             SELECT format('CREATE SCHEMA IF NOT EXISTS %I', nspname) AS statement FROM pg_namespace
             WHERE u.class = 'pg_namespace'::regclass AND oid = u.object AND nspname NOT LIKE 'teamscale%'
             UNION ALL
             SELECT format('SELECT teamscale_internal.require_object(%L, teamscale_internal.create_collation_statement(to_regcollation(%L)), %L, %L)',
                           'collation ' || u.object::regcollation, u.object::regcollation, definition, definition)
             FROM teamscale_internal.create_collation_statement(u.object) AS definition
             WHERE u.class = 'pg_collation'::regclass AND definition IS NOT NULL
             UNION ALL
             SELECT format('SELECT teamscale_internal.require_object(%L, teamscale_internal.create_type_statement(to_regtype(%L)), %L, %L)',
                           'type ' || u.object::regtype, u.object::regtype, definition, definition)
             FROM teamscale_internal.create_type_statement(u.object) AS definition
             WHERE u.class = 'pg_type'::regclass AND definition IS NOT NULL
             UNION ALL
             SELECT format('SELECT teamscale_internal.require_object(%L, pg_get_functiondef(to_regprocedure(%L)), %L, %L)',
                           'function ' || u.object::regprocedure, u.object::regprocedure, definition, definition)
             FROM pg_proc AS p CROSS JOIN LATERAL pg_get_functiondef(p.oid) AS definition
             WHERE u.class = 'pg_proc'::regclass AND p.oid = u.object AND p.prokind IN ('f', 'p')
             UNION ALL
             SELECT format('CREATE SEQUENCE IF NOT EXISTS %s AS %s %s', u.object::regclass, s.seqtypid::regtype,
                           teamscale_internal.sequence_options(u.object::regclass, false))
             FROM pg_sequence AS s WHERE u.class = 'pg_class'::regclass AND s.seqrelid = u.object
               -- An identity column makes its own.
               AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = u.object AND deptype = 'i')
         ) AS s
$$;
COMMENT ON FUNCTION teamscale_internal.prerequisite_statements(regclass) IS
    'What another node runs before a table can be made there; each does nothing where its object exists already.';
