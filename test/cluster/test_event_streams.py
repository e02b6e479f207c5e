"""Event streams: reading, leases, positions, privileges, what a stream has, what it does when something fails."""

import json

import psycopg
import pytest

from event_fold import drain, poll
from waiting import until


@pytest.fixture
def database(make_database):
    database = make_database()
    database.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    return database


def create(database, name="s", **options):
    arguments = "".join(f", {option} => %({option})s" for option in options)
    database.execute(f"SELECT teamscale.create_event_stream('{name}'{arguments})", options)


def ops(events):
    return [(event["op"], event["key"]) for event in events]


def data(event):
    return json.loads(event["payload"])["data"]


def ack(connection, event, stream="s"):
    connection.execute("SELECT teamscale.ack_events(%s, %s)", [stream, event["position"]])


def refused(connection, sql, parameters=None):
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(sql, parameters)
    return caught.value


def test_polling_consumes_nothing_and_acking_goes_on(database):
    create(database)
    for i in range(5):
        database.execute("INSERT INTO t VALUES (%s)", [i])
    reader = database.connect()
    first = poll(reader, "s", 2)
    assert [event["id"] for event in poll(reader, "s", 3)][:2] == [event["id"] for event in first]
    ack(reader, first[1])
    assert ops(poll(reader, "s")) == [("insert", f'{{"id":{i}}}') for i in (2, 3, 4)]


def test_an_ack_that_is_rolled_back_has_not_been(database):
    create(database)
    database.execute("INSERT INTO t VALUES (1), (2)")
    reader = database.connect(autocommit=False)
    events = poll(reader, "s")
    ack(reader, events[-1])
    assert poll(reader, "s") == []
    reader.rollback()
    assert [event["id"] for event in poll(reader, "s")] == [event["id"] for event in events]


def test_a_large_transaction_is_read_in_pieces(database):
    create(database, transactions=True)
    database.execute("INSERT INTO t SELECT g, repeat('x', g %% 50) FROM generate_series(1, 500) AS g", [])
    database.execute("UPDATE t SET v = 'y' WHERE id < 100")
    reader = database.connect()
    pieces = list(drain(reader, "s", max_events=7))
    assert [event["op"] for event in pieces] == ["begin"] + ["insert"] * 500 + ["commit", "begin"] + ["update"] * 99 + ["commit"]
    assert len({event["id"] for event in pieces}) == len(pieces)


def test_one_session_reads_at_a_time(database):
    create(database)
    database.execute("INSERT INTO t VALUES (1), (2)")
    reader, other = database.connect(), database.connect()
    events = poll(reader, "s", 1)
    error = refused(other, "SELECT * FROM teamscale.poll_events('s')")
    assert error.sqlstate == "55006"
    assert str(reader.info.backend_pid) in error.diag.message_detail
    assert refused(other, "SELECT teamscale.ack_events('s', %s)", [events[0]["position"]]).sqlstate == "55000"
    ack(reader, events[0])
    assert ops(poll(other, "s")) == [("insert", '{"id":2}')]
    other.close()
    # A reader that died had not acked: the next one reads the same.
    assert ops(until(lambda: poll(reader, "s", max_wait="1s"), "the lease of a session that ended")) == [("insert", '{"id":2}')]


def test_a_poll_waits_for_an_event(database):
    create(database)
    reader, writer = database.connect(), database.connect()
    reader.execute("SET statement_timeout = '20s'")
    import threading

    found = []
    thread = threading.Thread(target=lambda: found.extend(poll(reader, "s", max_wait="15s")))
    thread.start()
    until(lambda: database.value("SELECT count(*) FROM pg_replication_slots WHERE active"), "the reader decodes")
    writer.execute("INSERT INTO t VALUES (7)")
    thread.join(20)
    assert ops(found) == [("insert", '{"id":7}')]


def test_a_timeout_in_a_poll_leaves_the_stream_as_it_was(database):
    create(database)
    reader = database.connect()
    reader.execute("SET statement_timeout = '200ms'")
    assert refused(reader, "SELECT * FROM teamscale.poll_events('s', 10, '10s')").sqlstate == "57014"
    reader.execute("SET statement_timeout = 0")
    database.execute("INSERT INTO t VALUES (1)")
    assert len(poll(reader, "s")) == 1


def test_ids_are_the_same_in_every_stream_and_format(database):
    create(database, "all", transactions=True)
    create(database, "some", format="debezium", exclude_tables=["public.t"], ddl=True)
    create(database, "rows", format="row", exclude_tables=["*.t"], row_filter=["public.u WHERE id > 1"])
    database.execute("CREATE TABLE u (id int PRIMARY KEY)")
    with database.connect(autocommit=False) as writer:
        writer.execute("INSERT INTO t VALUES (1), (2)")
        writer.execute("INSERT INTO u VALUES (1), (2)")
        writer.commit()
    reader = database.connect()
    ids = {stream: {e["id"]: e["key"] for e in poll(reader, stream) if e["op"] == "insert"} for stream in ("all", "some", "rows")}
    assert len(ids["all"]) == 4
    assert ids["some"].items() < ids["all"].items() and len(ids["some"]) == 2
    assert ids["rows"].items() < ids["some"].items() and len(ids["rows"]) == 1


def test_unchanged_large_values_are_marked(database):
    database.execute("ALTER TABLE t ALTER v SET STORAGE EXTERNAL, ADD COLUMN n int")
    create(database)
    create(database, "d", format="debezium")
    create(database, "r", format="row")
    database.execute("INSERT INTO t VALUES (1, repeat('x', 10000), 1)")
    database.execute("UPDATE t SET n = 2")
    database.execute("ALTER TABLE t REPLICA IDENTITY FULL")
    database.execute("UPDATE t SET n = 3")
    reader = database.connect()
    _, partial, whole = [data(event) for event in poll(reader, "s")]
    assert partial["after"] == {"id": 1, "n": 2} and partial["unchanged"] == ["v"]
    assert whole["after"] == {"id": 1, "v": "x" * 10000, "n": 3} and whole["changed"] == ["n"] and "unchanged" not in whole
    assert json.loads(poll(reader, "d")[1]["payload"])["after"]["v"] == "__debezium_unavailable_value"
    assert json.loads(poll(reader, "r")[1]["payload"]) == {"id": 1, "n": 2, "": {"op": "update", "unchanged": ["v"]}}


def test_rows_enter_and_leave_by_the_filter(database):
    database.execute("ALTER TABLE t REPLICA IDENTITY FULL")
    create(database, row_filter=["public.t WHERE v LIKE 'eu%'"])
    for sql in (
        "INSERT INTO t VALUES (1, 'eu-1'), (2, 'us-1'), (3, NULL)",
        "UPDATE t SET v = 'us-2' WHERE id = 1",
        "UPDATE t SET v = 'eu-3' WHERE id = 2",
        "UPDATE t SET v = 'eu-4' WHERE id = 2",
        "DELETE FROM t",
    ):
        database.execute(sql)
    assert ops(poll(database.connect(), "s")) == [
        ("insert", '{"id":1}'), ("delete", '{"id":1}'), ("insert", '{"id":2}'), ("update", '{"id":2}'), ("delete", '{"id":2}'),
    ]


@pytest.mark.parametrize(
    "options, sqlstate",
    [
        ({"format": "avro"}, "22023"),
        ({"tables": ["t"]}, "22023"),
        ({"columns": ["public.t"]}, "22023"),
        ({"bigint_as": "float"}, "22023"),
        ({"origin": "mine"}, "22023"),
        ({"schemas": True}, "22023"),
        ({"row_filter": ["public.t"]}, "22023"),
        ({"row_filter": ["public.t WHERE v = 'x'"]}, "55000"),  # v is not of the key
        ({"row_filter": ["public.t WHERE id > (SELECT 1)"]}, "0A000"),
        ({"row_filter": ["public.t WHERE id > random()"]}, "0A000"),
        ({"row_filter": ["public.t WHERE gone > 1"]}, "42703"),
        ({"row_filter": ["public.t WHERE t IS NULL"]}, "42703"),
        ({"row_filter": ["public.t WHERE ctid IS NULL"]}, "42703"),
        ({"row_filter": ["public.t WHERE mine(id)"]}, "0A000"),
        ({"max_retained_wal": 0}, "22023"),
    ],
)
def test_bad_options_are_refused_before_anything_is_made(database, options, sqlstate):
    database.execute("CREATE FUNCTION public.mine(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true'")
    with pytest.raises(psycopg.Error) as caught:
        create(database, **options)
    # Names in a filter are those of pg_catalog, so a function of a user's is not even found.
    assert caught.value.sqlstate == sqlstate or caught.value.sqlstate == "42883"
    assert database.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()") == 0


def test_the_extension_is_not_dropped_before_the_slots_of_its_streams(database):
    create(database)
    slots = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"
    with pytest.raises(psycopg.errors.DependentObjectsStillExist, match="holding back the log"):
        database.execute("DROP EXTENSION teamscale CASCADE")
    database.execute("SELECT teamscale.drop_event_stream('s')")
    until(lambda: database.value(slots) == 0, "the slot is dropped")
    database.execute("DROP EXTENSION teamscale")


def test_keyless_tables_are_warned_of_and_marked(database):
    database.execute("CREATE TABLE loose (a int)")
    connection = database.connect()
    notices = []
    connection.add_notice_handler(lambda notice: notices.append((notice.severity, notice.message_detail)))
    connection.execute("SELECT teamscale.create_event_stream('s')")
    ((severity, detail),) = notices
    assert severity == "WARNING" and "loose" in detail
    connection.execute("INSERT INTO loose VALUES (1)")
    connection.execute("DELETE FROM loose")
    insert, delete = poll(connection, "s")
    assert insert["key"] is None and "keyless" not in data(insert)
    assert data(delete) == {"key": None, "keyless": True}


def test_partitions_come_under_their_parents_name(database):
    database.execute("CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)")
    database.execute("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)")
    database.execute("CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)")
    create(database)
    create(database, "leaves", partitions=True)
    for sql in ("INSERT INTO p VALUES (1), (11)", "UPDATE p SET id = 12 WHERE id = 1", "TRUNCATE p1", "TRUNCATE p"):
        database.execute(sql)
    reader = database.connect()
    events = poll(reader, "s")
    assert {event["table"] for event in events} == {"p"}
    assert [event["op"] for event in events] == ["insert", "insert", "delete", "insert", "truncate", "truncate"]
    assert data(events[4]) == {"key": None, "partition": "public.p1"} and data(events[5]) == {"key": None}
    assert [event["table"] for event in poll(reader, "leaves")] == ["p1", "p2", "p1", "p2", "p1", "p1", "p2"]


def test_a_table_that_is_made_later_joins_by_its_name(database):
    create(database, tables=["public.team*"])
    database.execute("CREATE TABLE team_later (id int PRIMARY KEY)")
    database.execute("INSERT INTO t VALUES (1)")
    database.execute("INSERT INTO team_later VALUES (1)")
    database.execute("ALTER TABLE team_later RENAME TO other")
    database.execute("INSERT INTO other VALUES (2)")
    assert [(e["table"], e["key"]) for e in poll(database.connect(), "s")] == [("team_later", '{"id":1}')]


def test_events_of_a_schema_that_was_dropped_meanwhile(database):
    create(database)
    database.execute("CREATE SCHEMA brief")
    database.execute("CREATE TABLE brief.t (id int PRIMARY KEY, e text)")
    database.execute("INSERT INTO brief.t VALUES (1, 'kept')")
    database.execute("DROP SCHEMA brief CASCADE")
    (event,) = poll(database.connect(), "s")
    assert (event["schema"], event["table"], data(event)["after"]) == ("brief", "t", {"id": 1, "e": "kept"})


def test_ddl_events_are_in_order_with_the_rows_that_refer_to_their_schema(database):
    create(database, ddl=True)
    with database.connect(autocommit=False) as writer:
        writer.execute("INSERT INTO t VALUES (1, 'a')")
        writer.execute("ALTER TABLE t ADD COLUMN n int DEFAULT 5")
        writer.execute("INSERT INTO t VALUES (2, 'b')")
        writer.commit()
    database.execute("DROP TABLE t")
    before, ddl, after, drop = poll(database.connect(), "s")
    assert data(before)["after"] == {"id": 1, "v": "a"} and data(after)["after"] == {"id": 2, "v": "b", "n": 5}
    command = data(ddl)
    assert (command["tag"], command["object"], command["statement"]) == ("ALTER TABLE", "public.t", "ALTER TABLE t ADD COLUMN n int DEFAULT 5")
    version = [json.loads(event["payload"])["dataschema"].rpartition(":")[2] for event in (before, after)]
    assert command["schemaVersion"] == version[1] != version[0]
    assert data(drop)["dropped"] is True


def test_an_outbox_without_a_table(database):
    create(database)
    create(database, "without", events=False)
    with database.connect(autocommit=False) as writer:
        writer.execute("INSERT INTO t VALUES (1)")
        writer.execute("""SELECT teamscale.emit_event('order.created', 'k"1', '{"n": 1.0}', '{"trace": "a"}')""")
        writer.commit()
        writer.execute("SELECT teamscale.emit_event('never', NULL, 'null')")
        writer.rollback()
    reader = database.connect()
    _, event = poll(reader, "s")
    assert (event["op"], event["topic"], event["key"]) == ("event", "order.created", '"k\\"1"')
    assert '"data":{"n": 1.0}' in event["payload"]
    assert [e["op"] for e in poll(reader, "without")] == ["insert"]


def test_nobody_forges_messages_of_ours(database):
    create(database, messages=["*"], ddl=True)
    database.execute("SELECT pg_logical_emit_message(true, 'teamscale x ddl', 'not json')")
    database.execute("SELECT pg_logical_emit_message(false, 'teamscale', '\\x00ff'::bytea)")
    database.execute("CREATE TABLE flushed ()")  # only a commit flushes the log
    first, second, _ = poll(database.connect(), "s")
    assert [first["op"], second["op"]] == ["message", "message"]
    assert data(first) == {"prefix": "teamscale x ddl", "transactional": True, "content": "bm90IGpzb24="}
    assert second["committed_at"] is None and data(second)["transactional"] is False


def test_changes_of_a_replication_origin_can_be_left_out(database):
    create(database)
    create(database, "own", origin="none")
    database.execute("SELECT pg_replication_origin_create('elsewhere %s')" % database.name)
    with database.connect() as applier:
        applier.execute("SELECT pg_replication_origin_session_setup('elsewhere %s')" % database.name)
        applier.execute("INSERT INTO t VALUES (1)")
    database.execute("SELECT pg_replication_origin_drop('elsewhere %s')" % database.name)
    database.execute("INSERT INTO t VALUES (2)")
    reader = database.connect()
    assert [event["key"] for event in poll(reader, "s")] == ['{"id":1}', '{"id":2}']
    assert [event["key"] for event in poll(reader, "own")] == ['{"id":2}']


def test_who_may_read_and_who_may_change(database):
    for role in ("owner", "granted", "selecting", "nobody"):
        database.execute(f"CREATE ROLE {database.name}_{role} LOGIN {'REPLICATION' if role == 'owner' else ''}")
    try:
        as_role = {role: database.connect(user=f"{database.name}_{role}") for role in ("owner", "granted", "selecting", "nobody")}
        error = refused(as_role["nobody"], "SELECT teamscale.create_event_stream('s')")
        assert error.sqlstate == "42501" and "REPLICATION" in error.diag.message_hint
        as_role["owner"].execute("SELECT teamscale.create_event_stream('s')")
        as_role["owner"].execute(f"SELECT teamscale.grant_event_stream('s', '{database.name}_granted')")
        database.execute(f"GRANT SELECT ON t TO {database.name}_selecting")
        database.execute("INSERT INTO t VALUES (1)")
        for role in ("owner", "granted", "selecting"):
            events = poll(as_role[role], "s")
            assert ops(events) == [("insert", '{"id":1}')]
            as_role[role].close()
        assert refused(as_role["nobody"], "SELECT * FROM teamscale.poll_events('s', 1, '5s')").sqlstate == "42501"
        assert refused(as_role["nobody"], "SELECT teamscale.drop_event_stream('s')").sqlstate == "42501"
        assert refused(as_role["nobody"], "SELECT teamscale.emit_event('a', 'b', '1')").sqlstate == "42501"
    finally:
        for connection in as_role.values():
            connection.close()
        database.execute(f"DROP OWNED BY {database.name}_selecting")
        for role in ("owner", "granted", "selecting", "nobody"):
            database.execute(f"DROP ROLE {database.name}_{role}")


def test_what_is_too_large_becomes_a_poison_event(database):
    create(database)
    reader = database.connect()
    database.execute("INSERT INTO t VALUES (1, repeat('x', 5000)), (2, 'small')")
    reader.execute("SET teamscale.max_event_size = '2kB'")
    poison, small = poll(reader, "s")
    assert (poison["op"], poison["key"]) == ("poison", '{"id":1}')
    assert "max_event_size" in data(poison)["reason"] and data(poison)["key"] == {"id": 1}
    assert small["op"] == "insert"
    reader.execute("RESET teamscale.max_event_size")
    assert [event["id"] for event in poll(reader, "s")] == [poison["id"], small["id"]]


def test_an_error_in_an_output_function_becomes_a_poison_event(database):
    """An enum value out of which its label has been taken: enum_out() fails each time."""
    database.execute("CREATE TYPE mood AS ENUM ('ok', 'doomed')")
    database.execute("CREATE TABLE moods (id int PRIMARY KEY, m mood)")
    create(database)
    # As a catalog that was damaged: the label is gone before the rows are written.
    database.execute("INSERT INTO moods VALUES (1, 'ok')")
    with database.connect(autocommit=False) as writer:
        writer.execute("CREATE TEMPORARY TABLE kept AS SELECT 'doomed'::mood AS m")
        writer.execute("DELETE FROM pg_enum WHERE enumlabel = 'doomed'")
        writer.execute("INSERT INTO moods SELECT g, k.m FROM generate_series(2, 4) AS g, kept AS k")
        writer.execute("INSERT INTO moods VALUES (5, 'ok')")
        writer.commit()
    database.execute("INSERT INTO moods VALUES (6, 'ok')")
    reader = database.connect()
    events = list(drain(reader, "s"))
    assert [event["op"] for event in events] == ["insert", "poison", "poison", "poison", "insert", "insert"]
    assert "enum" in data(events[1])["reason"]
    assert len({event["id"] for event in events}) == 6


def test_bytes_that_are_no_utf8_become_a_poison_event(shared_server):
    """A database in SQL_ASCII holds whatever it was given."""
    name = "event_ascii"
    shared_server.database("postgres").execute(
        f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    database = shared_server.database(name)
    try:
        database.execute("CREATE EXTENSION teamscale")
        database.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        create(database)
        database.execute("INSERT INTO t VALUES (1, E'\\xff'), (2, 'fine')")
        poison, fine = poll(database.connect(client_encoding="utf8"), "s")
        assert (poison["op"], fine["op"]) == ("poison", "insert") and "UTF-8" in data(poison)["reason"]
        database.execute("SELECT teamscale.drop_event_stream('s')")
        until(lambda: not database.value("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"), "the slot stays")
    finally:
        shared_server.drop_database(database)


def test_the_output_plugin_takes_options_by_name(database):
    database.execute("SELECT pg_create_logical_replication_slot(%s, 'teamscale')", [f"{database.name}_slot"])
    database.execute("INSERT INTO t VALUES (1)")
    peek = "SELECT data FROM pg_logical_slot_peek_changes(%s, NULL, NULL, VARIADIC %s)"
    slot = f"{database.name}_slot"
    connection = database.connect()
    assert connection.execute(peek, [slot, ["format", "row"]]).fetchall() == [('{"id":1,"v":null}',)]
    assert "unknown option" in str(refused(connection, peek, [slot, ["colour", "red"]]))
    assert "given twice" in str(refused(connection, peek, [slot, ["format", "row", "format", "row"]]))
    assert "does not exist" in str(refused(connection, peek, [slot, ["stream", "none"]]))
    create(database)
    assert "contradicts" in str(refused(connection, peek, [slot, ["stream", "s", "format", "row"]]))
    assert "unknown option" in str(refused(connection, peek, [slot, ["stream_id", "1"]]))
    # The session's own settings are as they were.
    connection.execute("SET DateStyle = 'SQL, DMY'")
    connection.execute(peek, [slot, ["format", "row"]])
    assert connection.execute("SHOW DateStyle").fetchone() == ("SQL, DMY",)
    connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])


def test_slots_go_with_their_stream_and_leftovers_go(database):
    create(database)
    slot = database.value("SELECT slot FROM teamscale.stat_event_stream")
    connection = database.connect()
    connection.execute("SELECT pg_create_logical_replication_slot(%s, 'teamscale')", ["teamscale_0_" + "0123456789abcdef" * 2])
    connection.execute("SELECT teamscale.drop_event_stream('s')")
    until(lambda: not connection.execute("SELECT 1 FROM pg_replication_slots WHERE database = current_database()").fetchall(), slot)


def test_a_stream_is_not_made_in_a_transaction_that_has_written(database):
    connection = database.connect(autocommit=False)
    connection.execute("INSERT INTO t VALUES (1)")
    assert refused(connection, "SELECT teamscale.create_event_stream('s')").sqlstate == "25001"
