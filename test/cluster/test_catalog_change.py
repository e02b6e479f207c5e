"""A change of the catalog happens on all nodes or on none, whoever fails; and administrators do not get into each other's way."""

import concurrent.futures
import contextlib
import random

import psycopg
import pytest

from refusal import refused, refused_in
from sharded import catalog, key_of, name_of, serves_all, shard, states
from waiting import stopped_at, until


def epochs(cluster):
    return {node.value("SELECT epoch FROM teamscale_internal.cluster") for node in cluster.nodes}


def prepared(database):
    return database.value("SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()")


def settled(databases):
    def nothing_left():
        try:
            return all(prepared(database) == 0 for database in databases)
        except psycopg.OperationalError:  # its server is starting
            return False

    until(nothing_left, "transactions stay prepared")


def whole(cluster):
    """All nodes have the same catalog, and nobody holds on to anything."""
    settled(cluster.nodes)
    first = catalog(cluster.nodes[0])
    return all(catalog(node) == first for node in cluster.nodes)


@pytest.fixture(scope="module")
def changed(module_cluster, module_database):
    """A cluster of three nodes, and a database that is none, for changes that do not happen."""
    cluster = shard(module_cluster(3))
    cluster.spare = module_database(extension=False)
    a = cluster["a"]
    a.execute("CREATE TABLE region (code text PRIMARY KEY)")
    a.execute("SELECT teamscale.distribute_table('region', 'code', 'list')")
    a.execute("CREATE TABLE plain (id bigint PRIMARY KEY)")
    cluster.changes = {
        "add_node": f"SELECT teamscale.add_node('d', '{cluster.spare.conninfo}')",
        "disable_node": "SELECT teamscale.disable_node('c')",
        "enable_node": "SELECT teamscale.enable_node('c')",
        "distribute_table": "SELECT teamscale.distribute_table('plain', 'id', buckets => 4)",
        "undistribute_table": "SELECT teamscale.undistribute_table('team')",
        "place_values": "SELECT teamscale.place_values('region', '{eu}', 'b')",
        "drop": "DROP TABLE region",
        "definition": "SELECT teamscale.run_on_all_nodes('ALTER TABLE team ADD COLUMN size integer')",
    }
    return cluster


@pytest.mark.parametrize(
    "change",
    ["add_node", "disable_node", "enable_node", "distribute_table", "undistribute_table", "place_values", "drop", "definition"],
)
def test_a_change_that_fails_before_its_decision_happens_nowhere(changed, change):
    fails_before_its_decision(changed, change, "commit recorded")


@pytest.mark.parametrize("point", ["participants not prepared", "participants prepared"])
def test_a_change_that_fails_at_an_earlier_step_happens_nowhere(changed, point):
    fails_before_its_decision(changed, "add_node", point)


def fails_before_its_decision(changed, change, point):
    a = changed["a"]
    before = catalog(a)
    with a.connect() as connection:
        connection.execute(f"SET teamscale.wait_point = '{point}=raise'")
        refused_in(connection, changed.changes[change], sqlstate="TS999")
        # The session goes on.
        assert connection.execute("SELECT name FROM team WHERE id = 1").fetchone() == ("team 1",)
    assert whole(changed) and catalog(a) == before
    settled([changed.spare])
    assert all(serves_all(node, changed) for node in changed.nodes)


def test_a_cancelled_change_happens_nowhere(changed):
    a = changed["a"]
    before = catalog(a)
    connection = a.connect()
    with stopped_at(a, "participants prepared", connection, changed.changes["add_node"]) as stopped:
        assert prepared(changed.spare) == 1
        connection.cancel()
        until(lambda: stopped.error, "the cancel did not come through")
    assert stopped.error.sqlstate == "57014"
    assert whole(changed) and catalog(a) == before
    settled([changed.spare])


# --- Servers that stop in the middle -------------------------------------------------------------


@pytest.fixture
def servers(two_servers):
    """Servers that tests stop, whose workers settle soon."""
    for server in two_servers:
        server.configure(**{"teamscale.settle_interval": "100ms"})
    return two_servers


@pytest.mark.parametrize("point, added", [("participants prepared", False), ("commit decided", True)])
def test_a_router_that_dies_while_it_adds_a_node_leaves_nothing_prepared_there(servers, make_cluster, make_database, point, added):
    """The new database is in no catalog yet when the change fails half way."""
    cluster = shard(make_cluster(servers=servers))
    a, b = cluster.nodes
    spare = make_database(servers[1], extension=False)
    with a.connect() as connection:
        connection.execute(f"SET teamscale.wait_point = '{point}=die'")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT teamscale.add_node('c', %s)", [spare.conninfo])
    settled([a, b, spare])
    assert states(a) == states(b) == {"a": "active", "b": "active", **({"c": "active"} if added else {})}
    if not added:
        a.execute("SELECT teamscale.add_node('c', %s)", [spare.conninfo])
    cluster.nodes.append(spare)
    assert whole(cluster) and all(serves_all(node, cluster) for node in cluster.nodes)
    until(lambda: not a.execute("SELECT FROM teamscale_internal.outside_database"), "the database is not forgotten")


@pytest.mark.parametrize("point, removed", [("participants prepared", False), ("commit decided", True)])
def test_a_router_that_dies_while_it_removes_a_node_leaves_nothing_prepared_there(servers, make_cluster, point, removed):
    cluster = make_cluster(servers=[servers[0], servers[1], servers[1]])
    a, b, c = cluster.nodes
    with a.connect() as connection:
        connection.execute(f"SET teamscale.wait_point = '{point}=die'")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT teamscale.remove_node('c')")
    settled(cluster.nodes)
    if removed:
        assert states(c) == {}
        cluster.nodes.remove(c)
    assert whole(cluster)
    until(lambda: a.value("SELECT count(*) FROM teamscale.in_doubt_transaction") == 0, "a record stays")
    for node in cluster.nodes:
        until(lambda: not node.execute("SELECT FROM teamscale_internal.outside_database"), "the database is not forgotten")


@pytest.mark.parametrize("point, adopted", [("participants prepared", False), ("commit decided", True)])
def test_a_router_that_dies_while_it_adopts_a_copy_leaves_nothing_prepared_there(servers, make_cluster, copy_database, point, adopted):
    cluster = shard(make_cluster(servers=[servers[0], servers[1], servers[1]]))
    a, b, c = cluster.nodes
    copy = copy_database(c)
    servers[1].drop_database(c)
    with a.connect() as connection:
        connection.execute(f"SET teamscale.wait_point = '{point}=die'")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT teamscale.enable_node('c', %s)", [copy.conninfo])
    settled([a, b, copy])
    if not adopted:
        refused(copy, "SELECT * FROM team WHERE id = 1", sqlstate="55000", message="cannot reach itself")
        a.execute("SELECT teamscale.enable_node('c', %s)", [copy.conninfo])
    cluster.nodes[2] = copy
    assert whole(cluster) and all(serves_all(node, cluster) for node in cluster.nodes)


@pytest.mark.parametrize("point, happened", [("participants not prepared", False), ("commit decided", True)])
def test_a_node_that_dies_at_the_commit_of_a_change_has_it_or_not_as_all_have(servers, make_cluster, point, happened):
    cluster = shard(make_cluster(servers=[servers[0], servers[0], servers[1]]))
    a, b, c = cluster.nodes
    a.execute("CREATE TABLE plain (id bigint PRIMARY KEY)")
    connection = a.connect()
    change = "SELECT teamscale.distribute_table('plain', 'id', buckets => 4)"
    with stopped_at(a, point, connection, change) as stopped:
        servers[1].kill()
    assert (stopped.error is None) == happened
    servers[1].start()
    assert whole(cluster)
    assert [n.value("SELECT count(*) FROM teamscale.sharded_table") for n in cluster.nodes] == [1 + happened] * 3
    assert all(serves_all(node, cluster) for node in cluster.nodes)


def test_a_node_that_waits_for_the_decision_on_a_change_says_so(servers, make_cluster):
    """Its router is gone; another node knows the outcome, and it cannot."""
    cluster = shard(make_cluster(servers=[servers[0], servers[1], servers[1]]))
    a, b, c = cluster.nodes
    with b.connect() as session:  # found to serve before
        session.execute("SELECT name FROM team WHERE id = %s", [key_of(cluster, "b")])
    connection = a.connect()
    a.execute("CREATE TABLE plain (id bigint PRIMARY KEY)")
    servers[0].configure(**{"teamscale.settle_interval": "1h"})
    with stopped_at(a, "commit decided", connection, "SELECT teamscale.distribute_table('plain', 'id', buckets => 4)"):
        servers[0].kill()
    assert prepared(b) == prepared(c) == 1
    # One of the two learns the decision by hand.
    c.execute("COMMIT PREPARED '{}'".format(c.value("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")))
    servers[1].restart()
    refused(b, "SELECT name FROM team WHERE id = %s", [key_of(cluster, "b")], sqlstate="55000",
            message="waits for the decision", detail="prepared here", hint="in_doubt_transaction")
    assert name_of(c, key_of(cluster, "c")) == f"team {key_of(cluster, 'c')}"
    servers[0].start()
    assert whole(cluster) and all(serves_all(node, cluster) for node in cluster.nodes)


# --- Several administrators ----------------------------------------------------------------------


def outcome(database, sql):
    """None, or the SQLSTATE of the error."""
    try:
        database.execute(sql)
        return None
    except psycopg.Error as error:
        return error.sqlstate


@contextlib.contextmanager
def administrators(count):
    with concurrent.futures.ThreadPoolExecutor(count) as threads:
        yield lambda database, sql: threads.submit(outcome, database, sql)


def waits_for_a_lock(database, text):
    """Whether a session in the database, another node's or a client's, waits for a row that somebody changes."""
    return database.value(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND wait_event <> 'advisory' AND query LIKE %s", [f"%{text}%"])


def test_a_change_waits_for_another_and_sees_what_it_did(make_cluster, make_database):
    cluster = shard(make_cluster(3))
    a, b, c = cluster.nodes
    spare = make_database(extension=False)
    c.execute("CREATE TABLE plain (id bigint PRIMARY KEY)")
    connection = a.connect()
    with administrators(3) as start:
        with stopped_at(a, "participants prepared", connection, f"SELECT teamscale.add_node('d', '{spare.conninfo}')"):
            distributing = start(c, "SELECT teamscale.distribute_table('plain', 'id', buckets => 4)")
            again = start(b, f"SELECT teamscale.add_node('d', '{spare.conninfo}')")
            other_name = start(b, f"SELECT teamscale.add_node('e', '{spare.conninfo}')")
            until(lambda: waits_for_a_lock(a, "raise_epoch"), "nobody waits")
        assert distributing.result(60) is None
        assert again.result(60) == "42710"
        assert other_name.result(60) == "22023"
    cluster.nodes.append(spare)
    assert whole(cluster)
    assert a.execute("SELECT name FROM teamscale.node WHERE buckets > 0 ORDER BY 1") == [("a",), ("b",), ("c",), ("d",)]


def test_a_change_that_waited_while_its_nodes_changed_is_to_be_tried_again(make_cluster):
    cluster = make_cluster(3)
    a, b, c = cluster.nodes
    c.execute("CREATE TABLE plain (id bigint PRIMARY KEY)")
    connection = b.connect()
    with administrators(1) as start:
        with stopped_at(b, "participants prepared", connection, "SELECT teamscale.disable_node('a')"):
            distributing = start(c, "SELECT teamscale.distribute_table('plain', 'id', buckets => 4)")
            until(lambda: waits_for_a_lock(b, "raise_epoch"), "nobody waits")
        assert distributing.result(60) == "40001"
    c.execute("SELECT teamscale.distribute_table('plain', 'id', buckets => 4)")
    c.execute("SELECT teamscale.enable_node('a')")
    assert whole(cluster)


def test_two_that_leave_out_the_same_node_do_not_block_each_other(make_cluster):
    cluster = make_cluster(3)
    a, b, c = cluster.nodes
    connection = a.connect()
    with administrators(1) as start:
        with stopped_at(a, "participants prepared", connection, "SELECT teamscale.disable_node('c')"):
            disabling = start(b, "SELECT teamscale.disable_node('c')")
            until(lambda: waits_for_a_lock(a, "raise_epoch"), "nobody waits")
        assert disabling.result(60) is None
    assert states(a) == states(b) == {"a": "active", "b": "active", "c": "disabled"}
    b.execute("SELECT teamscale.enable_node('c')")
    assert whole(cluster)


def test_a_node_that_comes_back_is_not_waited_for_while_its_catalog_changes(make_cluster):
    """It is locked out of turn: who has it may be waiting for a node that this change has locked."""
    cluster = make_cluster(3)
    a, b, c = cluster.nodes
    c.execute("SELECT teamscale.disable_node('a')")
    with a.connect(autocommit=False) as holder:
        holder.execute("SELECT FROM teamscale_internal.cluster FOR UPDATE")
        refused(c, "SELECT teamscale.enable_node('a')", sqlstate="55P03", message='"a" is being changed', hint="Try again")
    c.execute("SELECT teamscale.enable_node('a')")
    assert whole(cluster)


def test_a_definition_is_not_changed_while_a_node_comes(make_cluster, make_database):
    """The new node would get the table as it was, and the change would not know of the node."""
    cluster = shard(make_cluster(2))
    a, b = cluster.nodes
    spare = make_database(extension=False)
    change = "SELECT teamscale.run_on_all_nodes('ALTER TABLE team ADD COLUMN size integer')"
    connection = a.connect()
    with administrators(1) as start:
        with stopped_at(a, "participants prepared", connection, f"SELECT teamscale.add_node('c', '{spare.conninfo}')"):
            changing = start(b, change)
            until(lambda: waits_for_a_lock(b, "run_on_all_nodes"), "nobody waits")
        assert changing.result(60) is None
    cluster.nodes.append(spare)
    assert [node.execute("SELECT size FROM team WHERE id = 1") for node in cluster.nodes] == [[(None,)]] * 3


def test_administrators_on_all_nodes_at_once_leave_the_cluster_whole(make_cluster, make_database):
    cluster = shard(make_cluster(3))
    spares = [make_database(extension=False) for _ in range(2)]
    tables = 3
    for node in cluster.nodes:
        for number in range(tables):
            if number % 3 == cluster.nodes.index(node):
                node.execute(f"CREATE TABLE plain{number} (id bigint PRIMARY KEY)")
    chance = random.Random(7)
    work = [[f"SELECT teamscale.distribute_table('plain{number}', 'id', buckets => 4)" for number in range(tables)
             if number % 3 == place] for place in range(3)]
    for place, other in enumerate("bca"):
        work[place] += [f"SELECT teamscale.disable_node('{other}')", f"SELECT teamscale.enable_node('{other}')"]
        work[place] += [f"SELECT teamscale.add_node('{name}', '{spare.conninfo}')" for name, spare in zip("de", spares)]
        chance.shuffle(work[place])
    # Out of the cluster, changed while waiting, done by another, known there already, left out or away for now.
    allowed = {None, "40001", "55P03", "42710", "22023", "55000", "40P01", "08001", "08006"}

    def administrate(place):
        return [(sql, outcome(cluster.nodes[place], sql)) for sql in work[place]]

    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        done = [entry for running in [threads.submit(administrate, place) for place in range(3)] for entry in running.result(240)]
    assert {state for _, state in done} <= allowed, done
    # Whoever is left out at the end is brought back by one who is not.
    first = until(lambda: next((n for n in cluster.nodes if outcome(n, "SELECT teamscale.run_on_all_nodes('SELECT 1')") is None), None),
                  "no node goes on")
    for name, state in states(first).items():
        if state == "disabled":
            until(lambda: outcome(first, f"SELECT teamscale.enable_node('{name}')") is None, f"{name} does not come back")
    for name, spare in zip("de", spares):
        if name not in states(first):
            first.execute("SELECT teamscale.add_node(%s, %s)", [name, spare.conninfo])
    cluster.nodes += spares
    until(lambda: whole(cluster), "the nodes' catalogs differ")
    assert len(epochs(cluster)) == 1
    assert all(serves_all(node, cluster) for node in cluster.nodes)
