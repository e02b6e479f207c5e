-- The statements of a rewrite, computed from the catalogs; the owner's session runs them (src/postgres/partition).
-- template: the first of the sources, whose properties the targets get; staging: the table that routes rows to them.

-- Names that nobody has yet, for the time until a target has its own: a source may still have that.
CREATE FUNCTION teamscale_internal.working_names(template regclass, rewrite_id bigint, names name[]) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(CASE WHEN EXISTS (SELECT FROM pg_class AS o WHERE o.relnamespace = c.relnamespace AND o.relname = n.name)
                          THEN format('%s.%I', c.relnamespace::regnamespace, format('teamscale_rewrite_%s_%s', rewrite_id, n.position))
                          ELSE format('%s.%I', c.relnamespace::regnamespace, n.name) END ORDER BY n.position)
    FROM pg_class AS c, unnest(names) WITH ORDINALITY AS n (name, position) WHERE c.oid = template
$$;
COMMENT ON FUNCTION teamscale_internal.working_names(regclass, bigint, name[]) IS
    'The qualified names under which a rewrite makes its targets: their own where those are free.';

CREATE FUNCTION teamscale_internal.storage_clauses(template regclass, tablespace name) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT format(' WITH (%s)', string_agg(option, ', '))
                     FROM (SELECT unnest(c.reloptions) AS option
                           UNION ALL SELECT 'toast.' || unnest(t.reloptions) FROM pg_class AS t WHERE t.oid = c.reltoastrelid) AS o
                     HAVING count(*) > 0), '')
        || coalesce(' TABLESPACE ' || quote_ident(coalesce(tablespace, s.spcname)), '')
    FROM pg_class AS c LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace WHERE c.oid = template
$$;
COMMENT ON FUNCTION teamscale_internal.storage_clauses(regclass, name) IS
    'The storage options and the tablespace (another one, when given) of a table as CREATE TABLE writes them.';

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

CREATE FUNCTION teamscale_internal.target_statements("table" regclass, template regclass, staging text, targets text[], bounds text[],
                                                     tablespace name) RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT statement FROM (
        SELECT 1, t.position, format('CREATE %sTABLE %s (LIKE %s INCLUDING ALL EXCLUDING IDENTITY)%s',
                                     CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END, t.name, template,
                                     teamscale_internal.storage_clauses(template, tablespace))
        FROM pg_class AS c, unnest(targets) WITH ORDINALITY AS t (name, position) WHERE c.oid = template
        UNION ALL
        SELECT 2, 0, format('CREATE TABLE %s (LIKE %s INCLUDING GENERATED) PARTITION BY %s', staging, targets[1], pg_get_partkeydef("table"))
        UNION ALL
        SELECT 3, 0, format('CREATE UNIQUE INDEX ON %s %s', staging,
                            teamscale_internal.index_columns(teamscale_internal.row_identity("table")))
        UNION ALL
        SELECT 4, t.position, format('ALTER TABLE %s ATTACH PARTITION %s %s', staging, t.name, t.bound)
        FROM unnest(targets, bounds) WITH ORDINALITY AS t (name, bound, position)) AS s (step, position, statement)
    ORDER BY step, position
$$;
COMMENT ON FUNCTION teamscale_internal.target_statements(regclass, regclass, text, text[], text[], name) IS
    'CREATE TABLE for the targets of a rewrite, empty, and for the staging table that they hang on.';

-- What a partition of the partitioned table must hold, as a condition. A hash bound names the partitioned table.
CREATE FUNCTION teamscale_internal.target_condition("table" regclass, staging regclass, target regclass) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT regexp_replace(pg_get_partition_constraintdef(target), '^satisfies_hash_partition\(''\d+''::oid',
                          format('satisfies_hash_partition(''%s''::oid', "table"::oid))
        || coalesce(' AND (' || pg_get_partition_constraintdef("table") || ')', '')
$$;
COMMENT ON FUNCTION teamscale_internal.target_condition(regclass, regclass, regclass) IS
    'The condition that the rows of a target meet as a partition of the partitioned table.';

-- What CREATE TABLE ... LIKE leaves out, for one target that is there.
CREATE FUNCTION teamscale_internal.target_property_statements("table" regclass, template regclass, staging regclass, target regclass,
                                                              tablespace name) RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- With it the target is attached without a look at its rows.
    SELECT format('ALTER TABLE %s ADD CONSTRAINT teamscale_rewrite_bound CHECK (%s)', target,
                  teamscale_internal.target_condition("table", staging, target))
    WHERE pg_get_partition_constraintdef(target) IS NOT NULL
    UNION ALL
    SELECT format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', target, attname, attstattarget) FROM pg_attribute
    WHERE attrelid = template AND attnum > 0 AND NOT attisdropped AND attstattarget >= 0
    UNION ALL
    SELECT format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', target, attname, string_agg(option, ', '))
    FROM pg_attribute, unnest(attoptions) AS option
    WHERE attrelid = template AND attnum > 0 AND NOT attisdropped AND option LIKE 'n\_distinct%' GROUP BY attname
    UNION ALL
    SELECT format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', p.of_copy, a.attnum, a.attstattarget)
    FROM teamscale_internal.paired_indexes(template, target) AS p JOIN pg_attribute AS a ON a.attrelid = p.index AND a.attstattarget >= 0
    UNION ALL
    SELECT format('ALTER INDEX %s SET TABLESPACE %I', p.of_copy, tablespace)
    FROM teamscale_internal.paired_indexes(template, target) AS p WHERE tablespace IS NOT NULL
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
COMMENT ON FUNCTION teamscale_internal.target_property_statements(regclass, regclass, regclass, regclass, name) IS
    'Statements that give a target what its template has and LIKE leaves out: statistics targets, replica identity and so on.';

-- What must be true of the tables before the swap, and takes time: each statement is right whenever it is run, and the list is
-- empty when all is done.
CREATE FUNCTION teamscale_internal.securing_statements("table" regclass, template regclass, targets oid[]) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT statement FROM (
        SELECT 1, t.position, format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', t.target::regclass, k.conname, pg_get_constraintdef(k.oid))
        FROM unnest(targets) WITH ORDINALITY AS t (target, position)
             JOIN pg_constraint AS k ON k.conrelid = template AND k.contype = 'f'
        WHERE NOT EXISTS (SELECT FROM pg_constraint AS o WHERE o.conrelid = t.target AND o.conname = k.conname)
        UNION ALL
        SELECT 2, t.position, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', t.target::regclass, k.conname)
        FROM unnest(targets) WITH ORDINALITY AS t (target, position)
             JOIN pg_constraint AS k ON k.conrelid = t.target AND NOT k.convalidated
        UNION ALL
        -- The default partition need not be looked through for rows of the targets: it cannot have any.
        SELECT 3, 0, format('ALTER TABLE %s ADD CONSTRAINT teamscale_rewrite_fence CHECK (%s) NOT VALID', d.partdefid::regclass,
                            string_agg(format('NOT (%s)', pg_get_partition_constraintdef(t)), ' AND '))
        FROM pg_partitioned_table AS d, unnest(targets) AS t
        WHERE d.partrelid = "table" AND d.partdefid NOT IN (0, template)
          AND NOT EXISTS (SELECT FROM pg_constraint AS o WHERE o.conrelid = d.partdefid AND o.conname = 'teamscale_rewrite_fence')
        GROUP BY d.partdefid
        UNION ALL
        SELECT 4, 0, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', k.conrelid::regclass, k.conname)
        FROM pg_partitioned_table AS d JOIN pg_constraint AS k ON k.conrelid = d.partdefid AND k.conname = 'teamscale_rewrite_fence'
        WHERE d.partrelid = "table" AND NOT k.convalidated
        UNION ALL
        SELECT 5, t.position, format('ANALYZE %s', t.target::regclass)
        FROM unnest(targets) WITH ORDINALITY AS t (target, position) JOIN pg_class AS c ON c.oid = t.target
        WHERE c.reltuples < 0) AS s (step, position, statement)
    ORDER BY step, position
$$;
COMMENT ON FUNCTION teamscale_internal.securing_statements(regclass, regclass, oid[]) IS
    'What is still to be done before the targets can take the sources'' place at once: foreign keys, constraints, statistics.';

-- The targets take the sources' place. What partitions have of their own is given to each target under its template's name,
-- as the definitions in the catalogs say it; the sources are gone then.
CREATE FUNCTION teamscale_internal.swap_statements("table" regclass, sources oid[], staging regclass, targets oid[], names name[], bounds text[])
    RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH template AS (
        SELECT c.oid::regclass AS id, c.relname AS name, c.relnamespace::regnamespace AS schema,
               ARRAY(SELECT * FROM teamscale_internal.partition_trigger_statements(c.oid)
                     UNION ALL SELECT * FROM teamscale_internal.policy_statements(c.oid)
                     UNION ALL SELECT s FROM teamscale_internal.comment_statements(c.oid) AS s WHERE s ~ '^COMMENT ON (TRIGGER|POLICY) '
                     UNION ALL SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', k.conname, c.oid::regclass, d.description)
                               FROM pg_constraint AS k JOIN pg_description AS d ON d.classoid = 'pg_constraint'::regclass AND d.objoid = k.oid
                               WHERE k.conrelid = c.oid AND k.contype = 'f') AS dress
        FROM pg_class AS c WHERE c.oid = sources[1]),
    target AS (
        SELECT t.position, c.relname AS name, t.new_name, t.bound, c.relacl,
               -- Indexes that were named after the target while it had another name.
               CASE WHEN c.relname <> t.new_name THEN
                   ARRAY(SELECT format('ALTER INDEX %s RENAME TO %I', p.of_copy, i.relname)
                         FROM teamscale_internal.paired_indexes(s.source, c.oid) AS p JOIN pg_class AS i ON i.oid = p.index)
                   || ARRAY(SELECT format('ALTER STATISTICS %s.%I RENAME TO %I', b.schema, b.name, a.name)
                            FROM (SELECT x.stxname AS name, row_number() OVER (ORDER BY x.oid) AS number FROM pg_statistic_ext AS x
                                  WHERE x.stxrelid = s.source) AS a
                                 JOIN (SELECT x.stxnamespace::regnamespace AS schema, x.stxname AS name,
                                              row_number() OVER (ORDER BY x.oid) AS number
                                       FROM pg_statistic_ext AS x WHERE x.stxrelid = c.oid) AS b USING (number))
               END AS renames
        FROM unnest(targets, names, bounds) WITH ORDINALITY AS t (target, new_name, bound, position)
             JOIN pg_class AS c ON c.oid = t.target
             LEFT JOIN LATERAL (SELECT s.oid AS source FROM pg_class AS s WHERE s.oid = ANY (sources) AND s.relname = t.new_name) AS s ON true)
    SELECT statement FROM (
        SELECT 1, position, 0, 0, format('ALTER TABLE %s DETACH PARTITION %s.%I', staging, schema, t.name) FROM template, target AS t
        UNION ALL SELECT 2, 0, 0, 0, format('DROP TABLE %s', staging)
        UNION ALL
        SELECT 3, 0, 0, 0, format('ALTER SEQUENCE %s OWNED BY %s.%I.%I', o.sequence, schema, t.name, o."column")
        FROM template, unnest(sources) AS s CROSS JOIN LATERAL teamscale_internal.owned_sequences(s) AS o, target AS t WHERE t.position = 1
        UNION ALL SELECT 4, s.position, 0, 0, format('DROP TABLE %s', s.source::regclass) FROM unnest(sources) WITH ORDINALITY AS s (source, position)
        UNION ALL
        -- The one that keeps the template's name comes last: the others bear it for a moment.
        SELECT 5, CASE WHEN t.new_name = m.name THEN 32767 ELSE t.position END, d.number, d.part, d.statement
        FROM template AS m, target AS t CROSS JOIN LATERAL (
            SELECT 1, 0, format('ALTER TABLE %s.%I RENAME TO %I', m.schema, t.name, t.new_name) WHERE t.name <> t.new_name
            UNION ALL SELECT 2, r.part, r.statement FROM unnest(t.renames) WITH ORDINALITY AS r (statement, part)
            UNION ALL
            SELECT 3, 0, format('ALTER TABLE %s ATTACH PARTITION %s.%I %s', "table", m.schema, t.new_name, t.bound)
            UNION ALL
            SELECT 4, 0, format('ALTER TABLE %s.%I DROP CONSTRAINT teamscale_rewrite_bound', m.schema, t.new_name)
            WHERE EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = targets[t.position] AND k.conname = 'teamscale_rewrite_bound')
            UNION ALL SELECT 5, 0, format('ALTER TABLE %s.%I RENAME TO %I', m.schema, t.new_name, m.name) WHERE m.dress <> '{}' AND t.new_name <> m.name
            UNION ALL SELECT 6, w.part, w.statement FROM unnest(m.dress) WITH ORDINALITY AS w (statement, part)
            UNION ALL SELECT 7, 0, format('ALTER TABLE %s.%I RENAME TO %I', m.schema, m.name, t.new_name) WHERE m.dress <> '{}' AND t.new_name <> m.name
            UNION ALL
            SELECT 8, 0, format('REVOKE ALL ON %s.%I FROM %s', m.schema, t.new_name,
                             CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END)
            FROM (SELECT DISTINCT grantee FROM aclexplode(t.relacl)) AS g WHERE g.grantee <> (SELECT relowner FROM pg_class WHERE oid = "table")
            UNION ALL
            SELECT 9, p.part, p.statement
            FROM ROWS FROM (teamscale_internal.privilege_statements(m.id, format('%s.%I', m.schema, t.new_name))) WITH ORDINALITY AS p (statement, part)
            UNION ALL
            SELECT 10, 0, format('COMMENT ON TABLE %s.%I IS %L', m.schema, t.new_name, string_agg(DISTINCT obj_description(s, 'pg_class'), E'\n'))
            FROM unnest(sources) AS s WHERE obj_description(s, 'pg_class') IS NOT NULL HAVING count(*) > 0) AS d (number, part, statement)
        UNION ALL
        SELECT 6, 0, 0, 0, format('ALTER TABLE %s DROP CONSTRAINT teamscale_rewrite_fence', k.conrelid::regclass)
        FROM pg_partitioned_table AS d JOIN pg_constraint AS k ON k.conrelid = d.partdefid AND k.conname = 'teamscale_rewrite_fence'
        WHERE d.partrelid = "table") AS s (step, position, number, part, statement)
    ORDER BY step, position, number, part
$$;
COMMENT ON FUNCTION teamscale_internal.swap_statements(regclass, oid[], regclass, oid[], name[], text[]) IS
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
