"""A failure in the middle of distribute_table or undistribute_table leaves everything as before on all nodes."""

import concurrent.futures

import psycopg
import pytest

from layout import all_rows
from snapshot import changes, snapshots
from waiting import stopped_at, until

DISTRIBUTE = "SELECT teamscale.distribute_table('t', 'team_id', buckets => 4)"
UNDISTRIBUTE = "SELECT teamscale.undistribute_table('t')"
ROWS = "SELECT team_id, id, note FROM t ORDER BY 1, 2"


def make_table(database):
    with database.connect() as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('glad', 'sad')")
        connection.execute(
            "CREATE TABLE t (team_id bigint, id bigserial, note text, mood mood DEFAULT 'glad', PRIMARY KEY (team_id, id));"
            "CREATE INDEX by_note ON t (note); CREATE VIEW v AS SELECT * FROM t; COMMENT ON VIEW v IS 'a comment';"
            "CREATE STATISTICS s ON team_id, note FROM t; GRANT SELECT ON t TO PUBLIC"
        )
        connection.execute("INSERT INTO t (team_id, note) SELECT i % 50, 'n' || i FROM generate_series(1, 500) AS i")


@pytest.fixture
def pair(make_cluster):
    cluster = make_cluster(2)
    make_table(cluster["a"])
    return cluster


@pytest.fixture(scope="module")
def servers(module_server):
    return [module_server(), module_server()]


@pytest.fixture
def two_servers(servers, make_cluster):
    """Nodes on two servers, which the tests stop, and start again."""
    cluster = make_cluster(servers=servers)
    make_table(cluster["a"])
    yield cluster
    for server in servers:
        server.restart()


def error(connection, sql, parameters=None):
    with pytest.raises(psycopg.Error) as raised:
        connection.execute(sql, parameters)
    return raised.value


def rows_of(cluster):
    return sorted(all_rows(cluster, ROWS))


@pytest.mark.parametrize("call", [DISTRIBUTE, UNDISTRIBUTE])
def test_a_cancel_among_the_rows(pair, call):
    a = pair["a"]
    if call == UNDISTRIBUTE:
        a.execute(DISTRIBUTE)
    before, rows = snapshots(pair), rows_of(pair) if call == UNDISTRIBUTE else a.execute(ROWS)
    with a.connect() as connection:
        with stopped_at(a, "row moved", connection, call) as stopped:
            connection.cancel()
        assert stopped.error.sqlstate == "57014"
        connection.execute("RESET teamscale.wait_point")
        assert changes(pair, before) == []
        assert (rows_of(pair) if call == UNDISTRIBUTE else a.execute(ROWS)) == rows
        connection.execute(call)
    if call == UNDISTRIBUTE:
        assert a.execute(ROWS) == rows
    else:
        assert rows_of(pair) == rows


def test_a_cancel_at_any_moment(pair):
    """By a statement_timeout of every length, until it is long enough."""
    a = pair["a"]
    rows = a.execute(ROWS)
    before = snapshots(pair)
    with a.connect() as connection:
        for call, sharded in [(DISTRIBUTE, True), (UNDISTRIBUTE, False)]:
            timeout = 1
            while True:
                connection.execute(f"SET statement_timeout = {timeout}")
                try:
                    connection.execute(call)
                    break
                except psycopg.errors.QueryCanceled:
                    connection.execute("SET statement_timeout = 0")
                    assert changes(pair, before) == [], (call, timeout)
                timeout = timeout + 1 if timeout < 4 else timeout * 3 // 2
            connection.execute("SET statement_timeout = 0")
            assert (rows_of(pair) if sharded else a.execute(ROWS)) == rows
            before = snapshots(pair)


@pytest.mark.parametrize("call", [DISTRIBUTE, UNDISTRIBUTE])
def test_a_node_that_stops_among_the_rows(two_servers, call):
    a, b = two_servers.nodes
    if call == UNDISTRIBUTE:
        a.execute(DISTRIBUTE)
    before = snapshots(two_servers)
    rows = rows_of(two_servers) if call == UNDISTRIBUTE else a.execute(ROWS)
    with a.connect() as connection:
        with stopped_at(a, "row moved", connection, call) as stopped:
            b.server.kill()
        assert stopped.error.sqlstate[:2] in {"08", "57"}, stopped.error
        connection.execute("RESET teamscale.wait_point")
        b.server.start()
        assert changes(two_servers, before) == []
        assert (rows_of(two_servers) if call == UNDISTRIBUTE else a.execute(ROWS)) == rows
        connection.execute(call)
    assert (a.execute(ROWS) if call == UNDISTRIBUTE else rows_of(two_servers)) == rows


def test_a_node_that_is_away(two_servers):
    a, b = two_servers.nodes
    before = snapshots(two_servers)
    b.server.stop()
    with a.connect() as connection:
        assert error(connection, DISTRIBUTE).sqlstate[:2] == "08"
    b.server.start()
    assert changes(two_servers, before) == []


@pytest.mark.parametrize("point, done", [("participants prepared", False), ("commit decided", True)])
def test_a_router_that_dies_at_the_commit(two_servers, point, done):
    a, b = two_servers.nodes
    rows = a.execute(ROWS)
    before = snapshots(two_servers)
    with a.connect() as connection:
        connection.execute(f"SET teamscale.wait_point = '{point}=die'")
        with pytest.raises(psycopg.OperationalError):
            connection.execute(DISTRIBUTE)

    def settled():
        try:
            return b.value("SELECT count(*) FROM pg_prepared_xacts") == 0 and a.value("SELECT 1")
        except psycopg.OperationalError:
            return False

    until(settled, "the transaction is settled")
    if done:
        assert rows_of(two_servers) == rows
        assert b.value("SELECT count(*) FROM teamscale.sharded_table") == 1
        a.execute(UNDISTRIBUTE)
    else:
        assert changes(two_servers, before) == []
    assert a.execute(ROWS) == rows


def test_a_disk_that_is_full(two_servers):
    """The other server may write no file beyond 17 MB: its log of changes fits, a leaf of 20 MB does not."""
    a, b = two_servers.nodes
    a.execute("DROP INDEX by_note; ALTER TABLE t ALTER note SET STORAGE EXTERNAL")
    a.execute("CREATE TABLE probe (team_id bigint PRIMARY KEY)")
    a.execute("SELECT teamscale.distribute_table('probe', 'team_id', buckets => 4)")
    key = next(key for key in range(100) if a.value("SELECT teamscale.node_of('probe', %s::bigint)", [key]) == "b")
    a.execute("INSERT INTO t (team_id, note) SELECT %s, repeat(md5(i::text), 300) FROM generate_series(1, 2200) AS i", [key])
    before, rows = snapshots(two_servers), a.value("SELECT count(*) FROM t")
    b.server.stop()
    b.server.start(largest_file=17 * 1024 * 1024)
    with a.connect() as connection:
        raised = error(connection, DISTRIBUTE)
        assert raised.diag.message_primary.startswith("could not extend file"), raised
        assert 'node "b"' in raised.diag.context
    assert changes(two_servers, before) == []
    assert a.value("SELECT count(*) FROM t") == rows
    b.server.restart()
    a.execute(DISTRIBUTE)
    assert len(all_rows(two_servers, "SELECT id FROM t")) == rows


def test_a_row_that_another_node_refuses(pair):
    a = pair["a"]
    with a.connect() as connection:
        connection.execute("CREATE DOMAIN word AS text")
        connection.execute("CREATE TABLE u (team_id bigint PRIMARY KEY, word word)")
        connection.execute("INSERT INTO u SELECT i, 'w' || i FROM generate_series(1, 100) AS i")
        connection.execute("ALTER DOMAIN word ADD CONSTRAINT no_90s CHECK (VALUE !~ '^w9') NOT VALID")
        before = snapshots(pair)
        raised = error(connection, "SELECT teamscale.distribute_table('u', 'team_id', buckets => 8)")
        assert raised.sqlstate == "23514" and raised.diag.constraint_name == "no_90s"
        assert changes(pair, before) == []
        assert connection.execute("SELECT count(*) FROM u").fetchone() == (100,)


def test_a_lock_that_is_not_given(pair):
    a = pair["a"]
    before = snapshots(pair)
    with a.connect() as reader, a.connect() as connection:
        with reader.transaction():
            reader.execute("SELECT count(*) FROM t")
            connection.execute("SET lock_timeout = '200ms'")
            assert error(connection, DISTRIBUTE).sqlstate == "55P03"
            assert changes(pair, before) == []
        connection.execute(DISTRIBUTE)
        before = snapshots(pair)
        with pair["b"].connect() as other, other.transaction():
            other.execute("SELECT count(*) FROM t WHERE team_id = 1")
            other.execute("SET LOCAL teamscale.scope = local")
            other.execute("LOCK TABLE t IN ACCESS SHARE MODE")
            assert error(connection, UNDISTRIBUTE).sqlstate == "55P03"
        assert changes(pair, before) == []


def test_within_a_transaction(pair):
    a = pair["a"]
    rows = a.execute(ROWS)
    before = snapshots(pair)
    with a.connect() as connection:
        with connection.transaction(force_rollback=True):
            connection.execute(DISTRIBUTE)
            connection.execute("INSERT INTO t (team_id, note) SELECT i, 'new' FROM generate_series(1, 20) AS i")
            assert connection.execute("SELECT count(*) FROM t WHERE team_id = 7").fetchone() == (11,)
        assert changes(pair, before) == []
        with connection.transaction():
            connection.execute("SAVEPOINT s")
            connection.execute(DISTRIBUTE)
            connection.execute("ROLLBACK TO s")
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (500,)
            connection.execute("SAVEPOINT s")
            raised = None
            try:
                connection.execute("SELECT teamscale.distribute_table('t', 'nothing')")
            except psycopg.Error as caught:
                raised = caught
            connection.execute("ROLLBACK TO s")
            assert raised.sqlstate == "55000"
            connection.execute(DISTRIBUTE)
            connection.execute(UNDISTRIBUTE)
            connection.execute(DISTRIBUTE)
        assert rows_of(pair) == rows
        with connection.transaction():
            connection.execute("INSERT INTO t (team_id, note) VALUES (7, 'late')")
            connection.execute(UNDISTRIBUTE)
    assert len(a.execute(ROWS)) == 501


def somebody_waits_for_a_table(cluster):
    return cluster["a"].value(
        "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database"
        " WHERE NOT granted AND locktype = 'relation' AND datname = ANY (%s)",
        [[database.name for database in cluster.nodes]],
    )


def test_rows_that_are_being_written_are_not_left_behind(pair):
    a = pair["a"]
    with a.connect() as writer, a.connect() as other, a.connect() as connection, concurrent.futures.ThreadPoolExecutor() as threads:
        other.execute("PREPARE count AS SELECT count(*) FROM t WHERE team_id = 3")
        assert other.execute("EXECUTE count").fetchone() == (10,)
        with writer.transaction():
            writer.execute("INSERT INTO t (team_id, note) VALUES (3, 'late')")
            moving = threads.submit(connection.execute, DISTRIBUTE)
            until(lambda: somebody_waits_for_a_table(pair), "the distribution waits for the writer")
        moving.result(timeout=60)
        assert len(rows_of(pair)) == 501
        assert other.execute("EXECUTE count").fetchone() == (11,)
        with writer.transaction():
            writer.execute("INSERT INTO t (team_id, note) SELECT i, 'later' FROM generate_series(1, 10) AS i")
            moving = threads.submit(connection.execute, UNDISTRIBUTE)
            until(lambda: somebody_waits_for_a_table(pair), "the way back waits, too")
        moving.result(timeout=60)
        assert other.execute("EXECUTE count").fetchone() == (12,)
        assert len(a.execute(ROWS)) == 511


def test_two_at_once(pair):
    a, b = pair.nodes
    b.execute("CREATE TABLE u (team_id bigint PRIMARY KEY)")
    b.execute("INSERT INTO u SELECT generate_series(1, 100)")
    with a.connect() as here, b.connect() as there, a.connect() as again, concurrent.futures.ThreadPoolExecutor() as threads:
        calls = [
            threads.submit(here.execute, DISTRIBUTE),
            threads.submit(there.execute, "SELECT teamscale.distribute_table('u', 'team_id', buckets => 4)"),
            threads.submit(again.execute, DISTRIBUTE),
        ]
        failed = [call.exception(timeout=60) for call in calls]
    assert failed[1] is None and (failed[0] is None) != (failed[2] is None), failed
    assert (failed[0] or failed[2]).sqlstate == "55000"
    assert len(rows_of(pair)) == 500 and len(all_rows(pair, "SELECT * FROM u")) == 100
    groups = [node.execute("SELECT DISTINCT group_id FROM teamscale_internal.sharded_table") for node in pair.nodes]
    assert groups == [[(1,)], [(1,)]]
