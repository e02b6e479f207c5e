-- partition_spread(): what is even, what is large, and where writes go.
BEGIN;
SELECT plan(13);

SELECT throws_ok($$ SELECT teamscale.partition_spread(NULL) $$, '42809', '"NULL" is not a partitioned table', 'no table');
CREATE TABLE plain (i int);
SELECT throws_ok($$ SELECT teamscale.partition_spread('plain') $$, '42809', '"public.plain" is not a partitioned table', 'a plain table');

CREATE TABLE t (i int, note text) PARTITION BY LIST (i);
SELECT is((SELECT s FROM teamscale.partition_spread('t') AS s)::text, '(0,0,0,0,,,,0,,)', 'a table without partitions');
CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2) PARTITION BY HASH (note);
CREATE TABLE t2a PARTITION OF t2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE t2b PARTITION OF t2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT results_eq($$ SELECT partitions, empty, bytes, evenness, largest, busiest FROM teamscale.partition_spread('t') $$,
                  $$ VALUES (3::bigint, 3::bigint, 0::bigint, NULL::float8, NULL::regclass, NULL::regclass) $$, 'leaves of all levels, all empty');
INSERT INTO t SELECT 1, repeat('x', 1000) FROM generate_series(1, 1000);
SELECT results_eq($$ SELECT partitions, empty, evenness, largest, largest_share FROM teamscale.partition_spread('t') $$,
                  $$ VALUES (3::bigint, 2::bigint, NULL::float8, 't1'::regclass, 1::float8) $$, 'one has it all');
-- Alike to the byte: the same rows in the same order.
CREATE TABLE even (i int, note text) PARTITION BY LIST (i);
CREATE TABLE even_1 PARTITION OF even FOR VALUES IN (1);
CREATE TABLE even_2 PARTITION OF even FOR VALUES IN (2);
CREATE TABLE even_3 PARTITION OF even FOR VALUES IN (3);
INSERT INTO even SELECT p, repeat('x', 1000) FROM generate_series(1, 2) AS p, generate_series(1, 1000);
SELECT results_eq($$ SELECT empty, round(evenness::numeric, 6), largest_share FROM teamscale.partition_spread('even') $$,
                  $$ VALUES (1::bigint, 1.000000, 0.5::float8) $$, 'two that are alike');
INSERT INTO even SELECT 3, repeat('x', 1000) FROM generate_series(1, 20000);
SELECT is(largest, 'even_3'::regclass, 'the largest') FROM teamscale.partition_spread('even');
SELECT cmp_ok(evenness, '<', 0.5::float8, 'no longer even') FROM teamscale.partition_spread('even');
SELECT cmp_ok(evenness, '>', 0::float8, 'but not all in one') FROM teamscale.partition_spread('even');
ANALYZE even;
SELECT is(rows, 22000::bigint, 'rows as of the last ANALYZE') FROM teamscale.partition_spread('even');
SELECT is(bytes, (SELECT sum(pg_total_relation_size(p))::bigint FROM unnest('{even_1,even_2,even_3}'::regclass[]) AS p), 'bytes')
FROM teamscale.partition_spread('even');

-- The counters of other transactions are what tables have; the test's own show when they are sent.
COMMIT;
BEGIN;
DELETE FROM even WHERE i = 1;
COMMIT;
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT is(busiest, 'even_3'::regclass, 'the one that is written most') FROM teamscale.partition_spread('even');
SELECT is(round(busiest_share::numeric, 6), round(20000 / 23000.0, 6), 'of rows inserted, updated and deleted')
FROM teamscale.partition_spread('even');
SELECT * FROM finish();
DROP TABLE even, t, plain;
COMMIT;
