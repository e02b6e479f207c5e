"""What a database gets when it is added to a cluster that has tables, and what is left of it when it goes."""

import threading

import psycopg

from refusal import refused
from sharded import catalog, key_of, name_of, serves_all, shard, states
from waiting import stopped_at, until


def add(cluster, name, database):
    cluster["a"].execute("SELECT teamscale.add_node(%s, %s)", [name, database.conninfo])
    cluster.nodes.append(database)
    cluster.by_name[name] = database


FURNITURE = (
    'CREATE SCHEMA "the app"',
    "CREATE TYPE mood AS ENUM ('good', 'bad')",
    "CREATE DOMAIN size AS integer CHECK (VALUE > 0)",
    "CREATE TYPE place AS (street text, number integer)",
    "CREATE COLLATION german (provider = icu, locale = 'de')",
    "CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)'",
    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.noted := true; RETURN NEW; END'",
    "CREATE SEQUENCE tickets",
    'CREATE TABLE "the app".team (id place PRIMARY KEY, name text COLLATE german, loud text GENERATED ALWAYS AS (shout(name)) STORED,'
    " mood mood DEFAULT 'good', size size, noted boolean, ticket bigint DEFAULT nextval('tickets'),"
    " n bigint GENERATED ALWAYS AS IDENTITY, m bigserial)",
    'CREATE INDEX by_size ON "the app".team (size, name)',
    'CREATE TRIGGER note BEFORE INSERT ON "the app".team FOR EACH ROW EXECUTE FUNCTION note()',
    'CREATE STATISTICS pair ON size, mood FROM "the app".team',
    'CREATE VIEW loud AS SELECT loud FROM "the app".team',
    'ALTER TABLE "the app".team ENABLE ROW LEVEL SECURITY',
    'CREATE POLICY everybody ON "the app".team USING (true)',
    'COMMENT ON TABLE "the app".team IS \'those\'',
    'ALTER TABLE "the app".team SET (fillfactor = 70)',
    "SELECT teamscale.distribute_table('\"the app\".team', 'id', buckets => 4)",
    "CREATE TABLE member (team place, n integer, PRIMARY KEY (team, n))",
    "SELECT teamscale.distribute_table('member', 'team', buckets => 4)",
    "SELECT teamscale.run_on_all_nodes('ALTER TABLE member ADD FOREIGN KEY (team) REFERENCES \"the app\".team')",
    "CREATE TABLE region (code mood PRIMARY KEY)",
)


def test_a_new_node_gets_the_empty_tables_with_all_that_they_use(make_cluster, make_database):
    cluster = make_cluster(1)
    a = cluster["a"]
    with a.connect() as connection:
        for sql in FURNITURE:
            connection.execute(sql)
    b = make_database(extension=False)
    add(cluster, "b", b)
    assert catalog(a) == catalog(b)
    digest = "SELECT * FROM teamscale_internal.definition_digest() ORDER BY 1, 2"
    assert a.execute(digest) == b.execute(digest) != []
    # The table is there, its rows are elsewhere; tables that come now are placed on both.
    assert b.value("SELECT count(*) FROM pg_inherits") == 0
    numbers = set()
    for i, node in enumerate(cluster.nodes):
        row = node.execute(
            "INSERT INTO \"the app\".team (id, name, size) VALUES (ROW('street', %s), 'x', 1)"
            " RETURNING loud, mood::text, noted, n, m", [i])[0]
        assert row[:3] == ("X", "good", True)
        numbers |= set(row[3:])
        assert node.execute("SELECT loud FROM \"the app\".team WHERE id = ROW('street', %s)::place", [i]) == [("X",)]
        refused(node, "INSERT INTO member VALUES (ROW('nowhere', 1), 1)", sqlstate="23503")
        node.execute("INSERT INTO member VALUES (ROW('street', %s), 1)", [i])
    assert {number >> 48 for number in numbers} == {0, 1}
    b.execute("CREATE TABLE later (id bigint PRIMARY KEY)")
    b.execute("SELECT teamscale.distribute_table('later', 'id', buckets => 4)")
    assert dict(a.execute("SELECT name, buckets FROM teamscale.node")) == {"a": 6, "b": 2}


def test_what_a_new_node_cannot_have_is_listed_and_nothing_is_done(make_cluster, make_database, other_server):
    cluster = make_cluster(1)
    a = cluster["a"]
    with a.connect() as connection:
        for sql in (
            "CREATE ROLE owner_elsewhere",
            "CREATE TYPE mood AS ENUM ('good', 'bad')",
            "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "CREATE TABLE t1 (id bigint PRIMARY KEY, m mood DEFAULT 'good', i integer DEFAULT f())",
            "CREATE TABLE t2 (id bigint PRIMARY KEY)",
            "CREATE TABLE t3 (id bigint PRIMARY KEY)",
            "CREATE TABLE t4 (id bigint PRIMARY KEY)",
            "ALTER TABLE t3 OWNER TO owner_elsewhere",
        ):
            connection.execute(sql)
        for table in ("t1", "t2", "t3", "t4"):
            connection.execute(f"SELECT teamscale.distribute_table('{table}', 'id', buckets => 2)")
    try:
        b = make_database(other_server, extension=False)
        b.execute("CREATE TYPE mood AS ENUM ('good')")
        b.execute("CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 2'")
        b.execute("CREATE VIEW t2 AS SELECT 1 AS id")
        before = catalog(a)
        sql = "SELECT teamscale.add_node('b', %s)"
        objects = "SELECT relname FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'teamscale_bucket'::regnamespace)"
        parts = refused(a, sql, [b.conninfo], sqlstate="55000", message='"b" cannot have', hint="listed")
        lines = parts.message_detail
        assert 'type public.mood exists on node "b" with another definition' in lines
        assert 'public.f() exists on node "b" with another definition' in lines
        b.execute("DROP TYPE mood; DROP FUNCTION f()")
        parts = refused(a, sql, [b.conninfo], sqlstate="55000", message='"b" cannot have', hint="listed")
        assert sorted(parts.message_detail.splitlines()) == [
            'node "b" lacks what table "public.t3" uses: role owner_elsewhere', 'relation "public.t2" exists']
        assert catalog(a) == before and states(b) == {}
        assert b.execute(objects) == [("t2",)]
        b.execute("DROP VIEW t2; CREATE ROLE owner_elsewhere")
        a.execute(sql, [b.conninfo])
        assert catalog(a) == catalog(b)
        a.execute("SELECT teamscale.remove_node('b')")
    finally:
        for table in ("t1", "t2", "t3", "t4"):
            a.execute(f"DROP TABLE {table}")
        a.execute("DROP ROLE owner_elsewhere")
        other_server.database("postgres").execute("DROP ROLE IF EXISTS owner_elsewhere")


def test_a_node_that_holds_buckets_stays(make_cluster):
    cluster = shard(make_cluster(2))
    a, b = cluster.nodes
    a.execute("CREATE TABLE region (code text PRIMARY KEY)")
    a.execute("SELECT teamscale.distribute_table('region', 'code', 'list')")
    a.execute("SELECT teamscale.place_values('region', '{eu}', 'b')")
    parts = refused(a, "SELECT teamscale.remove_node('b')", sqlstate="2BP01", message='"b" holds buckets', hint="none of its buckets")
    held = {bucket for (bucket,) in a.execute("SELECT bucket_id FROM teamscale_internal.placement WHERE node_id = 2")}
    lines = parts.message_detail.splitlines()
    assert [line.split(": ")[0] for line in lines[1:]] == ["public.team", "public.region"]
    assert {int(bucket) for line in lines[1:] for bucket in line.split(": ")[1].split(", ")} == held
    refused(b, "SELECT teamscale.remove_node('b')", sqlstate="2BP01", message='"b" holds buckets')
    assert all(serves_all(node, cluster) for node in cluster.nodes)


def test_a_node_is_removed_by_another_and_the_last_one_by_itself(make_cluster):
    cluster = make_cluster(2)
    a, b = cluster.nodes
    refused(a, "SELECT teamscale.remove_node('a')", sqlstate="55000", message='"a" cannot remove itself', detail="other nodes",
            hint="on another node")
    b.execute("SELECT teamscale.remove_node('a')")
    assert states(a) == {} and states(b) == {"b": "active"}
    refused(a, "SELECT teamscale.remove_node('a')", sqlstate="55000", message="is no node", hint="create_cluster")
    b.execute("SELECT teamscale.remove_node('b')")
    assert states(b) == {}
    for database in (a, b):
        assert not database.execute("SELECT FROM teamscale_internal.commit_record")
        database.execute("DROP EXTENSION teamscale")


def test_a_node_that_was_removed_joins_again_as_a_new_one(make_cluster, make_database):
    cluster = make_cluster(1)
    a = cluster["a"]
    a.execute("CREATE TABLE t (id bigint PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY)")
    a.execute("SELECT teamscale.distribute_table('t', 'id', buckets => 2)")
    b = make_database(extension=False)
    given = []
    for round in range(3):
        add(cluster, "b", b)
        given.append(b.value("INSERT INTO t VALUES (%s) RETURNING n", [round]))
        assert catalog(a) == catalog(b)
        a.execute("SELECT teamscale.remove_node('b')")
        cluster.nodes.pop()
        assert states(a) == {"a": "active"} and states(b) == {}
        assert b.value("SELECT to_regclass('t')") is None  # its empty parent went too
        refused(b, "SELECT teamscale.node_of('t', 1)", sqlstate="42P01")
    # A number is never given twice, and neither is a value of a sequence.
    assert len({number >> 48 for number in given}) == 3
    assert [a.value("SELECT n FROM t WHERE id = %s", [i]) for i in range(3)] == given
    # It may as well join another cluster, or make one.
    other = make_cluster(1)
    other["a"].execute("SELECT teamscale.add_node('x', %s)", [b.conninfo])
    other["a"].execute("SELECT teamscale.remove_node('x')")
    b.execute("SELECT teamscale.create_cluster('b', %s)", [b.conninfo])


def test_a_node_that_is_removed_while_it_is_away_finds_it_out_and_may_be_added(make_cluster, two_servers):
    cluster = make_cluster(servers=two_servers)
    a, b = cluster.nodes
    a.execute("CREATE TABLE t (id bigint PRIMARY KEY)")
    a.execute("SELECT teamscale.disable_node('b')")
    a.execute("SELECT teamscale.distribute_table('t', 'id', buckets => 2)")
    a.execute("SELECT teamscale.enable_node('b')")
    b.server.stop()
    a.execute("SELECT teamscale.disable_node('b')")
    a.execute("SELECT teamscale.remove_node('b')")
    b.server.start()
    refused(b, "SELECT * FROM t WHERE id = 1", sqlstate="55000", message="no node of its cluster any more", detail='"b"',
            hint="add_node")
    refused(a, "SELECT teamscale.enable_node('b')", sqlstate="42704", message='"b" does not exist')
    a.execute("SELECT teamscale.add_node('b', %s)", [b.conninfo])
    assert catalog(a) == catalog(b)
    b.execute("INSERT INTO t VALUES (1)")
    assert a.execute("SELECT * FROM t WHERE id = 1") == [(1,)]


def test_a_node_with_transactions_in_doubt_stays_until_they_are_settled(make_cluster):
    """What it has decided, and what others have prepared on it."""
    cluster = make_cluster(3)
    a, b, c = cluster.nodes
    for node in cluster.nodes:
        node.execute("CREATE TABLE note (i integer)")

    def write_everywhere(database, others):
        connection = database.connect(autocommit=False)
        connection.execute("INSERT INTO note VALUES (1)")
        for name in others:
            connection.execute("SELECT * FROM teamscale.run_on_node(%s, 'INSERT INTO note VALUES (1)')", [name])
        return connection

    connection = write_everywhere(b, "ac")
    with stopped_at(b, "participants prepared", connection, "COMMIT"):
        parts = refused(a, "SELECT teamscale.remove_node('c')", sqlstate="55006", message='"c" has transactions in doubt',
                        hint="in_doubt_transaction")
        assert parts.message_detail.startswith("teamscale:")
        refused(a, "SELECT teamscale.remove_node('b')", sqlstate="55006", message='"b" are in doubt on another node',
                detail="teamscale:", hint="COMMIT PREPARED")
    assert states(a) == {"a": "active", "b": "active", "c": "active"}
    # Records whose commits have arrived are no obstacle: they are settled on the way.
    write_everywhere(c, "ab").commit()
    assert c.value("SELECT count(*) FROM teamscale_internal.commit_record") == 2
    a.execute("SELECT teamscale.remove_node('c')")
    assert states(a) == {"a": "active", "b": "active"} and states(c) == {}
    assert [node.value("SELECT count(*) FROM note") for node in cluster.nodes] == [2, 2, 2]


def test_a_commit_that_waits_for_the_removal_of_its_node_fails(make_cluster):
    """Its decision would be written where nobody settles any more."""
    cluster = make_cluster(2)
    a, b = cluster.nodes
    for node in cluster.nodes:
        node.execute("CREATE TABLE note (i integer)")
    writing = b.connect(autocommit=False)
    writing.execute("INSERT INTO note VALUES (1)")
    writing.execute("SELECT * FROM teamscale.run_on_node('a', 'INSERT INTO note VALUES (1)')")
    removing = a.connect()
    failed = []

    def commit():
        try:
            writing.commit()
        except psycopg.Error as error:
            failed.append(error.sqlstate)

    with stopped_at(a, "participants prepared", removing, "SELECT teamscale.remove_node('b')") as stopped:
        committing = threading.Thread(target=commit)
        committing.start()
        until(lambda: b.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"),
              "the commit does not wait")
    committing.join(30)
    assert stopped.error is None
    assert failed == ["40001"]
    assert states(a) == {"a": "active"} and states(b) == {}
    assert [node.value("SELECT count(*) FROM note") for node in cluster.nodes] == [0, 0]
    assert a.value("SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()") == 0
