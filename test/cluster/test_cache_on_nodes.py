"""Caches of sharded tables: every node answers for every key, and a change on any node is seen at once by all."""

import random
import threading

import psycopg
import pytest

TEAMS = 300
TRUTH = "SELECT coalesce(array_agg(server_id ORDER BY server_id), '{}') FROM assignment WHERE team_id = %s"


@pytest.fixture
def cached(cluster):
    with cluster["a"].connect() as connection:
        connection.execute("CREATE TABLE assignment (team_id bigint NOT NULL, server_id bigint, role text)")
        connection.execute("SELECT teamscale.distribute_table('assignment', 'team_id')")
        connection.execute(
            "INSERT INTO assignment SELECT t, s, 'web' FROM generate_series(1, %s) AS t, generate_series(1, 3) AS s" % TEAMS
        )
        connection.execute(
            "SELECT teamscale.create_cache('servers_of_team', 'assignment', 'team_id', 'server_id', order_by => 'server_id')"
        )
        connection.execute(
            "SELECT teamscale.create_cache('roles_of_team', 'assignment', 'team_id', 'server_id, role', order_by => 'server_id')"
        )
    return cluster


def answer(connection, team):
    return connection.execute("SELECT servers_of_team(%s)", [team]).fetchone()[0]


def test_every_node_answers_for_every_key(cached):
    for database in cached.nodes:
        with database.connect() as connection:
            for team in range(1, 31):
                assert answer(connection, team) == [1, 2, 3]
                assert answer(connection, team) == [1, 2, 3]
            assert answer(connection, 10**6) == []
            assert connection.execute("SELECT count(*) FROM generate_series(1, 30) AS t, unnest(roles_of_team(t)) AS r"
                                      " WHERE (r).role = 'web'").fetchone()[0] == 90


def test_the_owner_answers_from_its_cache(cached):
    with cached["a"].connect() as connection:
        team = next(t for t in range(1, TEAMS) if connection.execute(
            "SELECT teamscale.node_of('assignment', %s::bigint)", [t]).fetchone()[0] == "b")
        for _ in range(3):
            answer(connection, team)
        assert connection.execute(
            "SELECT remote, hits FROM teamscale.stat_cache WHERE function = 'servers_of_team'::regproc"
        ).fetchone() == (3, 0)
    assert cached["b"].value("SELECT hits FROM teamscale.stat_cache WHERE function = 'servers_of_team'::regproc") == 2


def test_changes_on_other_nodes_are_seen_at_once(cached):
    done = threading.Event()
    errors = []

    def change(database, seed):
        choose = random.Random(seed)
        try:
            with database.connect() as connection:
                while not done.is_set():
                    team = choose.randint(1, TEAMS)
                    if choose.random() < 0.5:
                        connection.execute("INSERT INTO assignment VALUES (%s, %s, 'db')", [team, choose.randint(4, 99)])
                    else:
                        connection.execute("DELETE FROM assignment WHERE team_id = %s AND server_id > 3", [team])
        except Exception as error:  # to the test's thread
            errors.append(error)

    threads = [threading.Thread(target=change, args=[cached[name], name]) for name in "bc"]
    for thread in threads:
        thread.start()
    choose = random.Random(7)
    try:
        for database in cached.nodes:
            with database.connect() as connection:
                connection.execute("SET default_transaction_isolation = 'repeatable read'")
                for _ in range(150):
                    team = choose.randint(1, TEAMS)
                    # One transaction, whose snapshot on the owner is one.
                    with connection.transaction():
                        assert answer(connection, team) == connection.execute(TRUTH, [team]).fetchone()[0]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not errors


def test_own_uncommitted_changes_on_another_node_are_seen(cached):
    with cached["a"].connect() as connection:
        for team in range(1, 7):
            answer(connection, team)
            with connection.transaction(force_rollback=True):
                connection.execute("DELETE FROM assignment WHERE team_id = %s AND server_id = 1", [team])
                assert answer(connection, team) == [2, 3]
            assert answer(connection, team) == [1, 2, 3]


def test_the_answer_is_whole_whatever_the_scope(cached):
    """Each node is asked under local scope for all keys; and in statements that are sent for one key, for another."""
    for database in cached.nodes:
        with database.connect() as connection:
            connection.execute("SET teamscale.scope = local")
            assert connection.execute("SELECT sum(cardinality(servers_of_team(t))) FROM generate_series(1, 30) AS t").fetchone() == (90,)
            connection.execute("RESET teamscale.scope")
            for team in range(1, 31):
                try:
                    rows = connection.execute("SELECT servers_of_team(team_id %% 30 + 1) FROM assignment WHERE team_id = %s", [team])
                except psycopg.errors.FeatureNotSupported:
                    continue
                assert rows.fetchall() == [([1, 2, 3],)] * 3


def test_the_key_must_have_the_sharding_column(cached):
    with pytest.raises(Exception, match='the key must have column "team_id"'):
        cached["a"].execute("SELECT teamscale.create_cache('teams_of_server', 'assignment', 'server_id', 'team_id')")


def test_a_cache_is_dropped_on_all_nodes(cached):
    cached["b"].execute("SELECT teamscale.drop_cache('servers_of_team')")
    cached["b"].execute("SELECT teamscale.drop_cache('roles_of_team')")
    for database in cached.nodes:
        assert database.value("SELECT count(*) FROM teamscale.cache") == 0
        assert database.value("SELECT count(*) FROM pg_proc WHERE proname IN ('servers_of_team', 'roles_of_team')") == 0
        assert database.value("SELECT count(*) FROM pg_trigger WHERE tgname = 'teamscale_cache_guard'") == 0


def test_an_answer_of_another_node_may_be_kept_for_a_while(cached):
    with cached["a"].connect() as connection:
        connection.execute(
            "SELECT teamscale.create_cache('near_servers', 'assignment', 'team_id', 'server_id', near_ttl => '1 hour')"
        )
        for team in range(1, 11):
            for _ in range(2):
                connection.execute("SELECT near_servers(%s)", [team])
        remote, near = connection.execute(
            "SELECT remote, near_hits FROM teamscale.stat_cache WHERE function = 'near_servers'::regproc"
        ).fetchone()
        assert remote > 0 and near == remote
