"""Cached answers, in the server and over a connection, and what they cost a write.

20,000 teams of five servers; every answer is in memory. In the server, one statement makes 20,000 look-ups.
"""

from harness import Pgbench, Work

TABLE = "CREATE TABLE assignment (team_id bigint, server_id bigint, role text NOT NULL, PRIMARY KEY (team_id, server_id))"
ROWS = "INSERT INTO assignment SELECT team, server, 'web' FROM generate_series(1, 20000) team, generate_series(1, 5) server"
ANALYZE = "VACUUM ANALYZE assignment"
CACHE = "SELECT teamscale.create_cache('servers_of_team', 'assignment', 'team_id', 'server_id')"
WARM = "SELECT count(servers_of_team(i)) FROM generate_series(1, 20000) i"
PLPGSQL = (
    "CREATE FUNCTION servers_by_query(team bigint) RETURNS bigint[] LANGUAGE plpgsql STABLE AS"
    " $$ BEGIN RETURN (SELECT array_agg(server_id) FROM assignment WHERE team_id = team); END $$"
)


def works(laboratory):
    plain = laboratory.database(TABLE, ROWS, PLPGSQL, ANALYZE)
    cached = laboratory.cluster(1, TABLE, ROWS, PLPGSQL, CACHE, ANALYZE, WARM)[0]
    yield Work(
        "20,000 look-ups in one statement",
        [
            Pgbench(name, cached, f"SELECT sum(cardinality({call})) FROM generate_series(1, 20000) AS i;\n", "prepared")
            for name, call in [
                ("cached", "servers_of_team(i)"),
                ("no look-up: an element put in front of a constant array", "array_prepend(i::bigint, '{1,2,3,4}'::bigint[])"),
                ("the indexed subquery", "(SELECT array_agg(server_id) FROM assignment WHERE team_id = i)"),
                ("a PL/pgSQL function", "servers_by_query(i)"),
            ]
        ],
    )
    team = "\\set team random(1, 20000)\n"
    yield Work(
        "one look-up over a connection, prepared",
        [
            Pgbench("a constant", cached, team + "SELECT '{1,2,3,4,5}'::bigint[], :team;\n", "prepared"),
            Pgbench("cached", cached, team + "SELECT servers_of_team(:team);\n", "prepared"),
            Pgbench("the query", cached, team + "SELECT array_agg(server_id) FROM assignment WHERE team_id = :team;\n", "prepared"),
        ],
    )
    update = team + "UPDATE assignment SET role = 'r' || :team WHERE team_id = :team AND server_id = 1;\n"
    move = team + "UPDATE assignment SET server_id = 1 - server_id WHERE team_id = :team AND server_id IN (0, 1);\n"
    for title, script in [("of a column that the cache does not name", update), ("of one that it does", move)]:
        yield Work(
            f"UPDATE of one row, {title}",
            [Pgbench("plain table", plain, script, "prepared"), Pgbench("cached table", cached, script, "prepared")],
        )
