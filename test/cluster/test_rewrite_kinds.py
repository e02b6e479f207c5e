"""Every kind of partitions is split and merged, at every level, and nothing is looked through under the lock of the swap."""

import pytest

# How rows are partitioned, the key's type, the partitions, the key of row i; what is split and how; the rows of each partition
# then; what is merged again.
KINDS = {
    "range": (
        "RANGE (key)",
        "date",
        {"p1": "FROM ('2024-01-01') TO ('2024-07-01')", "p2": "FROM ('2024-07-01') TO (MAXVALUE)"},
        "date '2024-01-01' + i",
        ("p1", "'{2024-02-01,2024-03-01}', '{a,b,c}'"),
        {"a": 31, "b": 29, "c": 122, "p2": 218},
        ("{a,b,c}", "p1"),
    ),
    "default partition by range": (
        "RANGE (key)",
        'text COLLATE "C"',
        {"p1": "FROM ('a0') TO ('a5')", "p2": "FROM ('b') TO ('c')", "rest": None},
        "chr(97 + i / 10 % 4) || i % 10",
        ("rest", "'{a5,a7,b}', '{a,b,rest}'"),
        {"a": 20, "b": 30, "p1": 50, "p2": 100, "rest": 200},
        ("{a,b,rest}", "rest"),
    ),
    "list": (
        "LIST (key)",
        "integer",
        {"p1": "IN (0, 1, 2)", "p2": "IN (3, 4)"},
        "i % 5",
        ("p1", "'{1}', '{a,p1}'"),
        {"a": 80, "p1": 160, "p2": 160},
        ("{p1,a}", "p1"),
    ),
    "default partition by list": (
        "LIST (key)",
        "text",
        {"p1": "IN ('k1', 'k2')", "p2": "IN (%s)" % ", ".join(f"'k{i}'" for i in range(20, 150)), "rest": None},
        "'k' || i % 200",
        ("rest", "'{k3,k5}'"),
        {"rest_1": 4, "p1": 4, "p2": 260, "rest": 132},
        ("{rest_1,rest}", "rest"),
    ),
    "hash": (
        "HASH (key)",
        "bigint",
        {"p1": "WITH (MODULUS 2, REMAINDER 0)", "p2": "WITH (MODULUS 2, REMAINDER 1)"},
        "i",
        ("p1", "NULL, '{a,b}'"),
        None,
        ("{b,a}", "p1"),
    ),
}


def make_table(session, level, by, key, parts, value):
    session.execute("CREATE TABLE team (id int PRIMARY KEY); INSERT INTO team SELECT generate_series(0, 9)")
    columns = f"id bigint, key {key}, region text DEFAULT 'eu', team int REFERENCES team, PRIMARY KEY (id, key, region)"
    if level == 1:
        session.execute(f"CREATE TABLE t ({columns}) PARTITION BY {by}")
    else:
        session.execute(f"CREATE TABLE top ({columns}) PARTITION BY HASH (region)")
        session.execute(f"CREATE TABLE t PARTITION OF top FOR VALUES WITH (MODULUS 1, REMAINDER 0) PARTITION BY {by}")
    for name, bound in parts.items():
        session.execute(f"CREATE TABLE {name} PARTITION OF t {'FOR VALUES ' + bound if bound else 'DEFAULT'}")
    session.execute(f"INSERT INTO t (id, key, team) SELECT i, {value}, i % 10 FROM generate_series(0, 399) AS i")


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("by, key, parts, value, split, counts, merge", KINDS.values(), ids=KINDS.keys())
def test_partitions_are_split_and_merged(make_database, by, key, parts, value, split, counts, merge, level):
    database = make_database()
    with database.connect() as session:
        make_table(session, level, by, key, parts, value)
    rows = database.execute("SELECT * FROM t ORDER BY id")
    partitions = "SELECT tableoid::regclass::text, count(*) FROM t GROUP BY 1"
    before = dict(database.execute(partitions))
    looks = []

    def take(message):
        if message.message_primary.startswith("verifying table") and "TABLE public.t ATTACH" in (message.context or ""):
            looks.append(f"{message.message_primary}: {message.context}")

    database.execute(f"ALTER DATABASE {database.name} SET client_min_messages = debug1")
    with database.connect() as session:
        session.add_notice_handler(take)
        session.execute(f"CALL teamscale.split_partition('{split[0]}', {split[1]})")
        after = dict(database.execute(partitions))
        if counts:
            assert after == counts
        else:
            assert set(after) == {"a", "b", "p2"} and after["a"] + after["b"] == before["p1"]
        assert database.execute("SELECT * FROM t ORDER BY id") == rows
        session.execute(f"CALL teamscale.merge_partitions('{merge[0]}', '{merge[1]}')")
    assert dict(database.execute(partitions)) == before
    assert database.execute("SELECT * FROM t ORDER BY id") == rows
    assert looks == []
    assert database.execute("SELECT conname FROM pg_constraint WHERE conname LIKE 'teamscale%'") == []
    with database.connect() as session:
        for name in parts:
            keys = "SELECT convalidated, conparentid <> 0 FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'f'"
            assert session.execute(keys, [name]).fetchall() == [(True, True)]


def test_other_partitions_stay_while_a_default_one_is_about_to_be_swapped(make_database):
    database = make_database()
    with database.connect() as session:
        make_table(session, 1, *KINDS["default partition by range"][:4])
    database.execute(f"ALTER DATABASE {database.name} SET teamscale.wait_point = 'rewrite secured=raise'")
    call = "CALL teamscale.split_partition('rest', '{a5,b}')"
    with pytest.raises(Exception) as raised:
        database.execute(call)
    assert raised.value.sqlstate == "TS999"
    database.execute(f"ALTER DATABASE {database.name} RESET teamscale.wait_point")
    for command in (
        "CREATE TABLE p3 PARTITION OF t FOR VALUES FROM ('x') TO ('y')",
        "ALTER TABLE t DETACH PARTITION p2",
        "DROP TABLE p2",
        "CREATE TABLE p3 (LIKE t); ALTER TABLE t ATTACH PARTITION p3 FOR VALUES FROM ('x') TO ('y')",
    ):
        with pytest.raises(Exception) as raised:
            database.execute(command)
        assert raised.value.sqlstate == "55006", command
    database.execute("INSERT INTO t (id, key) VALUES (1000, 'x7')")
    database.execute(call)
    assert database.execute("SELECT tableoid::regclass::text FROM t WHERE id = 1000") == [("rest",)]
