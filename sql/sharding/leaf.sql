-- The leaves of sharded tables, and what each of them has on its own.

CREATE FUNCTION teamscale_internal.create_leaves(parent regclass) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_create_leaves';
COMMENT ON FUNCTION teamscale_internal.create_leaves(regclass) IS
    'Makes the leaves that this node lacks of a sharded table, for the table''s owner.';
REVOKE ALL ON FUNCTION teamscale_internal.create_leaves(regclass) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.conform_leaves(parent regclass) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_conform_leaves';
COMMENT ON FUNCTION teamscale_internal.conform_leaves(regclass) IS
    'Gives this node''s leaves of a sharded table what leaf_statements() says.';
REVOKE ALL ON FUNCTION teamscale_internal.conform_leaves(regclass) FROM PUBLIC;

CREATE FUNCTION teamscale_internal.leaf_name("table" text, table_id integer, bucket_id integer) RETURNS name
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_leaf_name';
COMMENT ON FUNCTION teamscale_internal.leaf_name(text, integer, integer) IS
    'The name of a bucket''s leaf in schema teamscale_bucket, at most 63 bytes.';

-- What only tables with storage have: of a sharded table its leaves.
CREATE FUNCTION teamscale_internal.storage_actions("table" regclass) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_remove(ARRAY[
        'SET (' || array_to_string(c.reloptions, ', ') || ')',
        'SET (' || (SELECT string_agg('toast.' || option, ', ')
                    FROM pg_class AS t CROSS JOIN unnest(t.reloptions) AS option WHERE t.oid = c.reltoastrelid) || ')',
        'SET TABLESPACE ' || quote_ident(s.spcname)], NULL)
    FROM pg_class AS c LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace WHERE c.oid = "table"
$$;
COMMENT ON FUNCTION teamscale_internal.storage_actions(regclass) IS
    'Actions of ALTER TABLE for the storage options and the tablespace of a plain table.';

-- What partitions do not take over from their parent, where it differs.
CREATE FUNCTION teamscale_internal.leaf_statements(parent regclass) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    WITH leaf AS (
        SELECT l.oid::regclass AS leaf, l.relreplident AS identity, p.relreplident AS parent_identity
        FROM pg_inherits AS i JOIN pg_class AS l ON l.oid = i.inhrelid JOIN pg_class AS p ON p.oid = i.inhparent
        WHERE i.inhparent = parent
    ), index_pair AS (
        SELECT l.indrelid::regclass AS leaf, l.indexrelid::regclass AS index, p.indexrelid AS parent_index,
               l.indisreplident AS identifies, p.indisreplident AS parent_identifies
        FROM pg_index AS p JOIN pg_inherits AS i ON i.inhparent = p.indexrelid JOIN pg_index AS l ON l.indexrelid = i.inhrelid
        WHERE p.indrelid = parent)
    SELECT format('ALTER TABLE %s ALTER COLUMN %I SET %s', leaf.leaf, p.attname, change)
    FROM leaf JOIN pg_attribute AS p ON p.attrelid = parent AND p.attnum > 0 AND NOT p.attisdropped
         JOIN pg_attribute AS l ON l.attrelid = leaf.leaf AND l.attname = p.attname
         CROSS JOIN LATERAL (VALUES
             (CASE WHEN l.attstattarget <> p.attstattarget THEN format('STATISTICS %s', p.attstattarget) END),
             (CASE WHEN teamscale_internal.column_options(l.attoptions) IS DISTINCT FROM teamscale_internal.column_options(p.attoptions)
                   THEN '(' || teamscale_internal.column_options(p.attoptions) || ')' END)) AS c (change)
    WHERE change IS NOT NULL AND (l.attstattarget <> p.attstattarget OR p.attoptions IS NOT NULL)
    UNION ALL
    SELECT format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', i.index, p.attnum, p.attstattarget)
    FROM index_pair AS i JOIN pg_attribute AS p ON p.attrelid = i.parent_index
         JOIN pg_attribute AS l ON l.attrelid = i.index AND l.attnum = p.attnum
    WHERE l.attstattarget <> p.attstattarget
    UNION ALL
    SELECT format('ALTER TABLE %s REPLICA IDENTITY %s', leaf,
                  CASE parent_identity WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE 'DEFAULT' END)
    FROM leaf WHERE identity <> parent_identity AND parent_identity <> 'i'
    UNION ALL
    SELECT format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', i.leaf, c.relname)
    FROM index_pair AS i JOIN pg_class AS c ON c.oid = i.index WHERE parent_identifies AND NOT identifies
$$;
COMMENT ON FUNCTION teamscale_internal.leaf_statements(regclass) IS
    'What makes the leaves of a table conform with it: statistics targets and options of columns and indexes, replica identity.';
