"""Which types a sharding key can have: rows come back by it from every node; what hashes OIDs is refused."""

import psycopg
import pytest

from layout import all_rows
from snapshot import changes, snapshots

def literal(text):
    return "'" + text.replace("'", "''") + "'"


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


TYPES = """
CREATE TYPE word AS (t text COLLATE "C", n numeric);
CREATE TYPE nested AS (w word, days daterange[]);
CREATE DOMAIN code AS varchar(8) CHECK (VALUE ~ '^[A-Z]');
CREATE DOMAIN deeper AS code NOT NULL;
CREATE TYPE span AS RANGE (subtype = float8);
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TYPE with_mood AS (a integer, m mood);
CREATE DOMAIN mood_domain AS mood;
CREATE DOMAIN moods AS mood[];
CREATE TYPE mood_range AS RANGE (subtype = mood);
CREATE TYPE with_class AS (a regclass);
"""

# The column, and an expression of i that gives its values.
GOOD = [
    ("smallint", "i"),
    ("numeric(12,3)", "i / 8.0"),
    ("float8", "i / 8.0 - 10"),
    ("boolean", "i % 2 = 0"),
    ("text COLLATE \"C\"", "'k''\"' || i"),
    ("text COLLATE loose", "'Key' || i"),
    ("varchar(20)", "'k' || i"),
    ("char(5)", "'k' || i"),
    ("name", "'k' || i"),
    ("bytea", "decode(lpad(to_hex(i), 4, '0'), 'hex')"),
    ("uuid", "md5(i::text)::uuid"),
    ("date", "date '2024-01-01' + i"),
    ("timestamptz", "timestamptz '2024-01-01 00:00+00' + i * interval '1 hour'"),
    ("interval", "make_interval(days => -i, secs => i)"),
    ("inet", "('10.0.0.' || i)::inet"),
    ("jsonb", "jsonb_build_object('a', i)"),
    ("integer[]", "ARRAY[i, NULL, i]"),
    ("word", "ROW('w' || i, i / 10.0)::word"),
    ("nested", "ROW(ROW('w' || i, NULL), ARRAY[daterange(NULL, date '2024-01-01' + i)])::nested"),
    ("code", "('C' || i)::code"),
    ("deeper", "('D' || i)::deeper"),
    ("span", "span(i, i + 0.5)"),
    ("int4multirange", "int4multirange(int4range(i, i + 5))"),
    ("\"char\"", "(i % 100 + 20)::\"char\""),
    ("pg_lsn", "('0/' || to_hex(i))::pg_lsn"),
]


def test_keys_of_all_kinds(make_cluster):
    cluster = make_cluster(2)
    a, b = cluster.nodes
    for _ in range(3):  # the same names have different OIDs
        b.execute("CREATE TYPE filler AS (a integer)")
        b.execute("DROP TYPE filler")
    with a.connect() as connection, b.connect() as other:
        connection.execute(TYPES)
        for column, value in GOOD:
            connection.execute(f"CREATE TABLE t (k {column} NOT NULL, i integer)")
            connection.execute(f"INSERT INTO t SELECT {value}, i FROM generate_series(1, 50) AS i")
            rows = connection.execute("SELECT teamscale.text_form(k), i FROM t ORDER BY i").fetchall()
            connection.execute("SELECT teamscale.distribute_table('t', 'k', buckets => 2)")
            assert sorted(all_rows(cluster, "SELECT teamscale.text_form(k), i FROM t"), key=lambda row: row[1]) == rows, column
            type_name = column.split(" COLLATE")[0]
            for session in [connection, other]:
                for key, i in rows[:4]:
                    found = session.execute(f"SELECT i FROM t WHERE k = {literal(key)}::{type_name}").fetchall()
                    assert (i,) in found, (column, key)
            with connection.transaction(force_rollback=True):
                connection.execute(f"INSERT INTO t SELECT {value}, -i FROM generate_series(51, 60) AS i")
            connection.execute("SELECT teamscale.undistribute_table('t')")
            assert connection.execute("SELECT teamscale.text_form(k), i FROM t ORDER BY i").fetchall() == rows, column
            connection.execute("DROP TABLE t")


BAD = {
    "mood": "values of type public.mood hash differently",
    "mood[]": "values of type public.mood[] hash differently",
    "with_mood": "values of type public.with_mood hash differently",
    "with_mood[]": "values of type public.with_mood[] hash differently",
    "mood_domain": "values of type public.mood_domain hash differently",
    "moods": "values of type public.moods hash differently",
    "mood_range": "values of type public.mood_range hash differently",
    "with_class": "values of type public.with_class hash differently",
    "oid": "values of type oid hash differently",
    "oidvector": "values of type oidvector hash differently",
    "aclitem": "values of type aclitem hash differently",
    **{
        f"reg{kind}": f"values of type reg{kind} hash differently"
        for kind in ["class", "type", "proc", "procedure", "oper", "operator", "role", "namespace", "config", "dictionary", "collation"]
    },
    "json": "type json of column \"k\" has no extended hash function",
    "json[]": "type json[] of column \"k\" has no extended hash function",
    "point": "type point of column \"k\" has no extended hash function",
    "money": "type money of column \"k\" has no extended hash function",
    "bit(3)": "type bit of column \"k\" has no extended hash function",
    "tsvector": "type tsvector of column \"k\" has no extended hash function",
    "xml": "type xml of column \"k\" has no extended hash function",
}


def test_keys_that_are_refused(make_cluster):
    cluster = make_cluster(2)
    with cluster["a"].connect() as connection:
        connection.execute(TYPES)
        for method, some in [("hash", BAD), ("list", {column: BAD[column] for column in ["mood", "with_mood", "regclass", "json"]})]:
            for column, line in some.items():
                connection.execute(f"CREATE TABLE t (k {column} NOT NULL)")
                with pytest.raises(psycopg.Error) as raised:
                    connection.execute("SELECT teamscale.distribute_table('t', 'k', method => %s)", [method])
                assert raised.value.sqlstate == "55000", column
                assert line in raised.value.diag.message_detail, column
                connection.execute("DROP TABLE t")
        connection.execute("CREATE TABLE t (k xid8 NOT NULL)")
        connection.execute("CREATE TABLE u (k aclitem NOT NULL)")
        before = snapshots(cluster)
        with pytest.raises(psycopg.Error) as raised:
            connection.execute("SELECT teamscale.distribute_table('u', 'k', method => 'list')")
        assert 'type aclitem of column "k" has no order, which lists need' in raised.value.diag.message_detail
        assert changes(cluster, before) == []


NAMES = [
    'quo"te.dot spa ced',
    "Wörld 日本語",
    "select",
    "it's back\\slash per%cent %s %1$s",
    "$1; DROP TABLE x --",
    "x" * 63,
    "ü" * 31 + "x",
]


def test_names_of_every_shape(make_cluster):
    """Schema, table, key, other column, index, constraint, view, type and sequence: all have the name."""
    cluster = make_cluster(2)
    with cluster["b"].connect() as connection:
        for name in NAMES:
            q = quoted(name)
            table = f"{q}.{q}"
            connection.execute(f"CREATE SCHEMA {q}")
            connection.execute(f"CREATE TYPE {q}.{quoted(name[:-1] + 'T')} AS ENUM ({literal(name)})")
            connection.execute(
                f"CREATE TABLE {table} ({q} bigint NOT NULL, {quoted(name[:-1] + 'I')} bigint GENERATED ALWAYS AS IDENTITY"
                f" (SEQUENCE NAME {q}.{quoted(name[:-1] + 'S')}), {quoted(name[:-1] + 'N')} {q}.{quoted(name[:-1] + 'T')},"
                f" CONSTRAINT {quoted(name[:-1] + 'P')} PRIMARY KEY ({q}), CONSTRAINT {quoted(name[:-1] + 'C')} CHECK ({q} > 0))"
            )
            connection.execute(f"CREATE INDEX {quoted(name[:-1] + 'X')} ON {table} ({quoted(name[:-1] + 'N')})")
            connection.execute(f"CREATE VIEW {q}.{quoted(name[:-1] + 'V')} AS SELECT * FROM {table}")
            connection.execute(f"COMMENT ON TABLE {table} IS {literal(name)}")
            connection.execute(
                f"INSERT INTO {table} ({q}, {quoted(name[:-1] + 'N')})"
                f" SELECT i, {literal(name)}::{q}.{quoted(name[:-1] + 'T')} FROM generate_series(1, 9) AS i"
            )
            connection.execute("SELECT teamscale.distribute_table(%s, %s, buckets => 2)", [table, name])
            assert len(all_rows(cluster, f"SELECT * FROM {table}")) == 9
            assert connection.execute(f"SELECT count(*) FROM {q}.{quoted(name[:-1] + 'V')} WHERE {q} = 5").fetchone() == (1,)
            a = cluster["a"]
            assert a.value(f"SELECT obj_description({literal(table)}::regclass)") == name
            a.execute(f"INSERT INTO {table} ({q}) VALUES (10), (11), (12), (13)")
            connection.execute("SELECT teamscale.undistribute_table(%s)", [table])
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (13,)
            connection.execute(f"DROP SCHEMA {q} CASCADE")
