-- Coming from pg_partman: the policies that its configuration amounts to. Both its layouts (4.x and 5.x) are read as jsonb, so that
-- a column that one of them lacks is null.

CREATE FUNCTION teamscale_internal.partman_statement(config jsonb) RETURNS text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('SELECT teamscale.create_partition_policy(%s)', string_agg(argument, ', ' ORDER BY place))
    FROM (VALUES
        (1, format('%L, %L', config ->> 'parent_table', config ->> 'control')),
        (2, 'every => ' || quote_nullable(config ->> 'partition_interval')),
        (3, CASE WHEN config ->> 'partition_type' = 'list' THEN 'kind => ''list''' END),
        (4, 'premake => ' || (config ->> 'premake')),
        (5, 'retain => ' || quote_literal(config ->> 'retention')),
        (6, CASE WHEN config ->> 'retention' IS NULL THEN NULL
                 WHEN config ->> 'retention_schema' IS NOT NULL
                 THEN format('on_expiry => ''move'', move_to => %L', config ->> 'retention_schema')
                 WHEN (config ->> 'retention_keep_table')::boolean THEN 'on_expiry => ''detach''' END),
        (7, CASE WHEN config ->> 'epoch' IN ('seconds', 'milliseconds') THEN 'epoch => ' || quote_literal(config ->> 'epoch') END),
        (8, CASE WHEN (config ->> 'default_table') = 'false' THEN 'default_partition => false' END)) AS a (place, argument)
    WHERE argument IS NOT NULL
$$;
COMMENT ON FUNCTION teamscale_internal.partman_statement(jsonb) IS 'What makes the policy that a row of part_config amounts to.';

-- What of a row of part_config has no counterpart, or means something else here.
CREATE FUNCTION teamscale_internal.partman_remarks(config jsonb) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'the table does not exist' WHERE to_regclass(config ->> 'parent_table') IS NULL
    UNION ALL
    SELECT 'the table is not partitioned natively'
    WHERE config ->> 'partition_type' = 'partman'
       OR EXISTS (SELECT FROM pg_class AS c WHERE c.oid = to_regclass(config ->> 'parent_table') AND c.relkind <> 'p')
    UNION ALL
    SELECT 'partition boundaries were computed in the session''s TimeZone: give the one that was used as time_zone'
    WHERE EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = to_regclass(config ->> 'parent_table')
                  AND a.attname = config ->> 'control' AND a.atttypid = 'timestamptz'::regtype)
    UNION ALL
    SELECT 'retention counts by the numbers of a key: give the number of periods to keep as retain'
    WHERE config ->> 'retention' ~ '^\s*\d+\s*$'
    UNION ALL
    SELECT 'list partitions are made for the values that turn up, one each' WHERE config ->> 'partition_type' = 'list'
    UNION ALL
    SELECT format('epoch %s is not known: seconds and milliseconds are', config ->> 'epoch') WHERE config ->> 'epoch' IN ('microseconds', 'nanoseconds')
    UNION ALL
    SELECT format('%s has no counterpart', k.key)
    FROM jsonb_each_text(config) AS k
    WHERE k.key IN ('constraint_cols', 'time_encoder', 'time_decoder', 'template_table', 'publications') AND k.value IS NOT NULL
      AND NOT (k.key = 'template_table' AND k.value = format('partman.template_%s', replace(config ->> 'parent_table', '.', '_')))
    UNION ALL
    SELECT 'automatic maintenance is off there: this policy is maintained by itself' WHERE config ->> 'automatic_maintenance' = 'off'
$$;
COMMENT ON FUNCTION teamscale_internal.partman_remarks(jsonb) IS
    'What of a row of part_config needs attention, one line each.';

CREATE FUNCTION teamscale.import_partman_config(OUT "table" text, OUT statement text, OUT remarks text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    configuration regclass := (
        SELECT c.oid FROM pg_extension AS e JOIN pg_class AS c ON c.relnamespace = e.extnamespace
        WHERE e.extname = 'pg_partman' AND c.relname = 'part_config');
    config jsonb;
BEGIN
    IF configuration IS NULL THEN
        RAISE EXCEPTION 'this database has no configuration of pg_partman'
            USING ERRCODE = 'undefined_object', HINT = 'Call it in the database in which pg_partman is installed.';
    END IF;
    FOR config IN EXECUTE format('SELECT to_jsonb(c) FROM %s AS c ORDER BY c.parent_table', configuration) LOOP
        "table" := config ->> 'parent_table';
        statement := teamscale_internal.partman_statement(config);
        remarks := (SELECT string_agg(r, E'\n') FROM teamscale_internal.partman_remarks(config) AS r);
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION teamscale.import_partman_config() IS
    'The policies that pg_partman''s configuration in this database (4.x or 5.x) amounts to, as statements to read and run, with what '
    'needs attention. Changes nothing.';
