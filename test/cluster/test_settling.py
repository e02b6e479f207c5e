"""What a crash leaves prepared is settled by the maintenance worker, and nothing else is touched."""

import os
import signal
import time

import psycopg
import pytest

from conftest import Cluster
from postgres import Server
from waiting import stopped_at, until


@pytest.fixture(scope="module")
def two_servers(_server_names):
    """A cluster with its router on a server of its own, and two nodes on another."""
    servers = [Server(next(_server_names)).start() for _ in range(2)]
    for server in servers:
        server.configure(**{"teamscale.settle_interval": "500ms"})
    databases = [server.create_database() for server in (servers[0], servers[1], servers[1])]
    for database in databases:
        database.execute("CREATE EXTENSION teamscale")
        database.execute("CREATE TABLE t (i int PRIMARY KEY)")
    yield Cluster(databases)
    for server in servers:
        server.remove()


@pytest.fixture
def nodes(two_servers):
    for node in two_servers.nodes:
        node.execute("TRUNCATE t")
    settled(two_servers)
    return two_servers


def write_everywhere(cluster):
    connection = cluster["a"].connect(autocommit=False)
    connection.execute("INSERT INTO t VALUES (1)")
    for name in "bc":
        connection.execute("SELECT * FROM teamscale.run_on_node(%s, 'INSERT INTO t VALUES (1)')", [name])
    return connection


def rows(cluster):
    return [node.value("SELECT count(*) FROM t") for node in cluster.nodes]


def prepared(node):
    return node.value("SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()")


def settled(cluster, names="abc"):
    until(
        lambda: all(cluster[name].value("SELECT count(*) FROM teamscale.in_doubt_transaction") == 0 for name in names),
        "transactions stay in doubt",
    )


def worker(node):
    found = node.execute(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'teamscale maintenance' AND datname = current_database()"
    )
    return found[0][0] if found else None


def test_a_router_that_crashes_after_the_decision_commits_when_it_is_back(nodes):
    connection = write_everywhere(nodes)
    with stopped_at(nodes["a"], "commit decided", connection, "COMMIT"):
        nodes["a"].server.kill()
    assert prepared(nodes["b"]) == prepared(nodes["c"]) == 1
    nodes["a"].server.start()
    settled(nodes)
    assert rows(nodes) == [1, 1, 1]


def test_a_router_that_crashes_before_the_decision_rolls_back_when_it_is_back(nodes):
    connection = write_everywhere(nodes)
    with stopped_at(nodes["a"], "participants prepared", connection, "COMMIT"):
        nodes["a"].server.kill()
    assert prepared(nodes["b"]) == prepared(nodes["c"]) == 1
    nodes["a"].server.start()
    settled(nodes)
    assert rows(nodes) == [0, 0, 0]


def test_a_backend_that_is_killed_between_prepare_and_decision_rolls_back(nodes):
    connection = write_everywhere(nodes)
    with stopped_at(nodes["a"], "participants prepared", connection, "COMMIT") as stopped:
        nodes["a"].execute("SELECT pg_terminate_backend(%s, 10000)", [stopped.pid])
    settled(nodes)
    assert rows(nodes) == [0, 0, 0]
    assert prepared(nodes["b"]) == 0


def test_a_node_that_stops_before_the_decision_reaches_it_commits_when_it_is_back(nodes):
    connection = write_everywhere(nodes)
    heard = []
    connection.add_notice_handler(lambda notice: heard.append(notice.severity_nonlocalized))
    with stopped_at(nodes["a"], "commit decided", connection, "COMMIT") as stopped:
        nodes["b"].server.kill()
    assert stopped.error is None
    assert heard == ["WARNING", "WARNING"]
    waits = nodes["a"].execute("SELECT node, waits_for FROM teamscale.in_doubt_transaction ORDER BY node")
    assert waits == [("b", 'node "b" to confirm the commit'), ("c", 'node "c" to confirm the commit')]
    nodes["b"].server.start()
    settled(nodes)
    assert rows(nodes) == [1, 1, 1]


def test_a_node_that_stops_before_it_has_prepared_undoes_all(nodes):
    connection = write_everywhere(nodes)
    with stopped_at(nodes["a"], "participants not prepared", connection, "COMMIT") as stopped:
        nodes["b"].server.kill()
    assert stopped.error.sqlstate == "08006"
    nodes["b"].server.start()
    settled(nodes)
    assert rows(nodes) == [0, 0, 0]


def test_a_running_transaction_is_left_alone(nodes):
    connection = write_everywhere(nodes)
    with stopped_at(nodes["a"], "participants prepared", connection, "COMMIT"):
        steps = nodes["a"].execute("SELECT node, action FROM teamscale.settle_transactions() ORDER BY node")
        assert steps == [("b", "left: its transaction is running"), ("c", "left: its transaction is running")]
        waits = nodes["b"].execute("SELECT router, node, waits_for FROM teamscale.in_doubt_transaction")
        assert waits == [("a", "b", 'the decision of node "a"')]
    settled(nodes)
    assert rows(nodes) == [1, 1, 1]


def test_prepared_transactions_of_others_are_not_touched(nodes):
    cluster = nodes["a"].value("SELECT cluster_id::text FROM teamscale_internal.cluster")
    others = [
        "mine",
        "teamscale:00000000-0000-0000-0000-000000000000:1:1:1:1:1",  # another cluster's
        f"teamscale:{cluster}:3:ffff:1:1:1",  # another router's, settled by that one
        f"teamscale:{cluster}:1:zz:1:1:1",  # no gid
    ]
    with nodes["b"].connect() as connection:
        for number, gid in enumerate(others):
            connection.execute("BEGIN")
            connection.execute(f"INSERT INTO t VALUES ({100 + number})")
            connection.execute(f"PREPARE TRANSACTION '{gid}'")
    assert nodes["a"].execute("SELECT * FROM teamscale.settle_transactions()") == []
    left = nodes["b"].execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
    assert {gid for (gid,) in left} >= set(others) - {others[2]}
    for gid in set(others) - {others[2]}:
        nodes["b"].execute(f"ROLLBACK PREPARED '{gid}'")
    # The router that it belongs to knows nothing of it.
    until(lambda: prepared(nodes["b"]) == 0, "another router's transaction stays")


def test_an_unreachable_node_is_reported_and_its_records_are_kept(nodes):
    connection = write_everywhere(nodes)
    with stopped_at(nodes["a"], "commit decided", connection, "COMMIT"):
        nodes["b"].server.kill()
    steps = nodes["a"].execute("SELECT gid, node, action FROM teamscale.settle_transactions()")
    assert [(gid, node) for gid, node, _ in steps] == [(None, "b"), (None, "c")]
    assert all("not reached" in action for _, _, action in steps)
    assert nodes["a"].value("SELECT count(*) FROM teamscale_internal.commit_record") == 2
    nodes["b"].server.start()
    settled(nodes)
    assert rows(nodes) == [1, 1, 1]


def test_a_server_that_is_frozen_is_an_error_in_seconds(nodes):
    connection = nodes["a"].connect()
    run = "SELECT * FROM teamscale.run_on_node('b', %s)"
    connection.execute("SET teamscale.statement_deadline = '500ms'")
    connection.execute("SET teamscale.connect_timeout = '500ms'")
    backend = connection.execute(run, ["SELECT pg_backend_pid() AS pid"]).fetchone()[1]["pid"]
    postmaster = nodes["b"].value(r"SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int")
    frozen = [postmaster, backend]
    try:
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError) as raised:
            connection.execute(run, ["SELECT 1 AS one"])
        assert raised.value.sqlstate == "08006"
        with pytest.raises(psycopg.OperationalError) as raised:
            connection.execute(run, ["SELECT 1 AS one"])
        assert raised.value.sqlstate == "08001"
        assert time.monotonic() - began < 15
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert connection.execute(run, ["SELECT 1 AS one"]).fetchone()[1] == {"one": 1}


def test_a_worker_that_dies_comes_back(nodes):
    first = until(lambda: worker(nodes["a"]), "no worker")
    nodes["a"].execute("SELECT pg_terminate_backend(%s, 10000)", [first])
    until(lambda: worker(nodes["a"]) not in (None, first), "no new worker")
    launcher = nodes["a"].value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'teamscale launcher'")
    nodes["a"].execute("SELECT pg_terminate_backend(%s, 10000)", [launcher])
    second = worker(nodes["a"])
    nodes["a"].execute("SELECT pg_terminate_backend(%s, 10000)", [second])
    until(lambda: worker(nodes["a"]) not in (None, second), "no new worker under the new launcher")


def test_workers_follow_the_extension_and_make_room_for_drop_database(make_server):
    server = make_server()
    database = server.create_database("one")
    until(lambda: worker(database) is None, "a worker stays where there is no extension")
    database.execute("CREATE EXTENSION teamscale")
    until(lambda: worker(database), "no worker after CREATE EXTENSION")
    database.execute("DROP EXTENSION teamscale")
    until(lambda: worker(database) is None, "the worker stays without the extension")
    database.execute("CREATE EXTENSION teamscale")
    until(lambda: worker(database), "no worker after the second CREATE EXTENSION")
    postgres = server.database("postgres")
    postgres.execute("CREATE DATABASE two TEMPLATE one")
    until(lambda: worker(server.database("two")), "no worker in the new database")
    postgres.execute("DROP DATABASE one")
    postgres.execute("ALTER DATABASE two RENAME TO three")


def test_settling_by_hand_needs_the_privilege(nodes):
    nodes["a"].server.database("postgres").execute("CREATE ROLE somebody LOGIN")
    with nodes["a"].connect(user="somebody") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM teamscale.settle_transactions()")
