-- Without the library in the server a sharded table would show one node's rows as if they were all. So it must come in
-- by shared_preload_libraries; and each session of this database loads it in any case, so that a server restarted
-- without the first setting refuses too.

CREATE FUNCTION teamscale_internal.require_preload() RETURNS void
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_require_preload';
COMMENT ON FUNCTION teamscale_internal.require_preload() IS
    'Raises 55000 unless the server loaded teamscale at its start.';
SELECT teamscale_internal.require_preload();

DO $$
DECLARE
    libraries text[];
BEGIN
    SELECT regexp_split_to_array(substr(setting, length('session_preload_libraries=') + 1), '\s*,\s*') INTO libraries
    FROM pg_catalog.pg_db_role_setting AS s CROSS JOIN unnest(s.setconfig) AS setting
    WHERE s.setrole = 0 AND s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
      AND setting LIKE 'session\_preload\_libraries=%';
    IF 'teamscale' <> ALL (coalesce(libraries, '{}')) THEN
        EXECUTE format('ALTER DATABASE %I SET session_preload_libraries = %s', current_database(),
                       (SELECT string_agg(quote_literal(library), ', ')
                        FROM unnest(libraries || 'teamscale'::text) AS library WHERE library <> ''));
    END IF;
END
$$;
