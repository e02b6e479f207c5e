"""run_on_node, run_on_key and run_on_all_nodes: SQL of the application's on the nodes that it names, as the caller."""

import decimal

import psycopg
import pytest

from layout import all_rows, shard
from roles import make_roles

TABLE = "CREATE TABLE assignment (team_id bigint NOT NULL, id integer, name text, PRIMARY KEY (team_id, id)) PARTITION BY HASH (team_id)"


@pytest.fixture
def sharded(cluster):
    shard(cluster, TABLE, "assignment", "bigint")
    cluster["a"].execute("INSERT INTO assignment SELECT i, i, 'n' || i FROM generate_series(1, 40) AS i")
    return cluster


def run_on_all(connection, sql):
    return connection.execute("SELECT * FROM teamscale.run_on_all_nodes(%s)", [sql]).fetchall()


def error(connection, sql, parameters=None):
    with pytest.raises(psycopg.Error) as raised:
        connection.execute(sql, parameters)
    return raised.value


def test_each_node_shows_its_own_buckets(sharded):
    rows = run_on_all(sharded["b"].connect(), "SELECT count(*) AS rows, sum(team_id) FROM assignment")
    assert sorted(row[0] for row in rows) == ["a", "b", "c"]
    assert sum(row[1]["rows"] for row in rows) == 40
    assert sum(row[1]["sum"] for row in rows) == 820
    assert {row[2] for row in rows} == {None}


def test_results_are_typed_as_to_jsonb_types_them(sharded):
    query = (
        "SELECT 1.50::numeric AS n, ARRAY[1, NULL] AS a, ROW(1, 'x') AS r, true AS b, NULL AS nothing, '{\"k\": 1}'::jsonb AS j,"
        " timestamptz '2026-01-01 00:00+00' AS t, 'a''b\"c' AS text"
    )
    connection = sharded["a"].connect()
    expected = connection.execute(f"SELECT to_jsonb(q) FROM ({query}) AS q").fetchone()[0]
    for node in "abc":
        assert connection.execute("SELECT node, result FROM teamscale.run_on_node(%s, %s)", [node, query]).fetchall() == [
            (node, expected)
        ]


def test_a_statement_on_a_key_runs_on_its_owner(sharded):
    connection = sharded["c"].connect()
    for team in range(1, 10):
        rows = connection.execute(
            "SELECT * FROM teamscale.run_on_key('assignment', %s::bigint, %s)",
            [team, f"UPDATE assignment SET name = 'new' WHERE team_id = {team}"],
        ).fetchall()
        owner = connection.execute("SELECT teamscale.node_of('assignment', %s::bigint)", [team]).fetchone()[0]
        assert rows == [(owner, None, 1)]
    assert len(all_rows(sharded, "SELECT * FROM assignment WHERE name = 'new'")) == 9


def test_rows_affected_or_rows_returned(sharded):
    connection = sharded["a"].connect()
    rows = run_on_all(connection, "DELETE FROM assignment WHERE team_id > 30")
    assert sum(row[2] for row in rows) == 10 and {row[1] for row in rows} == {None}
    rows = run_on_all(connection, "UPDATE assignment SET name = 'x' WHERE team_id < 4 RETURNING team_id")
    assert sorted(row[1]["team_id"] for row in rows) == [1, 2, 3]
    assert run_on_all(connection, "SELECT * FROM assignment WHERE false") == []
    assert [row[1:] for row in run_on_all(connection, "CREATE SCHEMA tools")] == [(None, None)] * 3


def test_all_nodes_are_one_transaction(sharded):
    connection = sharded["a"].connect()
    owner = sharded["a"].value("SELECT teamscale.node_of('assignment', 7)")
    raised = error(
        connection, "SELECT teamscale.run_on_all_nodes(%s)",
        ["UPDATE assignment SET name = 'lost', id = CASE WHEN team_id = 7 THEN 1 / (id - 7) ELSE id END"],
    )
    assert raised.sqlstate == "22012"
    if owner != "a":
        assert f'node "{owner}"' in raised.diag.context
    assert all_rows(sharded, "SELECT * FROM assignment WHERE name = 'lost'") == []
    with connection.transaction(force_rollback=True):
        run_on_all(connection, "DELETE FROM assignment")
    assert len(all_rows(sharded, "SELECT * FROM assignment")) == 40


def test_definitions_change_everywhere_and_are_the_same(sharded):
    connection = sharded["b"].connect()
    for command in [
        "CREATE INDEX assignment_name ON assignment (name)", "ALTER TABLE assignment ADD COLUMN size numeric DEFAULT 1.5",
        "ALTER TABLE assignment ADD CONSTRAINT positive CHECK (size > 0)", "COMMENT ON TABLE assignment IS 'who does what'",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER touch BEFORE UPDATE ON assignment FOR EACH ROW EXECUTE FUNCTION touch()",
        "CREATE POLICY all_of_it ON assignment USING (true)", "ALTER TABLE assignment ALTER COLUMN name SET STORAGE EXTERNAL",
        "CREATE STATISTICS assignment_stats ON team_id, name FROM assignment", "ALTER TABLE assignment RENAME COLUMN id TO nr",
        "GRANT SELECT ON assignment TO PUBLIC",
    ]:
        run_on_all(connection, command)
    digests = {tuple(database.execute("SELECT * FROM teamscale_internal.definition_digest() ORDER BY 1, 2")) for database in sharded.nodes}
    assert len(digests) == 1
    assert connection.execute("SELECT size FROM assignment WHERE team_id = 5").fetchone() == (decimal.Decimal("1.5"),)


def test_leaves_follow_their_table_to_another_owner(sharded):
    make_roles(sharded, "clerk")
    for database in sharded.nodes:
        database.execute("GRANT CREATE ON SCHEMA public TO clerk")
    run_on_all(sharded["b"].connect(), "ALTER TABLE assignment OWNER TO clerk")
    clerk = sharded["c"].connect(user="clerk")
    run_on_all(clerk, "ALTER TABLE assignment ADD COLUMN size integer DEFAULT 3")
    run_on_all(clerk, "CREATE INDEX assignment_size ON assignment (size)")
    clerk.execute("INSERT INTO assignment SELECT i, -i FROM generate_series(1, 9) AS i")
    clerk.execute("TRUNCATE assignment")
    clerk.execute("DROP TABLE assignment")
    assert all(database.value("SELECT to_regclass('assignment')") is None for database in sharded.nodes)


def test_a_difference_between_nodes_undoes_the_change(sharded):
    # A name that is taken on one node: the index gets another one there.
    with sharded["c"].connect() as other:
        other.execute("CREATE TABLE assignment_name_idx (a integer)")
    raised = error(sharded["a"].connect(), "SELECT teamscale.run_on_all_nodes('CREATE INDEX ON assignment (name)')")
    assert raised.sqlstate == "55000" and 'node "c"' in raised.diag.message_detail and raised.diag.message_hint
    for database in sharded.nodes:
        assert database.value("SELECT count(*) FROM pg_index WHERE indrelid = 'assignment'::regclass") == 1


def test_one_node_alone_is_not_changed(sharded):
    connection = sharded["a"].connect()
    for node in "ab":
        raised = error(
            connection, "SELECT teamscale.run_on_node(%s, 'ALTER TABLE assignment ADD COLUMN size integer')", [node]
        )
        assert raised.sqlstate == "0A000"
    raised = error(connection, "SELECT teamscale.run_on_all_nodes('DROP TABLE assignment')")
    assert raised.sqlstate == "0A000" and "DROP TABLE" in raised.diag.message_hint


def test_what_is_refused_on_all_nodes_too(sharded):
    run_on_all(sharded["a"].connect(), "CREATE TABLE fitting (team_id bigint NOT NULL, id integer NOT NULL, name text)")
    connection = sharded["a"].connect()
    for sql in [
        "CREATE RULE r AS ON INSERT TO assignment DO ALSO SELECT 1",
        "ALTER TABLE assignment ATTACH PARTITION fitting FOR VALUES WITH (MODULUS 8, REMAINDER 1)",
        "ALTER TABLE assignment DETACH PARTITION fitting",
        "ALTER TABLE assignment ALTER COLUMN team_id DROP NOT NULL",
    ]:
        raised = error(connection, "SELECT teamscale.run_on_all_nodes(%s)", [sql])
        assert raised.sqlstate == "0A000" and raised.diag.message_hint, sql


def test_commands_that_refuse_a_block_run_node_by_node(sharded):
    connection = sharded["b"].connect()
    assert [row[0] for row in run_on_all(connection, "VACUUM (ANALYZE) assignment")] == ["a", "b", "c"]
    with sharded["b"].connect() as node:
        node.execute("CREATE TABLE only_here (a integer)")
    sharded["a"].execute("CREATE TABLE only_here (a integer)")
    raised = error(connection, "SELECT teamscale.run_on_all_nodes('VACUUM only_here')")
    assert raised.sqlstate == "42P01"
    assert raised.diag.message_detail == 'The command failed on node "c". It is done on: a, b.'
    with connection.transaction():
        assert error(connection, "SELECT teamscale.run_on_all_nodes('VACUUM')").sqlstate == "25001"
        connection.execute("ROLLBACK")
    assert error(connection, "SELECT teamscale.run_on_all_nodes('VACUUM; SELECT 1')").sqlstate == "25001"


def test_concurrently_is_refused_where_it_would_wait_for_its_caller(sharded):
    connection = sharded["a"].connect()
    for database in sharded.nodes:
        database.execute("CREATE TABLE note (a integer)")
    command = "CREATE INDEX CONCURRENTLY note_a ON note (a)"
    raised = error(connection, "SELECT teamscale.run_on_all_nodes(%s)", [command])
    assert raised.sqlstate == "0A000" and "run_on_node" in raised.diag.message_hint
    for node in "bc":
        connection.execute("SELECT teamscale.run_on_node(%s, %s)", [node, command])
    assert error(connection, "SELECT teamscale.run_on_node('a', %s)", [command]).sqlstate == "0A000"
    assert sharded["c"].value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'note_a'::regclass")


def test_it_runs_as_the_caller(sharded):
    make_roles(sharded, "clerk")
    clerk = sharded["a"].connect(user="clerk")
    for node in "ab":
        rows = clerk.execute("SELECT result FROM teamscale.run_on_node(%s, 'SELECT current_user, session_user')", [node]).fetchall()
        assert rows == [({"current_user": "clerk", "session_user": "clerk"},)]
        assert error(clerk, "SELECT teamscale.run_on_node(%s, 'SELECT * FROM assignment')", [node]).sqlstate == "42501"
        assert error(clerk, "SELECT teamscale.run_on_node(%s, 'SELECT * FROM teamscale_internal.node_secret')", [node]).sqlstate == "42501"
    assert error(clerk, "SELECT teamscale.run_on_all_nodes('ALTER TABLE assignment ADD COLUMN x integer')").sqlstate == "42501"
    assert error(clerk, "SELECT * FROM teamscale_internal.execute_here('SELECT 1', true)").sqlstate == "42501"


def test_the_state_of_sessions_is_left_alone(sharded):
    connection = sharded["a"].connect()
    for sql in ["SET search_path = x", "BEGIN", "COMMIT", "PREPARE p AS SELECT 1", "LISTEN x", "DISCARD ALL", "SAVEPOINT s"]:
        assert error(connection, "SELECT teamscale.run_on_node('b', %s)", [sql]).sqlstate == "0A000", sql


def test_bad_input(sharded):
    connection = sharded["a"].connect()
    for sql, parameters, state in [
        ("SELECT teamscale.run_on_node('nobody', 'SELECT 1')", None, "42704"),
        ("SELECT teamscale.run_on_node('b', 'SELEC 1')", None, "42601"),
        ("SELECT teamscale.run_on_node('b', 'SELECT 1; SELECT 1/0')", None, "22012"),
        ("SELECT teamscale.run_on_key('pg_class', 1, 'SELECT 1')", None, "42809"),
        ("SELECT teamscale.run_on_node('b', 'COPY assignment FROM STDIN')", None, "0A000"),
    ]:
        assert error(connection, sql, parameters).sqlstate == state, sql
    assert connection.execute("SELECT * FROM teamscale.run_on_node('b', '')").fetchall() in ([], [("b", None, 0)], [("b", None, None)])
    assert connection.execute("SELECT * FROM teamscale.run_on_node('b', NULL)").fetchall() == []


def test_what_routers_call_on_other_nodes_is_closed_to_what_users_send_through_them(sharded):
    make_roles(sharded, "clerk")
    sharded["a"].execute("SELECT teamscale.run_on_all_nodes('GRANT SELECT ON assignment TO clerk')")
    epochs = [node.value("SELECT epoch FROM teamscale_internal.cluster") for node in sharded.nodes]
    calls = [
        "SELECT teamscale_internal.raise_epoch()",
        "SELECT teamscale_internal.lock_definitions()",
        "SELECT teamscale_internal.forget_sharded_table('assignment')",
        "SELECT teamscale_internal.act_for_router('DELETE FROM teamscale_internal.sharded_table')",
        "SELECT * FROM teamscale_internal.execute_here('DROP TABLE assignment', true)",
    ]
    for user in ["clerk", "postgres"]:
        connection = sharded["a"].connect(user=user)
        for call in calls:
            for sql in [call, f"DO $$ BEGIN PERFORM * FROM ({call}) AS c; END $$"]:
                for node in "ab":
                    assert error(connection, "SELECT teamscale.run_on_node(%s, %s)", [node, sql]).sqlstate == "42501", sql
        for team in range(1, 6):  # some on another node
            routed = f"SELECT ({calls[0].removesuffix(';')}) FROM assignment WHERE team_id = {team}"
            assert error(connection, routed).sqlstate == "42501"
    assert [node.value("SELECT epoch FROM teamscale_internal.cluster") for node in sharded.nodes] == epochs
    assert len(all_rows(sharded, "SELECT * FROM assignment")) == 40


def test_copy_to_or_from_the_client_is_refused_on_every_node(sharded):
    connection = sharded["a"].connect()
    for call in ["run_on_all_nodes(%s)", "run_on_node('a', %s)", "run_on_node('b', %s)", "run_on_key('assignment', 1, %s)"]:
        for sql in ["COPY assignment TO STDOUT", "COPY assignment FROM STDIN", "COPY (SELECT 1) TO STDOUT", "SELECT 1; COPY assignment TO STDOUT"]:
            raised = error(connection, f"SELECT teamscale.{call}", [sql])
            assert raised.sqlstate == "0A000" and raised.diag.message_hint and "COPY" in raised.diag.message_primary, (call, sql)


def test_unlogged_is_refused_for_all_nodes_as_for_one(sharded):
    connection = sharded["a"].connect()
    for command in ["ALTER TABLE assignment SET UNLOGGED", "ALTER TABLE assignment ADD COLUMN x integer, SET UNLOGGED"]:
        raised = error(connection, "SELECT teamscale.run_on_all_nodes(%s)", [command])
        assert raised.sqlstate == "0A000" and raised.diag.message_hint, command
    for node in sharded.nodes:
        assert node.value("SELECT relpersistence FROM pg_class WHERE relname = 'assignment'") == "p"
        assert node.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'assignment'::regclass AND attname = 'x'") == 0
