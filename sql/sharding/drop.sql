-- What DROP TABLE of a sharded table asks of the other nodes, as the user who drops it.

CREATE FUNCTION teamscale_internal.forget_sharded_table("table" regclass) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_forget_sharded_table';
COMMENT ON FUNCTION teamscale_internal.forget_sharded_table(regclass) IS
    'Takes a sharded table out of this node''s catalog; 42501 unless a node asks, for one who may drop it.';
