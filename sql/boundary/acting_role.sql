-- On whose behalf our own SQL runs.

CREATE FUNCTION teamscale_internal.acting_role() RETURNS name
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'teamscale_acting_role';
COMMENT ON FUNCTION teamscale_internal.acting_role() IS
    'The role on whose behalf a function of ours runs as the extension''s owner; elsewhere the current role.';
