"""How far a distribution has come, as other sessions see it while it runs."""

import concurrent.futures

import psycopg
import pytest

from roles import make_roles
from waiting import stopped_at, until

VIEW = "SELECT pid, \"table\"::text, command, phase, rows_total, rows_moved FROM teamscale.stat_progress_distribute"


@pytest.fixture
def pair(make_cluster):
    cluster = make_cluster(2)
    make_roles(cluster, "clerk", "watcher")
    cluster["a"].execute("CREATE TABLE t (team_id bigint PRIMARY KEY, note text)")
    cluster["a"].execute("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 1000) AS i")
    cluster["a"].execute("ANALYZE t")
    return cluster


def test_both_ways_are_seen_from_another_session(pair):
    a, b = pair.nodes
    assert a.execute(VIEW) == []
    with a.connect() as connection:
        pid = connection.info.backend_pid
        with stopped_at(a, "row moved", connection, "SELECT teamscale.distribute_table('t', 'team_id', buckets => 4)"):
            assert a.execute(VIEW) == [(pid, "t", "distribute_table", "moving rows", 1000, 1)]
            # It is this node's matter.
            assert b.execute(VIEW) == []
        assert a.execute(VIEW) == []
        pair["a"].execute("ANALYZE t")
        with stopped_at(a, "row moved", connection, "SELECT teamscale.undistribute_table('t')"):
            assert a.execute(VIEW) == [(pid, "t", "undistribute_table", "moving rows", 1000, 1)]
        assert a.execute(VIEW) == []


def test_it_ends_with_an_error_a_cancel_or_the_session(pair):
    a = pair["a"]
    call = "SELECT teamscale.distribute_table('t', 'team_id', buckets => 4)"
    with a.connect() as connection:
        with stopped_at(a, "row moved", connection, call):
            connection.cancel()
        assert a.execute(VIEW) == []
        connection.execute("RESET teamscale.wait_point")
        with connection.transaction():
            connection.execute("SAVEPOINT s")
            with pytest.raises(psycopg.Error):
                connection.execute("SELECT teamscale.distribute_table('t', 'note')")
            connection.execute("ROLLBACK TO s")
            assert a.execute(VIEW) == []
        with stopped_at(a, "row moved", connection, call) as stopped:
            a.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.info.backend_pid])
            assert a.execute(VIEW) == []
        assert stopped.error is not None
    a.execute(call)


def test_while_it_waits_for_the_table(pair):
    a = pair["a"]
    with a.connect() as reader, a.connect() as connection, concurrent.futures.ThreadPoolExecutor() as threads:
        with reader.transaction():
            reader.execute("LOCK TABLE t IN ACCESS SHARE MODE")
            moving = threads.submit(connection.execute, "SELECT teamscale.distribute_table('t', 'team_id', buckets => 4)")
            until(
                lambda: a.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s", [connection.info.backend_pid]),
                "it waits for the table",
            )
            assert [row[3:] for row in a.execute(VIEW)] == [("checking", None, 0)]
        moving.result(timeout=60)


def test_only_members_of_the_role_see_what_it_does(pair):
    a = pair["a"]
    a.execute("ALTER TABLE t OWNER TO clerk")
    with a.connect() as connection:
        with stopped_at(a, "row moved", connection, "SELECT teamscale.distribute_table('t', 'team_id', buckets => 4)"):
            with a.connect(user="watcher") as watcher:
                assert watcher.execute(VIEW).fetchall() == [(connection.info.backend_pid, None, None, None, None, None)]
                a.execute("GRANT pg_read_all_stats TO watcher")
                try:
                    assert watcher.execute(VIEW).fetchall()[0][2] == "distribute_table"
                finally:
                    a.execute("REVOKE pg_read_all_stats FROM watcher")
