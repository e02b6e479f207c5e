"""What writers do while the mirror is there: the copy has it afterwards, in whatever order triggers fire. The same is done
to a twin that is not rewritten, and both are compared."""

import pytest

from waiting import Running, until

TABLE = """
CREATE TABLE {name} (id bigint, at date, position integer, note text, twice integer GENERATED ALWAYS AS (position * 2) STORED,
                     PRIMARY KEY (id, at), UNIQUE (position, at) DEFERRABLE) PARTITION BY RANGE (at);
CREATE TABLE {name}_2024 (gone text, note text, at date NOT NULL, position integer, id bigint NOT NULL,
                          twice integer GENERATED ALWAYS AS (position * 2) STORED);
ALTER TABLE {name}_2024 DROP COLUMN gone;
ALTER TABLE {name} ATTACH PARTITION {name}_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE {name}_2025 PARTITION OF {name} FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE FUNCTION {name}_touch(bigint) RETURNS text LANGUAGE sql VOLATILE AS $$
    UPDATE {name} SET note = note || '+' WHERE id = $1; SELECT 'touched' $$;
CREATE FUNCTION {name}_replace(bigint) RETURNS text LANGUAGE sql VOLATILE AS $$
    WITH gone AS (DELETE FROM {name} WHERE id = $1) SELECT; INSERT INTO {name} VALUES ($1, '2024-12-24', $1 + 1000, 'replaced'); SELECT 'replaced' $$;
CREATE FUNCTION {name}_again() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE {name} SET note = note || '*' WHERE id = NEW.id AND at = NEW.at AND note NOT LIKE '%*';
        RETURN NULL;
    END $$;
INSERT INTO {name} SELECT i, date '2024-01-01' + i, i, 'row' FROM generate_series(1, 60) AS i;
INSERT INTO {name} SELECT i, date '2025-01-01' + i, i, 'row' FROM generate_series(61, 70) AS i;
"""

CHANGES = {
    "insert": "INSERT INTO {name} SELECT m + i, date '2024-06-25' + i % 10, m + i, 'new'"
    " FROM (SELECT max(id) AS m FROM {name}) AS m, generate_series(1, 30) AS i",
    "update": "UPDATE {name} SET note = 'changed' WHERE id % 3 = 0",
    "delete": "DELETE FROM {name} WHERE id % 4 = 0",
    "key to another target": "UPDATE {name} SET at = at + 180 WHERE id < 20",
    "key out of the partition": "UPDATE {name} SET at = at + 366 WHERE id % 5 = 0 AND at < '2024-12-01'",
    "key into the partition": "UPDATE {name} SET at = at - 366 WHERE at > '2025-01-02'",
    "keys that change places": "UPDATE {name} SET at = '2024-02-02' WHERE id IN (1, 2); UPDATE {name} SET id = 0 WHERE id = 1;"
    " UPDATE {name} SET id = 1 WHERE id = 2; UPDATE {name} SET id = 2 WHERE id = 0",
    "a deferrable key that moves up": "UPDATE {name} SET position = position + 1, at = '2024-01-31' WHERE id < 40",
    "upsert": "INSERT INTO {name} SELECT i, date '2024-01-01' + i, i, 'upserted' FROM generate_series(50, 60) AS i"
    " ON CONFLICT (id, at) DO UPDATE SET note = excluded.note, position = excluded.position + 500",
    "merge": "MERGE INTO {name} AS t USING generate_series(40, 80) AS i ON t.id = i WHEN MATCHED AND i % 2 = 0 THEN DELETE"
    " WHEN MATCHED THEN UPDATE SET note = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (i, '2024-03-03', i, 'merged')",
    "twice in one transaction": "UPDATE {name} SET note = 'one' WHERE id < 9; UPDATE {name} SET note = note || 'two', at = at + 200 WHERE id < 5",
    "delete and insert in one statement": "WITH gone AS (DELETE FROM {name} WHERE id < 10 RETURNING *)"
    " INSERT INTO {name} (id, at, position, note) SELECT id, at + 1, position + 300, 'moved' FROM gone",
    "savepoints": "UPDATE {name} SET note = 'kept' WHERE id = 1; SAVEPOINT s; DELETE FROM {name}; ROLLBACK TO s;"
    " SAVEPOINT s; UPDATE {name} SET at = at + 200 WHERE id < 30; ROLLBACK TO s; DELETE FROM {name} WHERE id = 2",
    "a row changed again by its own trigger": "CREATE TRIGGER a AFTER INSERT OR UPDATE ON {name} FOR EACH ROW EXECUTE FUNCTION {name}_again();"
    " UPDATE {name} SET note = 'by hand' WHERE id < 7; INSERT INTO {name} SELECT max(id) + 500, '2024-08-08', max(id) + 500, 'by hand' FROM {name}",
    "a row changed again within the statement": "UPDATE {name} SET note = {name}_touch(id - 1) WHERE id < 30",
    "a row replaced within the statement": "UPDATE {name} SET note = {name}_replace(id - 1) WHERE id BETWEEN 5 AND 20",
    "as a replica": "SET session_replication_role = replica; DELETE FROM {name} WHERE id = 3; UPDATE {name} SET note = 'replicated' WHERE id = 4",
    "user triggers switched off": "ALTER TABLE {name} DISABLE TRIGGER USER; DELETE FROM {name} WHERE id = 3",
    "copy": None,
    "nothing": "SELECT",
}
# These change the definition, which the rewrite does not allow: they come before it.
BEFORE = ("CREATE TRIGGER", "ALTER TABLE")


def rows(connection, name):
    return connection.execute(f"SELECT id, at, position, note, twice FROM {name} ORDER BY 1, 2").fetchall()


@pytest.mark.parametrize(
    "isolation, call",
    [
        ("READ COMMITTED", "CALL teamscale.split_partition('{name}_2024', '{2024-07-01}')"),
        ("REPEATABLE READ", "CALL teamscale.merge_partitions('{{name}_2024,{name}_2025}', '{name}_all')"),
    ],
    ids=["split", "merge"],
)
def test_what_writers_do_meanwhile_is_in_the_copy(make_database, isolation, call):
    database = make_database()
    results = set()
    with database.connect() as session:
        for number, (what, statements) in enumerate(CHANGES.items()):
            twin, entry = f"twin_{number}", f"entry_{number}"
            for name in (twin, entry):
                session.execute(TABLE.replace("{name}", name))
                for statement in (statements or "").replace("{name}", name).split("; "):
                    if statement.startswith(BEFORE):
                        session.execute(statement)
            change_while_rewritten(database, call.replace("{name}", entry), [entry, twin], statements, isolation)
            found, expected = rows(session, entry), rows(session, twin)
            assert found == expected, what
            results.add(repr(found))
    assert len(results) == len(CHANGES), "each does something else"


def change_while_rewritten(database, call, names, statements, isolation):
    with database.connect() as holder, database.connect() as writer:
        holder.execute("SELECT pg_advisory_lock(hashtext('rewrite checked'))")
        database.execute(f"ALTER DATABASE {database.name} SET teamscale.wait_point = 'rewrite checked=wait'")
        writer.execute(f"BEGIN ISOLATION LEVEL {isolation}; SELECT 1")  # older than the copy
        rewriting = Running(database, call)
        until(lambda: database.value("SELECT max(phase) FROM teamscale.stat_rewrite") == "waiting", "it was not copied")
        database.execute(f"ALTER DATABASE {database.name} RESET teamscale.wait_point")
        for name in names:
            if statements is None:
                with writer.cursor().copy(f"COPY {name} (id, at, position, note) FROM STDIN") as copy:
                    for row in range(50):
                        copy.write_row((200 + row, "2024-07-01", 200 + row, "copied"))
                continue
            for statement in statements.replace("{name}", name).split("; "):
                if not statement.startswith(BEFORE):
                    writer.execute(statement)
        writer.execute("COMMIT")
        holder.execute("SELECT pg_advisory_unlock_all()")
    rewriting.result()
