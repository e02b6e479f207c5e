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
