"""Plans that are older than the sharding, or made in another scope, and snapshots that are older: none shows a part."""

import threading

import psycopg
import pytest

from teams import error, refused, run
from waiting import until

TABLE = [
    "CREATE TABLE t (k bigint NOT NULL, n integer)",
    "INSERT INTO t SELECT i, j FROM generate_series(1, 20) AS i, generate_series(1, 3) AS j",
]


def distribute(cluster, table="t"):
    cluster["a"].execute("SELECT teamscale.distribute_table(%s, 'k')", [table])


def keys_of(cluster, name):
    with cluster["a"].connect() as session:
        rows = session.execute("SELECT i FROM generate_series(1, 20) AS i WHERE teamscale.node_of('t', i::bigint) = %s", [name])
        return [i for (i,) in rows]


@pytest.fixture
def plain(cluster):
    """A cluster of three nodes whose first has a table that is not sharded yet."""
    for statement in TABLE:
        cluster["a"].execute(statement)
    return cluster


def test_plans_that_are_older_than_the_sharding(plain):
    # psycopg deallocates what it has prepared, and all else, after an error: a session of its own.
    with plain["a"].connect() as session, plain["a"].connect() as preparing:
        session.execute("CREATE FUNCTION all_sql() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t'")
        session.execute("CREATE FUNCTION all_plpgsql() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM t); END'")
        session.execute("CREATE VIEW seen AS SELECT * FROM t")
        session.execute("PREPARE every AS SELECT count(*) FROM t")
        session.execute("PREPARE most (bigint) AS SELECT count(*) FROM t WHERE k > $1")
        session.execute("PREPARE one (bigint) AS SELECT count(*) FROM t WHERE k = $1")
        session.execute("PREPARE clear AS DELETE FROM t")
        session.execute("SET plan_cache_mode = force_generic_plan")
        uses = ["EXECUTE every", "EXECUTE most (0)", "SELECT all_sql()", "SELECT all_plpgsql()", "SELECT count(*) FROM seen"]
        for _ in range(3):
            for use in uses:
                assert run(session, use) == [(60,)]
            assert run(session, "EXECUTE one (7)") == [(3,)]
        for _ in range(3):
            assert preparing.execute("SELECT count(*) FROM t WHERE n > %s", [0], prepare=True).fetchone() == (60,)
        distribute(plain)
        for use in [*uses, "EXECUTE clear"]:
            refused(session, use)
        refused(preparing, "SELECT count(*) FROM t WHERE n > %s", [0])
        for key in range(1, 21):
            assert run(session, f"EXECUTE one ({key})") == [(3,)]
        plain["a"].execute("SELECT teamscale.undistribute_table('t')")
        for use in uses:
            assert run(session, use) == [(60,)]


def test_a_statement_that_waits_for_the_sharding(plain):
    """It has been parsed for a plain table when it comes to its lock."""
    with plain["a"].connect(autocommit=False) as sharder, plain["a"].connect() as reader:
        sharder.execute("SELECT teamscale.distribute_table('t', 'k')")
        outcome = []

        def read():
            try:
                outcome.append(reader.execute("SELECT count(*) FROM t").fetchall())
            except psycopg.Error as raised:
                outcome.append(raised.sqlstate)

        thread = threading.Thread(target=read)
        thread.start()
        until(
            lambda: plain["a"].value("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s", [reader.info.backend_pid]),
            "the reader does not wait",
        )
        sharder.commit()
        thread.join(30)
        assert outcome == ["0A000"]


def test_a_snapshot_that_is_older_than_the_sharding(plain):
    for level in ["REPEATABLE READ", "SERIALIZABLE"]:
        olds = [node.connect(autocommit=False) for node in plain.nodes]
        for old in olds:
            old.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            old.execute("SELECT count(*) FROM pg_class")
        distribute(plain)
        keys = [keys_of(plain, name)[0] for name in "abc"]
        for old in olds:
            for key in keys:
                assert error(old, "SELECT count(*) FROM t WHERE k = %s", [key]).sqlstate == "40001"
                assert error(old, "UPDATE t SET n = 0 WHERE k = %s", [key]).sqlstate == "40001"
            assert error(old, "INSERT INTO t SELECT 1, count(*) FROM t WHERE k = %s", [keys[0]]).sqlstate == "40001"
            old.rollback()
            old.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            assert old.execute("SELECT count(*) FROM t WHERE k = %s", [keys[0]]).fetchone() == (3,)
            old.close()
        plain["a"].execute("SELECT teamscale.undistribute_table('t')")


def test_a_snapshot_is_not_too_old_for_what_was_sharded_before(plain):
    distribute(plain)
    plain["a"].execute("CREATE TABLE other AS SELECT * FROM t WHERE k = 1")
    plain["a"].execute("ALTER TABLE other ALTER COLUMN k SET NOT NULL")
    with plain["a"].connect(autocommit=False) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1")
        distribute(plain, "other")
        for name in "abc":
            assert old.execute("SELECT count(*) FROM t WHERE k = %s", [keys_of(plain, name)[0]]).fetchone() == (3,)
        assert error(old, "SELECT count(*) FROM other WHERE k = 1").sqlstate == "40001"


def test_who_shards_a_table_sees_it_in_the_same_transaction(plain):
    with plain["b"].connect(autocommit=False) as session:
        for statement in ["CREATE TABLE u (k bigint NOT NULL, n integer)", *[s.replace(" t ", " u ") for s in TABLE[1:]]]:
            session.execute(statement)
        session.execute("SELECT teamscale.distribute_table('u', 'k')")
        for key in range(1, 21):
            assert session.execute("SELECT count(*) FROM u WHERE k = %s", [key]).fetchone() == (3,)


def test_a_long_statement_whose_function_comes_to_the_table_after_the_sharding(plain):
    """A stable function sees by the snapshot of the statement that calls it, in READ COMMITTED too."""
    database = plain["a"]
    # Of PL/pgSQL: what may be inlined is looked at, and locks the table, when the statement is planned.
    database.execute(
        "CREATE FUNCTION of_key(key bigint) RETURNS bigint STABLE LANGUAGE plpgsql AS"
        " 'BEGIN RETURN (SELECT count(*) FROM t WHERE k = key); END'"
    )
    database.execute(
        "CREATE FUNCTION wait() RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN 1; END'"
    )
    for _ in range(2):
        with database.connect() as holder, database.connect() as reader:
            holder.execute("SELECT pg_advisory_lock(42)")
            outcome = []

            def read(reader=reader, outcome=outcome):
                sql = "SELECT wait(), of_key(i) FROM generate_series(1, 20) AS i"
                outcome.append(error(reader, sql).sqlstate)

            thread = threading.Thread(target=read)
            thread.start()
            until(
                lambda reader=reader: database.value(
                    "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s", [reader.info.backend_pid]
                ),
                "the reader does not wait",
            )
            distribute(plain)
            holder.execute("SELECT pg_advisory_unlock(42)")
            thread.join(30)
            assert outcome == ["40001"]
        database.execute("SELECT teamscale.undistribute_table('t')")


def test_plans_of_the_other_scope(plain):
    distribute(plain)
    with plain["a"].connect() as session:
        session.execute("CREATE FUNCTION all_sql() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t'")
        session.execute("CREATE FUNCTION all_plpgsql() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM t); END'")
        session.execute(
            "CREATE FUNCTION own() RETURNS bigint LANGUAGE sql SET teamscale.scope = local AS 'SELECT count(*) FROM t'"
        )
        session.execute("SET plan_cache_mode = force_generic_plan")
        session.execute("SET teamscale.scope = local")
        session.execute("PREPARE every AS SELECT count(*) FROM t")
        uses = ["EXECUTE every", "SELECT all_sql()", "SELECT all_plpgsql()"]
        own = 3 * len(keys_of(plain, "a"))
        for use in uses:
            assert run(session, use) == run(session, use) == [(own,)]
        session.execute("RESET teamscale.scope")
        for use in uses:
            refused(session, use)
        # Within a transaction that is undone, and by a function's own setting.
        with session.transaction(force_rollback=True):
            session.execute("SET LOCAL teamscale.scope = local")
            for use in uses:
                assert run(session, use) == [(own,)]
        for use in uses:
            refused(session, use)
        assert run(session, "SELECT own()") == [(own,)]
        refused(session, "SELECT own(), all_sql()")
        refused(session, "SELECT all_sql(), own()")


def test_a_cursor_keeps_the_scope_in_which_it_was_opened(plain):
    distribute(plain)
    with plain["a"].connect() as session, session.transaction(force_rollback=True):
        key = keys_of(plain, "b")[0]
        session.execute("DECLARE whole CURSOR FOR SELECT * FROM t WHERE k = %s" % key)
        session.execute("SET LOCAL teamscale.scope = local")
        session.execute("DECLARE own CURSOR FOR SELECT * FROM t")
        assert len(run(session, "FETCH ALL FROM whole")) == 3
        session.execute("SET LOCAL teamscale.scope = cluster")
        assert len(run(session, "FETCH ALL FROM own")) == 3 * len(keys_of(plain, "a"))
        refused(session, "DECLARE every CURSOR FOR SELECT * FROM t")
