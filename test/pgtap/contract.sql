-- What holds for every object of the extension, whichever capability it belongs to.
BEGIN;
SELECT plan(15);

CREATE TEMPORARY VIEW own_function AS
    SELECT p.*, p.oid::regprocedure AS signature
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname IN ('teamscale', 'teamscale_internal');
CREATE TEMPORARY VIEW own_relation AS
    SELECT c.*, n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('teamscale', 'teamscale_internal', 'teamscale_bucket') AND c.relkind IN ('r', 'v', 'p', 'm', 'f');

SELECT is_empty($$ SELECT signature FROM own_function WHERE obj_description(oid, 'pg_proc') IS NULL $$,
                'every function has a comment');

SELECT is_empty($$ SELECT nspname, relname FROM own_relation WHERE obj_description(oid, 'pg_class') IS NULL $$,
                'every table and view has a comment');

SELECT is_empty($$
    SELECT signature FROM own_function AS f JOIN pg_language AS l ON l.oid = f.prolang
    WHERE l.lanname IN ('sql', 'plpgsql') AND f.prokind <> 'p'
      AND NOT EXISTS (SELECT FROM unnest(f.proconfig) AS setting WHERE setting LIKE 'search\_path=%')
    $$, 'every SQL and PL/pgSQL function pins search_path');

SELECT is_empty($$
    SELECT signature FROM own_function AS f
    WHERE EXISTS (SELECT FROM unnest(f.proconfig) AS setting
                  WHERE setting LIKE 'search\_path=%' AND setting <> 'search_path=pg_catalog, pg_temp')
    $$, 'and to pg_catalog, with temporary objects last');

SELECT is_empty($$
    SELECT signature FROM own_function AS f JOIN pg_language AS l ON l.oid = f.prolang
    WHERE l.lanname = 'c' AND f.proconfig IS NOT NULL
    $$, 'no C function has a SET clause');

-- CREATE EXTENSION does not look into function bodies; CREATE FUNCTION does.
SELECT lives_ok($$ DO $do$
    DECLARE
        own oid;
    BEGIN
        FOR own IN SELECT f.oid FROM own_function AS f JOIN pg_language AS l ON l.oid = f.prolang
                   WHERE l.lanname IN ('sql', 'plpgsql') LOOP
            EXECUTE pg_get_functiondef(own);
        END LOOP;
    END $do$ $$, 'every function''s body is valid');

-- What anybody may call. A function that only reads, as its caller, is harmless; any other is named here on purpose:
-- it runs as its caller or checks for itself who calls.
CREATE TEMPORARY TABLE open_function (name text);
INSERT INTO open_function VALUES
    ('teamscale.bucket_of'), ('teamscale.node_of'), ('teamscale.route'), ('teamscale.text_form'),
    ('teamscale.partition_range'), ('teamscale.partition_spread'), ('teamscale.create_partition_policy'), ('teamscale.alter_partition_policy'),
    ('teamscale.drop_partition_policy'), ('teamscale.plan_partitions'), ('teamscale.maintain_partitions'),
    ('teamscale.import_partman_config'),
    ('teamscale_internal.store_partition_policy'), ('teamscale_internal.accept_partition_clock'),
    ('teamscale_internal.create_planned_partitions'), ('teamscale_internal.read_partition_policy'),
    ('teamscale.run_on_key'), ('teamscale.run_on_node'), ('teamscale.run_on_all_nodes'),
    ('teamscale_internal.act_for_router'),
    ('teamscale.create_event_stream'), ('teamscale.alter_event_stream'), ('teamscale.drop_event_stream'),
    ('teamscale.restart_event_stream'), ('teamscale.grant_event_stream'), ('teamscale.revoke_event_stream'),
    ('teamscale.poll_events'), ('teamscale.ack_events'),
    ('teamscale_internal.snapshot_step'), ('teamscale_internal.is_sharded'),
    ('teamscale_internal.definition_digest'),
    ('teamscale_internal.execute_here'),
    ('teamscale_internal.forget_sharded_table'),
    ('teamscale_internal.lock_definitions'),
    ('teamscale_internal.node_challenge'),
    ('teamscale_internal.node_identity'),
    ('teamscale_internal.open_node_session'),
    ('teamscale_internal.take_settings'),
    ('teamscale_internal.raise_epoch'),
    ('teamscale.split_partition'), ('teamscale.merge_partitions'), ('teamscale.resume_rewrite'), ('teamscale.cancel_rewrite'),
    ('teamscale_internal.begin_rewrite'),
    ('teamscale_internal.begin_split'), ('teamscale_internal.begin_merge'), ('teamscale_internal.begin_drain'), ('teamscale_internal.begin_move'), ('teamscale_internal.begin_division'),
    ('teamscale_internal.find_rewrite'),
    ('teamscale_internal.record_rewrite'),
    ('teamscale_internal.require_rewrite'),
    ('teamscale_internal.run_rewrite'),
    ('teamscale_internal.undo_rewrite');
SELECT set_eq($$
    SELECT format('%s.%s', n.nspname, f.proname)
    FROM own_function AS f JOIN pg_namespace AS n ON n.oid = f.pronamespace
    WHERE (n.nspname = 'teamscale' OR f.provolatile = 'v' OR f.prosecdef)
      AND EXISTS (SELECT FROM aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) AS a
                  WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')
      AND f.prorettype <> 'trigger'::regtype
    $$,
    'SELECT name FROM open_function', 'EXECUTE is open to all for these functions, for internal readers, and no others');

SELECT is_empty($$
    SELECT nspname, relname FROM own_relation AS c
    WHERE nspname = 'teamscale_internal'
      AND EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee = 0)
    $$, 'no internal table is open to all');

SELECT is_empty($$
    SELECT relname FROM own_relation AS c
    WHERE nspname = 'teamscale' AND c.relkind = 'v'
      AND EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee = 0 AND a.privilege_type <> 'SELECT')
    $$, 'a view that all may read, nobody may write');

SELECT is_empty($$
    SELECT c.relname, a.attname FROM own_relation AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.nspname = 'teamscale' AND a.attnum > 0 AND NOT a.attisdropped
      AND col_description(c.oid, a.attnum) IS NULL
    $$, 'every column of a public view has a comment');

SELECT is_empty($$
    SELECT signature FROM own_function AS f
    WHERE f.pronamespace = 'teamscale'::regnamespace AND f.proname !~ '^[a-z]+(_[a-z]+)+$' AND f.proname <> 'route'
    $$, 'public functions are named verb_noun');

-- A view's functions are called with the rights of whoever reads it.
CREATE ROLE teamscale_watcher;
CREATE ROLE teamscale_passer_by;
GRANT pg_monitor TO teamscale_watcher;
CREATE FUNCTION pg_temp.read_views() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    view regclass;
BEGIN
    FOR view IN SELECT oid FROM pg_class WHERE relnamespace = 'teamscale'::regnamespace AND relkind = 'v'
                       AND has_table_privilege(oid, 'SELECT') LOOP
        EXECUTE format('SELECT * FROM %s', view);
    END LOOP;
END $$;
SET LOCAL ROLE teamscale_watcher;
SELECT lives_ok('SELECT pg_temp.read_views()', 'pg_monitor reads every view that it may read,');
SET LOCAL ROLE teamscale_passer_by;
SELECT lives_ok('SELECT pg_temp.read_views()', 'and so does anybody');
RESET ROLE;

SELECT is(has_table_privilege('pg_read_all_data', 'teamscale_internal.node_secret', 'SELECT'), true,
          'pg_read_all_data has the privilege to read every table,');
SELECT throws_ok('SELECT secret FROM teamscale_internal.node_secret', '42501', NULL,
                 'and still not even a superuser reads the secret');

SELECT * FROM finish();
ROLLBACK;
