"""Sessions that are a table's owner, shown by rewrites: who acts in them, and how they end with whoever waits for them."""

import psycopg
import pytest

from waiting import Running, until

TABLE = """
CREATE TABLE entry (id bigint, at date, note text DEFAULT 'none', PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE entry_2024 PARTITION OF entry FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO entry SELECT i, date '2024-01-01' + i * 100 FROM generate_series(1, 3) AS i;
"""
SPLIT = "CALL teamscale.split_partition('entry_2024', '{2024-07-01}')"

# What an owner may try who wants to act as somebody else. The index function is called for each row that is copied.
ATTEMPTS = """
CREATE TABLE attempt (tried text, acting_role name, came_true boolean);
CREATE FUNCTION try_all() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    command text;
BEGIN
    FOREACH command IN ARRAY ARRAY['RESET ROLE', 'SET ROLE NONE', 'SET ROLE postgres', 'SET LOCAL ROLE postgres', 'RESET ALL',
        'SET SESSION AUTHORIZATION DEFAULT', 'SET SESSION AUTHORIZATION postgres', 'RESET SESSION AUTHORIZATION', 'DISCARD ALL',
        'SELECT pg_catalog.set_config(''role'', ''postgres'', false)', 'ALTER ROLE CURRENT_USER SUPERUSER', 'CREATE ROLE friend SUPERUSER',
        'COPY attempt TO PROGRAM ''true''', 'SET session_replication_role = replica', 'GRANT pg_execute_server_program TO CURRENT_USER',
        'DROP TABLE public.not_mine', 'UPDATE pg_authid SET rolsuper = true', 'DELETE FROM teamscale_internal.rewrite'] LOOP
        BEGIN
            EXECUTE command;
            INSERT INTO public.attempt VALUES (command, current_user, true);
        EXCEPTION WHEN OTHERS THEN
            INSERT INTO public.attempt VALUES (command, current_user, false);
        END;
    END LOOP;
END $$;
"""
AT_ONCE = ATTEMPTS + """
CREATE FUNCTION innocent(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM public.try_all(); RETURN $1; END $$;
CREATE INDEX ON entry (innocent(note));
TRUNCATE attempt;
"""
AT_THE_COMMIT = ATTEMPTS + """
CREATE TABLE trap (i int);
CREATE FUNCTION spring() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.try_all(); RETURN NULL; END $$;
CREATE FUNCTION set_trap() RETURNS void LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO public.trap VALUES (1); EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;
CREATE FUNCTION innocent(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM public.set_trap(); RETURN $1; END $$;
CREATE INDEX ON entry (innocent(note));
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON trap DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spring();
"""
# Allowed to everybody: they lead back to the session's own role.
HARMLESS = {"RESET ROLE", "SET ROLE NONE", "RESET ALL", "SET SESSION AUTHORIZATION DEFAULT", "RESET SESSION AUTHORIZATION"}


# That would change what statements mean, or how far they come.
SETTINGS = [
    "search_path = public",
    "default_transaction_read_only = on",
    "default_transaction_isolation = serializable",
    "statement_timeout = '1ms'",
    "DateStyle = 'SQL, DMY'",
    "TimeZone = 'Asia/Kolkata'",
    "default_tablespace = nowhere",
]


@pytest.fixture
def owner(make_database):
    """A factory: a database whose table belongs to a role with the given options; gives the database and the role."""
    made = []

    def make(options="LOGIN", more="", server=None):
        database = make_database(server)
        role = f"{database.name}_owner"
        database.execute(f"CREATE ROLE {role} {options}; GRANT CREATE ON SCHEMA public TO {role}; CREATE TABLE not_mine ()")
        if server is None:
            made.append((database, role))
        with database.connect() as session:
            session.execute(f"SET ROLE {role}")
            session.execute(TABLE + more)
        return database, role

    yield make
    for database, role in made:
        database.execute(f"ALTER DATABASE {database.name} RESET ALL")
        database.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def partitions(database):
    return database.value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'entry'::regclass")


def attempts(database):
    """Who acted, and what came true that must not."""
    tried = database.execute("SELECT DISTINCT tried, acting_role, came_true FROM attempt")
    return {row[1] for row in tried}, {row[0] for row in tried if row[2]} - HARMLESS


@pytest.mark.parametrize("options", ["LOGIN", "NOLOGIN", "LOGIN CONNECTION LIMIT 0"])
def test_the_owner_acts_and_nobody_else(owner, options):
    database, role = owner(options, AT_ONCE)
    database.execute(SPLIT)
    assert partitions(database) == 2
    assert attempts(database) == ({role}, set())
    assert database.value("SELECT string_agg(DISTINCT pg_get_userbyid(relowner), ',') FROM pg_class WHERE relname LIKE 'entry%'") == role


@pytest.mark.parametrize("options", ["LOGIN", "NOLOGIN"])
def test_what_the_owner_defers_to_the_commit_runs_as_the_owner(owner, options):
    database, role = owner(options, AT_THE_COMMIT)
    database.execute("TRUNCATE attempt, trap")
    database.execute(SPLIT)
    assert partitions(database) == 2
    assert attempts(database) == ({role}, set())


@pytest.mark.parametrize("options", ["LOGIN", "NOLOGIN"])
def test_settings_of_the_owner_change_nothing(owner, options):
    database, role = owner(options)
    with database.connect(options="-c default_transaction_read_only=off -c statement_timeout=0") as session:
        for setting in SETTINGS:
            session.execute(f"ALTER ROLE {role} SET {setting}")
            session.execute(f"ALTER DATABASE {database.name} SET {setting}")
        session.execute(SPLIT)
        session.execute(f"ALTER DATABASE {database.name} RESET ALL")
    assert partitions(database) == 2


def test_a_member_of_the_owner_may_call(owner):
    database, role = owner("NOLOGIN")
    member = f"{role}_member"
    database.execute(f"CREATE ROLE {member} LOGIN IN ROLE {role}")
    try:
        with database.connect(user=member) as session:
            session.execute(SPLIT)
        assert partitions(database) == 2
    finally:
        database.execute(f"DROP ROLE {member}")


def waiting_rewrite(database, holder):
    """A rewrite that waits for the snapshot of the connection given; gives its call and the process that works on it."""
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
    running = Running(database, SPLIT)
    waits = "SELECT pid FROM teamscale.stat_rewrite WHERE phase = 'waiting'"
    return running, until(lambda: database.execute(waits), "the rewrite does not wait")[0][0]


@pytest.mark.parametrize(
    "function, whom, error",
    [
        ("pg_cancel_backend", "caller", psycopg.errors.QueryCanceled),
        ("pg_terminate_backend", "caller", psycopg.errors.AdminShutdown),
        ("pg_cancel_backend", "worker", psycopg.errors.QueryCanceled),
        ("pg_terminate_backend", "worker", psycopg.errors.AdminShutdown),
    ],
)
def test_a_session_ends_with_its_caller_and_the_call_with_its_session(owner, function, whom, error):
    database, _ = owner()
    with database.connect() as holder:
        running, worker = waiting_rewrite(database, holder)
        database.execute(f"SELECT {function}(%s)", [running.pid if whom == "caller" else worker])
        with pytest.raises(error):
            running.result()
        gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'teamscale owner session' AND datname = current_database()"
        until(lambda: database.value(gone), "the owner's session is still there")
        assert database.value("SELECT count(*) FROM teamscale.stat_rewrite WHERE pid IS NULL AND phase = 'waiting'") == 1
        holder.execute("COMMIT")
    database.execute(SPLIT)
    assert partitions(database) == 2


def goes_on(database):
    """The maintenance's launcher may have its worker for a moment, to look into each database."""
    try:
        database.execute(SPLIT)
    except psycopg.errors.InsufficientResources:
        return False
    return True


def test_without_a_free_worker_the_call_fails_and_goes_on_later(owner, make_server):
    server = make_server()
    server.configure(max_worker_processes="3")  # the launchers' and the database's own
    server.restart()
    database, _ = owner("LOGIN", server=server)
    until(lambda: database.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'teamscale maintenance'"), "no maintenance")
    with pytest.raises(psycopg.errors.InsufficientResources) as raised:
        database.execute(SPLIT)
    assert "max_worker_processes" in raised.value.diag.message_hint
    server.configure(max_worker_processes="4")
    server.restart()
    until(lambda: goes_on(database), "no worker")
    assert partitions(database) == 2
