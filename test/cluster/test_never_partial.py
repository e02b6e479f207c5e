"""No statement shows or changes a part of a sharded table as if it were the whole: each class of statements, tried from
a node that holds some of the buckets, is answered whole or refused with a hint."""

import psycopg
import pytest

from teams import ROWS, error, refused, run

READS = {
    "all rows": "SELECT * FROM assignment",
    "TABLE": "TABLE assignment",
    "an aggregate": "SELECT count(*) FROM assignment",
    "ONLY": "SELECT count(*) FROM ONLY assignment",
    "a whole row": "SELECT assignment FROM assignment",
    "system columns": "SELECT tableoid, ctid, xmin FROM assignment",
    "no column": "SELECT FROM assignment",
    "no rows wanted": "SELECT * FROM assignment LIMIT 0",
    "TABLESAMPLE": "SELECT * FROM assignment TABLESAMPLE SYSTEM (100)",
    "a sample of ONLY": "SELECT * FROM ONLY assignment TABLESAMPLE BERNOULLI (100)",
    "an extension's sampling method": "SELECT * FROM assignment TABLESAMPLE system_rows (1000)",
    "an alias": "SELECT n.x FROM assignment AS n (x, y, z)",
    "a range of keys": "SELECT * FROM assignment WHERE team_id BETWEEN 1 AND 30",
    "keys of several nodes": "SELECT count(*) FROM assignment WHERE team_id IN (SELECT generate_series(1, 30))",
    "a volatile key": "SELECT count(*) FROM assignment WHERE team_id = (random() * 29)::int + 1",
    "OR": "SELECT count(*) FROM assignment WHERE team_id = 1 OR role = 'web'",
    "a join with a plain table": "SELECT count(*) FROM wish JOIN assignment USING (team_id)",
    "an outer join": "SELECT count(*) FROM wish LEFT JOIN assignment USING (team_id)",
    "a LATERAL join": "SELECT * FROM wish, LATERAL (SELECT count(*) FROM assignment AS a WHERE a.team_id = wish.team_id) AS n",
    "EXISTS": "SELECT * FROM wish WHERE EXISTS (SELECT FROM assignment AS a WHERE a.team_id = wish.team_id)",
    "NOT IN": "SELECT * FROM wish WHERE team_id NOT IN (SELECT team_id FROM assignment)",
    "a scalar subquery": "SELECT (SELECT count(*) FROM assignment)",
    "ARRAY": "SELECT ARRAY(SELECT role FROM assignment)",
    "ORDER BY a subquery": "SELECT * FROM wish ORDER BY (SELECT max(role) FROM assignment)",
    "LIMIT by a subquery": "SELECT * FROM wish LIMIT (SELECT count(*) FROM assignment)",
    "GROUP BY the key": "SELECT team_id, count(*) FROM assignment GROUP BY team_id",
    "a window": "SELECT count(*) OVER () FROM assignment",
    "DISTINCT": "SELECT DISTINCT team_id FROM assignment",
    "UNION": "SELECT team_id FROM wish UNION SELECT team_id FROM assignment",
    "EXCEPT": "SELECT team_id FROM wish EXCEPT ALL SELECT team_id FROM assignment",
    "a common table": "WITH a AS (SELECT * FROM assignment) SELECT count(*) FROM a",
    "a materialized common table": "WITH a AS MATERIALIZED (SELECT * FROM assignment) SELECT 1 FROM wish WHERE EXISTS (TABLE a)",
    "a recursive common table": "WITH RECURSIVE r AS (SELECT 1::bigint AS n UNION SELECT team_id FROM r, assignment) SELECT * FROM r",
    "a table that joins itself": "SELECT count(*) FROM assignment AS a JOIN assignment AS b USING (team_id)",
    "a pinned one and one that is not": "SELECT count(*) FROM assignment AS a, assignment AS b WHERE a.team_id = 1",
    "FOR UPDATE": "SELECT * FROM assignment FOR UPDATE",
    "a view": "SELECT count(*) FROM every_assignment",
    "a view of a view": "SELECT count(*) FROM role_count",
    "a view with a barrier": "SELECT count(*) FROM guarded_assignment",
    "EXPLAIN": "EXPLAIN SELECT * FROM assignment",
    "EXPLAIN ANALYZE": "EXPLAIN ANALYZE SELECT * FROM assignment",
    "COPY of the table": "COPY assignment TO STDOUT",
    "COPY of a query": "COPY (SELECT * FROM assignment) TO STDOUT",
    "COPY of a view's query": "COPY (SELECT * FROM role_count) TO STDOUT",
    "a cursor": "DECLARE every CURSOR FOR SELECT * FROM assignment",
    "a cursor that is held": "DECLARE every CURSOR WITH HOLD FOR SELECT * FROM assignment",
    "CREATE TABLE AS": "CREATE TABLE taken AS SELECT * FROM assignment",
    "CREATE TABLE AS TABLE": "CREATE TEMPORARY TABLE taken AS TABLE assignment",
    "SELECT INTO": "SELECT * INTO taken FROM assignment",
    "a materialized view": "CREATE MATERIALIZED VIEW taken AS SELECT count(*) FROM assignment",
    "REFRESH": "REFRESH MATERIALIZED VIEW unfilled",
    "PREPARE with a column as key": "PREPARE p AS SELECT count(*) FROM assignment WHERE team_id = server_id; EXECUTE p",
    "DO": "DO $$ BEGIN PERFORM * FROM assignment; END $$",
    "a loop": "DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM assignment LOOP NULL; END LOOP; END $$",
    "dynamic SQL": "DO $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM assignment' INTO n; END $$",
    "an expression of PL/pgSQL": "DO $$ DECLARE n bigint := (SELECT count(*) FROM assignment); BEGIN END $$",
    "a PL/pgSQL cursor": "DO $$ DECLARE c CURSOR FOR SELECT * FROM assignment; BEGIN OPEN c; END $$",
    "query_to_xml": "SELECT query_to_xml('SELECT * FROM assignment', false, false, '')",
    "table_to_xml": "SELECT table_to_xml('assignment', false, false, '')",
    "schema_to_xml": "SELECT schema_to_xml('shown', false, false, '')",
    "ts_stat": "SELECT * FROM ts_stat('SELECT to_tsvector(role) FROM assignment')",
    "ts_rewrite": "SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, role::tsquery FROM assignment')",
    "crosstab": "SELECT * FROM crosstab('SELECT team_id, server_id, role FROM assignment') AS c (team_id bigint, a text)",
}

WRITES = {
    "UPDATE": "UPDATE assignment SET role = 'x'",
    "UPDATE ONLY": "UPDATE ONLY assignment SET role = 'x'",
    "UPDATE FROM": "UPDATE assignment AS a SET role = w.note FROM wish AS w WHERE w.team_id = a.team_id",
    "UPDATE of a plain table from it": "UPDATE wish SET note = a.role FROM assignment AS a WHERE a.team_id = wish.team_id",
    "UPDATE of a view": "UPDATE every_assignment SET role = 'x'",
    "UPDATE of the key": "UPDATE assignment SET team_id = team_id + 1 WHERE team_id = 1",
    "DELETE": "DELETE FROM assignment",
    "DELETE USING": "DELETE FROM assignment AS a USING wish AS w WHERE w.team_id = a.team_id",
    "DELETE of what is not in it": "DELETE FROM wish WHERE team_id NOT IN (SELECT team_id FROM assignment)",
    "DELETE RETURNING": "DELETE FROM assignment RETURNING *",
    "MERGE into it": "MERGE INTO assignment AS a USING wish AS w ON a.team_id = w.team_id WHEN MATCHED THEN DELETE",
    "MERGE from it": "MERGE INTO wish AS w USING assignment AS a ON a.team_id = w.team_id WHEN MATCHED THEN DELETE"
    " WHEN NOT MATCHED THEN INSERT VALUES (a.team_id, a.role)",
    "a writing common table": "WITH gone AS (DELETE FROM assignment RETURNING *) SELECT count(*) FROM gone",
    "INSERT from it": "INSERT INTO wish SELECT team_id, role FROM assignment",
    "INSERT of it into itself": "INSERT INTO assignment SELECT team_id, server_id + 100, role FROM assignment",
    "INSERT of what it counts": "INSERT INTO wish VALUES ((SELECT count(*) FROM assignment), 'n')",
    "ON CONFLICT with a subquery": "INSERT INTO assignment VALUES (1, 1) ON CONFLICT (team_id, server_id)"
    " DO UPDATE SET role = (SELECT max(role) FROM assignment)",
    "RETURNING a subquery": "INSERT INTO wish VALUES (1, 'x') RETURNING (SELECT count(*) FROM assignment)",
    "WHERE CURRENT OF": "DECLARE one CURSOR FOR SELECT * FROM assignment WHERE team_id = 1 FOR UPDATE;"
    " FETCH one; DELETE FROM assignment WHERE CURRENT OF one",
    "a rule of a plain table": "INSERT INTO ruled VALUES (1)",
}

OBJECTS = [
    "CREATE VIEW every_assignment AS SELECT * FROM assignment",
    "CREATE VIEW role_count AS SELECT role, count(*) FROM every_assignment GROUP BY role",
    "CREATE SCHEMA shown CREATE VIEW v AS SELECT count(*) FROM public.assignment",
    "CREATE MATERIALIZED VIEW unfilled AS SELECT count(*) FROM assignment WITH NO DATA",
    "CREATE TABLE ruled (i int)",
    "CREATE RULE clear AS ON INSERT TO ruled DO ALSO DELETE FROM assignment",
    "CREATE EXTENSION tablefunc",
    "CREATE EXTENSION tsm_system_rows",
]


# Views that travel as views are there on all nodes.
BARRIER = "CREATE VIEW guarded_assignment WITH (security_barrier) AS SELECT * FROM assignment WHERE role <> ''"


@pytest.fixture(scope="module")
def session(teams):
    teams.everywhere(BARRIER)
    with teams.connect() as connection:
        for statement in OBJECTS:
            connection.execute(statement)
        yield connection


@pytest.mark.parametrize("sql", READS.values(), ids=READS)
def test_what_reads_all_buckets_is_refused(session, sql):
    raised = error(session, sql)
    # COPY of a partitioned table is PostgreSQL's own refusal.
    assert raised.sqlstate == ("42809" if sql == READS["COPY of the table"] else "0A000"), raised
    assert raised.diag.message_hint


@pytest.mark.parametrize("sql", WRITES.values(), ids=WRITES)
def test_what_writes_all_buckets_is_refused_and_changes_nothing(session, sql):
    raised = error(session, sql)
    assert raised.sqlstate == "0A000", raised
    assert raised.diag.message_hint
    assert session.execute("SELECT count(*) FROM wish").fetchone()[0] == 30


def test_nothing_was_changed_on_any_node(teams, session):
    for sql in WRITES.values():
        error(session, sql)
    assert len(teams.rows()) == ROWS
    assert teams.rows("SELECT role FROM assignment WHERE role <> 'web'") == []


def test_what_is_pinned_is_answered_whole_in_each_of_these_ways(teams, session):
    """The same forms, for one team of another node: a refusal of everything would be no merit."""
    team = teams.of["b"][0]
    for sql in [
        f"SELECT * FROM assignment WHERE team_id = {team}",
        f"SELECT * FROM ONLY assignment WHERE team_id = {team}",
        f"SELECT * FROM every_assignment WHERE team_id = {team}",
        f"SELECT * FROM guarded_assignment WHERE team_id = {team}",
        f"COPY (SELECT * FROM assignment WHERE team_id = {team}) TO STDOUT",
        f"SELECT * FROM crosstab('SELECT server_id, 1, role FROM assignment WHERE team_id = {team}') AS c (a int, b text)",
        f"CREATE TEMPORARY TABLE taken AS SELECT * FROM assignment WHERE team_id = {team}; TABLE taken",
        f"DECLARE c CURSOR FOR SELECT * FROM assignment WHERE team_id = {team}; FETCH ALL FROM c",
    ]:
        with session.transaction(force_rollback=True):
            *before, last = sql.split("; ")
            for statement in before:
                run(session, statement)
            assert len(run(session, last)) == 4, sql


def test_a_cursor_of_the_client_library_is_refused(session):
    with pytest.raises(psycopg.errors.FeatureNotSupported), session.transaction(force_rollback=True):
        session.cursor("named").execute("SELECT * FROM assignment")


def test_parameters_are_no_way_around(session):
    refused(session, "SELECT count(*) FROM assignment WHERE team_id > %s", [0])
    refused(session, "SELECT count(*) FROM assignment WHERE team_id = ANY (%s)", [list(range(1, 31))])
    refused(session, "SELECT count(*) FROM assignment WHERE %s OR team_id = 1", [True])
