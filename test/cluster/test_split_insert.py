"""An INSERT whose rows belong to several nodes does what it does to a plain table."""

import psycopg
import pytest

from layout import all_rows, rows_by_node, shard
from roles import make_roles

COLUMNS = """
    team_id bigint NOT NULL, id integer NOT NULL, dropped text, name varchar(20) DEFAULT 'unnamed',
    size numeric(8, 2) CHECK (size >= 0), tags text[], mood mood, place place, at timestamptz DEFAULT '2026-01-01 00:00+00',
    twice integer GENERATED ALWAYS AS (id * 2) STORED, seen bytea, ratio double precision, PRIMARY KEY (team_id, id)"""
TYPES = ["CREATE TYPE mood AS ENUM ('sad', 'so so', 'glad')", "CREATE TYPE place AS (city text, zip integer)"]


@pytest.fixture
def sharded(cluster):
    for number, database in enumerate(cluster.nodes):
        for _ in range(number):  # the OIDs of one type are different on each node
            database.execute("CREATE TYPE filler AS ENUM ()")
            database.execute("DROP TYPE filler")
        for create in TYPES:
            database.execute(create)
    shard(cluster, f"CREATE TABLE assignment ({COLUMNS}) PARTITION BY HASH (team_id)", "assignment", "bigint")
    cluster["a"].execute("SELECT teamscale.run_on_all_nodes('ALTER TABLE assignment DROP COLUMN dropped')")
    return cluster


@pytest.fixture
def plain(twin):
    for create in TYPES:
        twin.execute(create)
    twin.execute(f"CREATE TABLE assignment ({COLUMNS})")
    twin.execute("ALTER TABLE assignment DROP COLUMN dropped")
    return twin


def outcome(connection, sql, parameters=None):
    """(SQLSTATE, rows in their order, row count) of a statement."""
    try:
        cursor = connection.execute(sql, parameters)
    except psycopg.Error as error:
        return error.sqlstate, None, None
    return None, cursor.fetchall() if cursor.description else None, cursor.rowcount


ALL = "SELECT * FROM assignment"

STATEMENTS = [
    "INSERT INTO assignment (team_id, id) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)",
    "INSERT INTO assignment (id, team_id, name) VALUES (10, 1, 'b'), (11, 2, DEFAULT), (12, 3, NULL)",
    "INSERT INTO assignment (team_id, id, tags, mood, place, seen, ratio) VALUES"
    " (1, 20, '{a,\"b c\",NULL}', 'so so', '(Ulm,89073)', '\\x00ff', 0.1), (2, 21, NULL, 'glad', '(\"a,b\",)', '', 'NaN'),"
    " (3, 22, '{}', NULL, NULL, NULL, '1e-300')",
    "INSERT INTO assignment (team_id, id, name) SELECT i % 7, 100 + i, 'n' || i FROM generate_series(1, 60) AS i",
    "INSERT INTO assignment (team_id, id) VALUES (1, 30), (2, 31), (3, 32), (4, 33), (5, 34) RETURNING team_id, id, name, twice",
    "INSERT INTO assignment (team_id, id) VALUES (9, 3), (7, 1), (8, 2), (6, 0) RETURNING *",
    "INSERT INTO assignment (team_id, id) VALUES (1, 40), (2, 41), (3, 42) RETURNING mood, tags, place, team_id + 1 AS next",
    # Errors: the row count, and that nothing is kept.
    "INSERT INTO assignment (team_id, id) VALUES (11, 1), (12, 2), (13, 3), (1, 1)",
    "INSERT INTO assignment (team_id, id, size) VALUES (11, 1, 1), (12, 2, 2), (13, 3, -3), (14, 4, 4)",
    "INSERT INTO assignment (team_id, id) VALUES (11, 1), (NULL, 2), (13, 3)",
    "INSERT INTO assignment (team_id, id, name) VALUES (11, 1, 'x'), (12, 2, repeat('y', 30)), (13, 3, 'z')",
    "INSERT INTO assignment (team_id, id) SELECT 11 + i, 10 / (3 - i) FROM generate_series(0, 4) AS i",
    "INSERT INTO assignment (team_id, id, twice) VALUES (11, 1, 5), (12, 2, 5)",
    # ON CONFLICT.
    "INSERT INTO assignment (team_id, id, name) VALUES (1, 1, 'new'), (2, 2, 'new'), (50, 1, 'new'), (51, 1, 'new')"
    " ON CONFLICT (team_id, id) DO UPDATE SET name = excluded.name || '/' || assignment.name, size = assignment.id"
    " RETURNING team_id, id, name, size",
    "INSERT INTO assignment AS a (team_id, id) VALUES (1, 1), (2, 2), (60, 1), (61, 1) ON CONFLICT DO NOTHING",
    "INSERT INTO assignment AS a (team_id, id, name) SELECT i, i, 'again' FROM generate_series(1, 8) AS i"
    " ON CONFLICT ON CONSTRAINT assignment_pkey DO UPDATE SET name = a.name || '+' WHERE a.team_id % 2 = 0",
    "INSERT INTO assignment (team_id, id) VALUES (70, 1), (71, 1), (72, 1), (70, 1) ON CONFLICT (team_id, id) DO UPDATE SET size = 1",
    "INSERT INTO assignment (team_id, id) VALUES (70, 1), (71, 1), (72, 1), (70, 1) ON CONFLICT DO NOTHING",
    "INSERT INTO assignment (team_id, id) VALUES (80, 1), (81, 1), (82, 1) ON CONFLICT (team_id) DO NOTHING",
    # Sources.
    "INSERT INTO assignment (team_id, id) SELECT * FROM (VALUES (90, 1), (91, 2), (92, 3)) AS v ORDER BY 1 DESC LIMIT 2",
    "WITH w AS (SELECT i FROM generate_series(100, 105) AS i) INSERT INTO assignment (team_id, id) SELECT i, i FROM w",
    "INSERT INTO assignment (team_id, id) WITH w AS (SELECT i FROM generate_series(110, 115) AS i) SELECT i, 1 FROM w RETURNING id",
    "INSERT INTO assignment (team_id, id, name) SELECT 120 + x, id, name FROM assignment, generate_series(1, 5) AS x"
    " WHERE team_id = 3 AND id = 3",
    "WITH w AS (SELECT * FROM assignment WHERE team_id = 3) INSERT INTO assignment (team_id, id, name)"
    " SELECT 130 + x, id, name FROM w, generate_series(1, 3) AS x WHERE id = 3 RETURNING *",
    "INSERT INTO assignment (team_id, id) VALUES (140, (SELECT count(*) FROM assignment WHERE team_id = 3)), (141, 1)",
    "INSERT INTO assignment (team_id, id) SELECT team_id, id FROM assignment WHERE team_id = 3",
    "INSERT INTO assignment (team_id, id) SELECT i, i FROM generate_series(1, 0) AS i",
    "INSERT INTO assignment (team_id, id) SELECT i, i FROM generate_series(1, 0) AS i RETURNING *",
    "INSERT INTO assignment (team_id, id, tags[2]) VALUES (150, 1, 'second'), (151, 1, 'second'), (152, 1, 'second')",
    "INSERT INTO assignment (team_id, id, place.city) VALUES (160, 1, 'Ulm'), (161, 1, 'Bonn'), (162, 1, 'Kiel')",
]


def test_statements_are_those_of_a_plain_table(sharded, plain):
    connections = [node.connect() for node in sharded.nodes]
    plain = plain.connect()
    for number, sql in enumerate(STATEMENTS):
        expected = outcome(plain, sql)
        given = outcome(connections[number % 3], sql)
        if "generate_series" in sql or "WITH" in sql:
            assert given[0] == expected[0] and given[2] == expected[2], sql
            assert sorted(map(repr, given[1] or [])) == sorted(map(repr, expected[1] or [])), sql
        else:
            assert repr(given) == repr(expected), sql
        rows = plain.execute(ALL).fetchall()
        assert repr(all_rows(sharded, ALL)) == repr(sorted(rows, key=repr)), sql


def test_returned_rows_keep_the_order_of_the_source(sharded):
    connection = sharded["b"].connect()
    values = ", ".join(f"({(i * 7919) % 101}, {i})" for i in range(200))
    rows = connection.execute(f"INSERT INTO assignment (team_id, id) VALUES {values} RETURNING id").fetchall()
    assert rows == [(i,) for i in range(200)]


def test_prepared_statements_with_parameters(sharded, plain):
    for sql in [
        "INSERT INTO assignment (team_id, id, name) SELECT %s::bigint + i, i, %s FROM generate_series(1, %s::integer) AS i",
        "INSERT INTO assignment (team_id, id, name) VALUES (%s, 1, %s), (%s, 2, 'x') ON CONFLICT (team_id, id)"
        " DO UPDATE SET name = excluded.name || '!' RETURNING team_id, name",
    ]:
        connections = [sharded["a"].connect(), plain.connect()]
        for number in range(8):
            given, expected = [
                outcome_of(connection, sql, [1000 * number, f"n{number}", 3 + number]) for connection in connections
            ]
            assert given == expected
    rows = plain.execute(ALL)
    assert all_rows(sharded, ALL) == sorted(rows, key=repr)


def outcome_of(connection, sql, parameters):
    cursor = connection.execute(sql, parameters, prepare=True)
    return sorted(cursor.fetchall()) if cursor.description else None, cursor.rowcount


def test_defaults_are_evaluated_on_the_router_once_for_each_row(cluster):
    for database in cluster.nodes:
        database.execute("CREATE SEQUENCE ticket")
    shard(
        cluster,
        "CREATE TABLE event (team_id bigint NOT NULL, id bigint DEFAULT nextval('ticket'), db text DEFAULT current_database(),"
        " at timestamptz DEFAULT now()) PARTITION BY HASH (team_id)",
        "event", "bigint",
    )
    connection = cluster["c"].connect()
    connection.execute("INSERT INTO event (team_id) SELECT generate_series(1, 30)")
    connection.execute("INSERT INTO event (team_id) VALUES (31), (32), (33), (34), (35) RETURNING id")
    rows = all_rows(cluster, "SELECT id, db FROM event")
    assert sorted(row[0] for row in rows) == list(range(1, 36))
    assert {row[1] for row in rows} == {cluster["c"].name}
    assert [database.value("SELECT is_called FROM ticket") for database in cluster.nodes] == [False, False, True]


def test_a_key_that_is_known_only_when_the_row_is(cluster):
    for database in cluster.nodes:
        database.execute("CREATE SEQUENCE ticket")
    shard(
        cluster, "CREATE TABLE event (id bigint NOT NULL DEFAULT nextval('ticket'), note text) PARTITION BY HASH (id)", "event",
        "bigint",
    )
    connection = cluster["a"].connect()
    assert [connection.execute("INSERT INTO event (note) VALUES ('x') RETURNING id").fetchone()[0] for _ in range(9)] == [
        *range(1, 10)
    ]
    connection.execute("INSERT INTO event VALUES ((random() * 1e9)::bigint, 'y')")
    assert sum(rows_by_node(cluster, "event").values()) == 10


def test_identity_columns_take_their_values_from_the_router(cluster):
    shard(
        cluster,
        "CREATE TABLE event (team_id bigint NOT NULL, id bigint, at timestamptz, v bigint) PARTITION BY HASH (team_id)", "event",
        "bigint",
    )
    for sql in [
        "ALTER TABLE event ALTER COLUMN id SET NOT NULL",
        "ALTER TABLE event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY",
    ]:
        cluster["a"].execute("SELECT teamscale.run_on_all_nodes(%s)", [sql])
    connection = cluster["b"].connect()
    rows = connection.execute("INSERT INTO event (team_id) VALUES (1), (2), (3), (4), (5) RETURNING id").fetchall()
    # Those of its own range, in the order of the rows, wherever these go.
    assert rows == [(2**48 + i,) for i in range(1, 6)]
    assert outcome(connection, "INSERT INTO event (team_id, id) VALUES (1, 7), (2, 8), (3, 9)")[0] == "428C9"
    connection.execute("INSERT INTO event (team_id, id) OVERRIDING SYSTEM VALUE VALUES (1, 17), (2, 18), (3, 19), (4, 20)")
    connection.execute("INSERT INTO event (team_id) SELECT generate_series(10, 20)")
    assert len(all_rows(cluster, "SELECT * FROM event")) == 20


def run_everywhere(cluster, *commands):
    for command in commands:
        cluster["a"].execute("SELECT teamscale.run_on_all_nodes(%s)", [command])


def test_row_security_holds_on_every_node(sharded, plain):
    make_roles(sharded, "clerk")
    commands = [
        "GRANT ALL ON assignment TO clerk", "ALTER TABLE assignment ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY small ON assignment USING (team_id < 50) WITH CHECK (size < 10)",
    ]
    run_everywhere(sharded, *commands)
    for command in commands:
        plain.execute(command)
    given, expected = sharded["b"].connect(user="clerk"), plain.connect(user="clerk")
    for sql in [
        "INSERT INTO assignment (team_id, id, size) VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)",
        "INSERT INTO assignment (team_id, id, size) VALUES (1, 11, 1), (2, 12, 20), (3, 13, 3)",
        "INSERT INTO assignment (team_id, id, size) SELECT i, 20, i FROM generate_series(1, 12) AS i",
        "INSERT INTO assignment (team_id, id, size) SELECT i, 21, i FROM generate_series(1, 9) AS i RETURNING team_id",
        "INSERT INTO assignment (team_id, id, size) VALUES (60, 1, 1), (61, 1, 1), (62, 1, 1)",
        "INSERT INTO assignment (team_id, id, size) VALUES (60, 2, 1), (61, 2, 1), (62, 2, 1) RETURNING id",
        "INSERT INTO assignment (team_id, id, size) VALUES (1, 1, 5), (2, 2, 5), (3, 3, 5), (8, 1, 5)"
        " ON CONFLICT (team_id, id) DO UPDATE SET size = assignment.size + 5",
    ]:
        state, rows, count = outcome(expected, sql)
        other_state, other_rows, other_count = outcome(given, sql)
        assert (other_state, other_count) == (state, count), sql
        assert sorted(other_rows or []) == sorted(rows or []), sql
    assert all_rows(sharded, ALL) == sorted(plain.execute(ALL), key=repr)


def test_privileges_on_columns_are_enough(sharded):
    make_roles(sharded, "clerk")
    run_everywhere(sharded, "GRANT INSERT (team_id, id), SELECT (team_id) ON assignment TO clerk")
    connection = sharded["a"].connect(user="clerk")
    values = "VALUES (1, 1), (2, 2), (3, 3), (4, 4)"
    assert outcome(connection, f"INSERT INTO assignment (team_id, id) {values}")[2] == 4
    assert outcome(connection, "INSERT INTO assignment (team_id, id, name) VALUES (1, 5, 'x'), (2, 5, 'x')")[0] == "42501"
    assert outcome(connection, "INSERT INTO assignment (team_id, id) VALUES (7, 5), (8, 5), (9, 5) RETURNING id")[0] == "42501"
    rows = connection.execute("INSERT INTO assignment (team_id, id) VALUES (7, 5), (8, 5), (9, 5) RETURNING team_id").fetchall()
    assert rows == [(7,), (8,), (9,)]
    assert set(all_rows(sharded, "SELECT name FROM assignment")) == {("unnamed",)}


def test_triggers_fire_for_each_row_on_its_node(sharded):
    run_everywhere(
        sharded,
        "CREATE FUNCTION sign() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.id = 13 THEN RETURN NULL; END IF; NEW.name := current_database(); RETURN NEW; END $$",
        "CREATE TRIGGER sign BEFORE INSERT ON assignment FOR EACH ROW EXECUTE FUNCTION sign()",
    )
    connection = sharded["a"].connect()
    state, rows, count = outcome(
        connection, "INSERT INTO assignment (team_id, id) SELECT i, i FROM generate_series(1, 20) AS i RETURNING id, name"
    )
    assert (state, count) == (None, 19) and 13 not in [row[0] for row in rows]
    for database in sharded.nodes:
        with database.connect() as node:
            node.execute("SET teamscale.scope = local")
            assert set(node.execute("SELECT name FROM assignment").fetchall()) == {(database.name,)}


def test_plpgsql_counts_and_transactions(sharded):
    connection = sharded["c"].connect(autocommit=False)
    connection.execute(
        "DO $$ DECLARE n integer; BEGIN INSERT INTO assignment (team_id, id) SELECT i, 1 FROM generate_series(1, 25) AS i;"
        " GET DIAGNOSTICS n = ROW_COUNT; IF n <> 25 THEN RAISE EXCEPTION '%', n; END IF; END $$"
    )
    with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
        connection.execute("INSERT INTO assignment (team_id, id) VALUES (100, 1), (101, 1), (102, 1), (5, 1)")
    connection.execute("INSERT INTO assignment (team_id, id) VALUES (200, 1), (201, 1), (202, 1), (203, 1)")
    assert connection.execute("SELECT count(*) FROM assignment WHERE team_id = 201").fetchone() == (1,)
    connection.commit()
    assert len(all_rows(sharded, ALL)) == 29
    connection.execute("INSERT INTO assignment (team_id, id) VALUES (300, 1), (301, 1), (302, 1), (303, 1)")
    connection.rollback()
    assert len(all_rows(sharded, ALL)) == 29


def test_more_rows_than_one_batch_holds(sharded):
    connection = sharded["a"].connect()
    source = "SELECT i % 50, i, 'name ' || i, ARRAY[repeat('x', 300)] FROM generate_series(1, 60000) AS i"
    insert = f"INSERT INTO assignment (team_id, id, name, tags) {source}"
    assert outcome(connection, insert)[2] == 60000
    assert outcome(connection, f"{insert} ON CONFLICT DO NOTHING")[2] == 0
    assert outcome(connection, f"{insert} ON CONFLICT (team_id, id) DO UPDATE SET name = 'again'")[2] == 60000
    assert all_rows(sharded, "SELECT count(*) FROM assignment WHERE name <> 'again'") == [(0,), (0,), (0,)]


def test_explain_shows_how_rows_reach_other_nodes(sharded):
    connection = sharded["a"].connect()
    plan = "\n".join(row[0] for row in connection.execute(
        "EXPLAIN (COSTS OFF) INSERT INTO assignment (team_id, id) SELECT i, i FROM generate_series(1, 3) AS i"))
    assert "Custom Scan (Teamscale Insert)" in plan and "Other Nodes By: COPY" in plan
    plan = "\n".join(row[0] for row in connection.execute(
        "EXPLAIN (COSTS OFF, VERBOSE) INSERT INTO assignment (team_id, id) VALUES (1, 1), (2, 2), (3, 3) RETURNING id"))
    assert "Custom Scan (Teamscale Returning)" in plan and "Remote SQL: INSERT INTO" in plan
    assert all_rows(sharded, ALL) == []


def test_what_cannot_be_split_is_refused_with_a_hint(sharded):
    sharded["a"].execute("CREATE VIEW few AS SELECT * FROM assignment WHERE team_id < 10 WITH CHECK OPTION")
    sharded["a"].execute("CREATE TABLE log (id integer)")
    connection = sharded["a"].connect()
    for sql in [
        "INSERT INTO few (team_id, id) VALUES (1, 1), (2, 2), (3, 3)",
        "WITH w AS (INSERT INTO log VALUES (1) RETURNING id) INSERT INTO assignment (team_id, id) SELECT i, i"
        " FROM w, generate_series(1, 9) AS i",
        "INSERT INTO assignment (team_id, id) SELECT team_id + 1, id FROM assignment",
        "INSERT INTO assignment (team_id, id) VALUES (1, 1), (2, 2), (3, 3) ON CONFLICT (team_id, id)"
        " DO UPDATE SET size = (SELECT count(*) FROM assignment AS a WHERE a.team_id = 1)",
        "INSERT INTO assignment (team_id, id) VALUES ((SELECT count(*) FROM assignment), 1)",
        "INSERT INTO assignment (team_id, id) VALUES (1, 1), (2, 2), (3, 3)"
        " RETURNING (SELECT count(*) FROM assignment AS a WHERE a.team_id = 1)",
    ]:
        with pytest.raises(psycopg.errors.FeatureNotSupported) as raised:
            connection.execute(sql)
        assert raised.value.diag.message_hint, sql
    assert all_rows(sharded, ALL) == []


def test_serializable_is_refused_over_more_than_one_node(sharded):
    connection = sharded["a"].connect(autocommit=False)
    owner = {}
    for team in range(40):
        row = connection.execute("SELECT teamscale.node_of('assignment', %s::bigint)", [team]).fetchone()
        owner.setdefault(row[0], team)
    connection.commit()
    connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    insert = "INSERT INTO assignment (team_id, id) SELECT unnest(%s::bigint[]), 1"
    for nodes in ["ab", "ba", "bc", "abc"]:
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            connection.execute(insert, [[owner[node] for node in nodes]])
        connection.rollback()
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            for node in nodes:
                connection.execute("SELECT * FROM assignment WHERE team_id = %s", [owner[node]])
        connection.rollback()
    for node in "abc":
        connection.execute(insert, [[owner[node]]])
        connection.commit()
    assert len(all_rows(sharded, ALL)) == 3
