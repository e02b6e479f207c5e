"""SET CONSTRAINTS holds on every node that the transaction uses, then or later, as on one server."""

import psycopg
import pytest

from teams import refused

KEYS = range(1, 13)

TABLES = [
    "CREATE SCHEMA hidden",
    "CREATE TABLE par (k bigint, id int, PRIMARY KEY (k, id))",
    "CREATE TABLE chi (k bigint, id int, par int, place int, PRIMARY KEY (k, id))",
    "CREATE TABLE hidden.late (k bigint, id int, par int, PRIMARY KEY (k, id))",
    # What only the first node has, with constraints of its own.
    "CREATE TABLE plain (id int PRIMARY KEY, up int CONSTRAINT of_plain REFERENCES plain DEFERRABLE)",
]

CONSTRAINTS = [
    "ALTER TABLE chi ADD CONSTRAINT of_par FOREIGN KEY (k, par) REFERENCES par DEFERRABLE",
    "ALTER TABLE chi ADD CONSTRAINT places UNIQUE (k, place) DEFERRABLE",
    "ALTER TABLE hidden.late ADD CONSTRAINT late_par FOREIGN KEY (k, par) REFERENCES par DEFERRABLE INITIALLY DEFERRED",
]

FUNCTIONS = [
    """CREATE FUNCTION put_off(key bigint, kept boolean) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        BEGIN
            SET CONSTRAINTS ALL DEFERRED;
            INSERT INTO chi VALUES (key, 1, 1);
            IF NOT kept THEN RAISE EXCEPTION 'not kept'; END IF;
        EXCEPTION WHEN raise_exception THEN NULL;
        END;
        INSERT INTO chi VALUES (key, 2, 2);
    END $$""",
    """CREATE FUNCTION caught(key bigint) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO hidden.late VALUES (key, 1, 1);
        BEGIN
            SET CONSTRAINTS ALL IMMEDIATE;
        EXCEPTION WHEN foreign_key_violation THEN
            INSERT INTO par VALUES (key, 1);
            RETURN 'caught';
        END;
        RETURN 'none';
    END $$""",
]

# {x} and {y} are keys of two other nodes, {z} one of this node.
SCRIPTS = {
    "all deferred": [
        "BEGIN", "SET CONSTRAINTS ALL DEFERRED", "INSERT INTO chi VALUES ({x}, 1, 1)", "INSERT INTO chi VALUES ({z}, 1, 1)",
        "INSERT INTO par VALUES ({x}, 1)", "INSERT INTO par VALUES ({z}, 1)", "COMMIT", "SELECT * FROM chi WHERE k = {x}",
    ],
    "one by its name": [
        "BEGIN", "SET CONSTRAINTS of_par DEFERRED", "INSERT INTO chi VALUES ({x}, 1, 1, 1)", "INSERT INTO chi VALUES ({x}, 2, 1, 1)",
    ],
    "one by its schema and name, of several": [
        "BEGIN", "SET CONSTRAINTS hidden.late_par, public.of_par IMMEDIATE", "INSERT INTO hidden.late VALUES ({x}, 1, 1)",
    ],
    "one in the search_path of then": [
        "SET search_path = hidden, public", "BEGIN", "SET CONSTRAINTS late_par IMMEDIATE", "SET search_path = public",
        "INSERT INTO hidden.late VALUES ({x}, 1, 1)",
    ],
    "unique, deferrable": [
        "BEGIN", "SET CONSTRAINTS places DEFERRED", "INSERT INTO par VALUES ({x}, 1)",
        "INSERT INTO chi VALUES ({x}, 1, 1, 1), ({x}, 2, 1, 2)", "UPDATE chi SET place = 2 WHERE k = {x} AND id = 1",
        "UPDATE chi SET place = 1 WHERE k = {x} AND id = 2", "COMMIT", "SELECT * FROM chi WHERE k = {x} ORDER BY id",
    ],
    "what is missing at COMMIT": [
        "BEGIN", "SET CONSTRAINTS ALL DEFERRED", "INSERT INTO chi VALUES ({x}, 1, 1)", "COMMIT", "SELECT * FROM chi WHERE k = {x}",
    ],
    "a session that is open before": [
        "BEGIN", "SELECT * FROM par WHERE k = {x}", "INSERT INTO par VALUES ({y}, 9)", "SET CONSTRAINTS ALL DEFERRED",
        "INSERT INTO chi VALUES ({x}, 1, 1)", "INSERT INTO chi VALUES ({y}, 1, 1)", "INSERT INTO par VALUES ({x}, 1), ({y}, 1)", "COMMIT",
    ],
    "immediate fires what is missing": [
        "BEGIN", "INSERT INTO hidden.late VALUES ({x}, 1, 1)", "SET CONSTRAINTS ALL IMMEDIATE",
    ],
    "immediate fires what is missing on the second node": [
        "BEGIN", "INSERT INTO hidden.late VALUES ({x}, 1, 1)", "INSERT INTO par VALUES ({x}, 1)",
        "INSERT INTO hidden.late VALUES ({y}, 1, 1)", "SET CONSTRAINTS hidden.late_par IMMEDIATE",
    ],
    "immediate, before the first row": ["BEGIN", "SET CONSTRAINTS ALL IMMEDIATE", "INSERT INTO hidden.late VALUES ({x}, 1, 1)"],
    "immediate, in a savepoint": [
        "BEGIN", "INSERT INTO hidden.late VALUES ({x}, 1, 1)", "SAVEPOINT s", "SET CONSTRAINTS ALL IMMEDIATE", "ROLLBACK TO s",
        "INSERT INTO hidden.late VALUES ({x}, 2, 1)", "INSERT INTO par VALUES ({x}, 1)", "COMMIT",
    ],
    "there and back": [
        "BEGIN", "SET CONSTRAINTS ALL DEFERRED", "INSERT INTO chi VALUES ({x}, 1, 1)", "INSERT INTO par VALUES ({x}, 1)",
        "SET CONSTRAINTS ALL IMMEDIATE", "INSERT INTO chi VALUES ({x}, 2, 2)",
    ],
    "order": [
        "BEGIN", "SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS of_par IMMEDIATE", "INSERT INTO chi VALUES ({x}, 1, 1)",
    ],
    "rolled back with its savepoint": [
        "BEGIN", "SAVEPOINT s", "SET CONSTRAINTS ALL DEFERRED", "INSERT INTO chi VALUES ({x}, 1, 1)", "ROLLBACK TO s",
        "INSERT INTO chi VALUES ({x}, 1, 1)",
    ],
    "rolled back with its savepoint, before any row": [
        "BEGIN", "SAVEPOINT s", "SET CONSTRAINTS ALL DEFERRED", "ROLLBACK TO s", "INSERT INTO chi VALUES ({x}, 1, 1)",
    ],
    "of before a savepoint that is rolled back": [
        "BEGIN", "SET CONSTRAINTS ALL DEFERRED", "SAVEPOINT s", "INSERT INTO chi VALUES ({x}, 1, 1)", "ROLLBACK TO s",
        "INSERT INTO chi VALUES ({x}, 2, 1)", "INSERT INTO par VALUES ({x}, 1)", "COMMIT", "SELECT id FROM chi WHERE k = {x}",
    ],
    "of between savepoints": [
        "BEGIN", "INSERT INTO par VALUES ({x}, 5)", "SAVEPOINT s", "SET CONSTRAINTS ALL DEFERRED", "SAVEPOINT t",
        "INSERT INTO chi VALUES ({x}, 1, 1)", "ROLLBACK TO t", "INSERT INTO chi VALUES ({x}, 2, 2)", "ROLLBACK TO s",
        "INSERT INTO chi VALUES ({x}, 3, 3)",
    ],
    "kept when its savepoint is released": [
        "BEGIN", "INSERT INTO par VALUES ({x}, 5)", "SAVEPOINT s", "SET CONSTRAINTS ALL DEFERRED", "INSERT INTO chi VALUES ({x}, 1, 1)",
        "RELEASE s", "SAVEPOINT t", "INSERT INTO chi VALUES ({y}, 1, 1)", "ROLLBACK TO t", "INSERT INTO chi VALUES ({x}, 2, 1)",
        "INSERT INTO par VALUES ({x}, 1)", "COMMIT",
    ],
    "gone with its transaction": ["BEGIN", "SET CONSTRAINTS ALL DEFERRED", "COMMIT", "BEGIN", "INSERT INTO chi VALUES ({x}, 1, 1)"],
    "gone with its transaction, which failed": [
        "BEGIN", "SET CONSTRAINTS ALL DEFERRED", "SELECT 1 / 0", "ROLLBACK", "BEGIN", "INSERT INTO chi VALUES ({x}, 1, 1)",
    ],
    "many rows and COPY": [
        "BEGIN", "SET CONSTRAINTS ALL DEFERRED", "INSERT INTO chi SELECT k, 7, 7 FROM unnest(ARRAY[{x}, {y}, {z}]) AS k",
        "INSERT INTO par SELECT k, 7 FROM unnest(ARRAY[{x}, {y}, {z}]) AS k", "COMMIT", "SELECT * FROM chi WHERE k = {y}",
    ],
    "in a function, kept": ["BEGIN", "SELECT put_off({x}, true)", "INSERT INTO par VALUES ({x}, 1), ({x}, 2)", "COMMIT"],
    "in a function, in a block that fails": ["BEGIN", "SELECT put_off({x}, false)"],
    "in a function, caught": ["BEGIN", "SELECT caught({x})", "COMMIT", "SELECT * FROM hidden.late WHERE k = {x}"],
    "one of a plain table": [
        "BEGIN", "INSERT INTO par VALUES ({x}, 1)", "SET CONSTRAINTS of_plain DEFERRED", "INSERT INTO plain VALUES (1, 2)",
        "INSERT INTO chi VALUES ({x}, 1, 1)", "SET CONSTRAINTS of_plain, of_par IMMEDIATE",
    ],
    "one that does not exist": ["BEGIN", "SET CONSTRAINTS nothing DEFERRED"],
}


@pytest.fixture(scope="module")
def sides(module_cluster, shared_server):
    """A cluster's first node, a plain database, and a key of each node."""
    cluster = module_cluster(3)
    twin = shared_server.create_database()
    owners = {}
    with cluster["a"].connect() as session:
        for statement in TABLES:
            twin.execute(statement)
            session.execute(statement)
        session.execute("SELECT teamscale.run_on_all_nodes('CREATE SCHEMA IF NOT EXISTS hidden')")
        for table in ("par", "chi", "hidden.late"):
            session.execute("SELECT teamscale.distribute_table(%s, 'k', buckets => 16)", [table])
        for statement in CONSTRAINTS + FUNCTIONS:
            twin.execute(statement)
            session.execute("SELECT teamscale.run_on_all_nodes(%s)", [statement])
        for key in KEYS:
            owners.setdefault(session.execute("SELECT teamscale.node_of('par', %s)", [key]).fetchone()[0], key)
    yield cluster["a"], twin, {"x": owners["b"], "y": owners["c"], "z": owners["a"]}
    shared_server.drop_database(twin)


@pytest.fixture
def empty(sides):
    yield
    for database in sides[:2]:
        for key in sides[2].values():
            for table in ("chi", "hidden.late", "par"):
                database.execute(f"DELETE FROM {table} WHERE k = {key}")


def outcomes(session, script, prepare=None):
    """Each statement's rows, or its SQLSTATE."""
    found = []
    for sql in script:
        try:
            cursor = session.execute(sql, prepare=prepare)
            found.append(cursor.fetchall() if cursor.description else cursor.statusmessage)
        except psycopg.Error as error:
            found.append(error.sqlstate)
    return found


@pytest.mark.parametrize("script", SCRIPTS)
def test_as_on_one_server(sides, empty, script):
    cluster, twin, keys = sides
    answers = []
    for database in (cluster, twin):
        with database.connect() as session:
            answers.append(outcomes(session, [sql.format(**keys) for sql in SCRIPTS[script]]))
            if session.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                session.execute("ROLLBACK")
    assert answers[0] == answers[1]


def test_prepared_and_in_the_extended_protocol(sides, empty):
    cluster, twin, keys = sides
    script = SCRIPTS["there and back"]
    answers = []
    for database in (cluster, twin):
        with database.connect() as session:
            for _ in range(3):
                answers.append(outcomes(session, [sql.format(**keys) for sql in script], True))
                session.execute("ROLLBACK")
    assert all(answer == answers[-1] for answer in answers)


def test_rows_that_are_being_copied(sides, empty):
    cluster, twin, keys = sides
    for database in (cluster, twin):
        with database.connect() as session:
            session.execute("BEGIN")
            session.execute("SET CONSTRAINTS ALL DEFERRED")
            with session.cursor().copy("COPY chi (k, id, par) FROM STDIN") as lines:
                for key in keys.values():
                    lines.write_row((key, 1, 1))
            with session.cursor().copy("COPY par FROM STDIN") as lines:
                for key in keys.values():
                    lines.write_row((key, 1))
            session.execute("COMMIT")
            assert session.execute(f"SELECT * FROM chi WHERE k = {keys['x']}").fetchall() == [(keys["x"], 1, 1, None)]


def test_code_on_the_owner_cannot_set_them_for_one_node(sides, empty):
    cluster, _, keys = sides
    everywhere = [
        """CREATE FUNCTION put_off_here() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN SET CONSTRAINTS ALL DEFERRED; RETURN NEW; END$$""",
        "CREATE TRIGGER put_off_here BEFORE INSERT ON chi FOR EACH ROW EXECUTE FUNCTION put_off_here()",
    ]
    with cluster.connect() as session:
        for statement in everywhere:
            session.execute("SELECT teamscale.run_on_all_nodes(%s)", [statement])
        try:
            raised = refused(session, f"INSERT INTO chi VALUES ({keys['x']}, 1, 1)")
            assert raised.diag.message_hint == "Give it before the statement."
        finally:
            session.execute("SELECT teamscale.run_on_all_nodes('DROP TRIGGER put_off_here ON chi')")
            session.execute("SELECT teamscale.run_on_all_nodes('DROP FUNCTION put_off_here')")
