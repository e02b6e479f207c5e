-- The bounds of partitions that are split or merged: what they become, and what cannot be done.
BEGIN;
SELECT plan(32);
SET DateStyle = 'German';
SET TimeZone = 'Asia/Kolkata';

CREATE TABLE "by time" (at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE "early" PARTITION OF "by time" FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00+00');
CREATE TABLE "y'24" PARTITION OF "by time" FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2025-01-01 00:00+00');
CREATE TABLE "y26" PARTITION OF "by time" FOR VALUES FROM ('2026-01-01 00:00+00') TO (MAXVALUE);
CREATE TABLE "y rest" PARTITION OF "by time" DEFAULT;

SELECT is(teamscale_internal.split_bounds('"y''24"', '{2024-06-01 05:30,2024-09-01 00:00+00}'),
          ARRAY[$$FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2024-06-01 00:00:00+00')$$,
                $$FOR VALUES FROM ('2024-06-01 00:00:00+00') TO ('2024-09-01 00:00:00+00')$$,
                $$FOR VALUES FROM ('2024-09-01 00:00:00+00') TO ('2025-01-01 00:00:00+00')$$],
          'a range is split at bounds; given as the session writes them, printed as every session reads them');
SELECT is(teamscale_internal.split_bounds('early', '{0001-01-01 00:00+00 BC}'),
          ARRAY[$$FOR VALUES FROM (MINVALUE) TO ('0001-01-01 00:00:00+00 BC')$$,
                $$FOR VALUES FROM ('0001-01-01 00:00:00+00 BC') TO ('2024-01-01 00:00:00+00')$$],
          'an open end stays open');
SELECT is(teamscale_internal.split_bounds('"y rest"', '{2025-01-01 00:00+00,2025-07-01 00:00+00,2026-01-01 00:00+00}'),
          ARRAY[$$FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2025-07-01 00:00:00+00')$$,
                $$FOR VALUES FROM ('2025-07-01 00:00:00+00') TO ('2026-01-01 00:00:00+00')$$, 'DEFAULT'],
          'ranges between bounds leave a default partition');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('"y rest"', '{2024-12-01 00:00+00,2025-07-01 00:00+00}') $$, '42P17', NULL,
                 'unless another partition holds some of them');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('"y rest"', '{2025-01-01 00:00+00}') $$, '22023', NULL, 'one bound makes no range');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('"y''24"', '{2024-09-01,2024-06-01}') $$, '22023', NULL, 'bounds ascend');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('"y''24"', '{2024-06-01,2024-06-01}') $$, '22023', NULL, 'and are not given twice');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('"y''24"', '{2024-01-01 00:00+00}') $$, '22023', NULL, 'they lie within: not on the lower,');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('"y''24"', '{2025-01-01 00:00+00}') $$, '22023', NULL, 'not on the upper,');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('"y26"', '{2025-06-01}') $$, '22023', NULL, 'not outside');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('"y''24"', '{NULL}') $$, '22023', NULL, 'null is no bound');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('"y''24"', '{}') $$, '22023', NULL, 'at least one is given');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('"y''24"', NULL) $$, '22023', NULL, 'whether the array is empty or null');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('"y''24"', '{soon}') $$, '22007', NULL, 'a bound is a value of the key''s type');

SELECT is(teamscale_internal.merged_bound(ARRAY['"y''24"', 'early']::regclass[]), $$FOR VALUES FROM (MINVALUE) TO ('2025-01-01 00:00:00+00')$$,
          'adjacent ranges are merged, in whatever order they are given');
SELECT throws_ok($$ SELECT teamscale_internal.merged_bound(ARRAY['"y''24"', 'y26']::regclass[]) $$, '22023', NULL, 'ranges with a gap between them are not');
SELECT is(teamscale_internal.merged_bound(ARRAY['"y''24"', 'y26', '"y rest"']::regclass[]), 'DEFAULT', 'but for what the default partition takes in');
SELECT throws_ok($$ SELECT teamscale_internal.merged_bound('{early}') $$, '22023', NULL, 'one partition is not merged');

CREATE TABLE by_two (a integer, b text) PARTITION BY RANGE (a, b);
CREATE TABLE two_1 PARTITION OF by_two FOR VALUES FROM (1, 'a') TO (1, 'm');
CREATE TABLE two_2 PARTITION OF by_two FOR VALUES FROM (1, 'm') TO (5, MINVALUE);
SELECT is(teamscale_internal.merged_bound('{two_2,two_1}'), $$FOR VALUES FROM ('1', 'a') TO ('5', MINVALUE)$$, 'ranges of two columns are merged');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('two_2', '{3}') $$, '0A000', NULL, 'and not split');

CREATE TABLE by_list (region text) PARTITION BY LIST (region);
CREATE TABLE few PARTITION OF by_list FOR VALUES IN ('o''hara', 'us', NULL, 'ca');
CREATE TABLE others PARTITION OF by_list DEFAULT;
SELECT is(teamscale_internal.split_bounds('few', '{us,NULL,us}'),
          ARRAY[$$FOR VALUES IN ('us', NULL)$$, $$FOR VALUES IN ('o''hara', 'ca')$$], 'values leave a list');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('few', '{eu}') $$, '22023', NULL, 'those that it has,');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('few', '{us,ca,NULL,o''hara}') $$, '22023', NULL, 'and not all');
SELECT is(teamscale_internal.split_bounds('others', '{eu,mx}'), ARRAY[$$FOR VALUES IN ('eu', 'mx')$$, 'DEFAULT'], 'values leave a default partition');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('others', '{eu,us}') $$, '42P17', NULL, 'which another has not got');
CREATE TABLE more PARTITION OF by_list FOR VALUES IN ('eu');
SELECT is(teamscale_internal.merged_bound('{more,few}'), $$FOR VALUES IN ('eu', 'o''hara', 'us', NULL, 'ca')$$, 'lists are merged');

CREATE TABLE by_hash (id bigint) PARTITION BY HASH (id);
CREATE TABLE h1 PARTITION OF by_hash FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE h2 PARTITION OF by_hash FOR VALUES WITH (MODULUS 6, REMAINDER 2);
CREATE TABLE h5 PARTITION OF by_hash FOR VALUES WITH (MODULUS 6, REMAINDER 5);
SELECT is(teamscale_internal.split_bounds('h1', NULL),
          ARRAY['FOR VALUES WITH (MODULUS 6, REMAINDER 1)', 'FOR VALUES WITH (MODULUS 6, REMAINDER 4)'], 'a hash partition is halved');
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('h1', '{1}') $$, '22023', NULL, 'at nothing');
SELECT is(teamscale_internal.merged_bound('{h5,h2}'), 'FOR VALUES WITH (MODULUS 3, REMAINDER 2)', 'halves make a whole');
SELECT throws_ok($$ SELECT teamscale_internal.merged_bound('{h1,h2}') $$, '22023', NULL, 'other partitions do not');
CREATE TABLE by_hash_too (id bigint) PARTITION BY HASH (id);
CREATE TABLE n0 PARTITION OF by_hash_too FOR VALUES WITH (MODULUS 9, REMAINDER 0);
CREATE TABLE n1 PARTITION OF by_hash_too FOR VALUES WITH (MODULUS 3, REMAINDER 1);
SELECT throws_ok($$ SELECT teamscale_internal.split_bounds('n1', NULL) $$, '22023', NULL, 'moduli divide each other');

SELECT throws_ok($$ SELECT teamscale_internal.require_partitions('{by_hash}') $$, '42809', NULL, 'a table that is no partition');

SELECT * FROM finish();
ROLLBACK;
