-- What a partition policy cannot be, and on what there can be none: refused before anything changes.
BEGIN;
SELECT plan(46);

CREATE TABLE log (id bigint NOT NULL, at timestamptz NOT NULL, maybe timestamptz, price numeric NOT NULL, word text COLLATE "C" NOT NULL)
    PARTITION BY RANGE (at);
CREATE TABLE number (n integer NOT NULL, at date NOT NULL) PARTITION BY RANGE (n);
CREATE TABLE day (day date NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE plain (at timestamptz NOT NULL);
CREATE TABLE nullable (at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE pair (a date NOT NULL, b date NOT NULL) PARTITION BY RANGE (a, b);
CREATE TABLE expression (at timestamptz NOT NULL) PARTITION BY RANGE ((at AT TIME ZONE 'UTC'));
CREATE TABLE price (price numeric NOT NULL) PARTITION BY RANGE (price);
CREATE TABLE region (region text NOT NULL) PARTITION BY LIST (region);
CREATE TABLE hashed (id bigint NOT NULL) PARTITION BY HASH (id);
CREATE TABLE leaf PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2020-02-01') PARTITION BY RANGE (id);
CREATE TEMPORARY TABLE passing (at date NOT NULL) PARTITION BY RANGE (at);
CREATE VIEW seen AS SELECT * FROM log;
CREATE TABLE word (word text NOT NULL) PARTITION BY RANGE (word);

CREATE FUNCTION pg_temp.refuses(arguments text, state text, what text) RETURNS text LANGUAGE sql AS $$
    SELECT throws_ok(format('SELECT teamscale.create_partition_policy(%s)', arguments), state::char(5), NULL, what)
$$;

SELECT pg_temp.refuses($$'plain', 'at', '1 month'$$, '42809', 'a table that is not partitioned');
SELECT pg_temp.refuses($$'seen', 'at', '1 month'$$, '42809', 'a view');
SELECT pg_temp.refuses($$'nullable', 'at', '1 month'$$, '55000', 'a column that may be null');
SELECT pg_temp.refuses($$'log', 'id', '1000'$$, '55000', 'another column than the partition key');
SELECT pg_temp.refuses($$'log', 'no such', '1 month'$$, '55000', 'no column');
SELECT pg_temp.refuses($$'pair', 'a', '1 month'$$, '55000', 'a key of two columns');
SELECT pg_temp.refuses($$'expression', 'at', '1 month'$$, '55000', 'a key that is an expression');
SELECT pg_temp.refuses($$'leaf', 'id', '1000'$$, '55000', 'a partition');
SELECT pg_temp.refuses($$'passing', 'at', '1 day'$$, '55000', 'a temporary table');
SELECT pg_temp.refuses($$'log', 'at', '1 month', kind => 'list'$$, '55000', 'a list where there are ranges');
SELECT pg_temp.refuses($$'log', 'at', '1 month', kind => 'rings'$$, '22023', 'no kind');
SELECT pg_temp.refuses($$'price', 'price', '1000'$$, '22023', 'a type without an axis');
SELECT pg_temp.refuses($$0::regclass, 'at', '1 month'$$, '42P01', 'no table');

SELECT pg_temp.refuses($$'log', 'at'$$, '22023', 'no width');
SELECT pg_temp.refuses($$'log', 'at', '0'$$, '22023', 'a width of nothing');
SELECT pg_temp.refuses($$'log', 'at', '-1 day'$$, '22023', 'a negative width');
SELECT pg_temp.refuses($$'log', 'at', '1 month 1 day'$$, '22023', 'months and days');
SELECT pg_temp.refuses($$'log', 'at', 'soon'$$, '22007', 'no interval');
SELECT pg_temp.refuses($$'day', 'day', '6 hours'$$, '22023', 'hours of dates');
SELECT pg_temp.refuses($$'number', 'n', '0'$$, '22023', 'a step of nothing');
SELECT pg_temp.refuses($$'number', 'n', '-5'$$, '22023', 'a negative step');
SELECT pg_temp.refuses($$'number', 'n', '1 month'$$, '22P02', 'an interval of numbers');
SELECT pg_temp.refuses($$'number', 'n', '1 day', epoch => 'hours'$$, '22023', 'an unknown epoch');
SELECT pg_temp.refuses($$'log', 'at', '1 day', epoch => 'seconds'$$, '22023', 'an epoch that is no number');

SELECT pg_temp.refuses($$'log', 'at', '1 month', time_zone => 'Mars/Olympus'$$, '22023', 'an unknown zone');
SELECT pg_temp.refuses($$'log', 'at', '1 month', time_zone => 'CEST'$$, '22023', 'an abbreviation');
SELECT pg_temp.refuses($$'log', 'at', '1 month', time_zone => 'EST5EDT,M3.2.0,M11.1.0'$$, '22023', 'a rule in place of a name');
SELECT pg_temp.refuses($$'log', 'at', '1 month', premake => -1$$, '22023', 'a negative premake');
SELECT pg_temp.refuses($$'log', 'at', '1 month', premake => 1000000000$$, '22023', 'a premake beyond all measure');
SELECT pg_temp.refuses($$'log', 'at', '1 month', retain => '1 day'$$, '22023', 'a retention shorter than the interval');
SELECT pg_temp.refuses($$'log', 'at', '1 month', retain => '-1 year'$$, '22023', 'a negative retention');
SELECT pg_temp.refuses($$'log', 'at', '1 month', retain => 'for ever'$$, '22007', 'no retention');
SELECT pg_temp.refuses($$'log', 'at', '1 month', on_expiry => 'burn'$$, '22023', 'an unknown end');
SELECT pg_temp.refuses($$'log', 'at', '1 month', retain => '1 year', on_expiry => 'archive'$$, '0A000', 'archiving, which has no storage yet');
SELECT pg_temp.refuses($$'log', 'at', '1 month', retain => '1 year', on_expiry => 'move'$$, '22023', 'moving nowhere');
SELECT pg_temp.refuses($$'log', 'at', '1 month', name_template => '{table}'$$, '22023', 'names that are all the same');
SELECT pg_temp.refuses($$'log', 'at', '1 month', name_template => '{table}_{nonsense}'$$, '22023', 'an unknown placeholder');
SELECT pg_temp.refuses($$'log', 'at', '1 month', name_template => '{table'$$, '22023', 'a brace alone');
SELECT pg_temp.refuses($$'log', 'at', '1 month', sub_policy => '{"column": "no such"}'$$, '22023', 'a sub-policy on no column');
SELECT pg_temp.refuses($$'log', 'at', '1 month', sub_policy => '{"column": "id", "colour": "red"}'$$, '22023', 'a sub-policy with an unknown key');
SELECT pg_temp.refuses($$'hashed', 'id', kind => 'hash'$$, '22023', 'a hash without a modulus');
SELECT pg_temp.refuses($$'hashed', 'id', kind => 'hash', modulus => 0$$, '22023', 'a modulus of nothing');
SELECT pg_temp.refuses($$'region', 'region', kind => 'list', "values" => '["eu", ["eu", "us"]]'$$, '22023', 'a value in two sets');

SELECT is_empty('SELECT * FROM teamscale.partition_policy', 'nothing was stored');
SELECT is((SELECT count(*) FROM pg_inherits), 1::bigint, 'nothing was made');
SELECT throws_ok($$SELECT teamscale.alter_partition_policy('log', premake => 3)$$, '42704', 'table "public.log" has no partition policy');

SELECT * FROM finish();
ROLLBACK;
