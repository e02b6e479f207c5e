"""Statements by key, the row on this node.

200,000 rows in one database: a plain table, native hash partitions, and a cluster of one node.
"""

from harness import Pgbench, Work

TABLE = "CREATE TABLE assignment (team_id bigint, server_id bigint, role text NOT NULL, PRIMARY KEY (team_id, server_id))"
ROWS = "INSERT INTO assignment SELECT team, server, 'web' FROM generate_series(1, 20000) team, generate_series(1, 10) server"
ANALYZE = "VACUUM ANALYZE assignment"
READ = (
    "\\set team random(1, 20000)\n\\set server random(1, 10)\n"
    "SELECT role FROM assignment WHERE team_id = :team AND server_id = :server;\n"
)
BUCKETS = (32, 256)


def works(laboratory):
    databases = {"plain table": laboratory.database(TABLE, ROWS, ANALYZE)}
    for count in BUCKETS:
        databases[f"native, {count} hash partitions"] = native(laboratory, count)
        databases[f"teamscale, {count} buckets"] = teamscale(laboratory, count)
    for protocol in ("prepared", "simple"):
        yield Work(
            f"local point read, {protocol}",
            [Pgbench(name, database, READ, protocol) for name, database in databases.items()],
        )


def native(laboratory, count):
    partitions = [
        f"CREATE TABLE assignment_{i} PARTITION OF assignment FOR VALUES WITH (MODULUS {count}, REMAINDER {i})"
        for i in range(count)
    ]
    return laboratory.database(TABLE + " PARTITION BY HASH (team_id)", *partitions, ROWS, ANALYZE)


def teamscale(laboratory, count):
    distribute = f"SELECT teamscale.distribute_table('assignment', 'team_id', buckets => {count})"
    return laboratory.cluster(1, TABLE, distribute, ROWS, ANALYZE)[0]
