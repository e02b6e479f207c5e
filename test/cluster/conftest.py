"""Fixtures: servers, databases, clusters of databases, and a plain database to compare with."""

import contextlib
import os

import pytest

from postgres import Database, Server
from roles import drop_roles, names_of_roles, roles_as_before
from teams import Teams

# The servers that tests of all files share, while they run, and the roles that they had at first.
SHARED = {}


@pytest.fixture(scope="session")
def _server_names():
    process = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return iter(f"cluster-{process}-{number}" for number in range(1, 10000))


@contextlib.contextmanager
def server_for_all(names):
    server = Server(next(names), shared=True)
    server.start()
    SHARED[server] = names_of_roles(server)
    yield server
    del SHARED[server]
    server.remove()


@pytest.fixture(scope="session")
def shared_server(_server_names):
    """The server that tests share which do not stop it. Its databases are the tests' own."""
    with server_for_all(_server_names) as server:
        yield server


@pytest.fixture(scope="session")
def other_server(_server_names):
    """A second one, for what takes two. Its databases are the tests' own."""
    with server_for_all(_server_names) as server:
        yield server


# Roles belong to servers. These two are the first of their scope, hence done when databases of that scope are gone.


@pytest.fixture(scope="module", autouse=True)
def _roles_of_a_file():
    yield
    for server, at_first in SHARED.items():
        drop_roles(server, names_of_roles(server) - at_first)


@pytest.fixture(autouse=True)
def _roles_of_a_test(request):
    uses = {"shared_server", "other_server"} & set(request.fixturenames)
    with roles_as_before(list(SHARED) if uses else []):
        yield


def servers_made(names, shared=False):
    """What the two fixtures behind it do."""
    servers = []

    def make():
        server = Server(next(names), shared)
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
    yield from servers_made(_server_names, shared=True)


@pytest.fixture(scope="module")
def two_servers(module_server):
    """Two of them, which the tests of a file stop at will and start again."""
    return [module_server(), module_server()]


@pytest.fixture
def base_backup(_server_names):
    """A factory of servers made of base backups of running ones; they are not started."""
    servers = []

    def make(server, **settings):
        servers.append(server.base_backup(next(_server_names), **settings))
        return servers[-1]

    yield make
    for server in servers:
        server.remove()


@contextlib.contextmanager
def database_factory(shared_server):
    databases = []

    def make(server=None, name=None, extension=True):
        database = (server or shared_server).create_database(name)
        databases.append(database)
        if extension:
            database.execute("CREATE EXTENSION teamscale")
        return database

    yield make
    for database in databases:
        if database.server.shared:
            database.server.drop_database(database)


@pytest.fixture
def make_database(shared_server):
    """A factory of databases on the shared server (or the given one), with the extension in them."""
    with database_factory(shared_server) as make:
        yield make


@pytest.fixture(scope="module")
def module_database(shared_server):
    """The same, for databases that the tests of a file share."""
    with database_factory(shared_server) as make:
        yield make


@pytest.fixture
def copy_database():
    """A factory of copies of databases, by CREATE DATABASE ... TEMPLATE."""
    copies = []

    def make(database):
        copies.append(database.server.copy_database(database, f"copy_of_{database.name}"))
        return copies[-1]

    yield make
    for copy in copies:
        copy.server.drop_database(copy)


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

    def put(self, name, database):
        """The database is the node from now on."""
        self.nodes[self.nodes.index(self.by_name[name])] = database
        self.by_name[name] = database


@pytest.fixture
def make_cluster(make_database):
    """A factory of clusters: make_cluster(3), or one node on each of the given servers."""

    def make(nodes=3, servers=None):
        return Cluster([make_database(server) for server in (servers or [None] * nodes)])

    return make


@pytest.fixture(scope="module")
def module_cluster(module_database):
    """A factory of clusters on the shared server that the tests of a file share, and clean up after themselves."""

    def make(nodes):
        return Cluster([module_database() for _ in range(nodes)])

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
def teams(module_cluster):
    """Three nodes with a sharded table (teams.py), for the tests of a file, which leave its rows as they are."""
    return Teams(module_cluster(3))
