"""Keys of many types, and the less usual ways by which a statement reaches a sharded table."""

import psycopg
import pytest


def distribute(cluster, twin, statements, table, key, method="hash"):
    for statement in statements:
        twin.execute(statement)
        cluster.nodes[0].execute(statement)
    cluster.nodes[0].execute("SELECT teamscale.distribute_table(%s, %s, method => %s)", [table, key, method])


KEYS = {
    "smallint": ["1::smallint", "2", "3::bigint"],
    "bigint": ["9007199254740993", "-1::smallint", "'17'"],
    "text": ["'ä'", "'a'::varchar", "'b'::text COLLATE \"C\"", "'c' || ''", "'d'::name"],
    "varchar(20)": ["'a'", "'bb'::text", "'c '"],
    "char(5)": ["'a'", "'a    '", "'b'::char(3)"],
    "uuid": ["'00000000-0000-0000-0000-000000000001'", "md5('x')::uuid"],
    "date": ["'2026-01-31'", "date '2026-02-01'", "make_date(2026, 3, 1)"],
    "timestamptz": ["'2026-01-31 12:00+02'", "'2026-01-31 10:00+00'::timestamptz", "to_timestamp(0)"],
    "numeric": ["1", "1.0", "1.00::numeric(5,2)", "'NaN'"],
    "double precision": ["0.0", "'-0'", "'NaN'", "1.5::real", "1e300"],
    "boolean": ["true", "'f'", "(1 = 2)"],
    "bytea": ["'\\x00ff'", "decode('ff', 'hex')"],
    "inet": ["'10.0.0.1'", "'10.0.0.0/8'::cidr"],
    "jsonb": ["'{\"a\": [1, 2.0]}'", "'1'"],
    "integer[]": ["'{1,2}'", "ARRAY[3]", "'{}'"],
    "int4range": ["'[1,3)'", "int4range(1, 2, '[]')"],
    "interval": ["'1 day'", "'24 hours'", "make_interval(days => 1)"],
}


def test_a_key_of_a_composite_type_that_only_one_node_has(make_cluster, twin):
    cluster = make_cluster(2)
    types = ["CREATE TYPE place AS (row_ int, shelf text)", "CREATE TABLE t (k place NOT NULL, n int)"]
    distribute(cluster, twin, types, "t", "k")
    for number, node in enumerate(cluster.nodes):
        with node.connect() as session:
            for shelf in range(6):
                session.execute("INSERT INTO t VALUES (ROW(1, %s::text)::place, %s)", [f"s{shelf}", number])
    for node in cluster.nodes:
        with node.connect() as session:
            for shelf in range(6):
                rows = session.execute(f"SELECT n FROM t WHERE k = ROW(1, 's{shelf}')::place ORDER BY 1").fetchall()
                assert rows == [(0,), (1,)]


@pytest.mark.parametrize("type_name", KEYS)
def test_keys_of_many_types_are_routed(make_cluster, twin, type_name):
    cluster = make_cluster(2)
    distribute(cluster, twin, [f"CREATE TABLE t (k {type_name} NOT NULL, n serial8)"], "t", "k")
    sessions = [node.connect() for node in cluster.nodes] + [twin.connect()]
    plain = sessions[-1]
    for number, value in enumerate(KEYS[type_name]):
        plain.execute(f"INSERT INTO t VALUES ({value}, {number})")
        sessions[number % 2].execute(f"INSERT INTO t VALUES ({value}, {number})")
    for value in KEYS[type_name]:
        for sql in (f"SELECT * FROM t WHERE k = {value}", f"SELECT * FROM t WHERE k IN ({value})",
                    f"DELETE FROM t WHERE k = {value} AND n > 100", f"UPDATE t SET n = n WHERE k = {value} RETURNING *"):
            answers = []
            for session in sessions:
                try:
                    cursor = session.execute(sql)
                    answers.append((cursor.rowcount, sorted(map(repr, cursor.fetchall())) if cursor.description else None))
                except psycopg.errors.FeatureNotSupported as error:
                    assert "not restricted to one value" in str(error), sql  # of another type than the key's family
                    answers.append(None)
            assert all(answer is None or answer == answers[-1] for answer in answers), (sql, answers)
            assert answers[0] is not None or "real" in value or "cidr" in value or "name" in value or "numeric" in value or "bigint" in value, sql


def test_a_collation_that_ignores_case(make_cluster, twin):
    cluster = make_cluster(2)
    collation = "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
    distribute(cluster, twin, [collation, "CREATE TABLE t (k text COLLATE nocase NOT NULL, n int)"], "t", "k")
    sessions = [node.connect() for node in cluster.nodes] + [twin.connect()]
    for word in ("Ann", "ann", "Bob", "EVE"):
        sessions[0].execute("INSERT INTO t VALUES (%s, 1)", [word])
        sessions[-1].execute("INSERT INTO t VALUES (%s, 1)", [word])
    for word in ("ANN", "bob", "eve"):
        answers = [sorted(session.execute("SELECT k FROM t WHERE k = %s", [word]).fetchall()) for session in sessions]
        assert answers[0] == answers[1] == answers[2] and answers[0]
    for session in sessions[:2]:
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            session.execute("SELECT k FROM t WHERE k = 'ann' COLLATE \"C\"")


def test_list_sharded_tables(make_cluster, twin):
    cluster = make_cluster(2)
    create = "CREATE TABLE t (region text NOT NULL, n int, PRIMARY KEY (region, n))"
    twin.execute(create)
    cluster.nodes[0].execute(create)
    cluster.nodes[0].execute("SELECT teamscale.distribute_table('t', 'region', method => 'list')")
    cluster.nodes[0].execute("SELECT teamscale.place_values('t', ARRAY['eu', 'uk'], 'a')")
    cluster.nodes[0].execute("SELECT teamscale.place_values('t', ARRAY['us'], 'b')")
    for node in cluster.nodes:
        with node.connect() as session:
            for n, region in enumerate(("eu", "uk", "us")):
                session.execute("INSERT INTO t VALUES (%s, %s) ON CONFLICT DO NOTHING", [region, n])
                assert session.execute("SELECT n FROM t WHERE region = %s", [region]).fetchall() == [(n,)]
            assert session.execute("SELECT count(*) FROM t WHERE region IN ('eu', 'uk')").fetchone() == (2,)
            assert session.execute("SELECT count(*) FROM t WHERE region = 'mars'").fetchone() == (0,)
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                session.execute("SELECT count(*) FROM t WHERE region IN ('eu', 'us')")
            with pytest.raises(psycopg.Error) as error:
                session.execute("INSERT INTO t VALUES ('mars', 1)")
            assert "place_values" in error.value.diag.message_hint


@pytest.fixture
def orders(make_cluster):
    """Two nodes with orders (team_id, id) and lines that refer to them; a key of each node."""
    cluster = make_cluster(2)
    a = cluster.nodes[0]
    a.execute("CREATE TABLE orders (team_id bigint, id int, PRIMARY KEY (team_id, id))")
    a.execute("CREATE TABLE line (team_id bigint NOT NULL, id int, n int, PRIMARY KEY (team_id, id, n))")
    for table in ("orders", "line"):
        a.execute("SELECT teamscale.distribute_table(%s, 'team_id')", [table])
    a.execute(
        "SELECT teamscale.run_on_all_nodes('ALTER TABLE line ADD FOREIGN KEY (team_id, id) REFERENCES orders ON DELETE CASCADE')"
    )
    cluster.keys = [
        next(k for k in range(100) if a.value("SELECT teamscale.node_of('orders', %s::text)", [str(k)]) == name)
        for name in "ab"
    ]
    return cluster


def test_foreign_keys_hold_wherever_the_rows_are(orders):
    for node in orders.nodes:
        with node.connect() as session:
            for key in orders.keys:
                session.execute("INSERT INTO orders VALUES (%s, 1)", [key])
                session.execute("INSERT INTO line VALUES (%s, 1, 1), (%s, 1, 2)", [key, key])
                with pytest.raises(psycopg.errors.ForeignKeyViolation):
                    session.execute("INSERT INTO line VALUES (%s, 9, 1)", [key])
                session.execute("DELETE FROM orders WHERE team_id = %s", [key])
                assert session.execute("SELECT count(*) FROM line WHERE team_id = %s", [key]).fetchone() == (0,)


def test_a_trigger_that_reads_a_sharded_table_sees_it_whole_or_fails(orders):
    """A trigger runs where the row is; what it asks of other nodes is an error, never a part."""
    for statement in (
        "CREATE TABLE seen (team_id bigint, n bigint)",
        "CREATE FUNCTION count_lines() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.n := (SELECT count(*) FROM orders WHERE team_id = NEW.team_id); RETURN NEW; END'",
        "CREATE FUNCTION count_all() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.n := (SELECT count(*) FROM orders); RETURN NEW; END'",
        "CREATE TRIGGER own BEFORE INSERT ON line FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION count_lines()",
        "CREATE TRIGGER everything BEFORE INSERT ON line FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION count_all()",
    ):
        orders.nodes[0].execute("SELECT teamscale.run_on_all_nodes(%s)", [statement])
    for node in orders.nodes:
        with node.connect() as session:
            for key in orders.keys:
                with session.transaction(force_rollback=True):
                    session.execute("INSERT INTO orders SELECT %s, i FROM generate_series(1, 3) i", [key])
                    assert session.execute("INSERT INTO line VALUES (%s, 1, 0) RETURNING n", [key]).fetchone() == (3,)
                    with pytest.raises(psycopg.errors.FeatureNotSupported):
                        session.execute("INSERT INTO line VALUES (%s, 2, 0) RETURNING n", [key])


def test_parallel_plans_and_auto_explain(orders):
    key = orders.keys[0]
    with orders.nodes[0].connect() as session:
        session.execute("INSERT INTO orders SELECT %s, i FROM generate_series(1, 5000) i", [key])
        session.execute("ANALYZE orders")
        session.execute(
            "SET force_parallel_mode = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;"
            " SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0"
        )
        session.execute("LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on")
        for k, count in zip(orders.keys, (5000, 0)):
            for _ in range(7):
                sql = "SELECT count(*), sum(id) IS NULL FROM orders WHERE team_id = %s"
                assert session.execute(sql, [k], prepare=True).fetchone() == (count, count == 0)
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            session.execute("SELECT count(*) FROM orders")


def test_a_leaf_by_name_holds_its_own_rows_only(orders):
    """Leaves are for looking; the parent is what is whole."""
    with orders.nodes[0].connect() as session:
        leaf = session.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'orders'::regclass LIMIT 1"
        ).fetchone()[0]
        assert session.execute(f"SELECT count(*) FROM {leaf}").fetchone() == (0,)


def test_a_plan_follows_the_map(make_cluster):
    """A prepared statement made before the table is sharded, and one made before it is plain again."""
    cluster = make_cluster(2)
    a = cluster.nodes[0].connect()
    a.execute("CREATE TABLE t (k int PRIMARY KEY)")
    a.execute("INSERT INTO t SELECT generate_series(1, 100)")
    a.execute("PREPARE one (int) AS SELECT k FROM t WHERE k = $1")
    a.execute("PREPARE all_of_them AS SELECT count(*) FROM t")
    for k in range(1, 8):
        assert a.execute(f"EXECUTE one({k})").fetchall() == [(k,)]
        assert a.execute("EXECUTE all_of_them").fetchone() == (100,)
    cluster.nodes[0].execute("SELECT teamscale.distribute_table('t', 'k')")
    for k in range(1, 20):
        assert a.execute(f"EXECUTE one({k})").fetchall() == [(k,)]
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        a.execute("EXECUTE all_of_them")
    cluster.nodes[0].execute("SELECT teamscale.undistribute_table('t')")
    for k in range(1, 20):
        assert a.execute(f"EXECUTE one({k})").fetchall() == [(k,)]
    assert a.execute("EXECUTE all_of_them").fetchone() == (100,)
