"""A view that travels by its name is the same on the node that runs the statement, or it is an error."""

import psycopg
import pytest

from roles import make_roles
from teams import error

DEFINITIONS = {
    "rows": ["AS SELECT * FROM assignment WHERE server_id < 3", "AS SELECT * FROM assignment WHERE server_id > 3"],
    "columns": ["AS SELECT team_id, server_id AS x, role FROM assignment", "AS SELECT team_id, 1 AS x, role FROM assignment"],
}


def define(session, statement):
    session.execute("SELECT teamscale.run_on_all_nodes(%s)", [statement])


@pytest.fixture
def sessions(teams):
    """A session of each node, and a team of b."""
    opened = {name: teams[name].connect(prepare_threshold=None) for name in "abc"}
    yield opened, teams.of["b"][0]
    opened["a"].execute("SELECT teamscale.run_on_all_nodes('DROP SCHEMA IF EXISTS seen CASCADE')")
    for session in opened.values():
        session.close()


def different(session, sql, view):
    raised = error(session, sql)
    assert raised.sqlstate == "55000", raised
    assert raised.diag.message_primary == f'view "{view}" is not the same on every node'
    assert "run_on_all_nodes" in raised.diag.message_hint
    return raised


@pytest.mark.parametrize("what", DEFINITIONS)
@pytest.mark.parametrize("name", ["barrier", '"a*/ b.%41 ""c"""'])
def test_a_security_barrier_that_another_node_has_otherwise(sessions, what, name):
    by_node, team = sessions
    define(by_node["a"], "CREATE SCHEMA seen")
    for node, definition in zip("abc", [DEFINITIONS[what][0], DEFINITIONS[what][1], DEFINITIONS[what][0]]):
        by_node[node].execute(f"CREATE VIEW seen.{name} WITH (security_barrier) {definition}")
    query = f"SELECT * FROM seen.{name} WHERE team_id = {team} ORDER BY 1, 2"
    bare = name[1:-1].replace('""', '"') if name[0] == '"' else name
    different(by_node["a"], query, bare)
    different(by_node["c"], query, bare)
    # On the owner it is the owner's own view.
    here = by_node["b"].execute(query).fetchall()
    by_node["b"].execute(f"CREATE OR REPLACE VIEW seen.{name} WITH (security_barrier) {DEFINITIONS[what][0]}")
    rows = by_node["a"].execute(query).fetchall()
    assert rows == by_node["b"].execute(query).fetchall() and rows != here


def test_a_view_that_changes_on_one_side_after_it_was_prepared(sessions):
    by_node, team = sessions
    define(by_node["a"], "CREATE SCHEMA seen")
    define(by_node["a"], f"CREATE VIEW seen.v WITH (security_barrier) {DEFINITIONS['rows'][0]}")
    session = by_node["a"]
    session.execute("PREPARE p AS SELECT count(*) FROM seen.v WHERE team_id = $1")
    query = f"EXECUTE p({team})"
    for _ in range(7):  # until the owner keeps a generic plan
        assert session.execute(query).fetchone() == (2,)
    other = f"CREATE OR REPLACE VIEW seen.v WITH (security_barrier) {DEFINITIONS['rows'][1]}"
    by_node["b"].execute(other)
    different(session, query, "v")
    session.execute(other)
    assert session.execute(query).fetchone() == (1,)
    session.execute(f"CREATE OR REPLACE VIEW seen.v WITH (security_barrier) {DEFINITIONS['rows'][0]}")
    different(session, query, "v")
    define(session, f"CREATE OR REPLACE VIEW seen.v WITH (security_barrier) {DEFINITIONS['rows'][0]}")
    assert session.execute(query).fetchone() == (2,)


@pytest.mark.parametrize(
    "change",
    ["ALTER VIEW seen.v RESET (security_barrier)", "ALTER VIEW seen.v SET (security_invoker)", "ALTER VIEW seen.v RENAME COLUMN role TO task",
     "ALTER VIEW seen.v OWNER TO keeper", "DROP VIEW seen.v; CREATE TABLE seen.v (team_id bigint, server_id int, role text)",
     "CREATE OR REPLACE VIEW seen.inner_v AS SELECT * FROM assignment WHERE server_id > 1"],
)
def test_whatever_makes_it_another_view(teams, sessions, change):
    make_roles(teams.cluster, "keeper")
    by_node, team = sessions
    define(by_node["a"], "CREATE SCHEMA seen")
    define(by_node["a"], "CREATE VIEW seen.inner_v AS SELECT * FROM assignment")
    define(by_node["a"], "CREATE VIEW seen.v WITH (security_barrier) AS SELECT * FROM seen.inner_v")
    query = f"SELECT count(*) FROM seen.v WHERE team_id = {team}"
    assert by_node["a"].execute(query).fetchone() == (4,)
    by_node["b"].execute(change)
    different(by_node["a"], query, "inner_v" if "inner_v AS" in change else "v")


def test_a_view_of_another_role(teams, sessions):
    make_roles(teams.cluster, "keeper", "reader")
    by_node, team = sessions
    define(by_node["a"], "CREATE SCHEMA seen")
    define(by_node["a"], "GRANT USAGE ON SCHEMA seen TO keeper, reader")
    define(by_node["a"], "CREATE VIEW seen.v AS SELECT * FROM assignment WHERE server_id < 3")
    define(by_node["a"], "GRANT SELECT ON seen.v TO reader")
    query = f"SELECT count(*) FROM seen.v WHERE team_id = {team}"
    with teams["a"].connect(user="reader") as reader:
        assert reader.execute(query).fetchone() == (2,)
        by_node["b"].execute("CREATE OR REPLACE VIEW seen.v AS SELECT * FROM assignment")
        different(reader, query, "v")
    # The role's own views need not be there at all: they travel as what they stand for.
    assert by_node["a"].execute(query).fetchone() == (2,)


def test_a_view_that_another_node_does_not_have(sessions):
    by_node, team = sessions
    by_node["a"].execute("CREATE SCHEMA seen")
    by_node["a"].execute("CREATE VIEW seen.v WITH (security_barrier) AS SELECT * FROM assignment")
    with pytest.raises(psycopg.errors.UndefinedTable):
        by_node["a"].execute(f"SELECT * FROM seen.v WHERE team_id = {team}")
