-- What pg_partman's configuration amounts to, read from the real extension (4.x) and from rows as 5.x has them.
BEGIN;
SELECT plan(9);

SELECT throws_ok('SELECT * FROM teamscale.import_partman_config()', '42704', 'this database has no configuration of pg_partman');

CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE TABLE assignment_log (team_id bigint, at timestamptz NOT NULL, PRIMARY KEY (team_id, at)) PARTITION BY RANGE (at);
SELECT partman.create_parent('public.assignment_log', 'at', 'native', '1 month', p_premake := 3);
UPDATE partman.part_config SET retention = '24 months', retention_keep_table = true WHERE parent_table = 'public.assignment_log';
SELECT results_eq('SELECT "table", statement, remarks FROM teamscale.import_partman_config()', $$VALUES (
    'public.assignment_log',
    'SELECT teamscale.create_partition_policy(''public.assignment_log'', ''at'', every => ''1 mon'', premake => 3, '
        'retain => ''24 months'', on_expiry => ''detach'')',
    'partition boundaries were computed in the session''s TimeZone: give the one that was used as time_zone')$$, 'a table of 4.x');

-- The statement gives a policy to which all that is there is right.
SELECT lives_ok((SELECT statement FROM teamscale.import_partman_config()), 'the statement makes the policy');
SELECT is_empty('SELECT * FROM teamscale.plan_partitions(''assignment_log'') WHERE action NOT IN (''create'')', 'whose plan keeps every partition');

SELECT is(teamscale_internal.partman_statement(
    '{"parent_table": "public.t", "control": "id", "partition_type": "range", "partition_interval": "1000", "premake": 4, "default_table": false}'),
    'SELECT teamscale.create_partition_policy(''public.t'', ''id'', every => ''1000'', premake => 4, default_partition => false)', 'a table of 5.x');
SELECT is(teamscale_internal.partman_statement(
    '{"parent_table": "s.t", "control": "at", "partition_interval": "1 day", "premake": 4, "epoch": "seconds", "retention": "30 days",
      "retention_schema": "old", "retention_keep_table": true}'),
    'SELECT teamscale.create_partition_policy(''s.t'', ''at'', every => ''1 day'', premake => 4, retain => ''30 days'', '
    'on_expiry => ''move'', move_to => ''old'', epoch => ''seconds'')', 'epochs and a schema for what has expired');
SELECT is(teamscale_internal.partman_statement(
    '{"parent_table": "s.t''; DROP TABLE x", "control": "a\"b", "partition_interval": "1 day", "premake": 4}'),
    'SELECT teamscale.create_partition_policy(''s.t''''; DROP TABLE x'', ''a"b'', every => ''1 day'', premake => 4)', 'names are quoted');
SELECT set_eq($$SELECT teamscale_internal.partman_remarks('{"parent_table": "no.table", "control": "at", "epoch": "nanoseconds",
    "constraint_cols": "{a}", "automatic_maintenance": "off", "retention": "100"}')$$,
    ARRAY['the table does not exist', 'epoch nanoseconds is not known: seconds and milliseconds are', 'constraint_cols has no counterpart',
          'automatic maintenance is off there: this policy is maintained by itself',
          'retention counts by the numbers of a key: give the number of periods to keep as retain'], 'what needs attention is said');
SELECT is_empty($$SELECT r FROM teamscale_internal.partman_remarks('{"parent_table": "pg_catalog.pg_class", "control": "at"}') AS r
                   WHERE r NOT LIKE '%natively%'$$,
                'nothing else is said');

SELECT * FROM finish();
ROLLBACK;
