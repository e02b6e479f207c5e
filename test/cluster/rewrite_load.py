"""Writers and readers on a partitioned table while its partitions are rewritten.

The table's rows are *entities*, each with one row: what every committed transaction keeps true in any snapshot is that
there are as many rows as entities, no entity has two, and the sum of their values is what it was. A row that is lost,
doubled, invisible or out of date breaks one of these.
"""

import contextlib
import random
import threading
import time

import psycopg

# A writer's or a reader's own conflicts with other transactions: it may try again.
CONFLICTS = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
CUT_OFF = (psycopg.OperationalError, psycopg.InterfaceError)


class Load:
    """The table, by columns id, at (of the partition key), value; at_of(random) gives a value for at."""

    def __init__(self, database, table, at_of, entities, survives_kills=False):
        self.database = database
        self.table = table
        self.at_of = at_of
        self.entities = entities
        self.total = None
        self.survives_kills = survives_kills
        self.stop = threading.Event()
        self.failures = []
        self.writes = 0
        self.reads = 0
        self.threads = []

    def __enter__(self):
        count, distinct, self.total = self.database.execute(self.whole())[0]
        assert count == distinct == self.entities
        return self

    def start(self, writers, readers, seed=1):
        for number in range(writers):
            self._run(self._write, seed * 100 + number, "RC" if number % 2 else "RR")
        for number in range(readers):
            self._run(self._read, seed * 100 + 50 + number, None)
        return self

    def __exit__(self, *error):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
        if error[0] is None:
            assert not any(thread.is_alive() for thread in self.threads), "a writer or reader hangs"
            assert not self.failures, self.failures[:3]
            count, distinct, total = self.database.execute(self.whole())[0]
            assert (count, distinct, total) == (self.entities, self.entities, self.total)
            assert self.writes > 0 and self.reads > 0

    def until_busy(self, more=20):
        """Until so many more writes and reads were done."""
        writes, reads = self.writes + more, self.reads + more
        end = time.monotonic() + 60
        while (self.writes < writes or self.reads < reads) and not self.failures:
            assert time.monotonic() < end, "writers and readers do not get on"
            time.sleep(0.01)

    def whole(self):
        return f"SELECT count(*), count(DISTINCT id), sum(value) FROM {self.table}"

    def _run(self, work, seed, mode):
        def loop():
            generator = random.Random(seed)
            while not self.stop.is_set():
                try:
                    with self.database.connect(autocommit=False) as connection:
                        while not self.stop.is_set():
                            work(connection, generator, mode)
                except CUT_OFF as error:
                    if not self.survives_kills and not isinstance(error, CONFLICTS):
                        self.failures.append(repr(error))
                        return
                    time.sleep(0.05)
                except Exception as error:  # noqa: BLE001 whatever it is, the test must show it
                    self.failures.append(repr(error))
                    return

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        self.threads.append(thread)

    # --- Writers

    def _write(self, connection, generator, mode):
        connection.isolation_level = (
            psycopg.IsolationLevel.REPEATABLE_READ if mode == "RR" else psycopg.IsolationLevel.READ_COMMITTED
        )
        try:
            for _ in range(generator.randint(1, 3)):
                step = generator.choice([self._transfer, self._transfer, self._move, self._recreate, self._upsert, self._take_back])
                step(connection, generator)
            if generator.random() < 0.15:
                connection.rollback()
            else:
                connection.commit()
                self.writes += 1
        except CONFLICTS:
            connection.rollback()

    def _lock(self, connection, generator):
        """A random entity, locked; None when it was somewhere else in this statement's snapshot."""
        entity = generator.randint(1, self.entities)
        return connection.execute(f"SELECT id, at, value FROM {self.table} WHERE id = %s FOR UPDATE", [entity]).fetchone()

    def _transfer(self, connection, generator):
        one, other = self._lock(connection, generator), self._lock(connection, generator)
        if not one or not other or one[0] == other[0]:
            return
        amount = generator.randint(1, 100)
        for row, change in ((one, -amount), (other, amount)):
            connection.execute(f"UPDATE {self.table} SET value = value + %s WHERE id = %s AND at = %s", [change, row[0], row[1]])

    def _move(self, connection, generator):
        row = self._lock(connection, generator)
        if row:
            connection.execute(
                f"UPDATE {self.table} SET at = %s WHERE id = %s AND at = %s", [self.at_of(generator), row[0], row[1]]
            )

    def _recreate(self, connection, generator):
        row = self._lock(connection, generator)
        if not row:
            return
        connection.execute(f"DELETE FROM {self.table} WHERE id = %s AND at = %s", row[:2])
        at = row[1] if generator.random() < 0.5 else self.at_of(generator)
        connection.execute(f"INSERT INTO {self.table} (id, at, value) VALUES (%s, %s, %s)", [row[0], at, row[2]])

    def _upsert(self, connection, generator):
        row = self._lock(connection, generator)
        if row:
            connection.execute(
                f"INSERT INTO {self.table} AS t (id, at, value) VALUES (%s, %s, 0)"
                " ON CONFLICT (id, at) DO UPDATE SET value = t.value, note = 'upserted'",
                row[:2],
            )

    def _take_back(self, connection, generator):
        with contextlib.suppress(ZeroDivisionError), connection.transaction():
            self._recreate(connection, generator)
            self._move(connection, generator)
            raise ZeroDivisionError

    # --- Readers

    def _read(self, connection, generator, _):
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        try:
            connection.execute("SELECT 1")  # the snapshot may be older than the first look at the table
            time.sleep(generator.choice([0, 0, 0.01, 0.1, 0.3]))
            self._look_at_all(connection)
            self._look_at_some(connection, generator)
            if generator.random() < 0.3:
                self._look_at_all(connection)
            connection.commit()
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            self._look_at_all(connection)
            connection.commit()
            self.reads += 1
        except CONFLICTS:
            connection.rollback()

    def _look_at_all(self, connection):
        found = connection.execute(self.whole()).fetchone()
        if found != (self.entities, self.entities, self.total):
            self.failures.append(f"read {found} instead of {(self.entities, self.entities, self.total)}")

    def _look_at_some(self, connection, generator):
        """Within one snapshot: single entities, and parts by the partition key that make up the whole."""
        for _ in range(5):
            entity = generator.randint(1, self.entities)
            rows = connection.execute(f"SELECT at, value FROM {self.table} WHERE id = %s", [entity]).fetchall()
            if len(rows) != 1:
                self.failures.append(f"entity {entity} has rows {rows}")
        border = self.at_of(generator)
        parts = [
            connection.execute(f"SELECT count(*), sum(value) FROM {self.table} WHERE {condition}", [border]).fetchone()
            for condition in ("at < %s", "at >= %s")
        ]
        found = tuple(sum(value or 0 for value in column) for column in zip(*parts))
        if found != (self.entities, self.total):
            self.failures.append(f"the parts at {border} are {found} instead of {(self.entities, self.total)}")
