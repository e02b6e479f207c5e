"""What cannot be kept, or could not be right, is refused before anything changes, with the whole list."""

import psycopg
import pytest

from roles import make_roles
from snapshot import changes, snapshots


def error(connection, sql, parameters=None):
    with pytest.raises(psycopg.Error) as raised:
        connection.execute(sql, parameters)
    return raised.value


# What makes the table t (and more), the lines of the DETAIL, and the columns to shard by if it is not team_id.
PLAIN = "CREATE TABLE t (team_id bigint NOT NULL, id integer NOT NULL, note text)"
OBSTACLES = [
    # --- what the table is
    ("CREATE TEMPORARY TABLE t (team_id bigint NOT NULL)", ["it is temporary"]),
    ("CREATE UNLOGGED TABLE t (team_id bigint NOT NULL)", ["it is unlogged"]),
    ("CREATE VIEW t AS SELECT 1::bigint AS team_id", ["it is not an ordinary table", 'column "team_id" may be null: ...']),
    ("CREATE MATERIALIZED VIEW t AS SELECT 1::bigint AS team_id", ["it is not an ordinary table", 'column "team_id" may be null: ...']),
    ("CREATE TABLE t (team_id bigint NOT NULL) PARTITION BY HASH (team_id)", ["it is not an ordinary table"]),
    (
        "CREATE TABLE p (team_id bigint NOT NULL) PARTITION BY HASH (team_id);"
        "CREATE TABLE t PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        ["it is a partition"],
    ),
    ("CREATE TABLE p (team_id bigint NOT NULL); CREATE TABLE t () INHERITS (p)", ["it is part of an inheritance tree"]),
    (PLAIN + "; CREATE TABLE child () INHERITS (t)", ["it is part of an inheritance tree"]),
    (
        "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;"
        "CREATE FOREIGN TABLE t (team_id bigint NOT NULL) SERVER files OPTIONS (filename '/dev/null')",
        ["it is not an ordinary table"],
    ),
    ("CREATE TYPE row_type AS (team_id bigint); CREATE TABLE t OF row_type (team_id NOT NULL)", ["it is a typed table"]),
    (PLAIN + "; CREATE EXTENSION hstore; ALTER EXTENSION hstore ADD TABLE t", ["it belongs to an extension"]),
    # --- what it has
    (PLAIN + "; ALTER TABLE t ADD CONSTRAINT alone CHECK (id > 0) NO INHERIT", ['constraint "alone" is NO INHERIT']),
    (
        "CREATE TABLE t (team_id bigint PRIMARY KEY, parent bigint);"
        "ALTER TABLE t ADD CONSTRAINT later FOREIGN KEY (team_id) REFERENCES t NOT VALID",
        ['constraint "later" is NOT VALID: ALTER TABLE ... VALIDATE CONSTRAINT'],
    ),
    (
        PLAIN + "; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER seen AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH ROW EXECUTE FUNCTION f()",
        ['row trigger "seen" has a transition table'],
    ),
    (
        PLAIN + "; CREATE TABLE o (a integer); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE CONSTRAINT TRIGGER far AFTER INSERT ON t FROM o FOR EACH ROW EXECUTE FUNCTION f()",
        ['constraint trigger "far" is for references from table "lab.o"'],
    ),
    (PLAIN + "; CREATE RULE nothing AS ON DELETE TO t DO INSTEAD NOTHING", ['rule "nothing"']),
    (
        PLAIN + "; CREATE INDEX i ON t (id); CLUSTER t USING i",
        ['the table is clustered on index "lab.i": ALTER TABLE ... SET WITHOUT CLUSTER'],
    ),
    (PLAIN + "; CREATE INDEX i ON t (id); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass", ['index "lab.i" is invalid']),
    (PLAIN + "; CREATE PUBLICATION of_t FOR TABLE t", ['publication "of_t"']),
    (
        PLAIN + "; CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false, slot_name = NONE);"
        "INSERT INTO pg_subscription_rel SELECT oid, 't'::regclass, 'r', NULL FROM pg_subscription",
        ['subscription "s" writes into it'],
    ),
    (PLAIN + "; INSERT INTO pg_seclabel VALUES ('t'::regclass, 'pg_class'::regclass, 0, 'some', 'x')", ['security label of provider "some"']),
    # --- uniqueness
    ("CREATE TABLE t (team_id bigint NOT NULL, id integer PRIMARY KEY)", ['primary key "t_pkey" does not contain the key "team_id"']),
    ("CREATE TABLE t (team_id bigint NOT NULL, id integer UNIQUE)", ['unique index "t_id_key" does not contain the key "team_id"']),
    (
        PLAIN + "; CREATE UNIQUE INDEX only_included ON t (id) INCLUDE (team_id); CREATE UNIQUE INDEX of_expression ON t ((team_id + 1))",
        [
            'unique index "only_included" does not contain the key "team_id"',
            'unique index "of_expression" does not contain the key "team_id"',
        ],
    ),
    (
        "CREATE TABLE t (team_id text NOT NULL); CREATE UNIQUE INDEX i ON t (team_id COLLATE \"C\")",
        ['unique index "i" does not contain the key "team_id" in its own collation'],
    ),
    (
        "CREATE EXTENSION btree_gist; CREATE TABLE t (team_id bigint NOT NULL, during int4range, EXCLUDE USING gist (team_id WITH =, during WITH &&))",
        ['exclusion constraint "t_team_id_during_excl"'],
    ),
    # --- who refers to it
    (PLAIN + "; CREATE VIEW v AS SELECT * FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM v", ['materialized view "lab.m" reads the table']),
    (PLAIN + "; CREATE TEMPORARY VIEW v AS SELECT * FROM t", ['view "v" is temporary']),
    (PLAIN + "; CREATE VIEW v AS SELECT * FROM t; CREATE EXTENSION hstore; ALTER EXTENSION hstore ADD VIEW v", ['view "lab.v" belongs to an extension']),
    (PLAIN + "; CREATE TABLE o (a t, b t[])", ["column a of table lab.o depends on its row type", "column b of table lab.o depends on its row type"]),
    (PLAIN + "; CREATE DOMAIN d AS t", ["type lab.d depends on its row type"]),
    (
        PLAIN + "; CREATE VIEW v AS SELECT * FROM t; CREATE FUNCTION f(v) RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t'",
        ["function lab.f(lab.v) depends on its row type"],
    ),
    (
        PLAIN + "; CREATE VIEW v AS SELECT * FROM t; CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM v; END",
        ["function lab.f() refers to it"],
    ),
    (
        PLAIN + "; CREATE TABLE o (a bigint); CREATE POLICY p ON o USING (a IN (SELECT team_id FROM t))",
        ["policy p on table lab.o refers to it"],
    ),
    (
        "CREATE TABLE t (team_id bigint PRIMARY KEY); CREATE TABLE o (a bigint REFERENCES t)",
        ['foreign key "o_a_fkey" of table "lab.o" references the table'],
    ),
    # --- sequences
    (
        "CREATE TABLE t (team_id bigserial PRIMARY KEY, a serial, b smallint GENERATED ALWAYS AS IDENTITY)",
        [
            'column "a" takes values of type integer from sequence "lab.t_a_seq": only bigint has room for a range of values for each node',
            'column "b" takes values of type smallint from sequence "lab.t_b_seq": only bigint has room for a range of values for each node',
        ],
    ),
    (
        "CREATE TABLE t (team_id bigint NOT NULL, a serial); ALTER TABLE t ALTER a TYPE bigint",
        ['sequence "lab.t_a_seq" is of type integer: ALTER SEQUENCE ... AS bigint'],
    ),
    (
        "CREATE SEQUENCE s; CREATE TABLE o (a bigint DEFAULT nextval('s')); CREATE TABLE t (team_id bigint NOT NULL, b bigint DEFAULT nextval('s'))",
        ['sequence "lab.s" has to do with default value for column a of table lab.o, too'],
    ),
    (
        "CREATE TABLE o (a bigserial); ALTER TABLE o ALTER a DROP DEFAULT;"
        "CREATE TABLE t (team_id bigint NOT NULL, b bigint DEFAULT nextval('o_a_seq'))",
        ['sequence "lab.o_a_seq" has to do with column a of table lab.o, too'],
    ),
    (
        "CREATE TABLE t (team_id bigint NOT NULL, a bigint GENERATED ALWAYS AS IDENTITY (INCREMENT -1),"
        " b bigint GENERATED ALWAYS AS IDENTITY (CYCLE), c bigint GENERATED ALWAYS AS IDENTITY (MINVALUE 0))",
        [
            'sequence "lab.t_a_seq" cycles or counts down',
            'sequence "lab.t_b_seq" cycles or counts down',
            'sequence "lab.t_c_seq" has a MINVALUE or MAXVALUE of its own',
        ],
    ),
    (
        "CREATE TABLE t (team_id bigint NOT NULL, a bigint GENERATED ALWAYS AS IDENTITY (START 9223090561878065153))",
        ['sequence "lab.t_a_seq" has gone too far: there is no room for a range of values for each node'],
    ),
    # --- the key
    ("CREATE TABLE t (id bigint NOT NULL)", ['column "team_id" does not exist']),
    ("CREATE TABLE t (team_id bigint)", ['column "team_id" may be null: ALTER TABLE ... ALTER COLUMN ... SET NOT NULL']),
    ("CREATE TABLE t (id bigint, team_id bigint NOT NULL GENERATED ALWAYS AS (id) STORED)", ['column "team_id" is generated']),
    (
        "CREATE TYPE mood AS ENUM ('glad'); CREATE TYPE pair AS (a integer, b mood); CREATE TABLE t (team_id pair[] NOT NULL)",
        ["values of type lab.pair[] hash differently in each database: shard by their text form, or by a number"],
    ),
    ("CREATE TABLE t (team_id json NOT NULL)", ['type json of column "team_id" has no extended hash function']),
    # --- all at once
    (
        "CREATE UNLOGGED TABLE t (team_id regclass, id serial UNIQUE, CONSTRAINT c CHECK (id > 0) NO INHERIT);"
        "CREATE MATERIALIZED VIEW m AS SELECT id FROM t; CREATE RULE r AS ON UPDATE TO t DO NOTHING",
        [
            "it is unlogged",
            'constraint "c" is NO INHERIT',
            'rule "r"',
            'column "team_id" may be null: ALTER TABLE ... ALTER COLUMN ... SET NOT NULL',
            "values of type regclass hash differently in each database: shard by their text form, or by a number",
            'unique index "t_id_key" does not contain the key "team_id"',
            'materialized view "lab.m" reads the table',
            'column "id" takes values of type integer from sequence "lab.t_id_seq": only bigint has room for a range of values for each node',
        ],
    ),
]

CLEANUP = """
DROP SUBSCRIPTION IF EXISTS s;
DO $$ DECLARE item text; BEGIN
    DELETE FROM pg_seclabel;
    FOR item IN SELECT format('ALTER EXTENSION %I DROP %s %s', e.extname, CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.oid::regclass)
                FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid JOIN pg_class AS c ON c.oid = d.objid
                WHERE d.deptype = 'e' AND d.classid = 'pg_class'::regclass AND e.extname = 'hstore' LOOP EXECUTE item; END LOOP;
    DROP EXTENSION IF EXISTS hstore, btree_gist, file_fdw CASCADE;
    FOR item IN SELECT format('DROP PUBLICATION %I', pubname) FROM pg_publication LOOP EXECUTE item; END LOOP;
    DROP SCHEMA lab CASCADE;
END $$;
DISCARD TEMP;
"""


def test_each_obstacle_is_named_and_nothing_changes(make_cluster):
    cluster = make_cluster(2)
    connection = cluster["a"].connect()
    connection.execute("SET allow_system_table_mods = on")
    connection.execute("SET search_path = lab")
    for setup, expected in OBSTACLES:
        connection.execute("CREATE SCHEMA lab")
        connection.execute(setup)
        before = snapshots(cluster)
        raised = error(connection, "SELECT teamscale.distribute_table('t', 'team_id')")
        assert raised.sqlstate == "55000", (setup, raised)
        detail = sorted(raised.diag.message_detail.split("\n"))
        assert len(detail) == len(expected), (setup, detail)
        for line, wanted in zip(detail, sorted(expected)):
            assert line.startswith(wanted.removesuffix("...")) and (line == wanted or wanted.endswith("...")), (line, wanted)
        assert "nothing has been changed yet" in raised.diag.message_hint
        assert ("per_node" in raised.diag.message_hint) == any("sequence" in line for line in expected)
        assert changes(cluster, before) == [], setup
        connection.execute(CLEANUP)


def test_system_catalogs_and_tables_that_are_sharded_already(cluster):
    connection = cluster["a"].connect()
    raised = error(connection, "SELECT teamscale.distribute_table('pg_class', 'oid')")
    assert raised.sqlstate == "55000" and "it is a system catalog" in raised.diag.message_detail
    raised = error(connection, "SELECT teamscale.distribute_table('teamscale_internal.node', 'name')")
    assert raised.sqlstate == "55000" and "it belongs to an extension" in raised.diag.message_detail
    connection.execute("CREATE TABLE t (team_id bigint PRIMARY KEY)")
    connection.execute("SELECT teamscale.distribute_table('t', 'team_id', buckets => 4)")
    before = snapshots(cluster)
    for database in cluster.nodes:
        raised = error(database.connect(), "SELECT teamscale.distribute_table('t', 'team_id')")
        assert (raised.sqlstate, raised.diag.message_primary) == ("55000", 'table "public.t" is already sharded')
    leaf = connection.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 't'::regclass LIMIT 1").fetchone()[0]
    raised = error(connection, "SELECT teamscale.distribute_table(%s, 'team_id')", [leaf])
    assert raised.sqlstate == "55000" and "it is a partition" in raised.diag.message_detail
    assert changes(cluster, before) == []


BAD_ARGUMENTS = [
    ("NULL, 'team_id'", "22004"),
    ("'t', NULL", "22004"),
    ("'t', 'team_id', NULL", "22023"),
    ("'t', 'team_id', 'range'", "22023"),
    ("'t', 'team_id', buckets => 3", "22023"),
    ("'t', 'team_id', buckets => 0", "22023"),
    ("'t', 'team_id', buckets => -4", "22023"),
    ("'t', 'team_id', buckets => 65536", "22023"),
    ("'t', 'team_id', buckets => NULL", "22023"),
    ("'t', 'team_id', sequences => 'none'", "22023"),
    ("'t', 'team_id', sequences => NULL", "22023"),
    ("'t', 'Team_Id'", "55000"),
    ("'t', 'ctid'", "55000"),
    ("'nothing', 'team_id'", "42P01"),
    ("'t', 'team_id', colocate_with => 'o'", "42809"),
    ("999999::regclass, 'team_id'", "42P01"),
]


def test_arguments(cluster):
    connection = cluster["a"].connect()
    connection.execute("CREATE TABLE t (team_id bigint PRIMARY KEY); CREATE TABLE o (team_id bigint PRIMARY KEY)")
    before = snapshots(cluster)
    for arguments, state in BAD_ARGUMENTS:
        raised = error(connection, f"SELECT teamscale.distribute_table({arguments})")
        assert raised.sqlstate == state, (arguments, raised)
    for call, state in [
        ("undistribute_table(NULL)", "22004"),
        ("undistribute_table('t')", "42809"),
        ("undistribute_table('nothing')", "42P01"),
        ("place_values('t', ARRAY['x'], 'a')", "42809"),
        ("place_values(NULL, ARRAY['x'], 'a')", "22004"),
    ]:
        assert error(connection, f"SELECT teamscale.{call}").sqlstate == state, call
    assert changes(cluster, before) == []


def test_where_it_cannot_be_called(cluster, make_database):
    a = cluster["a"]
    a.execute("CREATE TABLE t (team_id bigint PRIMARY KEY)")
    before = snapshots(cluster)
    call = "SELECT teamscale.distribute_table('t', 'team_id')"
    with a.connect() as connection:
        connection.execute("SET teamscale.scope = local")
        raised = error(connection, call)
        assert raised.sqlstate == "55000" and raised.diag.message_hint == "Set teamscale.scope to cluster."
    with cluster["b"].connect() as connection:
        assert error(connection, "SELECT teamscale.run_on_node('a', %s)", [call]).sqlstate == "0A000"
    for level in ["REPEATABLE READ", "SERIALIZABLE"]:
        with a.connect() as connection:
            connection.execute(f"BEGIN ISOLATION LEVEL {level}")
            raised = error(connection, call)
            assert raised.sqlstate == "0A000" and "READ COMMITTED" in raised.diag.message_hint
    with a.connect() as connection:
        connection.execute("BEGIN READ ONLY")
        assert error(connection, call).sqlstate == "25006"
    assert changes(cluster, before) == []
    alone = make_database()
    alone.execute("CREATE TABLE t (team_id bigint PRIMARY KEY)")
    raised = error(alone.connect(), call)
    assert raised.sqlstate == "55000" and "create_cluster" in raised.diag.message_hint


def test_obstacles_to_coming_back(make_cluster):
    cluster = make_cluster(2)
    make_roles(cluster, "clerk")
    connection = cluster["a"].connect()
    connection.execute(
        "CREATE TABLE team (team_id bigint PRIMARY KEY); CREATE TABLE member (team_id bigint REFERENCES team, id bigint, PRIMARY KEY (team_id, id))"
    )
    connection.execute("ALTER TABLE member DROP CONSTRAINT member_team_id_fkey")
    for table in ["team", "member"]:
        connection.execute("SELECT teamscale.distribute_table(%s, 'team_id', buckets => 4)", [table])
    run = "SELECT teamscale.run_on_all_nodes(%s)"
    connection.execute(run, ["ALTER TABLE member ADD CONSTRAINT of_team FOREIGN KEY (team_id) REFERENCES team"])
    connection.execute(run, ["ALTER TABLE member ADD CONSTRAINT of_itself FOREIGN KEY (team_id, id) REFERENCES member"])
    connection.execute("CREATE FUNCTION f() RETURNS SETOF team LANGUAGE sql AS 'SELECT NULL::team'")
    before = snapshots(cluster)
    raised = error(connection, "SELECT teamscale.undistribute_table('team')")
    assert raised.sqlstate == "55000"
    assert changes(cluster, before) == []
    assert raised.diag.message_detail.split("\n") == [
        'foreign key "of_team" of table "public.member" references the table',
        "function public.f() depends on its row type",
    ]
    raised = error(connection, "SELECT teamscale.undistribute_table('member')")
    assert raised.diag.message_detail == 'foreign key "of_team" references sharded table "public.team"'
    connection.execute(run, ["ALTER TABLE member DROP CONSTRAINT of_team"])
    connection.execute("SELECT teamscale.disable_node('b')")
    raised = error(connection, "SELECT teamscale.undistribute_table('member')")
    assert raised.diag.message_detail == 'node "b" is disabled and holds buckets of the table'
    connection.execute("SELECT teamscale.enable_node('b')")
    connection.execute("SELECT teamscale.undistribute_table('member')")
    connection.execute("DROP FUNCTION f")
    connection.execute("SELECT teamscale.undistribute_table('team')")
    assert connection.execute("SELECT * FROM teamscale.sharded_table").fetchall() == []
