"""Utility commands on sharded tables: on all nodes, or refused with a HINT; never on one node alone."""

import psycopg
import pytest

from layout import all_rows, shard
from roles import make_roles

TABLE = "CREATE TABLE {} (team_id bigint NOT NULL, id integer, name text, PRIMARY KEY (team_id, id)) PARTITION BY HASH (team_id)"


@pytest.fixture
def sharded(cluster):
    shard(cluster, TABLE.format("assignment"), "assignment", "bigint")
    cluster["a"].execute("INSERT INTO assignment SELECT i, i, 'n' || i FROM generate_series(1, 40) AS i")
    return cluster


def error(connection, sql):
    try:
        connection.execute(sql)
    except psycopg.Error as raised:
        return raised
    pytest.fail(f"not refused: {sql}")


def leaves(cluster):
    return [row for node in cluster.nodes for row in node.execute("SELECT relname FROM pg_class WHERE relname LIKE 'leaf%'")]


def test_drop_table_is_everywhere_and_leaves_no_trace(sharded):
    sharded["b"].execute("CREATE TABLE plain (a integer)")
    epoch = sharded["a"].value("SELECT epoch FROM teamscale_internal.cluster")
    sharded["b"].execute("DROP TABLE IF EXISTS plain, assignment, never_there")
    assert leaves(sharded) == []
    for node in sharded.nodes:
        assert node.value("SELECT to_regclass('assignment')") is None
        assert node.value("SELECT epoch FROM teamscale_internal.cluster") == epoch + 1
        for table in ["sharded_table", "bucket", "placement", "colocation_group"]:
            assert node.execute(f"SELECT * FROM teamscale_internal.{table}") == [], table
    assert sharded["b"].value("SELECT to_regclass('plain')") is None


def test_drop_table_is_undone_with_its_transaction(sharded):
    with sharded["c"].connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("DROP TABLE assignment")
        assert error(connection, "SELECT 1 FROM assignment WHERE team_id = 1").sqlstate == "42P01"
        raise psycopg.Rollback()
    assert sharded["a"].value("SELECT count(*) FROM assignment WHERE team_id = 7") == 1
    assert len(all_rows(sharded, "SELECT * FROM assignment")) == 40


def test_drop_table_cascade_and_restrict(sharded):
    run = "SELECT teamscale.run_on_all_nodes(%s)"
    sharded["a"].execute(run, ["CREATE VIEW busy AS SELECT * FROM assignment"])
    connection = sharded["b"].connect()
    assert error(connection, "DROP TABLE assignment").sqlstate == "2BP01"
    connection.execute("DROP TABLE assignment CASCADE")
    for node in sharded.nodes:
        assert node.value("SELECT to_regclass('busy')") is None


def test_a_view_on_another_node_holds_the_table(sharded):
    sharded["c"].execute("CREATE VIEW busy AS SELECT * FROM assignment")
    connection = sharded["a"].connect()
    raised = error(connection, "DROP TABLE assignment")
    assert raised.sqlstate == "2BP01" and 'node "c"' in raised.diag.context
    assert len(all_rows(sharded, "SELECT * FROM assignment")) == 40


def test_a_group_stays_while_one_of_its_tables_does(cluster):
    group = shard(cluster, TABLE.format("one"), "one", "bigint")
    shard(cluster, TABLE.format("two"), "two", "bigint", group=group)
    cluster["a"].execute("DROP TABLE one")
    assert cluster["b"].value("SELECT count(*) FROM teamscale_internal.bucket") == 8
    cluster["b"].execute("INSERT INTO two SELECT i, i FROM generate_series(1, 9) AS i")
    cluster["b"].execute("DROP TABLE two")
    assert cluster["c"].value("SELECT count(*) FROM teamscale_internal.bucket") == 0


def test_truncate_is_one_transaction_over_all_nodes(sharded):
    connection = sharded["b"].connect()
    connection.execute("CREATE TABLE plain (a integer)")
    connection.execute("INSERT INTO plain VALUES (1)")
    with connection.transaction(force_rollback=True):
        connection.execute("TRUNCATE plain, assignment RESTART IDENTITY")
        assert connection.execute("SELECT count(*) FROM assignment WHERE team_id = 7").fetchone() == (0,)
    assert len(all_rows(sharded, "SELECT * FROM assignment")) == 40
    connection.execute("TRUNCATE plain, assignment")
    assert all_rows(sharded, "SELECT * FROM assignment") == []
    assert connection.execute("SELECT count(*) FROM plain").fetchone() == (0,)


def test_vacuum_and_analyze_reach_all_nodes(sharded):
    connection = sharded["a"].connect()
    connection.execute("CREATE TABLE plain (a integer)")
    connection.execute("VACUUM (ANALYZE, INDEX_CLEANUP off, PARALLEL 0) plain, assignment (team_id, name)")
    for node in sharded.nodes:
        analyzed = "SELECT count(*) FROM pg_stats WHERE tablename = 'assignment' AND attname IN ('team_id', 'name')"
        assert node.value(analyzed) == 2
        node.execute("SET teamscale.scope = local; DELETE FROM pg_statistic WHERE starelid = 'assignment'::regclass")
    with connection.transaction():
        connection.execute("INSERT INTO assignment SELECT i, 0 FROM generate_series(1, 30) AS i")
        connection.execute("ANALYZE assignment")
    for node in sharded.nodes:
        assert node.value(analyzed) == 2
    connection.execute("VACUUM FULL assignment")
    connection.execute("REINDEX TABLE assignment")
    connection.execute("REINDEX INDEX assignment_pkey")
    connection.execute("CLUSTER assignment USING assignment_pkey")
    assert len(all_rows(sharded, "SELECT * FROM assignment")) == 70


def test_a_maintenance_command_that_fails_on_a_node_says_where_it_is_done(sharded):
    make_roles(sharded, "clerk")
    sharded["b"].execute("ALTER ROLE clerk SET statement_timeout = 0")
    with sharded["c"].connect() as other, sharded["a"].connect() as connection:
        other.execute("SET teamscale.scope = local")
        with other.transaction():
            other.execute("LOCK TABLE assignment IN ACCESS EXCLUSIVE MODE")
            connection.execute("SET lock_timeout = '300ms'")
            raised = error(connection, "ANALYZE assignment")
    assert raised.sqlstate == "55P03"
    assert raised.diag.message_detail.endswith("It is done on: a, b.")


def test_lock_table_is_held_on_all_nodes(sharded):
    with sharded["c"].connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE assignment IN SHARE MODE")
        for node in sharded.nodes:
            with node.connect() as other:
                other.execute("SET lock_timeout = '100ms'")
                other.execute("SET teamscale.scope = local")
                assert error(other, "DELETE FROM assignment").sqlstate == "55P03"
    assert error(sharded["a"].connect(), "LOCK TABLE assignment").sqlstate == "25P01"


REFUSED = [
    "ALTER TABLE assignment ADD COLUMN x integer",
    "ALTER TABLE assignment DROP COLUMN name",
    "ALTER TABLE assignment RENAME TO other",
    "ALTER TABLE assignment RENAME COLUMN name TO other",
    "ALTER TABLE assignment SET SCHEMA other",
    "ALTER TABLE assignment OWNER TO clerk",
    "ALTER TABLE assignment ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE assignment DISABLE TRIGGER ALL",
    "ALTER TABLE assignment DETACH PARTITION teamscale_bucket.{leaf}",
    "ALTER TABLE assignment ATTACH PARTITION fitting FOR VALUES WITH (MODULUS 8, REMAINDER 1)",
    "ALTER TABLE teamscale_bucket.{leaf} ADD COLUMN x integer",
    "ALTER TABLE teamscale_bucket.{leaf} SET (fillfactor = 50)",
    "ALTER TABLE teamscale_bucket.{leaf} RENAME TO other",
    "ALTER INDEX assignment_pkey RENAME TO other",
    "DROP TABLE teamscale_bucket.{leaf}",
    "TRUNCATE teamscale_bucket.{leaf}",
    "COPY teamscale_bucket.{leaf} FROM '/dev/null'",
    "CREATE INDEX ON assignment (name)",
    "CREATE INDEX ON teamscale_bucket.{leaf} (name)",
    "DROP INDEX assignment_pkey CASCADE",
    "CREATE TRIGGER t BEFORE INSERT ON assignment FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE r AS ON INSERT TO assignment DO NOTHING",
    "CREATE POLICY p ON assignment USING (true)",
    "CREATE STATISTICS s ON team_id, name FROM assignment",
    "COMMENT ON TABLE assignment IS 'x'",
    "COMMENT ON COLUMN assignment.name IS 'x'",
    "COMMENT ON CONSTRAINT assignment_pkey ON assignment IS 'x'",
    "GRANT SELECT ON assignment TO clerk",
    "GRANT SELECT ON public.assignment, fitting TO clerk",
    "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM clerk",
    "CREATE TABLE child (x integer) INHERITS (assignment)",
    "CREATE TABLE child PARTITION OF assignment FOR VALUES WITH (MODULUS 8, REMAINDER 1)",
    "CREATE TABLE child (team_id bigint, id integer, FOREIGN KEY (team_id, id) REFERENCES assignment)",
    "CREATE TABLE child (team_id bigint REFERENCES assignment (team_id))",
    "ALTER TABLE fitting ADD FOREIGN KEY (team_id, id) REFERENCES assignment",
    "ALTER TABLE fitting INHERIT assignment",
    "DROP SCHEMA teamscale_bucket CASCADE",
    "DROP SCHEMA place CASCADE",
    "DROP TYPE mood CASCADE",
    "DROP OWNED BY clerk CASCADE",
    "DROP EXTENSION teamscale",
    "DROP EXTENSION teamscale CASCADE",
    "DROP FUNCTION part() CASCADE",
    "TRUNCATE ONLY assignment",
    "ALTER DATABASE {database} RESET session_preload_libraries",
    "ALTER DATABASE {database} RESET ALL",
    "ALTER DATABASE {database} SET session_preload_libraries = 'auto_explain'",
    "ALTER ROLE ALL IN DATABASE {database} RESET ALL",
    "ALTER ROLE clerk SET session_preload_libraries = ''",
]


def test_what_would_change_one_node_is_refused(sharded):
    make_roles(sharded, "clerk")
    for node in sharded.nodes:
        node.execute("CREATE SCHEMA place")
        node.execute("CREATE SCHEMA other")
        node.execute("CREATE TYPE mood AS ENUM ('glad')")
        node.execute("CREATE TABLE fitting (team_id bigint NOT NULL, id integer NOT NULL, name text)")
        node.execute("CREATE FUNCTION part() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1'")
    shard(
        sharded, "CREATE TABLE place.visit (team_id bigint NOT NULL, mood mood DEFAULT 'glad', part integer DEFAULT part())"
        " PARTITION BY HASH (team_id)", "place.visit", "bigint",
    )
    sharded["a"].execute("SELECT teamscale.run_on_all_nodes('GRANT SELECT ON place.visit TO clerk')")
    connection = sharded["a"].connect()
    with sharded["a"].connect() as names:
        leaf = names.execute("SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'assignment'::regclass")
        leaf = leaf.fetchone()[0].split(".")[1]
    before = catalog(sharded)
    for sql in REFUSED:
        sql = sql.format(leaf=leaf, database=sharded["a"].name)
        raised = error(connection, sql)
        assert raised.sqlstate in {"0A000", "2BP01", "55006", "42809"}, (sql, raised)
        assert raised.diag.message_hint or raised.sqlstate == "42809", (sql, raised)
        assert catalog(sharded) == before, sql


def catalog(cluster):
    return [
        node.execute(
            "SELECT c.relname, c.relacl::text, c.relowner, (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid AND NOT attisdropped),"
            " (SELECT count(*) FROM pg_depend WHERE refobjid = c.oid), obj_description(c.oid) FROM pg_class AS c"
            " WHERE c.relname ~ '^(assignment|leaf|visit)' ORDER BY 1"
        )
        for node in cluster.nodes
    ]


def test_a_superuser_may_under_local_scope_and_others_may_only_look(sharded):
    make_roles(sharded, "clerk")
    sharded["a"].execute("SELECT teamscale.run_on_all_nodes('GRANT ALL ON assignment TO clerk')")
    clerk = sharded["a"].connect(user="clerk")
    clerk.execute("SET teamscale.scope = local")
    seen = clerk.execute("SELECT count(*) FROM assignment").fetchone()[0]
    assert 0 < seen < 40
    for sql in [
        "INSERT INTO assignment VALUES (1, 100)", "DELETE FROM assignment", "UPDATE assignment SET name = 'x'", "TRUNCATE assignment",
        "COPY assignment FROM STDIN", "DROP TABLE assignment", "ALTER TABLE assignment ADD COLUMN x integer",
    ]:
        assert error(clerk, sql).sqlstate == "42501", sql
    with sharded["a"].connect() as superuser:
        superuser.execute("SET teamscale.scope = local")
        superuser.execute("ALTER TABLE assignment ADD COLUMN x integer")
        superuser.execute("ALTER TABLE assignment DROP COLUMN x")
    assert len(all_rows(sharded, "SELECT * FROM assignment")) == 40


def test_what_does_not_change_the_table_is_not_refused(sharded):
    make_roles(sharded, "clerk")
    connection = sharded["a"].connect()
    for sql in [
        "CREATE TABLE copy_of_it (LIKE assignment INCLUDING ALL)", "CREATE VIEW v AS SELECT * FROM assignment WHERE team_id = 7",
        "CREATE TABLE taken AS SELECT * FROM assignment WHERE team_id = 7", "CREATE MATERIALIZED VIEW m AS SELECT * FROM v",
        "REFRESH MATERIALIZED VIEW m", "CREATE FUNCTION f() RETURNS SETOF assignment LANGUAGE sql AS 'SELECT * FROM v'",
        "GRANT SELECT ON copy_of_it TO clerk", "ALTER TABLE copy_of_it ADD COLUMN x integer", "TRUNCATE copy_of_it, taken",
        "VACUUM copy_of_it", "ANALYZE", "COMMENT ON VIEW v IS 'x'", "DROP TABLE copy_of_it, taken", "DROP MATERIALIZED VIEW m",
        "ALTER ROLE clerk RESET ALL", f"ALTER DATABASE {sharded['a'].name} SET work_mem = '8MB'",
        "CREATE TEMPORARY TABLE assignment (a integer)", "ALTER TABLE assignment ADD COLUMN b integer", "DROP TABLE assignment",
        "DISCARD ALL",
    ]:
        connection.execute(sql)
    assert len(all_rows(sharded, "SELECT * FROM assignment")) == 40


def test_triggers_of_a_command_that_may_change_the_table_may_not(sharded):
    for command in [
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN EXECUTE 'ALTER TABLE assignment ADD COLUMN sneaked integer'; RETURN NULL; END $$",
        "CREATE TRIGGER meddle BEFORE TRUNCATE ON assignment FOR EACH STATEMENT EXECUTE FUNCTION meddle()",
    ]:
        sharded["a"].execute("SELECT teamscale.run_on_all_nodes(%s)", [command])
    assert error(sharded["a"].connect(), "TRUNCATE assignment").sqlstate in {"0A000", "55006"}
    assert len(all_rows(sharded, "SELECT * FROM assignment")) == 40


def test_names_with_quotes_and_the_longest(cluster):
    name = '"Wér ""is"" it; DROP TABLE x --' + "n" * 30 + '"'
    shard(
        cluster, f'CREATE TABLE {name} ("Key ""1""" text NOT NULL, "a b" integer) PARTITION BY HASH ("Key ""1""")', name, "text"
    )
    connection = cluster["b"].connect()
    connection.execute(f"INSERT INTO {name} SELECT 'k' || i, i FROM generate_series(1, 20) AS i")
    connection.execute(f"INSERT INTO {name} VALUES ('x', 1), ('y', 2), ('z', 3) RETURNING *")
    with connection.cursor().copy(f"COPY {name} FROM STDIN") as stream:
        stream.write(b"k1\t1\nk2\t2\nk3\t3\nk4\t4\n")
    assert len(all_rows(cluster, f"SELECT * FROM {name}")) == 27
    connection.execute(f'ANALYZE {name} ("Key ""1""")')
    connection.execute(f"VACUUM {name}")
    connection.execute(f"TRUNCATE {name}")
    with connection.transaction():
        connection.execute(f"LOCK TABLE {name}")
    connection.execute(f"DROP TABLE {name}")
    assert leaves(cluster) == []


def test_a_table_with_buckets_on_a_node_that_is_disabled_is_left_alone(sharded):
    """The node would come back with rows, or a table, that all others have lost."""
    a = sharded["a"]
    a.execute("SELECT teamscale.disable_node('c')")
    with a.connect() as connection:
        for command in ["DROP TABLE assignment", "TRUNCATE assignment"]:
            raised = error(connection, command)
            assert raised.sqlstate == "55000" and "enable_node" in raised.diag.message_hint, command
    a.execute("SELECT teamscale.enable_node('c')")
    assert len(all_rows(sharded, "SELECT * FROM assignment")) == 40
    a.execute("TRUNCATE assignment")
    assert all_rows(sharded, "SELECT * FROM assignment") == []
