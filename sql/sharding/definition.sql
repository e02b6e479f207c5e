-- A table's definition as SQL, from the catalogs. All names come out qualified, as search_path is pinned to pg_catalog;
-- each function gives statements in the order in which they are to run. Works on plain and on partitioned tables.

-- One column as CREATE TABLE has it. Identity and serial columns get their sequence's range separately.
CREATE FUNCTION teamscale_internal.column_definition("table" regclass, number smallint) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0
             THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END,
        CASE WHEN a.attgenerated = 's' THEN format(' GENERATED ALWAYS AS (%s) STORED', pg_get_expr(d.adbin, d.adrelid))
             WHEN a.attidentity <> '' THEN format(' GENERATED %s AS IDENTITY (%s)',
                 CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END,
                 teamscale_internal.sequence_options(pg_get_serial_sequence("table"::text, a.attname)::regclass, true))
             WHEN d.adbin IS NOT NULL THEN format(' DEFAULT %s', pg_get_expr(d.adbin, d.adrelid))
             ELSE '' END,
        CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END)
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
         LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = "table" AND a.attnum = number
$$;
COMMENT ON FUNCTION teamscale_internal.column_definition(regclass, smallint) IS 'A column as CREATE TABLE writes it.';

CREATE FUNCTION teamscale_internal.sequence_options(sequence regclass, named boolean) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%sINCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s',
                  CASE WHEN named THEN format('SEQUENCE NAME %s ', sequence) ELSE '' END,
                  seqincrement, seqmin, seqmax, seqstart, seqcache, CASE WHEN seqcycle THEN ' CYCLE' ELSE '' END)
    FROM pg_sequence WHERE seqrelid = sequence
$$;
COMMENT ON FUNCTION teamscale_internal.sequence_options(regclass, boolean) IS
    'A sequence''s options as CREATE SEQUENCE writes them, with its name for an identity column.';

CREATE FUNCTION teamscale_internal.create_table_statement("table" regclass, partition_by text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CREATE TABLE %s (%s)%s', "table",
        (SELECT string_agg(teamscale_internal.column_definition("table", a.attnum), ', ' ORDER BY a.attnum)
         FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attnum > 0 AND NOT a.attisdropped),
        CASE WHEN partition_by IS NULL THEN '' ELSE ' PARTITION BY ' || partition_by END)
$$;
COMMENT ON FUNCTION teamscale_internal.create_table_statement(regclass, text) IS
    'CREATE TABLE with the columns alone; partition_by null makes a plain table.';

-- Column properties that CREATE TABLE does not take.
CREATE FUNCTION teamscale_internal.column_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER TABLE %s ALTER COLUMN %I %s', "table", a.attname, change)
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
         CROSS JOIN LATERAL (VALUES
             (CASE WHEN a.attstorage <> t.typstorage THEN 'SET STORAGE ' ||
                  CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END),
             (CASE a.attcompression WHEN 'p' THEN 'SET COMPRESSION pglz' WHEN 'l' THEN 'SET COMPRESSION lz4' END),
             (CASE WHEN a.attstattarget >= 0 THEN 'SET STATISTICS ' || a.attstattarget END),
             ((SELECT format('SET (%s)', string_agg(option, ', ')) FROM unnest(a.attoptions) AS option
               WHERE option LIKE 'n\_distinct%' HAVING count(*) > 0))) AS c (change)
    WHERE a.attrelid = "table" AND a.attnum > 0 AND NOT a.attisdropped AND change IS NOT NULL
    ORDER BY a.attnum
$$;
COMMENT ON FUNCTION teamscale_internal.column_statements(regclass) IS
    'ALTER TABLE for the storage, compression, statistics targets and options of columns.';

CREATE FUNCTION teamscale_internal.constraint_statements("table" regclass, with_foreign_keys boolean) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', "table", conname, pg_get_constraintdef(oid))
    FROM pg_constraint
    WHERE conrelid = "table" AND contype IN ('p', 'u', 'x', 'c', 'f') AND (contype <> 'f' OR with_foreign_keys)
      AND conparentid = 0
    ORDER BY array_position(ARRAY['c', 'p', 'u', 'x', 'f'], contype::text), conname
$$;
COMMENT ON FUNCTION teamscale_internal.constraint_statements(regclass, boolean) IS
    'ALTER TABLE ADD CONSTRAINT for checks, keys and foreign keys, those that others depend on first.';

CREATE FUNCTION teamscale_internal.index_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    -- Of a partitioned table's index ONLY is printed, which would leave the leaves out.
    SELECT replace(pg_get_indexdef(i.indexrelid), format(' ON ONLY %s ', "table"), format(' ON %s ', "table"))
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = "table"
      AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.conrelid = "table"
                                                       AND k.contype IN ('p', 'u', 'x'))
    ORDER BY c.relname
$$;
COMMENT ON FUNCTION teamscale_internal.index_statements(regclass) IS 'CREATE INDEX for indexes that no constraint makes.';

CREATE FUNCTION teamscale_internal.statistics_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT statement
    FROM pg_statistic_ext AS s
         CROSS JOIN LATERAL (VALUES
             (1, pg_get_statisticsobjdef(s.oid)),
             (2, CASE WHEN s.stxstattarget >= 0
                      THEN format('ALTER STATISTICS %I.%I SET STATISTICS %s', s.stxnamespace::regnamespace::name, s.stxname,
                                  s.stxstattarget) END)) AS p (step, statement)
    WHERE s.stxrelid = "table" AND statement IS NOT NULL
    ORDER BY s.stxname, step
$$;
COMMENT ON FUNCTION teamscale_internal.statistics_statements(regclass) IS 'CREATE STATISTICS for extended statistics.';

CREATE FUNCTION teamscale_internal.trigger_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT statement
    FROM pg_trigger AS t
         CROSS JOIN LATERAL (VALUES
             (1, pg_get_triggerdef(t.oid)),
             (2, CASE WHEN t.tgenabled <> 'O' THEN format('ALTER TABLE %s %s TRIGGER %I', "table",
                 CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END,
                 t.tgname) END)) AS p (step, statement)
    WHERE t.tgrelid = "table" AND NOT t.tgisinternal AND t.tgparentid = 0 AND statement IS NOT NULL
    ORDER BY t.tgname, step
$$;
COMMENT ON FUNCTION teamscale_internal.trigger_statements(regclass) IS
    'CREATE TRIGGER, and whether each is disabled, for replicas or for all.';

CREATE FUNCTION teamscale_internal.policy_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, "table",
        CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
        CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
        (SELECT string_agg(CASE WHEN role = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ')
         FROM unnest(p.polroles) AS role),
        coalesce(format(' USING (%s)', pg_get_expr(p.polqual, p.polrelid)), ''),
        coalesce(format(' WITH CHECK (%s)', pg_get_expr(p.polwithcheck, p.polrelid)), ''))
    FROM pg_policy AS p WHERE p.polrelid = "table"
    UNION ALL
    SELECT format('ALTER TABLE %s %s ROW LEVEL SECURITY', "table", change)
    FROM pg_class AS c
         CROSS JOIN LATERAL (VALUES (CASE WHEN c.relrowsecurity THEN 'ENABLE' END),
                                    (CASE WHEN c.relforcerowsecurity THEN 'FORCE' END)) AS p (change)
    WHERE c.oid = "table" AND change IS NOT NULL
$$;
COMMENT ON FUNCTION teamscale_internal.policy_statements(regclass) IS 'CREATE POLICY, and the switches of row security.';

-- Of a table or a view: its owner, and who may do what.
CREATE FUNCTION teamscale_internal.ownership_statements(relation regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER TABLE %s OWNER TO %I', relation, pg_get_userbyid(relowner)) FROM pg_class WHERE oid = relation
    UNION ALL
    SELECT format('REVOKE ALL ON %s FROM %I', relation, pg_get_userbyid(relowner)) FROM pg_class
    WHERE oid = relation AND relacl IS NOT NULL
    UNION ALL
    SELECT format('GRANT %s ON %s TO %s%s', string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type), relation,
                  CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
                  CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS g
    WHERE c.oid = relation GROUP BY g.grantee, g.is_grantable
    UNION ALL
    SELECT format('GRANT %s (%I) ON %s TO %s%s', g.privilege_type, a.attname, relation,
                  CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
                  CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS g
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION teamscale_internal.ownership_statements(regclass) IS 'Owner and privileges, of the relation and its columns.';

CREATE FUNCTION teamscale_internal.comment_statements(relation regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('COMMENT ON %s %s IS %L', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, relation,
                  obj_description(oid, 'pg_class'))
    FROM pg_class WHERE oid = relation AND obj_description(oid, 'pg_class') IS NOT NULL
    UNION ALL
    SELECT format('COMMENT ON COLUMN %s.%I IS %L', relation, a.attname, col_description(relation, a.attnum))
    FROM pg_attribute AS a
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND col_description(relation, a.attnum) IS NOT NULL
    UNION ALL
    SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', conname, relation, obj_description(oid, 'pg_constraint'))
    FROM pg_constraint WHERE conrelid = relation AND obj_description(oid, 'pg_constraint') IS NOT NULL
    UNION ALL
    SELECT format('COMMENT ON INDEX %s IS %L', indexrelid::regclass, obj_description(indexrelid, 'pg_class'))
    FROM pg_index WHERE indrelid = relation AND obj_description(indexrelid, 'pg_class') IS NOT NULL
    UNION ALL
    SELECT format('COMMENT ON TRIGGER %I ON %s IS %L', tgname, relation, obj_description(oid, 'pg_trigger'))
    FROM pg_trigger WHERE tgrelid = relation AND obj_description(oid, 'pg_trigger') IS NOT NULL
    UNION ALL
    SELECT format('COMMENT ON POLICY %I ON %s IS %L', polname, relation, obj_description(oid, 'pg_policy'))
    FROM pg_policy WHERE polrelid = relation AND obj_description(oid, 'pg_policy') IS NOT NULL
    UNION ALL
    SELECT format('COMMENT ON STATISTICS %I.%I IS %L', stxnamespace::regnamespace::name, stxname,
                  obj_description(oid, 'pg_statistic_ext'))
    FROM pg_statistic_ext WHERE stxrelid = relation AND obj_description(oid, 'pg_statistic_ext') IS NOT NULL
$$;
COMMENT ON FUNCTION teamscale_internal.comment_statements(regclass) IS
    'COMMENT ON for a relation, its columns, constraints, indexes, triggers, policies and statistics.';

-- What only tables with storage have: on a sharded table each leaf has it. %s stands for the table's name.
CREATE FUNCTION teamscale_internal.storage_templates("table" regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(template), '{}')
    FROM (SELECT format('ALTER TABLE %%s SET (%s)', string_agg(option, ', ')) AS template
          FROM pg_class AS c, unnest(c.reloptions) AS option WHERE c.oid = "table" HAVING count(*) > 0
          UNION ALL
          SELECT format('ALTER TABLE %%s SET (%s)', string_agg('toast.' || option, ', '))
          FROM pg_class AS c JOIN pg_class AS t ON t.oid = c.reltoastrelid, unnest(t.reloptions) AS option
          WHERE c.oid = "table" HAVING count(*) > 0
          UNION ALL
          SELECT format('ALTER TABLE %%s REPLICA IDENTITY %s', CASE relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END)
          FROM pg_class WHERE oid = "table" AND relreplident IN ('f', 'n')
          UNION ALL
          SELECT format('ALTER TABLE %%s SET TABLESPACE %I', s.spcname)
          FROM pg_class AS c JOIN pg_tablespace AS s ON s.oid = c.reltablespace WHERE c.oid = "table") AS t
$$;
COMMENT ON FUNCTION teamscale_internal.storage_templates(regclass) IS
    'Statements for storage options, replica identity and tablespace, with %s in place of the table.';

-- The views that read a table, directly or not, those that others read first.
CREATE FUNCTION teamscale_internal.dependent_views("table" regclass) RETURNS regclass[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE reader (view, depth) AS (
        SELECT r.ev_class, 1 FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = "table"
          AND r.ev_class <> "table"
        UNION
        SELECT r.ev_class, reader.depth + 1
        FROM reader JOIN pg_depend AS d ON d.refobjid = reader.view AND d.refclassid = 'pg_class'::regclass
             JOIN pg_rewrite AS r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
        WHERE r.ev_class <> reader.view)
    SELECT coalesce(array_agg(view::regclass ORDER BY depth, view), '{}')
    FROM (SELECT view, max(depth) AS depth FROM reader GROUP BY view) AS v
$$;
COMMENT ON FUNCTION teamscale_internal.dependent_views(regclass) IS
    'The views and materialized views that read a table, directly or through others, in the order of their making.';

CREATE FUNCTION teamscale_internal.view_statements(view regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CREATE VIEW %s%s AS %s', view,
                  coalesce((SELECT format(' WITH (%s)', string_agg(option, ', ')) FROM unnest(c.reloptions) AS option
                            HAVING count(*) > 0), ''),
                  pg_get_viewdef(view))
    FROM pg_class AS c WHERE c.oid = view
    UNION ALL
    SELECT format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', view, a.attname, pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = view
    UNION ALL SELECT * FROM teamscale_internal.trigger_statements(view)
    UNION ALL SELECT * FROM teamscale_internal.ownership_statements(view)
    UNION ALL SELECT * FROM teamscale_internal.comment_statements(view)
$$;
COMMENT ON FUNCTION teamscale_internal.view_statements(regclass) IS 'What makes a view again, with its owner, grants and comments.';

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

-- All that comes after the rows, in order.
CREATE FUNCTION teamscale_internal.definition_statements("table" regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT * FROM teamscale_internal.column_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.constraint_statements("table", true))
        || ARRAY(SELECT * FROM teamscale_internal.index_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.statistics_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.trigger_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.policy_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.ownership_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.comment_statements("table"))
$$;
COMMENT ON FUNCTION teamscale_internal.definition_statements(regclass) IS
    'Everything of a table but its columns, its rows and its storage, as statements in order.';
