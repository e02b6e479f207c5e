-- Why a table cannot be sharded: everything at once, before anything changes.

CREATE FUNCTION teamscale_internal.key_obstacles("table" regclass, key name, method text) RETURNS SETOF text
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
        (CASE WHEN method = 'list' AND NOT teamscale_internal.has_order(a.atttypid)
              THEN format('type %s of column "%s" has no order, which lists need', a.atttypid::regtype, key) END),
        -- Who reads a list's values, reads them as a superuser, or as anybody: no check of a user's may run then.
        (CASE WHEN method = 'list' AND teamscale_internal.has_domain(a.atttypid)
              THEN format('type %s is, or contains, a domain, whose checks would run whenever the values of a list are read',
                          a.atttypid::regtype) END),
        (CASE WHEN NOT teamscale_internal.hashes_alike(a.atttypid)
              THEN format('values of type %s hash differently in each database: shard by their text form, or by a number',
                          a.atttypid::regtype) END)) AS o (obstacle)
    WHERE a.attrelid = "table" AND a.attname = key AND a.attnum > 0 AND NOT a.attisdropped AND obstacle IS NOT NULL
$$;
COMMENT ON FUNCTION teamscale_internal.key_obstacles(regclass, name, text) IS 'Why a column cannot be a sharding key.';

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
    SELECT format('constraint trigger "%s" is for references from table "%s"', tgname, tgconstrrelid::regclass) FROM pg_trigger
    WHERE tgrelid = "table" AND NOT tgisinternal AND tgconstrrelid <> 0
    UNION ALL
    SELECT format('rule "%s"', rulename) FROM pg_rewrite WHERE ev_class = "table" AND rulename <> '_RETURN'
    UNION ALL
    SELECT format('the table is clustered on index "%s": ALTER TABLE ... SET WITHOUT CLUSTER', indexrelid::regclass)
    FROM pg_index WHERE indrelid = "table" AND indisclustered
    UNION ALL
    SELECT format('index "%s" is invalid', indexrelid::regclass) FROM pg_index WHERE indrelid = "table" AND NOT indisvalid
    UNION ALL
    SELECT format('publication "%s"', p.pubname)
    FROM pg_publication AS p
    WHERE p.puballtables
       OR EXISTS (SELECT FROM pg_publication_rel AS r WHERE r.prpubid = p.oid AND r.prrelid = "table")
       OR EXISTS (SELECT FROM pg_publication_namespace AS n JOIN pg_class AS c ON c.relnamespace = n.pnnspid
                  WHERE n.pnpubid = p.oid AND c.oid = "table")
    UNION ALL
    SELECT format('subscription "%s" writes into it', s.subname)
    FROM pg_subscription_rel AS r JOIN pg_subscription AS s ON s.oid = r.srsubid WHERE r.srrelid = "table"
    UNION ALL
    SELECT format('security label of provider "%s"', provider) FROM pg_seclabel WHERE classoid = 'pg_class'::regclass AND objoid = "table"
$$;
COMMENT ON FUNCTION teamscale_internal.table_obstacles(regclass) IS 'What a table is or has that a sharded one cannot.';

CREATE FUNCTION teamscale_internal.uniqueness_obstacles("table" regclass, key name) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s "%s" does not contain the key "%s"%s',
                  CASE WHEN i.indisprimary THEN 'primary key' ELSE 'unique index' END, c.relname, key,
                  CASE WHEN a.attnum = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1]) THEN ' in its own collation' ELSE '' END)
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
         LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = key
    WHERE i.indrelid = "table" AND i.indisunique
      AND NOT EXISTS (SELECT FROM unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1], (i.indcollation::oid[])[0:i.indnkeyatts - 1])
                                  AS k (number, used_collation)
                      WHERE k.number = a.attnum AND k.used_collation = a.attcollation)
    UNION ALL
    SELECT format('exclusion constraint "%s"', conname) FROM pg_constraint WHERE conrelid = "table" AND contype = 'x'
$$;
COMMENT ON FUNCTION teamscale_internal.uniqueness_obstacles(regclass, name) IS
    'Unique indexes and constraints that could not be kept: rows of different keys are on different nodes.';

CREATE FUNCTION teamscale_internal.dependency_obstacles("table" regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH own (relation) AS (
        SELECT "table"::oid
        UNION SELECT v FROM unnest(teamscale_internal.dependent_views("table")) AS v
        UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = "table"
    ), own_object (class, object) AS (
        SELECT 'pg_class'::regclass, relation FROM own
        UNION ALL
        SELECT 'pg_type'::regclass, u.type FROM own JOIN pg_type AS t ON t.typrelid = own.relation
                                               CROSS JOIN LATERAL unnest(ARRAY[t.oid, t.typarray]) AS u (type)
    ), dependent AS (
        SELECT DISTINCT d.classid AS class, d.objid AS object, d.refclassid = 'pg_type'::regclass AS by_type,
                        CASE WHEN d.classid = 'pg_class'::regclass THEN d.objsubid ELSE 0 END AS column_number
        FROM own_object AS o JOIN pg_depend AS d ON d.refclassid = o.class AND d.refobjid = o.object
        WHERE d.deptype IN ('n', 'a') AND NOT EXISTS (
                  SELECT FROM own WHERE own.relation = teamscale_internal.relation_of_part(d.classid, d.objid))
    )
    SELECT format('materialized view "%s" reads the table', c.oid::regclass)
    FROM own JOIN pg_class AS c ON c.oid = own.relation AND c.relkind = 'm' AND c.oid <> "table"
    UNION ALL
    SELECT format('view "%s" is temporary', c.oid::regclass)
    FROM own JOIN pg_class AS c ON c.oid = own.relation AND c.relkind = 'v' AND c.relpersistence = 't' AND c.oid <> "table"
    UNION ALL
    SELECT format('view "%s" belongs to an extension', c.oid::regclass)
    FROM own JOIN pg_class AS c ON c.oid = own.relation AND c.relkind = 'v'
         JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
    UNION ALL
    SELECT format('foreign key "%s" of table "%s" references the table', k.conname, k.conrelid::regclass)
    FROM dependent AS d JOIN pg_constraint AS k ON d.class = 'pg_constraint'::regclass AND k.oid = d.object
    WHERE k.contype = 'f' AND k.conparentid = 0
    UNION ALL
    SELECT format(CASE WHEN by_type THEN '%s depends on its row type' ELSE '%s refers to it' END,
                  pg_describe_object(class, object, column_number))
    FROM dependent AS d
    WHERE class <> 'pg_publication_rel'::regclass
      AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE d.class = 'pg_constraint'::regclass AND k.oid = d.object AND k.contype = 'f')
$$;
COMMENT ON FUNCTION teamscale_internal.dependency_obstacles(regclass) IS
    'What refers to a table, or to a view on it, by its identity: that changes when it becomes a partitioned one, or a plain one again.';

-- In a foreign key the sharding key must stand for the sharding key.
CREATE FUNCTION teamscale_internal.foreign_key_obstacles("table" regclass, key name, group_id integer) RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('foreign key "%s" references table "%s", which is not colocated', k.conname, k.confrelid::regclass)
    FROM pg_constraint AS k
    WHERE k.conrelid = "table" AND k.contype = 'f' AND k.conparentid = 0 AND k.confrelid <> "table"
      AND NOT EXISTS (SELECT FROM teamscale_internal.sharded_table AS t
                      WHERE t.relation = k.confrelid AND t.group_id = foreign_key_obstacles.group_id)
    UNION ALL
    SELECT format('foreign key "%s" does not refer from the key "%s" to the key of table "%s"', k.conname, key, k.confrelid::regclass)
    FROM pg_constraint AS k
         LEFT JOIN pg_partitioned_table AS p ON p.partrelid = k.confrelid
         LEFT JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attname = key
    WHERE k.conrelid = "table" AND k.contype = 'f' AND k.conparentid = 0
      AND NOT EXISTS (SELECT FROM unnest(k.conkey, k.confkey) AS c (own, referenced)
                      WHERE c.own = a.attnum
                        AND c.referenced = CASE WHEN k.confrelid = "table" THEN a.attnum ELSE p.partattrs[0] END)
$$;
COMMENT ON FUNCTION teamscale_internal.foreign_key_obstacles(regclass, name, integer) IS
    'Foreign keys that rows of one node could not be checked for by that node.';

-- Looking at a sequence's value locks it until the transaction ends.
CREATE FUNCTION teamscale_internal.sequence_obstacles("table" regclass, sequences regclass[], look_at_values boolean) RETURNS SETOF text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH used AS (
        SELECT * FROM teamscale_internal.used_sequences("table") AS u WHERE sequences IS NULL OR u.sequence = ANY (sequences))
    SELECT format('column "%s" takes values of type %s from sequence "%s": only bigint has room for a range of values for each node',
                  u."column", u.column_type, u.sequence)
    FROM used AS u WHERE u.column_type IN ('integer'::regtype, 'smallint'::regtype)
    UNION ALL
    SELECT format('sequence "%s" is of type %s: ALTER SEQUENCE ... AS bigint', u.sequence, s.seqtypid::regtype)
    FROM used AS u JOIN pg_sequence AS s ON s.seqrelid = u.sequence
    WHERE u.column_type NOT IN ('integer'::regtype, 'smallint'::regtype) AND s.seqtypid <> 'bigint'::regtype
    UNION ALL
    SELECT DISTINCT format('sequence "%s" cycles or counts down', u.sequence)
    FROM used AS u JOIN pg_sequence AS s ON s.seqrelid = u.sequence
    WHERE s.seqcycle OR s.seqincrement < 0
    UNION ALL
    SELECT DISTINCT format('sequence "%s" has a MINVALUE or MAXVALUE of its own', u.sequence)
    FROM used AS u JOIN pg_sequence AS s ON s.seqrelid = u.sequence
    WHERE s.seqtypid = 'bigint'::regtype AND NOT s.seqcycle AND s.seqincrement > 0 AND (s.seqmin, s.seqmax) <> (1, 9223372036854775807)
    UNION ALL
    SELECT DISTINCT format('sequence "%s" has gone too far: there is no room for a range of values for each node', u.sequence)
    FROM used AS u JOIN pg_sequence AS s ON s.seqrelid = u.sequence
    WHERE look_at_values AND s.seqmin > 0 AND s.seqincrement > 0
      AND teamscale_internal.range_base(u.sequence) + (SELECT max(node_id) FROM teamscale_internal.node) * (2::numeric ^ 48) >= 2::numeric ^ 63
    UNION ALL
    SELECT format('sequence "%s" has to do with %s, too', u.sequence, o.other)
    FROM (SELECT DISTINCT sequence FROM used) AS u
         CROSS JOIN LATERAL teamscale_internal.other_users_of_sequence(u.sequence, "table") AS o (other)
$$;
COMMENT ON FUNCTION teamscale_internal.sequence_obstacles(regclass, regclass[], boolean) IS
    'Sequences of the table, all or those given, that could not give values unique in the cluster.';

-- What can be done only as another role.
CREATE FUNCTION teamscale_internal.role_obstacles("table" regclass, role name) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('row security is forced upon role "%s", which must see all rows', role)
    FROM pg_class AS c JOIN pg_roles AS r ON r.rolname = role
    WHERE c.oid = "table" AND c.relrowsecurity AND c.relforcerowsecurity AND NOT (r.rolsuper OR r.rolbypassrls)
    UNION ALL
    SELECT DISTINCT format('privileges on "%s" were granted by role "%s", which role "%s" cannot become', c.oid::regclass,
                           pg_get_userbyid(g.grantor), role)
    FROM (SELECT "table"::oid AS id UNION ALL SELECT sequence FROM teamscale_internal.owned_sequences("table")
          UNION ALL SELECT v FROM unnest(teamscale_internal.dependent_views("table")) AS v) AS own
         JOIN pg_class AS c ON c.oid = own.id
         CROSS JOIN LATERAL (SELECT c.relacl AS acl
                             UNION ALL SELECT a.attacl FROM pg_attribute AS a WHERE a.attrelid = c.oid) AS l
         CROSS JOIN LATERAL aclexplode(l.acl) AS g
    WHERE g.grantor <> c.relowner AND NOT pg_has_role(role, g.grantor, 'MEMBER')
$$;
COMMENT ON FUNCTION teamscale_internal.role_obstacles(regclass, name) IS
    'What a role that is not a superuser cannot move or make again.';
