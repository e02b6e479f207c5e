-- Why a table cannot be sharded: everything at once, before anything changes.

-- Whether a value's hash is the same in every database: it is not where it hashes an OID.
CREATE FUNCTION teamscale_internal.hashes_alike(type oid) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t pg_type;
    part oid;
BEGIN
    SELECT * INTO t FROM pg_type WHERE oid = type;
    IF t.typtype = 'e' OR type::regtype::text ~ '^reg' AND t.typnamespace = 'pg_catalog'::regnamespace
       OR type = 'oid'::regtype THEN
        RETURN false;
    END IF;
    FOR part IN
        SELECT t.typbasetype WHERE t.typtype = 'd'
        UNION ALL SELECT t.typelem WHERE t.typelem <> 0
        UNION ALL SELECT rngsubtype FROM pg_range WHERE rngtypid = type OR rngmultitypid = type
        UNION ALL SELECT atttypid FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped
    LOOP
        IF NOT teamscale_internal.hashes_alike(part) THEN RETURN false; END IF;
    END LOOP;
    RETURN true;
END
$$;
COMMENT ON FUNCTION teamscale_internal.hashes_alike(oid) IS
    'Whether the extended hash of the type''s values depends on the value alone (not on OIDs: enum, oid, reg* and what contains them).';

CREATE FUNCTION teamscale_internal.has_extended_hash(type oid) RETURNS boolean
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE base (type) AS (
        SELECT $1 UNION SELECT t.typbasetype FROM base JOIN pg_type AS t ON t.oid = base.type WHERE t.typtype = 'd')
    SELECT EXISTS (
        SELECT FROM base JOIN pg_type AS t ON t.oid = base.type
             JOIN pg_opclass AS c ON c.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'hash') AND c.opcdefault
                  AND (c.opcintype = t.oid
                       OR EXISTS (SELECT FROM pg_cast WHERE castsource = t.oid AND casttarget = c.opcintype AND castmethod = 'b'
                                                            AND castcontext = 'i')
                       OR (c.opcintype = 'record'::regtype AND t.typtype = 'c')
                       OR (c.opcintype = 'anyarray'::regtype AND t.typcategory = 'A')
                       OR (c.opcintype = 'anyrange'::regtype AND t.typtype = 'r')
                       OR (c.opcintype = 'anymultirange'::regtype AND t.typtype = 'm')
                       OR (c.opcintype = 'anyenum'::regtype AND t.typtype = 'e'))
             JOIN pg_amproc AS p ON p.amprocfamily = c.opcfamily AND p.amprocnum = 2)
$$;
COMMENT ON FUNCTION teamscale_internal.has_extended_hash(oid) IS
    'Whether the type''s default hash operator class has the extended hash function that partitioning needs.';

CREATE FUNCTION teamscale_internal.key_obstacles("table" regclass, key name) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('column "%s" does not exist', key)
    WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = "table" AND attname = key AND attnum > 0 AND NOT attisdropped)
    UNION ALL
    SELECT obstacle
    FROM pg_attribute AS a CROSS JOIN LATERAL (VALUES
        (CASE WHEN NOT a.attnotnull THEN format('column "%s" may be null: ALTER TABLE ... ALTER COLUMN ... SET NOT NULL', key) END),
        (CASE WHEN a.attgenerated <> '' THEN format('column "%s" is generated', key) END),
        (CASE WHEN NOT teamscale_internal.has_extended_hash(a.atttypid)
              THEN format('type %s of column "%s" has no extended hash function', a.atttypid::regtype, key) END),
        (CASE WHEN NOT teamscale_internal.hashes_alike(a.atttypid)
              THEN format('values of type %s hash differently in each database: shard by their text form, or by a number',
                          a.atttypid::regtype) END)) AS o (obstacle)
    WHERE a.attrelid = "table" AND a.attname = key AND a.attnum > 0 AND NOT a.attisdropped AND obstacle IS NOT NULL
$$;
COMMENT ON FUNCTION teamscale_internal.key_obstacles(regclass, name) IS 'Why a column cannot be a sharding key.';

CREATE FUNCTION teamscale_internal.table_obstacles("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT obstacle
    FROM pg_class AS c CROSS JOIN LATERAL (VALUES
        (CASE WHEN c.relkind <> 'r' THEN 'it is not an ordinary table' END),
        (CASE c.relpersistence WHEN 't' THEN 'it is temporary' WHEN 'u' THEN 'it is unlogged' END),
        (CASE WHEN c.relispartition THEN 'it is a partition'
              WHEN EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid OR inhparent = c.oid) THEN 'it is part of an inheritance tree' END),
        (CASE WHEN c.oid < 16384 THEN 'it is a system catalog'
              WHEN EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
              THEN 'it belongs to an extension' END),
        (CASE WHEN c.reloftype <> 0 THEN 'it is a typed table' END),
        (CASE WHEN c.relreplident = 'i' THEN 'its replica identity is an index: ALTER TABLE ... REPLICA IDENTITY DEFAULT' END),
        (CASE WHEN c.relam <> (SELECT oid FROM pg_am WHERE amname = 'heap') AND c.relkind = 'r'
              THEN 'it does not use the access method heap' END)) AS o (obstacle)
    WHERE c.oid = "table" AND obstacle IS NOT NULL
    UNION ALL
    SELECT format('constraint "%s" is NO INHERIT', conname) FROM pg_constraint
    WHERE conrelid = "table" AND contype = 'c' AND connoinherit
    UNION ALL
    SELECT format('constraint "%s" is NOT VALID: ALTER TABLE ... VALIDATE CONSTRAINT', conname) FROM pg_constraint
    WHERE conrelid = "table" AND contype = 'f' AND NOT convalidated
    UNION ALL
    SELECT format('row trigger "%s" has a transition table', tgname) FROM pg_trigger
    WHERE tgrelid = "table" AND NOT tgisinternal AND tgtype & 1 = 1 AND (tgoldtable IS NOT NULL OR tgnewtable IS NOT NULL)
    UNION ALL
    SELECT format('rule "%s"', rulename) FROM pg_rewrite WHERE ev_class = "table" AND rulename <> '_RETURN'
    UNION ALL
    SELECT format('the table is clustered on index "%s": ALTER TABLE ... SET WITHOUT CLUSTER', indexrelid::regclass)
    FROM pg_index WHERE indrelid = "table" AND indisclustered
    UNION ALL
    SELECT format('index "%s" is invalid', indexrelid::regclass) FROM pg_index WHERE indrelid = "table" AND NOT indisvalid
    UNION ALL
    SELECT format('publication "%s"', p.pubname)
    FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid WHERE r.prrelid = "table"
$$;
COMMENT ON FUNCTION teamscale_internal.table_obstacles(regclass) IS 'What a table is or has that a sharded one cannot.';

CREATE FUNCTION teamscale_internal.uniqueness_obstacles("table" regclass, key name) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s "%s" does not contain the key "%s"',
                  CASE WHEN i.indisexclusion THEN 'exclusion constraint' WHEN i.indisprimary THEN 'primary key'
                       ELSE 'unique index' END, c.relname, key)
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = "table" AND (i.indisunique OR i.indisexclusion)
      AND NOT (SELECT a.attnum FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attname = key)
              = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1])
    UNION ALL
    SELECT format('exclusion constraint "%s"', conname) FROM pg_constraint WHERE conrelid = "table" AND contype = 'x'
$$;
COMMENT ON FUNCTION teamscale_internal.uniqueness_obstacles(regclass, name) IS
    'Unique indexes and constraints that could not be kept: rows of different keys are on different nodes.';

CREATE FUNCTION teamscale_internal.dependency_obstacles("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('materialized view "%s" reads the table', v)
    FROM unnest(teamscale_internal.dependent_views("table")) AS v JOIN pg_class AS c ON c.oid = v WHERE c.relkind <> 'v'
    UNION ALL
    SELECT format('%s depends on the table''s row type', pg_describe_object(d.classid, d.objid, d.objsubid))
    FROM pg_type AS t JOIN pg_depend AS d ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray)
    WHERE t.typrelid = "table" AND d.deptype = 'n'
    UNION ALL
    SELECT format('%s refers to the table', pg_describe_object(d.classid, d.objid, d.objsubid))
    FROM pg_depend AS d
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = "table" AND d.deptype = 'n' AND d.classid = 'pg_proc'::regclass
    UNION ALL
    SELECT format('policy "%s" of table "%s" refers to the table', p.polname, p.polrelid::regclass)
    FROM pg_depend AS d JOIN pg_policy AS p ON p.oid = d.objid AND d.classid = 'pg_policy'::regclass
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = "table" AND p.polrelid <> "table"
    UNION ALL
    SELECT format('foreign key "%s" of table "%s" references the table: drop it, and add it with run_on_all_nodes() when both are sharded',
                  conname, conrelid::regclass)
    FROM pg_constraint WHERE confrelid = "table" AND contype = 'f' AND conrelid <> "table"
$$;
COMMENT ON FUNCTION teamscale_internal.dependency_obstacles(regclass) IS
    'What refers to a table by its identity, which changes when it becomes a partitioned one.';

CREATE FUNCTION teamscale_internal.foreign_key_obstacles("table" regclass, key name, group_id integer) RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('foreign key "%s" references table "%s", which is not colocated', k.conname, k.confrelid::regclass)
    FROM pg_constraint AS k
    WHERE k.conrelid = "table" AND k.contype = 'f' AND k.confrelid <> "table"
      AND NOT EXISTS (SELECT FROM teamscale_internal.sharded_table AS t
                      WHERE t.relation = k.confrelid AND t.group_id = foreign_key_obstacles.group_id)
    UNION ALL
    SELECT format('foreign key "%s" does not contain the key "%s"', k.conname, key)
    FROM pg_constraint AS k
    WHERE k.conrelid = "table" AND k.contype = 'f'
      AND NOT (SELECT a.attnum FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attname = key) = ANY (k.conkey)
$$;
COMMENT ON FUNCTION teamscale_internal.foreign_key_obstacles(regclass, name, integer) IS
    'Foreign keys that rows of one node could not be checked for by that node.';

CREATE FUNCTION teamscale_internal.sequence_obstacles("table" regclass, sequences text) RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('column "%s" takes values of type %s from a sequence: values that are unique in the cluster need bigint, '
                  'or ask for sequences => ''per_node''', o."column", o.column_type)
    FROM teamscale_internal.owned_sequences("table") AS o WHERE sequences = 'unique' AND o.column_type <> 'bigint'::regtype
    UNION ALL
    SELECT format('sequence "%s" of column "%s" cycles or counts down', o.sequence, o."column")
    FROM teamscale_internal.owned_sequences("table") AS o JOIN pg_sequence AS s ON s.seqrelid = o.sequence
    WHERE sequences = 'unique' AND (s.seqcycle OR s.seqincrement < 0)
    UNION ALL
    SELECT format('sequence "%s" is used by %s, too', u.sequence, pg_describe_object(u.classid, u.objid, u.objsubid))
    FROM (SELECT d.refobjid::regclass AS sequence, e.classid, e.objid, e.objsubid, own.adrelid
          FROM pg_attrdef AS own JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = own.oid
               JOIN pg_class AS c ON c.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass AND c.relkind = 'S'
               JOIN pg_depend AS e ON e.refclassid = 'pg_class'::regclass AND e.refobjid = c.oid AND e.objid <> own.oid
                    AND e.deptype = 'n' AND e.classid = 'pg_attrdef'::regclass
          WHERE own.adrelid = "table") AS u
         JOIN pg_attrdef AS other ON other.oid = u.objid
    WHERE other.adrelid <> "table" AND sequences = 'unique'
$$;
COMMENT ON FUNCTION teamscale_internal.sequence_obstacles(regclass, text) IS
    'Sequences of the table that could not give values unique in the cluster.';
