"""Waiting without sleeping blindly: for a condition, and at wait points."""

import contextlib
import threading
import time

import psycopg

DEADLINE = 30


def until(condition, what):
    """Polls until the condition holds and gives what it gave."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {DEADLINE} s")


class Stopped:
    """A statement that runs in a thread of its own and stops at a wait point."""

    def __init__(self, database, point, pid):
        self.database = database
        self.point = point
        self.pid = pid
        self.error = None

    def wait(self):
        """Until it has come to the wait point."""
        until(
            lambda: self.database.value(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND pid = %s", [self.pid]
            ),
            f"no process came to the wait point {self.point}",
        )


@contextlib.contextmanager
def stopped_at(database, point, connection, sql):
    """Runs sql on the connection, which stops at the wait point; goes on behind the block."""
    holder = database.connect()
    holder.execute("SELECT pg_advisory_lock(hashtext(%s))", [point])
    connection.execute(f"SET teamscale.wait_point = '{point}=wait'")
    stopped = Stopped(database, point, connection.info.backend_pid)

    def run():
        try:
            connection.execute(sql)
        except psycopg.Error as error:
            stopped.error = error

    thread = threading.Thread(target=run)
    thread.start()
    try:
        stopped.wait()
        yield stopped
    finally:
        with contextlib.suppress(psycopg.Error):
            holder.close()
        thread.join(DEADLINE)
    assert not thread.is_alive(), "the statement did not come back"


class Running:
    """A statement that runs in a thread of its own; its error, if any, is raised by result()."""

    def __init__(self, database, sql, **connection):
        self.connection = database.connect(**connection)
        self.pid = self.connection.info.backend_pid
        self.error = None
        self.thread = threading.Thread(target=self._run, args=[sql], daemon=True)
        self.thread.start()

    def _run(self, sql):
        try:
            self.connection.execute(sql)
        except psycopg.Error as error:
            self.error = error
        finally:
            self.connection.close()

    def is_running(self):
        return self.thread.is_alive()

    def result(self):
        """Waits for its end."""
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive(), "the statement did not come back"
        if self.error:
            raise self.error


@contextlib.contextmanager
def held_at(database, point, call):
    """A call in its owner session that has come to the wait point; it goes on when released, at the latest behind the block, and ends there."""
    with database.connect() as holder:
        holder.execute("SELECT pg_advisory_lock(hashtext(%s))", [point])
        database.execute(f"ALTER DATABASE {database.name} SET teamscale.wait_point = '{point}=wait'")
        running = Running(database, call)
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objsubid = 1"
        until(lambda: database.value(waiting), f"nobody came to the wait point {point}")
        database.execute(f"ALTER DATABASE {database.name} RESET teamscale.wait_point")
        database.holder = holder
        yield running
    running.result()
