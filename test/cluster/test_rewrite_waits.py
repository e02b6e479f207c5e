"""What a rewrite waits for: whom it lets pass, and what becomes of rows that others hold, truncate or move meanwhile."""

import psycopg
import pytest

from waiting import Running, held_at, until

SPLIT = "CALL teamscale.split_partition('entry_2024', '{2024-07-01}')"
MERGE = "CALL teamscale.merge_partitions('{entry_2024,entry_2025}', 'entry_all')"
ROWS = 3000


@pytest.fixture
def database(make_database):
    database = make_database()
    database.execute("CREATE TABLE entry (id bigint, at date, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    for year in (2024, 2025):
        database.execute(f"CREATE TABLE entry_{year} PARTITION OF entry FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')")
    database.execute(
        f"INSERT INTO entry SELECT i, date '2024-01-01' + i % 731, repeat('x', 200) FROM generate_series(1, {ROWS}) AS i"
    )
    return database


def progress(database):
    rows = database.execute('SELECT phase, blocked_by, swap_attempts, blocks - blocks_done FROM teamscale.stat_rewrite')
    return rows[0] if rows else (None, [], 0, None)


def until_phase(database, phase):
    until(lambda: progress(database)[0] == phase, f"the rewrite did not come to phase {phase}")


def release(database):
    database.holder.execute("SELECT pg_advisory_unlock_all()")


def count(connection):
    return connection.execute("SELECT count(*), count(DISTINCT id) FROM entry").fetchone()


def test_a_snapshot_older_than_the_copy_is_waited_for(database):
    with database.connect(autocommit=False) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT 1")
        splitting = Running(database, SPLIT)
        until(lambda: progress(database)[:2] == ("waiting", [reader.info.backend_pid]), "it did not wait for the reader")
        assert count(reader) == (ROWS, ROWS)
        assert splitting.is_running()
    splitting.result()


def test_a_snapshot_that_is_handed_on_is_waited_for_too(database):
    with database.connect(autocommit=False) as heir:
        heir.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with database.connect(autocommit=False) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            snapshot = reader.execute("SELECT pg_export_snapshot()").fetchone()[0]
            splitting = Running(database, SPLIT)
            until_phase(database, "waiting")
            heir.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        until(lambda: progress(database)[:2] == ("waiting", [heir.info.backend_pid]), "it did not wait for the heir")
        assert count(heir) == (ROWS, ROWS)
    splitting.result()


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_a_row_that_somebody_holds_is_copied_when_it_is_free(database, end):
    with database.connect() as writer:
        with held_at(database, "rewrite mirrored", SPLIT) as splitting:
            writer.execute("BEGIN; SELECT FROM entry WHERE id = 5 FOR UPDATE")
            release(database)
            until(lambda: 0 < progress(database)[3] < 20, "the other rows were not copied")
            writer.execute("UPDATE entry SET note = 'held' WHERE id = 5")
            assert progress(database)[0] == "copying" and splitting.is_running()
            writer.execute(end)
    assert (database.value("SELECT note FROM entry WHERE id = 5") == "held") == (end == "COMMIT")
    assert database.value("SELECT count(*) FROM entry") == ROWS


def test_a_prepared_transaction_is_waited_for(database):
    with database.connect(autocommit=False) as writer:
        writer.execute("DELETE FROM entry WHERE id <= 10")
        writer.execute("PREPARE TRANSACTION 'deleting'")
    splitting = Running(database, SPLIT)
    until_phase(database, "mirroring")
    database.execute("COMMIT PREPARED 'deleting'")
    splitting.result()
    assert database.value("SELECT count(*) FROM entry") == ROWS - 10


def test_a_transaction_that_used_the_table_keeps_the_swap_back_and_nobody_else(database):
    with database.connect(autocommit=False) as reader:
        assert count(reader) == (ROWS, ROWS)
        splitting = Running(database, SPLIT)
        until(lambda: progress(database)[2] >= 2, "the swap was not tried")
        assert database.value("SELECT count(*) FROM entry") == ROWS
        database.execute("INSERT INTO entry VALUES (0, '2024-05-05')")
        assert splitting.is_running()
    splitting.result()
    assert database.value("SELECT count(*) FROM entry") == ROWS + 1


def test_what_serializable_transactions_have_read_keeps_the_swap_back(database):
    """Each of two transactions reads what the other one writes: one must fail, whichever partitions there are by then."""
    database.execute("CREATE TABLE other (id int PRIMARY KEY, note text)")
    database.execute("INSERT INTO other VALUES (1, 'old')")
    with held_at(database, "rewrite secured", SPLIT) as splitting, database.connect() as late:
        late.execute("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT FROM other")
        with database.connect() as early:
            early.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
            early.execute("SELECT note FROM entry WHERE id = 7")
            early.execute("UPDATE other SET note = 'new'")
            early.execute("COMMIT")
        release(database)
        until(lambda: progress(database)[2] >= 1, "the swap was not kept back")
        assert splitting.is_running()
        with pytest.raises(psycopg.errors.SerializationFailure):
            late.execute("UPDATE entry SET note = (SELECT note FROM other) WHERE id = 7")
            late.execute("COMMIT")


@pytest.mark.parametrize("call, sources", [(SPLIT, "entry_2024"), (MERGE, "entry_2025"), (MERGE, "entry")], ids=["split", "merge", "all"])
def test_a_truncate_meanwhile_is_mirrored(database, call, sources):
    """Rows that were copied already go; those of other partitions stay; what comes back is there once."""
    left = database.value(f"SELECT count(*) FROM entry WHERE tableoid <> '{sources}'::regclass") if sources != "entry" else 0
    with held_at(database, "rewrite copied a batch" if call == SPLIT else "rewrite copied", call):
        with database.connect(autocommit=False) as writer:
            writer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            writer.execute(f"TRUNCATE {sources}")
            writer.rollback()
            writer.execute(f"TRUNCATE {sources}")
            writer.execute("INSERT INTO entry VALUES (0, '2024-01-06', 'again'), (0, '2025-01-06', 'again')")
    assert database.value("SELECT count(*) FROM entry") == left + 2


def test_blocks_that_a_vacuum_full_has_moved_are_read_again(database):
    database.execute("DELETE FROM entry WHERE id % 3 <> 0")
    with held_at(database, "rewrite copied a batch", SPLIT):
        database.execute("VACUUM FULL entry_2024")
    assert database.execute("SELECT count(*), sum(id) FROM entry") == database.execute(
        f"SELECT count(*), sum(i) FROM generate_series(3, {ROWS}, 3) AS i"
    )


def test_one_process_at_a_time_works_on_a_rewrite(database):
    with held_at(database, "rewrite copied", SPLIT) as splitting:
        with pytest.raises(psycopg.errors.ObjectInUse) as raised:
            database.execute(SPLIT)
        assert raised.value.diag.message_primary == "another process works on this rewrite"
        assert str(database.value("SELECT pid FROM teamscale.stat_rewrite")) in raised.value.diag.message_detail
        assert splitting.is_running()


def test_a_rewrite_that_runs_is_cancelled(database):
    for point in ("rewrite copied", "rewrite secured"):
        with pytest.raises(psycopg.errors.QueryCanceled), held_at(database, point, SPLIT):
            database.execute("CALL teamscale.cancel_rewrite('entry')")
        assert progress(database) == (None, [], 0, None)
        assert database.value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'entry'::regclass") == 2
    database.execute(SPLIT)


def test_a_cancel_that_is_interrupted_is_finished_by_another(database):
    with pytest.raises(psycopg.errors.QueryCanceled), held_at(database, "rewrite copied", SPLIT):
        database.execute(f"ALTER DATABASE {database.name} SET teamscale.wait_point = 'rewrite lost a mirror=raise'")
        with pytest.raises(psycopg.Error) as raised:
            database.execute("CALL teamscale.cancel_rewrite('entry')")
        assert raised.value.sqlstate == "TS999"
        database.execute(f"ALTER DATABASE {database.name} RESET teamscale.wait_point")
    # The mirror is gone: nothing may go on from there.
    database.execute("UPDATE entry SET note = 'later'")
    with pytest.raises(psycopg.errors.QueryCanceled) as raised:
        database.execute(SPLIT)
    assert raised.value.diag.message_primary == "the rewrite was cancelled"
    database.execute("CALL teamscale.cancel_rewrite('entry')")
    database.execute(SPLIT)
    assert database.value("SELECT count(*) FROM entry WHERE note = 'later'") == ROWS
