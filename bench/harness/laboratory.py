"""Two private servers, alike but for the library: peers run on the one without, teamscale on the one with it."""

import functools
import os
import pathlib

from postgres import Server  # of test/cluster

BUILD = pathlib.Path(os.environ["TEAMSCALE_BUILD"])

# For both. Vacuum and checkpoints would fall on one contender's run and not on another's.
SETTINGS = {
    "autovacuum": "off",
    "checkpoint_timeout": "1d",
    "max_wal_size": "16GB",
    "shared_buffers": "512MB",
}


class Laboratory:
    """Lives as long as a subject's measurement. Everything that it made is gone afterwards."""

    def __init__(self):
        self.servers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.remove()

    @functools.cached_property
    def peers(self):
        # In the library's place one that is there anyway: ALTER SYSTEM cannot set an empty list.
        return self._start("bench-peers", shared_preload_libraries="plpgsql")

    @functools.cached_property
    def teamscale(self):
        return self._start("bench-teamscale")

    def _start(self, name, **settings):
        server = Server(name)
        self.servers.append(server)
        server.remove()  # what an interrupted run left
        server.start()
        server.configure(**SETTINGS, **settings)
        server.restart()
        return server

    def database(self, *statements):
        """A database on the peers' server."""
        database = self.peers.create_database()
        run(database, *statements)
        return database

    def cluster(self, nodes, *statements, router=False):
        """Databases that are the nodes of a cluster, after the statements ran on the first. router: one more, added
        afterwards, that has no rows of its own."""
        databases = [self.teamscale.create_database() for _ in range(nodes + router)]
        for number, database in enumerate(databases):
            if number == nodes:
                run(databases[0], *statements)
            if number == 0:
                database.execute("CREATE EXTENSION teamscale")
                database.execute("SELECT teamscale.create_cluster('node0', %s)", [database.conninfo])
            else:
                databases[0].execute(f"SELECT teamscale.add_node('node{number}', %s)", [database.conninfo])
        if not router:
            run(databases[0], *statements)
        return databases

    def settle(self):
        """Before a run: what the one before it left to write is written."""
        for server in self.servers:
            server.database("postgres").execute("CHECKPOINT")

    def configure(self, settings):
        for server in self.servers:
            server.configure(**settings)

    def reset(self, settings):
        for server in self.servers:
            postgres = server.database("postgres")
            for name in settings:
                postgres.execute(f"ALTER SYSTEM RESET {name}")
            postgres.execute("SELECT pg_reload_conf()")


def run(database, *statements):
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement)
