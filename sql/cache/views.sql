-- What caches there are, and what they do.

CREATE FUNCTION teamscale_internal.cache_figures(OUT function regprocedure, OUT state text, OUT culprit text, OUT bytes bigint,
                                                 OUT counts bigint[]) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'teamscale_cache_figures';
COMMENT ON FUNCTION teamscale_internal.cache_figures() IS
    'State, memory and counts of the caches of this database, this session''s calls among them.';
REVOKE ALL ON FUNCTION teamscale_internal.cache_figures() FROM PUBLIC;

CREATE FUNCTION teamscale_internal.arena_figures(OUT bytes bigint, OUT entry_bytes bigint, OUT used_bytes bigint,
                                                 OUT entries bigint, OUT evictions bigint)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'teamscale_arena_figures';
COMMENT ON FUNCTION teamscale_internal.arena_figures() IS 'The memory that all caches of the server share.';
REVOKE ALL ON FUNCTION teamscale_internal.arena_figures() FROM PUBLIC;

CREATE FUNCTION teamscale_internal.check_arena(OUT stripe integer, OUT problem text) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'teamscale_check_arena';
COMMENT ON FUNCTION teamscale_internal.check_arena() IS
    'Goes through the structure of the arena, stripe by stripe; gives what is wrong. Nothing ever should be.';
REVOKE ALL ON FUNCTION teamscale_internal.check_arena() FROM PUBLIC;

CREATE FUNCTION teamscale_internal.cache_advice(OUT quarters integer, OUT hit_ratio double precision) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'teamscale_cache_advice';
COMMENT ON FUNCTION teamscale_internal.cache_advice() IS
    'For sizes in quarters of the present one: the expected hit ratio, null when there were too few look-ups.';
REVOKE ALL ON FUNCTION teamscale_internal.cache_advice() FROM PUBLIC;

CREATE VIEW teamscale.cache_advice AS
    SELECT (a.quarters / 4.0)::numeric(4, 2) AS times, f.bytes * a.quarters / 4 AS cache_size, a.hit_ratio
    FROM teamscale_internal.cache_advice() AS a CROSS JOIN teamscale_internal.arena_figures() AS f;
COMMENT ON VIEW teamscale.cache_advice IS
    'What part of the recent look-ups, in all databases, memory of another size would answer: miniature simulations of the cache.';
COMMENT ON COLUMN teamscale.cache_advice.times IS 'The size, as a multiple of the present teamscale.cache_size.';
COMMENT ON COLUMN teamscale.cache_advice.cache_size IS 'The size in bytes.';
COMMENT ON COLUMN teamscale.cache_advice.hit_ratio IS 'The expected hit ratio, 0 to 1; null when there were too few look-ups.';

CREATE VIEW teamscale.cache AS
    SELECT c.function, c.relation AS "table", c.key_columns AS key, c.value_columns AS value, c.is_unique AS "unique", c.order_by,
           c.filter, c.ttl * interval '1 microsecond' AS ttl, c.near_ttl * interval '1 microsecond' AS near_ttl, f.state,
           f.culprit
    FROM teamscale_internal.cache AS c LEFT JOIN teamscale_internal.cache_figures() AS f ON f.function = c.function;
COMMENT ON VIEW teamscale.cache IS 'The caches of this database, and whether they are in use.';
COMMENT ON COLUMN teamscale.cache.function IS 'The function that answers.';
COMMENT ON COLUMN teamscale.cache."table" IS 'The table whose rows it answers from.';
COMMENT ON COLUMN teamscale.cache.key IS 'The columns of the key, the function''s arguments.';
COMMENT ON COLUMN teamscale.cache.value IS 'The columns of the value.';
COMMENT ON COLUMN teamscale.cache."unique" IS 'Whether a key has one row at most, and the answer is the row and no array.';
COMMENT ON COLUMN teamscale.cache.order_by IS 'The order of the array.';
COMMENT ON COLUMN teamscale.cache.filter IS 'The condition on the rows.';
COMMENT ON COLUMN teamscale.cache.ttl IS 'How long an answer is kept; null: as long as it is right and there is room.';
COMMENT ON COLUMN teamscale.cache.near_ttl IS 'How long another node''s answer may be given here without asking again; null: not at all.';
COMMENT ON COLUMN teamscale.cache.state IS
    'in use; or why the table is read instead: without trigger, row security, unseen changes, does not fit, max_caches reached, in recovery.';
COMMENT ON COLUMN teamscale.cache.culprit IS 'The table or column that state speaks of.';

CREATE VIEW teamscale.stat_cache AS
    SELECT f.function, f.counts[1] AS hits, f.counts[2] + f.counts[3] + f.counts[4] AS misses,
           f.counts[2] AS absent, f.counts[3] AS expired, f.counts[4] AS recent_write,
           f.counts[5] + f.counts[6] + f.counts[7] + f.counts[8] + f.counts[9] + f.counts[10] + f.counts[11] AS bypasses,
           f.counts[5] AS own_write, f.counts[6] AS serializable, f.counts[7] AS recovery, f.counts[8] AS row_security,
           f.counts[9] AS not_guarded, f.counts[10] AS logical_apply, f.counts[11] AS other_bypass,
           f.counts[16] AS installs, f.counts[18] AS negative_installs, f.counts[12] AS refused_recent_write,
           f.counts[13] AS refused_outdated, f.counts[14] AS refused_definition, f.counts[15] AS refused_too_large,
           f.counts[19] AS dropped, f.counts[20] AS flight_waits, f.counts[21] AS remote, f.counts[22] AS near_hits, f.bytes,
           round(f.counts[17]::numeric / nullif(f.counts[16], 0), 1) AS mean_value_bytes
    FROM teamscale_internal.cache_figures() AS f;
COMMENT ON VIEW teamscale.stat_cache IS 'What the caches of this database have done since the server''s start.';
COMMENT ON COLUMN teamscale.stat_cache.function IS 'The cache''s function.';
COMMENT ON COLUMN teamscale.stat_cache.hits IS 'Calls that were answered from memory.';
COMMENT ON COLUMN teamscale.stat_cache.misses IS 'Calls that looked, found no answer that they could take, and read the table.';
COMMENT ON COLUMN teamscale.stat_cache.absent IS 'Misses: there was no answer for the key.';
COMMENT ON COLUMN teamscale.stat_cache.expired IS 'Misses: the answer was older than ttl.';
COMMENT ON COLUMN teamscale.stat_cache.recent_write IS 'Misses: a transaction that wrote the key may not have ended when the call''s snapshot was taken.';
COMMENT ON COLUMN teamscale.stat_cache.bypasses IS 'Calls that read the table without looking.';
COMMENT ON COLUMN teamscale.stat_cache.own_write IS 'Bypasses: the transaction had written the table, or changed its definition.';
COMMENT ON COLUMN teamscale.stat_cache.serializable IS 'Bypasses: the transaction was SERIALIZABLE, whose reads must be noted.';
COMMENT ON COLUMN teamscale.stat_cache.recovery IS 'Bypasses: on a standby.';
COMMENT ON COLUMN teamscale.stat_cache.row_security IS 'Bypasses: the table has row security.';
COMMENT ON COLUMN teamscale.stat_cache.not_guarded IS 'Bypasses: changes of the table are not seen; teamscale.cache says why.';
COMMENT ON COLUMN teamscale.stat_cache.logical_apply IS 'Bypasses: in a process that applies logical replication.';
COMMENT ON COLUMN teamscale.stat_cache.other_bypass IS 'Bypasses: a key of more than 512 bytes, no snapshot.';
COMMENT ON COLUMN teamscale.stat_cache.installs IS 'Answers that were put into memory.';
COMMENT ON COLUMN teamscale.stat_cache.negative_installs IS 'Installs: of keys without a row.';
COMMENT ON COLUMN teamscale.stat_cache.refused_recent_write IS 'Answers not installed: the key was written meanwhile.';
COMMENT ON COLUMN teamscale.stat_cache.refused_outdated IS 'Answers not installed: the table''s definition changed meanwhile, or the cache was flushed.';
COMMENT ON COLUMN teamscale.stat_cache.refused_definition IS 'Answers not installed: the table''s definition was being changed.';
COMMENT ON COLUMN teamscale.stat_cache.refused_too_large IS 'Answers not installed: larger than a quarter of a stripe of memory.';
COMMENT ON COLUMN teamscale.stat_cache.dropped IS 'Answers that writers dropped.';
COMMENT ON COLUMN teamscale.stat_cache.flight_waits IS 'Calls that waited for another session which was reading the same key.';
COMMENT ON COLUMN teamscale.stat_cache.remote IS 'Answers that another node gave.';
COMMENT ON COLUMN teamscale.stat_cache.near_hits IS 'Hits: of answers that another node gave less than near_ttl ago.';
COMMENT ON COLUMN teamscale.stat_cache.bytes IS 'Memory in use for this cache''s answers.';
COMMENT ON COLUMN teamscale.stat_cache.mean_value_bytes IS 'The mean size of the installed answers.';

-- A view's functions are called with the rights of whoever reads it.
GRANT SELECT ON teamscale.cache, teamscale.stat_cache, teamscale.cache_advice TO pg_monitor;
GRANT EXECUTE ON FUNCTION teamscale_internal.cache_figures(), teamscale_internal.arena_figures(), teamscale_internal.cache_advice()
    TO pg_monitor;
