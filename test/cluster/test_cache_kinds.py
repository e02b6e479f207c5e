"""What caches can be made of, whom they answer, and what they live through."""

import os
import subprocess
import threading

import psycopg
import pytest

from waiting import until


@pytest.fixture
def database(make_database):
    return make_database()


def stat(connection, function, column):
    return connection.execute(
        f"SELECT {column} FROM teamscale.stat_cache WHERE function::oid::regproc::text = %s", [function]
    ).fetchone()[0]


def test_equal_keys_of_different_images_are_invalidated_together(database):
    """1.0 and 1.00, -0 and 0, two spellings under a case-insensitive collation: one key for the query."""
    with database.connect() as c:
        c.execute("CREATE COLLATION ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        for name, type_, first, second in [
            ("of_numeric", "numeric", "1.0", "1.00"),
            ("of_float", "float8", "0", "-0"),
            ("of_text", 'text COLLATE "ignoring_case"', "team", "TEAM"),
            ("of_bpchar", "char(5)", "a", "a  "),
            ("of_interval", "interval", "1 day", "24 hours"),
            ("of_jsonb", "jsonb", '{"a": 1}', '{"a": 1.0}'),
            ("of_array", "numeric[]", "{1.0}", "{1.00}"),
        ]:
            plain = type_.split(" COLLATE")[0]
            c.execute(f"CREATE TABLE t_{name} (k {type_}, v int)")
            c.execute(f"INSERT INTO t_{name} VALUES ('{first}', 1)")
            c.execute(f"SELECT teamscale.create_cache('{name}', 't_{name}', 'k', 'v', order_by => 'v')")
            call = f"SELECT {name}('{first}'::{plain}), {name}('{second}'::{plain})"
            assert c.execute(call).fetchone() == ([1], [1]), name
            c.execute(f"INSERT INTO t_{name} VALUES ('{second}', 2)")
            assert c.execute(call).fetchone() == ([1, 2], [1, 2]), name
            assert c.execute(call).fetchone() == ([1, 2], [1, 2]), name
            assert stat(c, name, "hits") >= 1, name


def test_composite_keys_rows_and_every_kind_of_value(database):
    with database.connect() as c:
        c.execute("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN team AS bigint CHECK (VALUE > 0)")
        c.execute("CREATE TABLE t (region text, team_id team, m mood, u uuid, n name, big text, f float4, PRIMARY KEY (region, team_id))")
        c.execute(
            "INSERT INTO t SELECT r, i, 'happy', gen_random_uuid(), 'n' || i, repeat('x', i * 3000), i"
            " FROM generate_series(1, 20) AS i, unnest(ARRAY['eu', 'us']) AS r"
        )
        c.execute("SELECT teamscale.create_cache('row_of', 't', 'region, team_id', 'm, u, n, big, f', \"unique\" => true)")
        c.execute("SELECT teamscale.create_cache('by_mood', 't', 'm', 'team_id', order_by => 'team_id DESC, region')")
        for column, type_ in [("m", "mood"), ("u", "uuid"), ("n", "name"), ("big", "text"), ("f", "float4")]:
            c.execute(f"SELECT teamscale.create_cache('{column}_of', 't', 'region, team_id', '{column}', \"unique\" => true)")
            c.execute(f"SELECT teamscale.create_cache('by_{column}', 't', '{column}', 'team_id')")
        for _ in range(2):
            assert c.execute(
                "SELECT count(*) FROM t WHERE row_of(region, team_id) = ROW(m, u, n, big, f)::row_of_row"
                " AND m_of(region, team_id) = m AND u_of(region, team_id) = u AND n_of(region, team_id) = n"
                " AND big_of(region, team_id) = big AND f_of(region, team_id) = f"
                " AND team_id = ANY (by_u(u)) AND team_id = ANY (by_n(n)) AND team_id = ANY (by_f(f))"
                " AND cardinality(by_mood(m)) = 40 AND team_id = ANY (by_big(big))"
            ).fetchone()[0] == 40
        assert stat(c, "row_of", "hits") == 40
        assert stat(c, "by_big", "other_bypass") > 0  # keys of more than 512 bytes
        assert c.execute("SELECT row_of('asia', 1), row_of('eu', NULL)").fetchone() == (None, None)


def test_a_unique_cache_refuses_a_key_with_several_rows(database):
    with database.connect() as c:
        c.execute("CREATE TABLE t (k int, v int); INSERT INTO t VALUES (1, 1), (1, 2)")
        c.execute("SELECT teamscale.create_cache('v_of', 't', 'k', 'v', \"unique\" => true)")
        with pytest.raises(psycopg.errors.CardinalityViolation):
            c.execute("SELECT v_of(1)")


def test_rights_are_asked_in_every_call(database):
    database.execute("DROP ROLE IF EXISTS reader")
    with database.connect() as c:
        c.execute("CREATE TABLE t (k int, v int, w int); INSERT INTO t VALUES (1, 1, 1); CREATE ROLE reader LOGIN")
        c.execute("SELECT teamscale.create_cache('v_of', 't', 'k', 'v', filter => 'w > 0')")
        c.execute("SELECT v_of(1)")
        try:
            with database.connect(user="reader") as r:
                r.execute("PREPARE p AS SELECT v_of(1)")

                def refused():
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        r.execute("EXECUTE p")

                refused()
                c.execute("GRANT SELECT (k, v) ON t TO reader")
                refused()  # the filter's column
                c.execute("GRANT SELECT (w) ON t TO reader")
                assert r.execute("EXECUTE p").fetchone() == ([1],)
                c.execute("REVOKE SELECT (w) ON t FROM reader")
                r.execute("BEGIN")
                refused()
                r.execute("ROLLBACK")
                c.execute("GRANT pg_read_all_data TO reader")
                assert r.execute("EXECUTE p").fetchone() == ([1],)
                c.execute("REVOKE pg_read_all_data FROM reader")
                refused()
        finally:
            c.execute("DROP OWNED BY reader; DROP ROLE reader")


def test_row_security_and_serializable_read_the_table(database):
    with database.connect() as c:
        c.execute("CREATE TABLE t (k int, v int); INSERT INTO t VALUES (1, 1)")
        c.execute("SELECT teamscale.create_cache('v_of', 't', 'k', 'v')")
        c.execute("SELECT v_of(1), v_of(1)")
        c.execute("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT v_of(1); COMMIT")
        assert stat(c, "v_of", "serializable") == 1
        c.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
        c.execute("SELECT v_of(1)")
        assert stat(c, "v_of", "row_security") == 1
        assert c.execute("SELECT state FROM teamscale.cache").fetchone() == ("row security",)


def test_a_dump_brings_the_cache_back(database, make_database):
    copy = make_database(extension=False)
    with database.connect() as c:
        c.execute("CREATE TABLE t (k int, v int) PARTITION BY LIST (k); CREATE TABLE t1 PARTITION OF t DEFAULT")
        c.execute("INSERT INTO t SELECT i, i FROM generate_series(1, 10) AS i")
        c.execute("SELECT teamscale.create_cache('v_of', 't', 'k', 'v', filter => 'v > 0', order_by => 'v')")
    server = database.server
    environment = dict(os.environ, PGHOST="127.0.0.1", PGPORT=str(server.port), PGUSER="postgres")
    dump = subprocess.run(["pg_dump", database.name], env=environment, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["psql", "-qXv", "ON_ERROR_STOP=1", "-d", copy.name], env=environment, check=True, input=dump, stdout=subprocess.DEVNULL)
    with copy.connect() as c:
        assert c.execute("SELECT state FROM teamscale.cache").fetchone() == ("in use",)
        assert c.execute("SELECT v_of(3), v_of(3)").fetchone() == ([3], [3])
        c.execute("SET session_replication_role = replica")
        c.execute("INSERT INTO t VALUES (3, 30)")
        assert c.execute("SELECT v_of(3)").fetchone() == ([3, 30],)
        c.execute("DROP TABLE t CASCADE")
        assert c.execute("SELECT count(*) FROM teamscale.cache").fetchone() == (0,)


def test_definitions_that_come_and_go(database):
    with database.connect() as c, database.connect() as other:
        c.execute("CREATE TABLE t (k int, v int); INSERT INTO t VALUES (1, 1)")
        c.execute("SELECT teamscale.create_cache('v_of', 't', 'k', 'v')")
        other.execute("SELECT v_of(1)")
        with pytest.raises(psycopg.errors.DependentObjectsStillExist):
            c.execute("ALTER TABLE t RENAME COLUMN v TO w")
        with pytest.raises(psycopg.errors.DependentObjectsStillExist):
            c.execute("ALTER TABLE t DROP COLUMN v")
        c.execute("ALTER TABLE t RENAME TO u; CREATE SCHEMA s; ALTER TABLE u SET SCHEMA s; INSERT INTO s.u VALUES (1, 2)")
        assert other.execute("SELECT cardinality(v_of(1))").fetchone() == (2,)
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            c.execute("ALTER TABLE s.u ALTER COLUMN v TYPE text")
        c.execute("DROP FUNCTION v_of")
        assert other.execute("SELECT count(*) FROM teamscale.cache").fetchone() == (0,)
        other.execute("INSERT INTO s.u VALUES (1, 3)")


def test_other_sessions_wait_for_the_one_that_reads(database):
    with database.connect() as c, database.connect() as holder:
        c.execute("CREATE TABLE t (k int, v int); INSERT INTO t VALUES (1, 1)")
        c.execute("SELECT teamscale.create_cache('v_of', 't', 'k', 'v')")
        point = "cache answer read"
        holder.execute("SELECT pg_advisory_lock(hashtext(%s))", [point])
        first = database.connect()
        first.execute(f"SET teamscale.wait_point = '{point}=wait'")
        second = database.connect()
        second.execute("SET teamscale.cache_wait_timeout = '60s'")
        threads = [threading.Thread(target=s.execute, args=["SELECT v_of(1)"]) for s in (first, second)]
        threads[0].start()
        until(lambda: database.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"), "reads")
        threads[1].start()
        until(
            lambda: database.value(
                "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Extension'",
                [second.info.backend_pid],
            ),
            "waits",
        )
        holder.execute("SELECT pg_advisory_unlock(hashtext(%s))", [point])
        for thread in threads:
            thread.join()
        assert second.execute("SELECT v_of(1)").fetchone() == ([1],)
        assert stat(c, "v_of", "flight_waits") == 1
        assert stat(c, "v_of", "installs") == 1


def test_logical_replication_into_the_table(make_server):
    server = make_server()
    server.configure(wal_level="logical")
    server.restart()
    source, target = server.create_database(), server.create_database()
    for database in (source, target):
        database.execute("CREATE EXTENSION IF NOT EXISTS teamscale")
        database.execute("CREATE TABLE t (k int, v int, PRIMARY KEY (k, v))")
    target.execute("SELECT teamscale.create_cache('v_of', 't', 'k', 'v', order_by => 'v')")
    source.execute("CREATE PUBLICATION p FOR TABLE t")
    source.execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    with target.connect() as c:
        c.execute(f"CREATE SUBSCRIPTION s CONNECTION '{source.conninfo} user=postgres' PUBLICATION p WITH (create_slot = false)")

        def becomes(expected):
            until(lambda: c.execute("SELECT array_agg(v ORDER BY v) FROM t WHERE k = 1").fetchone()[0] == expected, "replicated")
            assert c.execute("SELECT v_of(1)").fetchone()[0] == (expected or [])
            c.execute("SELECT v_of(1)")

        becomes(None)
        source.execute("INSERT INTO t VALUES (1, 1), (1, 2)")
        becomes([1, 2])
        source.execute("UPDATE t SET v = 3 WHERE v = 2")
        becomes([1, 3])
        source.execute("TRUNCATE t")
        becomes(None)
        assert stat(c, "v_of", "hits") >= 3
        c.execute("DROP SUBSCRIPTION s")


def test_a_standby_reads_the_table_and_answers_from_memory_once_promoted(make_server):
    server = make_server()
    database = server.create_database()
    with database.connect() as c:
        c.execute("CREATE EXTENSION teamscale; CREATE TABLE t (k int, v int); INSERT INTO t VALUES (1, 1)")
        c.execute("SELECT teamscale.create_cache('v_of', 't', 'k', 'v', order_by => 'v')")
        # As a standby: the same data in recovery, until it is promoted.
        data = c.execute("SHOW data_directory").fetchone()[0]
    server.stop()
    owner = os.stat(data)
    signal = os.path.join(data, "standby.signal")
    with open(signal, "w", encoding="ascii"):
        pass
    os.chown(signal, owner.st_uid, owner.st_gid)
    server.start()
    with database.connect() as c:
        assert c.execute("SELECT v_of(1), v_of(1)").fetchone() == ([1], [1])
        c.execute("SELECT pg_promote()")
        c.execute("INSERT INTO t VALUES (1, 2)")
        assert c.execute("SELECT v_of(1)").fetchone() == ([1, 2],)
        c.execute("SELECT v_of(1)")
        assert stat(c, "v_of", "hits") == 1
