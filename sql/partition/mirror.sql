-- What writes to the copy what is written to a partition that is being rewritten (mirror.h). Nobody may execute them: whoever
-- could make a trigger of them could write to any table.

CREATE FUNCTION teamscale_internal.mirror_row() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_mirror_row';
COMMENT ON FUNCTION teamscale_internal.mirror_row() IS
    'Makes a row of a rewrite''s destination what the row of the same key is in the source.';
REVOKE ALL ON FUNCTION teamscale_internal.mirror_row() FROM PUBLIC;

CREATE FUNCTION teamscale_internal.mirror_truncate() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_mirror_truncate';
COMMENT ON FUNCTION teamscale_internal.mirror_truncate() IS 'Takes a truncated source''s rows out of a rewrite''s destination.';
REVOKE ALL ON FUNCTION teamscale_internal.mirror_truncate() FROM PUBLIC;
