"""Maintenance of partitions: what it does as time goes on, whose session it runs in, and what happens when it cannot."""

import threading

import psycopg
import pytest

from waiting import until

LOG = "CREATE TABLE {} (id bigint, at timestamptz NOT NULL, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)"


@pytest.fixture(scope="module")
def server(module_server):
    """Only what a test calls for is done."""
    made = module_server()
    made.configure(**{"teamscale.partition_workers": "0"})
    return made


@pytest.fixture
def database(server, make_database):
    made = make_database(server)
    made.execute("ALTER DATABASE {} SET timezone = 'UTC'".format(made.name))
    return made


def set_clock(database, time):
    database.execute(f"ALTER DATABASE {database.name} SET teamscale.partition_clock = '{time}'")


def create_log(database, name="log", clock="2026-01-15", **policy):
    """A table with a policy of months, as of a clock."""
    set_clock(database, clock)
    options = "".join(f", {key} => {value}" for key, value in policy.items())
    with database.connect() as connection:
        connection.execute(LOG.format(name))
        connection.execute(f"SELECT teamscale.create_partition_policy('{name}', 'at', every => '1 month'{options})")


def maintain(database, name="log", **connect):
    """Runs maintenance; gives its warnings and notices."""
    messages = []
    with database.connect(**connect) as connection:
        connection.add_notice_handler(lambda diagnostic: messages.append((diagnostic.sqlstate, diagnostic.message_primary)))
        connection.execute(f"CALL teamscale.maintain_partitions('{name}')")
    return messages


def plan(database, name="log"):
    return database.execute(f"SELECT action, object FROM teamscale.plan_partitions('{name}')")


def ranges(database, name="log"):
    return database.execute(
        "SELECT lower, upper FROM teamscale.partition WHERE \"table\" = %s::regclass AND lower IS NOT NULL ORDER BY lower::timestamptz",
        [name],
    )


def names(database, name="log"):
    return [row[0] for row in database.execute(
        "SELECT partition::text FROM teamscale.partition WHERE \"table\" = %s::regclass ORDER BY 1", [name])]


def test_months_come_and_go_as_time_passes(database):
    create_log(database, premake=3, retain="'6 months'")
    for month in range(1, 31):
        year, number = 2026 + (month - 1) // 12, (month - 1) % 12 + 1
        set_clock(database, f"{year}-{number:02}-20")
        assert maintain(database) == []
        assert plan(database) == []
        found = ranges(database)
        assert all(upper == lower for (_, upper), (lower, _) in zip(found, found[1:])), "a gap or an overlap"
        assert len(found) == min(month, 7) + 3
    assert database.value("SELECT failures FROM teamscale.stat_maintenance") == 0


@pytest.mark.parametrize("default_partition", [True, False])
def test_what_expires_is_dropped_detached_or_moved(database, default_partition):
    database.execute("CREATE SCHEMA old")
    for name, options in {
        "dropped": {},
        "detached": {"on_expiry": "'detach'"},
        "moved": {"on_expiry": "'move'", "move_to": "'old'"},
    }.items():
        create_log(database, name, retain="'1'", default_partition=default_partition, **options)
    set_clock(database, "2026-02-15")
    for name in ["dropped", "detached", "moved"]:
        maintain(database, name)
    set_clock(database, "2026-03-15")
    for name in ["dropped", "detached", "moved"]:
        assert maintain(database, name) == []
        assert f"{name}_2026_01" not in names(database, name)
        assert plan(database, name) == []
    left = database.execute("SELECT oid::regclass::text FROM pg_class WHERE relname ~ '_2026_01$' AND relkind = 'r' ORDER BY 1")
    assert left == [("detached_2026_01",), ("old.moved_2026_01",)]


def test_a_retention_that_fails_every_night_does_not_keep_partitions_from_being_made(database):
    create_log(database, retain="'1'", premake=2)
    database.execute("INSERT INTO log VALUES (1, '2026-01-20')")
    database.execute("CREATE TABLE note (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES log)")
    database.execute("INSERT INTO note VALUES (1, '2026-01-20')")
    for month in range(2, 7):
        set_clock(database, f"2026-{month:02}-15")
        messages = maintain(database)
        if month > 2:
            assert [state for state, _ in messages] == ["23503"] , "the failure is told"
        assert f"log_2026_{month + 2:02}" in names(database)
    action, state, failed_runs, ahead = database.execute(
        "SELECT last_failed_action, last_sqlstate, failed_runs, ranges_ahead FROM teamscale.stat_maintenance")[0]
    assert (action, state, failed_runs, ahead) == ('detach "public"."log_2026_01"', "23503", 4, 1)
    database.execute("DELETE FROM note")
    assert maintain(database) == []
    assert "log_2026_01" not in names(database)


def test_one_tables_failure_stops_no_other(database):
    for name in ["first", "second", "third"]:
        create_log(database, name)
    database.execute("ALTER TABLE second ADD COLUMN more int; ALTER TABLE second DROP CONSTRAINT second_pkey")
    database.execute("UPDATE teamscale_internal.partition_policy SET time_zone = 'Nowhere/Land' WHERE relation = 'second'::regclass")
    set_clock(database, "2026-02-15")
    with database.connect() as connection:
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            connection.execute("CALL teamscale.maintain_partitions('second')")
    for name in ["first", "third"]:
        maintain(database, name)
        assert f"{name}_2026_06" in names(database, name)


def test_neither_dies_when_an_expired_partition_is_being_read(database):
    create_log(database, retain="'1'", default_partition=False)
    database.execute("INSERT INTO log SELECT i, '2026-01-20' FROM generate_series(1, 1000) AS i")
    set_clock(database, "2026-02-15")
    maintain(database)
    set_clock(database, "2026-03-15")
    reader = database.connect(autocommit=False)
    assert reader.execute("SELECT count(*) FROM log").fetchone() == (1000,)
    messages = maintain(database)
    assert [state for state, _ in messages] == ["55P03"]
    assert database.value("SELECT state FROM teamscale.partition WHERE partition = 'log_2026_01'::regclass") == "detaching"
    # Who comes later is not kept waiting, and does not see what has expired.
    assert database.value("SELECT count(*) FROM log") == 0
    assert reader.execute("SELECT count(*) FROM log").fetchone() in [(1000,), (0,)]
    reader.commit()
    assert maintain(database) == []
    assert database.value("SELECT to_regclass('log_2026_01')") is None


def test_a_table_that_is_locked_keeps_no_other_from_being_maintained(database):
    create_log(database, "locked")
    create_log(database, "free")
    set_clock(database, "2026-02-15")
    holder = database.connect(autocommit=False)
    holder.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
    done = threading.Thread(target=maintain, args=[database, "free"])
    done.start()
    done.join(30)
    assert not done.is_alive() and "free_2026_06" in names(database, "free")
    holder.rollback()
    assert maintain(database, "locked") == []


def test_a_veto_keeps_a_partition_and_is_shown(database):
    database.execute("CREATE TABLE audited (partition text)")
    database.execute("""CREATE FUNCTION keep_audited(partition regclass) RETURNS boolean LANGUAGE sql AS
                        $$SELECT NOT EXISTS (SELECT FROM audited AS a WHERE a.partition = $1::text)$$""")
    create_log(database, retain="'1'", before_drop="'keep_audited'::regproc::oid::regprocedure")
    set_clock(database, "2026-02-15")
    maintain(database)
    database.execute("INSERT INTO audited VALUES ('log_2026_01')")
    set_clock(database, "2026-03-15")
    assert maintain(database) == []
    assert "log_2026_01" in names(database)
    assert database.execute("SELECT action, reason ~ 'keep_audited.* refused' FROM teamscale.plan_partitions('log')") == [("blocked", True)]
    database.execute("DELETE FROM audited")
    maintain(database)
    assert "log_2026_01" not in names(database)


@pytest.mark.parametrize("wrong", ["2025-03-01", "2027-08-15"])
def test_a_clock_that_jumps_expires_nothing(database, wrong):
    create_log(database, retain="'2'")
    for month in [2, 3, 4, 5, 6]:
        set_clock(database, f"2026-{month:02}-15")
        maintain(database)
    kept = [name for name in names(database) if name.startswith("log_2026")]
    set_clock(database, wrong)
    assert "guard" in [action for action, _ in plan(database)]
    maintain(database)
    assert set(kept) <= set(names(database))
    set_clock(database, "2026-06-20")
    maintain(database)
    assert set(kept) <= set(names(database))
    set_clock(database, wrong)
    database.execute("SELECT teamscale.alter_partition_policy('log', accept_clock => true)")
    maintain(database)
    assert ("log_2026_04" in names(database)) == (wrong < "2026")


def test_two_runs_at_once_come_one_after_the_other(database):
    create_log(database)
    set_clock(database, "2026-02-15")
    holder = database.connect(autocommit=False)
    holder.execute("LOCK TABLE log IN ACCESS EXCLUSIVE MODE")
    runs = [threading.Thread(target=maintain, args=[database]) for _ in range(2)]
    for run in runs:
        run.start()
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 3 AND NOT granted"
    until(lambda: database.value(waiting), "no run waits for the other")
    holder.rollback()
    for run in runs:
        run.join(30)
    assert "log_2026_06" in names(database)
    assert database.execute("SELECT actions, failures FROM teamscale.stat_maintenance") == [(1, 0)]


def test_a_cancelled_call_ends_its_session_and_a_later_one_goes_on(database):
    create_log(database)
    set_clock(database, "2026-02-15")
    holder = database.connect(autocommit=False)
    holder.execute("LOCK TABLE log IN ACCESS EXCLUSIVE MODE")
    caller = database.connect(options="-c statement_timeout=500")
    with pytest.raises(psycopg.errors.QueryCanceled):
        caller.execute("CALL teamscale.maintain_partitions('log')")
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'teamscale owner session' AND datname = current_database()"
    until(lambda: database.value(sessions) == 0, "the session goes on")
    assert caller.execute("SELECT 1").fetchone() == (1,)
    holder.rollback()
    assert maintain(database) == []


def test_calls_that_are_refused(database):
    create_log(database)
    database.execute("DROP ROLE IF EXISTS partition_stranger")
    database.execute("CREATE ROLE partition_stranger LOGIN")
    database.execute("CREATE TABLE plain (i int)")
    with database.connect() as connection:
        connection.execute("BEGIN")
        with pytest.raises(psycopg.errors.InvalidTransactionTermination):
            connection.execute("CALL teamscale.maintain_partitions('log')")
    for call in ["CALL teamscale.maintain_partitions('log')", "SELECT teamscale.plan_partitions('log')",
                 "SELECT teamscale.alter_partition_policy('log', premake => 1)", "SELECT teamscale.drop_partition_policy('log')",
                 "SELECT teamscale.create_partition_policy('log', 'at', '1 month')"]:
        with database.connect(user="partition_stranger") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(call)
    with database.connect() as connection, pytest.raises(psycopg.errors.UndefinedObject):
        connection.execute("SELECT teamscale.plan_partitions('plain')")
    database.execute("CALL teamscale.maintain_partitions('log', '0')")
    database.execute("DROP ROLE partition_stranger")


def test_the_maintenance_worker_does_it_by_itself(make_server, make_database):
    server = make_server()
    server.configure(**{"teamscale.partition_interval": "200ms"})
    database = make_database(server)
    create_log(database)
    set_clock(database, "2026-02-15")
    until(lambda: "log_2026_06" in names(database), "the worker has made no partition")
    until(lambda: database.value("SELECT last_end IS NOT NULL FROM teamscale.stat_maintenance"), "no run has ended")
    # A database goes although its owners' sessions come and go.
    server.drop_database(database)
