-- SQL of the application's on nodes that it names, as the current user. Whatever is local to a node
-- is seen: of a sharded table its own buckets. Each row that the statement returns comes as jsonb; a
-- statement that returns none gives one row for each node, with the rows affected.

CREATE FUNCTION teamscale.run_on_node(INOUT node text, sql text, OUT result jsonb, OUT affected bigint)
    RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_run_on_node';
COMMENT ON FUNCTION teamscale.run_on_node(text, text) IS
    'Runs SQL on one node as the current user, in this transaction; alone if it refuses a block.';

CREATE FUNCTION teamscale.run_on_key("table" regclass, key "any", sql text,
                                     OUT node text, OUT result jsonb, OUT affected bigint)
    RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_run_on_key';
COMMENT ON FUNCTION teamscale.run_on_key(regclass, "any", text) IS
    'Runs SQL on the node that holds the rows of a sharded table with this key.';

CREATE FUNCTION teamscale.run_on_key("table" regclass, key text, sql text,
                                     OUT node text, OUT result jsonb, OUT affected bigint)
    RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_run_on_key';
COMMENT ON FUNCTION teamscale.run_on_key(regclass, text, text) IS
    'Runs SQL on the node that holds the rows of a sharded table with this key.';

CREATE FUNCTION teamscale.run_on_all_nodes(sql text, OUT node text, OUT result jsonb, OUT affected bigint)
    RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_run_on_all_nodes';
COMMENT ON FUNCTION teamscale.run_on_all_nodes(text) IS
    'Runs SQL on all active nodes, all or none; node by node if it refuses a transaction block. What '
    'it does to sharded tables is checked to be the same everywhere.';

-- What they ask of other nodes. They refuse a connection that is no node's.

CREATE FUNCTION teamscale_internal.execute_here(sql text, definitions boolean,
                                                OUT result jsonb, OUT affected bigint)
    RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_execute_here';
COMMENT ON FUNCTION teamscale_internal.execute_here(text, boolean) IS
    'Runs SQL in this database for a router; definitions: it may change sharded tables.';

CREATE FUNCTION teamscale_internal.lock_definitions() RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_lock_definitions';
COMMENT ON FUNCTION teamscale_internal.lock_definitions() IS
    'Waits for other changes of definitions, and makes them wait until this transaction ends.';

-- Names, types and expressions only: OIDs differ between nodes. Of the parents only: the leaves do.
CREATE FUNCTION teamscale_internal.definition_digest(OUT table_name text, OUT aspect text, OUT digest text)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    WITH sharded AS (
        SELECT c.* FROM teamscale_internal.sharded_table AS t JOIN pg_class AS c ON c.oid = t.relation
    ), part (relation, aspect, definition) AS (
        SELECT c.oid, 'columns',
               concat_ws(' ', row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), quote_ident(a.attname),
                         format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation, a.attnotnull,
                         a.attidentity, (SELECT o.sequence FROM teamscale_internal.owned_sequences(c.oid) AS o
                                         WHERE o.identity AND o."column" = a.attname),
                         a.attgenerated, pg_get_expr(d.adbin, d.adrelid), a.attacl)
        FROM sharded AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        UNION ALL
        SELECT c.oid, 'constraints', concat_ws(' ', quote_ident(k.conname), pg_get_constraintdef(k.oid), k.convalidated)
        FROM sharded AS c JOIN pg_constraint AS k ON k.conrelid = c.oid
        WHERE k.conparentid = 0
        UNION ALL
        SELECT c.oid, 'indexes', concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisreplident)
        FROM sharded AS c JOIN pg_index AS i ON i.indrelid = c.oid
        UNION ALL
        SELECT c.oid, 'triggers', concat_ws(' ', pg_get_triggerdef(g.oid), g.tgenabled)
        FROM sharded AS c JOIN pg_trigger AS g ON g.tgrelid = c.oid AND NOT g.tgisinternal
        UNION ALL
        SELECT c.oid, 'policies',
               concat_ws(' ', quote_ident(p.polname), p.polcmd, p.polpermissive,
                         ARRAY(SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_get_userbyid(r) END
                               FROM unnest(p.polroles) AS r ORDER BY 1),
                         pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
        FROM sharded AS c JOIN pg_policy AS p ON p.polrelid = c.oid
        UNION ALL
        SELECT c.oid, 'statistics objects', pg_get_statisticsobjdef(s.oid)
        FROM sharded AS c JOIN pg_statistic_ext AS s ON s.stxrelid = c.oid
        UNION ALL
        SELECT c.oid, 'rules', pg_get_ruledef(r.oid)
        FROM sharded AS c JOIN pg_rewrite AS r ON r.ev_class = c.oid
        UNION ALL
        SELECT c.oid, 'owner and privileges',
               concat_ws(' ', pg_get_userbyid(c.relowner), c.relrowsecurity, c.relforcerowsecurity,
                         ARRAY(SELECT i::text FROM unnest(c.relacl) AS i ORDER BY 1))
        FROM sharded AS c
    )
    SELECT relation::regclass::text, aspect, md5(string_agg(definition, E'\n' ORDER BY definition COLLATE "C"))
    FROM part GROUP BY relation, aspect
$$;
COMMENT ON FUNCTION teamscale_internal.definition_digest() IS
    'What a change of definitions must leave the same on every node, of each sharded table.';

CREATE FUNCTION teamscale_internal.check_same_definitions() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_check_same_definitions';
COMMENT ON FUNCTION teamscale_internal.check_same_definitions() IS
    'Raises 55000 with the list of differences unless the sharded tables are the same on all active nodes.';
REVOKE ALL ON FUNCTION teamscale_internal.check_same_definitions() FROM PUBLIC;
