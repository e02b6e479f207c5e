"""The named points at which the test build makes a backend wait, fail or die, shown on a commit over two nodes."""

import concurrent.futures
import contextlib
import time

import psycopg
import pytest

POINT = "participants prepared"


@pytest.fixture
def spread(make_cluster):
    """A cluster of two nodes with a table that has rows on both; gives also one key of each node."""
    cluster = make_cluster(2)
    a = cluster["a"]
    a.execute("CREATE TABLE server (team_id bigint PRIMARY KEY, size integer NOT NULL)")
    a.execute("SELECT teamscale.distribute_table('server', 'team_id')")
    owners = {}
    for key in range(1, 100):
        owners.setdefault(a.value("SELECT teamscale.node_of('server', %s::bigint)", [key]), key)
        if len(owners) == 2:
            break
    return cluster, [owners["a"], owners["b"]]


def write_both(connection, keys):
    with connection.transaction():
        for key in keys:
            connection.execute("INSERT INTO server VALUES (%s, 1)", [key])


def rows(database, keys):
    return sum(database.value("SELECT count(*) FROM server WHERE team_id = %s", [key]) for key in keys)


@contextlib.contextmanager
def held(database, point):
    """Whoever reaches the point with "wait" stays there until the block is left."""
    with database.connect() as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [point])
        yield


def wait_until_waiting(database, pid):
    deadline = time.monotonic() + 20
    query = "SELECT wait_event_type || '/' || wait_event FROM pg_stat_activity WHERE pid = %s"
    with database.connect() as connection:
        while connection.execute(query, [pid]).fetchone()[0] != "Lock/advisory":
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_backend_waits_until_it_is_released(spread):
    cluster, keys = spread
    a, b = cluster.nodes
    with a.connect() as writer, concurrent.futures.ThreadPoolExecutor() as threads:
        writer.execute(f"SET teamscale.wait_point = '{POINT}=wait'")
        with held(a, POINT):
            writing = threads.submit(write_both, writer, keys)
            wait_until_waiting(a, writer.info.backend_pid)
            assert b.value("SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()") == 1
        writing.result(timeout=20)
    assert rows(b, keys) == 2


def test_a_waiting_backend_can_be_cancelled(spread):
    cluster, keys = spread
    a, b = cluster.nodes
    with a.connect() as writer, concurrent.futures.ThreadPoolExecutor() as threads:
        writer.execute(f"SET teamscale.wait_point = '{POINT}=wait'")
        with held(a, POINT):
            writing = threads.submit(write_both, writer, keys)
            wait_until_waiting(a, writer.info.backend_pid)
            writer.cancel()
            with pytest.raises(psycopg.errors.QueryCanceled):
                writing.result(timeout=20)
    assert rows(b, keys) == 0
    assert b.value("SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()") == 0


def test_a_point_may_raise_an_error(spread):
    cluster, keys = spread
    a, b = cluster.nodes
    with a.connect() as writer:
        writer.execute(f"SET teamscale.wait_point = 'elsewhere=die, {POINT} = raise'")
        with pytest.raises(psycopg.Error) as raised:
            write_both(writer, keys)
        assert raised.value.sqlstate == "TS999"
        writer.execute("RESET teamscale.wait_point")
        assert rows(b, keys) == 0
        write_both(writer, keys)
    assert rows(b, keys) == 2


def test_only_superusers_set_points(make_database):
    database = make_database()
    with database.connect() as connection:
        connection.execute("CREATE ROLE nobody_special")
        try:
            connection.execute("SET ROLE nobody_special")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SET teamscale.wait_point = 'anything=die'")
        finally:
            connection.execute("RESET ROLE")
            connection.execute("DROP ROLE nobody_special")


@pytest.mark.parametrize("point, outcome", [(POINT, 0), ("commit recorded", 0), ("commit decided", 2), ("commit sent", 2)])
def test_a_commit_that_dies_is_settled_all_or_none(make_server, make_cluster, point, outcome):
    """kill -9 at each step of the commit protocol: the maintenance worker settles what was left prepared."""
    router, other = make_server(), make_server()
    cluster = make_cluster(servers=[router, other])
    a, b = cluster.nodes
    a.execute("CREATE TABLE server (team_id bigint PRIMARY KEY, size integer NOT NULL)")
    a.execute("SELECT teamscale.distribute_table('server', 'team_id')")
    owner = {key: a.value("SELECT teamscale.node_of('server', %s::bigint)", [key]) for key in range(1, 20)}
    keys = [next(key for key in owner if owner[key] == name) for name in "ab"]

    with a.connect() as writer:
        writer.execute(f"SET teamscale.wait_point = '{point}=die'")
        with pytest.raises(psycopg.OperationalError):
            write_both(writer, keys)
    deadline = time.monotonic() + 60
    while True:
        try:
            if b.value("SELECT count(*) FROM pg_prepared_xacts") == 0:
                break
        except psycopg.OperationalError:
            pass
        assert time.monotonic() < deadline, "the maintenance worker has not settled it"
        time.sleep(0.1)
    while True:
        try:
            found = rows(a, keys)
            break
        except psycopg.Error:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert found == outcome
    assert rows(b, keys) == outcome
