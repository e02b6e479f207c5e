-- PostgreSQL's errors through C++ frames, and C++'s exceptions into PostgreSQL: nothing is lost, nothing is left.
BEGIN;
SELECT plan(46);

CREATE FUNCTION living_objects() RETURNS integer LANGUAGE c AS 'boundary_functions';
CREATE FUNCTION run_sql_below(frames integer, sql text) RETURNS void LANGUAGE c AS 'boundary_functions';
CREATE FUNCTION throw_exception(kind text) RETURNS void LANGUAGE c AS 'boundary_functions';
CREATE FUNCTION throw_within_postgres(kind text) RETURNS void LANGUAGE c AS 'boundary_functions';
CREATE FUNCTION handler_is_restored() RETURNS boolean LANGUAGE c AS 'boundary_functions';
CREATE FUNCTION wait_forever() RETURNS void LANGUAGE c AS 'boundary_functions';
CREATE FUNCTION message_of_failed_sql(sql text) RETURNS text LANGUAGE c AS 'boundary_functions';
CREATE FUNCTION raise_without_memory() RETURNS void LANGUAGE c AS 'boundary_functions';

-- All parts of the error that a statement ends with; null when it succeeds.
CREATE TYPE diagnostics AS (sqlstate text, message text, detail text, hint text, schema_name text, table_name text,
                            column_name text, constraint_name text, datatype_name text);
CREATE FUNCTION diagnostics_of(sql text) RETURNS diagnostics LANGUAGE plpgsql AS $$
DECLARE
    d diagnostics;
BEGIN
    EXECUTE sql;
    RETURN NULL;
EXCEPTION WHEN OTHERS OR query_canceled THEN
    GET STACKED DIAGNOSTICS
        d.sqlstate = RETURNED_SQLSTATE, d.message = MESSAGE_TEXT, d.detail = PG_EXCEPTION_DETAIL,
        d.hint = PG_EXCEPTION_HINT, d.schema_name = SCHEMA_NAME, d.table_name = TABLE_NAME,
        d.column_name = COLUMN_NAME, d.constraint_name = CONSTRAINT_NAME, d.datatype_name = PG_DATATYPE_NAME;
    RETURN d;
END
$$;
-- The statement fails as it does without C++ between, its objects are gone, and the next statement works.
CREATE FUNCTION fails_alike(sql text, description text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    plain diagnostics := diagnostics_of(sql);
    below diagnostics := diagnostics_of(format('SELECT run_sql_below(5, %L)', sql));
BEGIN
    RETURN NEXT isnt(plain.sqlstate, NULL, description);
    RETURN NEXT is(below, plain, description || ': all parts of the error arrive');
    RETURN NEXT is(living_objects(), 0, description || ': every destructor ran');
    RETURN NEXT is((SELECT 40 + 2), 42, description || ': the next statement works');
END
$$;

CREATE TABLE server (server_id integer PRIMARY KEY, size integer CONSTRAINT positive_size CHECK (size > 0));
INSERT INTO server VALUES (1, 1);
CREATE DOMAIN port AS integer CONSTRAINT port_range CHECK (VALUE < 65536);
CREATE FUNCTION raise_all() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the message, 100%%' USING ERRCODE = 'TS042', DETAIL = 'the detail, 100%', HINT = 'the hint, 100%',
        COLUMN = 'a column', CONSTRAINT = 'a constraint', DATATYPE = 'a type', TABLE = 'a table', SCHEMA = 'a schema';
END
$$;

SELECT fails_alike('SELECT raise_all()', 'an error with every part');
SELECT fails_alike('INSERT INTO server VALUES (2, -1)', 'a check constraint');
SELECT fails_alike('INSERT INTO server VALUES (1, 1)', 'a unique constraint');
SELECT fails_alike('SELECT 70000::port', 'a domain''s constraint');
SELECT fails_alike('SELECT 1 / 0', 'an error without detail');
SELECT fails_alike('SELECT nothing', 'a syntax error');

-- Exceptions into PostgreSQL.
CREATE FUNCTION parts(d diagnostics) RETURNS text LANGUAGE sql AS
    $$ SELECT concat_ws(' | ', d.sqlstate, d.message, d.detail, d.hint) $$;
SELECT is(parts(diagnostics_of('SELECT throw_exception(''error'')')), '23514 | message %s | detail %d | hint %n',
          'an error of ours arrives with all its parts, and its text is no format');
SELECT is(parts(diagnostics_of('SELECT throw_exception(''error without detail'')')), '23514 | bare message |  | ',
          'detail and hint may be missing');
SELECT is(parts(diagnostics_of('SELECT throw_exception(''std::exception'')')),
          'XX000 | from the standard library |  | ', 'an exception of the standard library is an internal error');
SELECT is((diagnostics_of('SELECT throw_exception(''std::bad_alloc'')')).sqlstate, '53200', 'bad_alloc is out of memory');
SELECT is((diagnostics_of('SELECT throw_exception(''std::length_error'')')).sqlstate, 'XX000',
          'a length error is an internal error');
SELECT is(parts(diagnostics_of('SELECT throw_exception(''int'')')), 'XX000 | unknown C++ exception |  | ',
          'a thrown number is an internal error');
SELECT is((diagnostics_of('SELECT throw_exception(''struct'')')).sqlstate, 'XX000', 'so is a thrown struct');
SELECT is(length((diagnostics_of('SELECT throw_exception(''huge error'')')).detail), 64 * 1024, 'a huge text is clipped');
SELECT is(diagnostics_of('SELECT throw_exception(''nothing'')'), NULL, 'what throws nothing succeeds');
SELECT is(living_objects(), 0, 'every destructor ran');

-- Exceptions out of the body of CallPostgres.
SELECT is(parts(diagnostics_of('SELECT throw_within_postgres(''error'')')), '23514 | message %s | detail %d | hint %n',
          'an exception may leave the body of a call into PostgreSQL');
SELECT is((diagnostics_of('SELECT throw_within_postgres(''int'')')).sqlstate, 'XX000', 'of any type');
SELECT ok(handler_is_restored(), 'and PostgreSQL''s handlers are those of before');
SELECT is(living_objects(), 0, 'every destructor ran');

-- Interrupts.
SET LOCAL statement_timeout = '50ms';
SELECT is(parts(diagnostics_of('SELECT wait_forever()')), '57014 | canceling statement due to statement timeout |  | ',
          'a statement timeout gets through');
RESET statement_timeout;
SELECT is(living_objects(), 0, 'every destructor ran');
SELECT is((diagnostics_of('SELECT run_sql_below(3, ''SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(10)'')')).message,
          'canceling statement due to user request', 'a cancel gets through');
SELECT is(living_objects(), 0, 'every destructor ran');

-- Subtransactions.
SELECT is(message_of_failed_sql('INSERT INTO server VALUES (7, 7), (1, 1)'),
          'duplicate key value violates unique constraint "server_pkey"', 'an error may be caught by rolling back');
SELECT is_empty('SELECT FROM server WHERE server_id = 7', 'what the rolled back part did is undone');
SELECT is(parts(diagnostics_of('SELECT raise_without_memory()')),
          '53200 | out of memory | There was no memory left to tell which error came first. | ',
          'an error that cannot be copied is out of memory');

-- Memory: what 10,000 errors leave behind.
CREATE FUNCTION fail_often(times integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. times LOOP
        PERFORM diagnostics_of(CASE i % 3 WHEN 0 THEN 'SELECT run_sql_below(3, ''SELECT raise_all()'')'
                                          WHEN 1 THEN 'SELECT throw_exception(''error'')'
                                          ELSE 'SELECT throw_within_postgres(''std::exception'')' END);
    END LOOP;
END
$$;
SET LOCAL client_min_messages = error;
CREATE TEMPORARY TABLE memory (moment text, bytes numeric);
SELECT fail_often(1000);
INSERT INTO memory SELECT 'before', sum(used_bytes) FROM pg_backend_memory_contexts;
SELECT fail_often(10000);
INSERT INTO memory SELECT 'after', sum(used_bytes) FROM pg_backend_memory_contexts;
SELECT cmp_ok((SELECT bytes FROM memory WHERE moment = 'after'), '<', (SELECT bytes + 200000 FROM memory WHERE moment = 'before'),
              '10,000 errors leave no memory behind');

SELECT * FROM finish();
ROLLBACK;
