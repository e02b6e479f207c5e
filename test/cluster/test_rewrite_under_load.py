"""Partitions are split and merged under readers and writers, and the rewrite dies at every step: no row is lost, doubled,
invisible or out of date in any snapshot."""

import datetime
import os

import psycopg
import pytest

from rewrite_load import Load
from waiting import until

LONG = "TEAMSCALE_STATEMENTS" in os.environ
ENTITIES = 20000 if LONG else 3000

STEPS = [
    "rewrite begun",
    "rewrite built",
    "rewrite mirrored a source",
    "rewrite mirrored",
    "rewrite copied a batch",
    "rewrite copied",
    "rewrite checked",
    "rewrite waited",
    "rewrite secured a target",
    "rewrite secured",
    "rewrite swapping",
]


def some_day(generator):
    return datetime.date(2024, 1, 1) + datetime.timedelta(days=generator.randrange(731))


def make_table(database):
    database.execute(
        "CREATE TABLE entry (id bigint, at date NOT NULL, value bigint NOT NULL, note text, PRIMARY KEY (id, at))"
        " PARTITION BY RANGE (at)"
    )
    database.execute("CREATE INDEX ON entry (value)")
    for year in (2024, 2025):
        database.execute(f"CREATE TABLE entry_{year} PARTITION OF entry FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')")
    database.execute(
        "INSERT INTO entry SELECT i, date '2024-01-01' + i %% 731, i, repeat('x', i %% 100) FROM generate_series(1, %s) AS i",
        [ENTITIES],
    )


def die_at(database, step, call):
    """Lets the rewrite raise an error at the step, so that its transaction is rolled back and its session ends."""
    database.execute(f"ALTER DATABASE {database.name} SET teamscale.wait_point = '{step}=raise'")
    with pytest.raises(psycopg.Error) as raised:
        database.execute(call)
    assert raised.value.sqlstate == "TS999", raised.value
    database.execute(f"ALTER DATABASE {database.name} RESET teamscale.wait_point")


@pytest.mark.parametrize(
    "call, partitions",
    [
        ("CALL teamscale.split_partition('entry_2024', '{2024-04-01,2024-08-17}')", 4),
        ("CALL teamscale.merge_partitions('{entry_2024,entry_2025}', 'entry_all')", 1),
    ],
    ids=["split", "merge"],
)
def test_no_snapshot_shows_a_rewrite_that_dies_at_every_step(make_database, call, partitions):
    database = make_database()
    make_table(database)
    with Load(database, "entry", some_day, ENTITIES) as load:
        load.start(writers=4 if LONG else 2, readers=4 if LONG else 2)
        for step in STEPS:
            load.until_busy(3)
            die_at(database, step, call)
        load.until_busy(3)
        database.execute(call)
        load.until_busy(10)
    assert database.value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'entry'::regclass") == partitions
    assert database.execute("SELECT * FROM teamscale.stat_rewrite") == []
    assert database.value("SELECT count(*) FROM pg_class WHERE relname LIKE 'teamscale\\_rewrite%'") == 0


def test_a_cancelled_rewrite_leaves_everything_as_it_was(make_database):
    database = make_database()
    make_table(database)
    tables = "SELECT array_agg(relname ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    before = database.value(tables)
    call = "CALL teamscale.split_partition('entry_2024', '{2024-04-01}')"
    with Load(database, "entry", some_day, ENTITIES) as load:
        load.start(writers=2, readers=2)
        for step in STEPS if LONG else STEPS[2::3]:
            load.until_busy(5)
            die_at(database, step, call)
            database.execute("CALL teamscale.cancel_rewrite('entry')")
            assert database.value(tables) == before
            assert database.value("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'teamscale%'") == 0
            assert database.execute("SELECT * FROM teamscale.stat_rewrite") == []
        load.until_busy(5)
