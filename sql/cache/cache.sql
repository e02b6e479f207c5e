-- Caches of this database: what a cache's function answers, and how its changes are seen.

CREATE TABLE teamscale_internal.cache (
    function regprocedure PRIMARY KEY,
    relation regclass NOT NULL,
    key_columns name[] NOT NULL,
    value_columns name[] NOT NULL,
    columns name[] NOT NULL,
    is_unique boolean NOT NULL,
    order_by text,
    filter text,
    ttl bigint,
    near_ttl bigint
);
COMMENT ON TABLE teamscale_internal.cache IS
    'The caches. columns: all that an answer depends on, those of order_by and filter too; ttl and near_ttl in microseconds.';
REVOKE ALL ON teamscale_internal.cache FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('teamscale_internal.cache', '');

CREATE FUNCTION teamscale_internal.invalidate_caches() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_invalidate_caches';
COMMENT ON FUNCTION teamscale_internal.invalidate_caches() IS 'Makes all backends read the catalog of caches again.';
CREATE TRIGGER invalidate AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON teamscale_internal.cache
    FOR EACH STATEMENT EXECUTE FUNCTION teamscale_internal.invalidate_caches();
ALTER TABLE teamscale_internal.cache ENABLE ALWAYS TRIGGER invalidate;

CREATE FUNCTION teamscale_internal.guard_cache() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_guard_cache';
COMMENT ON FUNCTION teamscale_internal.guard_cache() IS
    'Records the keys of a cached table that a transaction changes, AFTER each row.';

CREATE FUNCTION teamscale.create_cache(name text, "table" regclass, key text, value text, "unique" boolean DEFAULT false,
                                       order_by text DEFAULT NULL, filter text DEFAULT NULL, ttl interval DEFAULT NULL,
                                       near_ttl interval DEFAULT NULL) RETURNS regprocedure
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_create_cache';
COMMENT ON FUNCTION teamscale.create_cache(text, regclass, text, text, boolean, text, text, interval, interval) IS
    'Makes a function from a key to the values of its rows that answers from shared memory and is never stale. key and value '
    'are column names with commas between them; gives the function. Only for the table''s owner.';
REVOKE ALL ON FUNCTION teamscale.create_cache(text, regclass, text, text, boolean, text, text, interval, interval) FROM PUBLIC;

CREATE FUNCTION teamscale.drop_cache(name text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_drop_cache';
COMMENT ON FUNCTION teamscale.drop_cache(text) IS 'Drops a cache: its function, its memory, and the trigger if it was the table''s last.';
REVOKE ALL ON FUNCTION teamscale.drop_cache(text) FROM PUBLIC;

CREATE FUNCTION teamscale.flush_cache(name text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_flush_cache';
COMMENT ON FUNCTION teamscale.flush_cache(text) IS 'Drops all answers of a cache. Never needed for correctness.';
REVOKE ALL ON FUNCTION teamscale.flush_cache(text) FROM PUBLIC;

CREATE FUNCTION teamscale.flush_cache(name text, VARIADIC key "any") RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_flush_cache_key';
COMMENT ON FUNCTION teamscale.flush_cache(text, "any") IS 'Drops the answer of one key of a cache.';
REVOKE ALL ON FUNCTION teamscale.flush_cache(text, "any") FROM PUBLIC;

CREATE FUNCTION teamscale.warm_cache(name text, max_keys bigint DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'teamscale_warm_cache';
COMMENT ON FUNCTION teamscale.warm_cache(text, bigint) IS
    'Begins to put a cache''s answers into memory, in the background: of max_keys keys on each node, or until memory is full.';
REVOKE ALL ON FUNCTION teamscale.warm_cache(text, bigint) FROM PUBLIC;

CREATE FUNCTION teamscale.cache_contains(name text, VARIADIC key "any") RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'teamscale_cache_contains';
COMMENT ON FUNCTION teamscale.cache_contains(text, "any") IS
    'Whether a call of the cache''s function with this key would be a hit, under the present snapshot.';
REVOKE ALL ON FUNCTION teamscale.cache_contains(text, "any") FROM PUBLIC;
