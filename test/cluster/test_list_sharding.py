"""Sharding by a list of values: placing them, values that are placed nowhere, and what place_values refuses."""

import psycopg
import pytest

from layout import all_rows, all_rows_of
from snapshot import changes, snapshots
from table_description import describe_storage, differences, leaves


def error(connection, sql, parameters=None):
    with pytest.raises(psycopg.Error) as raised:
        connection.execute(sql, parameters)
    return raised.value


DISTRIBUTE = "SELECT teamscale.distribute_table('t', 'region', method => 'list')"


@pytest.fixture
def placed(make_cluster):
    """A table whose present values are on node b, with others placed on a, b and c."""
    cluster = make_cluster(3)
    b = cluster["b"]
    with b.connect() as connection:
        connection.execute("CREATE TABLE t (region text, id bigint, PRIMARY KEY (region, id)) WITH (fillfactor = 71)")
        connection.execute("ALTER TABLE t ALTER id SET STATISTICS 33, ALTER id SET (n_distinct = 5); ALTER TABLE t REPLICA IDENTITY FULL")
        connection.execute("INSERT INTO t SELECT (ARRAY['eu', 'us', 'it''s'])[1 + i % 3], i FROM generate_series(1, 30) AS i")
        connection.execute(DISTRIBUTE)
    cluster["a"].execute("SELECT teamscale.place_values('t', ARRAY['cn', 'jp'], 'c')")
    cluster["c"].execute("SELECT teamscale.place_values('t', ARRAY['br'], 'a')")
    return cluster


def test_present_values_stay_and_others_go_where_they_are_placed(placed):
    buckets = placed["a"].execute("SELECT node, \"values\" FROM teamscale.bucket WHERE \"table\" = 't'::regclass ORDER BY 2")
    assert buckets == [("a", ["br"]), ("c", ["cn", "jp"]), ("b", ["eu"]), ("b", ["it's"]), ("b", ["us"])]
    for database in placed.nodes:
        database.execute("INSERT INTO t SELECT r, extract(epoch FROM clock_timestamp()) * 1000000 FROM unnest(ARRAY['br', 'cn', 'jp', 'eu', 'it''s']) AS r")
    assert len(all_rows(placed, "SELECT * FROM t")) == 45
    assert all_rows_of(placed["c"], "t") == 6
    assert placed["a"].value("SELECT count(*) FROM t WHERE region = 'it''s'") == 13
    assert placed["a"].value("SELECT teamscale.node_of('t', 'jp')") == "c"
    placed["c"].execute("SELECT teamscale.undistribute_table('t')")
    assert placed["c"].value("SELECT count(*) FROM t") == 45


def test_a_value_that_is_placed_nowhere(placed):
    with placed["a"].connect() as connection:
        for sql in [
            "INSERT INTO t VALUES ('mars', 1)", "INSERT INTO t VALUES ('eu', 101), ('mars', 1)",
            "INSERT INTO t SELECT 'mars', 1", "UPDATE t SET region = 'mars' WHERE region = 'eu' AND id = 3",
        ]:
            raised = error(connection, sql)
            assert raised.sqlstate in {"23514", "0A000"}, sql
            assert raised.diag.message_hint or sql.startswith("UPDATE"), sql
        raised = error(connection, "SELECT teamscale.bucket_of('t', 'mars')")
        assert raised.sqlstate == "23514" and "place_values" in raised.diag.message_hint
        with pytest.raises(psycopg.Error) as copied, connection.cursor().copy("COPY t FROM STDIN") as stream:
            stream.write(b"eu\t101\nmars\t1\n")
        assert copied.value.sqlstate == "23514" and "place_values" in copied.value.diag.message_hint
        assert connection.execute("SELECT * FROM t WHERE region = 'mars'").fetchall() == []
    assert len(all_rows(placed, "SELECT * FROM t")) == 30


def test_leaves_that_come_later_are_like_the_first(placed):
    first = describe_storage(placed["b"], leaves(placed["b"], "public.t")[0])
    assert first["options"] == [("fillfactor=71",)] and first["relation"][0][0] == "f"
    for node in "ac":
        for leaf in leaves(placed[node], "public.t"):
            assert differences(describe_storage(placed[node], leaf), first) == []


def test_a_renamed_table_gets_leaves(placed):
    placed["a"].execute("SELECT teamscale.run_on_all_nodes('ALTER TABLE t RENAME TO renamed')")
    placed["a"].execute("SELECT teamscale.place_values('renamed', ARRAY['aq'], 'b')")
    placed["c"].execute("INSERT INTO renamed VALUES ('aq', 1), ('eu', 200)")
    assert len(all_rows(placed, "SELECT * FROM renamed")) == 32
    placed["a"].execute("SELECT teamscale.undistribute_table('renamed')")
    assert placed["a"].value("SELECT count(*) FROM renamed") == 32


REFUSED = [
    ("'t', ARRAY['eu'], 'a'", "42710", "Placed are 'eu'."),
    ("'t', ARRAY['aq', 'jp', 'cn'], 'c'", "42710", "Placed are 'cn', 'jp'."),
    ("'t', ARRAY['aq'], 'nobody'", "42704", None),
    ("'t', '{}', 'a'", "22023", "The values are '{}'."),
    ("'t', ARRAY['aq', NULL], 'a'", "22023", None),
    ("'t', NULL, 'a'", "22004", None),
    ("'t', ARRAY['aq'], NULL", "22004", None),
    ("'hashed', ARRAY['1'], 'a'", "42809", None),
    ("'plain', ARRAY['1'], 'a'", "42809", None),
    ("'n', ARRAY['x'], 'a'", "22P02", None),
    ("'n', ARRAY['1.000'], 'b'", "42710", "Placed are '1.000'."),
    ("'n', ARRAY['2', '2.00', '1'], 'b'", "42710", None),
]


def test_what_place_values_refuses(placed):
    with placed["b"].connect() as connection:
        connection.execute("CREATE TABLE hashed (k bigint PRIMARY KEY)")
        connection.execute("SELECT teamscale.distribute_table('hashed', 'k', buckets => 2)")
        connection.execute("CREATE TABLE n (k numeric PRIMARY KEY)")
        connection.execute("INSERT INTO n VALUES (1.0)")
        connection.execute("SELECT teamscale.distribute_table('n', 'k', method => 'list')")
        connection.execute("CREATE TABLE plain (k text)")
        before = snapshots(placed)
        for arguments, state, detail in REFUSED:
            raised = error(connection, f"SELECT teamscale.place_values({arguments})")
            assert raised.sqlstate == state, (arguments, raised)
            if detail:
                assert raised.diag.message_detail == detail, arguments
        assert changes(placed, before) == []
        # Values that are equal are one.
        connection.execute("SELECT teamscale.place_values('n', ARRAY['2', '2.0', '2.00', '3'], 'c')")
        assert connection.execute("SELECT \"values\" FROM teamscale.bucket WHERE node = 'c' AND \"table\" = 'n'::regclass").fetchall() in [
            [(["2", "3"],)], [(["2.0", "3"],)], [(["2.00", "3"],)]
        ]
        connection.execute("INSERT INTO n VALUES (2.000)")
    placed["a"].execute("SELECT teamscale.disable_node('c')")
    raised = error(placed["a"].connect(), "SELECT teamscale.place_values('t', ARRAY['aq'], 'c')")
    assert raised.sqlstate == "55000" and "enable_node" in raised.diag.message_hint


def test_values_that_are_equal_share_a_bucket(make_cluster):
    cluster = make_cluster(2)
    with cluster["a"].connect() as connection:
        connection.execute("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        connection.execute("CREATE TABLE t (region text COLLATE loose NOT NULL, x numeric NOT NULL)")
        connection.execute("INSERT INTO t VALUES ('EU', 1.0), ('eu', 1), ('Eu', 1.00), ('us', 2)")
        connection.execute(DISTRIBUTE)
        assert connection.execute("SELECT count(*) FROM teamscale.bucket").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM t WHERE region = 'eU'").fetchone() == (3,)
        assert error(connection, "SELECT teamscale.place_values('t', ARRAY['uS'], 'b')").sqlstate == "42710"
        connection.execute("SELECT teamscale.undistribute_table('t')")
        connection.execute("SELECT teamscale.distribute_table('t', 'x', method => 'list')")
        assert connection.execute("SELECT count(*) FROM teamscale.bucket").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM t WHERE x = 1.0000").fetchone() == (3,)


TYPES = [
    ("timestamptz", "2024-03-31 01:30:00+01", "2024-10-27 02:30:00+02"),
    ("interval", "-1 days -02:03:04", "1 year -3 days"),
    ("float8", "0.1", "1e300"),
    ("bytea", "\\x00ff", "\\x0a0d"),
    ("date", "2024-02-03", "0044-03-15 BC"),
    ("text[]", "{NULL,\"a,b\",\"\\\"\"}", "{}"),
]


def test_values_mean_the_same_in_every_session(make_cluster):
    cluster = make_cluster(2)
    for type_name, first, second in TYPES:
        with cluster["a"].connect() as connection:
            connection.execute(f"CREATE TABLE t (region {type_name} NOT NULL)")
            connection.execute(f"INSERT INTO t VALUES ('{first}')")
            for setting in [
                "DateStyle = 'SQL, DMY'", "IntervalStyle = sql_standard", "TimeZone = 'Asia/Kolkata'", "extra_float_digits = -10",
                "bytea_output = escape",
            ]:
                connection.execute(f"SET {setting}")
            connection.execute(DISTRIBUTE)
        with cluster["b"].connect() as connection:
            connection.execute("SET TimeZone = 'America/New_York'")
            connection.execute("SELECT teamscale.place_values('t', %s, 'b')", [[second]])
            for value in [first, second]:
                connection.execute(f"INSERT INTO t VALUES ('{value}')")
                assert connection.execute(f"SELECT count(*) FROM t WHERE region = '{value}'").fetchone()[0] >= 1
        assert len(all_rows(cluster, "SELECT region::text FROM t")) == 3
        cluster["a"].execute("DROP TABLE t")


NULL_KEYS = [
    "INSERT INTO {} VALUES (NULL, 1)",
    "INSERT INTO {} (id) VALUES (1)",
    "INSERT INTO {} VALUES (NULL, 1) ON CONFLICT DO NOTHING",
    "INSERT INTO {} VALUES (NULL, 1) RETURNING *",
    "INSERT INTO {} VALUES ('eu', 1), (NULL, 2)",
    "INSERT INTO {} VALUES (NULL, 1), (NULL, 2)",
    "INSERT INTO {} SELECT NULLIF(r, 'us'), 1 FROM unnest(ARRAY['eu', 'us']) AS r",
    "INSERT INTO {} SELECT NULL, 1 WHERE false",
    "INSERT INTO {0} SELECT r.region, r.id FROM {0} AS r WHERE r.region = NULL::text",
    "PREPARE p AS INSERT INTO {} VALUES ($1, 1); SET plan_cache_mode = force_generic_plan; EXECUTE p (NULL)",
    "MERGE INTO {} AS t USING (SELECT NULL::text AS r) AS s ON t.region = s.r WHEN NOT MATCHED AND s.r IS NOT NULL THEN INSERT VALUES (s.r, 1)",
]


@pytest.mark.parametrize("method", ["list", "hash"])
def test_a_key_that_is_null_is_refused_as_by_a_plain_table(make_cluster, twin, method):
    cluster = make_cluster(2)
    for database in [cluster["a"], twin]:
        database.execute("CREATE TABLE site (region text NOT NULL, id integer); INSERT INTO site VALUES ('eu', 0), ('us', 0)")
    cluster["a"].execute("SELECT teamscale.distribute_table('site', 'region', method => %s)", [method])
    for sql in NULL_KEYS:
        outcomes = []
        for database in [twin, *cluster.nodes]:
            with database.connect() as connection:
                try:
                    outcomes.append(connection.execute(sql.format("site")).rowcount)
                except psycopg.Error as raised:
                    outcomes.append((raised.sqlstate, raised.diag.column_name))
        assert outcomes == [outcomes[0]] * 3, sql
