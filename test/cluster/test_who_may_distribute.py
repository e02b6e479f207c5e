"""Whoever owns a table and may execute the functions shards it, superuser or not; what users wrote runs as that role."""

import psycopg
import pytest

from layout import all_rows
from roles import make_roles

FUNCTIONS = ["distribute_table", "undistribute_table", "place_values"]


@pytest.fixture
def owned(make_cluster):
    """A cluster whose databases let the role clerk shard its tables."""
    cluster = make_cluster(3)
    make_roles(cluster, "clerk", "guest", "landlord")
    for node in cluster.nodes:
        node.execute("GRANT CREATE ON SCHEMA public TO clerk, guest")
        for function in FUNCTIONS:
            node.execute(f"GRANT EXECUTE ON FUNCTION teamscale.{function} TO clerk, guest")
    return cluster


def error(connection, sql, parameters=None):
    with pytest.raises(psycopg.Error) as raised:
        connection.execute(sql, parameters)
    return raised.value


def test_an_owner_who_is_no_superuser(owned):
    clerk = owned["b"].connect(user="clerk")
    clerk.execute("CREATE TABLE t (team_id bigint PRIMARY KEY, id bigserial, note text CHECK (note <> ''))")
    clerk.execute("CREATE VIEW v AS SELECT * FROM t")
    clerk.execute("INSERT INTO t (team_id, note) SELECT i, 'n' || i FROM generate_series(1, 100) AS i")
    clerk.execute("SELECT teamscale.distribute_table('t', 'team_id', buckets => 8)")
    assert len(all_rows(owned, "SELECT * FROM t")) == 100
    for node in owned.nodes:
        assert node.execute("SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname ~ '^(t|v)(_|$)'") == [("clerk",)]
    assert clerk.execute("SELECT note FROM v WHERE team_id = 7").fetchone() == ("n7",)
    clerk.execute("INSERT INTO t VALUES (200, DEFAULT, 'x')")
    clerk.execute("SELECT teamscale.undistribute_table('t')")
    assert owned["b"].value("SELECT count(*) FROM t") == 101
    clerk.execute("DROP TABLE t CASCADE")


def test_lists_and_their_values(owned):
    clerk = owned["a"].connect(user="clerk")
    clerk.execute("CREATE TABLE t (region text NOT NULL)")
    clerk.execute("INSERT INTO t VALUES ('eu')")
    clerk.execute("SELECT teamscale.distribute_table('t', 'region', method => 'list')")
    clerk.execute("SELECT teamscale.place_values('t', ARRAY['us', 'ca'], 'b')")
    clerk.execute("INSERT INTO t VALUES ('us')")
    assert owned["b"].value("SELECT teamscale.node_of('t', 'us')") == "b"
    guest = owned["a"].connect(user="guest")
    assert error(guest, "SELECT teamscale.place_values('t', ARRAY['cn'], 'b')").sqlstate == "42501"
    # A table of somebody else's that shares the placement gets a leaf, too: not without its owner.
    guest.execute("CREATE TABLE u (region text NOT NULL)")
    guest.execute("SELECT teamscale.distribute_table('u', 'region', method => 'list')")
    raised = error(clerk, "SELECT teamscale.place_values('t', ARRAY['cn'], 'b')")
    assert raised.sqlstate == "42501" and raised.diag.message_detail == "Others own public.u."


def test_others_are_refused(owned):
    clerk = owned["a"].connect(user="clerk")
    clerk.execute("CREATE TABLE t (team_id bigint PRIMARY KEY)")
    guest = owned["a"].connect(user="guest")
    landlord = owned["a"].connect(user="landlord")
    for before in ["", "SELECT teamscale.distribute_table('t', 'team_id')"]:
        if before:
            clerk.execute(before)
        for call in ["distribute_table('t', 'team_id')", "undistribute_table('t')", "place_values('t', ARRAY['1'], 'a')"]:
            raised = error(guest, f"SELECT teamscale.{call}")
            assert (raised.sqlstate, raised.diag.message_primary) == ("42501", "must be owner of table public.t")
            raised = error(landlord, f"SELECT teamscale.{call}")
            assert raised.sqlstate == "42501" and "permission denied for function" in raised.diag.message_primary


# Raises when it is run as a superuser; so do the functions that are made of it.
SPY = """
CREATE FUNCTION spy(name text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = public AS $$ BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN RAISE 'caught: % as %', name, current_user; END IF;
    RETURN name;
END $$;
CREATE DOMAIN place AS text CHECK (spy(VALUE) = VALUE);
CREATE TYPE pair AS (a integer, b text);
CREATE FUNCTION pair_text(p pair) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT public.spy(p.b)';
CREATE CAST (pair AS text) WITH FUNCTION pair_text AS ASSIGNMENT;
"""


def test_what_users_wrote_never_runs_as_a_superuser(owned):
    clerk = owned["a"].connect(user="clerk")
    clerk.execute(SPY)
    clerk.execute(
        "CREATE TABLE t (team_id place PRIMARY KEY, note text, copy text GENERATED ALWAYS AS (spy(note)) STORED,"
        " pair pair, CHECK (spy(note) <> ''))"
    )
    clerk.execute("CREATE INDEX ON t (spy(note))")
    clerk.execute("INSERT INTO t (team_id, note, pair) SELECT i, i, ROW(i, i)::pair FROM generate_series(1, 30) AS i")
    rows = sorted(clerk.execute("SELECT team_id, copy, pair::text FROM t").fetchall())
    clerk.execute("SELECT teamscale.distribute_table('t', 'team_id', buckets => 4)")
    clerk.execute("SELECT teamscale.undistribute_table('t')")
    assert sorted(clerk.execute("SELECT team_id, copy, pair::text FROM t").fetchall()) == rows

    # The values of lists are read by everybody who looks at the map.
    raised = error(clerk, "SELECT teamscale.distribute_table('t', 'team_id', method => 'list')")
    assert raised.sqlstate == "55000" and "type public.place is, or contains, a domain" in raised.diag.message_detail
    clerk.execute("CREATE TYPE place_pair AS (a place, b place[])")
    for key in ["place[]", "place_pair"]:
        clerk.execute(f"CREATE TABLE u (k {key} NOT NULL)")
        raised = error(clerk, "SELECT teamscale.distribute_table('u', 'k', method => 'list')")
        assert "is, or contains, a domain" in raised.diag.message_detail
        clerk.execute("DROP TABLE u")
    clerk.execute("CREATE TABLE u (k pair NOT NULL)")
    clerk.execute("INSERT INTO u VALUES (ROW(1, 'x'))")
    clerk.execute("SELECT teamscale.distribute_table('u', 'k', method => 'list')")
    clerk.execute("SELECT teamscale.place_values('u', ARRAY['(2,y)'], 'b')")
    clerk.execute("INSERT INTO u VALUES (ROW(2, 'y'))")
    clerk.execute("SELECT teamscale.undistribute_table('u')")


def test_rows_that_row_security_hides_are_not_left_behind(owned):
    clerk = owned["a"].connect(user="clerk")
    clerk.execute("CREATE TABLE t (team_id bigint PRIMARY KEY)")
    clerk.execute("INSERT INTO t SELECT generate_series(1, 10)")
    clerk.execute("CREATE POLICY few ON t USING (team_id < 3)")
    clerk.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    raised = error(clerk, "SELECT teamscale.distribute_table('t', 'team_id')")
    assert raised.sqlstate == "55000" and 'row security is forced upon role "clerk"' in raised.diag.message_detail
    owned["a"].execute("SELECT teamscale.distribute_table('t', 'team_id', buckets => 4)")
    assert len(all_rows(owned, "SELECT * FROM t")) == 10
    raised = error(clerk, "SELECT teamscale.undistribute_table('t')")
    assert raised.sqlstate == "55000" and 'row security is forced upon role "clerk"' in raised.diag.message_detail
    owned["a"].execute("SELECT teamscale.undistribute_table('t')")
    assert owned["a"].value("SELECT count(*) FROM t") == 10


def test_privileges_that_others_granted_need_a_member_of_their_role(owned):
    clerk = owned["a"].connect(user="clerk")
    clerk.execute("CREATE TABLE t (team_id bigint PRIMARY KEY)")
    clerk.execute("GRANT SELECT ON t TO landlord WITH GRANT OPTION")
    owned["a"].connect(user="landlord").execute("GRANT SELECT ON t TO guest")
    raised = error(clerk, "SELECT teamscale.distribute_table('t', 'team_id')")
    assert raised.diag.message_detail == (
        'privileges on "public.t" were granted by role "landlord", which role "clerk" cannot become'
    )
    owned["a"].execute("SELECT teamscale.distribute_table('t', 'team_id')")
    for node in owned.nodes:
        assert "guest=r/landlord" in node.value("SELECT relacl::text FROM pg_class WHERE relname = 't'")


def test_a_member_of_the_owning_role(owned):
    owned["a"].execute("GRANT landlord TO clerk")
    try:
        for node in owned.nodes:
            node.execute("GRANT CREATE ON SCHEMA public TO landlord")
        owned["a"].connect(user="landlord").execute("CREATE TABLE t (team_id bigint PRIMARY KEY, n bigserial)")
        clerk = owned["a"].connect(user="clerk")
        clerk.execute("SELECT teamscale.distribute_table('t', 'team_id', buckets => 4)")
        for node in owned.nodes:
            assert node.execute("SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname ~ '^t(_|$)'") == [("landlord",)]
        clerk.execute("SELECT teamscale.undistribute_table('t')")
        assert owned["a"].value("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 't'") == "landlord"
    finally:
        owned["a"].execute("REVOKE landlord FROM clerk")


def test_search_path_tricks(owned):
    """Functions and operators of the caller's in front of PostgreSQL's own have no say."""
    clerk = owned["a"].connect(user="clerk")
    clerk.execute("CREATE FUNCTION public.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT (1/0)::text'")
    clerk.execute("CREATE FUNCTION public.never(oid, oid) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''caught''; END'")
    clerk.execute("CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.never)")
    clerk.execute("CREATE TABLE t (team_id bigint PRIMARY KEY)")
    clerk.execute("CREATE TEMPORARY TABLE pg_class (oid oid)")
    clerk.execute("SET search_path = public, pg_temp, pg_catalog")
    clerk.execute("SELECT teamscale.distribute_table('public.t', 'team_id', buckets => 2)")
    clerk.execute("SELECT teamscale.undistribute_table('public.t')")
