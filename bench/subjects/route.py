"""Statements by key, the row on another node.

A router that holds no rows and two nodes that share 200,000, all reached over TCP on this machine. Peers hold the rows in
plain tables: PL/Proxy calls functions whose plans the nodes keep; postgres_fdw has one hash partition for each node.
"""

from harness import Pgbench, Work, postgres_fdw

TABLE = "CREATE TABLE assignment (team_id bigint, server_id bigint, role text NOT NULL, uses bigint NOT NULL DEFAULT 0{})"
KEY = ", PRIMARY KEY (team_id, server_id)"
ROWS = "INSERT INTO assignment SELECT team, server, 'web' FROM generate_series(1, 20000) team, generate_series(1, 10) server"
ANALYZE = "VACUUM ANALYZE assignment"

KEYS = "\\set team random(1, 20000)\n\\set server random(1, 10)\n"
READ = KEYS + "SELECT role FROM assignment WHERE team_id = :team AND server_id = :server;\n"
UPDATE = KEYS + "UPDATE assignment SET uses = uses + 1 WHERE team_id = :team AND server_id = :server;\n"


def works(laboratory):
    direct = laboratory.database(TABLE.format(KEY), ROWS, ANALYZE)
    router = teamscale(laboratory)
    proxy = plproxy(laboratory)
    foreign = foreign_partitions(laboratory)
    for title, script, call in [
        ("remote point read, prepared", READ, "SELECT * FROM role_of(:team, :server);\n"),
        ("remote UPDATE, prepared", UPDATE, "SELECT use(:team, :server);\n"),
    ]:
        yield Work(
            title,
            [
                Pgbench("direct connection to the node", direct, script),
                Pgbench("teamscale, 64 buckets", router, script),
                Pgbench("PL/Proxy", proxy, KEYS + call),
                Pgbench("postgres_fdw, 2 hash partitions", foreign, script),
            ],
        )


def teamscale(laboratory):
    databases = laboratory.cluster(
        2,
        TABLE.format(KEY),
        "SELECT teamscale.distribute_table('assignment', 'team_id')",
        ROWS,
        ANALYZE,
        router=True,
    )
    return databases[-1]


def plproxy(laboratory):
    functions = [
        """CREATE FUNCTION role_of(team bigint, server bigint) RETURNS SETOF text LANGUAGE plpgsql AS $$
        BEGIN RETURN QUERY SELECT role FROM assignment WHERE team_id = team AND server_id = server; END $$""",
        """CREATE FUNCTION use(team bigint, server bigint) RETURNS integer LANGUAGE plpgsql AS $$
        DECLARE n integer;
        BEGIN
            UPDATE assignment SET uses = uses + 1 WHERE team_id = team AND server_id = server;
            GET DIAGNOSTICS n = ROW_COUNT;
            RETURN n;
        END $$""",
    ]
    nodes = [
        laboratory.database(
            TABLE.format(KEY), ROWS, f"DELETE FROM assignment WHERE hashint8(team_id) & 1 <> {place}", ANALYZE, *functions
        )
        for place in (0, 1)
    ]
    # PL/Proxy connects as the current user; a node is known by its conninfo.
    options = ", ".join(f"p{place} '{node.conninfo}'" for place, node in enumerate(nodes))
    proxies = [
        f"""CREATE FUNCTION {name}(team bigint, server bigint) RETURNS {result} LANGUAGE plproxy AS $$
        CLUSTER 'nodes'; RUN ON hashint8(team); $$"""
        for name, result in (("role_of", "SETOF text"), ("use", "integer"))
    ]
    return laboratory.database(
        "CREATE EXTENSION plproxy",
        f"CREATE SERVER nodes FOREIGN DATA WRAPPER plproxy OPTIONS ({options})",
        "CREATE USER MAPPING FOR PUBLIC SERVER nodes",
        *proxies,
    )


def foreign_partitions(laboratory):
    nodes = [laboratory.database(TABLE.format(KEY)) for _ in range(2)]
    parent = TABLE.format("") + " PARTITION BY HASH (team_id)"
    router = laboratory.database(
        *postgres_fdw.partitioned("assignment", postgres_fdw.hashed(nodes), parent), ROWS, "ANALYZE assignment"
    )
    for node in nodes:
        node.execute(ANALYZE)
    return router
