-- Storage parameters of new partitions: which they get, and what is refused.
BEGIN;
SELECT plan(13);
SET LOCAL teamscale.partition_clock = '2026-01-15';

CREATE TABLE t (at date NOT NULL, note text) PARTITION BY RANGE (at);
SELECT teamscale.create_partition_policy('t', 'at', '1 month', premake => 1,
    storage => '{"fillfactor": 70, "autovacuum_enabled": false, "toast.autovacuum_vacuum_threshold": "77"}');
CREATE VIEW options AS
    SELECT c.relname, (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(c.reloptions) AS o) AS options, array_to_string(t.reloptions, ', ') AS toast
    FROM pg_class AS c LEFT JOIN pg_class AS t ON t.oid = c.reltoastrelid WHERE c.relkind = 'r' AND c.relispartition;
SELECT results_eq('SELECT DISTINCT options COLLATE "default", toast COLLATE "default" FROM options',
    $$ VALUES ('autovacuum_enabled=false, fillfactor=70', 'autovacuum_vacuum_threshold=77') $$, 'all partitions have them');
SELECT is(count(*), 3::bigint, 'the default partition, too') FROM options;
SELECT is(storage, '{"fillfactor": 70, "autovacuum_enabled": false, "toast.autovacuum_vacuum_threshold": "77"}', 'the view shows them')
FROM teamscale.partition_policy;

SELECT teamscale.alter_partition_policy('t', premake => 2);
SELECT teamscale_internal.create_planned_partitions('t');
SELECT is(options, 'autovacuum_enabled=false, fillfactor=70', 'other changes leave them') FROM options WHERE relname = 't_2026_03';
SELECT teamscale.alter_partition_policy('t', premake => 3, storage => '{"fillfactor": "50"}');
SELECT teamscale_internal.create_planned_partitions('t');
SELECT is(options, 'fillfactor=50', 'new ones get the new ones') FROM options WHERE relname = 't_2026_04';
SELECT teamscale.alter_partition_policy('t', premake => 4, storage => '{}');
SELECT teamscale_internal.create_planned_partitions('t');
SELECT is(options, NULL, 'or none') FROM options WHERE relname = 't_2026_05';

CREATE TABLE two (at date NOT NULL, id int NOT NULL) PARTITION BY RANGE (at);
SELECT teamscale.create_partition_policy('two', 'at', '1 month', premake => 0, default_partition => false, storage => '{"fillfactor": 60}',
                                         sub_policy => '{"column": "id", "kind": "hash", "modulus": 2}');
SELECT results_eq($$ SELECT DISTINCT options COLLATE "default" FROM options WHERE relname LIKE 'two%' $$, $$ VALUES ('fillfactor=60') $$, 'leaves of two levels');

SELECT throws_ok(format('SELECT teamscale.alter_partition_policy(%L, storage => %L)', 't', s), '22023', message, s)
FROM (VALUES ('[]', 'invalid storage of partitions'), ('{"fillfactor": {}}', 'invalid storage of partitions'),
             ('{"fillfaktor": 70}', 'unrecognized parameter "fillfaktor"'), ('{"fillfactor": 7}', 'value 7 out of bounds for option "fillfactor"'),
             ('{"toast.fillfactor": 70}', 'unrecognized parameter "fillfactor"'),
             ('{"other.fillfactor": 70}', 'unrecognized parameter namespace "other"')) AS v (s, message);
SELECT * FROM finish();
ROLLBACK;
