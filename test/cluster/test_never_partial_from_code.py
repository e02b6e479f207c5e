"""What PostgreSQL runs within a statement (functions, triggers, checks, policies, index expressions) sees a sharded table
whole or fails: on the node that was asked, on the owner of the rows, in parallel workers, and at the commit."""

import psycopg
import pytest

from teams import NODES, ROWS, error, refused, run

# every...() counts all rows; servers(team) one team's, as its key says. They claim to be immutable, so that an index or a
# check takes them.
FUNCTIONS = [
    "CREATE FUNCTION every() RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM assignment); END'",
    "CREATE FUNCTION every_sql() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM assignment'",
    "CREATE FUNCTION every_atomic() RETURNS bigint STABLE LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM assignment; END",
    "CREATE FUNCTION every_row() RETURNS SETOF assignment STABLE LANGUAGE sql AS 'SELECT * FROM assignment'",
    "CREATE FUNCTION every_row_kept() RETURNS SETOF assignment VOLATILE LANGUAGE sql AS 'SELECT * FROM assignment'",
    "CREATE FUNCTION every_row_returned() RETURNS SETOF assignment LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT * FROM assignment; END'",
    "CREATE FUNCTION every_as_owner() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS 'SELECT count(*) FROM assignment'",
    "CREATE FUNCTION every_with_path() RETURNS bigint LANGUAGE sql SET search_path = public AS 'SELECT count(*) FROM assignment'",
    "CREATE FUNCTION every(step bigint, value bigint) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN every(); END'",
    "CREATE AGGREGATE every_sum (bigint) (SFUNC = every, STYPE = bigint, INITCOND = '0')",
    "CREATE FUNCTION every(side bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN every(); END'",
    "CREATE OPERATOR ### (RIGHTARG = bigint, FUNCTION = every)",
    "CREATE PROCEDURE every_now() LANGUAGE plpgsql AS 'BEGIN PERFORM every(); END'",
    "CREATE PROCEDURE every_commit() LANGUAGE plpgsql AS 'BEGIN COMMIT; PERFORM every(); END'",
    "CREATE FUNCTION every_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM every(); RETURN NEW; END'",
    "CREATE FUNCTION servers(team bigint) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE plpgsql"
    " AS 'BEGIN RETURN (SELECT count(*) FROM assignment WHERE team_id = team); END'",
]


@pytest.fixture(scope="module")
def session(teams):
    for statement in FUNCTIONS:
        teams.everywhere(statement)
    with teams.connect() as connection:
        yield connection


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT every()",
        "SELECT every_sql()",
        "SELECT every_atomic()",
        "SELECT every_sql() FROM wish",
        "SELECT * FROM wish WHERE team_id < every_sql()",
        "SELECT count(*) FROM every_row()",
        "SELECT * FROM wish JOIN every_row() USING (team_id)",
        "SELECT every_row()",
        "SELECT (every_row()).role FROM wish",
        "SELECT * FROM ROWS FROM (every_row(), generate_series(1, 3))",
        "SELECT * FROM every_row() WITH ORDINALITY",
        "SELECT * FROM wish, LATERAL (SELECT * FROM every_row() AS e WHERE e.team_id = wish.team_id) AS e",
        "SELECT * FROM every_row_kept()",
        "SELECT * FROM every_row_returned()",
        "SELECT every_as_owner()",
        "SELECT every_with_path()",
        "SELECT every_sum(team_id) FROM wish",
        "SELECT ### team_id FROM wish",
        "CALL every_now()",
        "INSERT INTO wish VALUES (every(), 'n')",
        "UPDATE wish SET team_id = every_sql()",
        "SELECT * FROM assignment WHERE team_id = 1 AND server_id < every()",
        "SELECT * FROM assignment WHERE team_id = every_sql()",
        "INSERT INTO assignment VALUES (1, every_sql())",
        "INSERT INTO assignment SELECT team_id, every_sql() FROM wish",
        "EXPLAIN ANALYZE SELECT every_sql()",
        "SELECT count(*) FROM generate_series(1, every_sql())",
        "VALUES (1, every_sql())",
        "COPY (SELECT every_sql()) TO STDOUT",
    ],
)
def test_a_function_that_reads_all_buckets_is_refused(session, sql):
    refused(session, sql)


def test_a_procedure_that_commits_before_it_reads_is_refused(session):
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        session.execute("CALL every_commit()")


CONTEXTS = {
    "a row trigger": ["CREATE TRIGGER t BEFORE INSERT ON wish FOR EACH ROW EXECUTE FUNCTION every_trigger()"],
    "a statement trigger": ["CREATE TRIGGER t AFTER INSERT ON wish EXECUTE FUNCTION every_trigger()"],
    "the condition of a trigger": [
        "CREATE TRIGGER t AFTER INSERT ON wish FOR EACH ROW WHEN (every() > 0) EXECUTE FUNCTION every_trigger()"
    ],
    "a deferred trigger that is made immediate": [
        "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON wish DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION every_trigger()",
        "INSERT INTO wish VALUES (1, 'x')",
        "SET CONSTRAINTS ALL IMMEDIATE",
    ],
    "a trigger of a view": [
        "CREATE VIEW wishes AS SELECT * FROM wish",
        "CREATE TRIGGER t INSTEAD OF INSERT ON wishes FOR EACH ROW EXECUTE FUNCTION every_trigger()",
        "INSERT INTO wishes VALUES (1, 'x')",
    ],
    "a default": ["ALTER TABLE wish ADD COLUMN n bigint DEFAULT every_sql()"],
    "a default of new rows": ["ALTER TABLE wish ALTER COLUMN team_id SET DEFAULT every_sql()", "INSERT INTO wish (note) VALUES ('x')"],
    "a generated column": ["ALTER TABLE wish ADD COLUMN n bigint GENERATED ALWAYS AS (every()) STORED"],
    "a check of what is there": ["ALTER TABLE wish ADD CHECK (every() > 0)"],
    "a check of new rows": ["ALTER TABLE wish ADD CHECK (every() > 0) NOT VALID"],
    "a domain": ["CREATE DOMAIN few AS bigint CHECK (every() > VALUE)", "SELECT 1::few"],
    "a domain of a column": ["CREATE DOMAIN few AS bigint CHECK (every() > VALUE)", "ALTER TABLE wish ALTER COLUMN team_id TYPE few"],
    "a change of type": ["ALTER TABLE wish ALTER COLUMN team_id TYPE bigint USING every_sql()"],
    "an index": ["CREATE INDEX ON wish ((team_id + every()))"],
    "an index's predicate": ["CREATE INDEX ON wish (team_id) WHERE every() > team_id"],
    "an index of an empty table": [
        "CREATE TABLE none (i bigint)", "CREATE INDEX ON none (every(i))", "INSERT INTO none VALUES (1)",
    ],
    "statistics of an expression": ["CREATE STATISTICS s ON (every(team_id)), note FROM wish", "ANALYZE wish"],
    "a partition key": [
        "CREATE TABLE parts (i bigint) PARTITION BY LIST (every(i))", "CREATE TABLE part PARTITION OF parts DEFAULT",
        "INSERT INTO parts VALUES (1)",
    ],
    "COPY FROM's condition": ["COPY wish FROM STDIN WHERE every() > 0"],
    "a comparison of a sort": ["SELECT * FROM wish ORDER BY every(team_id)"],
    "a rule": ["CREATE RULE r AS ON INSERT TO wish DO ALSO SELECT every_sql()"],
    "an event trigger": [
        "CREATE FUNCTION every_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM every(); END'",
        "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION every_event()",
        "CREATE TABLE any_table (i int)",
    ],
}


@pytest.mark.parametrize("statements", CONTEXTS.values(), ids=CONTEXTS)
def test_wherever_the_function_is_hung_up(session, statements):
    with session.transaction(force_rollback=True):
        session.execute("SET LOCAL client_min_messages = error")
        *before, last = [*statements, "INSERT INTO wish VALUES (1, 'x')"]
        for statement in before:
            try:
                with session.transaction():
                    copy_or_execute(session, statement)
            except psycopg.Error as raised:
                assert raised.sqlstate == "0A000" and raised.diag.message_hint, (statement, raised)
                return
        refused(session, last)


def copy_or_execute(session, statement):
    if not statement.startswith("COPY"):
        session.execute(statement)
        return
    with session.cursor().copy(statement) as lines:
        lines.write("1\tx\n")


POLICIES = [
    "CREATE POLICY p ON wish FOR SELECT USING (EXISTS (SELECT FROM assignment AS a WHERE a.team_id = wish.team_id))",
    "CREATE POLICY p ON wish FOR SELECT USING (team_id < every_sql())",
    "CREATE POLICY p ON wish AS RESTRICTIVE FOR SELECT USING (team_id NOT IN (SELECT team_id FROM assignment))",
]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_that_reads_all_buckets_is_refused(session, policy):
    with session.transaction(force_rollback=True):
        for statement in [
            "CREATE ROLE clerk", "GRANT ALL ON wish TO clerk", "ALTER TABLE wish ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY permit ON wish USING (team_id > 0)", policy, "SET LOCAL ROLE clerk",
        ]:
            session.execute(statement)
        refused(session, "SELECT * FROM wish")
        refused(session, "COPY wish TO STDOUT")
        refused(session, "UPDATE wish SET note = 'x' WHERE note = 'y'")


def test_a_policy_for_new_rows_that_reads_all_buckets_is_refused(session):
    with session.transaction(force_rollback=True):
        for statement in [
            "CREATE ROLE clerk", "GRANT ALL ON wish TO clerk", "ALTER TABLE wish ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY p ON wish FOR INSERT WITH CHECK (team_id < every_as_owner())", "SET LOCAL ROLE clerk",
        ]:
            session.execute(statement)
        refused(session, "INSERT INTO wish VALUES (1, 'x')")


def test_pinned_reads_within_statements_are_whole(teams, session):
    for name in NODES:
        team = teams.of[name][0]
        assert session.execute("SELECT servers(%s)", [team]).fetchone()[0] == 4
        assert session.execute("SELECT count(*) FROM wish WHERE servers(team_id) = 4").fetchone()[0] == 30
        with session.transaction(force_rollback=True):
            session.execute("ALTER TABLE wish ADD CHECK (servers(team_id) = 4)")
            session.execute("CREATE INDEX ON wish (servers(team_id))")
            session.execute("INSERT INTO wish VALUES (%s, 'x')", [team])
            assert error(session, "INSERT INTO wish VALUES (1000, 'x')").sqlstate == "23514"


# --- On the owner of the rows --------------------------------------------------------------------

TRIGGERS = {
    "BEFORE": "CREATE TRIGGER every BEFORE INSERT ON assignment FOR EACH ROW EXECUTE FUNCTION every_trigger()",
    "AFTER": "CREATE TRIGGER every AFTER INSERT ON assignment FOR EACH ROW EXECUTE FUNCTION every_trigger()",
    "statement": "CREATE TRIGGER every AFTER INSERT ON assignment EXECUTE FUNCTION every_trigger()",
    "deferred": "CREATE CONSTRAINT TRIGGER every AFTER INSERT ON assignment DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION every_trigger()",
}


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=TRIGGERS)
def test_a_trigger_on_the_owner_is_refused_what_reads_all_buckets(teams, session, trigger):
    teams.everywhere(trigger)
    try:
        for name in NODES:
            team, other = teams.of[name][:2]
            for statements in [
                [f"INSERT INTO assignment VALUES ({team}, 100)"],
                [f"INSERT INTO assignment VALUES ({team}, 100), ({other}, 100)"],
                [f"INSERT INTO assignment SELECT team_id, 100 FROM wish WHERE team_id IN ({team}, {teams.of['c'][0]})"],
            ]:
                refused_at_the_latest_by_commit(teams, statements)
        # Prepared on two nodes and committed on none.
        refused_at_the_latest_by_commit(teams, [f"INSERT INTO assignment VALUES ({teams.of[name][0]}, 100)" for name in NODES])
    finally:
        teams.everywhere("DROP TRIGGER every ON assignment")
    assert len(teams.rows()) == ROWS


def refused_at_the_latest_by_commit(teams, statements):
    with teams.connect(autocommit=False) as session:
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            for statement in statements:
                session.execute(statement)
            session.commit()
        session.rollback()
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_deferred_trigger_on_the_owner_reads_its_team_whole(teams, session):
    teams.everywhere(
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE NOTICE '% servers', (SELECT count(*) FROM assignment WHERE team_id = NEW.team_id); RETURN NULL; END $$"
    )
    teams.everywhere(TRIGGERS["deferred"].replace("every_trigger", "tell"))
    try:
        for name in NODES:
            with teams.connect(autocommit=False) as writer:
                notices = []
                writer.add_notice_handler(lambda notice: notices.append(notice.message_primary))
                writer.execute("INSERT INTO assignment VALUES (%s, 101), (%s, 102)", [teams.of[name][0]] * 2)
                writer.execute("SET CONSTRAINTS ALL IMMEDIATE")
                writer.rollback()
                writer.execute("INSERT INTO assignment VALUES (%s, 101), (%s, 102)", [teams.of[name][0]] * 2)
                writer.execute("DELETE FROM assignment WHERE team_id = %s AND server_id > 100", [teams.of[name][0]])
                writer.commit()
                assert set(notices) <= {"6 servers", "4 servers"} and "4 servers" in notices
    finally:
        teams.everywhere("DROP FUNCTION tell() CASCADE")
    assert len(teams.rows()) == ROWS


def test_a_foreign_key_sees_what_it_must(teams, session):
    """A plain table cannot reference a sharded one; a sharded one's deferred keys are checked on the owner."""
    refused(session, "CREATE TABLE r (team_id bigint, server_id int, FOREIGN KEY (team_id, server_id) REFERENCES assignment)")
    refused(session, "ALTER TABLE wish ADD COLUMN s int, ADD FOREIGN KEY (team_id, s) REFERENCES assignment")
    refused(session, "CREATE TABLE r (team_id bigint REFERENCES assignment)")
    session.execute("CREATE TABLE visit (team_id bigint NOT NULL, server_id int)")
    session.execute("SELECT teamscale.distribute_table('visit', 'team_id', colocate_with => 'assignment')")
    try:
        teams.everywhere(
            "ALTER TABLE visit ADD FOREIGN KEY (team_id, server_id) REFERENCES assignment DEFERRABLE INITIALLY DEFERRED"
        )
        for name in NODES:
            team = teams.of[name][0]
            session.execute("INSERT INTO visit VALUES (%s, 1)", [team])
            for statement in [
                f"INSERT INTO visit VALUES ({team}, 1000)", f"DELETE FROM assignment WHERE team_id = {team} AND server_id = 1"
            ]:
                with pytest.raises(psycopg.errors.ForeignKeyViolation):
                    session.execute(statement)
    finally:
        session.execute("DROP TABLE visit")
    assert len(teams.rows()) == ROWS


# --- In parallel workers -------------------------------------------------------------------------

PARALLEL = [
    "SET LOCAL force_parallel_mode = on", "SET LOCAL parallel_setup_cost = 0", "SET LOCAL parallel_tuple_cost = 0",
    "SET LOCAL min_parallel_table_scan_size = 0",
]


def test_in_a_parallel_worker(teams, session):
    with session.transaction(force_rollback=True):
        for statement in PARALLEL + ["ALTER FUNCTION every() PARALLEL SAFE", "ALTER FUNCTION every_sql() PARALLEL SAFE"]:
            session.execute(statement)
        plan = run(session, "EXPLAIN SELECT servers(team_id) FROM wish")
        assert any("Gather" in line for (line,) in plan)
        refused(session, "SELECT every() FROM wish")
        refused(session, "SELECT every_sql() FROM wish")
        refused(session, "SELECT max(note) FROM wish WHERE team_id < every_sql()")
        # This node's rows may be read there; other nodes cannot be reached from there.
        own = teams.of["a"]
        assert run(session, f"SELECT sum(servers(team_id)) FROM wish WHERE team_id = ANY (ARRAY{own})") == [(4 * len(own),)]
        raised = error(session, f"SELECT sum(servers(team_id)) FROM wish WHERE team_id = {teams.of['b'][0]}")
        assert raised.sqlstate == "25000" and "PARALLEL" in raised.diag.message_hint


# --- At maintenance ------------------------------------------------------------------------------


def test_maintenance_that_runs_user_code(session):
    """ANALYZE and REINDEX evaluate the expressions of indexes: also for the autovacuum worker, which does the same."""
    with session.transaction(force_rollback=True):
        session.execute("CREATE TABLE one (i bigint)")
        session.execute("CREATE INDEX ON one (every(i))")
        session.execute("ALTER TABLE one DISABLE TRIGGER ALL")
        session.execute("SET LOCAL teamscale.scope = local")
        session.execute("INSERT INTO one VALUES (1)")  # as a superuser's restore does
        session.execute("SET LOCAL teamscale.scope = cluster")
        for statement in ["ANALYZE one", "REINDEX TABLE one", "CLUSTER one USING one_every_idx", "CREATE INDEX ON one (every(i))"]:
            refused(session, statement)
