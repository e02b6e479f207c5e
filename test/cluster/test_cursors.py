"""A cursor on one node's rows sees them as they are when it is opened, as a plain table's does."""

import pytest

from wire import Wire

KEYS = range(1, 13)

TABLE = [
    "CREATE TABLE t (k bigint NOT NULL, s int NOT NULL, r text DEFAULT 'web', PRIMARY KEY (k, s))",
    f"INSERT INTO t SELECT k, s FROM generate_series(1, {len(KEYS)}) AS k, generate_series(1, 5) AS s",
]

FUNCTIONS = [
    # A cursor variable that outlives a DELETE.
    """CREATE FUNCTION opened(key bigint) RETURNS int[] LANGUAGE plpgsql AS $$
    DECLARE c refcursor; n int; result int[];
    BEGIN
        OPEN c FOR SELECT s FROM t WHERE k = key ORDER BY s;
        DELETE FROM t WHERE k = key;
        LOOP FETCH c INTO n; EXIT WHEN NOT FOUND; result := result || n; END LOOP;
        RETURN result;
    END $$""",
    # A loop whose body changes what is yet to come.
    """CREATE FUNCTION looped(key bigint) RETURNS int[] LANGUAGE plpgsql AS $$
    DECLARE found int; result int[];
    BEGIN
        FOR found IN SELECT s FROM t WHERE k = key ORDER BY s LOOP
            DELETE FROM t WHERE k = key AND s >= found;
            result := result || found;
        END LOOP;
        RETURN result;
    END $$""",
    # A cursor that is handed to the caller.
    """CREATE FUNCTION handed(key bigint) RETURNS refcursor LANGUAGE plpgsql AS $$
    DECLARE c refcursor := 'handed';
    BEGIN OPEN c FOR SELECT s FROM t WHERE k = key ORDER BY s; RETURN c; END $$""",
]

# %(k)s is the key. Every step's rows are compared.
SCRIPTS = {
    "a delete after DECLARE": [
        "BEGIN", "DECLARE c CURSOR FOR SELECT s FROM t WHERE k = %(k)s ORDER BY s", "DELETE FROM t WHERE k = %(k)s",
        "FETCH ALL FROM c", "SELECT count(*) FROM t WHERE k = %(k)s",
    ],
    "inserts and updates after DECLARE": [
        "BEGIN", "DECLARE c CURSOR FOR SELECT s, r FROM t WHERE k = %(k)s ORDER BY s",
        "INSERT INTO t VALUES (%(k)s, 6, 'new')", "UPDATE t SET r = 'old' WHERE k = %(k)s", "FETCH 2 FROM c",
        "DELETE FROM t WHERE k = %(k)s", "FETCH ALL FROM c",
    ],
    "two cursors with a write between them": [
        "BEGIN", "DECLARE c CURSOR FOR SELECT s FROM t WHERE k = %(k)s ORDER BY s",
        "DELETE FROM t WHERE k = %(k)s AND s < 3", "DECLARE d CURSOR FOR SELECT s FROM t WHERE k = %(k)s ORDER BY s DESC",
        "FETCH 2 FROM d", "FETCH 2 FROM c", "DELETE FROM t WHERE k = %(k)s", "FETCH ALL FROM d", "FETCH ALL FROM c",
    ],
    "SCROLL": [
        "BEGIN", "DECLARE c SCROLL CURSOR FOR SELECT s FROM t WHERE k = %(k)s ORDER BY s", "DELETE FROM t WHERE k = %(k)s",
        "FETCH LAST FROM c", "FETCH PRIOR FROM c", "FETCH ABSOLUTE 2 FROM c", "FETCH BACKWARD ALL FROM c", "FETCH ALL FROM c",
    ],
    "WITH HOLD": [
        "BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT s FROM t WHERE k = %(k)s ORDER BY s", "FETCH 1 FROM c",
        "DELETE FROM t WHERE k = %(k)s AND s > 1", "COMMIT", "DELETE FROM t WHERE k = %(k)s", "FETCH ALL FROM c", "CLOSE c",
    ],
    "WITH HOLD outside a block": [
        "DECLARE c CURSOR WITH HOLD FOR SELECT s FROM t WHERE k = %(k)s ORDER BY s", "DELETE FROM t WHERE k = %(k)s",
        "FETCH ALL FROM c", "CLOSE c",
    ],
    "a savepoint that is rolled back": [
        "BEGIN", "SAVEPOINT one", "DELETE FROM t WHERE k = %(k)s AND s = 1",
        "DECLARE c CURSOR FOR SELECT s FROM t WHERE k = %(k)s ORDER BY s", "SAVEPOINT two",
        "DELETE FROM t WHERE k = %(k)s", "FETCH 1 FROM c", "ROLLBACK TO two", "FETCH ALL FROM c",
        "SELECT count(*) FROM t WHERE k = %(k)s",
    ],
    "FOR UPDATE": [
        "BEGIN", "DECLARE c CURSOR FOR SELECT s FROM t WHERE k = %(k)s ORDER BY s FOR UPDATE", "FETCH 1 FROM c",
        "UPDATE t SET r = 'x' WHERE k = %(k)s AND s = 1", "FETCH ALL FROM c",
    ],
    "a prepared statement": [
        "PREPARE p AS SELECT s FROM t WHERE k = $1 ORDER BY s", "BEGIN", "EXECUTE p(%(k)s)", "DELETE FROM t WHERE k = %(k)s",
        "EXECUTE p(%(k)s)",
    ],
    "a function that opens one": ["SELECT opened(%(k)s)"],
    "a function that loops": ["SELECT looped(%(k)s)"],
    "a cursor that a function hands over": [
        "BEGIN", "SELECT handed(%(k)s)", "DELETE FROM t WHERE k = %(k)s", "FETCH ALL FROM handed",
    ],
}


@pytest.fixture(scope="module")
def sides(module_cluster, shared_server):
    """A cluster's first node, a plain database, and a key of each node."""
    cluster = module_cluster(3)
    twin = shared_server.create_database()
    for statement in TABLE:
        twin.execute(statement)
        cluster["a"].execute(statement)
    owners = {}
    with cluster["a"].connect() as session:
        session.execute("SELECT teamscale.distribute_table('t', 'k', buckets => 16)")
        for statement in FUNCTIONS:
            twin.execute(statement)
            session.execute("SELECT teamscale.run_on_all_nodes(%s)", [statement])
        for key in KEYS:
            owners.setdefault(session.execute("SELECT teamscale.node_of('t', %s)", [key]).fetchone()[0], key)
    assert set(owners) == set("abc")
    yield cluster["a"], twin, owners
    shared_server.drop_database(twin)


@pytest.fixture
def key(sides):
    """A key of another node, whose rows a test finds and leaves whole."""
    cluster, twin, owners = sides
    yield owners["b"]
    for database in (cluster, twin):
        database.execute("DELETE FROM t WHERE k = %s", [owners["b"]])
        database.execute("INSERT INTO t SELECT %s, s FROM generate_series(1, 5) AS s", [owners["b"]])


def rows(cursor):
    return cursor.fetchall() if cursor.description else None


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_cursor_sees_the_rows_as_of_its_opening(sides, key, script):
    answers = []
    for database in sides[:2]:
        with database.connect() as session:
            answers.append([rows(session.execute(step % {"k": key})) for step in SCRIPTS[script]])
            session.execute("ROLLBACK" if "BEGIN" in SCRIPTS[script] else "SELECT")
    assert answers[0] == answers[1]


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_what_others_commit_after_its_opening_is_not_seen(sides, key, isolation):
    answers = []
    for database in sides[:2]:
        with database.connect() as session, database.connect() as other:
            session.execute(f"BEGIN ISOLATION LEVEL {isolation}")
            session.execute(f"DECLARE c CURSOR FOR SELECT s FROM t WHERE k = {key} ORDER BY s")
            other.execute(f"DELETE FROM t WHERE k = {key} AND s < 4")
            found = session.execute("FETCH ALL FROM c").fetchall()
            answers.append((found, session.execute(f"SELECT s FROM t WHERE k = {key} ORDER BY s").fetchall()))
            session.execute("ROLLBACK")
    assert answers[0] == answers[1]


@pytest.mark.parametrize("portal", ["", "named"])
@pytest.mark.parametrize("delete", ["DELETE FROM t WHERE k = {} AND s > 1", "DO 'BEGIN DELETE FROM t WHERE k = {} AND s > 1; END'"])
def test_portals_that_a_client_binds(sides, key, portal, delete):
    answers = []
    for database in sides[:2]:
        with Wire(database) as wire:
            found = [wire.query("BEGIN")]
            wire.bind(portal, f"SELECT s FROM t WHERE k = {key} ORDER BY s")
            wire.send("P", "delete", delete.format(key), b"\0\0")
            wire.send("B", "other", "delete", b"\0\0\0\0\0\0")
            wire.execute("other")
            wire.execute(portal, 2)
            wire.execute(portal, 2)
            wire.execute(portal)
            found.append(wire.sync())
            found.append(wire.query("ROLLBACK"))
            answers.append(found)
    assert answers[0] == answers[1]
    assert [row for row in answers[0][1] if isinstance(row, tuple)] == [(str(s),) for s in range(1, 6)]


def test_one_portal_is_one_round_trip(sides):
    """Rows are asked for once: a routed statement is sent when its cursor opens, and not again."""
    cluster, _, owners = sides
    with cluster.connect() as session:
        session.execute("BEGIN")
        session.execute("CREATE TEMP SEQUENCE calls")
        # A stable function is computed by the router, once for each time the statement is sent.
        session.execute("CREATE FUNCTION pg_temp.called() RETURNS bigint STABLE LANGUAGE sql AS $$SELECT nextval('calls')$$")
        session.execute("DECLARE c SCROLL CURSOR FOR SELECT s, pg_temp.called() FROM t WHERE k = %s ORDER BY s" % owners["b"])
        assert session.execute("SELECT nextval('calls')").fetchone() == (2,)
        assert len(session.execute("FETCH ALL FROM c").fetchall()) == 5
        session.execute("MOVE FIRST FROM c")
        session.execute("FETCH 1 FROM c")
        assert session.execute("SELECT nextval('calls')").fetchone() == (3,)
        session.execute("ROLLBACK")
