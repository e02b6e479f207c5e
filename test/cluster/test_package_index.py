"""Debian's package index, a maintainer as a team and a package as its server, on five nodes: each of them answers for a
team what a plain table does. TEAMSCALE_TEAMS teams are asked for, of all sizes, the largest among them."""

import os
import subprocess

import pytest

TEAMS = int(os.environ.get("TEAMSCALE_TEAMS", "60"))
PACKAGES = os.path.join(os.path.dirname(__file__), "../../demo/packages.awk")

SCHEMA = [
    "CREATE TABLE team (team_id bigint PRIMARY KEY, name text NOT NULL)",
    "CREATE TABLE assignment (team_id bigint, server_id bigint, server text NOT NULL, role text NOT NULL,"
    " disk_kb bigint NOT NULL, version text NOT NULL, PRIMARY KEY (team_id, server_id))",
]
ASKED = [
    "SELECT t.name, a.* FROM team AS t JOIN assignment AS a USING (team_id) WHERE t.team_id = %s ORDER BY server_id",
    "SELECT role, count(*), sum(disk_kb), min(server), max(version) FROM assignment WHERE team_id = %s GROUP BY role ORDER BY role",
    "SELECT count(*) FROM assignment WHERE team_id = %s",
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Two CSV files of the index of this machine."""
    folder = tmp_path_factory.mktemp("index")
    files = {table: folder / f"{table}.csv" for table in ["team", "assignment"]}
    result = subprocess.run(
        f"apt-cache dumpavail | awk -v teams={files['team']} -v assignments={files['assignment']} -f {PACKAGES}",
        shell=True, stderr=subprocess.PIPE, text=True,
    )
    if result.returncode or not all(file.exists() for file in files.values()):
        pytest.skip(f"no package index on this machine: {result.stderr}")
    return files


def copy_in(connection, index):
    for table, file in index.items():
        with open(file, "rb") as source, connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv)") as target:
            while piece := source.read(1 << 20):
                target.write(piece)


def test_every_node_answers_for_a_team_as_a_plain_table_does(index, make_server, make_cluster, twin):
    cluster = make_cluster(servers=[None, None, None, None, make_server()])
    connections = [node.connect() for node in cluster.nodes]
    plain = twin.connect()
    for create in SCHEMA:
        connections[0].execute(create)
        plain.execute(create)
    for table in ["team", "assignment"]:
        connections[0].execute("SELECT teamscale.distribute_table(%s, 'team_id')", [table])
    copy_in(connections[1], index)
    copy_in(plain, index)
    plain.execute("ANALYZE")
    total = plain.execute("SELECT count(*) FROM assignment").fetchone()[0]

    held = []
    for node in cluster.nodes:
        with node.connect() as connection:
            connection.execute("SET teamscale.scope = local")
            held.append(connection.execute("SELECT count(*) FROM assignment").fetchone()[0])
    assert sum(held) == total and all(held), held

    teams = plain.execute("SELECT team_id, count(*) FROM assignment GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
    # Every n-th team by size; with as many as there are, all of them.
    asked = teams[:: max(1, len(teams) // TEAMS)]
    rows = 0
    for team, _ in asked:
        for query in ASKED:
            expected = plain.execute(query, [team]).fetchall()
            for node, connection in zip(cluster.nodes, connections):
                assert connection.execute(query, [team]).fetchall() == expected, (node.name, team, query)
            rows += len(expected)
    assert rows > sum(size for _, size in asked)
    print(f"{len(asked)} of {len(teams)} teams, {sum(size for _, size in asked)} of {total} assignments, {held} on the nodes")
