"""COPY of 1,000,000 rows.

Text, about 35 bytes a row, sent by one client over TCP. The four nodes are databases of this machine.
postgres_fdw is not among the contenders: on PostgreSQL 15 it sends what COPY reads row by row, and takes minutes.
"""

from harness import Timed, Work

TABLE = "CREATE TABLE assignment (team_id bigint, server_id bigint, role text NOT NULL, assigned_on date NOT NULL{})"
KEY = ", PRIMARY KEY (team_id, server_id)"
ROWS = 1_000_000
BUCKETS = 64
NODES = 4


def works(laboratory):
    lines = "".join(f"{i % 20000}\t{i}\trole-{i % 97}\t2025-01-{i % 28 + 1:02}\n" for i in range(ROWS)).encode()
    plain = laboratory.database(TABLE.format(KEY))
    distribute = f"SELECT teamscale.distribute_table('assignment', 'team_id', buckets => {BUCKETS})"
    nodes = laboratory.cluster(NODES, TABLE.format(KEY), distribute)
    partitions = [
        f"CREATE TABLE assignment_{i} PARTITION OF assignment FOR VALUES WITH (MODULUS {BUCKETS}, REMAINDER {i})"
        for i in range(BUCKETS)
    ]
    native = laboratory.database(TABLE.format(KEY) + " PARTITION BY HASH (team_id)", *partitions)
    yield Work(
        "COPY of 1,000,000 rows",
        [
            contender("plain table", plain, [plain], lines),
            contender(f"native, {BUCKETS} hash partitions", native, [native], lines),
            contender(f"teamscale, {BUCKETS} buckets on {NODES} nodes", nodes[0], nodes, lines),
        ],
        most_rounds=5,
    )


def contender(name, entry, owners, lines):
    """Copies into a table that is empty each time; all rows must have arrived where they are kept."""

    def before():
        entry.execute("TRUNCATE assignment")

    def run():
        with entry.connect() as connection, connection.cursor().copy("COPY assignment FROM STDIN") as copy:
            for begin in range(0, len(lines), 1 << 20):
                copy.write(lines[begin : begin + (1 << 20)])

    def after():
        kept = 0
        for owner in owners:
            with owner.connect(options="-c teamscale.scope=local") as connection:
                kept += connection.execute("SELECT count(*) FROM assignment").fetchone()[0]
        if kept != ROWS:
            raise RuntimeError(f"{name}: {kept} rows of {ROWS}")

    return Timed(name, run, before, after)
