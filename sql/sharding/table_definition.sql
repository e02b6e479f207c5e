-- A table's definition as SQL, from the catalogs. All names come out qualified, as search_path is pinned to pg_catalog;
-- each function gives statements in the order in which they are to run. Works on plain and on partitioned tables.

-- One column as CREATE TABLE has it. Identity and serial columns get their sequence's range separately.
CREATE FUNCTION teamscale_internal.column_definition("table" regclass, number smallint) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0
             THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END,
        CASE WHEN a.attgenerated = 's' THEN format(' GENERATED ALWAYS AS (%s) STORED', pg_get_expr(d.adbin, d.adrelid))
             WHEN a.attidentity <> '' THEN format(' GENERATED %s AS IDENTITY (SEQUENCE NAME %s %s)',
                 CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, s.sequence,
                 teamscale_internal.sequence_options(s.sequence))
             WHEN d.adbin IS NOT NULL THEN format(' DEFAULT %s', pg_get_expr(d.adbin, d.adrelid))
             ELSE '' END,
        CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END)
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
         LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         LEFT JOIN teamscale_internal.owned_sequences("table") AS s ON s.identity AND s."column" = a.attname
    WHERE a.attrelid = "table" AND a.attnum = number
$$;
COMMENT ON FUNCTION teamscale_internal.column_definition(regclass, smallint) IS 'A column as CREATE TABLE writes it.';

CREATE FUNCTION teamscale_internal.create_table_statement("table" regclass, partition_by text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('CREATE TABLE %s (%s)%s', "table",
        (SELECT string_agg(teamscale_internal.column_definition("table", a.attnum), ', ' ORDER BY a.attnum)
         FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attnum > 0 AND NOT a.attisdropped),
        CASE WHEN partition_by IS NULL THEN '' ELSE ' PARTITION BY ' || partition_by END)
$$;
COMMENT ON FUNCTION teamscale_internal.create_table_statement(regclass, text) IS
    'CREATE TABLE with the columns alone; partition_by null makes a plain table.';

-- How values are stored: before there are leaves, which take it over, and rows.
CREATE FUNCTION teamscale_internal.column_storage_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER TABLE %s ALTER COLUMN %I SET %s', "table", a.attname, change)
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
         CROSS JOIN LATERAL (VALUES
             (CASE WHEN a.attstorage <> t.typstorage THEN 'STORAGE ' ||
                  CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END),
             (CASE a.attcompression WHEN 'p' THEN 'COMPRESSION pglz' WHEN 'l' THEN 'COMPRESSION lz4' END)) AS c (change)
    WHERE a.attrelid = "table" AND a.attnum > 0 AND NOT a.attisdropped AND change IS NOT NULL
    ORDER BY a.attnum
$$;
COMMENT ON FUNCTION teamscale_internal.column_storage_statements(regclass) IS
    'ALTER TABLE for the storage and compression of columns.';

-- The server may keep others for itself.
CREATE FUNCTION teamscale_internal.column_options(options text[]) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(option, ', ') FROM unnest(options) AS option WHERE option LIKE 'n\_distinct%'
$$;
COMMENT ON FUNCTION teamscale_internal.column_options(text[]) IS 'Those options of a column that ALTER TABLE sets, as a list; null when there are none.';

CREATE FUNCTION teamscale_internal.column_statistics_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER TABLE %s ALTER COLUMN %I SET %s', "table", a.attname, change)
    FROM pg_attribute AS a
         CROSS JOIN LATERAL (VALUES
             (CASE WHEN a.attstattarget >= 0 THEN format('STATISTICS %s', a.attstattarget) END),
             ('(' || teamscale_internal.column_options(a.attoptions) || ')')) AS c (change)
    WHERE a.attrelid = "table" AND a.attnum > 0 AND NOT a.attisdropped AND change IS NOT NULL
    ORDER BY a.attnum
$$;
COMMENT ON FUNCTION teamscale_internal.column_statistics_statements(regclass) IS
    'ALTER TABLE for the statistics targets and options of columns.';

CREATE FUNCTION teamscale_internal.constraint_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    -- What pg_get_constraintdef() leaves out of a key comes before its DEFERRABLE.
    SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s%s%s', "table", k.conname, left(definition, length(definition) - length(ending)),
                  CASE WHEN k.contype IN ('p', 'u') THEN
                      coalesce(' WITH (' || array_to_string(i.reloptions, ', ') || ')', '')
                      || coalesce(' USING INDEX TABLESPACE ' || quote_ident(s.spcname), '') END,
                  ending)
    FROM pg_constraint AS k CROSS JOIN LATERAL pg_get_constraintdef(k.oid) AS definition
         CROSS JOIN LATERAL (VALUES (
             CASE WHEN k.contype IN ('p', 'u') AND k.condeferrable THEN ' DEFERRABLE' ELSE '' END
             || CASE WHEN k.contype IN ('p', 'u') AND k.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END)) AS e (ending)
         LEFT JOIN pg_class AS i ON i.oid = k.conindid
         LEFT JOIN pg_tablespace AS s ON s.oid = i.reltablespace
    WHERE k.conrelid = "table" AND k.contype IN ('p', 'u', 'c', 'f') AND k.conparentid = 0
    ORDER BY array_position(ARRAY['c', 'p', 'u', 'f'], k.contype::text), k.conname
$$;
COMMENT ON FUNCTION teamscale_internal.constraint_statements(regclass) IS
    'ALTER TABLE ADD CONSTRAINT for checks, keys and foreign keys, those that others depend on first.';

CREATE FUNCTION teamscale_internal.index_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH own AS (
        SELECT i.indexrelid::regclass AS index, s.spcname AS tablespace, c.relkind AS kind,
               format('CREATE %sINDEX %I ON ', CASE WHEN i.indisunique THEN 'UNIQUE ' END, c.relname) AS beginning,
               EXISTS (SELECT FROM pg_constraint AS k
                       WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')) AS is_made
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace
        WHERE i.indrelid = "table")
    SELECT statement FROM (
        SELECT index, 1 AS step, format('SET LOCAL default_tablespace = %I', tablespace) AS statement
        FROM own WHERE NOT is_made AND tablespace IS NOT NULL
        UNION ALL
        -- Of a partitioned table's index ONLY is printed, which would leave the leaves out.
        SELECT index, 2, beginning || substr(pg_get_indexdef(index),
                                             length(beginning) + CASE kind WHEN 'I' THEN length('ONLY ') ELSE 0 END + 1)
        FROM own WHERE NOT is_made
        UNION ALL
        SELECT index, 3, 'SET LOCAL default_tablespace = ''''' FROM own WHERE NOT is_made AND tablespace IS NOT NULL
        UNION ALL
        SELECT index, 4, format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', index, attnum, attstattarget)
        FROM own JOIN pg_attribute ON attrelid = index WHERE attstattarget >= 0) AS s
    ORDER BY index::text, step
$$;
COMMENT ON FUNCTION teamscale_internal.index_statements(regclass) IS
    'CREATE INDEX for indexes that no constraint makes, and the statistics targets of all.';

CREATE FUNCTION teamscale_internal.replica_identity_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER TABLE %s REPLICA IDENTITY %s', "table",
                  CASE relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
                       ELSE format('USING INDEX %I', (SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
                                                      WHERE i.indrelid = "table" AND i.indisreplident)) END)
    FROM pg_class WHERE oid = "table" AND relreplident <> 'd'
$$;
COMMENT ON FUNCTION teamscale_internal.replica_identity_statements(regclass) IS 'ALTER TABLE for a replica identity that is not the default.';

CREATE FUNCTION teamscale_internal.statistics_statements("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT statement
    FROM pg_statistic_ext AS s CROSS JOIN LATERAL format('%I.%I', s.stxnamespace::regnamespace::name, s.stxname) AS name
         CROSS JOIN LATERAL (VALUES
             (1, pg_get_statisticsobjdef(s.oid)),
             (2, CASE WHEN s.stxstattarget >= 0 THEN format('ALTER STATISTICS %s SET STATISTICS %s', name, s.stxstattarget) END),
             (3, format('ALTER STATISTICS %s OWNER TO %I', name, pg_get_userbyid(s.stxowner)))) AS p (step, statement)
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
        coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ''),
        coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', ''))
    FROM pg_policy AS p WHERE p.polrelid = "table"
    UNION ALL
    SELECT format('ALTER TABLE %s %s ROW LEVEL SECURITY', "table", change)
    FROM pg_class AS c
         CROSS JOIN LATERAL (VALUES (CASE WHEN c.relrowsecurity THEN 'ENABLE' END),
                                    (CASE WHEN c.relforcerowsecurity THEN 'FORCE' END)) AS p (change)
    WHERE c.oid = "table" AND change IS NOT NULL
$$;
COMMENT ON FUNCTION teamscale_internal.policy_statements(regclass) IS 'CREATE POLICY, and the switches of row security.';

CREATE FUNCTION teamscale_internal.owner_statement(relation regclass) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER TABLE %s OWNER TO %I', relation, pg_get_userbyid(relowner)) FROM pg_class WHERE oid = relation
$$;
COMMENT ON FUNCTION teamscale_internal.owner_statement(regclass) IS 'ALTER TABLE OWNER for a table or a view.';

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
    UNION ALL
    SELECT format('COMMENT ON RULE %I ON %s IS %L', rulename, relation, obj_description(oid, 'pg_rewrite'))
    FROM pg_rewrite WHERE ev_class = relation AND obj_description(oid, 'pg_rewrite') IS NOT NULL
    UNION ALL
    SELECT teamscale_internal.comment_statement('SEQUENCE', sequence::text, 'pg_class', sequence)
    FROM teamscale_internal.owned_sequences(relation) WHERE identity
$$;
COMMENT ON FUNCTION teamscale_internal.comment_statements(regclass) IS
    'COMMENT ON for a relation, its columns, constraints, indexes, triggers, policies, statistics, rules and identity sequences.';

-- All that comes after the rows, in order; the privileges are set when it is done.
CREATE FUNCTION teamscale_internal.definition_statements("table" regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT * FROM teamscale_internal.column_statistics_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.constraint_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.index_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.replica_identity_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.statistics_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.trigger_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.policy_statements("table"))
        || teamscale_internal.owner_statement("table")
        || ARRAY(SELECT * FROM teamscale_internal.owning_statements("table"))
        || ARRAY(SELECT * FROM teamscale_internal.comment_statements("table"))
$$;
COMMENT ON FUNCTION teamscale_internal.definition_statements(regclass) IS
    'Everything of a table but its columns, its rows, its storage and its privileges, as statements in order.';
