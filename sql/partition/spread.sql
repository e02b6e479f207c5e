-- How evenly rows and writes are spread over partitions.

CREATE FUNCTION teamscale.partition_spread("table" regclass, OUT partitions bigint, OUT empty bigint, OUT rows bigint, OUT bytes bigint,
                                           OUT evenness double precision, OUT largest regclass, OUT largest_share double precision,
                                           OUT writes bigint, OUT busiest regclass, OUT busiest_share double precision)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_partitioned_table AS p WHERE p.partrelid = "table") THEN
        RAISE EXCEPTION '"%" is not a partitioned table', coalesce("table"::text, 'NULL') USING ERRCODE = 'wrong_object_type',
            HINT = 'Name the table whose partitions are to be compared.';
    END IF;
    WITH leaf AS MATERIALIZED (
        SELECT t.relid, greatest(c.reltuples, 0)::bigint AS rows,
               -- What it takes for its rows and their indexes; what is dropped meanwhile has no size.
               CASE WHEN pg_relation_size(c.oid) > 0 THEN pg_total_relation_size(c.oid) ELSE 0 END AS bytes,
               coalesce(pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid), 0) AS writes
        FROM pg_partition_tree("table") AS t JOIN pg_class AS c ON c.oid = t.relid
        WHERE t.isleaf AND c.relkind IN ('r', 'f')),
    whole AS (
        SELECT count(*) AS leaves, count(*) FILTER (WHERE l.bytes > 0) AS filled, coalesce(sum(l.rows), 0)::bigint AS rows,
               coalesce(sum(l.bytes), 0)::bigint AS bytes, coalesce(sum(l.writes), 0)::bigint AS writes
        FROM leaf AS l)
    SELECT w.leaves, w.leaves - w.filled, w.rows, w.bytes,
           -- The entropy of the shares, by what it is when all are alike.
           CASE WHEN w.filled > 1 THEN (SELECT -sum(s.share * ln(s.share)) FROM leaf AS l
                                        CROSS JOIN LATERAL (SELECT l.bytes / w.bytes::double precision) AS s (share) WHERE l.bytes > 0)
                                       / ln(w.filled::double precision) END,
           a.relid, a.bytes / nullif(w.bytes, 0)::double precision, w.writes,
           b.relid, b.writes / nullif(w.writes, 0)::double precision
    INTO partitions, empty, rows, bytes, evenness, largest, largest_share, writes, busiest, busiest_share
    FROM whole AS w
         LEFT JOIN LATERAL (SELECT l.relid, l.bytes FROM leaf AS l WHERE l.bytes > 0 ORDER BY l.bytes DESC, l.relid LIMIT 1) AS a ON true
         LEFT JOIN LATERAL (SELECT l.relid, l.writes FROM leaf AS l WHERE l.writes > 0 ORDER BY l.writes DESC, l.relid LIMIT 1) AS b ON true;
END
$$;
COMMENT ON FUNCTION teamscale.partition_spread(regclass) IS
    'How evenly a table is spread over its partitions on this node: how many there are, how many of them are empty, estimated rows, '
    'bytes with indexes; evenness: 1 when all that are not empty are alike, near 0 when one has nearly everything, null for fewer than two; '
    'the largest and its share of the bytes; rows written since the statistics were reset, the partition that got most of them, and its share.';
