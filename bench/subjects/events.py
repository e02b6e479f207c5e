"""Change events out of the log.

Read by pg_logical_slot_peek_changes() into count(*), all plugins from the same log. Processor time of the backend that decodes,
and elapsed time. teamscale writes CloudEvents with all their attributes.
"""

import dataclasses
import os
import time
import typing

from harness import Work

SLOTS = {
    "wal2json": ("wal2json", "peek_changes", ["format-version", "2"]),
    "decoderbufs": ("decoderbufs", "peek_binary_changes", []),
    "test_decoding": ("test_decoding", "peek_changes", []),
    "pgoutput": ("pgoutput", "peek_binary_changes", ["proto_version", "1", "publication_names", "bench"]),
    "teamscale": ("teamscale", "peek_changes", []),
    "teamscale, debezium": ("teamscale", "peek_changes", ["format", "debezium"]),
    "teamscale, row": ("teamscale", "peek_changes", ["format", "row"]),
}

SIX = "(id bigint PRIMARY KEY, team_id bigint, name text, at timestamptz, count int, document jsonb)"
SIX_ROWS = (
    "SELECT g, g % 1000, 'name of ' || g, now(), g % 77, jsonb_build_object('a', g, 'b', 'text ' || g) FROM generate_series({}, {}) AS g"
)
WIDE = "(id bigint PRIMARY KEY, " + ", ".join(f"c{i} {('int', 'text', 'timestamptz', 'numeric')[i % 4]}" for i in range(40)) + ")"
WIDE_VALUES = ", ".join(("g", "'text ' || g", "now()", "g / 7.0")[i % 4] for i in range(40))


@dataclasses.dataclass
class Decoding:
    """A contender that decodes the whole log since its slot was made."""

    name: str
    connection: typing.Any
    slot: str
    events: int
    processor: bool
    unit: typing.ClassVar[str] = "ms"

    def figure(self, _):
        _, function, options = SLOTS[self.name]
        begun = self.now()
        (count,) = self.connection.execute(
            f"SELECT count(*) FROM pg_logical_slot_{function}(%s, NULL, NULL, VARIADIC %s)", [self.slot, options]
        ).fetchone()
        taken = self.now() - begun
        if count < self.events:
            raise RuntimeError(f"{self.name}: {count} events of {self.events}")
        return taken * 1e3

    def now(self):
        if not self.processor:
            return time.perf_counter()
        with open(f"/proc/{self.connection.info.backend_pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def works(laboratory):
    database = laboratory.teamscale.create_database()
    laboratory.teamscale.configure(output_plugin_libraries="pgoutput, test_decoding, teamscale, wal2json, decoderbufs")
    database.execute("CREATE EXTENSION teamscale")
    yield from work(database, "500,000 rows of six columns", SIX, ["INSERT INTO t " + SIX_ROWS.format(1, 500000)], 500000)
    yield from work(
        database, "50,000 rows of 41 columns", WIDE, [f"INSERT INTO t SELECT g, {WIDE_VALUES} FROM generate_series(1, 50000) AS g"], 50000
    )
    small = ["DO $$BEGIN FOR i IN 1 .. 50000 LOOP INSERT INTO t " + SIX_ROWS.format("i", "i") + "; COMMIT; END LOOP; END$$"]
    yield from work(database, "50,000 transactions of one row", SIX, small, 50000)
    toast = [
        "ALTER TABLE t ADD COLUMN large text, ALTER large SET STORAGE EXTERNAL",
        "INSERT INTO t SELECT x.*, repeat('x', 5000) FROM (" + SIX_ROWS.format(1, 10000) + ") AS x",
    ] + ["UPDATE t SET count = count + 1"] * 10
    yield from work(database, "100,000 updates beside unchanged TOAST", SIX, toast, 100000)


def work(database, title, definition, statements, events):
    connection = database.connect()
    connection.execute("SET work_mem = '64MB'")
    connection.execute("DROP TABLE IF EXISTS t; DROP PUBLICATION IF EXISTS bench")
    connection.execute(f"CREATE TABLE t {definition}")
    connection.execute("CREATE PUBLICATION bench FOR TABLE t")
    slots = {name: f"bench_{number}" for number, name in enumerate(SLOTS)}
    for name, slot in slots.items():
        connection.execute("SELECT pg_create_logical_replication_slot(%s, %s)", [slot, SLOTS[name][0]])
    for statement in statements:
        connection.execute(statement)
    order = ["teamscale"] + [name for name in SLOTS if name != "teamscale"]
    for processor in (True, False):
        yield Work(
            f"{title}: {'processor' if processor else 'elapsed'} time",
            [Decoding(name, connection, slots[name], events, processor) for name in order],
            settings={"logical_decoding_work_mem": "1GB"},
            most_rounds=3,
        )
    for slot in slots.values():
        connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])
