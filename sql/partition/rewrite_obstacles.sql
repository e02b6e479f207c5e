-- Why partitions cannot be rewritten online: everything at once, before anything changes.

-- The unique index by which rows are told apart: the primary key, or the narrowest other one that takes no nulls.
CREATE FUNCTION teamscale_internal.row_identity("table" regclass) RETURNS regclass
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT i.indexrelid::regclass FROM pg_index AS i
    WHERE i.indrelid = "table" AND i.indisunique AND i.indimmediate AND i.indisvalid AND NOT i.indisexclusion
      AND i.indpred IS NULL AND i.indexprs IS NULL
      AND NOT EXISTS (SELECT FROM unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1]) AS k (attnum)
                           JOIN pg_attribute AS a ON a.attrelid = "table" AND a.attnum = k.attnum WHERE NOT a.attnotnull)
    ORDER BY NOT i.indisprimary, i.indnkeyatts, i.indexrelid LIMIT 1
$$;
COMMENT ON FUNCTION teamscale_internal.row_identity(regclass) IS
    'The primary key of a table, or another unique index whose columns take no nulls; null when it has none.';

-- What refers to a partition by its identity, which goes.
CREATE FUNCTION teamscale_internal.partition_dependency_obstacles(partition regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH part (class, object) AS (
        SELECT 'pg_class'::regclass::oid, partition::oid
        UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type AS t
                  WHERE t.typrelid = partition OR t.oid = (SELECT r.typarray FROM pg_type AS r WHERE r.typrelid = partition)
        UNION ALL SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index AS i WHERE i.indrelid = partition
        UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint AS k WHERE k.conrelid = partition)
    SELECT DISTINCT format('%s depends on partition "%s"', pg_describe_object(d.classid, d.objid, d.objsubid), partition)
    FROM part JOIN pg_depend AS d ON d.refclassid = part.class AND d.refobjid = part.object
         LEFT JOIN pg_constraint AS k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
         LEFT JOIN pg_policy AS p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
         LEFT JOIN pg_trigger AS t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
         LEFT JOIN pg_attrdef AS v ON d.classid = 'pg_attrdef'::regclass AND v.oid = d.objid
         LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
         LEFT JOIN pg_index AS i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
    WHERE d.deptype = 'n'
      AND coalesce(k.conrelid, p.polrelid, t.tgrelid, v.adrelid, r.ev_class, i.indrelid, 0) <> partition
      -- A foreign key of another table on the whole is told of by itself.
      AND (k.oid IS NULL OR k.conparentid = 0)
$$;
COMMENT ON FUNCTION teamscale_internal.partition_dependency_obstacles(regclass) IS
    'Views, functions and other objects that refer to a partition and not to the partitioned table.';

CREATE FUNCTION teamscale_internal.partition_obstacles("table" regclass, partition regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('partition "%s" %s', partition, obstacle)
    FROM pg_class AS c LEFT JOIN pg_class AS p ON p.oid = "table" LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
         CROSS JOIN LATERAL (VALUES
             (CASE c.relkind WHEN 'p' THEN 'has partitions of its own' WHEN 'f' THEN 'is a foreign table' END),
             (CASE WHEN c.relkind = 'r' AND c.relam <> (SELECT oid FROM pg_am WHERE amname = 'heap')
                   THEN 'does not use the access method heap' END),
             (CASE WHEN c.relowner <> p.relowner THEN format('belongs to role "%s"', pg_get_userbyid(c.relowner)) END),
             (CASE WHEN i.inhdetachpending THEN 'is being detached: ALTER TABLE ... DETACH PARTITION ... FINALIZE' END),
             (CASE WHEN NOT has_table_privilege(c.relowner, c.oid, 'SELECT') OR NOT has_table_privilege(c.relowner, c.oid, 'UPDATE')
                   THEN 'may not be read and updated by its own owner' END),
             (CASE WHEN EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
                   THEN 'belongs to an extension' END),
             (CASE WHEN EXISTS (SELECT FROM pg_seclabel WHERE classoid = 'pg_class'::regclass AND objoid = c.oid)
                   THEN 'has a security label' END),
             ((SELECT format('has privileges that role "%s" has granted: let its owner grant them', pg_get_userbyid(g.grantor))
               FROM (SELECT c.relacl UNION ALL SELECT a.attacl FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0) AS l (acl)
                    CROSS JOIN LATERAL aclexplode(l.acl) AS g WHERE g.grantor <> c.relowner LIMIT 1)),
             (CASE WHEN EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = c.oid) THEN 'is written by a subscription' END)
         ) AS o (obstacle)
    WHERE c.oid = partition AND obstacle IS NOT NULL
    UNION ALL
    SELECT format('column "%s" of partition "%s" is an identity column', attname, partition) FROM pg_attribute
    WHERE attrelid = partition AND attidentity <> ''
    UNION ALL
    SELECT format('rule "%s" of partition "%s"', rulename, partition) FROM pg_rewrite WHERE ev_class = partition
    UNION ALL
    SELECT format('constraint "%s" of partition "%s" is NOT VALID: ALTER TABLE ... VALIDATE CONSTRAINT', conname, partition)
    FROM pg_constraint WHERE conrelid = partition AND NOT convalidated
    UNION ALL
    SELECT format('index "%s" of partition "%s" is invalid', indexrelid::regclass, partition) FROM pg_index
    WHERE indrelid = partition AND NOT indisvalid
    UNION ALL
    SELECT format('publication "%s" has partition "%s"', p.pubname, partition)
    FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid WHERE r.prrelid = partition
    UNION ALL SELECT * FROM teamscale_internal.partition_dependency_obstacles(partition)
$$;
COMMENT ON FUNCTION teamscale_internal.partition_obstacles(regclass, regclass) IS
    'What a partition is or has that its successors could not be or have.';

CREATE FUNCTION teamscale_internal.partitioned_table_obstacles("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT obstacle
    FROM pg_class AS c CROSS JOIN LATERAL (VALUES
        (CASE WHEN c.relpersistence = 't' THEN 'it is temporary' END),
        (CASE WHEN NOT has_schema_privilege(c.relowner, c.relnamespace, 'CREATE')
              THEN format('its owner may not create tables in schema "%s"', c.relnamespace::regnamespace) END),
        (CASE WHEN teamscale_internal.row_identity("table") IS NULL
              THEN 'it has no primary key, and no unique index of columns that are NOT NULL' END)) AS o (obstacle)
    WHERE c.oid = "table" AND obstacle IS NOT NULL
    UNION ALL
    SELECT format('foreign key "%s" of table "%s" references it', conname, conrelid::regclass) FROM pg_constraint
    WHERE confrelid = "table" AND contype = 'f' AND conparentid = 0
    UNION ALL
    -- Subscribers would be sent the copy's rows, or rows of partitions that they do not know.
    SELECT format('publication "%s" publishes %s', p.pubname, what)
    FROM pg_publication AS p CROSS JOIN LATERAL (VALUES
        (CASE WHEN p.puballtables THEN 'all tables' END),
        (CASE WHEN EXISTS (SELECT FROM pg_publication_namespace AS s JOIN pg_class AS c ON c.relnamespace = s.pnnspid
                           WHERE s.pnpubid = p.oid AND c.oid = "table") THEN 'all tables of its schema' END),
        (CASE WHEN NOT p.pubviaroot AND EXISTS (SELECT FROM pg_publication_rel AS r JOIN pg_partition_ancestors("table") AS a ON a.relid = r.prrelid
                                                WHERE r.prpubid = p.oid)
              THEN 'its partitions by their own names: ALTER PUBLICATION ... SET (publish_via_partition_root = true)' END)) AS o (what)
    WHERE what IS NOT NULL
$$;
COMMENT ON FUNCTION teamscale_internal.partitioned_table_obstacles(regclass) IS
    'Why partitions of a table cannot be rewritten online, whichever they are.';

-- Of one partition that becomes several, or of several that become one: unique indexes that only the partitions have.
CREATE FUNCTION teamscale_internal.partition_uniqueness_obstacles("table" regclass, partition regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('unique index "%s" of partition "%s" does not contain the partition key', i.indexrelid::regclass, partition)
    FROM pg_index AS i JOIN pg_partitioned_table AS p ON p.partrelid = "table"
    WHERE i.indrelid = partition AND i.indisunique
      AND (0 = ANY (p.partattrs::smallint[])
           OR EXISTS (SELECT FROM unnest(p.partattrs::smallint[]) AS k (attnum)
                           JOIN pg_attribute AS a ON a.attrelid = "table" AND a.attnum = k.attnum
                           JOIN pg_attribute AS b ON b.attrelid = partition AND b.attname = a.attname
                      WHERE b.attnum <> ALL ((i.indkey::smallint[])[0:i.indnkeyatts - 1])))
    UNION ALL
    SELECT format('exclusion constraint "%s" of partition "%s"', conname, partition) FROM pg_constraint
    WHERE conrelid = partition AND contype = 'x'
$$;
COMMENT ON FUNCTION teamscale_internal.partition_uniqueness_obstacles(regclass, regclass) IS
    'Unique indexes and exclusion constraints of a partition that several partitions could not hold together.';

CREATE FUNCTION teamscale_internal.require_rewritable("table" regclass, operation text, sources oid[], targets jsonb) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    obstacles text;
    owner oid := (SELECT c.relowner FROM pg_class AS c WHERE c.oid = "table");
BEGIN
    SELECT string_agg(o, E'\n') INTO obstacles FROM (
        SELECT * FROM teamscale_internal.partitioned_table_obstacles("table")
        UNION ALL
        SELECT o.* FROM unnest(sources) AS s CROSS JOIN LATERAL teamscale_internal.partition_obstacles("table", s) AS o
        UNION ALL
        SELECT o.* FROM unnest(sources) AS s CROSS JOIN LATERAL teamscale_internal.partition_uniqueness_obstacles("table", s) AS o
        WHERE operation <> 'move'
        UNION ALL
        SELECT o.* FROM unnest(sources[2:]) AS s CROSS JOIN LATERAL teamscale_internal.partition_differences(sources[1], s) AS o
        UNION ALL
        SELECT format('relation "%s" exists in schema "%s"', t.name, t.schema)
        FROM teamscale_internal.rewrite_targets(targets) AS t JOIN pg_namespace AS n ON n.nspname = t.schema
             JOIN pg_class AS c ON c.relname = t.name AND c.relnamespace = n.oid AND c.oid <> ALL (sources)
        UNION ALL
        SELECT format('name "%s" is given twice', t.name) FROM teamscale_internal.rewrite_targets(targets) AS t
        GROUP BY t.schema, t.name HAVING count(*) > 1
        UNION ALL
        SELECT DISTINCT format('tablespace "%s": its owner may not create in it', s.spcname)
        FROM teamscale_internal.rewrite_targets(targets) AS t JOIN pg_tablespace AS s
             ON s.spcname = t.tablespace
                OR t.tablespace IS NULL AND s.oid IN (SELECT c.reltablespace FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
                                                      WHERE t.template IN (c.oid, i.indrelid))
        WHERE NOT has_tablespace_privilege(owner, s.oid, 'CREATE')
          AND s.oid <> (SELECT d.dattablespace FROM pg_database AS d WHERE d.datname = current_database())
        UNION ALL
        SELECT format('tablespace "%s" does not exist', t.tablespace) FROM teamscale_internal.rewrite_targets(targets) AS t
        WHERE t.tablespace NOT IN (SELECT s.spcname FROM pg_tablespace AS s)) AS o (o);
    IF obstacles IS NOT NULL THEN
        RAISE EXCEPTION 'partitions of table "%" cannot be rewritten', "table"
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = obstacles,
                  HINT = 'Change or drop what is listed; nothing has been changed yet.';
    END IF;
END
$$;
COMMENT ON FUNCTION teamscale_internal.require_rewritable(regclass, text, oid[], jsonb) IS
    'Raises 55000 with the list of all obstacles unless the partitions can be rewritten.';
