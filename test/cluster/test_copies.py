"""A copy of a node (base backup, point-in-time restore, template) finds that it is one: it serves nothing and settles
nothing until it is adopted."""

import pytest

from refusal import refused
from sharded import answers, catalog, key_of, name_of, serves_all, shard, states
from waiting import stopped_at, until

SETTINGS = {"teamscale.settle_interval": "100ms"}


@pytest.fixture
def cluster(make_cluster, two_servers):
    """Node a on a server of its own, of which copies are made; b and c on another."""
    for server in two_servers:
        server.configure(**SETTINGS)
    return shard(make_cluster(servers=[two_servers[0], two_servers[1], two_servers[1]]))


@pytest.fixture
def beside(base_backup):
    """A base backup that is started beside the original."""

    def copy(database):
        server = base_backup(database.server)
        server.start()
        return server.database(database.name)

    return copy


@pytest.fixture
def template(copy_database):
    """CREATE DATABASE ... TEMPLATE on the same server."""
    return copy_database


@pytest.fixture
def earlier(base_backup):
    """A point-in-time restore that is started beside the original: what came after the point is not in it."""

    def copy(database):
        server = database.server
        data = server.database("postgres").value("SHOW data_directory")
        server.database("postgres").execute("COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; mkdir -p ../archive'")
        server.configure(archive_mode="on", archive_command="cp %p ../archive/%f")
        server.restart()
        backup = base_backup(
            server,
            archive_mode="off",
            restore_command=f"cp {data}/../archive/%f %p",
            recovery_target_name="the point",
            recovery_target_action="promote",
        )
        database.execute("SELECT pg_create_restore_point('the point')")
        database.execute("CREATE TABLE after_the_point ()")
        database.execute("SELECT pg_switch_wal()")
        until(lambda: database.value("SELECT archived_count FROM pg_stat_archiver"), "nothing is archived")
        backup.start()
        copied = backup.database(database.name)
        until(lambda: not copied.value("SELECT pg_is_in_recovery()"), "the recovery does not end")
        assert copied.value("SELECT to_regclass('after_the_point')") is None
        return copied

    return copy


@pytest.fixture(params=["beside", "template", "earlier"])
def make_copy(request):
    return request.getfixturevalue(request.param)


def rounds(database):
    """The number of rounds that the maintenance worker has begun or ended, as far as two looks differ."""
    return database.value(
        "SELECT max(state_change)::text FROM pg_stat_activity"
        " WHERE backend_type = 'teamscale maintenance' AND datname = current_database()"
    )


def wait_for_rounds(database):
    for _ in range(3):
        seen = rounds(database)
        until(lambda: rounds(database) not in (None, seen), "the copy's maintenance worker does not work")


def test_a_copy_serves_nothing_and_settles_nothing_until_it_is_adopted(cluster, make_copy):
    a, b, c = cluster.nodes
    copy = make_copy(a)
    key = key_of(cluster, "a")
    copied = dict(sqlstate="55000", message='copy of node "a"', detail=a.conninfo, hint="enable_node")
    for sql in (
        "SELECT * FROM team WHERE id = 1",
        f"SELECT * FROM team WHERE id = {key}",
        f"UPDATE team SET name = 'x' WHERE id = {key}",
        "INSERT INTO team VALUES (1000, 'x')",
        "INSERT INTO team SELECT i, 'x' FROM generate_series(1000, 1100) AS i",
        "TRUNCATE team",
        "DROP TABLE team",
        "VACUUM team",
        "SELECT teamscale.undistribute_table('team')",
        "SELECT teamscale.add_node('d', 'dbname=x')",
        "SELECT teamscale.remove_node('b')",
        "SELECT teamscale.disable_node('b')",
        "SELECT teamscale.enable_node('b')",
        "SELECT * FROM teamscale.settle_transactions()",
        "SELECT * FROM teamscale.run_on_all_nodes('SELECT 1')",
        "SELECT * FROM teamscale.run_on_node('b', 'SELECT 1')",
    ):
        refused(copy, sql, **copied)
    # What it has can be looked at on purpose.
    with copy.connect(options="-c teamscale.scope=local") as connection:
        assert connection.execute("SELECT count(*) FROM team").fetchone() == (len(cluster.keys["a"]),)

    # A transaction of the living node is prepared on b; the copy never heard of it.
    connection = a.connect(autocommit=False)
    for name in "ab":
        connection.execute("UPDATE team SET name = 'new' WHERE id = %s", [key_of(cluster, name)])
    with stopped_at(a, "participants prepared", connection, "COMMIT"):
        prepared = b.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
        assert len(prepared) == 1
        wait_for_rounds(copy)
        refused(copy, "SELECT * FROM teamscale.settle_transactions()", **copied)
        assert b.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()") == prepared
    connection.close()
    assert name_of(c, key_of(cluster, "a")) == name_of(c, key_of(cluster, "b")) == "new"
    for name in "ab":
        b.execute("UPDATE team SET name = 'team ' || id WHERE id = %s", [key_of(cluster, name)])
    with copy.connect(options="-c teamscale.scope=local") as look:
        look.execute("UPDATE team SET name = 'team ' || id")

    # It cannot take the place of the node while that one runs as if nothing were.
    enable = "SELECT teamscale.enable_node('a', %s)"
    refused(b, enable, [copy.conninfo], sqlstate="55006", message='"a"', detail=a.conninfo, hint="disable_node")
    b.execute("SELECT teamscale.disable_node('a')")
    b.execute(enable, [copy.conninfo])
    assert all(serves_all(node, cluster) for node in (copy, b, c))
    assert catalog(copy) == catalog(b) == catalog(c)
    assert states(c)["a"] == "active"
    copy.execute("UPDATE team SET name = 'adopted' WHERE id = %s", [key])
    assert name_of(c, key) == "adopted"
    # And the one that was the node stands down, though its own connection string still leads to it.
    until(lambda: answers(a, key) == "55000", "two databases are one node")
    refused(a, "SELECT * FROM teamscale.settle_transactions()", sqlstate="55000", hint="enable_node")
    refused(a, "UPDATE team SET name = 'old' WHERE id = %s", [key_of(cluster, "b")], sqlstate="55000")


def test_a_copy_whose_original_is_gone_serves_nothing_either(cluster, beside):
    a, b, c = cluster.nodes
    copy = beside(a)
    a.server.stop()
    refused(copy, "SELECT * FROM team WHERE id = 1", sqlstate="55000", message='cannot reach itself as node "a"',
            detail=a.conninfo, hint="enable_node")
    wait_for_rounds(copy)
    refused(copy, "SELECT * FROM teamscale.settle_transactions()", sqlstate="55000", message="cannot reach itself")
    b.execute("SELECT teamscale.enable_node('a', %s)", [copy.conninfo])
    assert all(serves_all(node, cluster) for node in (copy, b, c))
    # The original comes back where it was, and is nobody.
    a.server.start()
    refused(a, "SELECT * FROM team WHERE id = %s", [key_of(cluster, "a")], sqlstate="55000", message="behind the cluster",
            hint="enable_node")


def test_a_base_backup_in_its_nodes_place_is_the_node(cluster, base_backup):
    a, b, c = cluster.nodes
    backup = base_backup(a.server)
    a.server.take_data_of(backup)
    a.server.start()
    assert all(serves_all(node, cluster) for node in cluster.nodes)


def test_an_adopted_copy_carries_out_what_its_original_had_decided(make_cluster, make_server, two_servers, base_backup):
    server = make_server()
    server.configure(**{"teamscale.settle_interval": "1h"})
    cluster = shard(make_cluster(servers=[server, two_servers[1], two_servers[1]]))
    a, b, c = cluster.nodes
    connection = a.connect(autocommit=False)
    for name in "ab":
        connection.execute("UPDATE team SET name = 'new' WHERE id = %s", [key_of(cluster, name)])
    with stopped_at(a, "commit decided", connection, "COMMIT"):
        backup = base_backup(a.server, **SETTINGS)
        a.server.kill()
    # In doubt on b now, unless a round of the original's worker, begun before its interval was an hour, came between.
    backup.start()
    copy = backup.database(a.name)
    b.execute("SELECT teamscale.enable_node('a', %s)", [copy.conninfo])
    until(lambda: b.value("SELECT count(*) FROM teamscale.in_doubt_transaction") == 0, "it stays in doubt")
    assert name_of(c, key_of(cluster, "a")) == name_of(c, key_of(cluster, "b")) == "new"
    until(lambda: copy.value("SELECT count(*) FROM teamscale_internal.commit_record") == 0, "the record stays")


def test_a_copy_of_another_node_is_not_taken(cluster, beside):
    a, b, c = cluster.nodes
    copy = beside(b)
    refused(b, "SELECT teamscale.enable_node('a', %s)", [copy.server.database(c.name).conninfo], sqlstate="55000",
            message='database of node "a" is not that node', detail=copy.conninfo.split()[1], hint="add_node")
    refused(a, "SELECT teamscale.add_node('d', %s)", [copy.conninfo], sqlstate="55000",
            message="already a node of this cluster", hint="enable_node")
