"""Names mean on the owner what they mean here, whatever objects the owner has besides."""

import pytest


@pytest.fixture
def pair(make_cluster):
    cluster = make_cluster(2)
    a, b = cluster.nodes
    a.execute("CREATE TABLE t (k bigint PRIMARY KEY, v text)")
    a.execute("SELECT teamscale.distribute_table('t', 'k')")
    a.execute("INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20) AS i")
    for node in cluster.nodes:
        node.execute("CREATE SCHEMA app")
        node.execute("CREATE FUNCTION public.label(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'public'$$")
    key = next(key for key in range(1, 20) if a.value("SELECT teamscale.node_of('t', %s::bigint)", [key]) == "b")
    return cluster, key


@pytest.mark.parametrize("path", ["app, public", '"$user", public', "app, pg_catalog, public", ""])
def test_objects_that_the_owner_alone_has_are_not_found(pair, path):
    cluster, key = pair
    a, b = cluster.nodes
    b.execute("CREATE SCHEMA postgres")
    for schema in ["app", "postgres"]:
        b.execute(f"CREATE TABLE {schema}.t (k bigint, v text)")
        b.execute(f"CREATE FUNCTION {schema}.label(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT '{schema}'$$")
        b.execute(f"CREATE FUNCTION {schema}.upper(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT '{schema}'$$")
        b.execute(f"CREATE FUNCTION {schema}.never(text, text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT false'")
        b.execute(f"CREATE OPERATOR {schema}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {schema}.never)")
        b.execute(f"CREATE TYPE {schema}.text AS (n int)")
    with a.connect() as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", [path])
        assert connection.execute("SELECT public.label(v), pg_catalog.upper(v), v::text FROM public.t WHERE k = %s AND v = %s", [key, f"v{key}"]
                                  ).fetchall() == [("public", f"V{key}", f"v{key}")]
        connection.execute("INSERT INTO public.t VALUES (%s, 'new') ON CONFLICT (k) DO UPDATE SET v = 'newer'", [key])
        connection.execute("UPDATE public.t SET v = v || '!' WHERE k = %s", [key])
    assert a.value("SELECT v FROM t WHERE k = %s", [key]) == "newer!"
    assert b.value("SELECT count(*) FROM app.t") == 0


def test_a_temporary_table_of_the_owners_session_is_not_found(pair):
    cluster, key = pair
    with cluster["a"].connect() as connection:
        connection.execute("SELECT teamscale.run_on_node('b', 'CREATE TEMPORARY TABLE t (k bigint, v text)')")
        assert connection.execute("SELECT v FROM t WHERE k = %s", [key]).fetchall() == [(f"v{key}",)]
        connection.execute("DELETE FROM t WHERE k = %s", [key])
        connection.execute("INSERT INTO t VALUES (%s, 'kept')", [key])
    assert cluster["b"].value("SELECT v FROM t WHERE k = %s", [key]) == "kept"
