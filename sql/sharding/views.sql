-- What is sharded, and where its buckets are.

CREATE VIEW teamscale.sharded_table AS
    SELECT t.relation AS "table", a.attname AS key, g.method, g.group_id AS colocation_group,
           (SELECT count(*) FROM teamscale_internal.bucket AS b WHERE b.group_id = g.group_id) AS buckets
    FROM teamscale_internal.sharded_table AS t JOIN teamscale_internal.colocation_group AS g USING (group_id)
         LEFT JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = t.relation
         LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.relation AND a.attnum = p.partattrs[0];
COMMENT ON VIEW teamscale.sharded_table IS 'The sharded tables of the cluster.';
COMMENT ON COLUMN teamscale.sharded_table."table" IS 'The table, the same name on every node.';
COMMENT ON COLUMN teamscale.sharded_table.key IS 'The column whose value decides where a row is.';
COMMENT ON COLUMN teamscale.sharded_table.method IS 'hash or list.';
COMMENT ON COLUMN teamscale.sharded_table.colocation_group IS 'Tables with the same number have the same buckets in the same places.';
COMMENT ON COLUMN teamscale.sharded_table.buckets IS 'How many buckets the table has over all nodes.';
GRANT SELECT ON teamscale.sharded_table TO PUBLIC;

CREATE VIEW teamscale.bucket AS
    SELECT t.relation AS "table", b.bucket_id AS bucket, n.name AS node, b.modulus, b.remainder, b."values",
           pg_catalog.format('teamscale_bucket.%I', teamscale_internal.leaf_name(c.relname, t.table_id, b.bucket_id)) AS leaf
    FROM teamscale_internal.sharded_table AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.relation
         JOIN teamscale_internal.bucket AS b USING (group_id)
         JOIN teamscale_internal.placement AS p USING (bucket_id)
         JOIN teamscale_internal.node AS n USING (node_id);
COMMENT ON VIEW teamscale.bucket IS 'The buckets of sharded tables, and the node that holds each.';
COMMENT ON COLUMN teamscale.bucket."table" IS 'The sharded table.';
COMMENT ON COLUMN teamscale.bucket.bucket IS 'The bucket''s number, as bucket_of() gives it.';
COMMENT ON COLUMN teamscale.bucket.node IS 'The node that holds it.';
COMMENT ON COLUMN teamscale.bucket.modulus IS 'Of a hash bucket: by what the hash is divided.';
COMMENT ON COLUMN teamscale.bucket.remainder IS 'Of a hash bucket: the remainder that its keys have.';
COMMENT ON COLUMN teamscale.bucket."values" IS 'Of a list bucket: the keys that it holds, in text form.';
COMMENT ON COLUMN teamscale.bucket.leaf IS 'The partition that holds the bucket''s rows on its node.';
GRANT SELECT ON teamscale.bucket TO PUBLIC;
