-- What a table uses and another node may lack: schemas, types, collations, functions and sequences are made there before
-- the table; whatever else is missing is refused with the list.

CREATE FUNCTION teamscale_internal.create_type_statement(type oid) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE t.typtype
        WHEN 'e' THEN format('CREATE TYPE %s AS ENUM (%s)', type::regtype,
            (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = type))
        WHEN 'c' THEN format('CREATE TYPE %s AS (%s)', type::regtype,
            (SELECT string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                                      CASE WHEN a.attcollation <> b.typcollation THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END),
                               ', ' ORDER BY a.attnum)
             FROM pg_attribute AS a JOIN pg_type AS b ON b.oid = a.atttypid
             WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
        WHEN 'd' THEN format('CREATE DOMAIN %s AS %s%s%s%s%s', type::regtype, format_type(t.typbasetype, t.typtypmod),
            (SELECT ' COLLATE ' || t.typcollation::regcollation FROM pg_type AS b WHERE b.oid = t.typbasetype AND b.typcollation <> t.typcollation),
            coalesce(' DEFAULT ' || t.typdefault, ''), CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END,
            (SELECT coalesce(string_agg(format(' CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), '' ORDER BY conname), '')
             FROM pg_constraint WHERE contypid = type AND convalidated))
        WHEN 'r' THEN (
            SELECT format('CREATE TYPE %s AS RANGE (SUBTYPE = %s, SUBTYPE_OPCLASS = %I.%I%s%s, MULTIRANGE_TYPE_NAME = %s)', type::regtype,
                          r.rngsubtype::regtype, c.opcnamespace::regnamespace::name, c.opcname,
                          CASE WHEN r.rngcollation <> 0 THEN ', COLLATION = ' || r.rngcollation::regcollation ELSE '' END,
                          CASE WHEN r.rngsubdiff <> 0 THEN format(', SUBTYPE_DIFF = %s', r.rngsubdiff::regproc) ELSE '' END,
                          r.rngmultitypid::regtype)
            FROM pg_range AS r JOIN pg_opclass AS c ON c.oid = r.rngsubopc WHERE r.rngtypid = type AND r.rngcanonical = 0) END
    FROM pg_type AS t
    WHERE t.oid = type AND (t.typtype <> 'c' OR (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c')
$$;
COMMENT ON FUNCTION teamscale_internal.create_type_statement(oid) IS
    'What makes an enum, composite, domain or range type; null for types that something else makes.';

CREATE FUNCTION teamscale_internal.unvalidated_constraint_statements(type oid) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', type::regtype, conname, pg_get_constraintdef(oid))
                 FROM pg_constraint WHERE contypid = type AND NOT convalidated ORDER BY conname)
$$;
COMMENT ON FUNCTION teamscale_internal.unvalidated_constraint_statements(oid) IS
    'What gives a domain the constraints that CREATE DOMAIN cannot make: those that are NOT VALID.';

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

-- A schema, collation, type or routine: how it is made and how it looks where it is already. Nulls for everything else.
CREATE FUNCTION teamscale_internal.makeable(class regclass, object oid,
                                            OUT kind text, OUT name text, OUT definition text, OUT lookup text,
                                            OUT owner oid, OUT privileges aclitem[], OUT additions text[])
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'SCHEMA', quote_ident(nspname), format('CREATE SCHEMA %I', nspname),
           'SELECT format(''CREATE SCHEMA %%I'', nspname) FROM pg_catalog.pg_namespace WHERE oid = to_regnamespace(%L)', nspowner, nspacl, '{}'::text[]
    FROM pg_namespace WHERE class = 'pg_namespace'::regclass AND oid = object
    UNION ALL
    SELECT 'COLLATION', oid::regcollation::text, teamscale_internal.create_collation_statement(oid),
           'SELECT teamscale_internal.create_collation_statement(to_regcollation(%L))', collowner, NULL, '{}'
    FROM pg_collation WHERE class = 'pg_collation'::regclass AND oid = object
    UNION ALL
    SELECT CASE typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, oid::regtype::text, teamscale_internal.create_type_statement(oid),
           'SELECT teamscale_internal.create_type_statement(to_regtype(%L))', typowner, typacl,
           teamscale_internal.unvalidated_constraint_statements(oid)
    FROM pg_type WHERE class = 'pg_type'::regclass AND oid = object
    UNION ALL
    SELECT 'ROUTINE', oid::regprocedure::text, pg_get_functiondef(oid),
           'SELECT pg_catalog.pg_get_functiondef(to_regprocedure(%L))', proowner, proacl, '{}'
    FROM pg_proc WHERE class = 'pg_proc'::regclass AND oid = object AND prokind IN ('f', 'p')
$$;
COMMENT ON FUNCTION teamscale_internal.makeable(regclass, oid) IS
    'How an object that another node lacks is made there: its definition, and a query for the definition that is there.';

-- Roles and tablespaces belong to the server.
CREATE FUNCTION teamscale_internal.used_server_objects("table" regclass) RETURNS TABLE (class regclass, object oid)
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH own (class, object) AS (
        SELECT 'pg_class'::regclass::oid, r FROM unnest("table"::oid || teamscale_internal.dependent_views("table")::oid[]) AS r
        UNION SELECT 'pg_class'::regclass, sequence FROM teamscale_internal.owned_sequences("table")
        UNION SELECT u.class, u.object
        FROM teamscale_internal.used_objects("table") AS u CROSS JOIN LATERAL teamscale_internal.makeable(u.class, u.object) AS m
        WHERE m.definition IS NOT NULL
    ), part (class, object) AS (
        SELECT class, object FROM own
        UNION SELECT p.part_class, p.part FROM own CROSS JOIN LATERAL teamscale_internal.parts_of(own.class, own.object) AS p
        WHERE own.class = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = own.object AND c.relkind IN ('r', 'p', 'v')))
    SELECT DISTINCT d.refclassid::regclass, d.refobjid
    FROM part AS p JOIN pg_shdepend AS d ON d.classid = p.class AND d.objid = p.object
    WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND d.refclassid IN ('pg_authid'::regclass, 'pg_tablespace'::regclass)
    UNION
    SELECT 'pg_tablespace'::regclass, c.reltablespace
    FROM part AS p JOIN pg_class AS c ON p.class = 'pg_class'::regclass AND c.oid = p.object WHERE c.reltablespace <> 0
$$;
COMMENT ON FUNCTION teamscale_internal.used_server_objects(regclass) IS
    'The roles and tablespaces that a table, its parts, the views on it and what they rest on refer to.';

CREATE FUNCTION teamscale_internal.local_node_name() RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT n.name FROM teamscale_internal.node AS n JOIN teamscale_internal.local_node AS l USING (node_id)
$$;
COMMENT ON FUNCTION teamscale_internal.local_node_name() IS 'What this node is called.';

-- Makes an object unless it exists, and refuses one of the same name that is another.
CREATE FUNCTION teamscale_internal.require_object(name text, lookup text, definition text, definitions text[], privileges text) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present text;
    statement text;
BEGIN
    EXECUTE lookup INTO present;
    IF present = definition THEN RETURN; END IF;
    IF present IS NOT NULL THEN
        RAISE EXCEPTION '% exists on node "%" with another definition', name, teamscale_internal.local_node_name()
            USING ERRCODE = 'duplicate_object',
                  DETAIL = format(E'There it is:\n%s\nIt should be:\n%s', present, definition),
                  HINT = 'Make it the same on all nodes with teamscale.run_on_all_nodes().';
    END IF;
    PERFORM teamscale_internal.define_here(definition);
    FOREACH statement IN ARRAY definitions LOOP PERFORM teamscale_internal.define_here(statement); END LOOP;
    EXECUTE privileges;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_object(text, text, text, text[], text) IS
    'Makes an object with its owner, comment and privileges where lookup finds none; 42710 when it finds another definition.';
REVOKE ALL ON FUNCTION teamscale_internal.require_object(text, text, text, text[], text) FROM PUBLIC;

-- What must be there: objects as pg_identify_object_as_address() gives them, with a description.
CREATE FUNCTION teamscale_internal.require_present("table" text, objects jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted record;
    missing text;
BEGIN
    FOR wanted IN SELECT * FROM jsonb_to_recordset(objects) AS o (type text, names text[], args text[], description text) LOOP
        BEGIN
            PERFORM pg_get_object_address(wanted.type, wanted.names, wanted.args);
        EXCEPTION WHEN undefined_object OR undefined_table OR undefined_function OR undefined_column OR invalid_schema_name
                       OR wrong_object_type THEN
            missing := concat_ws(E'\n', missing, wanted.description);
        END;
    END LOOP;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'node "%" lacks what table "%" uses', teamscale_internal.local_node_name(), "table"
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = missing,
                  HINT = 'Create it there first; teamscale.run_on_all_nodes() creates objects on all nodes.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_present(text, jsonb) IS
    'Raises 55000 with the list of those objects that this node lacks.';
REVOKE ALL ON FUNCTION teamscale_internal.require_present(text, jsonb) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.prerequisite_calls("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT teamscale_internal.require_present(%L, %L)', "table",
                  jsonb_agg(jsonb_build_object('type', a.type, 'names', a.object_names, 'args', a.object_args,
                                               'description', pg_describe_object(class, object, 0)) ORDER BY class, object))
    FROM (SELECT * FROM teamscale_internal.used_server_objects("table")
          UNION ALL
          SELECT u.class, u.object
          FROM teamscale_internal.used_objects("table") AS u
               LEFT JOIN LATERAL teamscale_internal.makeable(u.class, u.object) AS m ON true
          WHERE m.definition IS NULL
            -- Sequences are looked at on their own.
            AND NOT (u.class = 'pg_class'::regclass
                     AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = u.object AND c.relkind = 'S'))) AS o
         CROSS JOIN LATERAL pg_identify_object_as_address(class, object, 0) AS a
    HAVING count(*) > 0
    UNION ALL
    SELECT statement FROM (
        SELECT format('SELECT teamscale_internal.require_object(%L, %L, %L, %L, %L)', lower(m.kind) || ' ' || m.name, format(m.lookup, m.name),
                      m.definition,
                      m.additions || format('ALTER %s %s OWNER TO %I', m.kind, m.name, pg_get_userbyid(m.owner))
                          || ARRAY(SELECT * FROM teamscale_internal.comment_statement(m.kind, m.name, u.class, u.object)),
                      CASE WHEN m.kind = 'COLLATION' THEN 'SELECT 1'
                           ELSE teamscale_internal.privilege_call(replace(m.kind, 'DOMAIN', 'TYPE'), m.name, NULL, m.owner, m.privileges) END)
                   AS statement
        FROM teamscale_internal.used_objects("table") AS u CROSS JOIN LATERAL teamscale_internal.makeable(u.class, u.object) AS m
        WHERE m.definition IS NOT NULL
        ORDER BY u.place) AS s
    UNION ALL
    SELECT * FROM teamscale_internal.sequence_calls("table")
$$;
COMMENT ON FUNCTION teamscale_internal.prerequisite_calls(regclass) IS
    'What another node runs before a table can be made there; each does nothing where its object exists already.';
