"""Event streams of a cluster: all nodes' events, in order for each key; readers at several nodes; nodes that are away."""

import json

import psycopg
import pytest

from event_fold import drain, poll
from waiting import until


@pytest.fixture
def sharded(cluster):
    cluster["a"].execute("CREATE TABLE team (id int PRIMARY KEY, v int)")
    cluster["a"].execute("INSERT INTO team SELECT g, 0 FROM generate_series(1, 30) AS g")
    return cluster


def create(cluster, **options):
    arguments = "".join(f", {option} => %({option})s" for option in options)
    cluster["a"].execute(f"SELECT teamscale.create_event_stream('s'{arguments})", options)


def error_of(call):
    with pytest.raises(psycopg.Error) as caught:
        call()
    return caught.value


def rows(cluster):
    found = {}
    for node in cluster.nodes:
        with node.connect(options="-c teamscale.scope=local") as connection:
            found |= dict(connection.execute("SELECT id, v FROM team"))
    return found


def test_the_nodes_events_come_merged_and_rows_that_only_move_do_not(sharded):
    create(sharded)
    sharded["a"].execute("SELECT teamscale.distribute_table('team', 'id')")
    for round_of_writes in range(1, 4):
        for i, node in enumerate(sharded.nodes):
            node.execute("UPDATE team SET v = v + 1 WHERE id = %s", [i + 1])
        with sharded["b"].connect(autocommit=False) as writer:  # on several nodes
            writer.execute("INSERT INTO team SELECT 100 * %s + g, 0 FROM generate_series(1, 20) AS g", [round_of_writes])
            writer.commit()
    sharded["c"].execute("DELETE FROM team WHERE id = 5")
    reader = sharded["c"].connect()
    events = list(drain(reader, "s", max_events=13))
    assert {event["node"] for event in events} == {"a", "b", "c"}
    assert {(event["schema"], event["table"]) for event in events} == {("public", "team")}
    assert len({event["id"] for event in events}) == len(events) == 9 + 60 + 1
    folded = {i: 0 for i in range(1, 31)}
    for event in events:
        data = json.loads(event["payload"])["data"]
        if event["op"] == "delete":
            del folded[data["key"]["id"]]
        else:
            assert event["op"] == "insert" or data["after"]["v"] == folded[data["after"]["id"]] + 1
            folded[data["after"]["id"]] = data["after"]["v"]
    assert folded == rows(sharded)
    for node in {event["node"] for event in events}:
        lsns = [event["lsn"] for event in events if event["node"] == node]
        number = [int(high, 16) << 32 | int(low, 16) for high, low in (lsn.split("/") for lsn in lsns)]
        assert number == sorted(number)
    sharded["a"].execute("SELECT teamscale.undistribute_table('team')")
    assert poll(reader, "s") == []


def test_readers_at_two_nodes_do_not_read_at_once(sharded):
    sharded["a"].execute("SELECT teamscale.distribute_table('team', 'id')")
    create(sharded)
    sharded["a"].execute("INSERT INTO team SELECT g, 0 FROM generate_series(31, 60) AS g")
    first, second = sharded["b"].connect(), sharded["c"].connect()
    events = poll(first, "s", 20)
    assert error_of(lambda: poll(second, "s")).sqlstate == "55006"
    assert error_of(lambda: second.execute("SELECT teamscale.ack_events('s', %s)", [events[-1]["position"]])).sqlstate == "55000"
    first.execute("SELECT teamscale.ack_events('s', %s)", [events[-1]["position"]])
    first.close()
    rest = until(lambda: poll(second, "s", 100), "the next reader's turn")
    assert {e["id"] for e in rest}.isdisjoint(e["id"] for e in events) and len(rest) + len(events) == 30


def test_an_event_of_the_application_is_written_where_the_key_is(sharded):
    sharded["a"].execute("SELECT teamscale.distribute_table('team', 'id')")
    create(sharded, tables=["none.*"])
    for key in range(1, 7):
        sharded["a"].execute("SELECT teamscale.emit_event('moved', %s::text, '1', NULL, 'team')", [key])
    owners = {str(i): sharded["a"].value("SELECT teamscale.node_of('team', %s::text)", [i]) for i in range(1, 7)}
    events = poll(sharded["a"].connect(), "s")
    assert {json.loads(event["key"]): event["node"] for event in events} == owners and len(events) == 6


def test_a_node_that_does_not_answer(make_server, make_cluster):
    here, away = make_server(), make_server()
    cluster = make_cluster(servers=[here, away])
    cluster["a"].execute("CREATE TABLE team (id int PRIMARY KEY)")
    cluster["a"].execute("SELECT teamscale.distribute_table('team', 'id')")
    create(cluster)
    cluster["a"].execute("INSERT INTO team SELECT g FROM generate_series(1, 20) AS g")
    assert {event["node"] for event in poll(cluster["a"].connect(), "s")} == {"a", "b"}
    away.kill()
    reader = cluster["a"].connect()
    error = until(lambda: failure(reader), "the poll fails")
    assert error.sqlstate.startswith("08")
    some = reader.execute("SELECT node, id FROM teamscale.poll_events('s', partial => true)").fetchall()
    assert {node for node, _ in some} == {"a"}
    away.start()
    whole = until(lambda: answered(reader), "the node is back")
    assert {(event["node"], event["id"]) for event in whole} > set(some)


def failure(connection):
    try:
        connection.execute("SELECT * FROM teamscale.poll_events('s')")
    except psycopg.Error as error:
        return error
    return None


def answered(connection):
    try:
        return poll(connection, "s")
    except psycopg.Error:
        return None


def test_slots_of_a_stream_that_was_not_made_go(sharded):
    """One node's slots cannot be made while a transaction of its server writes: all that was made is dropped."""
    writer = sharded["b"].connect(autocommit=False)
    writer.execute("CREATE TABLE elsewhere ()")
    with sharded["a"].connect() as connection:
        connection.execute("SET statement_timeout = '1s'")
        assert error_of(lambda: connection.execute("SELECT teamscale.create_event_stream('s')")).sqlstate == "57014"
    writer.rollback()
    names = [node.name for node in sharded.nodes]
    sharded["a"].server.configure(**{"teamscale.stream_check_interval": "200ms"})
    until(
        lambda: sharded["a"].value("SELECT count(*) = 0 FROM pg_replication_slots WHERE database = ANY (%s)", [names]),
        "slots without a stream go",
    )
    create(sharded)
    assert len(sharded["c"].execute("SELECT * FROM teamscale.event_stream")) == 1


def test_existing_rows_of_all_nodes_are_read(sharded):
    sharded["a"].execute("SELECT teamscale.distribute_table('team', 'id')")
    create(sharded)
    sharded["b"].execute("CALL teamscale.snapshot_events('s', 'team', 3)")
    events = list(drain(sharded["a"].connect(), "s"))
    read = [event for event in events if event["op"] == "read"]
    assert {json.loads(event["key"])["id"] for event in read} == set(range(1, 31)) and len(read) == 30
    marks = [(event["node"], event["topic"]) for event in events if event["op"] == "event"]
    assert sorted(marks) == [(n, f"teamscale.snapshot.{w}") for n in "abc" for w in ("completed", "started")]
