-- What a partition has of its own, beside what it shares with the partitioned table.

-- What an index is, without its name, table and tablespace: equal for indexes that serve alike.
CREATE FUNCTION teamscale_internal.index_signature(index regclass) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s%s%s%s%s (%s)%s%s%s%s',
        CASE WHEN i.indisprimary THEN 'primary key ' WHEN i.indisunique THEN 'unique ' WHEN i.indisexclusion THEN 'exclusion ' ELSE '' END,
        CASE WHEN i.indimmediate THEN '' ELSE 'deferrable ' END,
        CASE WHEN i.indnullsnotdistinct THEN 'nulls not distinct ' ELSE '' END,
        CASE WHEN EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = index AND k.conrelid = i.indrelid) THEN 'constraint ' ELSE 'index ' END,
        m.amname,
        (SELECT string_agg(format('%s %s %s %s', pg_get_indexdef(index, n, false), i.indclass[n - 1], i.indcollation[n - 1], i.indoption[n - 1]),
                           CASE WHEN n = i.indnkeyatts THEN ' include ' ELSE ', ' END ORDER BY n)
         FROM generate_series(1, i.indnatts::integer) AS n),
        coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', ''),
        coalesce(' where ' || pg_get_expr(i.indpred, i.indrelid), ''),
        (SELECT ' ' || pg_get_constraintdef(k.oid) FROM pg_constraint AS k WHERE k.conindid = index AND k.contype = 'x'),
        (SELECT string_agg(format(' statistics %s=%s', a.attnum, a.attstattarget), '' ORDER BY a.attnum) FROM pg_attribute AS a
         WHERE a.attrelid = index AND a.attstattarget >= 0))
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS m ON m.oid = c.relam
    WHERE i.indexrelid = index
$$;
COMMENT ON FUNCTION teamscale_internal.index_signature(regclass) IS
    'What an index is, but for its name, its table and its tablespace: indexes with the same serve alike.';

CREATE FUNCTION teamscale_internal.paired_indexes(template regclass, copy regclass) RETURNS TABLE (index regclass, of_copy regclass)
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH signed AS (
        SELECT i.indrelid, i.indexrelid, s.signature,
               row_number() OVER (PARTITION BY i.indrelid, s.signature ORDER BY i.indexrelid) AS number
        FROM pg_index AS i
             -- Targets of statistics are set after pairs are known.
             CROSS JOIN LATERAL (SELECT split_part(teamscale_internal.index_signature(i.indexrelid), ' statistics ', 1)) AS s (signature)
        WHERE i.indrelid IN (template, copy))
    SELECT a.indexrelid::regclass, b.indexrelid::regclass
    FROM signed AS a JOIN signed AS b ON b.indrelid = copy AND b.signature = a.signature AND b.number = a.number
    WHERE a.indrelid = template
    ORDER BY a.indexrelid
$$;
COMMENT ON FUNCTION teamscale_internal.paired_indexes(regclass, regclass) IS
    'The indexes of a table and those that its copy has in their place.';

-- One line for each thing that a partition has; names of its own do not show.
CREATE FUNCTION teamscale_internal.partition_properties(partition regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT property
    FROM pg_class AS c CROSS JOIN LATERAL (VALUES
        (CASE WHEN c.relpersistence = 'u' THEN 'unlogged' END),
        (format('schema %s', c.relnamespace::regnamespace)),
        (format('replica identity %s', c.relreplident)),
        (CASE WHEN c.relrowsecurity THEN 'row security' END),
        (CASE WHEN c.relforcerowsecurity THEN 'forced row security' END),
        ((SELECT 'tablespace ' || quote_ident(s.spcname) FROM pg_tablespace AS s WHERE s.oid = c.reltablespace))) AS p (property)
    WHERE c.oid = partition AND property IS NOT NULL
    UNION ALL
    SELECT format('option %s', option) FROM pg_class AS c, unnest(c.reloptions) AS option WHERE c.oid = partition
    UNION ALL
    SELECT format('option toast.%s', option) FROM pg_class AS c JOIN pg_class AS t ON t.oid = c.reltoastrelid, unnest(t.reloptions) AS option
    WHERE c.oid = partition
    UNION ALL
    SELECT format('column %I %s%s%s storage %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                  CASE WHEN a.attnotnull THEN ' not null' ELSE '' END, ' default ' || pg_get_expr(d.adbin, d.adrelid), a.attstorage,
                  a.attcompression, CASE WHEN a.attstattarget >= 0 THEN ' statistics ' || a.attstattarget ELSE '' END,
                  ' ' || teamscale_internal.column_options(a.attoptions))
    FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = partition AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT format('constraint %I %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE conrelid = partition AND contype IN ('c', 'f')
    UNION ALL
    SELECT teamscale_internal.index_signature(indexrelid)
        || coalesce((SELECT ' tablespace ' || quote_ident(s.spcname) FROM pg_class AS c JOIN pg_tablespace AS s ON s.oid = c.reltablespace
                     WHERE c.oid = indexrelid), '')
        || CASE WHEN indisclustered THEN ' clustered' ELSE '' END || CASE WHEN indisreplident THEN ' replica identity' ELSE '' END
    FROM pg_index WHERE indrelid = partition
    UNION ALL
    SELECT format('statistics %s of %s%s', s.stxkind, pg_get_statisticsobjdef_columns(s.oid),
                  CASE WHEN s.stxstattarget >= 0 THEN ' statistics ' || s.stxstattarget ELSE '' END)
    FROM pg_statistic_ext AS s WHERE s.stxrelid = partition
    UNION ALL
    SELECT format('trigger %s', replace(statement, partition::text, 'partition'))
    FROM teamscale_internal.partition_trigger_statements(partition) AS statement
    UNION ALL
    SELECT format('policy %s', replace(statement, partition::text, 'partition'))
    FROM teamscale_internal.policy_statements(partition) AS statement
    UNION ALL
    SELECT format('privilege %s', statement) FROM teamscale_internal.privilege_statements(partition, 'partition') AS statement
$$;
COMMENT ON FUNCTION teamscale_internal.partition_properties(regclass) IS
    'What a partition has, one line each, without names that are its alone: partitions with the same lines are alike.';

CREATE FUNCTION teamscale_internal.partition_differences(one regclass, other regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('only partition "%s" has: %s', one, property)
    FROM (SELECT * FROM teamscale_internal.partition_properties(one)
          EXCEPT ALL SELECT * FROM teamscale_internal.partition_properties(other)) AS d (property)
    UNION ALL
    SELECT format('only partition "%s" has: %s', other, property)
    FROM (SELECT * FROM teamscale_internal.partition_properties(other)
          EXCEPT ALL SELECT * FROM teamscale_internal.partition_properties(one)) AS d (property)
$$;
COMMENT ON FUNCTION teamscale_internal.partition_differences(regclass, regclass) IS
    'What one of two partitions has and the other has not.';

-- Triggers of the partition alone, and whether those that the partitioned table gave it are switched otherwise than there.
CREATE FUNCTION teamscale_internal.partition_trigger_statements(partition regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT statement FROM teamscale_internal.trigger_statements(partition) AS statement
    UNION ALL
    SELECT format('ALTER TABLE %s %s TRIGGER %I', partition,
                  CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END,
                  t.tgname)
    FROM pg_trigger AS t JOIN pg_trigger AS p ON p.oid = t.tgparentid
    WHERE t.tgrelid = partition AND NOT t.tgisinternal AND t.tgenabled <> p.tgenabled
$$;
COMMENT ON FUNCTION teamscale_internal.partition_trigger_statements(regclass) IS
    'CREATE TRIGGER for triggers of a partition''s own, and the switches in which it differs from its partitioned table.';

-- Who may do what with a table, as statements on another name.
CREATE FUNCTION teamscale_internal.privilege_statements(relation regclass, target text) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('REVOKE ALL ON %s FROM %I', target, pg_get_userbyid(relowner)) FROM pg_class
    WHERE oid = relation AND relacl IS NOT NULL
    UNION ALL
    SELECT format('GRANT %s ON %s TO %s%s', string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type), target,
                  CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
                  CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS g
    WHERE c.oid = relation GROUP BY g.grantee, g.is_grantable
    UNION ALL
    SELECT format('GRANT %s (%I) ON %s TO %s%s', g.privilege_type, a.attname, target,
                  CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
                  CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS g
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION teamscale_internal.privilege_statements(regclass, text) IS
    'GRANTs that give a table, by its name, the privileges that another one has.';
