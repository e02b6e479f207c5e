"""Maintenance moves rows: out of the default partition, to halves of hash partitions, to another tablespace; under readers and
writers, through everything that interrupts it."""

import datetime

import psycopg
import pytest

from event_fold import poll
from rewrite_load import Load
from waiting import held_at

STEPS = ["rewrite begun", "rewrite built", "rewrite mirrored", "rewrite copied a batch", "rewrite waited", "rewrite secured", "rewrite swapping"]


@pytest.fixture(scope="module")
def server(module_server):
    """Only what a test calls for is done."""
    made = module_server()
    made.configure(**{"teamscale.partition_workers": "0"})
    return made


@pytest.fixture
def database(server, make_database):
    made = make_database(server)
    made.execute(f"ALTER DATABASE {made.name} SET teamscale.partition_clock = '2026-01-15'")
    made.execute(f"ALTER DATABASE {made.name} SET timezone = 'UTC'")
    return made


def some_day(generator):
    """A third of the days is in ranges that are not premade."""
    return datetime.date(2026, 1, 1) + datetime.timedelta(days=generator.randrange(90))


def create_log(database, rows, key="PRIMARY KEY (id, at)"):
    with database.connect() as session:
        session.execute(f"CREATE TABLE log (id bigint NOT NULL, at date NOT NULL, value bigint NOT NULL, note text, {key}) PARTITION BY RANGE (at)")
        session.execute("SELECT teamscale.create_partition_policy('log', 'at', every => '1 month', premake => 1)")
        session.execute("INSERT INTO log SELECT i, date '2026-01-01' + (i %% 90)::int, i FROM generate_series(1, %s) AS i", [rows])


def maintain(database):
    """Runs maintenance; gives the SQLSTATEs of its warnings."""
    states = []
    with database.connect() as session:
        session.add_notice_handler(lambda diagnostic: states.append(diagnostic.sqlstate))
        session.execute("CALL teamscale.maintain_partitions()")
    return states


def plan(database):
    return database.execute("SELECT action, object FROM teamscale.plan_partitions()")


def counts(database, table="log"):
    return dict(database.execute(f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1"))


def set_wait_point(database, text):
    database.execute(f"ALTER DATABASE {database.name} " + (f"SET teamscale.wait_point = '{text}'" if text else "RESET teamscale.wait_point"))


def test_rows_leave_the_default_partition_while_it_dies_at_every_step(database):
    create_log(database, 900)
    assert plan(database) == [("drain", '"public"."log_2026_03"')]
    with Load(database, "log", some_day, 900) as load:
        load.start(writers=2, readers=2)
        for step in STEPS:
            load.until_busy(3)
            set_wait_point(database, f"{step}=raise")
            assert set(maintain(database)) == {"TS999"}, step
            set_wait_point(database, None)
            assert plan(database) == [("resume rewrite", '"public"."log"')]
        load.until_busy(3)
        assert maintain(database) == []
        load.until_busy(3)
    assert database.value("SELECT count(*) FROM log_default") == 0
    assert set(counts(database)) == {"log_2026_01", "log_2026_02", "log_2026_03"}
    assert plan(database) == []
    assert database.execute("SELECT * FROM teamscale.stat_rewrite") == []


def test_each_value_that_turns_up_gets_its_partition(database):
    with database.connect() as session:
        session.execute("CREATE TABLE t (id bigint, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region)")
        session.execute("""SELECT teamscale.create_partition_policy('t', 'region', kind => 'list', storage => '{"fillfactor": 70}')""")
        session.execute("INSERT INTO t SELECT i, (ARRAY['eu', 'us', 'it''s'])[1 + i % 3] FROM generate_series(1, 99) AS i")
    assert maintain(database) == []
    assert sorted(counts(database, "t").values()) == [33, 33, 33] and database.value("SELECT count(*) FROM t_default") == 0
    assert plan(database) == []
    options = "SELECT DISTINCT array_to_string(reloptions, ', ') FROM pg_class WHERE relispartition AND relkind = 'r'"
    assert database.execute(options) == [("fillfactor=70",)]


def test_hash_partitions_are_split_when_the_modulus_grows(database):
    with database.connect() as session:
        session.execute("CREATE TABLE t (id bigint PRIMARY KEY, note text) PARTITION BY HASH (id)")
        session.execute("SELECT teamscale.create_partition_policy('t', 'id', kind => 'hash', modulus => 2)")
        session.execute("INSERT INTO t SELECT i, 'row' FROM generate_series(1, 400) AS i")
        session.execute("SELECT teamscale.alter_partition_policy('t', modulus => 8)")
    rows = database.execute("SELECT * FROM t ORDER BY id")
    assert [action for action, _ in plan(database)] == ["split", "split"]
    assert maintain(database) == []
    assert len(counts(database, "t")) == 8 and plan(database) == []
    assert database.execute("SELECT * FROM t ORDER BY id") == rows


@pytest.mark.parametrize("analyzed", [True, False])
def test_a_large_partition_moves_to_another_tablespace_while_it_is_written(server, database, analyzed):
    database.execute(f"ALTER DATABASE {database.name} SET allow_in_place_tablespaces = on")
    if not database.value("SELECT count(*) FROM pg_tablespace WHERE spcname = 'bulk'"):
        database.execute("CREATE TABLESPACE bulk LOCATION ''")
    server.configure(**{"teamscale.move_in_place_limit": "0"})
    create_log(database, 900)
    assert maintain(database) == []
    if analyzed:
        database.execute("ANALYZE log")
    database.execute("""SELECT teamscale.alter_partition_policy('log', tablespaces => '{"10 days": "bulk"}')""")
    database.execute(f"ALTER DATABASE {database.name} SET teamscale.partition_clock = '2026-02-15'")
    assert {action for action, _ in plan(database)} & {"move in place", "move by rewrite"} == ({"move by rewrite"} if analyzed else {"move in place"})
    before = database.value("SELECT 'log_2026_01'::regclass::oid")
    with Load(database, "log", some_day, 900) as load:
        load.start(writers=2, readers=2)
        load.until_busy(3)
        assert maintain(database) == []
        load.until_busy(3)
    assert database.value("SELECT 'log_2026_01'::regclass::oid") != before
    where = "SELECT DISTINCT s.spcname FROM pg_class AS c LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace WHERE c.oid = 'log_2026_01'::regclass"
    assert database.execute(where + " OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'log_2026_01'::regclass)") == [("bulk",)]
    assert plan(database) == []


def test_an_old_snapshot_keeps_rows_back_and_no_new_partition(server, database):
    server.configure(**{"teamscale.partition_lock_attempts": "1"})
    create_log(database, 90)
    database.execute("CREATE TABLE other (id int)")
    reader = database.connect(autocommit=False)
    reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    reader.execute("SELECT count(*) FROM other")
    assert maintain(database) == ["55P03"]
    assert database.execute("SELECT phase, pid FROM teamscale.stat_rewrite") == [("waiting", None)]
    database.execute(f"ALTER DATABASE {database.name} SET teamscale.partition_clock = '2026-03-15'")
    # The one that was interrupted is tried first, and does not keep the others from being made.
    assert maintain(database) == ["55P03"]
    assert database.value("SELECT to_regclass('log_2026_04')::text") == "log_2026_04"
    # A snapshot from after the copy is not waited for.
    later = database.connect(autocommit=False)
    later.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    later.execute("SELECT count(*) FROM other")
    assert reader.execute("SELECT count(*) FROM log").fetchone() == (90,)
    reader.commit()
    assert maintain(database) == []
    assert later.execute("SELECT count(*) FROM log").fetchone() == (90,)
    later.commit()
    assert database.value("SELECT count(*) FROM log_default") == 0
    server.configure(**{"teamscale.partition_lock_attempts": "10"})


def test_a_table_without_a_key_keeps_its_rows_and_says_so(database):
    create_log(database, 90, key="CHECK (value > 0)")
    assert maintain(database) == ["55000"]
    action, state = database.execute("SELECT last_failed_action, last_sqlstate FROM teamscale.stat_maintenance")[0]
    assert (action, state) == ('drain "public"."log_2026_03"', "55000")
    assert sum(counts(database).values()) == 90 and database.execute("SELECT * FROM teamscale.stat_rewrite") == []


def test_partitions_that_are_partitioned_are_not_drained_to(database):
    with database.connect() as session:
        session.execute("CREATE TABLE t (id bigint, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
        session.execute("""SELECT teamscale.create_partition_policy('t', 'at', every => '1 month', premake => 1,
                             sub_policy => '{"column": "id", "kind": "hash", "modulus": 2}')""")
        session.execute("INSERT INTO t VALUES (1, '2027-01-01')")
    assert maintain(database) == ["0A000"]
    assert database.value("SELECT count(*) FROM t") == 1 and database.execute("SELECT * FROM teamscale.stat_rewrite") == []


def test_a_rewrite_of_somebody_else_is_left_to_them(database):
    create_log(database, 90)
    with held_at(database, "rewrite copied", "CALL teamscale.split_partition('log_2026_01', '{2026-01-10}')"):
        reasons = database.execute("SELECT action, reason FROM teamscale.plan_partitions()")
        assert reasons == [("notice", "A split is under way.")]
        assert maintain(database) == []
    assert maintain(database) == []
    assert database.value("SELECT count(*) FROM log_default") == 0


def test_what_was_cancelled_is_undone(database):
    create_log(database, 90)
    before = counts(database)
    set_wait_point(database, "rewrite copied=raise")
    with pytest.raises(psycopg.Error):
        database.execute("CALL teamscale.split_partition('log_2026_01', '{2026-01-10}')")
    set_wait_point(database, "rewrite cancelled=raise")
    with pytest.raises(psycopg.Error):
        database.execute("CALL teamscale.cancel_rewrite('log')")
    set_wait_point(database, None)
    assert maintain(database) == []
    assert database.execute("SELECT * FROM teamscale.stat_rewrite") == [] and plan(database) == []
    assert counts(database)["log_2026_01"] == before["log_2026_01"]


def test_events_tell_what_writers_did_and_not_that_rows_moved(database):
    create_log(database, 90)
    database.execute("SELECT teamscale.create_event_stream('s')")
    with held_at(database, "rewrite copied", "CALL teamscale.maintain_partitions('log')"):
        database.execute("UPDATE log SET value = -1 WHERE id = 80")
    assert database.value("SELECT count(*) FROM log_2026_03") > 0
    with database.connect() as reader:
        events = [(event["op"], event["key"]) for event in poll(reader, "s")]
    assert [event for event in events if event[0] in ("insert", "update", "delete", "truncate")] == [
        ("update", '{"id":80,"at":"2026-03-22"}')
    ]
    database.execute("SELECT teamscale.drop_event_stream('s')")
