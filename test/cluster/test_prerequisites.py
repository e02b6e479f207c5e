"""What a table uses and another node lacks: made there with it, or refused with the list."""

import psycopg
import pytest

from layout import all_rows
from roles import make_roles
from snapshot import changes, snapshots


def error(connection, sql, parameters=None):
    with pytest.raises(psycopg.Error) as raised:
        connection.execute(sql, parameters)
    return raised.value


DISTRIBUTE = "SELECT teamscale.distribute_table('t', 'team_id', buckets => 4)"

USES = """
CREATE SCHEMA far AUTHORIZATION clerk;
CREATE SCHEMA elsewhere;
GRANT USAGE ON SCHEMA far, elsewhere TO PUBLIC;
GRANT CREATE ON SCHEMA far TO clerk;
COMMENT ON SCHEMA far IS 'of a schema';
CREATE FUNCTION elsewhere.positive(v integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT v > 0';
CREATE FUNCTION elsewhere.guarded() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = far AS 'BEGIN RETURN NEW; END';
ALTER FUNCTION elsewhere.guarded() OWNER TO clerk;
REVOKE EXECUTE ON FUNCTION elsewhere.guarded() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION elsewhere.guarded() TO guest;
COMMENT ON FUNCTION elsewhere.guarded() IS 'of a function';
CREATE DOMAIN far.amount AS integer DEFAULT 3 CONSTRAINT over_zero CHECK (elsewhere.positive(VALUE));
ALTER DOMAIN far.amount ADD CONSTRAINT small CHECK (VALUE < 1000) NOT VALID;
ALTER DOMAIN far.amount OWNER TO clerk;
REVOKE USAGE ON TYPE far.amount FROM PUBLIC;
COMMENT ON DOMAIN far.amount IS 'of a domain';
CREATE TYPE far.mood AS ENUM ('glad', 'it''s "sad"');
CREATE TYPE far.inner_one AS (m far.mood[], a far.amount);
CREATE TYPE far.outer_one AS (i far.inner_one, t text COLLATE "C");
COMMENT ON TYPE far.outer_one IS 'of a composite type';
CREATE COLLATION far.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
COMMENT ON COLLATION far.loose IS 'of a collation';
CREATE TYPE far.texts AS RANGE (subtype = text, collation = far.loose, multirange_type_name = far.many_texts);
CREATE FUNCTION far.next_step(n integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN n + 1;
CREATE FUNCTION far.two_steps(n integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN far.next_step(far.next_step(n));
CREATE PROCEDURE far.unrelated() LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION far.mine(who text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT who = current_user';
CREATE FUNCTION far.rows_of(v far.outer_one) RETURNS SETOF integer LANGUAGE sql IMMUTABLE ROWS 7 COST 123 AS 'SELECT 1';
CREATE TABLE t (
    team_id bigint PRIMARY KEY, amount far.amount, mood far.mood DEFAULT 'glad', moods far.mood[], o far.outer_one, os far.outer_one[],
    texts far.texts DEFAULT far.texts('a', 'b'), many far.many_texts, loose text COLLATE far.loose, two integer DEFAULT far.two_steps(1),
    who text DEFAULT current_user, three integer GENERATED ALWAYS AS (far.next_step(2)) STORED
);
CREATE INDEX ON t (far.two_steps(two)) WHERE mood <> 'glad';
CREATE TRIGGER guarded BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.mood = 'glad') EXECUTE FUNCTION elsewhere.guarded();
CREATE POLICY mine ON t USING (far.mine(who));
CREATE STATISTICS elsewhere.of_it ON (far.next_step(two)), who FROM t;
CREATE VIEW far.view AS SELECT team_id, far.rows_of(o) AS n FROM t;
INSERT INTO t (team_id, amount, moods, o, many)
SELECT i, i, ARRAY['it''s "sad"', NULL]::far.mood[], ROW(ROW(ARRAY['glad']::far.mood[], i), 'x')::far.outer_one,
       far.many_texts(far.texts('A', 'B')) FROM generate_series(1, 20) AS i;
"""

DEFINITIONS = """
SELECT 'type', t.oid::regtype::text, pg_get_userbyid(typowner), ARRAY(SELECT x::text FROM unnest(typacl) AS x ORDER BY 1)::text, obj_description(t.oid, 'pg_type'), typtype::text
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = typnamespace WHERE nspname IN ('far', 'elsewhere') AND typtype <> 'b' AND typrelid = 0
UNION ALL SELECT 'attribute', t.oid::regtype::text, attname, format_type(atttypid, atttypmod), attcollation::regcollation::text, attnum::text
FROM pg_type AS t JOIN pg_attribute ON attrelid = typrelid JOIN pg_class AS c ON c.oid = typrelid WHERE relkind = 'c' AND attnum > 0
UNION ALL SELECT 'label', enumtypid::regtype::text, enumlabel, (rank() OVER (ORDER BY enumsortorder))::text, NULL, NULL FROM pg_enum
UNION ALL SELECT 'check', contypid::regtype::text, conname, pg_get_constraintdef(oid), NULL, NULL FROM pg_constraint WHERE contypid <> 0 AND oid > 16384 AND connamespace = 'far'::regnamespace
UNION ALL SELECT 'range', rngtypid::regtype::text, rngmultitypid::regtype::text, rngcollation::regcollation::text, rngsubtype::regtype::text, NULL FROM pg_range WHERE rngtypid > 16384
UNION ALL SELECT 'routine', p.oid::regprocedure::text, pg_get_functiondef(p.oid), pg_get_userbyid(proowner), ARRAY(SELECT x::text FROM unnest(proacl) AS x ORDER BY 1)::text, obj_description(p.oid, 'pg_proc')
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace WHERE nspname IN ('far', 'elsewhere') AND proname <> 'unrelated'
UNION ALL SELECT 'schema', nspname, pg_get_userbyid(nspowner), ARRAY(SELECT x::text FROM unnest(nspacl) AS x ORDER BY 1)::text, obj_description(oid, 'pg_namespace'), NULL
FROM pg_namespace WHERE nspname IN ('far', 'elsewhere')
UNION ALL SELECT 'collation', oid::regcollation::text, colliculocale, collisdeterministic::text, obj_description(oid, 'pg_collation'), pg_get_userbyid(collowner)
FROM pg_collation WHERE oid > 16384
ORDER BY 1, 2, 3, 4
"""


@pytest.fixture
def pair(make_cluster):
    cluster = make_cluster(2)
    make_roles(cluster, "clerk", "guest")
    return cluster


def definitions(database):
    with database.connect() as connection:
        connection.execute("SET search_path = pg_catalog")
        return connection.execute(DEFINITIONS).fetchall()


def test_what_is_missing_is_made_with_its_owner_privileges_and_comment(pair):
    a, b = pair.nodes
    a.execute(USES)
    expected = definitions(a)
    assert {row[0] for row in expected} == {"type", "attribute", "label", "check", "range", "routine", "schema", "collation"}
    a.execute(DISTRIBUTE)
    assert definitions(b) == expected
    assert b.value("SELECT to_regprocedure('far.unrelated()')") is None
    assert len(all_rows(pair, "SELECT * FROM t")) == 20
    b.execute("INSERT INTO t (team_id, amount) SELECT i, 1 FROM generate_series(101, 120) AS i")
    # What is there already serves.
    a.execute("SELECT teamscale.undistribute_table('t')")
    assert definitions(b) == expected
    a.execute(DISTRIBUTE)
    assert definitions(a) == definitions(b) == expected
    assert len(all_rows(pair, "SELECT * FROM t")) == 40


DIFFERENT = [
    ("CREATE TYPE mood AS ENUM ('glad', 'sad')", "CREATE TYPE mood AS ENUM ('sad', 'glad')", "mood", "type public.mood"),
    ("CREATE TYPE pair AS (a integer)", "CREATE TYPE pair AS (a bigint)", "pair", "type public.pair"),
    ("CREATE DOMAIN d AS integer CHECK (VALUE > 0)", "CREATE DOMAIN d AS integer CHECK (VALUE > 1)", "d", "domain public.d"),
    ("CREATE DOMAIN d AS integer", "CREATE TYPE d AS (a integer)", "d", "domain public.d"),
    ("CREATE TYPE r AS RANGE (subtype = float8)", "CREATE TYPE r AS RANGE (subtype = float4)", "r", "type public.r"),
    (
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1'",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 2'", "integer DEFAULT f()", "routine public.f()",
    ),
    (
        "CREATE COLLATION c (provider = icu, locale = 'de')", "CREATE COLLATION c (provider = icu, locale = 'fr')",
        "text COLLATE c", "collation public.c",
    ),
]


def test_what_is_different_is_refused(pair):
    a, b = pair.nodes
    with a.connect() as here, b.connect() as there:
        for ours, theirs, column, name in DIFFERENT:
            here.execute(ours)
            there.execute(theirs)
            here.execute(f"CREATE TABLE t (team_id bigint PRIMARY KEY, c {column})")
            before = snapshots(pair)
            raised = error(here, DISTRIBUTE)
            assert raised.sqlstate == "42710", (ours, raised)
            assert raised.diag.message_primary == f'{name} exists on node "b" with another definition'
            assert "There it is:" in raised.diag.message_detail and "run_on_all_nodes" in raised.diag.message_hint
            assert changes(pair, before) == []
            here.execute("DROP TABLE t")
            for connection in [here, there]:
                connection.execute("DROP TYPE IF EXISTS mood, pair, r; DROP FUNCTION IF EXISTS f; DROP COLLATION IF EXISTS c")
                connection.execute("DO $$ BEGIN DROP TYPE IF EXISTS d; EXCEPTION WHEN wrong_object_type THEN DROP DOMAIN d; END $$")


MISSING = """
CREATE EXTENSION hstore;
CREATE TABLE lookup (k bigint PRIMARY KEY);
CREATE VIEW seen AS SELECT k FROM lookup;
CREATE FUNCTION same(bigint, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::text = $2';
CREATE OPERATOR === (LEFTARG = bigint, RIGHTARG = text, FUNCTION = same);
CREATE AGGREGATE product (bigint) (SFUNC = int8mul, STYPE = bigint);
CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);
CREATE TABLE t (
    team_id bigint PRIMARY KEY, h hstore, note text, l lookup,
    words tsvector GENERATED ALWAYS AS (to_tsvector('plain', note)) STORED, CHECK (team_id === note)
);
CREATE POLICY p ON t USING (EXISTS (SELECT FROM lookup WHERE k = team_id));
CREATE VIEW v AS SELECT product(k) FROM seen JOIN t ON k = team_id;
"""


def test_what_cannot_be_made_is_refused_with_the_list(pair):
    a = pair["a"]
    a.execute(MISSING)
    before = snapshots(pair)
    with a.connect() as connection:
        raised = error(connection, DISTRIBUTE)
        assert (raised.sqlstate, raised.diag.message_primary) == ("55000", 'node "b" lacks what table "public.t" uses')
        assert sorted(raised.diag.message_detail.split("\n")) == [
            "extension hstore",
            "function public.product(bigint)",
            "operator public.===(bigint,text)",
            "table public.lookup",
            "text search configuration public.plain",
            "view public.seen",
        ]
        assert "run_on_all_nodes" in raised.diag.message_hint
        assert changes(pair, before) == []


def test_roles_must_be_there(make_server, make_cluster):
    here, there = make_server(), make_server()
    cluster = make_cluster(servers=[here, there])
    a, b = cluster.nodes
    a.execute("CREATE ROLE landlord")
    a.execute("CREATE ROLE tenant")
    a.execute("CREATE ROLE guard")
    a.execute("CREATE TABLE t (team_id bigint PRIMARY KEY, n bigserial)")
    a.execute("ALTER TABLE t OWNER TO landlord")
    a.execute("GRANT SELECT ON t TO tenant")
    a.execute("CREATE POLICY p ON t TO guard USING (true)")
    before = snapshots(cluster)
    with a.connect() as connection:
        raised = error(connection, DISTRIBUTE)
        assert raised.sqlstate == "55000"
        assert sorted(raised.diag.message_detail.split("\n")) == ["role guard", "role landlord", "role tenant"]
        assert changes(cluster, before) == []
        for role in ["landlord", "tenant", "guard"]:
            b.execute(f"CREATE ROLE {role}")
        connection.execute(DISTRIBUTE)
    assert b.value("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 't'::regclass") == "landlord"


IN_THE_WAY = [
    "CREATE TABLE t (a integer)",
    "CREATE VIEW t AS SELECT 1",
    "CREATE TABLE t_pkey (a integer)",
    "CREATE TABLE i (a integer)",
    "CREATE TABLE v (a integer)",
    "CREATE SEQUENCE t_n_seq",
    "CREATE TABLE o (a integer, n serial); ALTER SEQUENCE o_n_seq RENAME TO t_n_seq",
    "CREATE SEQUENCE t_id_seq",
    "CREATE TABLE x (a integer, b integer); CREATE STATISTICS s ON a, b FROM x",
    "CREATE TYPE t AS (a integer)",
    "CREATE TYPE mood AS (a integer)",
]


def test_a_name_in_the_way_on_another_node(pair):
    a, b = pair.nodes
    with a.connect() as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('glad')")
        connection.execute(
            "CREATE TABLE t (team_id bigint PRIMARY KEY, n bigserial, id bigint GENERATED ALWAYS AS IDENTITY, x integer, m mood);"
            "CREATE INDEX i ON t (n); CREATE STATISTICS s ON n, x FROM t; CREATE VIEW v AS SELECT * FROM t;"
            "INSERT INTO t (team_id) SELECT generate_series(1, 20)"
        )
        for sql in IN_THE_WAY:
            b.execute(sql)
            before = snapshots(pair)
            raised = error(connection, DISTRIBUTE)
            assert raised.sqlstate in {"42P07", "42710"}, (sql, raised)
            assert 'node "b"' in raised.diag.context, sql
            assert changes(pair, before) == [], sql
            b.execute(
                "DO $$ DECLARE item text; BEGIN"
                " FOR item IN SELECT format('DROP %s %I CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END, relname)"
                " FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S', 'c')"
                " AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'a') LOOP EXECUTE item; END LOOP; END $$"
            )
        connection.execute(DISTRIBUTE)
        assert len(all_rows(pair, "SELECT * FROM t")) == 20
