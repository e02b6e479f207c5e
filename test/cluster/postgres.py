"""Private PostgreSQL servers and their databases, as the tests use them."""

import contextlib
import os
import pathlib
import resource
import socket
import subprocess

import psycopg

BUILD = pathlib.Path(os.environ["TEAMSCALE_BUILD"])
PRIVATE_SERVER = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "private-server"


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Database:
    """One database of a server: where it is and how to reach it."""

    def __init__(self, server, name):
        self.server = server
        self.name = name

    @property
    def conninfo(self):
        """What add_node takes: no user, no password."""
        return f"host=127.0.0.1 port={self.server.port} dbname={self.name}"

    def connect(self, autocommit=True, user="postgres", **parameters):
        """A connection; the caller (or the end of the test's process) closes it."""
        return psycopg.connect(self.conninfo, user=user, autocommit=autocommit, connect_timeout=10, **parameters)

    def execute(self, sql, parameters=None):
        """Runs one statement in a session of its own; gives its rows, or None when it has none."""
        with self.connect() as connection:
            cursor = connection.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else None

    def value(self, sql, parameters=None):
        """The first column of the first row."""
        return self.execute(sql, parameters)[0][0]


class Server:
    """A private server by name. Its data stays over stop and start, until remove."""

    def __init__(self, name, shared=False):
        self.name = name
        self.shared = shared  # by tests, which therefore drop their databases
        self.port = free_port()
        self.databases = 0

    def _run(self, command, *arguments, **options):
        return subprocess.run(
            [PRIVATE_SERVER, command, BUILD, self.name, *arguments], check=True, stdout=subprocess.PIPE, text=True, **options
        ).stdout

    def programs(self):
        """The directory of psql, pg_dump and their like."""
        return self._run("env").split("PATH=")[1].split(":")[0]

    def start(self, largest_file=None):
        """largest_file: where files of more bytes cannot be written, as on a full disk. It must have room for 16 MB of WAL."""

        def limit():
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, hard))

        self._run("start", str(self.port), preexec_fn=limit if largest_file else None)
        return self

    def stop(self, mode="fast"):
        self._run("stop", mode)

    def kill(self):
        """As a power cut: no checkpoint, connections cut."""
        self.stop("immediate")

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def remove(self):
        self._run("remove")

    def base_backup(self, name, **settings):
        """A server of another name and port with a base backup of this one's data; it is not started.

        settings are the copy's own; with one for recovery it is restored to a point in time.
        """
        self._run("base-backup", name, *(f"{setting} = '{value}'" for setting, value in settings.items()))
        return Server(name)

    def take_data_of(self, other):
        """Its data become the other's, as a backup is restored in a server's place. Both are stopped afterwards."""
        self._run("take-data", other.name)

    def configure(self, **settings):
        """ALTER SYSTEM; effective after reload (done here), or after restart for settings that need one."""
        with self.database("postgres").connect() as connection:
            for name, value in settings.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            connection.execute("SELECT pg_reload_conf()")

    def database(self, name):
        return Database(self, name)

    def create_database(self, name=None):
        """A new database, by default with a name that no other test has."""
        self.databases += 1
        name = name or f"db{self.databases}"
        self.database("postgres").execute(f'CREATE DATABASE "{name}"')
        return self.database(name)

    def copy_database(self, database, name):
        """CREATE DATABASE ... TEMPLATE. Nobody may be connected to it meanwhile: other nodes look in now and then."""
        with self.database("postgres").connect() as connection:
            connection.execute(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS false')
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{database.name}"')
            connection.execute(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS true')
        return self.database(name)

    def drop_database(self, database):
        self.database("postgres").execute(f'DROP DATABASE IF EXISTS "{database.name}" WITH (FORCE)')
