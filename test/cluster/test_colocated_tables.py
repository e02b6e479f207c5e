"""Which tables share their placement, and foreign keys between them."""

import psycopg
import pytest

from layout import all_rows
from snapshot import changes, snapshots


def error(connection, sql, parameters=None):
    with pytest.raises(psycopg.Error) as raised:
        connection.execute(sql, parameters)
    return raised.value


def group_of(connection, table):
    return connection.execute(
        "SELECT colocation_group FROM teamscale.sharded_table WHERE \"table\" = %s::text::regclass", [table]
    ).fetchone()[0]


def test_tables_of_one_key_type_method_and_bucket_count_share_their_placement(make_cluster):
    cluster = make_cluster(2)
    with cluster["a"].connect() as connection:
        groups = {}
        for name, key, call in [
            ("a", "bigint", "buckets => 4"),
            ("b", "bigint", "buckets => 4"),
            ("c", "bigint", "buckets => 8"),
            ("d", "integer", "buckets => 4"),
            ("e", "text", "buckets => 4"),
            ("f", 'text COLLATE "C"', "buckets => 4"),
            ("g", "text", "buckets => 4"),
            ("h", "text", "method => 'list'"),
            ("i", "text", "method => 'list'"),
            ("j", "bigint", "colocate_with => 'c'"),
            ("k", "bigint", "colocate_with => 'a', buckets => 2"),
            ("l", "text", "method => 'list', colocate_with => 'h'"),
        ]:
            connection.execute(f"CREATE TABLE {name} (k {key} NOT NULL)")
            connection.execute(f"SELECT teamscale.distribute_table('{name}', 'k', {call})")
            groups[name] = group_of(connection, name)
    assert groups["a"] == groups["b"] == groups["k"] and groups["c"] == groups["j"]
    assert groups["e"] == groups["g"] and groups["h"] == groups["i"] == groups["l"]
    assert len(set(groups.values())) == 6
    for database in cluster.nodes:
        rows = database.execute("SELECT \"table\"::text, count(*) FROM teamscale.bucket GROUP BY 1")
        assert dict(rows) == {"a": 4, "b": 4, "c": 8, "d": 4, "e": 4, "f": 4, "g": 4, "j": 8, "k": 4}


def test_colocate_with_what_does_not_fit(make_cluster):
    cluster = make_cluster(2)
    with cluster["a"].connect() as connection:
        connection.execute("CREATE TABLE of_text (k text NOT NULL); CREATE TABLE of_list (k bigint NOT NULL); CREATE TABLE plain (k bigint NOT NULL)")
        connection.execute("SELECT teamscale.distribute_table('of_text', 'k', buckets => 2)")
        connection.execute("SELECT teamscale.distribute_table('of_list', 'k', method => 'list')")
        connection.execute("CREATE TABLE t (k bigint NOT NULL, c text COLLATE \"C\" NOT NULL)")
        before = snapshots(cluster)
        raised = error(connection, "SELECT teamscale.distribute_table('t', 'k', colocate_with => 'of_text')")
        assert raised.sqlstate == "22023"
        assert raised.diag.message_detail == (
            'Its key is of type bigint, sharded by hash; there it is of type text collation "default", sharded by hash.'
        )
        raised = error(connection, "SELECT teamscale.distribute_table('t', 'c', colocate_with => 'of_text')")
        assert raised.sqlstate == "22023" and 'collation "C"' in raised.diag.message_detail
        raised = error(connection, "SELECT teamscale.distribute_table('t', 'k', colocate_with => 'of_list')")
        assert raised.sqlstate == "22023" and raised.diag.message_hint
        raised = error(connection, "SELECT teamscale.distribute_table('t', 'k', colocate_with => 'plain')")
        assert raised.sqlstate == "42809" and raised.diag.message_hint == "colocate_with names a sharded table."
        raised = error(connection, "SELECT teamscale.distribute_table('t', 'k', colocate_with => 't')")
        assert raised.sqlstate == "42809"
        assert changes(cluster, before) == []


SCHEMA = """
CREATE TABLE member (
    team_id bigint, id bigint, boss bigint, PRIMARY KEY (team_id, id),
    CONSTRAINT of_boss FOREIGN KEY (team_id, boss) REFERENCES member (team_id, id) ON DELETE CASCADE
);
CREATE TABLE task (
    id bigint, owner bigint, team bigint NOT NULL,
    CONSTRAINT of_member FOREIGN KEY (team, owner) REFERENCES member MATCH FULL ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE
);
"""


def test_foreign_keys_between_colocated_tables(make_cluster):
    cluster = make_cluster(3)
    with cluster["b"].connect() as connection:
        connection.execute(SCHEMA)
        connection.execute("INSERT INTO member SELECT i % 7, i, CASE WHEN i > 7 THEN i - 7 END FROM generate_series(1, 60) AS i")
        connection.execute("INSERT INTO task SELECT i, i, i % 7 FROM generate_series(1, 60) AS i")
        raised = error(connection, "SELECT teamscale.distribute_table('task', 'team')")
        assert raised.sqlstate == "55000"
        assert raised.diag.message_detail.split("\n")[0] == 'foreign key "of_member" references table "public.member", which is not colocated'
        # The other way round the key comes from outside.
        raised = error(connection, "SELECT teamscale.distribute_table('member', 'team_id')")
        assert raised.diag.message_detail == 'foreign key "of_member" of table "public.task" references the table'
        definition = connection.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'of_member'").fetchone()[0]
        connection.execute("ALTER TABLE task DROP CONSTRAINT of_member")
        connection.execute("SELECT teamscale.distribute_table('member', 'team_id', buckets => 4)")
        connection.execute("SELECT teamscale.distribute_table('task', 'team', buckets => 4)")
        connection.execute("SELECT teamscale.run_on_all_nodes(%s)", [f"ALTER TABLE task ADD CONSTRAINT of_member {definition}"])
        for session in [connection, cluster["a"].connect(), cluster["c"].connect()]:
            for team in range(7):
                assert error(session, f"INSERT INTO task VALUES (1, 1000, {team})").sqlstate == "23503"
                assert error(session, f"INSERT INTO member VALUES ({team}, 1000 + {team}, 999)").sqlstate == "23503"
        assert connection.execute("DELETE FROM member WHERE team_id = 3 AND id = 3").rowcount == 1
        assert connection.execute("SELECT count(*) FROM member WHERE team_id = 3").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM task WHERE team = 3").fetchone() == (0,)
        connection.execute("SELECT teamscale.run_on_all_nodes('ALTER TABLE task DROP CONSTRAINT of_member')")
        connection.execute("SELECT teamscale.undistribute_table('member')")
        definitions = connection.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'of_boss'").fetchall()
        assert definitions == [("FOREIGN KEY (team_id, boss) REFERENCES member(team_id, id) ON DELETE CASCADE",)]
        assert error(connection, "INSERT INTO member VALUES (1, 1000, 999)").sqlstate == "23503"


def test_a_table_with_a_foreign_key_to_a_sharded_one_becomes_colocated_with_it(make_cluster):
    """Tables that are loaded from a dump have no key yet; one that was added while both were plain is kept."""
    cluster = make_cluster(2)
    with cluster["a"].connect() as connection:
        connection.execute("CREATE TABLE team (team_id bigint PRIMARY KEY)")
        connection.execute("INSERT INTO team SELECT generate_series(1, 20)")
        connection.execute("SELECT teamscale.distribute_table('team', 'team_id', buckets => 4)")
        raised = error(connection, "CREATE TABLE member (team_id bigint NOT NULL REFERENCES team)")
        assert raised.sqlstate == "0A000" and "distribute_table" in raised.diag.message_hint
        connection.execute("CREATE TABLE member (team_id bigint NOT NULL)")
        connection.execute("INSERT INTO member SELECT generate_series(1, 20)")
        connection.execute("SELECT teamscale.distribute_table('member', 'team_id', colocate_with => 'team')")
        connection.execute("SELECT teamscale.run_on_all_nodes('ALTER TABLE member ADD FOREIGN KEY (team_id) REFERENCES team')")
        assert error(connection, "INSERT INTO member VALUES (21)").sqlstate == "23503"


def test_foreign_keys_that_one_node_could_not_check(make_cluster):
    cluster = make_cluster(2)
    with cluster["a"].connect() as connection:
        connection.execute("CREATE TABLE o (id bigint PRIMARY KEY)")
        for sql, line in [
            ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (boss) REFERENCES o", 'foreign key "f" references table "public.o", which is not colocated'),
            (
                "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (team_id, boss) REFERENCES t (id, team_id)",
                'foreign key "f" does not refer from the key "team_id" to the key of table "public.t"',
            ),
            (
                "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (boss, id) REFERENCES t (team_id, id)",
                'foreign key "f" does not refer from the key "team_id" to the key of table "public.t"',
            ),
        ]:
            connection.execute("CREATE TABLE t (team_id bigint, id bigint, boss bigint, PRIMARY KEY (team_id, id), UNIQUE (id, team_id))")
            connection.execute(sql)
            before = snapshots(cluster)
            raised = error(connection, "SELECT teamscale.distribute_table('t', 'team_id', buckets => 2)")
            assert raised.sqlstate == "55000" and line in raised.diag.message_detail.split("\n"), raised
            assert "Foreign keys hold between colocated tables" in raised.diag.message_hint
            assert changes(cluster, before) == []
            connection.execute("DROP TABLE t")


def test_a_foreign_key_to_a_table_of_another_placement(make_cluster):
    cluster = make_cluster(2)
    with cluster["a"].connect() as connection:
        connection.execute("CREATE TABLE team (team_id bigint PRIMARY KEY); CREATE TABLE member (team_id bigint NOT NULL REFERENCES team)")
        # A key to a sharded table can be there only when the table was plain: made by hand on this node here.
        connection.execute("ALTER TABLE member DROP CONSTRAINT member_team_id_fkey")
        connection.execute("SELECT teamscale.distribute_table('team', 'team_id', buckets => 2)")
        connection.execute("SET teamscale.scope = local")
        connection.execute("ALTER TABLE member ADD CONSTRAINT f FOREIGN KEY (team_id) REFERENCES team")
        connection.execute("SET teamscale.scope = cluster")
        raised = error(connection, "SELECT teamscale.distribute_table('member', 'team_id', buckets => 4)")
        assert raised.diag.message_detail == 'foreign key "f" references table "public.team", which is not colocated'
        connection.execute("SELECT teamscale.distribute_table('member', 'team_id', buckets => 2)")
        assert [node.value("SELECT count(*) FROM pg_constraint WHERE conname = 'f' AND conparentid = 0") for node in cluster.nodes] == [1, 1]
        assert error(connection, "INSERT INTO member VALUES (1)").sqlstate == "23503"
        assert all_rows(cluster, "SELECT * FROM member") == []
