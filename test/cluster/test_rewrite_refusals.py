"""Who may rewrite partitions and where; what a rewrite needs unchanged stays so until its end."""

import psycopg
import pytest

SPLIT = "CALL teamscale.split_partition('entry_2024', '{2024-07-01}')"


@pytest.fixture
def database(make_database):
    database = make_database()
    database.execute("CREATE TABLE entry (id bigint, at date, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
    database.execute("CREATE TABLE entry_2024 PARTITION OF entry FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')")
    database.execute("CREATE TABLE entry_2025 PARTITION OF entry FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')")
    database.execute("INSERT INTO entry SELECT i, date '2024-01-01' + i % 366 FROM generate_series(1, 500) AS i")
    return database


def refusal(database, call=SPLIT, **connection):
    with database.connect(**connection) as session, pytest.raises(psycopg.Error) as raised:
        session.execute(call)
    return raised.value


def test_a_publication_by_way_of_the_table_is_no_obstacle(database):
    database.execute("CREATE PUBLICATION p FOR TABLE entry WITH (publish_via_partition_root = true)")
    database.execute(SPLIT)
    assert database.value("SELECT count(*) FROM pg_publication_tables WHERE tablename = 'entry'") == 1


def test_a_transaction_block_and_a_function_are_refused(database):
    database.execute(f"CREATE FUNCTION split() RETURNS void LANGUAGE plpgsql AS $$ BEGIN {SPLIT}; END $$")
    for calls in (["BEGIN", SPLIT], ["SELECT split()"]):
        with database.connect() as session, pytest.raises(psycopg.errors.ActiveSqlTransaction):
            for call in calls:
                session.execute(call)
    assert database.execute("SELECT * FROM teamscale.stat_rewrite") == []
    database.execute(f"DO $$ BEGIN {SPLIT}; END $$")  # may commit


def test_only_the_owner_may(database):
    role = f"{database.name}_stranger"
    database.execute(f"CREATE ROLE {role} LOGIN")
    try:
        for call in (SPLIT, "CALL teamscale.merge_partitions('{entry_2024,entry_2025}')"):
            assert refusal(database, call, user=role).sqlstate == "42501"
        stop_at(database, "rewrite built")
        assert refusal(database).sqlstate == "TS999"
        stop_at(database, None)
        for call in (
            "CALL teamscale.cancel_rewrite('entry')",
            "CALL teamscale.resume_rewrite('entry')",
            "CALL teamscale_internal.run_rewrite(1)",
            "CALL teamscale_internal.undo_rewrite(1)",
            "SELECT teamscale_internal.record_rewrite('entry', 'split', '{}', '[]')",
        ):
            assert refusal(database, call, user=role).sqlstate == "42501", call
        for function in ("mirror_row", "mirror_truncate"):
            call = f"CREATE TABLE t (a int); CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION teamscale_internal.{function}('1259')"
            database.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
            assert refusal(database, call, user=role).sqlstate == "42501"
        with database.connect(user=role) as session:
            assert session.execute("SELECT * FROM teamscale.stat_rewrite").fetchall() == []
        assert len(database.execute("SELECT * FROM teamscale.stat_rewrite")) == 1
    finally:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def stop_at(database, point):
    database.execute(
        f"ALTER DATABASE {database.name} " + (f"SET teamscale.wait_point = '{point}=raise'" if point else "RESET teamscale.wait_point")
    )


CHANGES = [
    "ALTER TABLE entry ADD COLUMN extra int",
    "ALTER TABLE entry RENAME TO entries",
    "ALTER TABLE entry RENAME note TO remark",
    "ALTER TABLE entry OWNER TO pg_monitor",
    "ALTER TABLE entry SET SCHEMA pg_catalog",
    "ALTER TABLE entry_2024 SET (fillfactor = 50)",
    "ALTER TABLE entry_2024 ALTER COLUMN note SET STATISTICS 9",
    "ALTER TABLE entry_2024 ALTER COLUMN note SET DEFAULT 'x'",
    "ALTER TABLE entry_2024 ADD CHECK (id > 0)",
    "ALTER TABLE entry_2024 SET TABLESPACE pg_default",
    "ALTER TABLE entry DETACH PARTITION entry_2024",
    "ALTER TABLE entry DETACH PARTITION entry_2024 CONCURRENTLY",
    "ALTER TABLE entry_2024 DISABLE TRIGGER ALL",
    "CREATE INDEX ON entry (note)",
    "CREATE INDEX ON entry_2024 (note)",
    "CREATE INDEX CONCURRENTLY ON entry_2024 (note)",
    "REINDEX TABLE CONCURRENTLY entry_2024",
    "CREATE TRIGGER t AFTER INSERT ON entry_2024 EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE POLICY p ON entry_2024 USING (true)",
    "CREATE STATISTICS s ON id, at FROM entry_2024",
    "CREATE RULE r AS ON DELETE TO entry_2024 DO ALSO NOTHING",
    "CREATE TABLE t (id bigint, at date, FOREIGN KEY (id, at) REFERENCES entry)",
    "DROP TABLE entry",
    "DROP TABLE entry_2024",
    "DROP SCHEMA public CASCADE",
    "DROP EXTENSION teamscale CASCADE",
    "DROP TABLE entry_2024_1",
    "TRUNCATE entry_2024_1",
    "ALTER TABLE entry_2024_1 SET (fillfactor = 50)",
    "CREATE INDEX ON entry_2024_2 (note)",
    "ALTER TABLE teamscale_rewrite_1 DETACH PARTITION entry_2024_1",
]


def test_definitions_stay_as_they_are_until_the_end(database):
    stop_at(database, "rewrite copied")
    assert refusal(database).sqlstate == "TS999"
    stop_at(database, None)
    for change in CHANGES:
        with database.connect() as session:
            try:
                session.execute(change)
            except psycopg.Error as raised:
                error = raised
            else:
                pytest.fail(f"not refused: {change}")
        assert error.sqlstate == "55006", (change, error)
        assert "CALL teamscale.cancel_rewrite()" in error.diag.message_hint
    database.execute(SPLIT)
    database.execute("ALTER TABLE entry ADD COLUMN extra int")
    database.execute("ALTER TABLE entry DETACH PARTITION entry_2024_1")


def test_other_partitions_come_and_go_meanwhile(database):
    stop_at(database, "rewrite copied")
    assert refusal(database).sqlstate == "TS999"
    stop_at(database, None)
    database.execute("CREATE TABLE entry_2026 PARTITION OF entry FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')")
    database.execute("CREATE TABLE entry_2027 (LIKE entry)")
    database.execute("ALTER TABLE entry ATTACH PARTITION entry_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')")
    database.execute("ALTER TABLE entry DETACH PARTITION entry_2025 CONCURRENTLY")
    database.execute("DROP TABLE entry_2025")
    database.execute("CREATE TABLE entry_rest PARTITION OF entry DEFAULT")
    database.execute("CREATE TABLE unrelated (id bigint PRIMARY KEY); CREATE INDEX ON unrelated (id); DROP TABLE unrelated")
    database.execute("VACUUM FULL entry_2024; REINDEX TABLE entry_2024; ANALYZE entry; VACUUM entry".split("; ")[0])
    database.execute(SPLIT)
    assert database.value("SELECT count(*) FROM entry") == 500
    assert database.value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'entry'::regclass") == 5
    assert database.value("SELECT count(*) FROM pg_constraint WHERE conname LIKE 'teamscale%'") == 0


def test_another_rewrite_of_the_table_waits_its_turn(database):
    stop_at(database, "rewrite copied")
    assert refusal(database).sqlstate == "TS999"
    stop_at(database, None)
    for call in ("CALL teamscale.split_partition('entry_2025', '{2025-07-01}')", "CALL teamscale.split_partition('entry_2024', '{2024-08-01}')"):
        error = refusal(database, call)
        assert error.sqlstate == "55006"
        assert "resume_rewrite" in error.diag.message_hint
    database.execute("CALL teamscale.resume_rewrite('entry')")
    database.execute("CALL teamscale.split_partition('entry_2025', '{2025-07-01}')")
