"""bucket_of, node_of and route agree with PostgreSQL's own partitioning, for keys of any type."""

import os
import random
import uuid

import psycopg
import pytest

from layout import shard
from roles import make_roles

KEYS = int(os.environ.get("TEAMSCALE_KEYS", "400"))


def random_values(kind, rng):
    return {
        "bigint": lambda: str(rng.randint(-(2**63), 2**63 - 1)),
        "integer": lambda: str(rng.randint(-(2**31), 2**31 - 1)),
        "text": lambda: "".join(rng.choice("aäß'\"\\ x%,()") for _ in range(rng.randint(0, 12))),
        "uuid": lambda: str(uuid.UUID(int=rng.getrandbits(128))),
        "date": lambda: f"{rng.randint(1, 9999):04}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        "timestamptz": lambda: f"{rng.randint(1900, 2100)}-03-04 05:06:07.{rng.randint(0, 999999):06}+0{rng.randint(0, 9)}",
        "numeric": lambda: f"{rng.randint(-10**9, 10**9)}.{rng.choice(['0', '50', '500', str(rng.randint(0, 10**6))])}",
        "pair": lambda: f"({rng.choice([0, rng.randint(-(2**31), 2**31 - 1)])},\"{rng.choice(['a', 'b,c', ''])}{rng.randint(0, 99)}\")",
    }[kind]


@pytest.mark.parametrize("kind", ["bigint", "integer", "text", "uuid", "date", "timestamptz", "numeric", "pair"])
def test_bucket_of_is_the_partition_that_takes_the_row(make_cluster, kind):
    cluster = make_cluster(2)
    for number, database in enumerate(cluster.nodes):
        for _ in range(3 * number):  # the same names have different OIDs
            database.execute("CREATE TYPE filler AS (a integer)")
            database.execute("DROP TYPE filler")
        database.execute("CREATE TYPE pair AS (number integer, word text)")
    assert len({database.value("SELECT 'pair'::regtype::oid") for database in cluster.nodes}) == 2
    shard(cluster, f"CREATE TABLE t (key {kind} NOT NULL) PARTITION BY HASH (key)", "t", kind, buckets=16)
    make = random_values(kind, random.Random(kind))
    values = [make() for _ in range(KEYS)]
    buckets = []
    for database in cluster.nodes:
        rows = database.execute(
            f"SELECT bucket, satisfies_hash_partition('t'::regclass, 16, bucket %% 1000, v::{kind}) FROM"
            f" (SELECT v, teamscale.bucket_of('t', v::{kind}) AS bucket FROM unnest(%s::text[]) WITH ORDINALITY AS u (v, nr)"
            " ORDER BY nr) AS b",
            [values],
        )
        assert all(satisfied for _, satisfied in rows)
        buckets.append([bucket for bucket, _ in rows])
    assert buckets[0] == buckets[1]
    assert len(set(buckets[0])) == 16


@pytest.fixture
def sharded(cluster):
    shard(cluster, "CREATE TABLE t (key bigint NOT NULL, note text) PARTITION BY HASH (key)", "t", "bigint")
    return cluster


def test_a_key_may_come_as_any_type_that_the_column_takes(sharded):
    connection = sharded["b"].connect()
    expected = connection.execute("SELECT teamscale.bucket_of('t', 42::bigint)").fetchone()
    for key in ["42", "'42'", "42::smallint", "42::integer", "'42'::text", "'42'::varchar", "(SELECT 42)"]:
        assert connection.execute(f"SELECT teamscale.bucket_of('t', {key})").fetchone() == expected, key
    for key in [42, "42"]:
        assert connection.execute("SELECT teamscale.bucket_of('t', %s)", [key]).fetchone() == expected
    for key, state in [("1.5", "42804"), ("true", "42804"), ("'x'", "22P02"), ("now()", "42804"), ("'99999999999999999999'", "22003")]:
        with pytest.raises(psycopg.Error) as raised:
            connection.execute(f"SELECT teamscale.bucket_of('t', {key})")
        assert raised.value.sqlstate == state, key


# The column's type, and values that it holds as others.
HELD_AS_OTHERS = {
    "numeric(6,2)": ["1.005", "1.00500::numeric", "'1.005'", "'1.005'::text", "2::integer", "2.004::numeric(10,3)", "7"],
    "priced": ["1.005", "'1.005'", "3::bigint", "1.005::numeric"],
    "varchar(3)": ["'abc   '::text", "'abc   '", "'ab'::name", "'abc  '::varchar"],
    "char(5)": ["'ab'", "'ab'::text", "'ab   '::char(9)"],
    "timestamptz(0)": ["'2024-02-03 04:05:06.7+01'", "'2024-02-03 04:05:06.5+01'::timestamptz", "'2024-02-03'::date"],
    "numeric(6,2)[]": ["ARRAY[1.005, 2]", "'{1.005}'"],
    "interval hour to minute": ["'1 day 02:03:04'::interval"],
}


@pytest.mark.parametrize("kind", HELD_AS_OTHERS)
def test_a_key_is_where_an_insert_of_the_value_puts_it(make_cluster, kind):
    cluster = make_cluster(3)
    for database in cluster.nodes:
        database.execute("CREATE DOMAIN priced AS numeric(6,2)")
    shard(cluster, f"CREATE TABLE t (key {kind} NOT NULL) PARTITION BY HASH (key)", "t", kind, buckets=32)
    connection = cluster["b"].connect()
    for key in HELD_AS_OTHERS[kind]:
        # Text is taken for a literal here, as drivers send it.
        inserted = key if "char" in kind else key.replace("::text", "")
        assert connection.execute(f"INSERT INTO t VALUES ({inserted})").rowcount == 1
        node, bucket = connection.execute(f"SELECT teamscale.node_of('t', {key}), teamscale.bucket_of('t', {key})").fetchone()
        assert connection.execute(f"SELECT node, bucket FROM teamscale.route('t', {key})").fetchone() == (node, bucket)
        assert connection.execute(
            f"SELECT node, result FROM teamscale.run_on_key('t', {key}, 'SELECT tableoid::regclass::text AS leaf FROM t')"
        ).fetchall() == [(node, {"leaf": f"teamscale_bucket.leaf_1_{bucket}"})], key
        cluster["a"].execute("TRUNCATE t")


def test_a_value_that_does_not_fit_the_column_is_refused_as_an_insert_refuses_it(make_cluster):
    cluster = make_cluster(2)
    for kind, keys in {"varchar(3)": ["'abcd'::text", "'abcd'"], "numeric(4,2)": ["100", "100::integer"]}.items():
        shard(cluster, f"CREATE TABLE t (key {kind} NOT NULL) PARTITION BY HASH (key)", "t", kind, buckets=2)
        with cluster["a"].connect() as connection:
            for key in keys:
                states = []
                for sql in [f"INSERT INTO t VALUES ({key})", f"SELECT teamscale.node_of('t', {key})"]:
                    with pytest.raises(psycopg.Error) as raised:
                        connection.execute(sql)
                    states.append(raised.value.sqlstate)
                assert states[0] == states[1], (key, states)
            connection.execute("DROP TABLE t")


def test_a_composite_key_may_come_as_a_row(make_cluster):
    cluster = make_cluster(2)
    for database in cluster.nodes:
        database.execute("CREATE TYPE pair AS (number integer, word text)")
    shard(cluster, "CREATE TABLE t (key pair NOT NULL) PARTITION BY HASH (key)", "t", "pair")
    connection = cluster["a"].connect()
    expected = connection.execute("SELECT teamscale.bucket_of('t', ROW(7, 'a b')::pair)").fetchone()
    for key in ["ROW(7, 'a b')", "'(7,\"a b\")'", "'(7,\"a b\")'::text", "(7, 'a b'::varchar)"]:
        assert connection.execute(f"SELECT teamscale.bucket_of('t', {key})").fetchone() == expected, key


def test_route_is_what_an_application_needs_to_connect(sharded):
    connection = sharded["c"].connect()
    nodes = set()
    for key in range(40):
        node, bucket, host, port, dbname, epoch = connection.execute("SELECT * FROM teamscale.route('t', %s::bigint)", [key]).fetchone()
        assert (node, bucket) == connection.execute(
            "SELECT teamscale.node_of('t', %s::bigint), teamscale.bucket_of('t', %s::bigint)", [key, key]
        ).fetchone()
        assert epoch == connection.execute("SELECT epoch FROM teamscale_internal.cluster").fetchone()[0]
        connection.execute("INSERT INTO t VALUES (%s, 'here')", [key])
        with psycopg.connect(host=host, port=port, dbname=dbname, user="postgres", autocommit=True) as owner:
            owner.execute("SET teamscale.scope = local")
            assert owner.execute("SELECT note FROM t WHERE key = %s", [key]).fetchone() == ("here",)
        nodes.add(node)
    assert nodes == {"a", "b", "c"}


def test_what_is_not_sharded_or_not_placed(cluster):
    shard(
        cluster, "CREATE TABLE site (region text NOT NULL) PARTITION BY LIST (region)", "site", "text", lists=[["eu"], ["us"]]
    )
    connection = cluster["a"].connect()
    assert connection.execute("SELECT teamscale.node_of('site', 'us')").fetchone() == ("b",)
    assert connection.execute("SELECT teamscale.bucket_of('site', NULL::text)").fetchone() == (None,)
    assert connection.execute("SELECT teamscale.bucket_of(NULL, 'x')").fetchone() == (None,)
    for sql, state in [
        ("SELECT teamscale.node_of('site', 'mars')", "23514"), ("SELECT teamscale.node_of('pg_class', 1)", "42809"),
        ("SELECT teamscale.node_of('nothing', 1)", "42P01"),
    ]:
        with pytest.raises(psycopg.Error) as raised:
            connection.execute(sql)
        assert raised.value.sqlstate == state and (raised.value.diag.message_hint or state == "42P01")


def test_any_role_may_ask_where_a_key_is(sharded):
    make_roles(sharded, "reader")
    reader = sharded["a"].connect(user="reader")
    reader.execute("SET search_path = pg_temp")
    assert reader.execute("SELECT teamscale.node_of('public.t', 1)").fetchone()[0] in "abc"
