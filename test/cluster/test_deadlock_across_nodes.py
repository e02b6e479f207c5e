"""Two transactions that wait for each other on different nodes: each wait looks like an ordinary one to its node."""

import threading

import psycopg

from layout import shard
from waiting import until

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_lock_timeout_ends_it_on_whichever_node_the_lock_is(cluster):
    shard(cluster, "CREATE TABLE t (team_id bigint PRIMARY KEY, n integer) PARTITION BY HASH (team_id)", "t", "bigint")
    a = cluster["a"]
    owners = {a.value("SELECT teamscale.node_of('t', %s::bigint)", [team]): team for team in range(100)}
    a.execute("INSERT INTO t SELECT i, 0 FROM generate_series(0, 99) AS i")
    raise_one = "UPDATE t SET n = n + 1 WHERE team_id = %s"

    with a.connect(autocommit=False) as first, cluster["c"].connect(autocommit=False) as second:
        # It travels: the wait is on node b.
        first.execute("SET lock_timeout = '1s'")
        second.execute("SET lock_timeout = 0")
        first.execute(raise_one, [owners["a"]])
        second.execute(raise_one, [owners["b"]])
        waits = threading.Thread(target=second.execute, args=(raise_one, [owners["a"]]))
        waits.start()
        until(lambda: a.value(WAITING) == 1, "the second transaction does not wait for the first")
        try:
            first.execute(raise_one, [owners["b"]])
            raise AssertionError("the deadlock was solved by itself")
        except psycopg.errors.LockNotAvailable as raised:
            assert 'node "b"' in raised.diag.context
        first.rollback()
        waits.join()
        second.commit()
    for node in "ab":
        assert a.value("SELECT n FROM t WHERE team_id = %s", [owners[node]]) == 1
