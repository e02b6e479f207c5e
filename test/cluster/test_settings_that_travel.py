"""A session's settings hold on the owner of a row as they do here; what code sets there holds for no later statement."""

import psycopg
import pytest


@pytest.fixture(scope="module")
def pair(module_cluster):
    cluster = module_cluster(2)
    a, b = cluster.nodes
    a.execute("CREATE TABLE t (k bigint PRIMARY KEY, f float8, v text, at timestamptz)")
    a.execute("SELECT teamscale.distribute_table('t', 'k')")
    a.execute("INSERT INTO t SELECT i, i / 3.0, 'wordy' || i, '2024-01-01 UTC' FROM generate_series(1, 40) AS i")
    for node in cluster.nodes:
        node.execute("CREATE EXTENSION pg_trgm")
        node.execute("CREATE FUNCTION leave(setting text, value text) RETURNS text VOLATILE LANGUAGE plpgsql AS"
                     " 'BEGIN RETURN set_config(setting, value, false); END'")
        node.execute("CREATE FUNCTION reads(setting text) RETURNS text VOLATILE LANGUAGE plpgsql AS"
                     " "
                     " $$BEGIN RETURN coalesce(current_setting(setting, true), ''); END$$")
    return cluster


@pytest.fixture
def key(pair):
    return next(k for k in range(1, 40) if pair["a"].value("SELECT teamscale.node_of('t', %s::bigint)", [k]) == "b")


QUERIES = [
    ("SET extra_float_digits = 0", "SELECT f::text FROM t WHERE k = {k}"),
    ("SET extra_float_digits = -10", "SELECT f || '', f FROM t WHERE k = {k}"),
    ("SET quote_all_identifiers = on", "SELECT quote_ident(v) FROM t WHERE k = {k}"),
    ("SELECT similarity('a', 'b'); SET pg_trgm.similarity_threshold = 0.01", "SELECT v % 'word' FROM t WHERE k = {k}"),
    ("SET app.tenant = 'seven'", "SELECT reads('app.tenant') || v FROM t WHERE k = {k}"),
    ("SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'SQL, DMY'", "SELECT at::text FROM t WHERE k = {k}"),
    ("SET IntervalStyle = 'iso_8601'", "SELECT (at - '2023-01-01'::timestamptz)::text FROM t WHERE k = {k}"),
    ("SET bytea_output = 'escape'", "SELECT convert_to(v, 'UTF8')::text FROM t WHERE k = {k}"),
]


@pytest.mark.parametrize("setting, query", QUERIES)
def test_the_owner_answers_as_this_session_would(pair, key, setting, query):
    a, b = pair.nodes
    with a.connect() as remote, b.connect() as local:
        before = remote.execute(query.format(k=key)).fetchall()
        for connection in [remote, local]:
            for statement in setting.split("; "):
                connection.execute(statement)
        expected = local.execute(query.format(k=key)).fetchall()
        assert remote.execute(query.format(k=key)).fetchall() == expected
        remote.execute("RESET ALL")
        assert remote.execute(query.format(k=key)).fetchall() == before


LEFT = [
    ("TimeZone", "Asia/Tokyo"), ("search_path", "pg_catalog"), ("app.tenant", "other"), ("extra_float_digits", "-15"),
    ("pg_trgm.similarity_threshold", "0.9"), ("role", "left_role"), ("lock_timeout", "1"),
]


@pytest.mark.parametrize("setting, value", LEFT)
@pytest.mark.parametrize("way", [
    "SELECT leave('{s}', '{v}') FROM t WHERE k = {k}",
    "UPDATE t SET v = v WHERE k = {k} RETURNING leave('{s}', '{v}')",
    "SELECT teamscale.run_on_node('b', $$SELECT set_config('{s}', '{v}', false)$$)",
    "SELECT teamscale.run_on_node('b', $$SELECT leave('{s}', '{v}')$$)",
])
@pytest.mark.parametrize("in_transaction", [False, True])
def test_what_code_sets_there_is_gone_with_its_statement(pair, key, setting, value, way, in_transaction):
    a = pair["a"]
    a.execute("DROP ROLE IF EXISTS left_role")
    a.execute("CREATE ROLE left_role")
    question = f"SELECT reads('{setting}'), at::text, f::text, k, current_user FROM t WHERE k = {key}"
    with a.connect() as connection:
        before = connection.execute(question).fetchall()
        if in_transaction:
            connection.execute("BEGIN")
        try:
            connection.execute(way.format(s=setting, v=value, k=key))
        except psycopg.Error as error:  # refused is as good
            assert error.sqlstate in ("0A000", "42501"), error
            connection.rollback()
        if connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
            assert connection.execute(question).fetchall() == before
            connection.execute("COMMIT")
        assert connection.execute(question).fetchall() == before
    a.execute("DROP ROLE left_role")


def test_what_a_deferred_trigger_sets_is_gone_with_its_transaction(pair, key):
    a = pair["a"]
    with a.connect() as connection:
        for node in pair.nodes:
            node.execute("CREATE FUNCTION leaves() RETURNS trigger LANGUAGE plpgsql AS"
                         " $$BEGIN PERFORM set_config('TimeZone', 'Asia/Tokyo', false); RETURN NULL; END$$")
        connection.execute("SELECT teamscale.run_on_all_nodes('CREATE CONSTRAINT TRIGGER leaves AFTER UPDATE ON t"
                           " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION leaves()')")
        before = connection.execute("SELECT at::text FROM t WHERE k = %s", [key]).fetchall()
        connection.execute("UPDATE t SET v = v WHERE k = %s", [key])
        assert connection.execute("SELECT at::text FROM t WHERE k = %s", [key]).fetchall() == before
        connection.execute("SELECT teamscale.run_on_all_nodes('DROP TRIGGER leaves ON t')")
