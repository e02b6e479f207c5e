-- What COPY into a sharded table adds to its WHERE condition. Whoever may COPY calls them; outside a
-- COPY they raise. STABLE, though a row is sent: COPY inserts rows one by one under a volatile one.

CREATE FUNCTION teamscale_internal.keep_copied_row(key "any") RETURNS boolean
    LANGUAGE c STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_keep_copied_row';
COMMENT ON FUNCTION teamscale_internal.keep_copied_row("any") IS
    'Whether the row that COPY is at belongs to this node.';

CREATE FUNCTION teamscale_internal.send_copied_row("row" record) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_send_copied_row';
COMMENT ON FUNCTION teamscale_internal.send_copied_row(record) IS
    'Sends the row that COPY is at to the node that it belongs to.';
