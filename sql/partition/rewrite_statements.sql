-- The statements of a rewrite, computed from the catalogs; the owner's session runs them (src/postgres/partition). targets: see
-- rewrite_targets(); staging: the table that routes rows to them.

-- Names that nobody has yet, for the time until a target has its own: a source may still have that.
CREATE FUNCTION teamscale_internal.working_names(rewrite_id bigint, targets jsonb) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', t.schema,
                  CASE WHEN EXISTS (SELECT FROM pg_class AS o JOIN pg_namespace AS n ON n.oid = o.relnamespace
                                    WHERE n.nspname = t.schema AND o.relname = t.name)
                       THEN format('teamscale_rewrite_%s_%s', rewrite_id, t.position) ELSE t.name END)
    FROM teamscale_internal.rewrite_targets(targets) AS t ORDER BY t.position
$$;
COMMENT ON FUNCTION teamscale_internal.working_names(bigint, jsonb) IS
    'The qualified names under which a rewrite makes its targets: their own where those are free.';

CREATE FUNCTION teamscale_internal.storage_clauses(template regclass, tablespace name) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT format(' WITH (%s)', string_agg(option, ', '))
                     FROM (SELECT unnest(c.reloptions) AS option
                           UNION ALL SELECT 'toast.' || unnest(t.reloptions) FROM pg_class AS t WHERE t.oid = c.reltoastrelid
                           UNION ALL SELECT s FROM teamscale_internal.partition_storage(c.oid) AS s WHERE c.relkind = 'p') AS o
                     HAVING count(*) > 0), '')
        || coalesce(' TABLESPACE ' || quote_ident(coalesce(tablespace, s.spcname)), '')
    FROM pg_class AS c LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace WHERE c.oid = template
$$;
COMMENT ON FUNCTION teamscale_internal.storage_clauses(regclass, name) IS
    'The storage options and the tablespace (another one, when given) of a table, or of new partitions of it, as CREATE TABLE writes them.';

-- The columns of a unique index as CREATE INDEX writes them.
CREATE FUNCTION teamscale_internal.index_columns(index regclass) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('(%s)%s%s',
        (SELECT string_agg(format('%s%s %s.%I', pg_get_indexdef(index, n, false),
                                  CASE WHEN i.indcollation[n - 1] <> 0 THEN ' COLLATE ' || i.indcollation[n - 1]::regcollation ELSE '' END,
                                  o.opcnamespace::regnamespace, o.opcname), ', ' ORDER BY n)
         FROM generate_series(1, i.indnkeyatts::integer) AS n JOIN pg_opclass AS o ON o.oid = i.indclass[n - 1]),
        (SELECT format(' INCLUDE (%s)', string_agg(pg_get_indexdef(index, n, false), ', ' ORDER BY n))
         FROM generate_series(i.indnkeyatts + 1, i.indnatts::integer) AS n HAVING count(*) > 0),
        CASE WHEN i.indnullsnotdistinct THEN ' NULLS NOT DISTINCT' ELSE '' END)
    FROM pg_index AS i WHERE i.indexrelid = index
$$;
COMMENT ON FUNCTION teamscale_internal.index_columns(regclass) IS 'The columns of an index as CREATE INDEX writes them.';

CREATE FUNCTION teamscale_internal.target_statements("table" regclass, staging text, names text[], targets jsonb) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT statement FROM (
        -- What a partition has of its own, and what any partition gets from its table, are not the same.
        SELECT 1, t.position, format('CREATE %sTABLE %s (LIKE %s %s)%s',
                                     CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END, names[t.position], t.template::regclass,
                                     CASE c.relkind WHEN 'r' THEN 'INCLUDING ALL EXCLUDING IDENTITY'
                                          ELSE 'INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE '
                                               'INCLUDING COMPRESSION INCLUDING INDEXES' END,
                                     teamscale_internal.storage_clauses(t.template, t.tablespace))
        FROM teamscale_internal.rewrite_targets(targets) AS t JOIN pg_class AS c ON c.oid = t.template
        UNION ALL
        SELECT 2, 0, format('CREATE TABLE %s (LIKE %s INCLUDING GENERATED) PARTITION BY %s', staging, names[1], pg_get_partkeydef("table"))
        UNION ALL
        SELECT 3, 0, format('CREATE UNIQUE INDEX ON %s %s', staging,
                            teamscale_internal.index_columns(teamscale_internal.row_identity("table")))
        UNION ALL
        SELECT 4, t.position, format('ALTER TABLE %s ATTACH PARTITION %s %s', staging, names[t.position], t.bound)
        FROM teamscale_internal.rewrite_targets(targets) AS t) AS s (step, position, statement)
    ORDER BY step, position
$$;
COMMENT ON FUNCTION teamscale_internal.target_statements(regclass, text, text[], jsonb) IS
    'CREATE TABLE for the targets of a rewrite, empty, and for the staging table that they hang on.';

CREATE FUNCTION teamscale_internal.target_property_statements("table" regclass, template regclass, target regclass, tablespace name)
    RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER INDEX %s SET TABLESPACE %I', p.of_copy, tablespace)
    FROM teamscale_internal.paired_indexes(template, target) AS p WHERE tablespace IS NOT NULL
    UNION ALL
    SELECT o.* FROM teamscale_internal.own_property_statements(template, target) AS o WHERE template <> "table"
$$;
COMMENT ON FUNCTION teamscale_internal.target_property_statements(regclass, regclass, regclass, name) IS
    'Statements that make a target, made LIKE its template, what it will be before it gets rows.';

CREATE FUNCTION teamscale_internal.own_property_statements(template regclass, target regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', target, attname, attstattarget) FROM pg_attribute
    WHERE attrelid = template AND attnum > 0 AND NOT attisdropped AND attstattarget >= 0
    UNION ALL
    SELECT format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', target, attname, teamscale_internal.column_options(attoptions)) FROM pg_attribute
    WHERE attrelid = template AND attnum > 0 AND NOT attisdropped AND teamscale_internal.column_options(attoptions) IS NOT NULL
    UNION ALL
    SELECT format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', p.of_copy, a.attnum, a.attstattarget)
    FROM teamscale_internal.paired_indexes(template, target) AS p JOIN pg_attribute AS a ON a.attrelid = p.index AND a.attstattarget >= 0
    UNION ALL
    SELECT format('ALTER STATISTICS %s.%I SET STATISTICS %s', b.stxnamespace::regnamespace, b.stxname, a.stxstattarget)
    FROM (SELECT stxstattarget, row_number() OVER (ORDER BY oid) AS number FROM pg_statistic_ext WHERE stxrelid = template) AS a
         JOIN (SELECT stxnamespace, stxname, row_number() OVER (ORDER BY oid) AS number FROM pg_statistic_ext
               WHERE stxrelid = target) AS b USING (number)
    WHERE a.stxstattarget >= 0
    UNION ALL
    SELECT format('ALTER TABLE %s CLUSTER ON %I', target, c.relname)
    FROM teamscale_internal.paired_indexes(template, target) AS p JOIN pg_index AS i ON i.indexrelid = p.index AND i.indisclustered
         JOIN pg_class AS c ON c.oid = p.of_copy
    UNION ALL
    SELECT format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', target, c.relname)
    FROM teamscale_internal.paired_indexes(template, target) AS p JOIN pg_index AS i ON i.indexrelid = p.index AND i.indisreplident
         JOIN pg_class AS c ON c.oid = p.of_copy
    UNION ALL
    SELECT format('ALTER TABLE %s REPLICA IDENTITY %s', target, CASE relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END) FROM pg_class
    WHERE oid = template AND relreplident IN ('f', 'n')
$$;
COMMENT ON FUNCTION teamscale_internal.own_property_statements(regclass, regclass) IS
    'Statements that give a table made LIKE another what LIKE leaves out: statistics targets, replica identity and so on.';

-- What must be true of the tables before the swap, and takes time: each statement is right whenever it is run, and the list is
-- empty when all is done.
CREATE FUNCTION teamscale_internal.securing_statements("table" regclass, targets jsonb) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT statement FROM (
        SELECT 1, t.position, format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', t.target::regclass, k.conname, pg_get_constraintdef(k.oid))
        FROM teamscale_internal.rewrite_targets(targets) AS t JOIN pg_constraint AS k ON k.conrelid = t.template AND k.contype = 'f'
        WHERE NOT EXISTS (SELECT FROM pg_constraint AS o WHERE o.conrelid = t.target AND o.conname = k.conname)
        UNION ALL
        SELECT 2, t.position, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', t.target::regclass, k.conname)
        FROM teamscale_internal.rewrite_targets(targets) AS t JOIN pg_constraint AS k ON k.conrelid = t.target AND NOT k.convalidated
        UNION ALL
        SELECT 3, 0, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', k.conrelid::regclass, k.conname)
        FROM pg_partitioned_table AS d JOIN pg_constraint AS k ON k.conrelid = d.partdefid AND k.conname = 'teamscale_rewrite_fence'
        WHERE d.partrelid = "table" AND NOT k.convalidated
        UNION ALL
        SELECT 4, t.position, format('ANALYZE %s', t.target::regclass)
        FROM teamscale_internal.rewrite_targets(targets) AS t JOIN pg_class AS c ON c.oid = t.target
        WHERE c.reltuples < 0) AS s (step, position, statement)
    ORDER BY step, position
$$;
COMMENT ON FUNCTION teamscale_internal.securing_statements(regclass, jsonb) IS
    'What is still to be done before the targets can take the sources'' place at once: foreign keys, constraints, statistics.';

-- What a partition has that hangs on its name: triggers, policies, and comments on these. Said of its present name.
CREATE FUNCTION teamscale_internal.dress_statements(partition regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT * FROM teamscale_internal.partition_trigger_statements(partition)
                 UNION ALL SELECT * FROM teamscale_internal.policy_statements(partition)
                 UNION ALL SELECT s FROM teamscale_internal.comment_statements(partition) AS s WHERE s ~ '^COMMENT ON (TRIGGER|POLICY) '
                 UNION ALL SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.conname, partition, d.description)
                           FROM pg_constraint AS k JOIN pg_description AS d ON d.classoid = 'pg_constraint'::regclass AND d.objoid = k.oid
                           WHERE k.conrelid = partition AND k.contype = 'f')
$$;
COMMENT ON FUNCTION teamscale_internal.dress_statements(regclass) IS
    'CREATE TRIGGER, CREATE POLICY and the like for what a partition has of its own, by its present name.';

-- Indexes and statistics of a target that was made under another name get the names that those of the source have.
CREATE FUNCTION teamscale_internal.rename_statements(source regclass, target regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('ALTER INDEX %s RENAME TO %I', p.of_copy, i.relname)
    FROM teamscale_internal.paired_indexes(source, target) AS p JOIN pg_class AS i ON i.oid = p.index
    UNION ALL
    SELECT format('ALTER STATISTICS %s.%I RENAME TO %I', b.stxnamespace::regnamespace, b.stxname, a.stxname)
    FROM (SELECT *, row_number() OVER (ORDER BY oid) AS number FROM pg_statistic_ext WHERE stxrelid = source) AS a
         JOIN (SELECT *, row_number() OVER (ORDER BY oid) AS number FROM pg_statistic_ext WHERE stxrelid = target) AS b USING (number)
$$;
COMMENT ON FUNCTION teamscale_internal.rename_statements(regclass, regclass) IS
    'Statements that give the indexes and statistics of a copy the names that those of its source have.';

-- Of one target, once the sources are gone.
CREATE FUNCTION teamscale_internal.target_swap_statements("table" regclass, sources oid[], "position" integer, targets jsonb) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH t AS (
        SELECT t.*, c.relname AS present, c.relacl, c.relowner, format('%I.%I', t.schema, t.name) AS qualified,
               m.relname AS template_name, format('%I.%I', t.schema, m.relname) AS dressed,
               CASE WHEN t.template = ANY (sources) THEN teamscale_internal.dress_statements(t.template) ELSE '{}' END AS dress,
               (SELECT s.oid FROM pg_class AS s JOIN pg_namespace AS n ON n.oid = s.relnamespace
                WHERE s.oid = ANY (sources) AND s.relname = t.name AND n.nspname = t.schema) AS namesake
        FROM teamscale_internal.rewrite_targets(targets) AS t JOIN pg_class AS c ON c.oid = t.target JOIN pg_class AS m ON m.oid = t.template
        WHERE t.position = target_swap_statements.position)
    SELECT d.statement
    FROM t CROSS JOIN LATERAL (
        SELECT 1, 0, format('ALTER TABLE %I.%I RENAME TO %I', t.schema, t.present, t.name) WHERE t.present <> t.name
        UNION ALL
        SELECT 2, r.part, r.statement
        FROM ROWS FROM (teamscale_internal.rename_statements(t.namesake, t.target)) WITH ORDINALITY AS r (statement, part)
        WHERE t.present <> t.name
        UNION ALL SELECT 3, 0, format('ALTER TABLE %s ATTACH PARTITION %s %s', "table", t.qualified, t.bound)
        UNION ALL
        SELECT 4, 0, format('ALTER TABLE %s DROP CONSTRAINT teamscale_rewrite_bound', t.qualified)
        WHERE EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = t.target AND k.conname = 'teamscale_rewrite_bound')
        -- Under its template's name it gets what the catalogs say under that name.
        UNION ALL SELECT 5, 0, format('ALTER TABLE %s RENAME TO %I', t.qualified, t.template_name) WHERE t.dress <> '{}' AND t.name <> t.template_name
        UNION ALL SELECT 6, w.part, w.statement FROM unnest(t.dress) WITH ORDINALITY AS w (statement, part)
        UNION ALL SELECT 7, 0, format('ALTER TABLE %s RENAME TO %I', t.dressed, t.name) WHERE t.dress <> '{}' AND t.name <> t.template_name
        -- Default privileges may have given it others.
        UNION ALL
        SELECT 8, 0, format('REVOKE ALL ON %s FROM %s', t.qualified, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END)
        FROM (SELECT DISTINCT grantee FROM aclexplode(t.relacl)) AS g WHERE g.grantee <> t.relowner AND t.template = ANY (sources)
        UNION ALL
        SELECT 9, p.part, p.statement
        FROM ROWS FROM (teamscale_internal.privilege_statements(t.template, t.qualified)) WITH ORDINALITY AS p (statement, part)
        WHERE t.template = ANY (sources)
        UNION ALL
        SELECT 10, 0, format('COMMENT ON TABLE %s IS %L', t.qualified, string_agg(DISTINCT obj_description(s, 'pg_class'), E'\n'))
        FROM unnest(sources) AS s WHERE obj_description(s, 'pg_class') IS NOT NULL AND t.template = ANY (sources)
        HAVING count(*) > 0) AS d (number, part, statement)
    ORDER BY d.number, d.part
$$;
COMMENT ON FUNCTION teamscale_internal.target_swap_statements(regclass, oid[], integer, jsonb) IS
    'What makes a target a partition of the partitioned table, with all that its template has.';

-- The targets take the sources' place.
CREATE FUNCTION teamscale_internal.swap_statements("table" regclass, sources oid[], staging regclass, targets jsonb) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT statement FROM (
        SELECT 1, t.position::bigint, 0::bigint, format('ALTER TABLE %s DETACH PARTITION %s', staging, t.target::regclass)
        FROM teamscale_internal.rewrite_targets(targets) AS t
        UNION ALL SELECT 2, 0, 0, format('DROP TABLE %s', staging)
        UNION ALL
        SELECT 3, 0, 0, format('ALTER SEQUENCE %s OWNED BY %s.%I', o.sequence, t.target::regclass, o."column")
        FROM unnest(sources) AS s CROSS JOIN LATERAL teamscale_internal.owned_sequences(s) AS o
             CROSS JOIN LATERAL (SELECT * FROM teamscale_internal.rewrite_targets(targets) AS t WHERE t.template = ANY (sources)
                                 ORDER BY t.position LIMIT 1) AS t
        UNION ALL SELECT 4, s.position, 0, format('DROP TABLE %s', s.source::regclass) FROM unnest(sources) WITH ORDINALITY AS s (source, position)
        UNION ALL
        -- The one that keeps a template's name comes last: the others bear it for a moment.
        SELECT 5, CASE WHEN t.name = m.relname THEN 32767 ELSE t.position END, w.part, w.statement
        FROM teamscale_internal.rewrite_targets(targets) AS t JOIN pg_class AS m ON m.oid = t.template
             CROSS JOIN LATERAL ROWS FROM (teamscale_internal.target_swap_statements("table", sources, t.position, targets))
                 WITH ORDINALITY AS w (statement, part)
        UNION ALL
        SELECT 6, 0, 0, format('ALTER TABLE %s DROP CONSTRAINT teamscale_rewrite_fence', k.conrelid::regclass)
        FROM pg_partitioned_table AS d JOIN pg_constraint AS k ON k.conrelid = d.partdefid AND k.conname = 'teamscale_rewrite_fence'
        WHERE d.partrelid = "table") AS s (step, position, part, statement)
    ORDER BY step, position, part
$$;
COMMENT ON FUNCTION teamscale_internal.swap_statements(regclass, oid[], regclass, jsonb) IS
    'What puts the targets of a rewrite in their sources'' place, in one transaction under a lock.';

-- The condition that two tables' rows have the same key, with the key's own operators.
CREATE FUNCTION teamscale_internal.same_key_condition(key regclass, one text, other text) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('%s.%I OPERATOR(%s.%s) %s.%I', one, a.attname, o.oprnamespace::regnamespace, o.oprname, other, a.attname),
                      ' AND ' ORDER BY n)
    FROM pg_index AS i CROSS JOIN generate_series(1, i.indnkeyatts::integer) AS n
         JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n - 1]
         JOIN pg_opclass AS c ON c.oid = i.indclass[n - 1]
         JOIN pg_amop AS m ON m.amopfamily = c.opcfamily AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype AND m.amopstrategy = 3
         JOIN pg_operator AS o ON o.oid = m.amopopr
    WHERE i.indexrelid = key
$$;
COMMENT ON FUNCTION teamscale_internal.same_key_condition(regclass, text, text) IS
    'The condition that rows of two tables, by their aliases, agree in the columns of a unique index.';

CREATE FUNCTION teamscale_internal.key_columns(key regclass) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY n)
    FROM pg_index AS i CROSS JOIN generate_series(1, i.indnkeyatts::integer) AS n
         JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n - 1]
    WHERE i.indexrelid = key
$$;
COMMENT ON FUNCTION teamscale_internal.key_columns(regclass) IS 'The columns of a unique index, as a list.';

CREATE FUNCTION teamscale_internal.undo_statements("table" regclass, staging oid) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('DROP TABLE %s', staging::regclass) WHERE EXISTS (SELECT FROM pg_class AS c WHERE c.oid = staging)
    UNION ALL
    SELECT format('ALTER TABLE %s DROP CONSTRAINT teamscale_rewrite_fence', k.conrelid::regclass)
    FROM pg_partitioned_table AS d JOIN pg_constraint AS k ON k.conrelid = d.partdefid AND k.conname = 'teamscale_rewrite_fence'
    WHERE d.partrelid = "table"
$$;
COMMENT ON FUNCTION teamscale_internal.undo_statements(regclass, oid) IS 'What takes away the tables and constraints that a rewrite made.';
