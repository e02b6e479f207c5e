"""teamscale.scope = local shows one node's rows on purpose: to whom, and what cannot be decided or kept by them."""

import contextlib
import socket
import struct

import psycopg
import pytest

from roles import make_roles
from teams import NODES, ROWS, error, refused, run

LOCAL = "-c teamscale.scope=local"


@pytest.fixture(scope="module")
def clerks(teams):
    """clerk may read and write the tables; the functions and views belong to boss, who may as well."""
    make_roles(teams.cluster, "clerk", "boss")
    teams.everywhere("GRANT ALL ON SCHEMA public TO clerk, boss")
    teams.everywhere("GRANT ALL ON assignment TO clerk, boss")
    teams.everywhere("CREATE FUNCTION one_team(team bigint) RETURNS bigint LANGUAGE sql AS"
                     " 'SELECT count(*) FROM assignment WHERE team_id = team'")
    teams["a"].execute("GRANT ALL ON wish TO clerk, boss")
    yield teams
    teams.everywhere("DROP OWNED BY clerk, boss CASCADE")


@pytest.fixture
def clerk(clerks):
    with clerks.connect(user="clerk", options=LOCAL) as session:
        yield session


def count(session, sql="SELECT count(*) FROM assignment"):
    return session.execute(sql).fetchone()[0]


def test_anybody_may_look_at_one_nodes_rows(clerks):
    for name in NODES:
        with clerks[name].connect(user="clerk", options=LOCAL) as session:
            assert count(session) == 4 * len(clerks.of[name])
            run(session, "EXPLAIN (ANALYZE) SELECT * FROM assignment")
            run(session, "EXPLAIN DELETE FROM assignment")
            assert len(run(session, "COPY (SELECT * FROM assignment) TO STDOUT")) == count(session)
            with session.transaction():
                session.execute("DECLARE c CURSOR FOR SELECT * FROM assignment")
                assert len(run(session, "FETCH ALL FROM c")) == count(session)
            session.execute("SET teamscale.scope = cluster")
            refused(session, "SELECT count(*) FROM assignment")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO assignment VALUES (1, 1000)",
        "UPDATE assignment SET role = 'x'",
        "DELETE FROM assignment",
        "MERGE INTO assignment AS a USING wish AS w ON a.team_id = w.team_id WHEN MATCHED THEN DELETE",
        "WITH gone AS (DELETE FROM assignment RETURNING *) SELECT count(*) FROM gone",
        "WITH gone AS (DELETE FROM wish RETURNING *) SELECT count(*) FROM gone, assignment",
        "EXPLAIN ANALYZE DELETE FROM assignment",
        "INSERT INTO wish SELECT team_id, role FROM assignment",
        "DELETE FROM wish WHERE team_id NOT IN (SELECT team_id FROM assignment)",
        "CREATE TABLE part AS SELECT * FROM assignment",
        "CREATE TEMPORARY TABLE part AS SELECT * FROM assignment",
        "SELECT * INTO part FROM assignment",
        "EXPLAIN ANALYZE CREATE TABLE part AS SELECT * FROM assignment",
        "TRUNCATE assignment",
        "ALTER TABLE assignment ADD COLUMN x integer",
        "CREATE INDEX ON assignment (role)",
    ],
)
def test_whoever_is_no_superuser_may_not_write_by_them(clerk, sql):
    raised = error(clerk, sql)
    assert raised.sqlstate == "42501" and raised.diag.message_hint, raised


def test_a_copy_from_by_a_user_is_refused(clerk):
    with pytest.raises(psycopg.errors.InsufficientPrivilege), clerk.cursor().copy("COPY assignment FROM STDIN") as lines:
        lines.write("1\t1000\tx\n")


def test_tables_that_are_not_sharded_are_written_as_always(clerks, clerk):
    with clerk.transaction(force_rollback=True):
        clerk.execute("INSERT INTO wish VALUES (1, 'x')")
        clerk.execute("UPDATE wish SET note = 'y'")
        clerk.execute("CREATE TABLE own AS SELECT * FROM wish")


@contextlib.contextmanager
def made(teams, *statements):
    """Objects of boss on every node, and their end."""
    with teams.connect(options="-c role=boss") as session:
        for statement in statements:
            session.execute("SELECT teamscale.run_on_all_nodes(%s)", [statement])
    try:
        yield
    finally:
        teams.everywhere("DROP OWNED BY boss CASCADE")
        teams.everywhere("GRANT ALL ON assignment TO boss")
        for node in teams.cluster.nodes:
            node.execute("GRANT ALL ON SCHEMA public TO boss")


def test_triggers_and_checks_of_others_decide_by_all_rows(clerks, clerk):
    """A team that has a server may have no entry: no clerk gets one in by hiding the team's rows on another node."""
    guard = [
        "CREATE TABLE vacancy (team_id bigint)",
        "GRANT ALL ON vacancy TO clerk",
        "CREATE FUNCTION is_free(team bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS"
        " 'SELECT NOT EXISTS (SELECT FROM assignment WHERE team_id = team)'",
        "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NOT is_free(NEW.team_id) THEN RAISE check_violation; END IF; RETURN NEW; END $$",
    ]
    hung_up = [
        "CREATE TRIGGER guard BEFORE INSERT ON vacancy FOR EACH ROW EXECUTE FUNCTION guard()",
        "CREATE CONSTRAINT TRIGGER guard AFTER INSERT ON vacancy DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION guard()",
        "ALTER TABLE vacancy ADD CHECK (is_free(team_id))",
    ]
    for way in hung_up:
        with made(clerks, *guard, way):
            for name in NODES:
                team = clerks.of[name][0]
                assert error(clerk, "INSERT INTO vacancy VALUES (%s)", [team]).sqlstate == "23514", way
                with pytest.raises(psycopg.errors.CheckViolation):  # at the commit
                    clerk.execute("INSERT INTO vacancy VALUES (%s)", [team])
            clerk.execute("INSERT INTO vacancy VALUES (1000)")


def test_functions_that_run_as_their_owner_see_all_rows(clerks, clerk):
    with made(
        clerks, "CREATE FUNCTION size_of(team bigint) RETURNS bigint SECURITY DEFINER LANGUAGE sql AS"
        " 'SELECT count(*) FROM assignment WHERE team_id = team'"
    ):
        function = clerks["a"].value("SELECT 'size_of'::regproc::oid")
        for name in NODES:
            assert count(clerk, f"SELECT size_of({clerks.of[name][0]})") == 4
            assert fast_path(clerks["a"], "clerk", function, str(clerks.of[name][0])) == "4"


def fast_path(database, user, function, argument):
    """A call by the protocol's message for function calls, under scope local: no statement is around it."""
    with socket.create_connection(("127.0.0.1", database.server.port)) as server:
        stream = server.makefile("rb")

        def message():
            kind, length = struct.unpack("!ci", stream.read(5))
            return kind, stream.read(length - 4)

        def until_ready():
            messages = {}
            while b"Z" not in messages:
                kind, body = message()
                messages[kind] = body
            return messages

        settings = ["user", user, "database", database.name, "options", LOCAL, "", ""]
        body = struct.pack("!i", 196608) + "\0".join(settings[:-1]).encode() + b"\0"
        server.sendall(struct.pack("!i", len(body) + 4) + body)
        until_ready()
        value = argument.encode()
        body = struct.pack("!ihhi", function, 0, 1, len(value)) + value + struct.pack("!h", 0)
        server.sendall(b"F" + struct.pack("!i", len(body) + 4) + body)
        answer = until_ready()
        assert b"E" not in answer, answer
        return answer[b"V"][4:].decode()


def test_views_of_others_hide_by_all_rows(clerks, clerk):
    """vacancies shows the wishes of teams without a server: there is none, whatever the clerk looks at."""
    with made(
        clerks, "CREATE VIEW vacancies AS SELECT 1000 AS team_id WHERE NOT EXISTS (SELECT FROM assignment WHERE team_id = 1)",
        "CREATE VIEW vacancies_as_caller WITH (security_invoker) AS TABLE assignment",
        "GRANT SELECT ON vacancies, vacancies_as_caller TO clerk",
    ):
        refused(clerk, "SELECT * FROM vacancies")
        refused(clerk, "SELECT * FROM wish WHERE EXISTS (SELECT FROM vacancies)")
        refused(clerk, "WITH v AS (SELECT * FROM vacancies) SELECT * FROM v")
        for node in NODES:
            refused(clerk, "SELECT * FROM teamscale.run_on_node(%s, 'SELECT * FROM vacancies')", [node])
        assert count(clerk, "SELECT count(*) FROM vacancies_as_caller") == 4 * len(clerks.of["a"])
        with clerks.connect(user="boss", options=LOCAL) as boss:
            run(boss, "SELECT * FROM vacancies")
        with clerks.connect(options=LOCAL) as superuser:
            run(superuser, "SELECT * FROM vacancies")


@pytest.mark.parametrize(
    "policy",
    [
        "AS RESTRICTIVE FOR ALL TO clerk USING (NOT EXISTS (SELECT FROM assignment AS a WHERE a.team_id = secret.team_id))",
        "AS RESTRICTIVE FOR INSERT TO clerk WITH CHECK (NOT EXISTS (SELECT FROM assignment AS a WHERE a.team_id = 1))",
    ],
)
def test_policies_judge_by_all_rows(clerks, clerk, policy):
    with made(
        clerks, "CREATE TABLE secret (team_id bigint, word text)", "ALTER TABLE secret ENABLE ROW LEVEL SECURITY",
        "GRANT ALL ON secret TO clerk", "INSERT INTO secret VALUES (1, 'x')", "CREATE POLICY permit ON secret USING (true)",
        f"CREATE POLICY hide ON secret {policy}",
    ):
        statement = "INSERT INTO secret VALUES (1, 'y')" if "INSERT" in policy else "SELECT * FROM secret"
        refused(clerk, statement)
        for node in NODES:
            refused(clerk, "SELECT * FROM teamscale.run_on_node(%s, %s)", [node, statement])


def test_a_users_own_functions_are_no_way_to_write(clerks, clerk):
    clerk.execute("CREATE FUNCTION pg_temp.clear() RETURNS void LANGUAGE sql AS 'DELETE FROM assignment'")
    refused(clerk, "SELECT pg_temp.clear()")
    refused(clerk, "DO $$ BEGIN DELETE FROM assignment; END $$")
    assert len(clerks.rows()) == ROWS


def test_a_superuser_repairs_under_it_functions_and_triggers_included(clerks):
    with clerks.connect(options=LOCAL) as superuser, superuser.transaction(force_rollback=True):
        team = clerks.of["b"][0]
        assert count(superuser, f"SELECT one_team({team})") == 0
        superuser.execute("UPDATE assignment SET role = 'x'")
        superuser.execute("ALTER TABLE assignment ADD COLUMN x integer")
        # Whatever role the session takes on: a restore does.
        superuser.execute("SET LOCAL ROLE clerk")
        assert count(superuser, f"SELECT one_team({team})") == 0


MATERIALIZED = [
    "CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM assignment",
    "CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM assignment WHERE team_id = 1",
    "CREATE MATERIALIZED VIEW kept AS SELECT one_team(1)",
    "EXPLAIN ANALYZE CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM assignment",
    "REFRESH MATERIALIZED VIEW of_team",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY of_team",
    "REFRESH MATERIALIZED VIEW unfilled",
]


def test_no_materialized_view_is_filled_with_them(clerks):
    """It would keep them, and give them for its query's answer to everybody."""
    team = clerks.of["b"][0]
    with clerks.connect() as superuser:
        superuser.execute(f"CREATE MATERIALIZED VIEW of_team AS SELECT * FROM assignment WHERE team_id = {team}")
        superuser.execute("CREATE UNIQUE INDEX ON of_team (server_id)")
        superuser.execute(f"CREATE MATERIALIZED VIEW unfilled AS SELECT one_team({team}) WITH NO DATA")
        superuser.execute("SET teamscale.scope = local")
        for sql in MATERIALIZED:
            refused(superuser, sql)
        superuser.execute("EXPLAIN CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM assignment")
        superuser.execute("CREATE MATERIALIZED VIEW later AS SELECT count(*) FROM assignment WITH NO DATA")
        superuser.execute("REFRESH MATERIALIZED VIEW later WITH NO DATA")
        superuser.execute("SET teamscale.scope = cluster")
        for node in NODES:
            refused(superuser, "SELECT teamscale.run_on_node(%s, %s)", [node, MATERIALIZED[0]])
        assert count(superuser, "SELECT count(*) FROM of_team") == 4
        superuser.execute("REFRESH MATERIALIZED VIEW of_team")
        superuser.execute("REFRESH MATERIALIZED VIEW unfilled")
        assert run(superuser, "SELECT * FROM unfilled") == [(4,)]
        superuser.execute("DROP MATERIALIZED VIEW of_team, unfilled, later")
