-- Constants keep their values whatever the session's settings are.
CREATE TABLE one (id int);
INSERT INTO one VALUES (1);
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE TYPE pair AS (a int, b mood);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FUNCTION show_all() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT 'unused' $$;
\set constants '\'2024-02-03\'::date, \'2024-02-03 04:05:06.789+03:30\'::timestamptz, \'2024-11-03 01:30:00 America/New_York\'::timestamptz, \'infinity\'::timestamp, \'-infinity\'::date, \'0044-03-15 BC\'::date, \'04:05:06.7\'::time, \'04:05+05\'::timetz, \'1 year -2 days 3:04:05.6\'::interval, \'-1 month -2 days -03:04\'::interval, \'-1 day\'::interval, interval \'3\' hour, 0.1::float8, 1e-300::float8, \'NaN\'::float8, \'-Infinity\'::float4, \'-0\'::float8, 3.4028235e38::float4, 1.10::numeric, \'NaN\'::numeric, \'Infinity\'::numeric, 12.50::money, \'\\\\xdeadbeef\'::bytea, \'sad\'::mood, \'{sad,"it\'\'s ok",NULL}\'::mood[], \'(1,happy)\'::pair, 7::positive, \'[2024-01-01,2024-02-01)\'::daterange, \'{[1,3),[5,7)}\'::int4multirange, \'{"a": [1, null]}\'::jsonb, \'10.0.0.1/8\'::inet, B\'0101\', \'a\'\'b\\c\'::text, \'one\'::regclass, \'pg_catalog.+(int4,int4)\'::regoperator, \'[0:1]={1,2}\'::int[], \'{{1,2},{3,4}}\'::int[], \'pg_catalog.english\'::regconfig, \'a & b\'::tsquery, \'a:1A b\'::tsvector, \'((1,2),(3,4))\'::box, \'x\'::"char", \'n\'::name, \'ab  \'::char(5), 9223372036854775807, (-2147483648), -1::smallint, 4294967295::oid, NULL::mood'
SELECT :constants FROM one;
SET datestyle = 'SQL, DMY';
SELECT :constants FROM one;
SET datestyle = 'German';
SELECT :constants FROM one;
SET datestyle = 'Postgres, MDY';
SET timezone = 'Asia/Kolkata';
SELECT :constants FROM one;
SET intervalstyle = 'sql_standard';
SELECT '-1 month -2 days -03:04'::interval, '1 day -2 hours'::interval, '-1 day'::interval, '1-2'::interval year to month FROM one;
SET intervalstyle = 'iso_8601';
SELECT :constants FROM one;
RESET datestyle;
SET intervalstyle = 'postgres_verbose';
SET extra_float_digits = -5;
SET bytea_output = escape;
SELECT :constants FROM one;
RESET ALL;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT 'a\\b\'c', E'tab\t', 'plain' FROM one;
SET standard_conforming_strings = on;
SELECT 'a\b', E'a\\b', U&'d\0061t\+000061', '100%', '{a,b}' FROM one;
SET xmloption = document;
SELECT xmlparse(CONTENT 'a<b/>'), '<a/>'::xml FROM one;
RESET xmloption;
SET quote_all_identifiers = on;
SELECT id AS x FROM one AS o WHERE o.id = 1 ORDER BY x;
RESET quote_all_identifiers;
SELECT date '2024-01-01' + 1, timestamp '2024-01-01 00:00' - interval '1 sec', interval '1.5' second(1), '12:00'::time(0), 1.005::numeric(4, 2), 'abcdef'::varchar(3), 'a'::char(3) || 'b', B'1'::bit(3), B'101'::varbit(2) FROM one;
