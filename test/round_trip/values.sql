-- Values are the same after they travelled, bit by bit, as parameters, in results and in COPY.
CREATE FUNCTION send_and_read(anyelement) RETURNS anyelement LANGUAGE C AS :'library';
CREATE FUNCTION travels_binary(anyelement) RETURNS boolean LANGUAGE C AS :'library';
CREATE FUNCTION copy_rows(regclass) RETURNS bytea LANGUAGE C AS :'library';
CREATE FUNCTION copies_binary(regclass) RETURNS boolean LANGUAGE C AS :'library';
CREATE FUNCTION same(anyelement) RETURNS boolean LANGUAGE sql AS
    $$SELECT record_image_eq(ROW ($1), ROW (send_and_read($1))) AND $1::text IS NOT DISTINCT FROM send_and_read($1)::text$$;
-- (A tsquery is equal, but may keep its words in another order.)
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"');
CREATE TYPE plain_pair AS (a int, b text);
CREATE TYPE pair AS (a int, b mood);
CREATE TYPE nested AS (p pair, l mood[], t timestamptz, f float8);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN moods AS mood[];
CREATE TYPE mood_range AS RANGE (subtype = mood);
CREATE TYPE float_range AS RANGE (subtype = float8);
CREATE TABLE row_type (id int, dropped int, v mood);
ALTER TABLE row_type DROP COLUMN dropped;

CREATE TABLE every_type (
    c_bool bool, c_int2 int2, c_int4 int4, c_int8 int8, c_float4 float4, c_float8 float8, c_numeric numeric, c_numeric_mod numeric(10, 3),
    c_money money, c_text text, c_varchar varchar(10), c_char char(5), c_byte "char", c_name name, c_bytea bytea,
    c_date date, c_time time, c_timetz timetz, c_timestamp timestamp, c_timestamptz timestamptz, c_timestamp0 timestamp(0), c_interval interval,
    c_uuid uuid, c_inet inet, c_cidr cidr, c_macaddr macaddr, c_macaddr8 macaddr8, c_bit bit(3), c_varbit varbit,
    c_json json, c_jsonb jsonb, c_jsonpath jsonpath, c_xml xml, c_tsvector tsvector, c_tsquery tsquery,
    c_point point, c_line line, c_lseg lseg, c_box box, c_path path, c_polygon polygon, c_circle circle,
    c_int4range int4range, c_tstzrange tstzrange, c_numrange numrange, c_multirange int8multirange,
    c_oid oid, c_tid tid, c_xid xid, c_lsn pg_lsn, c_snapshot pg_snapshot,
    c_ints int[], c_texts text[], c_times timestamptz[], c_jsons jsonb[]);
INSERT INTO every_type VALUES (
    true, -32768, -2147483648, -9223372036854775808, '-0', '-0', 'NaN', 0.100,
    -12.34, E'tab\tnew\nline\\ "quote" é ☃', 'é☃', 'ab', 'x', 'name', '\x00ff0a5c',
    'infinity', '24:00', '23:59:59.999999-15:59:59', '-infinity', '2024-02-29 12:34:56.789012+05:45', '2024-01-01', '-178000000 years',
    '00000000-0000-0000-0000-000000000001', '::ffff:1.2.3.4/128', '10.1.0.0/16', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'101', B'',
    '{"a" :  1, "a": 2}', '{"b": [1, null, 1.10]}', '$.a[*] ? (@ > 1)', '<?xml version="1.0"?><a>é</a>', 'a:1A,2B b', 'a & !(b | c:*)',
    '(1e-300,-0)', '{1,-1,0}', '[(0,0),(1,1)]', '((2,2),(1,1))', '[(0,0),(1,2)]', '((0,0),(1,0),(0,1))', '<(0,0),3>',
    '(,5)', '["2024-01-01 00:00+00",)', 'empty', '{[1,3),[7,)}',
    4294967295, '(4294967295,65535)', '4294967295', 'FFFFFFFF/FFFFFFFF', '10:20:10,14,15',
    '[-1:0][2:3]={{1,NULL},{3,4}}', '{"",NULL,"NULL","a,b","\"\\{}"}', '{infinity,2024-02-03 04:05:06+00}', '{"{\"a\": \"b\"}"}');
INSERT INTO every_type (c_float4, c_float8, c_numeric, c_date, c_timestamp, c_interval, c_text, c_bytea, c_ints, c_money, c_time, c_xml) VALUES
    ('NaN', 'Infinity', '-Infinity', '4713-01-01 BC', '294276-12-31 23:59:59.999999', '1 year 2 mons -3 days 04:05:06.789', '', '', '{}', '92233720368547758.07', '00:00', 'content <b/> only'),
    (3.4028235e38, 5e-324, '1e-1000', '5874897-12-31', '4713-01-01 00:00 BC', '-00:00:00.000001', '\N', '\x5c4e', '{NULL}', '-92233720368547758.08', '12:34:56.789', ''),
    (1e-45, 0.1, 1e1000, '2000-01-01', '2000-01-01', '0', E'\\.', NULL, '[5:5]={1}', 0, NULL, NULL);
INSERT INTO every_type DEFAULT VALUES;
INSERT INTO every_type (c_text, c_bytea) SELECT string_agg(chr(g), ''), decode(string_agg(lpad(to_hex(g), 2, '0'), ''), 'hex') FROM generate_series(1, 255) g;

-- Types that the users make.
CREATE TABLE own_type (id int, c_mood mood, c_moods mood[], c_pair pair, c_plain plain_pair, c_nested nested, c_pairs pair[], c_positive positive, c_domain moods,
    c_range mood_range, c_floats float_range, c_ranges float_range[], c_multi float_multirange, c_row row_type, c_class regclass, c_type regtype, c_function regprocedure, c_role regrole[]);
INSERT INTO own_type VALUES (1, 'it''s "fine"', '{sad,"it''s \"fine\"",NULL}', '(1,"it''s ""fine""")', '(2,"a,b")', '("(1,ok)","{sad,ok}","2024-02-03 04:05:06.7+00",0.1)', '{"(1,ok)",NULL,"(,)"}', 7, '{ok}',
    '[sad,ok]', '[0.1,Infinity)', '{"[1,2)",empty}', '{[1,2),[3,4)}', '(1,sad)', 'every_type', 'mood[]', 'same(anyelement)', '{postgres}');
INSERT INTO own_type (id, c_plain, c_row, c_nested) VALUES (2, NULL, '(,)', '(,,,1e-300)');
INSERT INTO own_type (id) VALUES (3);

CREATE FUNCTION report(wanted regclass) RETURNS TABLE (name name, binary_form boolean, not_null bigint, identical boolean) LANGUAGE plpgsql AS $$
DECLARE column_name name;
BEGIN
    FOR column_name IN SELECT attname FROM pg_attribute WHERE attrelid = wanted AND attnum > 0 AND NOT attisdropped ORDER BY attnum LOOP
        RETURN QUERY EXECUTE format('SELECT %L::name, bool_and(travels_binary(%1$I)), count(%1$I), bool_and(same(%1$I)) FROM %s', column_name, wanted);
    END LOOP;
END$$;
SELECT * FROM report('every_type');
SELECT * FROM report('own_type');
SELECT c_tsquery = send_and_read(c_tsquery) AS equal FROM every_type WHERE c_tsquery IS NOT NULL;
ALTER TABLE every_type DROP COLUMN c_tsquery;
-- (Within a row, XML loses its declaration, as in PostgreSQL's own text form of the row.)
UPDATE every_type SET c_xml = '<a>é</a>' WHERE c_bool;
SELECT record_image_eq(every_type, send_and_read(every_type)) AS whole_row FROM every_type;
SET extra_float_digits = -10;
SET datestyle = 'German';
SET timezone = 'Asia/Kolkata';
SET intervalstyle = 'sql_standard';
SET bytea_output = 'escape';
SET xmloption = document;
SELECT * FROM report('every_type') WHERE NOT identical;
SELECT * FROM report('own_type') WHERE NOT identical;
SELECT teamscale.text_form('(1,ok)'::pair), teamscale.text_form(row_number() OVER ()::int), teamscale.text_form('2024-02-03 04:05:06+00'::timestamptz), teamscale.text_form(0.1::float8), teamscale.text_form('-1 day'::interval), teamscale.text_form(NULL::mood);
RESET ALL;
SELECT send_and_read(ROW (1, 2));
SELECT send_and_read('x'::cstring);

-- COPY: written here, read by the server.
CREATE FUNCTION copy_over(source regclass) RETURNS TABLE (binary_form boolean, copied bigint, missing bigint) LANGUAGE plpgsql AS $$
DECLARE
    format text := CASE WHEN copies_binary(source) THEN 'binary' ELSE 'text' END;
    object oid := lo_from_bytea(0, copy_rows(source));
BEGIN
    PERFORM lo_export(object, 'travelled_rows');
    EXECUTE format('CREATE TEMPORARY TABLE copied (LIKE %s INCLUDING ALL)', source);
    EXECUTE format('COPY copied FROM %L (FORMAT %s)', current_setting('data_directory') || '/travelled_rows', format);
    RETURN QUERY EXECUTE format('SELECT %L = ''binary'', (SELECT count(*) FROM copied), (SELECT count(*) FROM %s a WHERE NOT EXISTS (SELECT FROM copied b WHERE a::text IS NOT DISTINCT FROM b::text))', format, source);
    DROP TABLE copied;
END$$;
SELECT * FROM copy_over('every_type');
SELECT * FROM copy_over('own_type');
CREATE TABLE text_only AS SELECT e.*, 'sad'::mood AS c_mood, ARRAY['ok'::mood] AS moods FROM every_type e;
SET extra_float_digits = -10;
SET datestyle = 'German';
SET intervalstyle = 'sql_standard';
SELECT copies_binary('text_only'), length(copy_rows('text_only')) > 1000;
RESET ALL;
SELECT * FROM copy_over('text_only');
CREATE TABLE with_generated (a int, gone int, g int GENERATED ALWAYS AS (a * 2) STORED, b text);
INSERT INTO with_generated (a, b) VALUES (1, 'x'), (NULL, NULL);
ALTER TABLE with_generated DROP COLUMN gone;
SELECT copy_rows('with_generated');
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
SELECT copy_rows('no_columns');
