"""Cached answers beside the query under the same snapshot, in random transactions of every kind."""

import os

import pytest

from cache_workload import SCHEMA, run_sessions

TRANSACTIONS = int(os.environ.get("TEAMSCALE_CACHE_TRANSACTIONS", 30))


@pytest.fixture
def cached(make_database):
    database = make_database()
    with database.connect() as connection:
        connection.execute(SCHEMA)
    return database


def hits(database):
    return database.value("SELECT sum(hits) FROM teamscale.stat_cache")


def test_no_answer_differs_in_concurrent_transactions(cached):
    compared = run_sessions(cached, 4, TRANSACTIONS)
    assert compared > TRANSACTIONS * 100
    assert hits(cached) > TRANSACTIONS


def test_no_answer_differs_without_changes_of_definitions(cached):
    """Then more are hits."""
    run_sessions(cached, 4, TRANSACTIONS, seed=2, definitions=False)
    assert hits(cached) > TRANSACTIONS


def test_no_answer_differs_when_entries_push_each_other_out(make_server):
    server = make_server()
    server.configure(**{"teamscale.cache_size": "1MB"})
    server.restart()
    database = server.create_database()
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION teamscale")
        connection.execute(SCHEMA)
        # Large values, so that the arena is full of them.
        connection.execute("CREATE TABLE page (id int PRIMARY KEY, body text)")
        connection.execute("INSERT INTO page SELECT i, repeat(i::text, 2000) FROM generate_series(1, 400) AS i")
        connection.execute("SELECT teamscale.create_cache('body_of_page', 'page', 'id', 'body', \"unique\" => true)")
        for _ in range(2):
            assert connection.execute(
                "SELECT count(*) FROM page WHERE body_of_page(id) IS DISTINCT FROM body"
            ).fetchone() == (0,)
    run_sessions(database, 3, TRANSACTIONS // 2, seed=3)
    assert database.value("SELECT count(*) FROM teamscale_internal.check_arena()") == 0
    for mode in ("fast", "immediate"):
        server.restart(mode)
        run_sessions(database, 3, TRANSACTIONS // 4, seed=f"after {mode}")
    assert database.value("SELECT count(*) FROM teamscale_internal.check_arena()") == 0
