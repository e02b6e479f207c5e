CREATE FUNCTION teamscale_internal.hide_changes(hidden boolean) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_hide_changes';
COMMENT ON FUNCTION teamscale_internal.hide_changes(boolean) IS
    'Whether what this session changes from now to the end of its transaction is left out of change events: rows that only move.';
REVOKE ALL ON FUNCTION teamscale_internal.hide_changes(boolean) FROM PUBLIC;
