"""A transaction that updates one row on each of two nodes.

By region, so that both rows are known to be apart: one on the node that is asked, one on another. postgres_fdw commits on
one node after the other, without two phases: a failure between leaves half. The plain table has both rows in one database.
"""

from harness import Pgbench, Work, postgres_fdw

TABLE = "CREATE TABLE assignment (region text, team_id bigint, uses bigint NOT NULL DEFAULT 0{})"
KEY = ", PRIMARY KEY (region, team_id)"
ROWS = "INSERT INTO assignment SELECT region, team FROM unnest('{here,there}'::text[]) region, generate_series(1, 20000) team"
ANALYZE = "VACUUM ANALYZE assignment"
TRANSACTION = """\\set one random(1, 20000)
\\set other random(1, 20000)
BEGIN;
UPDATE assignment SET uses = uses + 1 WHERE region = 'here' AND team_id = :one;
UPDATE assignment SET uses = uses + 1 WHERE region = 'there' AND team_id = :other;
COMMIT;
"""


def works(laboratory):
    plain = laboratory.database(TABLE.format(KEY), ROWS, ANALYZE)
    asked = teamscale(laboratory)
    foreign = foreign_partition(laboratory)
    for fsync in ("on", "off"):
        yield Work(
            "transaction over two nodes, with its COMMIT",
            [
                Pgbench("plain table", plain, TRANSACTION),
                Pgbench("teamscale, in two phases", asked, TRANSACTION),
                Pgbench("postgres_fdw, not atomic", foreign, TRANSACTION),
            ],
            settings={"fsync": fsync},
        )


def teamscale(laboratory):
    return laboratory.cluster(
        2,
        TABLE.format(KEY),
        "SELECT teamscale.distribute_table('assignment', 'region', method => 'list')",
        "SELECT teamscale.place_values('assignment', '{here}', 'node0')",
        "SELECT teamscale.place_values('assignment', '{there}', 'node1')",
        ROWS,
        ANALYZE,
    )[0]


def foreign_partition(laboratory):
    other = laboratory.database(TABLE.format(KEY))
    asked = laboratory.database(
        *postgres_fdw.partitioned(
            "assignment", {"IN ('there')": other}, TABLE.format("") + " PARTITION BY LIST (region)"
        ),
        "CREATE TABLE assignment_here PARTITION OF assignment (PRIMARY KEY (region, team_id)) FOR VALUES IN ('here')",
        ROWS,
        "VACUUM ANALYZE assignment_here",
    )
    other.execute(ANALYZE)
    return asked
