"""A transaction over several nodes is committed everywhere or nowhere."""

import psycopg
import pytest

from conftest import Cluster
from waiting import stopped_at, until


@pytest.fixture(scope="module")
def three_nodes(shared_server):
    """A cluster whose nodes have tables of their own; no test of this file stops or changes it."""
    databases = [shared_server.create_database() for _ in range(3)]
    for database in databases:
        database.execute("CREATE EXTENSION teamscale")
        database.execute("CREATE TABLE t (i int PRIMARY KEY, CONSTRAINT few CHECK (i < 100))")
        database.execute("CREATE TABLE late (i int, CONSTRAINT once UNIQUE (i) DEFERRABLE INITIALLY DEFERRED)")
    yield Cluster(databases)
    for database in databases:
        shared_server.drop_database(database)


@pytest.fixture
def nodes(three_nodes):
    for node in three_nodes.nodes:
        node.execute("TRUNCATE t, late")
    return three_nodes


def on(connection, node, sql):
    return connection.execute("SELECT * FROM teamscale.run_on_node(%s, %s)", [node, sql]).fetchall()


def rows(node, table="t"):
    return [i for (i,) in node.execute(f"SELECT i FROM {table} ORDER BY i")]


def prepared(node):
    return node.value("SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()")


def settled(cluster):
    """Waits until nothing is in doubt anywhere."""
    cluster["a"].execute("SELECT * FROM teamscale.settle_transactions()")
    until(
        lambda: all(node.value("SELECT count(*) FROM teamscale.in_doubt_transaction") == 0 for node in cluster.nodes),
        "transactions stay in doubt",
    )


def test_commit_reaches_every_node(nodes):
    with nodes["a"].connect(autocommit=False) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        on(connection, "b", "INSERT INTO t VALUES (2)")
        on(connection, "c", "INSERT INTO t VALUES (3)")
    assert [rows(node) for node in nodes.nodes] == [[1], [2], [3]]
    settled(nodes)


def test_rollback_reaches_every_node_and_the_session_goes_on(nodes):
    with nodes["a"].connect(autocommit=False) as connection:
        on(connection, "b", "INSERT INTO t VALUES (2)")
        on(connection, "c", "INSERT INTO t VALUES (3)")
        connection.rollback()
        on(connection, "b", "INSERT INTO t VALUES (4)")
    assert [rows(node) for node in nodes.nodes] == [[], [4], []]


def test_the_only_writer_commits_without_a_commit_record(nodes):
    began = nodes["a"].value("SELECT clock_timestamp()")
    with nodes["a"].connect(autocommit=False) as connection:
        on(connection, "b", "INSERT INTO t VALUES (2)")
        connection.commit()
        assert connection.execute("SELECT pg_current_xact_id_if_assigned()").fetchone() == (None,)
        count = "SELECT count(*) FROM teamscale_internal.commit_record WHERE decided_at >= %s"
        assert connection.execute(count, [began]).fetchone() == (0,)
    assert rows(nodes["b"]) == [2]


def test_an_error_that_only_the_commit_finds_undoes_all_nodes(nodes):
    with nodes["a"].connect(autocommit=False) as connection:
        on(connection, "b", "INSERT INTO late VALUES (1), (1)")
        on(connection, "c", "INSERT INTO t VALUES (3)")
        with pytest.raises(psycopg.errors.UniqueViolation) as raised:
            connection.commit()
        assert raised.value.diag.constraint_name == "once"
        assert rows(nodes["b"], "late") == [] and rows(nodes["c"]) == []
        assert prepared(nodes["b"]) == prepared(nodes["c"]) == 0
        on(connection, "c", "INSERT INTO t VALUES (4)")
        connection.commit()
    assert rows(nodes["c"]) == [4]


def test_errors_of_another_node_keep_all_their_fields(nodes):
    with nodes["a"].connect() as connection:
        with pytest.raises(psycopg.errors.CheckViolation) as raised:
            on(connection, "b", "INSERT INTO t VALUES (1000)")
    diag = raised.value.diag
    assert (diag.schema_name, diag.table_name, diag.constraint_name) == ("public", "t", "few")
    assert diag.message_primary == 'new row for relation "t" violates check constraint "few"'
    assert diag.message_detail == "Failing row contains (1000)."
    assert 'node "b"' in diag.context


def test_savepoints_travel(nodes):
    with nodes["a"].connect(autocommit=False) as connection:
        connection.execute("SAVEPOINT unused")
        on(connection, "b", "INSERT INTO t VALUES (1)")
        connection.execute("SAVEPOINT s")
        on(connection, "b", "INSERT INTO t VALUES (2)")
        on(connection, "c", "INSERT INTO t VALUES (2)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            on(connection, "b", "INSERT INTO t VALUES (2)")
        connection.execute("ROLLBACK TO s")
        on(connection, "b", "INSERT INTO t VALUES (3)")
        connection.execute("SAVEPOINT inner_one")
        on(connection, "b", "INSERT INTO t VALUES (4)")
        connection.execute("RELEASE inner_one")
        connection.execute("SAVEPOINT inner_one")
        on(connection, "b", "INSERT INTO t VALUES (5)")
        connection.execute("ROLLBACK TO inner_one")
        connection.execute("RELEASE s")
        on(connection, "b", "INSERT INTO t VALUES (6)")
    assert rows(nodes["b"]) == [1, 3, 4, 6]
    assert rows(nodes["c"]) == []


def test_exceptions_caught_in_plpgsql_undo_only_their_block(nodes):
    nodes["a"].execute(
        """
        CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            FOR n IN 1..10 LOOP
                BEGIN
                    PERFORM teamscale.run_on_node('b', format('INSERT INTO t VALUES (%s)', n / 2));
                EXCEPTION WHEN unique_violation THEN
                    PERFORM teamscale.run_on_node('b', format('INSERT INTO t VALUES (%s)', n + 50));
                END;
            END LOOP;
        END $$
        """
    )
    nodes["a"].execute("SELECT f()")
    assert rows(nodes["b"]) == [0, 1, 2, 3, 4, 5, 53, 55, 57, 59]


def test_procedures_that_commit_end_the_remote_transactions_too(nodes):
    nodes["a"].execute(
        """
        CREATE PROCEDURE p() LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM teamscale.run_on_node('b', 'INSERT INTO t VALUES (1)');
            COMMIT;
            PERFORM teamscale.run_on_node('b', 'INSERT INTO t VALUES (2)');
            ROLLBACK;
            PERFORM teamscale.run_on_node('b', 'INSERT INTO t VALUES (3)');
        END $$
        """
    )
    nodes["a"].execute("CALL p()")
    assert rows(nodes["b"]) == [1, 3]


def test_prepare_transaction_with_remote_work_is_refused(nodes):
    with nodes["a"].connect(autocommit=False) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
        on(connection, "b", "INSERT INTO t VALUES (2)")
        with pytest.raises(psycopg.errors.FeatureNotSupported) as raised:
            connection.execute("PREPARE TRANSACTION 'mine'")
        assert raised.value.diag.message_hint
        connection.rollback()
    assert [rows(node) for node in nodes.nodes] == [[], [], []]


def test_what_cannot_be_prepared_is_refused_with_the_nodes_reason(nodes):
    with nodes["a"].connect(autocommit=False) as connection:
        on(connection, "b", "INSERT INTO t VALUES (1)")
        on(connection, "c", "CREATE TEMPORARY TABLE mine (i int)")
        with pytest.raises(psycopg.errors.FeatureNotSupported) as raised:
            connection.commit()
        assert "temporary" in raised.value.diag.message_primary
    assert rows(nodes["b"]) == []


def test_serializable_over_two_nodes_is_refused(nodes):
    with nodes["a"].connect(autocommit=False) as connection:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        on(connection, "b", "INSERT INTO t VALUES (1)")
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            on(connection, "c", "INSERT INTO t VALUES (1)")
        connection.rollback()
        on(connection, "b", "INSERT INTO t VALUES (2)")
    assert rows(nodes["b"]) == [2]


def test_two_roles_cannot_write_to_one_node_in_one_transaction(nodes, role):
    for node in nodes.nodes:
        node.execute(f"GRANT ALL ON t TO {role}")
    with nodes["a"].connect(autocommit=False) as connection:
        on(connection, "b", "INSERT INTO t VALUES (1)")
        connection.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.errors.FeatureNotSupported) as raised:
            on(connection, "b", "SELECT * FROM t")
        assert role in raised.value.diag.message_detail
        connection.rollback()


def test_a_statement_runs_as_the_current_user(nodes, role):
    with nodes["a"].connect() as connection:
        connection.execute(f"SET ROLE {role}")
        assert on(connection, "b", "SELECT session_user AS who")[0][1] == {"who": role}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            on(connection, "b", "SELECT * FROM t")


@pytest.fixture
def role(nodes):
    """A role without privileges that may be taken on, and may call run_on_node."""
    name = f"role_of_{nodes['a'].name}"
    server = nodes["a"].server.database("postgres")
    server.execute(f"CREATE ROLE {name} LOGIN")
    nodes["a"].execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA teamscale TO {name}")
    yield name
    for node in nodes.nodes:
        node.execute(f"DROP OWNED BY {name}")
    server.execute(f"DROP ROLE {name}")


def test_a_statement_timeout_cancels_the_other_node_and_leaves_the_session_usable(nodes):
    with nodes["a"].connect() as connection:
        pid = on(connection, "b", "SELECT pg_backend_pid() AS pid")[0][1]["pid"]
        connection.execute("SET statement_timeout = '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            on(connection, "b", "SELECT pg_sleep(100)")
        connection.execute("RESET statement_timeout")
        assert on(connection, "b", "SELECT pg_backend_pid() AS pid")[0][1]["pid"] == pid
        assert nodes["b"].value("SELECT state <> 'active' OR query NOT LIKE '%%sleep%%' "
                                "FROM pg_stat_activity WHERE pid = %s", [pid])


def test_a_cancel_within_a_savepoint_leaves_the_transaction_usable(nodes):
    with nodes["a"].connect(autocommit=False) as connection:
        on(connection, "b", "INSERT INTO t VALUES (1)")
        connection.execute("SAVEPOINT s")
        connection.execute("SET LOCAL statement_timeout = '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            on(connection, "b", "SELECT pg_sleep(100)")
        connection.execute("ROLLBACK TO s")
        on(connection, "b", "INSERT INTO t VALUES (2)")
    assert rows(nodes["b"]) == [1, 2]


def test_a_backend_that_is_gone_is_an_error_and_replaced_afterwards(nodes):
    with nodes["a"].connect(autocommit=False) as connection:
        pid = on(connection, "b", "SELECT pg_backend_pid() AS pid")[0][1]["pid"]
        on(connection, "b", "INSERT INTO t VALUES (1)")
        nodes["b"].execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        with pytest.raises(psycopg.OperationalError) as raised:
            on(connection, "b", "INSERT INTO t VALUES (2)")
        assert raised.value.sqlstate == "08006" and raised.value.diag.message_hint
        connection.rollback()
        on(connection, "b", "INSERT INTO t VALUES (3)")
    assert rows(nodes["b"]) == [3]


def test_an_idle_connection_that_is_gone_is_noticed_before_it_is_used(nodes):
    with nodes["a"].connect() as connection:
        pid = on(connection, "b", "SELECT pg_backend_pid() AS pid")[0][1]["pid"]
        nodes["b"].execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        assert on(connection, "b", "SELECT pg_backend_pid() AS pid")[0][1]["pid"] != pid


def test_an_idle_connection_that_takes_its_time_to_go_is_not_used_either(nodes):
    """Its backend has said that it ends, and waits for a lock to drop its temporary table."""
    with nodes["a"].connect() as connection, nodes["b"].connect(autocommit=False) as other:
        on(connection, "b", "CREATE TEMP TABLE mine ()")
        pid = on(connection, "b", "SELECT pg_backend_pid() AS pid")[0][1]["pid"]
        schema = nodes["b"].value("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'mine'")
        other.execute(f"LOCK TABLE {schema}.mine IN ACCESS SHARE MODE")
        nodes["b"].execute("SELECT pg_terminate_backend(%s)", [pid])
        waits = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted"
        until(lambda: nodes["b"].value(waits, [pid]) == 1, "the backend does not wait for the lock")
        assert on(connection, "b", "SELECT pg_backend_pid() AS pid")[0][1]["pid"] != pid
        other.rollback()


def test_a_lost_answer_to_the_only_commit_is_an_unknown_outcome(nodes):
    connection = nodes["a"].connect(autocommit=False)
    pid = on(connection, "b", "SELECT pg_backend_pid() AS pid")[0][1]["pid"]
    on(connection, "b", "INSERT INTO t VALUES (1)")
    with stopped_at(nodes["a"], "only participant not committed", connection, "COMMIT") as stopped:
        nodes["b"].execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    assert stopped.error.sqlstate == "08007"


def test_a_cancel_between_prepare_and_decision_undoes_all_nodes(nodes):
    connection = nodes["a"].connect(autocommit=False)
    on(connection, "b", "INSERT INTO t VALUES (1)")
    on(connection, "c", "INSERT INTO t VALUES (1)")
    with stopped_at(nodes["a"], "participants prepared", connection, "COMMIT") as stopped:
        assert prepared(nodes["b"]) == prepared(nodes["c"]) == 1
        connection.cancel()
        until(lambda: stopped.error, "the cancel did not come through")
    assert stopped.error.sqlstate == "57014"
    assert prepared(nodes["b"]) == prepared(nodes["c"]) == 0
    assert rows(nodes["b"]) == rows(nodes["c"]) == []


def test_settings_travel_and_survive_a_rollback(nodes):
    with nodes["a"].connect(autocommit=False) as connection:
        show = "SELECT current_setting('app.tenant', true) AS tenant, current_setting('DateStyle') AS style"
        connection.execute("SET app.tenant = 'x'")
        connection.execute("SET DateStyle = 'German'")
        connection.commit()
        assert on(connection, "b", show)[0][1] == {"tenant": "x", "style": "German, DMY"}
        connection.rollback()
        assert on(connection, "b", show)[0][1] == {"tenant": "x", "style": "German, DMY"}
        connection.execute("SAVEPOINT s")
        connection.execute("SET LOCAL app.tenant = 'y'")
        assert on(connection, "b", show)[0][1]["tenant"] == "y"
        connection.execute("ROLLBACK TO s")
        assert on(connection, "b", show)[0][1]["tenant"] == "x"
        connection.rollback()
        connection.execute("RESET app.tenant")
        assert on(connection, "b", show)[0][1]["tenant"] == ""


def test_notices_come_with_their_level(nodes):
    with nodes["a"].connect() as connection:
        heard = []
        connection.add_notice_handler(
            lambda n: heard.append((n.severity_nonlocalized, n.message_primary, n.message_detail))
        )
        on(connection, "b", "DO $$ BEGIN RAISE WARNING 'careful' USING DETAIL = 'very'; END $$")
        assert heard == [("WARNING", "careful", "very")]


def test_discard_all_closes_idle_connections(nodes):
    with nodes["a"].connect() as connection:
        pid = on(connection, "b", "SELECT pg_backend_pid() AS pid")[0][1]["pid"]
        connection.execute("DISCARD ALL")
        until(lambda: not nodes["b"].value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid]),
              "the connection stays open")


def test_connections_end_with_their_session(nodes):
    connection = nodes["a"].connect()
    pid = on(connection, "b", "SELECT pg_backend_pid() AS pid")[0][1]["pid"]
    connection.close()
    until(lambda: not nodes["b"].value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid]),
          "the connection stays open")


@pytest.fixture(scope="module")
def key_on_b(three_nodes):
    """A key of the sharded table sharded that node b holds."""
    with three_nodes["a"].connect() as connection:
        connection.execute("CREATE TABLE sharded (team_id bigint PRIMARY KEY, word varchar(10) DEFAULT 'w')")
        connection.execute("SELECT teamscale.distribute_table('sharded', 'team_id')")
        key = connection.execute(
            "SELECT i FROM generate_series(1, 100) AS i WHERE teamscale.node_of('sharded', i) = 'b' LIMIT 1"
        ).fetchone()[0]
        connection.execute("INSERT INTO sharded VALUES (%s)", [key])
    return key


def test_a_node_that_stays_silent_past_the_deadline_is_an_error(nodes):
    with nodes["a"].connect() as connection:
        connection.execute("SET teamscale.statement_deadline = '300ms'")
        with pytest.raises(psycopg.OperationalError) as raised:
            on(connection, "b", "SELECT pg_sleep(100)")
        assert raised.value.sqlstate == "08006"
        assert on(connection, "b", "SELECT 1 AS one")[0][1] == {"one": 1}


def test_statements_that_another_session_outdated_are_prepared_anew(nodes, key_on_b):
    read = "SELECT word FROM sharded WHERE team_id = %s"
    with nodes["a"].connect() as connection:
        assert connection.execute(read, [key_on_b]).fetchone() == ("w",)
        nodes["a"].execute(
            "SELECT * FROM teamscale.run_on_all_nodes('ALTER TABLE sharded ALTER COLUMN word TYPE text')"
        )
        assert connection.execute(read, [key_on_b]).fetchone() == ("w",)


def test_more_statements_than_are_kept_prepared(nodes, key_on_b):
    with nodes["a"].connect() as connection:
        for number in range(300):
            row = connection.execute(f"SELECT {number}, word FROM sharded WHERE team_id = %s", [key_on_b]).fetchone()
            assert row == (number, "w")
        kept = on(connection, "b", "SELECT count(*) AS kept FROM pg_prepared_statements")[0][1]["kept"]
        assert 200 <= kept <= 257


def test_a_single_read_travels_without_a_transaction(nodes, key_on_b):
    key = key_on_b
    with nodes["a"].connect() as connection:
        pid = on(connection, "b", "SELECT pg_backend_pid() AS pid")[0][1]["pid"]
        last = "SELECT query FROM pg_stat_activity WHERE pid = %s"
        connection.execute("SELECT * FROM sharded WHERE team_id = %s", [key])
        assert "sharded" in nodes["b"].value(last, [pid])
        connection.execute("EXPLAIN (VERBOSE) SELECT * FROM sharded WHERE team_id = %s", [key])
        with connection.transaction():
            connection.execute("SELECT * FROM sharded WHERE team_id = %s", [key])
        assert nodes["b"].value(last, [pid]) == "COMMIT"
