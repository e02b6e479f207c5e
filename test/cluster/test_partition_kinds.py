"""Policies of every kind: what partitions they make, and that rows find them."""

import pytest

CLOCK = "2026-01-15 10:00+00"

RANGES = {
    "date": ("date", "'1 month'", {}, [("2026-01-01", "2026-02-01"), ("2026-02-01", "2026-03-01")], "'2026-01-31'"),
    "timestamp": ("timestamp", "'1 day'", {}, [("2026-01-15 00:00:00", "2026-01-16 00:00:00"), ("2026-01-16 00:00:00", "2026-01-17 00:00:00")],
                  "'2026-01-15 23:59:59.999999'"),
    "timestamptz": ("timestamptz", "'1 day'", {"time_zone": "'Asia/Tokyo'"},
                    [("2026-01-14 15:00:00+00", "2026-01-15 15:00:00+00"), ("2026-01-15 15:00:00+00", "2026-01-16 15:00:00+00")],
                    "'2026-01-15 14:59:59+00'"),
    "bigint": ("bigint", "'1000'", {}, [("0", "1000"), ("1000", "2000")], "999"),
    "smallint": ("smallint", "'1000'", {}, [("0", "1000"), ("1000", "2000")], "999"),
    "epoch seconds": ("integer", "'1 day'", {"epoch": "'seconds'"}, [("1768435200", "1768521600"), ("1768521600", "1768608000")], "1768521599"),
    "epoch milliseconds": ("bigint", "'1 day'", {"epoch": "'milliseconds'"},
                           [("1768435200000", "1768521600000"), ("1768521600000", "1768608000000")], "1768521599999"),
    "uuid": ("uuid", "'1 day'", {},
             [("019bbef3-b000-0000-0000-000000000000", "019bc41a-0c00-0000-0000-000000000000")], "'019bc41a-0bff-7fff-bfff-ffffffffffff'"),
    "ulid": ("text COLLATE \"C\"", "'1 day'", {}, [("01KEZF7C000000000000000000", "01KF21M3000000000000000000")], "'01KF21M2ZZZZZZZZZZZZZZZZZZ'"),
}


@pytest.fixture
def database(make_database):
    made = make_database()
    made.execute(f"ALTER DATABASE {made.name} SET teamscale.partition_clock = '{CLOCK}'")
    made.execute(f"ALTER DATABASE {made.name} SET timezone = 'UTC'")
    return made


def bounds(database, table):
    return database.execute(
        'SELECT lower, upper FROM teamscale.partition WHERE "table" = %s::regclass AND lower IS NOT NULL ORDER BY partition::text COLLATE "C"', [table])


@pytest.mark.parametrize("kind", RANGES)
def test_ranges(database, kind):
    column_type, every, options, expected, row = RANGES[kind]
    database.execute(f"CREATE TABLE t (k {column_type} NOT NULL) PARTITION BY RANGE (k)")
    arguments = "".join(f", {name} => {value}" for name, value in options.items())
    database.execute(f"SELECT teamscale.create_partition_policy('t', 'k', every => {every}, premake => 1{arguments})")
    found = bounds(database, "t")
    assert len(found) == 2 and found[: len(expected)] == expected
    assert database.value(f"INSERT INTO t VALUES ({row}) RETURNING tableoid::regclass::text") != "t_default"
    assert database.execute("SELECT * FROM teamscale.plan_partitions('t')") == []


def test_numbers_are_made_ahead_of_the_greatest_key(database):
    database.execute("CREATE TABLE t (k integer NOT NULL) PARTITION BY RANGE (k)")
    database.execute("SELECT teamscale.create_partition_policy('t', 'k', every => '100', premake => 2, retain => '3')")
    for key in range(0, 2000, 50):
        database.execute("INSERT INTO t VALUES (%s)", [key])
        database.execute("CALL teamscale.maintain_partitions('t')")
        assert database.value("SELECT count(*) FROM t_default") == 0
    assert [int(lower) for lower, _ in sorted(bounds(database, "t"), key=lambda b: int(b[0]))] == [1600, 1700, 1800, 1900, 2000, 2100]


def test_lists_of_sets_and_of_values_that_turn_up(database):
    database.execute("CREATE TABLE t (region text NOT NULL, i int) PARTITION BY LIST (region)")
    database.execute("""SELECT teamscale.create_partition_policy('t', 'region', kind => 'list', "values" => '["eu", ["us", "ca"]]')""")
    database.execute("INSERT INTO t VALUES ('eu', 1), ('ca', 2), ('us', 3)")
    assert database.execute("SELECT tableoid::regclass::text, count(*) FROM t GROUP BY 1 ORDER BY 1") == [("t_eu", 1), ("t_us_ca", 2)]
    assert database.execute("SELECT * FROM teamscale.plan_partitions('t')") == []


def test_hash(database):
    database.execute("CREATE TABLE t (id bigint NOT NULL) PARTITION BY HASH (id)")
    database.execute("SELECT teamscale.create_partition_policy('t', 'id', kind => 'hash', modulus => 4)")
    database.execute("INSERT INTO t SELECT generate_series(1, 1000)")
    assert database.value("SELECT count(DISTINCT tableoid) FROM t") == 4
    assert database.execute("SELECT * FROM teamscale.plan_partitions('t')") == []


@pytest.mark.parametrize("upper, lower", [("range", "hash"), ("hash", "range"), ("list", "range"), ("range", "list"), ("range", "range")])
def test_every_kind_under_every_kind(database, upper, lower):
    columns = {"range": ("at", "\"every\": \"1 month\""), "hash": ("team", "\"modulus\": 2"), "list": ("region", "\"values\": [\"eu\", \"us\"]")}
    if upper == lower:
        columns = {"range": ("at", "\"every\": \"1 month\"")}
    column, rules = columns[upper]
    below, rules_below = columns[lower] if upper != lower else ("id", "\"every\": \"1000\"")
    database.execute("CREATE TABLE t (team bigint NOT NULL, id int NOT NULL DEFAULT 1, region text NOT NULL DEFAULT 'eu', at timestamptz NOT NULL, "
                     f"PRIMARY KEY (team, id, region, at)) PARTITION BY {upper} ({column})")
    options = {"range": "every => '1 month'", "hash": "modulus => 2", "list": "\"values\" => '[\"eu\", \"us\"]'"}[upper]
    database.execute(f"SELECT teamscale.create_partition_policy('t', '{column}', kind => '{upper}', {options}, premake => 2, "
                     f"sub_policy => '{{\"column\": \"{below}\", \"kind\": \"{lower}\", {rules_below}, \"premake\": 2}}')")
    database.execute("INSERT INTO t SELECT i, 1, CASE WHEN i % 2 = 0 THEN 'eu' ELSE 'us' END, timestamptz '2026-01-15' + i * interval '1 hour' "
                     "FROM generate_series(1, 500) AS i")
    assert database.value("SELECT count(*) FROM t") == 500
    assert database.value("SELECT count(*) FROM pg_partition_tree('t') WHERE isleaf AND relid::regclass::text !~ 'default'") >= 4
    database.execute("CALL teamscale.maintain_partitions('t')")
    assert database.execute("SELECT * FROM teamscale.plan_partitions('t')") == []
    database.execute(f"ALTER DATABASE {database.name} SET teamscale.partition_clock = '2026-02-15'")
    database.execute("CALL teamscale.maintain_partitions('t')")
    assert database.execute("SELECT * FROM teamscale.plan_partitions('t')") == []
    assert database.value("SELECT count(*) FROM t") == 500


def test_names_of_any_kind(database):
    name = 'Ünïcode "quoted" %s $1 \' table.with.dots and more than sixty-three bytes'
    with database.connect() as connection:
        short = name.encode()[:63].decode(errors="ignore")
        quoted = connection.execute("SELECT quote_ident(%s)", [short]).fetchone()[0]
        connection.execute(f'CREATE TABLE {quoted} ("at; DROP TABLE x" date NOT NULL) PARTITION BY RANGE ("at; DROP TABLE x")')
        connection.execute("SELECT teamscale.create_partition_policy(%s::regclass, 'at; DROP TABLE x', '1 month', retain => '1')", [quoted])
        assert connection.execute("SELECT count(*) FROM teamscale.partition").fetchone() == (6,)
    database.execute(f"ALTER DATABASE {database.name} SET teamscale.partition_clock = '2026-02-10'")
    database.execute("CALL teamscale.maintain_partitions()")
    database.execute(f"ALTER DATABASE {database.name} SET teamscale.partition_clock = '2026-03-10'")
    database.execute("CALL teamscale.maintain_partitions()")
    assert database.execute("SELECT * FROM teamscale.plan_partitions()") == []
    assert database.value("SELECT failures FROM teamscale.stat_maintenance") == 0


def test_partitions_of_other_names_and_widths_are_adopted(database):
    database.execute("CREATE TABLE t (at date NOT NULL) PARTITION BY RANGE (at)")
    database.execute("CREATE TABLE by_hand PARTITION OF t FOR VALUES FROM ('2025-11-10') TO ('2026-01-20')")
    database.execute("CREATE TABLE \"odd one\" PARTITION OF t FOR VALUES FROM ('2026-02-03') TO ('2026-02-05')")
    database.execute("SELECT teamscale.create_partition_policy('t', 'at', '1 month', premake => 1)")
    found = database.execute("SELECT partition::text, lower, upper FROM teamscale.partition WHERE lower IS NOT NULL ORDER BY lower::date")
    assert [row[0] for row in found if row[0] in ("by_hand", '"odd one"')] == ["by_hand", '"odd one"']
    assert all(before[2] == after[1] for before, after in zip(found, found[1:])) and found[-1][2] == "2026-03-01"


def test_an_interval_that_changes_from_a_date_on(database):
    database.execute("CREATE TABLE t (at date NOT NULL) PARTITION BY RANGE (at)")
    database.execute("SELECT teamscale.create_partition_policy('t', 'at', '1 month', premake => 4)")
    database.execute("INSERT INTO t VALUES ('2026-04-02')")
    database.execute("SELECT teamscale.alter_partition_policy('t', every => '7 days', \"from\" => '2026-03-05')")
    database.execute("CALL teamscale.maintain_partitions('t')")
    found = sorted(bounds(database, "t"))
    assert all(before[1] == after[0] for before, after in zip(found, found[1:])), "a gap or an overlap"
    assert ("2026-02-01", "2026-03-01") in found
    assert database.value("SELECT count(*) FROM t") == 1
    assert database.execute("SELECT * FROM teamscale.plan_partitions('t') WHERE action NOT IN ('split', 'notice')") == []


def test_a_policy_survives_dump_and_restore(database, make_database):
    import os
    import subprocess

    database.execute("CREATE TABLE t (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    database.execute("CREATE FUNCTION keep(regclass) RETURNS boolean LANGUAGE sql RETURN true")
    database.execute("SELECT teamscale.create_partition_policy('t', 'at', '1 month', retain => '1 year', before_drop => 'keep(regclass)')")
    copy = make_database(database.server, extension=False)
    environment = {**os.environ, "PGUSER": "postgres"}
    dump = subprocess.run(["pg_dump", database.conninfo], check=True, stdout=subprocess.PIPE, env=environment).stdout
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", copy.conninfo], check=True, input=dump, stdout=subprocess.DEVNULL, env=environment)
    view = "SELECT * FROM teamscale.partition_policy"
    assert copy.execute(view) == database.execute(view)
    copy.execute(f"ALTER DATABASE {copy.name} SET teamscale.partition_clock = '2026-02-15'")
    copy.execute("CALL teamscale.maintain_partitions()")
    assert copy.value("SELECT to_regclass('t_2026_06')::text") == "t_2026_06"
