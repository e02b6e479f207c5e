"""Nodes that are left out of the cluster, are away, or are behind: what goes on without them, and how they come back."""

import psycopg
import pytest

from layout import all_rows
from refusal import refused, refused_in
from sharded import answers, catalog, key_of, name_of, serves_all, shard, states
from waiting import until


@pytest.fixture(scope="module")
def sharded(module_cluster):
    """A cluster of three nodes with a table team; each test leaves it with all nodes active."""
    return shard(module_cluster(3))


@pytest.fixture
def servers(two_servers):
    """Two servers whose workers are told of nothing in time."""
    return settling_each(two_servers, "1h")


def settling_each(servers, interval):
    for server in servers:
        server.configure(**{"teamscale.settle_interval": interval})
    return servers


def test_a_disabled_node_is_left_out_and_comes_back(sharded):
    a, b, c = sharded.nodes
    a.execute("SELECT teamscale.disable_node('c')")
    assert states(a) == states(b) == {"a": "active", "b": "active", "c": "disabled"}
    for node in (a, b):
        refused(node, "SELECT name FROM team WHERE id = %s", [key_of(sharded, "c")], sqlstate="55000",
                message='node "c" is disabled', hint="enable_node")
        assert name_of(node, key_of(sharded, "a")) == f"team {key_of(sharded, 'a')}"
    b.execute("SELECT teamscale.disable_node('c')")  # once more, from another node
    b.execute("SELECT teamscale.enable_node('c')")
    assert states(a) == states(b) == states(c) == {"a": "active", "b": "active", "c": "active"}
    assert catalog(a) == catalog(b) == catalog(c)
    assert all(serves_all(node, sharded) for node in sharded.nodes)


def test_a_disabled_node_finds_it_out_while_it_runs(sharded):
    a, b, c = sharded.nodes
    key = key_of(sharded, "c")
    session = c.connect()
    assert session.execute("SELECT name FROM team WHERE id = %s", [key]).fetchone() == (f"team {key}",)
    a.execute("SELECT teamscale.disable_node('c')")
    until(lambda: answers(c, key) == "55000", "it serves as if nothing were")
    refused_in(session, "SELECT name FROM team WHERE id = %s", [key], sqlstate="55000", message="disabled", detail='"c"',
               hint='enable_node() for node "c" on an active node')
    refused_in(session, "INSERT INTO team VALUES (%s, 'new')", [key_of(sharded, "a")], sqlstate="55000")
    refused_in(session, "SELECT * FROM teamscale.settle_transactions()", sqlstate="55000", message="disabled")
    refused_in(session, "SELECT teamscale.run_on_all_nodes('SELECT 1')", sqlstate="55000", message="disabled")
    refused_in(session, "SELECT teamscale.disable_node('a')", sqlstate="55000", message="disabled")
    a.execute("SELECT teamscale.enable_node('c')")
    assert session.execute("SELECT name FROM team WHERE id = %s", [key]).fetchone() == (f"team {key}",)


def test_what_a_disabled_node_sends_is_refused_before_it_knows(make_cluster, servers):
    """Its worker has no time to find out."""
    cluster = shard(make_cluster(servers=[servers[0], servers[0], servers[1]]))
    a, b, c = cluster.nodes
    key = key_of(cluster, "a")
    with c.connect() as old, c.connect() as new:
        assert old.execute("SELECT name FROM team WHERE id = %s", [key]).fetchone() == (f"team {key}",)
        b.execute("SELECT teamscale.disable_node('c')")
        for session in (old, new):
            refused_in(session, "SELECT name FROM team WHERE id = %s", [key], sqlstate="55000", message='"c"',
                       detail="left it out", hint="enable_node")
            refused_in(session, "INSERT INTO team SELECT i, 'x' FROM generate_series(1000, 1100) AS i", sqlstate="55000")
        with pytest.raises(psycopg.Error) as raised, old.cursor().copy("COPY team FROM STDIN") as copy:
            for i in range(1000, 1100):
                copy.write_row((i, "x"))
        assert raised.value.sqlstate == "55000"
        refused_in(new, "CREATE TABLE t (id bigint); SELECT teamscale.distribute_table('t', 'id')", sqlstate="55000")
    assert all_rows(cluster, "SELECT count(*) FROM team WHERE id >= 1000") == [(0,)] * 3


def test_the_catalog_changes_without_a_disabled_node_and_is_right_there_afterwards(sharded):
    a, b, c = sharded.nodes
    a.execute("CREATE TABLE dropped (id integer PRIMARY KEY, note text)")
    a.execute("CREATE TABLE again (id integer PRIMARY KEY)")
    for table in ("dropped", "again"):
        b.execute("SELECT teamscale.disable_node('c')")  # so that c holds none of its buckets
        a.execute(f"SELECT teamscale.distribute_table('{table}', 'id', buckets => 4)")
        a.execute("SELECT teamscale.enable_node('c')")
    tables = "SELECT count(*) FROM teamscale_internal.sharded_table"
    known = c.value(tables)

    a.execute("SELECT teamscale.disable_node('c')")
    b.execute("DROP TABLE dropped")
    b.execute("DROP TABLE again")
    a.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
    a.execute("CREATE TABLE again (id integer PRIMARY KEY, mood mood DEFAULT 'good', n bigint GENERATED ALWAYS AS IDENTITY)")
    a.execute("INSERT INTO again (id) SELECT generate_series(1, 20)")
    a.execute("SELECT teamscale.distribute_table('again', 'id', buckets => 4)")
    a.execute("CREATE TABLE region (code text COLLATE \"C\" PRIMARY KEY, n integer)")
    a.execute("SELECT teamscale.distribute_table('region', 'code', 'list')")
    a.execute("SELECT teamscale.place_values('region', ARRAY['eu'], 'b')")
    assert (a.value(tables), c.value(tables)) == (known, known)  # one more and one less; c knows of neither
    b.execute("SELECT teamscale.enable_node('c')")

    assert catalog(a) == catalog(b) == catalog(c)
    assert c.execute("SELECT to_regclass('dropped')") == [(None,)]
    assert not c.execute("SELECT FROM pg_class WHERE relnamespace = 'teamscale_bucket'::regnamespace AND relname LIKE 'dropped%'")
    for i in range(1, 21):
        assert c.execute("SELECT mood::text FROM again WHERE id = %s", [i]) == [("good",)]
    c.execute("INSERT INTO region VALUES ('eu', 1)")
    assert a.execute("SELECT * FROM region WHERE code = 'eu'") == [("eu", 1)]
    numbers = {n.value("INSERT INTO again (id) VALUES (%s) RETURNING n", [100 + i]) for i, n in enumerate(sharded.nodes)}
    assert len({number >> 48 for number in numbers}) == 3
    assert name_of(c, key_of(sharded, "c")) == f"team {key_of(sharded, 'c')}"


def test_tables_that_share_buckets_with_a_disabled_node_are_complete_there_afterwards(sharded):
    a, b, c = sharded.nodes
    a.execute("SELECT teamscale.disable_node('c')")
    a.execute("CREATE TABLE member (team_id bigint, n integer, PRIMARY KEY (team_id, n))")
    a.execute("SELECT teamscale.distribute_table('member', 'team_id', buckets => 8, colocate_with => 'team')")
    a.execute("SELECT teamscale.run_on_all_nodes('ALTER TABLE member ADD FOREIGN KEY (team_id) REFERENCES team')")
    refused(a, "INSERT INTO member VALUES (%s, 1)", [key_of(sharded, "c")], sqlstate="55000", message='"c" is disabled')
    a.execute("SELECT teamscale.enable_node('c')")
    for node in sharded.nodes:
        for key in sharded.keys["c"][:2]:
            node.execute("INSERT INTO member VALUES (%s, %s)", [key, node.server.port + sharded.nodes.index(node)])
    assert c.value("SELECT count(*) FROM member WHERE team_id = %s", [key_of(sharded, "c")]) == 3
    refused(b, "INSERT INTO member VALUES (%s, 1)", [key_of(sharded, "c") + 10**9], sqlstate="23503")
    # A filled table cannot be spread over buckets that nobody can reach.
    a.execute("SELECT teamscale.disable_node('c')")
    a.execute("CREATE TABLE filled (id bigint PRIMARY KEY); INSERT INTO filled SELECT generate_series(1, 60)")
    refused(a, "SELECT teamscale.distribute_table('filled', 'id', buckets => 8, colocate_with => 'team')", sqlstate="55000",
            message='"c" is disabled', hint="enable_node")
    assert a.value("SELECT count(*) FROM filled") == 60
    a.execute("SELECT teamscale.enable_node('c')")
    a.execute("DROP TABLE member; DROP TABLE filled")


def test_what_would_lose_rows_of_a_disabled_node_waits_for_it(sharded):
    a = sharded["a"]
    a.execute("SELECT teamscale.disable_node('c')")
    for sql in ("DROP TABLE team", "TRUNCATE team", "SELECT teamscale.undistribute_table('team')"):
        refused(a, sql, sqlstate="55000", hint=None)
    a.execute("SELECT teamscale.enable_node('c')")
    assert sum(count for (count,) in all_rows(sharded, "SELECT count(*) FROM team")) == 60


def test_a_definition_that_changed_meanwhile_is_named_before_the_node_comes_back(sharded):
    a, b, c = sharded.nodes
    a.execute("SELECT teamscale.disable_node('c')")
    change = "ALTER TABLE team ADD COLUMN size integer DEFAULT 7"
    a.execute("SELECT teamscale.run_on_all_nodes(%s)", [change])
    refused(a, "SELECT teamscale.enable_node('c')", sqlstate="55000", message="not be the same on every node",
            detail='team: its columns on node "c" differ', hint="teamscale.scope = local")
    assert states(a)["c"] == "disabled"
    with c.connect(options="-c teamscale.scope=local") as connection:
        connection.execute(change)
    a.execute("SELECT teamscale.enable_node('c')")
    assert b.value("SELECT size FROM team WHERE id = %s", [key_of(sharded, "c")]) == 7


# --- Nodes that stop -----------------------------------------------------------------------------


@pytest.fixture
def spread(make_cluster, servers):
    """Nodes a and b on one server, c on another, which tests stop."""
    return shard(make_cluster(servers=[servers[0], servers[0], servers[1]]))


def test_a_node_that_is_away_blocks_the_catalog_until_it_is_disabled(spread):
    a, b, c = spread.nodes
    c.server.stop()
    refused(a, "SELECT name FROM team WHERE id = %s", [key_of(spread, "c")], sqlstate="08001", message='"c"')
    assert name_of(a, key_of(spread, "b")) == f"team {key_of(spread, 'b')}"
    a.execute("CREATE TABLE t (id integer PRIMARY KEY)")
    distribute = "SELECT teamscale.distribute_table('t', 'id', buckets => 2)"
    refused(a, distribute, sqlstate="08001", message='"c"', hint="teamscale.disable_node()")
    refused(b, "SELECT teamscale.enable_node('c')", sqlstate="08001", hint="pg_hba.conf")
    b.execute("SELECT teamscale.disable_node('c')")
    a.execute(distribute)
    c.server.start()
    refused(c, "SELECT name FROM team WHERE id = %s", [key_of(spread, "c")], sqlstate="55000", message="disabled",
            hint="enable_node")
    b.execute("SELECT teamscale.enable_node('c')")
    assert catalog(a) == catalog(b) == catalog(c)
    assert name_of(c, key_of(spread, "c")) == f"team {key_of(spread, 'c')}"


def test_nodes_that_are_away_together_are_disabled_together(make_cluster, servers):
    here, away = servers
    cluster = make_cluster(servers=[here, away, away])
    a = cluster["a"]
    away.stop()
    refused(a, "SELECT teamscale.disable_node('b')", sqlstate="08001", message='"c"', hint="disable_node()")
    a.execute("SELECT teamscale.disable_node('b', 'c')")
    assert states(a) == {"a": "active", "b": "disabled", "c": "disabled"}
    away.start()
    for name in "cb":
        a.execute("SELECT teamscale.enable_node(%s)", [name])
    assert catalog(a) == catalog(cluster["b"]) == catalog(cluster["c"])


def test_a_node_that_reaches_no_other_serves_its_own_buckets(spread):
    a, b, c = spread.nodes
    c.server.stop()
    a.server.stop()
    c.server.start()
    key = key_of(spread, "c")
    assert name_of(c, key) == f"team {key}"
    c.execute("UPDATE team SET name = 'alone' WHERE id = %s", [key])
    refused(c, "SELECT name FROM team WHERE id = %s", [key_of(spread, "a")], sqlstate="08001", message='"a"')
    refused(c, "SELECT count(*) FROM team", sqlstate="0A000")
    a.server.start()
    assert name_of(a, key) == "alone"


def test_a_node_that_restarts_up_to_date_serves(spread):
    a, b, c = spread.nodes
    for server in (c.server, a.server):
        server.restart()
        assert all(serves_all(node, spread) for node in spread.nodes)


def test_a_backup_restored_in_a_nodes_place_is_behind(spread, base_backup):
    """Whoever asks it: its own clients, and other nodes."""
    a, b, c = spread.nodes
    key = key_of(spread, "c")
    backup = base_backup(c.server)
    b.execute("CREATE TABLE t (id integer PRIMARY KEY)")
    b.execute("SELECT teamscale.distribute_table('t', 'id', buckets => 4)")
    c.server.take_data_of(backup)
    c.server.start()
    for ask, sql in ((c, "SELECT name FROM team WHERE id = %s"), (a, "SELECT name FROM team WHERE id = %s"),
                     (a, "UPDATE team SET name = 'x' WHERE id = %s")):
        refused(ask, sql, [key], sqlstate="55000", message="behind the cluster", detail='"c"', hint="enable_node")
    with pytest.raises(psycopg.Error) as raised, a.connect() as connection, connection.cursor().copy("COPY team FROM STDIN") as copy:
        for i in range(1000, 1100):
            copy.write_row((i, "x"))
    assert raised.value.sqlstate == "55000"
    refused(c, "SELECT teamscale.disable_node('a')", sqlstate="55000", message="behind")
    refused(a, "SELECT teamscale.distribute_table('u', 'id')", sqlstate="42P01")
    a.execute("SELECT teamscale.enable_node('c')")
    assert catalog(a) == catalog(b) == catalog(c)
    assert name_of(a, key) == f"team {key}"
    c.execute("INSERT INTO t SELECT generate_series(1, 20)")


def test_of_two_parts_that_left_each_other_out_one_goes_on(make_cluster, two_servers):
    servers = settling_each(two_servers, "100ms")
    cluster = shard(make_cluster(servers=servers))
    a, b = cluster.nodes
    servers[1].stop()
    a.execute("SELECT teamscale.disable_node('b')")
    servers[0].stop()
    servers[1].start()
    assert name_of(b, key_of(cluster, "b"))  # it reaches nobody who knows more
    b.execute("SELECT teamscale.disable_node('a')")
    b.execute("CREATE TABLE lost (id integer PRIMARY KEY); INSERT INTO lost VALUES (1)")
    b.execute("SELECT teamscale.distribute_table('lost', 'id', buckets => 2)")
    servers[0].start()
    # The part that has changed more goes on.
    until(lambda: answers(a, key_of(cluster, "a")) == "55000", "both go on")
    assert name_of(b, key_of(cluster, "b")) == f"team {key_of(cluster, 'b')}"
    b.execute("SELECT teamscale.enable_node('a')")
    assert catalog(a) == catalog(b)
    assert name_of(b, key_of(cluster, "a")) == f"team {key_of(cluster, 'a')}"
    assert a.execute("SELECT * FROM lost WHERE id = 1") == [(1,)]
