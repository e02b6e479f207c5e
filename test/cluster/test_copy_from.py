"""COPY FROM into a sharded table does what it does to a plain one, and keeps nothing anywhere when it fails."""

import threading
import time

import psycopg
import pytest

from layout import all_rows, rows_by_node, shard
from roles import make_roles

COLUMNS = """
    team_id bigint NOT NULL, id integer, name text DEFAULT 'unnamed', size numeric(8, 2) CHECK (size >= 0),
    tags text[], at timestamptz DEFAULT '2026-01-01 00:00+00', twice integer GENERATED ALWAYS AS (id * 2) STORED,
    flag boolean, PRIMARY KEY (team_id, id)"""
PLAIN = f"CREATE TABLE assignment ({COLUMNS})"
SHARDED = PLAIN + " PARTITION BY HASH (team_id)"


@pytest.fixture
def sharded(cluster):
    shard(cluster, SHARDED, "assignment", "bigint")
    return cluster


@pytest.fixture
def plain(twin):
    twin.execute(PLAIN)
    return twin


def copy(connection, command, data):
    """Runs a COPY with the data, in pieces; gives (SQLSTATE, CONTEXT's first line) of its error, or its row count."""
    try:
        with connection.cursor() as cursor:
            with cursor.copy(command) as stream:
                for start in range(0, len(data), 997):
                    stream.write(data[start:start + 997])
            return cursor.rowcount
    except psycopg.Error as error:
        context = (error.diag.context or "").split("\n")[0]
        return error.sqlstate, context.split(": ")[0].split(", column")[0]


TEXT = b"".join(b"%d\t%d\tteam %d\t%d.5\t{a,\"b c\"}\t2026-05-0%d 10:00+02\tt\n" % (i % 37, i, i, i, i % 9 + 1) for i in range(300))
CSV = b"team_id,id,name,size\n" + b"".join(b'%d,%d,"a ""quoted"" %d, name",%d\n' % (i % 37, i, i, i) for i in range(300))

GOOD = [
    ("COPY assignment (team_id, id, name, size, tags, at, flag) FROM STDIN", TEXT),
    ("COPY assignment (team_id, id, name, size) FROM STDIN (FORMAT csv, HEADER)", CSV),
    ("COPY assignment (team_id, id, name, size) FROM STDIN (FORMAT csv, HEADER match)", CSV),
    ("COPY assignment (id, team_id) FROM STDIN", b"".join(b"%d\t%d\n" % (i, i) for i in range(50))),
    ("COPY assignment (team_id, id, name) FROM STDIN (NULL 'x', DELIMITER '|')", b"1|1|x\n2|2|y\n3|3|x\n"),
    ("COPY assignment (team_id, id, name) FROM STDIN (FORMAT csv, FORCE_NULL (name), QUOTE '''')", b"1,1,''\n2,2,'a'\n3,3,\n"),
    ("COPY assignment (team_id, id, name) FROM STDIN WHERE team_id % 2 = 0 AND name <> 'c'", b"1\t1\ta\n2\t2\tb\n4\t3\tc\n6\t4\td\n"),
    ("COPY assignment (team_id, id, name) FROM STDIN (ENCODING 'latin1')", b"1\t1\t\xe4\n2\t2\t\xf6\n3\t3\t\xfc\n"),
    ("COPY assignment (team_id, id) FROM STDIN", b""),
    ("COPY assignment (team_id, id) FROM STDIN", b"1\t1\n\\.\n"),
]


def test_rows_are_those_of_a_plain_table(sharded, plain):
    connections = [node.connect() for node in sharded.nodes]
    plain = plain.connect()
    for number, (command, data) in enumerate(GOOD):
        expected = copy(plain, command, data)
        assert copy(connections[number % 3], command, data) == expected, command
        rows = plain.execute("SELECT * FROM assignment").fetchall()
        assert all_rows(sharded, "SELECT * FROM assignment") == sorted(rows, key=repr), command
        connections[0].execute("TRUNCATE assignment")
        plain.execute("TRUNCATE assignment")


def test_binary_rows_are_those_of_a_plain_table(sharded, plain):
    with plain.connect() as connection:
        connection.execute(
            "INSERT INTO assignment (team_id, id, name, size, tags) SELECT i % 20, i, NULLIF('n' || i, 'n7'), i, ARRAY['x', i::text]"
            " FROM generate_series(1, 100) AS i"
        )
        columns = "(team_id, id, name, size, tags, at, flag)"
        with connection.cursor().copy(f"COPY assignment {columns} TO STDOUT (FORMAT binary)") as stream:
            data = b"".join(bytes(piece) for piece in stream)
    assert copy(sharded["b"].connect(), f"COPY assignment {columns} FROM STDIN (FORMAT binary)", data) == 100
    assert all_rows(sharded, "SELECT * FROM assignment") == sorted(plain.execute("SELECT * FROM assignment"), key=repr)


def lines(bad_line, bad, count=60):
    return b"".join(bad if i == bad_line else b"%d\t%d\t%d\n" % (i, i, i) for i in range(1, count + 1))


BAD = {
    "check": b"%d\t%d\t-5\n",
    "not null": b"\\N\t%d\t5\n",
    "bad number": b"%d\tx\t5\n",
    "missing column": b"%d\t1\n",
    "extra column": b"%d\t1\t1\t1\n",
}


def test_an_error_names_the_line_and_nothing_is_kept(sharded, plain):
    command = "COPY assignment (team_id, id, size) FROM STDIN"
    connection = sharded["a"].connect()
    plain = plain.connect()
    for kind, bad in BAD.items():
        for line in [1, 2, 3, 17, 60]:
            data = lines(line, bad % (line, line)[: bad.count(b"%d")])
            state, context = copy(connection, command, data)
            assert state == copy(plain, command, data)[0], kind
            assert context == f"COPY assignment, line {line}", kind
            assert all_rows(sharded, "SELECT * FROM assignment") == []
    # The session is in step with its client, and its connections are of use again.
    assert copy(connection, command, lines(0, b"")) == 60
    assert len(all_rows(sharded, "SELECT * FROM assignment")) == 60


def test_a_duplicate_on_another_node_is_refused_with_its_line(sharded):
    connection = sharded["a"].connect()
    for team in range(1, 9):
        data = b"".join(b"%d\t%d\n" % (i, i) for i in range(1, 9)) + b"%d\t%d\n" % (team, team)
        state, context = copy(connection, "COPY assignment (team_id, id) FROM STDIN", data)
        assert (state, context) == ("23505", "COPY assignment, line 9")
    assert all_rows(sharded, "SELECT * FROM assignment") == []


def test_freeze_is_refused_with_a_hint(sharded):
    with pytest.raises(psycopg.errors.FeatureNotSupported) as raised:
        with sharded["a"].connect() as connection, connection.cursor().copy("COPY assignment FROM STDIN (FREEZE)"):
            pass
    assert raised.value.diag.message_hint == "Leave FREEZE out."


def test_a_default_is_evaluated_once_for_each_row_on_the_router(cluster):
    shard(
        cluster,
        "CREATE TABLE event (team_id bigint NOT NULL, at timestamptz DEFAULT now(), db text DEFAULT current_database(),"
        " note text) PARTITION BY HASH (team_id)",
        "event", "bigint",
    )
    copy(cluster["b"].connect(), "COPY event (team_id) FROM STDIN", b"".join(b"%d\n" % i for i in range(50)))
    rows = all_rows(cluster, "SELECT DISTINCT at, db FROM event")
    assert len(set(rows)) == 1 and rows[0][1] == cluster["b"].name


def test_whoever_may_insert_some_columns_copies_those(sharded):
    sharded["a"].execute("SELECT teamscale.run_on_all_nodes('GRANT INSERT (team_id, id) ON assignment TO PUBLIC')")
    make_roles(sharded, "loader")
    loader = sharded["a"].connect(user="loader")
    assert copy(loader, "COPY assignment (team_id, id) FROM STDIN", b"1\t1\n2\t2\n3\t3\n4\t4\n") == 4
    assert copy(loader, "COPY assignment (team_id, id, name) FROM STDIN", b"1\t9\tx\n")[0] == "42501"
    assert copy(loader, "COPY assignment (team_id, id) FROM STDIN WHERE id > 0", b"1\t9\n")[0] == "42501"
    assert set(all_rows(sharded, "SELECT name FROM assignment")) == {("unnamed",)}


def test_row_security_is_refused_as_by_a_plain_table(sharded):
    make_roles(sharded, "loader")
    for command in [
        "GRANT ALL ON assignment TO loader", "ALTER TABLE assignment ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY few ON assignment USING (team_id < 10)",
    ]:
        sharded["a"].execute("SELECT teamscale.run_on_all_nodes(%s)", [command])
    loader = sharded["b"].connect(user="loader")
    assert copy(loader, "COPY assignment (team_id, id) FROM STDIN", b"1\t1\n")[0] == "0A000"
    assert all_rows(sharded, "SELECT * FROM assignment") == []


OF_THE_TABLE = "ROW(3::bigint, 7, 'x'::text, now())"
KEEP, SEND = "teamscale_internal.keep_copied_row", "teamscale_internal.send_copied_row"
SMUGGLED = {
    "fewer columns": f"{KEEP}(:remote::bigint) OR {SEND}(ROW(1))",
    "other types": f"{KEEP}(:remote::bigint) OR {SEND}(ROW('a text'::text, 7, 'x'::text, now()))",
    "types in another order": f"{KEEP}(:remote::bigint) OR {SEND}(ROW(7, 3::bigint, 'x'::text, now()))",
    "a key of another type": f"{KEEP}(:remote::text)",
    "a row without an owner": f"{SEND}({OF_THE_TABLE})",
    "behind a row of this node": f"CASE id WHEN 1 THEN true ELSE {SEND}({OF_THE_TABLE}) END",
    "other types behind a row that was sent":
        f"CASE id WHEN 2 THEN {KEEP}(:remote::bigint) OR {SEND}(ROW('a text'::text, 7, 'x'::text, now())) ELSE true END",
}


@pytest.mark.parametrize("way", SMUGGLED)
def test_no_other_row_is_taken_for_the_one_that_copy_is_at(sharded, way):
    """Anybody may call the functions that COPY adds to its condition."""
    a = sharded["a"]
    owners = {a.value("SELECT teamscale.node_of('assignment', %s::bigint)", [team]): team for team in range(100)}
    condition = SMUGGLED[way].replace(":remote", str(owners["b"]))
    first = owners["b"] if "was sent" in way else owners["a"]
    data = b"%d\t1\n%d\t2\n" % (first, owners["a"])
    connection = a.connect()
    assert copy(connection, f"COPY assignment (team_id, id) FROM STDIN WHERE {condition}", data)[0] == "0A000"
    assert all_rows(sharded, "SELECT * FROM assignment") == []
    for call in [f"{KEEP}(1::bigint)", f"{SEND}({OF_THE_TABLE})"]:
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            connection.execute(f"SELECT {call}")


def test_a_trigger_of_local_rows_may_ask_the_nodes_that_rows_go_to(sharded):
    remote = next(i for i in range(100) if sharded["a"].value("SELECT teamscale.node_of('assignment', %s::bigint)", [i]) == "b")
    local = next(i for i in range(100) if sharded["a"].value("SELECT teamscale.node_of('assignment', %s::bigint)", [i]) == "a")
    for command in [
        "CREATE FUNCTION count_remote() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF NEW.team_id = {local} THEN SELECT count(*) INTO NEW.name FROM assignment WHERE team_id = {remote}; END IF;"
        " RETURN NEW; END $$",
        "CREATE TRIGGER count_remote BEFORE INSERT ON assignment FOR EACH ROW EXECUTE FUNCTION count_remote()",
    ]:
        sharded["a"].execute("SELECT teamscale.run_on_all_nodes(%s)", [command])
    data = b"".join(b"%d\t%d\n%d\t%d\n" % (remote, i, local, i) for i in range(5))
    connection = sharded["a"].connect()
    assert copy(connection, "COPY assignment (team_id, id) FROM STDIN", data) == 10
    seen = connection.execute("SELECT name FROM assignment WHERE team_id = %s ORDER BY id", [local]).fetchall()
    assert seen == [("1",), ("2",), ("3",), ("4",), ("5",)]
    # Each read ended the COPY to that node; an error in a later one still names the client's line.
    data = b"".join(b"%d\t%d\n%d\t%d\n" % (remote, i, local, i) for i in range(10, 13)) + b"%d\t%d\n" % (remote, 3)
    assert copy(connection, "COPY assignment (team_id, id) FROM STDIN", data) == ("23505", "COPY assignment, line 7")


def test_a_copy_that_fails_within_a_savepoint_leaves_the_rest(sharded):
    connection = sharded["a"].connect(autocommit=False)
    command = "COPY assignment (team_id, id, size) FROM STDIN"
    copy(connection, command, lines(0, b"", 20))
    with pytest.raises(psycopg.errors.CheckViolation):
        with connection.transaction(), connection.cursor().copy(command) as stream:
            stream.write(b"".join(b"%d\t100\t%d\n" % (i, 1 if i < 9 else -1) for i in range(10)))
    copy(connection, command, b"1\t200\t1\n2\t200\t1\n3\t200\t1\n")
    connection.commit()
    assert len(all_rows(sharded, "SELECT * FROM assignment")) == 23


def test_copy_to_is_refused_but_for_what_is_pinned(sharded):
    connection = sharded["a"].connect()
    copy(connection, "COPY assignment (team_id, id) FROM STDIN", b"1\t1\n2\t2\n3\t3\n")
    for command, state in [
        ("COPY assignment TO STDOUT", "42809"), ("COPY (SELECT * FROM assignment) TO STDOUT", "0A000"),
    ]:
        with pytest.raises(psycopg.Error) as raised, connection.cursor().copy(command) as stream:
            list(stream)
        assert raised.value.sqlstate == state and raised.value.diag.message_hint
    for team in [1, 2, 3]:
        with connection.cursor().copy(f"COPY (SELECT id FROM assignment WHERE team_id = {team}) TO STDOUT") as stream:
            assert b"".join(bytes(piece) for piece in stream) == b"%d\n" % team


def test_list_sharding_sends_values_to_their_nodes_and_refuses_others(cluster):
    shard(
        cluster, "CREATE TABLE site (region text NOT NULL, id integer) PARTITION BY LIST (region)", "site", "text",
        lists=[["eu", "it's"], ["us"], ["asia"]],
    )
    connection = cluster["c"].connect()
    assert copy(connection, "COPY site FROM STDIN", b"eu\t1\nit's\t2\nus\t3\nasia\t4\nus\t5\n") == 5
    assert rows_by_node(cluster, "site") == {"a": 2, "b": 2, "c": 1}
    assert copy(connection, "COPY site FROM STDIN", b"eu\t1\nmars\t2\n") == ("23514", "COPY site, line 2")
    assert copy(connection, "COPY site FROM STDIN", b"eu\t1\n\\N\t2\n") == ("23502", "COPY site, line 2")
    assert rows_by_node(cluster, "site") == {"a": 2, "b": 2, "c": 1}


def test_cancel_in_the_middle_keeps_nothing(sharded):
    connection = sharded["a"].connect()
    with pytest.raises(psycopg.errors.QueryCanceled):
        with connection.cursor().copy("COPY assignment (team_id, id) FROM STDIN") as stream:
            stream.write(b"".join(b"%d\t%d\n" % (i, i) for i in range(50000)))
            canceller = threading.Thread(target=connection.cancel)
            canceller.start()
            canceller.join()
            time.sleep(0.2)
            for i in range(50000, 60000):
                stream.write(b"%d\t%d\n" % (i, i))
    assert all_rows(sharded, "SELECT * FROM assignment") == []
    assert copy(connection, "COPY assignment (team_id, id) FROM STDIN", b"1\t1\n2\t2\n3\t3\n") == 3


def test_a_node_that_stops_in_the_middle_is_an_error_and_nothing_is_kept(make_cluster, make_server):
    servers = [make_server(), make_server()]
    cluster = make_cluster(servers=servers)
    shard(cluster, SHARDED, "assignment", "bigint")
    connection = cluster["a"].connect()
    started = time.monotonic()
    with pytest.raises(psycopg.Error) as raised:
        with connection.cursor().copy("COPY assignment (team_id, id) FROM STDIN") as stream:
            stream.write(b"".join(b"%d\t%d\n" % (i, i) for i in range(20000)))
            servers[1].kill()
            for start in range(20000, 60000, 1000):
                stream.write(b"".join(b"%d\t%d\n" % (i, i) for i in range(start, start + 1000)))
    assert raised.value.sqlstate in {"08006", "08000", "08003", "57P01", "57P02"}, raised.value
    assert time.monotonic() - started < 30
    servers[1].start()
    assert all_rows(cluster, "SELECT * FROM assignment") == []
    assert copy(connection, "COPY assignment (team_id, id) FROM STDIN", b"1\t1\n2\t2\n3\t3\n") == 3
