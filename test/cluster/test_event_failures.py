"""What stops a stream, and what does not: crashes, lost and re-created slots, promotion, the limit of retained log, snapshots."""

import json
import random
import threading

import psycopg
import pytest

from event_fold import drain, poll
from waiting import until


@pytest.fixture
def database(make_database):
    database = make_database()
    database.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    return database


@pytest.fixture
def own_database(make_server):
    database = make_server().create_database()
    database.execute("CREATE EXTENSION teamscale")
    database.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    return database


def create(database, arguments=""):
    database.execute(f"SELECT teamscale.create_event_stream('s'{arguments})")


def refusal(database):
    with pytest.raises(psycopg.Error) as caught:
        database.execute("SELECT * FROM teamscale.poll_events('s')")
    return caught.value


def slot_of(database):
    return database.value("SELECT slot FROM teamscale.stat_event_stream")


def test_ids_stay_over_a_crash_and_a_restart(own_database):
    create(own_database, ", transactions => true")
    for i in range(0, 50, 5):
        own_database.execute("INSERT INTO t SELECT g FROM generate_series(%s::int, %s::int) AS g", [i, i + 4])
    before = [event["payload"] for event in poll(own_database.connect(), "s")]
    own_database.server.kill()
    own_database.server.start()
    reader = own_database.connect()
    assert [event["payload"] for event in poll(reader, "s")] == before
    first = poll(reader, "s", 11)
    reader.execute("SELECT teamscale.ack_events('s', %s)", [first[-1]["position"]])
    reader.close()
    own_database.server.restart()
    assert [event["payload"] for event in poll(own_database.connect(), "s")] == before[11:]


def test_spilled_and_unspilled_transactions_give_the_same_bytes(database):
    create(database)
    database.execute("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 1000) AS g")
    reader = database.connect()
    whole = [event["payload"] for event in poll(reader, "s", 2000)]
    reader.execute("SET logical_decoding_work_mem = '64kB'")
    assert [event["payload"] for event in poll(reader, "s", 2000)] == whole
    assert until(lambda: database.value("SELECT spilled_transactions FROM teamscale.stat_event_stream"), "statistics of the spill") > 0


def test_a_slot_that_is_gone_stops_the_stream_and_says_what_is_missing(database):
    create(database)
    position = database.value("SELECT lsn FROM teamscale.stat_event_stream")
    database.execute("INSERT INTO t VALUES (1)")
    database.execute("SELECT pg_drop_replication_slot(%s)", [slot_of(database)])
    error = refusal(database)
    assert error.sqlstate == "55000" and "is gone" in error.diag.message_primary
    assert f"between {position} and " in error.diag.message_detail
    assert "restart_event_stream" in error.diag.message_hint
    ((node, missing_from, missing_to),) = database.execute("SELECT * FROM teamscale.restart_event_stream('s')")
    assert missing_from == position
    database.execute("INSERT INTO t VALUES (2)")
    assert [event["key"] for event in poll(database.connect(), "s")] == ['{"id":2}']
    assert database.execute("SELECT * FROM teamscale.restart_event_stream('s')") == []


def test_a_slot_that_was_made_anew_is_noticed(database):
    create(database)
    slot = slot_of(database)
    database.execute("SELECT pg_drop_replication_slot(%s)", [slot])
    database.execute("INSERT INTO t VALUES (1)")
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'teamscale')", [slot])
    assert "was made anew" in refusal(database).diag.message_primary
    assert database.value("SELECT state FROM teamscale.stat_event_stream") == "stopped"


def test_a_slot_that_somebody_else_moved_is_noticed(database):
    create(database)
    database.execute("INSERT INTO t VALUES (1)")
    database.execute("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", [slot_of(database)])
    assert "moved by somebody else" in refusal(database).diag.message_primary


def test_a_stream_that_holds_back_too_much_log_is_stopped(own_database):
    own_database.server.configure(**{"teamscale.stream_check_interval": "200ms"})
    create(own_database, ", max_retained_wal => 1000000")
    own_database.execute("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 3000) AS g")
    problem = "SELECT coalesce(problem, '') FROM teamscale.stat_event_stream"
    until(lambda: "max_retained_wal" in own_database.value(problem), "the stream is stopped")
    until(lambda: own_database.value("SELECT count(*) FROM pg_replication_slots") == 0, "the slot is given up")
    error = refusal(own_database)
    assert "max_retained_wal" in error.diag.message_primary and "are missing" in error.diag.message_detail


def test_log_that_the_server_removed_stops_the_stream(own_database):
    own_database.server.configure(max_slot_wal_keep_size="1MB", max_wal_size="32MB")
    own_database.execute("SELECT pg_switch_wal()")
    create(own_database)
    for _ in range(4):
        own_database.execute("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 100) AS g ON CONFLICT DO NOTHING")
        own_database.execute("SELECT pg_switch_wal()")
        own_database.execute("CHECKPOINT")
    assert "has removed log" in refusal(own_database).diag.message_primary


def test_an_idle_stream_lets_the_log_go(own_database):
    create(own_database, ", tables => '{public.t}'")
    own_database.execute("CREATE TABLE other (v text)")
    reader = own_database.connect()
    retained = []
    for _ in range(3):
        own_database.execute("INSERT INTO other SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
        own_database.execute("CHECKPOINT")
        assert poll(reader, "s") == []
        retained.append(own_database.value("SELECT retained_bytes FROM teamscale.stat_event_stream"))
    assert poll(reader, "s") == []
    assert retained[2] < 3 * 20000 * 1000
    own_database.execute("INSERT INTO t VALUES (1)")
    assert [event["op"] for event in poll(reader, "s")] == ["insert"]


def test_a_server_that_does_not_trust_the_plugin(own_database):
    server = own_database.server
    if not own_database.value("SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'"):
        pytest.skip("this release has no such setting")
    server.configure(output_plugin_libraries="pgoutput")
    until(lambda: own_database.value("SHOW output_plugin_libraries") == "pgoutput", "the setting")
    with pytest.raises(psycopg.Error) as caught:
        create(own_database)
    assert caught.value.sqlstate == "55000" and "output_plugin_libraries" in caught.value.diag.message_hint


def test_a_server_without_a_logical_log(own_database):
    own_database.server.configure(wal_level="replica")
    own_database.server.restart()
    with pytest.raises(psycopg.Error) as caught:
        create(own_database)
    assert caught.value.sqlstate == "55000" and "wal_level" in caught.value.diag.message_hint


def test_a_snapshot_under_writers_that_is_killed_and_goes_on_gives_the_table(own_database):
    create(own_database)
    own_database.execute("INSERT INTO t SELECT g, 'first' FROM generate_series(1, 2000) AS g")
    reader = own_database.connect()
    for _ in drain(reader, "s"):
        pass
    stop = threading.Event()
    problems = []

    def write(seed):
        dice = random.Random(seed)
        with own_database.connect() as connection:
            while not stop.is_set():
                key = dice.randrange(1, 2500)
                try:
                    connection.execute(
                        dice.choice(
                            [
                                "INSERT INTO t VALUES (%(k)s, 'new') ON CONFLICT (id) DO UPDATE SET v = t.v || '.'",
                                "UPDATE t SET v = 'u' || %(k)s WHERE id = %(k)s",
                                "UPDATE t SET id = id + 10000 WHERE id = %(k)s",
                                "DELETE FROM t WHERE id = %(k)s",
                            ]
                        ),
                        {"k": key},
                    )
                except psycopg.errors.UniqueViolation:
                    pass
                except psycopg.Error as error:
                    problems.append(error)
                    return

    writers = [threading.Thread(target=write, args=[seed]) for seed in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(3):  # killed again and again
            with own_database.connect() as caller:
                pid = caller.info.backend_pid
                killer = threading.Timer(0.3, lambda: own_database.execute("SELECT pg_terminate_backend(%s)", [pid]))
                killer.start()
                try:
                    caller.execute("CALL teamscale.snapshot_events('s', 't', 20)")
                except psycopg.Error:
                    pass
                killer.join()
        own_database.execute("CALL teamscale.snapshot_events('s', 't', 200)")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not problems
    table = {}
    for event in drain(reader, "s"):
        if event["op"] == "event":
            continue
        data = json.loads(event["payload"])["data"]
        table.pop(data.get("before", data["key"])["id"], None)
        if event["op"] != "delete":
            table[data["after"]["id"]] = data["after"]["v"]
    assert table == dict(own_database.execute("SELECT id, v FROM t"))


def test_notify_for_light_users(database):
    database.execute("CREATE TRIGGER n AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION teamscale.notify_event('changes')")
    listener = database.connect()
    listener.execute("LISTEN changes")
    database.execute("INSERT INTO t VALUES (1, 'x')")
    database.execute("DELETE FROM t")
    received = []
    for notification in listener.notifies(timeout=10, stop_after=2):
        received.append(json.loads(notification.payload))
    assert [(n["op"], n["table"], n["key"]) for n in received] == [("insert", "t", {"id": 1}), ("delete", "t", {"id": 1})]
