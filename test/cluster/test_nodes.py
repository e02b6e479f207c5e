"""Making a cluster and adding nodes: what is refused, and with which words."""

import contextlib
import socket
import threading

import psycopg
import pytest

from refusal import refused, refused_in
from waiting import until

CREATE = "SELECT teamscale.create_cluster(%s, %s)"
ADD = "SELECT teamscale.add_node(%s, %s)"


@pytest.fixture(scope="module")
def alone(module_cluster):
    """A cluster of one node, a, which no test of this file changes."""
    return module_cluster(1)["a"]


@pytest.fixture(scope="module")
def plain(module_database):
    """A database with the extension that is no node."""
    return module_database()


def nodes(database):
    return [row[0] for row in database.execute("SELECT name FROM teamscale.node ORDER BY 1")]


def is_no_node(database):
    return nodes(database) == [] and not database.execute("SELECT FROM teamscale_internal.cluster")


# --- Names and connection strings ----------------------------------------------------------------


@pytest.mark.parametrize("name", [None, "", "x" * 64, "é" * 32])
def test_names_have_1_to_63_bytes(alone, plain, name):
    for database, sql in ((plain, CREATE), (alone, ADD)):
        refused(database, sql, [name, plain.conninfo], sqlstate="22023", message="invalid node name",
                detail="NULL" if name is None else name, hint="1 to 63 bytes")
    assert is_no_node(plain)


@pytest.mark.parametrize("name", ["x" * 63, "é" * 31, 'it\'s "b" \\ {$1} %s\n', " ", "NULL", "; DROP TABLE node; --"])
def test_any_other_text_is_a_name(make_database, name):
    a, b = make_database(), make_database(extension=False)
    a.execute(CREATE, [name, a.conninfo])
    refused(a, ADD, [name, b.conninfo], sqlstate="42710", message=name, hint="teamscale.node")
    a.execute(ADD, ["b", b.conninfo])
    assert nodes(b) == sorted(["b", name])
    assert b.value("SELECT DISTINCT node FROM teamscale.run_on_node(%s, 'SELECT 1')", [name]) == name
    a.execute("SELECT teamscale.disable_node('b')")
    a.execute("SELECT teamscale.enable_node('b')")
    assert nodes(b) == sorted(["b", name])
    a.execute("SELECT teamscale.remove_node('b')")
    a.execute("SELECT teamscale.remove_node(%s)", [name])
    assert is_no_node(a) and is_no_node(b)


@pytest.mark.parametrize(
    "conninfo, message, detail, hint",
    [
        (None, "invalid node name or connection string", "NULL", "a connection string looks like"),
        ("", "names no database", "", "dbname"),
        ("host=127.0.0.1", "names no database", "host=127.0.0.1", "dbname"),
        ("dbname=", "names no database", "dbname=", "dbname"),
        ("nonsense", "invalid connection string", "nonsense", "looks like"),
        ("dbname=x nonsense=1", "invalid connection string", "nonsense", "looks like"),
        ("dbname='x", "invalid connection string", "unterminated", "looks like"),
    ]
    + [
        (f"dbname=x {setting}", f"must not contain {setting.split('=')[0]}", "role whose statement", "passfile")
        for setting in (
            "user=postgres", "password=secret", "options='-c teamscale.scope=local'", "client_encoding=LATIN1",
            "replication=database", "application_name=x", "sslpassword=secret",
        )
    ]
    + [("postgresql://joe:secret@host/x", "must not contain user", "role whose statement", "passfile")],
)
def test_connection_strings_that_are_none_of_a_node(alone, plain, conninfo, message, detail, hint):
    for database, sql in ((plain, CREATE), (alone, ADD)):
        parts = refused(database, sql, ["x", conninfo], sqlstate="22023", message=message, detail=detail, hint=hint)
        assert "secret" not in f"{parts.message_primary} {parts.message_detail} {parts.message_hint}"
    if conninfo is not None:
        refused(alone, "SELECT teamscale.enable_node('a', %s)", [conninfo], sqlstate="55000")
    assert is_no_node(plain)


@pytest.mark.parametrize(
    "conninfo, detail",
    [
        ("host=127.0.0.1 port=1 dbname=x", "Connection refused"),
        ("host=127.0.0.1 port={port} dbname=nobodys", 'database "nobodys" does not exist'),
        ("host=127.0.0.1 port=none dbname=x", 'invalid integer value "none"'),
        ("host=no-such-host.invalid dbname=x", "no-such-host.invalid"),
        ("host=/nowhere dbname=x", "/nowhere"),
    ],
)
def test_unreachable_databases(alone, plain, conninfo, detail):
    conninfo = conninfo.format(port=alone.server.port)
    for database, sql in ((plain, CREATE), (alone, ADD)):
        refused(database, sql, ["x", conninfo], sqlstate="08001", message=conninfo, detail=detail, hint="pg_hba.conf")
    assert is_no_node(plain) and nodes(alone) == ["a"]


def test_the_first_node_is_this_database_under_its_connection_string(alone, plain, other_server, make_database):
    for other in (alone, make_database(other_server), make_database(extension=False)):
        refused(plain, CREATE, ["x", other.conninfo], sqlstate="22023", message="leads to another database",
                detail=other.conninfo, hint="reach this database")
    assert is_no_node(plain)


def test_a_node_cannot_make_a_cluster(alone):
    refused(alone, CREATE, ["b", alone.conninfo], sqlstate="55000", message="already a node", detail='"a"', hint="add_node")


# --- Who, and where ------------------------------------------------------------------------------

CALLS = [
    (CREATE, ["x", "dbname=x"], "create a cluster"),
    (ADD, ["x", "dbname=x"], "add a node"),
    ("SELECT teamscale.remove_node(%s)", ["a"], "remove a node"),
    ("SELECT teamscale.disable_node(%s)", ["a"], "disable a node"),
    ("SELECT teamscale.enable_node(%s)", ["a"], "enable a node"),
]


@pytest.fixture
def role(alone):
    name = f"role_of_{alone.name}"
    alone.execute(f"CREATE ROLE {name} LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS")
    yield name
    alone.execute(f"DROP OWNED BY {name}")
    alone.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize("sql, parameters, action", CALLS)
def test_only_superusers_change_nodes(alone, role, sql, parameters, action):
    refused(alone, sql, parameters, user=role, sqlstate="42501", message="permission denied for function")
    alone.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA teamscale TO {role}")
    refused(alone, sql, parameters, user=role, sqlstate="42501", message=f"only superusers may {action}", detail=role,
            hint="superuser")
    assert nodes(alone) == ["a"]


@pytest.mark.parametrize("sql, parameters, action", CALLS[1:])
def test_nodes_are_changed_from_a_node(plain, sql, parameters, action):
    refused(plain, sql, parameters, sqlstate="55000", message="is no node of a cluster", hint="create_cluster")


@pytest.mark.parametrize("function", ["remove_node", "disable_node", "enable_node"])
def test_names_that_are_no_nodes(alone, function):
    refused(alone, f"SELECT teamscale.{function}('nobody')", sqlstate="42704", message='"nobody"', hint="teamscale.node")
    refused(alone, f"SELECT teamscale.{function}('A')", sqlstate="42704", message='"A"', hint="teamscale.node")
    refused(alone, f"SELECT teamscale.{function}(NULL)", sqlstate="22004", hint="teamscale.node")
    assert nodes(alone) == ["a"]


def test_disable_node_wants_a_name(alone):
    for names in ("NULL", "'{}'"):
        refused(alone, f"SELECT teamscale.disable_node(VARIADIC {names})", sqlstate="22023", hint="teamscale.node")


def test_a_node_disables_and_enables_others_only(alone):
    refused(alone, "SELECT teamscale.disable_node('a')", sqlstate="55000", detail='"a"', hint="another node")
    refused(alone, "SELECT teamscale.enable_node('a')", sqlstate="55000", message='"a"', hint="another, active node")


# --- Databases that cannot be nodes --------------------------------------------------------------


def test_each_node_is_a_database_of_its_own(alone):
    refused(alone, ADD, ["b", alone.conninfo], sqlstate="22023", message='leads to node "a"', detail=alone.conninfo,
            hint="database of its own")


def test_a_node_of_another_cluster(alone, make_cluster):
    other = make_cluster(2)
    refused(alone, ADD, ["b", other["b"].conninfo], sqlstate="55000", message="already a node of another cluster",
            detail=other["b"].conninfo, hint="enable_node")
    assert nodes(other["b"]) == ["a", "b"] and nodes(alone) == ["a"]
    other["a"].execute("CREATE TABLE t (id bigint PRIMARY KEY)")
    other["a"].execute("SELECT teamscale.distribute_table('t', 'id')")  # its secret is still theirs


def test_operators_of_a_new_nodes_owner_are_not_called(make_cluster, make_database):
    """Superusers connect to it."""
    a, b = make_cluster(1)["a"], make_database(extension=False)
    b.execute("CREATE SCHEMA trap")
    for left, right in (("name", "name"), ("name", "text"), ("text", "text")):
        b.execute(f"CREATE FUNCTION trap.springs({left}, {right}) RETURNS boolean LANGUAGE plpgsql"
                  " AS 'BEGIN RAISE EXCEPTION ''the trap springs for %'', current_user; END'")
        b.execute(f"CREATE OPERATOR trap.= (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = trap.springs)")
    b.execute(f"ALTER DATABASE {b.name} SET search_path = trap, pg_catalog, public")
    with b.connect() as connection, pytest.raises(psycopg.Error, match="the trap springs"):
        connection.execute("SELECT FROM pg_extension WHERE extname = 'teamscale'")
    a.execute(ADD, ["b", b.conninfo])
    a.execute("SELECT * FROM teamscale.settle_transactions()")
    b.execute("SELECT * FROM teamscale.settle_transactions()")
    a.execute("SELECT teamscale.disable_node('b')")
    a.execute("SELECT teamscale.enable_node('b')")
    a.execute("SELECT teamscale.remove_node('b')")
    assert is_no_node(b)


def test_another_version_of_the_extension(alone, make_database):
    database = make_database()
    database.execute("UPDATE pg_extension SET extversion = '0.0.9' WHERE extname = 'teamscale'")
    own = alone.value("SELECT extversion FROM pg_extension WHERE extname = 'teamscale'")
    refused(alone, ADD, ["b", database.conninfo], sqlstate="55000", message="another version of teamscale",
            detail=f"{own} here, 0.0.9 there", hint="ALTER EXTENSION teamscale UPDATE")


@pytest.mark.parametrize(
    "options, details",
    [
        ("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
         ["encoding: UTF8 here, LATIN1 there", "collation: C.UTF-8 here, C there", "character type: C.UTF-8 here, C there"]),
        ("LC_COLLATE 'C'", ["collation: C.UTF-8 here, C there"]),
        ("LOCALE_PROVIDER icu ICU_LOCALE 'de'",
         ["locale provider: c here, i there", "ICU locale:  here, de there", "collation version: "]),
    ],
)
def test_encoding_and_collation_are_the_same_on_all_nodes(alone, shared_server, options, details):
    name = f"other_locale_of_{alone.name}"
    shared_server.database("postgres").execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
    database = shared_server.database(name)
    try:
        parts = refused(alone, ADD, ["b", database.conninfo], sqlstate="55000", message='"b" does not match', hint="collation")
        for line in details:
            assert line in parts.message_detail
        assert len(parts.message_detail.splitlines()) == len(details)
    finally:
        shared_server.drop_database(database)


def test_each_thing_that_must_be_alike_is_compared(alone):
    """Also what no two databases of one installation differ in."""
    parts = alone.execute("SELECT jsonb_object_keys(teamscale_internal.node_identity() -> 'compatibility')")
    assert {"server version", "collation version", "extension version"} <= {part for (part,) in parts}
    for (part,) in parts:
        refused(alone, "SELECT teamscale_internal.check_compatibility('b', i, jsonb_set(i, ARRAY['compatibility', %s], '\"14\"'))"
                " FROM teamscale_internal.node_identity() AS i", [part], sqlstate="55000", message='"b" does not match',
                detail=f"{part}: ", hint="same version of PostgreSQL")


def test_a_server_must_be_able_to_prepare_transactions_and_load_the_library(alone, make_server):
    server = make_server()
    database = server.create_database()
    database.execute("CREATE EXTENSION teamscale")
    server.configure(max_prepared_transactions=0)
    server.restart()
    for on, sql, where in ((alone, ADD, 'node "b"'), (database, CREATE, "this database")):
        refused(on, sql, ["b", database.conninfo], sqlstate="55000", message=f"{where} cannot prepare transactions",
                detail="max_prepared_transactions is 0", hint="max_connections")
    server.configure(max_prepared_transactions=100, shared_preload_libraries="plpgsql")
    server.restart()
    for on, sql, where in ((alone, ADD, 'node "b"'), (database, CREATE, "this database")):
        refused(on, sql, ["b", database.conninfo], sqlstate="55000", message=f"{where} does not load teamscale",
                detail="shared_preload_libraries", hint="restart")
    database.execute("DROP EXTENSION teamscale")
    refused(alone, ADD, ["b", database.conninfo], sqlstate="55000", message="started without teamscale", hint="restart")
    assert database.value("SELECT count(*) FROM pg_extension WHERE extname = 'teamscale'") == 0
    assert nodes(alone) == ["a"]


@pytest.fixture
def settled_by(shared_server, other_server, make_database):
    """A database whose cluster is settled by a role of its own, and a database of another server for a second node."""
    server = shared_server.database("postgres")
    server.execute("CREATE ROLE settler SUPERUSER LOGIN")
    first, second = make_database(), make_database(other_server, extension=False)
    with first.connect(user="settler") as connection:
        connection.execute(CREATE, ["a", first.conninfo])
    yield first, second
    shared_server.drop_database(first)
    server.execute("DROP ROLE settler")
    other_server.drop_database(second)
    second.server.database("postgres").execute("DROP ROLE IF EXISTS settler")


def test_the_settling_role_and_the_caller_are_superusers_on_the_new_node_too(settled_by):
    first, second = settled_by
    elsewhere = second.server.database("postgres")
    refused(first, ADD, ["b", second.conninfo], sqlstate="08001", detail='role "settler" does not exist', hint="pg_hba.conf")
    elsewhere.execute("CREATE ROLE settler LOGIN")
    refused(first, ADD, ["b", second.conninfo], sqlstate="42501", message='"settler" is no superuser on node "b"',
            detail="settles in-doubt transactions", hint="ALTER ROLE settler SUPERUSER")
    elsewhere.execute("ALTER ROLE settler SUPERUSER")
    here = first.server.database("postgres")
    here.execute("CREATE ROLE administrator SUPERUSER LOGIN")
    try:
        refused(first, ADD, ["b", second.conninfo], user="administrator", sqlstate="42501",
                message='"administrator" is no superuser on node "b"', detail="catalog", hint="SUPERUSER")
    finally:
        here.execute("DROP ROLE administrator")
    assert nodes(first) == ["a"]
    first.execute(ADD, ["b", second.conninfo])
    assert nodes(second) == ["a", "b"]


# --- Nodes that do not reach each other ----------------------------------------------------------

# A password file whose name is relative is looked for in the data directory: only there do connections succeed.
PASSFILE = "nodes.pass"


@pytest.fixture
def asks_for_password(shared_server, other_server):
    """Has a database of either server ask for a password, which the shared server's own connections know."""
    servers = (shared_server, other_server)
    asking = []

    def change(database):
        asking.append(database)
        postgres = database.server.database("postgres")
        line = f"host {database.name} all 127.0.0.1/32 scram-sha-256"
        postgres.execute(f"COPY (SELECT '{line}') TO PROGRAM 'cat - pg_hba.conf > hba.new && mv hba.new pg_hba.conf'")
        postgres.execute("SELECT pg_reload_conf()")
        return f"{database.conninfo} passfile={PASSFILE}"

    for server in servers:
        server.database("postgres").execute("ALTER ROLE postgres PASSWORD 'secret'")
    shared_server.database("postgres").execute(
        f"COPY (SELECT '*:*:*:*:secret') TO PROGRAM 'umask 077; cat > {PASSFILE}'"
    )
    yield change
    for database in asking:
        postgres = database.server.database("postgres")
        postgres.execute(
            f"COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; grep -v \"^host {database.name} \" pg_hba.conf > hba.new"
            " && mv hba.new pg_hba.conf'"
        )
        postgres.execute("SELECT pg_reload_conf()")
    shared_server.database("postgres").execute(f"COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm {PASSFILE}'")
    for server in servers:
        server.database("postgres").execute("ALTER ROLE postgres PASSWORD NULL")


def test_all_nodes_reach_each_other(asks_for_password, make_database, other_server):
    open_here, here = make_database(), make_database()
    there = make_database(other_server)
    a = make_database()
    a.execute(CREATE, ["a", a.conninfo])
    # Its own server does not know the password, so that it would not meet itself.
    conninfo = asks_for_password(there)
    refused(a, ADD, ["b", conninfo], sqlstate="08001", message='node "b" cannot reach node "b"', detail=conninfo,
            hint="Every node must reach every node")
    # An existing node of that server would not reach the new one.
    open_there = make_database(other_server)
    a.execute(ADD, ["c", open_there.conninfo])
    conninfo = asks_for_password(here)
    refused(a, ADD, ["b", conninfo], sqlstate="08001", message='node "c" cannot reach node "b"', detail=conninfo,
            hint="Every node must reach every node")
    assert nodes(a) == nodes(open_there) == ["a", "c"]
    # Nor would a new one reach an existing one.
    conninfo = asks_for_password(open_here)
    with open_here.connect(password="secret") as connection:
        connection.execute(CREATE, ["d", conninfo])
        fresh = make_database(other_server)
        refused_in(connection, ADD, ["e", fresh.conninfo], sqlstate="08001", message='node "e" cannot reach node "d"',
                   detail=conninfo, hint="Every node must reach every node")
    assert is_no_node(fresh)


# --- Databases that do not answer ----------------------------------------------------------------


@pytest.fixture
def black_hole():
    """A connection string of a server that takes connections and never says a word."""
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"host=127.0.0.1 port={listener.getsockname()[1]} dbname=x"


def test_a_database_that_says_nothing_is_given_up(alone, black_hole):
    with alone.connect() as connection:
        connection.execute("SET teamscale.connect_timeout = '200ms'")
        refused_in(connection, ADD, ["b", black_hole], sqlstate="08001", message=black_hole, detail="within 200 ms",
                   hint="teamscale.connect_timeout")
        assert connection.execute("SELECT count(*) FROM teamscale.node").fetchone() == (1,)


def test_a_connection_attempt_can_be_cancelled(alone, black_hole):
    with alone.connect() as connection:
        connection.execute("SET teamscale.connect_timeout = '600s'")
        errors = []

        def add():
            try:
                connection.execute(ADD, ["b", black_hole])
            except psycopg.Error as error:
                errors.append(error.sqlstate)

        adding = threading.Thread(target=add)
        adding.start()
        until(lambda: alone.value("SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE pid = %s",
                                  [connection.info.backend_pid]), "it does not wait for the connection")
        connection.cancel()
        adding.join(30)
        assert errors == ["57014"]
        assert connection.execute("SELECT count(*) FROM teamscale.node").fetchone() == (1,)
