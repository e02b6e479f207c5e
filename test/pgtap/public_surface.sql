-- The public surface, object by object: signature, result, volatility, parallel mark, and whether anybody may use it.
-- A change here is a change that users see.
BEGIN;
SELECT plan(3);

CREATE TEMPORARY TABLE promised_function (signature text, result text, volatility text, parallel text, open boolean);
INSERT INTO promised_function VALUES
    ('ack_events(stream text, "position" text)', 'void', 'volatile', 'unsafe', true),
    ('add_node(name text, conninfo text, region text)', 'void', 'volatile', 'unsafe', false),
    ('alter_event_stream(name text, "position" text, tables text[], exclude_tables text[], row_filter text[], max_retained_wal bigint)', 'void', 'volatile', 'unsafe', true),
    ('bucket_of("table" regclass, key "any")', 'integer', 'stable', 'safe', true),
    ('bucket_of("table" regclass, key text)', 'integer', 'stable', 'safe', true),
    ('cache_contains(name text, VARIADIC key "any")', 'boolean', 'stable', 'safe', false),
    ('create_cache(name text, "table" regclass, key text, value text, "unique" boolean, order_by text, filter text, ttl interval, near_ttl interval)', 'regprocedure', 'volatile', 'unsafe', false),
    ('cancel_rewrite(IN "table" regclass)', NULL, 'volatile', 'unsafe', true),
    ('create_cluster(name text, conninfo text, region text)', 'void', 'volatile', 'unsafe', false),
    ('create_event_stream(name text, tables text[], format text, exclude_tables text[], columns text[], exclude_columns text[], row_filter text[], bigint_as text, numeric_as text, transactions boolean, ddl boolean, events boolean, messages text[], origin text, partitions boolean, schemas boolean, max_retained_wal bigint)', 'void', 'volatile', 'unsafe', true),
    ('disable_node(VARIADIC names text[])', 'void', 'volatile', 'unsafe', false),
    ('distribute_table("table" regclass, key name, method text, buckets integer, colocate_with regclass, sequences text)', 'void', 'volatile', 'unsafe', false),
    ('drop_event_stream(name text)', 'void', 'volatile', 'unsafe', true),
    ('emit_event(topic text, key text, payload json, headers jsonb)', 'void', 'volatile', 'unsafe', false),
    ('emit_event(topic text, key text, payload json, headers jsonb, "table" regclass)', 'void', 'volatile', 'unsafe', false),
    ('enable_node(name text, conninfo text)', 'void', 'volatile', 'unsafe', false),
    ('grant_event_stream(name text, reader regrole)', 'void', 'volatile', 'unsafe', true),
    ('drop_cache(name text)', 'void', 'volatile', 'unsafe', false),
    ('enable_node(name text, conninfo text)', 'void', 'volatile', 'unsafe', false),
    ('flush_cache(name text)', 'void', 'volatile', 'unsafe', false),
    ('flush_cache(name text, VARIADIC key "any")', 'void', 'volatile', 'unsafe', false),
    ('warm_cache(name text, max_keys bigint)', 'void', 'volatile', 'unsafe', false),
    ('merge_partitions(IN partitions regclass[], IN name name)', NULL, 'volatile', 'unsafe', true),
    ('node_of("table" regclass, key "any")', 'text', 'stable', 'safe', true),
    ('node_of("table" regclass, key text)', 'text', 'stable', 'safe', true),
    ('alter_partition_policy("table" regclass, every text, "from" text, premake integer, retain text, on_expiry text, move_to name, "values" jsonb, modulus integer, tablespaces jsonb, name_template text, default_partition boolean, before_drop regprocedure, accept_clock boolean, storage jsonb)', 'void', 'volatile', 'unsafe', true),
    ('create_partition_policy("table" regclass, "column" name, every text, kind text, premake integer, retain text, on_expiry text, move_to name, time_zone text, epoch text, "values" jsonb, modulus integer, tablespaces jsonb, name_template text, default_partition boolean, before_drop regprocedure, sub_policy jsonb, storage jsonb)', 'void', 'volatile', 'unsafe', true),
    ('drop_partition_policy("table" regclass)', 'void', 'volatile', 'unsafe', true),
    ('import_partman_config(OUT "table" text, OUT statement text, OUT remarks text)', 'SETOF record', 'stable', 'unsafe', true),
    ('maintain_partitions(IN for_table regclass, IN max_time interval)', NULL, 'volatile', 'unsafe', true),
    ('plan_partitions(for_table regclass)', 'TABLE("table" regclass, action text, object text, bound text, reason text, lock text, rows bigint, bytes bigint)', 'volatile', 'unsafe', true),
    ('partition_spread("table" regclass, OUT partitions bigint, OUT empty bigint, OUT rows bigint, OUT bytes bigint, OUT evenness double precision, OUT largest regclass, OUT largest_share double precision, OUT writes bigint, OUT busiest regclass, OUT busiest_share double precision)', 'record', 'stable', 'restricted', true),
    ('partition_range(every interval, at timestamp with time zone, time_zone text)', 'tstzrange', 'stable', 'safe', true),
    ('place_values("table" regclass, "values" text[], node text)', 'void', 'volatile', 'unsafe', false),
    ('poll_events(stream text, max_events integer, max_wait interval, partial boolean, OUT id text, OUT node text, OUT lsn pg_lsn, OUT committed_at timestamp with time zone, OUT xid bigint, OUT op text, OUT schema text, OUT "table" text, OUT topic text, OUT key json, OUT payload json, OUT "position" text)', 'SETOF record', 'volatile', 'unsafe', true),
    ('remove_node(name text)', 'void', 'volatile', 'unsafe', false),
    ('notify_event()', 'trigger', 'volatile', 'unsafe', true),
    ('snapshot_events(IN stream text, IN "table" regclass, IN chunk_rows integer)', NULL, 'volatile', 'unsafe', false),
    ('restart_event_stream(name text, OUT node text, OUT missing_from pg_lsn, OUT missing_to pg_lsn)', 'SETOF record', 'volatile', 'unsafe', true),
    ('revoke_event_stream(name text, reader regrole)', 'void', 'volatile', 'unsafe', true),
    ('resume_rewrite(IN "table" regclass)', NULL, 'volatile', 'unsafe', true),
    ('route("table" regclass, key "any", OUT node text, OUT bucket integer, OUT host text, OUT port text, OUT dbname text, OUT epoch bigint)', 'record', 'stable', 'safe', true),
    ('route("table" regclass, key text, OUT node text, OUT bucket integer, OUT host text, OUT port text, OUT dbname text, OUT epoch bigint)', 'record', 'stable', 'safe', true),
    ('run_on_all_nodes(sql text, OUT node text, OUT result jsonb, OUT affected bigint)', 'SETOF record', 'volatile', 'unsafe', true),
    ('run_on_key("table" regclass, key "any", sql text, OUT node text, OUT result jsonb, OUT affected bigint)', 'SETOF record', 'volatile', 'unsafe', true),
    ('run_on_key("table" regclass, key text, sql text, OUT node text, OUT result jsonb, OUT affected bigint)', 'SETOF record', 'volatile', 'unsafe', true),
    ('run_on_node(INOUT node text, sql text, OUT result jsonb, OUT affected bigint)', 'SETOF record', 'volatile', 'unsafe', true),
    ('settle_transactions(OUT gid text, OUT node text, OUT action text)', 'SETOF record', 'volatile', 'unsafe', false),
    ('split_partition(IN partition regclass, IN at text[], IN names name[])', NULL, 'volatile', 'unsafe', true),
    ('text_form(value anyelement)', 'text', 'stable', 'safe', true),
    ('undistribute_table("table" regclass)', 'void', 'volatile', 'unsafe', false);
SELECT set_eq($$
    SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS signature, pg_get_function_result(p.oid) AS result,
           CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility,
           CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END AS parallel,
           EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
                   WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE') AS open
    FROM pg_proc AS p WHERE p.pronamespace = 'teamscale'::regnamespace
    $$, 'TABLE promised_function', 'functions');

CREATE TEMPORARY TABLE promised_view (name text, columns text, open boolean);
INSERT INTO promised_view VALUES
    ('bucket', 'table regclass, bucket integer, node text, modulus integer, remainder integer, values text[], leaf text', true),
    ('event_stream', 'name text, owner name, readers name[], format text, tables text, exclude_tables text, row_filter text, max_retained_wal bigint', true),
    ('stat_event_stream', 'name text, slot name, state text, problem text, lsn pg_lsn, lag_bytes numeric, acked_at timestamp with time zone, since_ack interval, retained_bytes numeric, max_retained_wal bigint, decoded_transactions bigint, decoded_bytes bigint, spilled_transactions bigint, spilled_bytes bigint', false),
    ('cache', 'function regprocedure, table regclass, key name[], value name[], unique boolean, order_by text, filter text, ttl interval, near_ttl interval, state text, culprit text', false),
    ('cache_advice', 'times numeric(4,2), cache_size bigint, hit_ratio double precision', false),
    ('in_doubt_transaction', 'gid text, router text, node text, age interval, waits_for text', false),
    ('node', 'name text, conninfo text, region text, state text, is_local boolean, buckets bigint', true),
    ('partition', 'table regclass, partition regclass, level integer, lower text, upper text, values text[], modulus integer, remainder integer, state text, tablespace name, rows bigint, bytes bigint', true),
    ('partition_policy', 'table regclass, level smallint, column name, kind text, every text, premake integer, retain text, on_expiry text, move_to name, time_zone text, epoch text, values jsonb, modulus integer, tablespaces jsonb, name_template text, default_partition boolean, before_drop regprocedure, storage jsonb', true),
    ('stat_maintenance', 'table regclass, last_run timestamp with time zone, last_end timestamp with time zone, next_run timestamp with time zone, actions bigint, failures bigint, failed_runs integer, ranges_ahead bigint, last_failure timestamp with time zone, last_failed_action text, last_sqlstate text, last_message text', true),
    ('stat_cache', 'function regprocedure, hits bigint, misses bigint, absent bigint, expired bigint, recent_write bigint, bypasses bigint, own_write bigint, serializable bigint, recovery bigint, row_security bigint, not_guarded bigint, logical_apply bigint, other_bypass bigint, installs bigint, negative_installs bigint, refused_recent_write bigint, refused_outdated bigint, refused_definition bigint, refused_too_large bigint, dropped bigint, flight_waits bigint, remote bigint, near_hits bigint, bytes bigint, mean_value_bytes numeric', false),
    ('stat_progress_distribute', 'pid integer, table regclass, command text, phase text, rows_total bigint, rows_moved bigint', true),
    ('stat_rewrite', 'table regclass, operation text, phase text, sources text[], targets name[], blocks bigint, blocks_done bigint, rows_copied bigint, swap_attempts integer, started_at timestamp with time zone, phase_at timestamp with time zone, pid integer, blocked_by integer[]', true),
    ('sharded_table', 'table regclass, key name, method text, colocation_group integer, buckets bigint', true);
SELECT set_eq($$
    SELECT c.relname::text AS name,
           (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
            FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns,
           EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee = 0 AND a.privilege_type = 'SELECT') AS open
    FROM pg_class AS c WHERE c.relnamespace = 'teamscale'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
    $$, 'TABLE promised_view', 'views and their columns');

-- teamscale.wait_point, teamscale.removed_guard and teamscale.partition_clock are of the test build alone.
SELECT set_eq($$
    SELECT name, context, coalesce(unit, '') AS unit FROM pg_settings WHERE name LIKE 'teamscale.%' AND name NOT IN ('teamscale.wait_point', 'teamscale.removed_guard', 'teamscale.partition_clock')
    $$, $$ VALUES
    ('teamscale.cache_size', 'postmaster', 'kB'),
    ('teamscale.cache_wait_timeout', 'user', 'ms'),
    ('teamscale.connect_timeout', 'user', 'ms'),
    ('teamscale.max_event_size', 'superuser', 'kB'),
    ('teamscale.max_caches', 'postmaster', ''),
    ('teamscale.rewrite_rate', 'sighup', 'kB'),
    ('teamscale.scope', 'user', ''),
    ('teamscale.partition_interval', 'sighup', 'ms'),
    ('teamscale.move_in_place_limit', 'sighup', 'kB'),
    ('teamscale.partition_workers', 'sighup', ''),
    ('teamscale.partition_lock_attempts', 'sighup', ''),
    ('teamscale.partition_lock_timeout', 'sighup', 'ms'),
    ('teamscale.settle_interval', 'sighup', 'ms'),
    ('teamscale.stream_check_interval', 'sighup', 'ms'),
    ('teamscale.statement_deadline', 'user', 'ms') $$, 'settings');

SELECT * FROM finish();
ROLLBACK;
