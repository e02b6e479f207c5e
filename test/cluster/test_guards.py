"""While a table is sharded: the extension, its schemas and its catalog, the setting that loads it, the leaves, and what is
made of them stay as they are, by whatever way a command comes to them. Each refusal has a hint."""

import psycopg
import pytest

from roles import make_roles
from teams import NODES, ROWS, error, refused

OWN_OBJECTS = [
    "DROP EXTENSION teamscale",
    "DROP EXTENSION teamscale CASCADE",
    "DROP EXTENSION IF EXISTS plpgsql, teamscale CASCADE",
    "DROP SCHEMA teamscale_bucket",
    "DROP SCHEMA teamscale_bucket CASCADE",
    "DROP SCHEMA IF EXISTS public, teamscale_bucket CASCADE",
    "DROP SCHEMA teamscale_internal CASCADE",
    "DROP SCHEMA teamscale CASCADE",
    "DROP TABLE teamscale_internal.sharded_table CASCADE",
    "ALTER SCHEMA teamscale_bucket RENAME TO elsewhere",
    "ALTER SCHEMA teamscale_internal RENAME TO elsewhere",
    "ALTER SCHEMA teamscale_internal OWNER TO clerk",
    "ALTER SCHEMA teamscale RENAME TO elsewhere",
    "ALTER TABLE teamscale_internal.sharded_table RENAME TO elsewhere",
    "ALTER TABLE teamscale_internal.sharded_table SET SCHEMA public",
    "ALTER TABLE teamscale_internal.sharded_table RENAME COLUMN relation TO elsewhere",
    "ALTER TABLE teamscale_internal.placement DROP COLUMN node_id CASCADE",
    "ALTER TABLE teamscale_internal.bucket ALTER COLUMN bucket_id TYPE bigint",
    "ALTER TABLE teamscale_internal.cluster OWNER TO clerk",
    "ALTER TABLE teamscale_internal.bucket ENABLE ROW LEVEL SECURITY",
]


@pytest.fixture(scope="module")
def guarded(teams):
    make_roles(teams.cluster, "clerk")
    teams.everywhere("GRANT ALL ON SCHEMA public TO clerk")
    teams.everywhere("CREATE SCHEMA place")
    teams["a"].execute("CREATE TABLE place.visit (team_id bigint NOT NULL, note text)")
    teams["a"].execute("SELECT teamscale.distribute_table('place.visit', 'team_id', method => 'list')")
    teams["a"].execute("SELECT teamscale.place_values('place.visit', '{1,2,3}', 'a')")
    teams["a"].execute("INSERT INTO place.visit VALUES (1, 'x'), (2, 'y')")
    teams["a"].execute("CREATE TABLE fitting (team_id bigint NOT NULL, note text)")
    teams["a"].execute("CREATE TABLE shape (team_id bigint NOT NULL, note text) PARTITION BY LIST (team_id)")
    yield teams
    teams.everywhere("DROP OWNED BY clerk CASCADE")


# Whatever a guarded command could have changed.
DEFINITIONS = """
SELECT 'relation', to_jsonb(array[c.relname, c.relnamespace::regnamespace::text, c.relacl::text, c.relowner::regrole::text,
       c.reloptions::text, c.relhastriggers::text, c.relispartition::text, c.relrowsecurity::text, c.relpersistence::text,
       pg_get_expr(c.relpartbound, c.oid), obj_description(c.oid),
       (SELECT string_agg(a.attname || format_type(a.atttypid, a.atttypmod) || a.attnotnull || a.atthasdef, ',')
        FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT string_agg(i.inhrelid::regclass::text, ',') FROM pg_inherits AS i WHERE i.inhparent = c.oid),
       (SELECT count(*) FROM pg_depend AS d WHERE d.refobjid = c.oid)::text])
FROM pg_class AS c WHERE c.relnamespace::regnamespace::text ~ '^(teamscale|place|public)'
UNION ALL SELECT 'extension', to_jsonb(extname) FROM pg_extension
UNION ALL SELECT 'schema', jsonb_build_array(nspname, nspowner::regrole) FROM pg_namespace WHERE nspname !~ '^pg_t'
UNION ALL SELECT 'setting', to_jsonb(s) FROM pg_db_role_setting AS s
ORDER BY 1, 2"""


@pytest.fixture(scope="module")
def definitions(guarded):
    """A function that gives the definitions of all nodes."""
    sessions = [node.connect() for node in guarded.cluster.nodes]
    yield lambda: [session.execute(DEFINITIONS).fetchall() for session in sessions]
    for session in sessions:
        session.close()


@pytest.mark.parametrize("sql", OWN_OBJECTS)
def test_teamscales_own_objects_stay(guarded, definitions, sql):
    before = definitions()
    for scope in ["cluster", "local"]:
        with guarded.connect(options=f"-c teamscale.scope={scope}") as session:
            raised = error(session, sql)
            assert raised.sqlstate in {"2BP01", "55006"} and raised.diag.message_hint, raised
            raised = error(session, f"DO $do$ BEGIN EXECUTE $sql${sql}$sql$; END $do$")
            assert raised.sqlstate in {"2BP01", "55006"} and raised.diag.message_hint, raised
    assert definitions() == before


def test_whoever_owns_the_extension_keeps_it(guarded):
    with guarded.connect() as session:
        assert error(session, "REASSIGN OWNED BY CURRENT_USER TO clerk").sqlstate in {"0A000", "2BP01", "55006"}


SETTINGS = [
    "ALTER DATABASE {name} RESET session_preload_libraries",
    "ALTER DATABASE {name} RESET ALL",
    "ALTER DATABASE {name} SET session_preload_libraries = DEFAULT",
    "ALTER DATABASE {name} SET session_preload_libraries = ''",
    "ALTER DATABASE {name} SET session_preload_libraries = 'auto_explain'",
    "ALTER DATABASE {name} SET session_preload_libraries = 'not_teamscale', '/teamscale/other'",
    "ALTER ROLE ALL IN DATABASE {name} RESET ALL",
    "ALTER ROLE ALL IN DATABASE {name} SET session_preload_libraries = ''",
    "ALTER ROLE clerk IN DATABASE {name} SET session_preload_libraries = ''",
    "ALTER ROLE clerk SET session_preload_libraries = 'auto_explain'",
    "ALTER USER clerk SET session_preload_libraries TO ''",
    "ALTER ROLE ALL SET session_preload_libraries = ''",
    "SET session_preload_libraries = ''; ALTER ROLE clerk SET session_preload_libraries FROM CURRENT",
    "SET session_preload_libraries = ''; ALTER DATABASE {name} SET session_preload_libraries FROM CURRENT",
]


@pytest.mark.parametrize("sql", SETTINGS)
def test_sessions_of_a_node_go_on_to_load_the_library(guarded, definitions, sql):
    name = guarded["a"].name
    elsewhere = guarded["a"].server.database("postgres")
    before = definitions()
    for database in [guarded["a"], guarded["b"], elsewhere]:
        with database.connect() as session:
            *first, last = sql.format(name=name).split("; ")
            for statement in first:
                session.execute(statement)
            raised = error(session, last)
            assert raised.sqlstate == "55006" and raised.diag.message_hint, raised
    assert definitions() == before


def test_other_settings_are_free(guarded):
    name = guarded["a"].name
    for database in [guarded["a"], guarded["a"].server.database("postgres")]:
        with database.connect() as session, session.transaction(force_rollback=True):
            for sql in [
                f"ALTER DATABASE {name} SET work_mem = '8MB'",
                f"ALTER DATABASE {name} SET session_preload_libraries = 'auto_explain', 'teamscale'",
                f"ALTER DATABASE {name} SET session_preload_libraries = '$libdir/teamscale.so'",
                f"ALTER DATABASE {name} RESET work_mem",
                "ALTER DATABASE postgres RESET ALL",
                f"ALTER ROLE clerk IN DATABASE {name} RESET ALL",
                "ALTER ROLE clerk RESET session_preload_libraries",
                "ALTER ROLE clerk SET session_preload_libraries = 'teamscale'",
                "ALTER ROLE ALL RESET ALL",
            ]:
                session.execute(sql)


def leaf_of(teams, name, table="assignment"):
    return teams[name].value("SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = %s::regclass", [table])


LEAVES = [
    "DROP TABLE {leaf}",
    "DROP TABLE {leaf} CASCADE",
    "DROP TABLE fitting, {leaf}",
    "TRUNCATE {leaf}",
    "ALTER TABLE assignment DETACH PARTITION {leaf}",
    "ALTER TABLE ONLY assignment DETACH PARTITION {leaf}",
    "ALTER TABLE {leaf} RENAME TO elsewhere",
    "ALTER TABLE {leaf} RENAME COLUMN role TO elsewhere",
    "ALTER TABLE {leaf} SET SCHEMA public",
    "ALTER TABLE {leaf} OWNER TO clerk",
    "ALTER TABLE {leaf} SET (fillfactor = 50)",
    "ALTER TABLE {leaf} SET UNLOGGED",
    "ALTER TABLE {leaf} ADD CHECK (team_id > 0)",
    "ALTER TABLE {leaf} ALTER COLUMN role DROP NOT NULL",
    "ALTER TABLE {leaf} ALTER COLUMN role SET DEFAULT 'x'",
    "ALTER TABLE {leaf} DISABLE TRIGGER ALL",
    "ALTER TABLE {leaf} ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE {leaf} REPLICA IDENTITY FULL",
    "ALTER TABLE {leaf} INHERIT fitting",
    "ALTER TABLE shape ATTACH PARTITION {leaf} DEFAULT",
    "CREATE INDEX ON {leaf} (role)",
    "CREATE TRIGGER t BEFORE INSERT ON {leaf} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE r AS ON INSERT TO {leaf} DO INSTEAD NOTHING",
    "CREATE POLICY p ON {leaf}",
    "CREATE STATISTICS s ON team_id, role FROM {leaf}",
    "COMMENT ON TABLE {leaf} IS 'x'",
    "GRANT SELECT ON {leaf} TO clerk",
    "CREATE TABLE child () INHERITS ({leaf})",
    "CREATE TABLE r (t bigint, s int, FOREIGN KEY (t, s) REFERENCES {leaf} (team_id, server_id))",
]
PARENT = [
    "ALTER TABLE place.visit ATTACH PARTITION fitting DEFAULT",
    "ALTER TABLE place.visit ATTACH PARTITION fitting FOR VALUES IN (7)",
    "CREATE TABLE swallow PARTITION OF place.visit DEFAULT",
    "CREATE TABLE swallow PARTITION OF assignment FOR VALUES WITH (MODULUS 64, REMAINDER 1)",
    "CREATE SCHEMA swallow CREATE TABLE swallow PARTITION OF place.visit DEFAULT",
    "CREATE FOREIGN TABLE swallow PARTITION OF place.visit DEFAULT SERVER nowhere",
    "ALTER TABLE shape ATTACH PARTITION assignment DEFAULT",
    "ALTER TABLE shape ATTACH PARTITION place.visit DEFAULT",
    "ALTER SCHEMA place RENAME TO elsewhere",
    "CREATE SCHEMA elsewhere GRANT SELECT ON assignment TO clerk",
]


@pytest.mark.parametrize("sql", LEAVES + PARENT)
def test_leaves_are_not_changed_by_hand(guarded, definitions, sql):
    sql = sql.format(leaf=leaf_of(guarded, "a"))
    before = definitions()
    with guarded.connect() as session:
        refused(session, sql)
        refused(session, f"DO $do$ BEGIN EXECUTE $sql${sql}$sql$; END $do$")
        for node in NODES:
            assert error(session, "SELECT * FROM teamscale.run_on_node(%s, %s)", [node, sql]).sqlstate in {"0A000", "42P01"}
    assert definitions() == before


EVERYWHERE = [
    "DROP TABLE IF EXISTS {leaf}",
    "DROP TABLE IF EXISTS {leaf} CASCADE",
    "ALTER TABLE IF EXISTS {leaf} RENAME TO elsewhere",
    "ALTER TABLE IF EXISTS {leaf} SET SCHEMA public",
    "ALTER TABLE IF EXISTS {leaf} ADD CHECK (team_id > 0)",
    "ALTER TABLE IF EXISTS {leaf} SET UNLOGGED",
    "ALTER INDEX IF EXISTS {leaf}_pkey RENAME TO elsewhere",
    "CREATE TABLE swallow PARTITION OF place.visit DEFAULT",
    "CREATE SCHEMA swallow CREATE TABLE swallow PARTITION OF place.visit DEFAULT",
    "ALTER TABLE place.visit DETACH PARTITION {visit}",
    "CREATE TABLE upper (LIKE assignment) PARTITION BY LIST (team_id);"
    " ALTER TABLE upper ATTACH PARTITION assignment DEFAULT",
    "DROP TABLE assignment CASCADE",
    "DROP SCHEMA place CASCADE",
    "DO $$ BEGIN EXECUTE 'DROP TABLE IF EXISTS {leaf}'; END $$",
]


@pytest.mark.parametrize("sql", EVERYWHERE)
def test_nor_through_run_on_all_nodes(guarded, definitions, sql):
    """IF EXISTS would let a command on one node's leaf succeed on all."""
    before = definitions()
    for node in NODES:
        leaf = leaf_of(guarded, node)
        statement = sql.format(leaf=leaf, visit=leaf_of(guarded, "a", "place.visit"))
        with guarded.connect() as session:
            refused(session, "SELECT * FROM teamscale.run_on_all_nodes(%s)", [statement])
    assert definitions() == before


def test_a_schema_may_be_renamed_on_all_nodes(guarded):
    guarded.everywhere("ALTER SCHEMA place RENAME TO elsewhere")
    try:
        for node in guarded.cluster.nodes:
            assert node.execute("SELECT note FROM elsewhere.visit WHERE team_id = 2") == [("y",)]
    finally:
        guarded.everywhere("ALTER SCHEMA elsewhere RENAME TO place")


PUBLICATIONS = [
    "CREATE PUBLICATION part FOR TABLE assignment",
    "CREATE PUBLICATION part FOR TABLE fitting, place.visit",
    "CREATE PUBLICATION part FOR TABLE {leaf}",
    "CREATE PUBLICATION part FOR TABLE assignment WHERE (team_id = 1) WITH (publish_via_partition_root)",
    "CREATE PUBLICATION part FOR TABLES IN SCHEMA place",
    "CREATE PUBLICATION part FOR TABLES IN SCHEMA CURRENT_SCHEMA",
    "CREATE PUBLICATION part FOR TABLES IN SCHEMA teamscale_bucket",
    "CREATE PUBLICATION part FOR ALL TABLES",
    "ALTER PUBLICATION empty ADD TABLE assignment",
    "ALTER PUBLICATION empty SET TABLE fitting, assignment",
    "ALTER PUBLICATION empty ADD TABLES IN SCHEMA place",
]


@pytest.mark.parametrize("sql", PUBLICATIONS)
def test_a_publication_of_one_node_has_no_part_of_a_sharded_table(guarded, sql):
    with guarded.connect() as session, session.transaction(force_rollback=True):
        session.execute("SET LOCAL client_min_messages = error")
        session.execute("CREATE PUBLICATION empty FOR TABLE fitting")
        refused(session, sql.format(leaf=leaf_of(guarded, "a")))
        session.execute("ALTER PUBLICATION empty ADD TABLE wish")
        session.execute("ALTER PUBLICATION empty DROP TABLE wish")


def test_publications_are_made_on_all_nodes(guarded):
    guarded.everywhere("CREATE PUBLICATION everyone FOR TABLE assignment")
    assert all(node.value("SELECT count(*) FROM pg_publication_rel") == 1 for node in guarded.cluster.nodes)
    guarded.everywhere("DROP PUBLICATION everyone")


def test_a_table_that_is_published_is_not_sharded(cluster):
    database = cluster["a"]
    for publication in ["FOR TABLE t", "FOR ALL TABLES", "FOR TABLES IN SCHEMA public"]:
        database.execute("CREATE TABLE t (k bigint NOT NULL)")
        database.execute(f"SET client_min_messages = error; CREATE PUBLICATION before {publication}")
        with database.connect() as session:
            raised = error(session, "SELECT teamscale.distribute_table('t', 'k')")
            assert raised.sqlstate == "55000" and 'publication "before"' in raised.diag.message_detail
        database.execute("DROP PUBLICATION before; DROP TABLE t")


ROWS_OF_THE_CATALOG = [
    "DELETE FROM teamscale_internal.sharded_table",
    "UPDATE teamscale_internal.placement SET node_id = 1",
    "INSERT INTO teamscale_internal.local_node (node_id) VALUES (2)",
    "WITH gone AS (DELETE FROM teamscale_internal.commit_record RETURNING *) SELECT * FROM gone",
    "MERGE INTO teamscale_internal.cluster AS c USING (SELECT 1) AS x ON true WHEN MATCHED THEN DELETE",
    "TRUNCATE teamscale_internal.node CASCADE",
    "COPY teamscale_internal.bucket FROM STDIN",
    "DELETE FROM teamscale_internal.node_secret",
]


@pytest.mark.parametrize("sql", ROWS_OF_THE_CATALOG)
def test_the_catalogs_rows_are_not_written_by_hand(guarded, sql):
    tables = ["sharded_table", "placement", "local_node", "cluster", "node", "bucket"]

    def catalog(session):
        return [session.execute(f"SELECT * FROM teamscale_internal.{table} ORDER BY 1").fetchall() for table in tables]

    with guarded.connect() as session:
        before = catalog(session)
        raised = error(session, sql)
        assert raised.sqlstate == "42501" and "is not written by hand" in raised.diag.message_primary
        assert raised.diag.message_hint
        assert catalog(session) == before
        # What reads it, or locks it, goes on; and so does who repairs a node.
        session.execute("BEGIN; SELECT FROM teamscale_internal.cluster FOR UPDATE; ROLLBACK")
        if not sql.startswith("COPY"):
            session.execute("BEGIN; SET LOCAL teamscale.scope = local")
            session.execute(sql.replace("VALUES (2)", "SELECT 2 WHERE false"))
            session.execute("ROLLBACK")
    assert len(guarded.rows()) == ROWS


def test_the_guards_end_with_the_last_sharded_table(cluster):
    database = cluster["a"]
    database.execute("CREATE TABLE t (k bigint NOT NULL)")
    database.execute("SELECT teamscale.distribute_table('t', 'k')")
    with database.connect() as session:
        assert error(session, "DROP EXTENSION teamscale CASCADE").sqlstate == "2BP01"
        session.execute("SELECT teamscale.undistribute_table('t')")
        session.execute("CREATE PUBLICATION p FOR TABLE t")
        session.execute(f"ALTER DATABASE {database.name} RESET session_preload_libraries")
        session.execute("DROP EXTENSION teamscale")
        assert session.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_an_aborted_transaction_and_one_that_is_not_open_are_no_trouble(guarded):
    with guarded.connect(autocommit=False) as session:
        with pytest.raises(psycopg.errors.DivisionByZero):
            session.execute("SELECT 1 / 0")
        for sql in ["DROP EXTENSION teamscale", "ALTER DATABASE postgres RESET ALL", "ALTER TABLE assignment ADD COLUMN x int"]:
            with pytest.raises(psycopg.errors.InFailedSqlTransaction):
                session.execute(sql)
        session.rollback()
    assert len(guarded.rows()) == ROWS
