"""A sharded table over three nodes with plain tables around it, for the tests of a file to share."""

import psycopg

NODES = "abc"
TEAMS = range(1, 31)
SERVERS = 4
ROWS = len(TEAMS) * SERVERS

TABLES = [
    "CREATE TABLE assignment (team_id bigint NOT NULL, server_id integer NOT NULL, role text NOT NULL DEFAULT 'web',"
    " PRIMARY KEY (team_id, server_id))",
    f"INSERT INTO assignment SELECT team, server, 'web' FROM generate_series(1, {len(TEAMS)}) AS team,"
    f" generate_series(1, {SERVERS}) AS server",
    "CREATE TABLE wish (team_id bigint, note text)",
    f"INSERT INTO wish SELECT team, 'wish ' || team FROM generate_series(1, {len(TEAMS)}) AS team",
]


class Teams:
    """assignment (team_id, server_id, role) is sharded by team_id: 30 teams of 4 servers. wish is a plain table of node a."""

    def __init__(self, cluster):
        self.cluster = cluster
        with cluster["a"].connect() as session:
            for statement in TABLES:
                session.execute(statement)
            session.execute("SELECT teamscale.distribute_table('assignment', 'team_id', buckets => 8)")
            owners = session.execute(
                "SELECT teamscale.node_of('assignment', team), team FROM generate_series(1, %s) AS team", [len(TEAMS)]
            ).fetchall()
        self.of = {name: [team for owner, team in owners if owner == name] for name in NODES}
        assert all(len(teams) > 1 for teams in self.of.values())

    def __getitem__(self, name):
        return self.cluster[name]

    def connect(self, **parameters):
        """A session of node a, which holds some of the buckets."""
        return self.cluster["a"].connect(**parameters)

    def everywhere(self, statement):
        self.cluster["a"].execute("SELECT teamscale.run_on_all_nodes(%s)", [statement])

    def rows(self, query="SELECT * FROM assignment"):
        """The rows of all nodes, each node's own part after the other's."""
        rows = []
        for node in self.cluster.nodes:
            with node.connect(options="-c teamscale.scope=local") as session:
                rows += session.execute(query).fetchall()
        return rows


def run(session, sql, parameters=None):
    """Runs one statement, COPY ... TO STDOUT too; gives its rows."""
    if sql.startswith("COPY") and "STDOUT" in sql:
        with session.cursor().copy(sql) as lines:
            return [bytes(line) for line in lines]
    cursor = session.execute(sql, parameters)
    return cursor.fetchall() if cursor.description else []


def error(session, sql, parameters=None):
    """The error of a statement that must fail; a transaction that was open stays as it was before."""
    try:
        with session.transaction():
            rows = run(session, sql, parameters)
    except psycopg.Error as raised:
        assert raised.sqlstate, (sql, raised)
        return raised
    raise AssertionError(f"no error, but {rows[:3]}: {sql}")


def refused(session, sql, parameters=None):
    """Refused as what cannot be done for all rows is: with a reason and a hint."""
    raised = error(session, sql, parameters)
    assert raised.sqlstate == "0A000", (sql, raised)
    assert raised.diag.message_hint, (sql, raised)
    return raised
