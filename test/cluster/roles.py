"""Roles: they belong to a server, which tests share, so that each test's and each file's go when it ends."""

import contextlib


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def names_of_roles(server):
    return {row[0] for row in server.database("postgres").execute("SELECT rolname FROM pg_roles")}


def make_roles(cluster, *names):
    """Roles that may log in, on every server of the cluster; those that are there stay as they are."""
    for server in dict.fromkeys(database.server for database in cluster.nodes):
        for name in names:
            if name not in names_of_roles(server):
                server.database("postgres").execute(f"CREATE ROLE {quoted(name)} LOGIN")


def drop_roles(server, names):
    """With what they own and may in the server's databases, which have to be there still."""
    if not names:
        return
    listed = ", ".join(quoted(name) for name in sorted(names))
    databases = server.database("postgres").execute("SELECT datname FROM pg_database WHERE datallowconn")
    for (name,) in databases:
        # For leftovers only: a test that means to drop something looks at what comes of it itself.
        with server.database(name).connect(options="-c teamscale.scope=local -c lock_timeout=10s") as session:
            session.execute(f"DROP OWNED BY {listed} CASCADE")
    server.database("postgres").execute(f"DROP ROLE {listed}")


@contextlib.contextmanager
def roles_as_before(servers):
    """What is within may make roles: they are gone afterwards."""
    before = {server: names_of_roles(server) for server in servers}
    yield
    for server, names in before.items():
        drop_roles(server, names_of_roles(server) - names)
