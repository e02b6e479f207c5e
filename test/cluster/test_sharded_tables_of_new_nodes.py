"""A node that is added, or comes back, gets the empty parents of what is sharded, with all that they have."""

import psycopg
import pytest

from layout import all_rows
from roles import make_roles
from table_description import describe, differences, leaves

TABLES = """
CREATE SCHEMA place;
CREATE TYPE place.mood AS ENUM ('glad', 'sad');
CREATE FUNCTION place.checked(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 <> ''''';
CREATE TABLE place.team (team_id bigint PRIMARY KEY, mood place.mood DEFAULT 'glad');
CREATE TABLE place.member (
    team_id bigint REFERENCES place.team, id bigint GENERATED ALWAYS AS IDENTITY (START WITH 50), serial bigserial, per_node integer,
    note text CHECK (place.checked(note)), PRIMARY KEY (team_id, id)
);
CREATE INDEX by_note ON place.member (note) WITH (fillfactor = 71);
CREATE VIEW place.notes AS SELECT team_id, note FROM place.member;
ALTER TABLE place.member DROP CONSTRAINT member_team_id_fkey;
ALTER TABLE place.member OWNER TO clerk;
GRANT SELECT ON place.member TO guest;
GRANT USAGE ON SEQUENCE place.member_serial_seq TO guest;
"""


@pytest.fixture
def sharded(make_cluster):
    cluster = make_cluster(2)
    make_roles(cluster, "clerk", "guest")
    with cluster["b"].connect() as connection:
        connection.execute(TABLES)
        connection.execute("SELECT teamscale.distribute_table('place.team', 'team_id', buckets => 4)")
        connection.execute("SELECT teamscale.distribute_table('place.member', 'team_id', buckets => 4)")
    run = "SELECT teamscale.run_on_all_nodes(%s)"
    cluster["a"].execute(run, ["ALTER TABLE place.member ADD CONSTRAINT of_team FOREIGN KEY (team_id) REFERENCES place.team"])
    cluster["a"].execute("INSERT INTO place.team SELECT generate_series(1, 20)")
    for database in cluster.nodes:
        database.execute("INSERT INTO place.member (team_id, note) SELECT i, 'x' FROM generate_series(1, 20) AS i")
    return cluster


def describe_all(database):
    return {
        f"{table}: {aspect}": rows
        for table, views in [("place.team", []), ("place.member", ["place.notes"])]
        for aspect, rows in describe(database, table, views).items()
    }


def test_a_node_that_is_added(sharded, make_database):
    expected = describe_all(sharded["a"])
    c = make_database(extension=False)
    sharded["b"].execute("SELECT teamscale.add_node('c', %s)", [c.conninfo])
    assert differences(describe_all(c), expected) == []
    assert leaves(c, "place.member") == [] and leaves(c, "place.team") == []
    c.execute("INSERT INTO place.member (team_id, note) SELECT i, 'x' FROM generate_series(1, 20) AS i")
    for column in ["id", "serial"]:
        values = [row[0] for row in all_rows(sharded, f"SELECT {column} FROM place.member")]
        assert len(values) == len(set(values)) == 60


def test_what_it_lacks_is_refused_with_the_list(sharded, make_database):
    sharded["a"].execute("CREATE EXTENSION hstore SCHEMA public")
    sharded["b"].execute("CREATE EXTENSION hstore SCHEMA public")
    sharded["a"].execute("SELECT teamscale.run_on_all_nodes('ALTER TABLE place.member ADD COLUMN h hstore')")
    c = make_database(extension=False)
    with pytest.raises(psycopg.Error) as raised:
        sharded["b"].execute("SELECT teamscale.add_node('c', %s)", [c.conninfo])
    assert raised.value.sqlstate == "55000" and raised.value.diag.message_detail.endswith("extension hstore")
    assert [row[0] for row in sharded["a"].execute("SELECT name FROM teamscale.node ORDER BY 1")] == ["a", "b"]
    c.execute("CREATE EXTENSION hstore")
    sharded["b"].execute("SELECT teamscale.add_node('c', %s)", [c.conninfo])
    assert differences(describe_all(c), describe_all(sharded["a"])) == []


def test_a_node_that_comes_back_gets_what_was_sharded_meanwhile(sharded):
    expected = describe_all(sharded["a"])
    a = sharded["a"]
    a.execute("SELECT teamscale.disable_node('b')")
    a.execute("CREATE TABLE late (team_id bigint PRIMARY KEY, id bigserial)")
    a.execute("INSERT INTO late SELECT generate_series(1, 10)")
    a.execute("SELECT teamscale.distribute_table('late', 'team_id', buckets => 2)")
    a.execute("SELECT teamscale.enable_node('b')")
    b = sharded["b"]
    assert differences(describe_all(b), expected) == []
    assert differences(describe(b, "public.late"), describe(a, "public.late")) == []
    b.execute("INSERT INTO late SELECT generate_series(11, 20)")
    a.execute("INSERT INTO late SELECT generate_series(21, 30)")
    values = [row[0] for row in all_rows(sharded, "SELECT id FROM late")]
    assert len(values) == len(set(values)) == 30


def test_sequences_begin_above_what_was_given_where_the_first_node_was_away(sharded):
    b = sharded["b"]
    b.execute("SELECT teamscale.disable_node('a')")
    b.execute("CREATE TABLE late (team_id bigint PRIMARY KEY, id bigint GENERATED ALWAYS AS IDENTITY)")
    b.execute("INSERT INTO late SELECT generate_series(1, 10)")
    b.execute("SELECT teamscale.distribute_table('late', 'team_id', buckets => 2)")
    b.execute("SELECT teamscale.enable_node('a')")
    for node, first in [("a", 11), ("b", 21)]:
        sharded[node].execute("INSERT INTO late SELECT generate_series(%s::bigint, %s::bigint + 9)", [first, first])
    values = [row[0] for row in all_rows(sharded, "SELECT id FROM late")]
    assert len(values) == len(set(values)) == 30
