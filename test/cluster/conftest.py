"""Fixtures: servers, databases, clusters of databases, and a plain database to compare with."""

import os

import pytest

from postgres import Database, Server
from teams import Teams


@pytest.fixture(scope="session")
def _server_names():
    process = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return iter(f"cluster-{process}-{number}" for number in range(1, 10000))


@pytest.fixture(scope="session")
def shared_server(_server_names):
    """The server that tests share which do not stop it. Its databases are the tests' own."""
    server = Server(next(_server_names))
    server.start()
    yield server
    server.remove()


def servers_made(names):
    """What the two fixtures behind it do."""
    servers = []

    def make():
        server = Server(next(names))
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.remove()


@pytest.fixture
def make_server(_server_names):
    """A factory of servers that belong to this test: start, stop, kill and restart them at will."""
    yield from servers_made(_server_names)


@pytest.fixture(scope="module")
def module_server(_server_names):
    """A factory of servers that the tests of a file share, and leave running. Their databases are each test's own."""
    yield from servers_made(_server_names)


@pytest.fixture(scope="module")
def module_cluster(shared_server):
    """A factory of clusters on the shared server that the tests of a file share, and clean up after themselves."""
    databases = []

    def make(nodes):
        for _ in range(nodes):
            databases.append(shared_server.create_database())
            databases[-1].execute("CREATE EXTENSION teamscale")
        return Cluster(databases[-nodes:])

    yield make
    for database in databases:
        shared_server.drop_database(database)


@pytest.fixture
def make_database(shared_server):
    """A factory of databases on the shared server (or the given one), with the extension in them."""
    databases = []

    def make(server=None, name=None, extension=True):
        database = (server or shared_server).create_database(name)
        databases.append(database)
        if extension:
            database.execute("CREATE EXTENSION teamscale")
        return database

    yield make
    for database in databases:
        if database.server is shared_server:
            database.server.drop_database(database)


class Cluster:
    """Databases that are the nodes of one cluster: node names are a, b, c and so on."""

    def __init__(self, databases):
        self.nodes = databases
        first = databases[0]
        with first.connect() as connection:
            connection.execute("SELECT teamscale.create_cluster('a', %s)", [first.conninfo])
            for name, database in zip("bcdefghij", databases[1:]):
                connection.execute("SELECT teamscale.add_node(%s, %s)", [name, database.conninfo])
        self.by_name = dict(zip("abcdefghij", databases))

    def __getitem__(self, name) -> Database:
        return self.by_name[name]


@pytest.fixture
def make_cluster(make_database):
    """A factory of clusters: make_cluster(3), or one node on each of the given servers."""

    def make(nodes=3, servers=None):
        return Cluster([make_database(server) for server in (servers or [None] * nodes)])

    return make


@pytest.fixture
def cluster(make_cluster):
    """Three nodes, a, b and c, on the shared server."""
    return make_cluster(3)


@pytest.fixture
def twin(make_database):
    """A plain database, for what one PostgreSQL holding all the rows would answer."""
    return make_database(extension=False)


@pytest.fixture(scope="module")
def teams(shared_server):
    """Three nodes with a sharded table (teams.py), for the tests of a file, which leave its rows as they are."""
    databases = [shared_server.create_database() for _ in range(3)]
    for database in databases:
        database.execute("CREATE EXTENSION teamscale")
    yield Teams(Cluster(databases))
    for database in databases:
        shared_server.drop_database(database)
