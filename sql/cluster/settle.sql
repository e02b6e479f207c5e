-- Transactions over several nodes whose outcome has not reached every node yet.

CREATE FUNCTION teamscale.settle_transactions(OUT gid text, OUT node text, OUT action text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER
    AS 'MODULE_PATHNAME', 'teamscale_settle_transactions';
COMMENT ON FUNCTION teamscale.settle_transactions() IS
    'Does now what the maintenance worker does again and again: commits or rolls back, on every node, what transactions of '
    'this node left prepared there. One row for each, and one without a gid for each node that was not reached.';
REVOKE ALL ON FUNCTION teamscale.settle_transactions() FROM PUBLIC;

CREATE VIEW teamscale.in_doubt_transaction AS
    SELECT r.gid, l.name AS router, n.name AS node,
           pg_catalog.clock_timestamp() - r.decided_at AS age,
           pg_catalog.format('node "%s" to confirm the commit', n.name) AS waits_for
    FROM teamscale_internal.commit_record AS r
         JOIN teamscale_internal.node AS l
              ON l.node_id = (SELECT s.node_id FROM teamscale_internal.local_node AS s)
         LEFT JOIN teamscale_internal.node AS n ON n.node_id = r.node_id
    UNION ALL
    SELECT p.gid, r.name, l.name,
           pg_catalog.clock_timestamp() - p.prepared,
           CASE WHEN r.name IS NULL THEN 'a router that is no node any more'
                ELSE pg_catalog.format('the decision of node "%s"', r.name) END
    FROM pg_catalog.pg_prepared_xacts AS p
         JOIN teamscale_internal.cluster AS c
              ON pg_catalog.starts_with(p.gid, 'teamscale:' || c.cluster_id::text || ':')
         JOIN teamscale_internal.node AS l
              ON l.node_id = (SELECT s.node_id FROM teamscale_internal.local_node AS s)
         LEFT JOIN teamscale_internal.node AS r
              ON r.node_id::text = pg_catalog.split_part(p.gid, ':', 3)
    WHERE p.database = pg_catalog.current_database();
COMMENT ON VIEW teamscale.in_doubt_transaction IS
    'Transactions over several nodes that this node has decided but not seen confirmed everywhere, and those that are '
    'prepared here and wait for another node''s decision. A row that stays means that a node cannot be reached.';
COMMENT ON COLUMN teamscale.in_doubt_transaction.gid IS 'The name of the prepared transaction.';
COMMENT ON COLUMN teamscale.in_doubt_transaction.router IS 'The node that decides.';
COMMENT ON COLUMN teamscale.in_doubt_transaction.node IS 'The node on which it is, or was, prepared.';
COMMENT ON COLUMN teamscale.in_doubt_transaction.age IS 'Time since it began to commit, or was prepared.';
COMMENT ON COLUMN teamscale.in_doubt_transaction.waits_for IS 'What is missing.';
GRANT SELECT ON teamscale.in_doubt_transaction TO pg_monitor;
