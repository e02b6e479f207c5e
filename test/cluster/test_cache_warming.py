"""warm_cache(): a cache's answers are put into memory in the background, by its owner, until memory is full."""

import psycopg
import pytest

from waiting import until

INSTALLED = "SELECT sum(installs) FROM teamscale.stat_cache WHERE function::oid::regproc::text = %s"
AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE query = 'warming a cache' AND datname = current_database()"


def make_cache(database, rows=3000, **options):
    arguments = "".join(f", {option} => %({option})s" for option in options)
    with database.connect() as connection:
        connection.execute("CREATE TABLE assignment (team_id bigint, server_id bigint, spare boolean); CREATE INDEX ON assignment (team_id)")
        connection.execute(f"INSERT INTO assignment SELECT i / 3, i, i % 9 >= 6 FROM generate_series(0, {rows * 3 - 1}) AS i")
        connection.execute(
            f"SELECT teamscale.create_cache('servers_of', 'assignment', 'team_id', 'server_id'{arguments})", options
        )


def warmed(database, function="servers_of"):
    """Waits until the work is done; gives the answers that were put into memory."""
    until(lambda: database.value(AT_WORK) == 0 and database.value(INSTALLED, [function]) > 0, "the cache is warmed")
    return int(database.value(INSTALLED, [function]))


def refusal(database, sql, **connect):
    with database.connect(**connect) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(sql)
    return caught.value


def test_every_key_is_read_once(make_database):
    database = make_database()
    make_cache(database)
    database.execute("INSERT INTO assignment VALUES (NULL, 1)")
    database.execute("SELECT teamscale.warm_cache('servers_of')")
    assert warmed(database) == 3000
    assert database.value("SELECT count(*) FROM generate_series(0, 2999) AS t WHERE teamscale.cache_contains('servers_of', t)") == 3000
    assert not database.value("SELECT teamscale.cache_contains('servers_of', 3000)")


def test_keys_that_the_filter_leaves_out_are_not_read(make_database):
    database = make_database()
    make_cache(database, filter="NOT spare")
    database.execute("SELECT teamscale.warm_cache('servers_of')")
    assert warmed(database) == 2000


def test_no_more_keys_than_asked_for(make_database):
    database = make_database()
    make_cache(database)
    database.execute("SELECT teamscale.warm_cache('servers_of', 1500)")
    assert warmed(database) == 1500


def test_it_ends_before_answers_push_each_other_out(make_server):
    server = make_server()
    server.configure(**{"teamscale.cache_size": "2MB"})
    server.restart()
    database = server.create_database()
    database.execute("CREATE EXTENSION teamscale")
    make_cache(database, rows=20000)
    database.execute("SELECT teamscale.warm_cache('servers_of')")
    installs = warmed(database)
    assert 1000 < installs < 20000
    entries, evictions = database.execute("SELECT entries, evictions FROM teamscale_internal.arena_figures()")[0]
    assert entries > 0.9 * installs and evictions < 0.1 * installs


def test_the_owner_does_it_whether_it_may_log_in_or_not(make_database):
    database = make_database()
    for role, login in [("warm_login", "LOGIN"), ("warm_group", "NOLOGIN")]:
        with database.connect() as connection:
            connection.execute(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role} {login}; GRANT CREATE ON SCHEMA public TO {role}")
            connection.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA teamscale TO {role}; SET ROLE {role}")
            connection.execute(f"CREATE TABLE t_{role} AS SELECT i AS k, i AS v FROM generate_series(1, 10) AS i")
            connection.execute(f"SELECT teamscale.create_cache('of_{role}', 't_{role}', 'k', 'v')")
            connection.execute(f"SELECT teamscale.warm_cache('of_{role}')")
        assert warmed(database, f"of_{role}") == 10
        database.execute(f"DROP OWNED BY {role} CASCADE")
        database.execute(f"DROP ROLE {role}")


def test_what_is_refused(make_database):
    database = make_database()
    make_cache(database, rows=3)
    assert refusal(database, "SELECT teamscale.warm_cache('nobody')").sqlstate == "42704"
    assert refusal(database, "SELECT teamscale.warm_cache('servers_of', 0)").sqlstate == "22023"
    database.execute("ALTER TABLE assignment DISABLE TRIGGER ALL")
    assert refusal(database, "SELECT teamscale.warm_cache('servers_of')").sqlstate == "55000"
    database.execute("ALTER TABLE assignment ENABLE ALWAYS TRIGGER teamscale_cache_guard")
    with database.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("SELECT teamscale.create_cache('spares_of', 'assignment', 'team_id', 'spare')")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="after COMMIT"):
            connection.execute("SELECT teamscale.warm_cache('spares_of')")
    database.execute("CREATE ROLE warm_stranger LOGIN; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA teamscale TO warm_stranger")
    try:
        assert refusal(database, "SELECT teamscale.warm_cache('servers_of')", user="warm_stranger").sqlstate == "42501"
    finally:
        database.execute("DROP OWNED BY warm_stranger; DROP ROLE warm_stranger")


def test_on_a_cluster_each_node_warms_its_own_keys(cluster):
    a = cluster["a"]
    a.execute("CREATE TABLE assignment (team_id bigint NOT NULL, server_id bigint)")
    a.execute("INSERT INTO assignment SELECT i, i FROM generate_series(1, 300) AS i")
    a.execute("SELECT teamscale.distribute_table('assignment', 'team_id')")
    a.execute("SELECT teamscale.create_cache('servers_of', 'assignment', 'team_id', 'server_id')")
    a.execute("SELECT teamscale.warm_cache('servers_of')")
    assert sum(warmed(node) for node in cluster.nodes) == 300
    # Each node's memory has the keys of its buckets, so that no table is read for them.
    assert a.value("SELECT sum(cardinality(servers_of(t))) FROM generate_series(1, 300) AS t") == 300
    assert sum(node.value("SELECT hits FROM teamscale.stat_cache") for node in cluster.nodes) == 300
