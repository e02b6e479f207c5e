"""Whatever an owner puts into a policy runs as that owner and as nobody else, whoever starts the maintenance."""

import psycopg
import pytest

ATTEMPTS = [
    "RESET ROLE",
    "RESET SESSION AUTHORIZATION",
    "SET SESSION AUTHORIZATION postgres",
    "SET ROLE postgres",
    "SET LOCAL ROLE postgres",
    "SELECT set_config('role', 'postgres', false)",
    "SELECT set_config('session_authorization', 'postgres', false)",
    "ALTER ROLE mallory SUPERUSER",
    "CREATE ROLE accomplice SUPERUSER",
    "ALTER SYSTEM SET work_mem = '1MB'",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "UPDATE teamscale_internal.partition_policy SET relation = relation",
    "DELETE FROM teamscale_internal.expired_partition",
    "SELECT teamscale_internal.write_partition_policy('log', '[]')",
]


@pytest.fixture(params=["LOGIN", "NOLOGIN"])
def mallorys(request, make_database):
    database = make_database()
    database.execute("DROP ROLE IF EXISTS mallory")
    database.execute(f"CREATE ROLE mallory {request.param}")
    database.execute("GRANT CREATE ON SCHEMA public TO mallory")
    database.execute(f"ALTER DATABASE {database.name} SET teamscale.partition_clock = '2026-01-15'")
    yield database
    database.execute("DROP OWNED BY mallory CASCADE")
    database.execute("DROP ROLE mallory")


def as_mallory(database):
    connection = database.connect()
    connection.execute("SET ROLE mallory")
    return connection


def set_clock(database, time):
    database.execute(f"ALTER DATABASE {database.name} SET teamscale.partition_clock = '{time}'")


def test_a_hook_cannot_become_anyone_else(mallorys):
    tries = " ".join(
        f"BEGIN EXECUTE {psycopg.sql.Literal(attempt).as_string(None)}; "
        f"INSERT INTO succeeded VALUES ({psycopg.sql.Literal(attempt).as_string(None)}, current_user, session_user); "
        "EXCEPTION WHEN OTHERS THEN NULL; END;"
        for attempt in ATTEMPTS
    )
    with as_mallory(mallorys) as connection:
        connection.execute("CREATE TABLE succeeded (attempt text, who name, session name)")
        connection.execute("CREATE TABLE log (id bigint, at timestamptz NOT NULL) PARTITION BY RANGE (at)")
        connection.execute(f"""CREATE FUNCTION hook(regclass) RETURNS boolean LANGUAGE plpgsql AS $hook$
            BEGIN {tries}
                INSERT INTO succeeded VALUES ('asked', current_user, session_user);
                RETURN true;
            END $hook$""")
        connection.execute("SELECT teamscale.create_partition_policy('log', 'at', '1 month', retain => '1', before_drop => 'hook(regclass)')")
    set_clock(mallorys, "2026-02-15")
    mallorys.execute("CALL teamscale.maintain_partitions('log')")
    set_clock(mallorys, "2026-03-15")
    # A superuser looks at the plan, and then has it carried out.
    assert "will be asked" in mallorys.value("SELECT reason FROM teamscale.plan_partitions('log') WHERE action = 'detach'")
    assert mallorys.value("SELECT count(*) FROM succeeded WHERE who <> 'mallory'") == 0
    mallorys.execute("CALL teamscale.maintain_partitions('log')")
    done = mallorys.execute("SELECT attempt, who FROM succeeded")
    assert ("asked", "mallory") in done
    assert {who for _, who in done} == {"mallory"}, done
    assert not {attempt for attempt, _ in done} & {a for a in ATTEMPTS if "SUPERUSER" in a or "SYSTEM" in a or "COPY" in a or "internal" in a}
    assert not mallorys.value("SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'")
    assert mallorys.value("SELECT to_regclass('log_2026_01')") is None


def test_partitions_belong_to_the_tables_owner_whoever_makes_the_policy(mallorys):
    with as_mallory(mallorys) as connection:
        connection.execute("CREATE TABLE log (id bigint, at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    mallorys.execute("""SELECT teamscale.create_partition_policy('log', 'at', '1 month',
                        sub_policy => '{"column": "id", "kind": "range", "every": "1000"}')""")
    set_clock(mallorys, "2026-03-15")
    mallorys.execute("CALL teamscale.maintain_partitions('log')")
    owners = mallorys.execute("""SELECT DISTINCT relowner::regrole::text FROM pg_partition_tree('log') JOIN pg_class ON oid = relid""")
    assert owners == [("mallory",)]


def test_hostile_names_stay_names(mallorys):
    hostile = ["x'); ALTER ROLE mallory SUPERUSER; --", 'x"; ALTER ROLE mallory SUPERUSER; --', "$$; ALTER ROLE mallory SUPERUSER; $$",
               "%s%I%L", "\\'; DROP TABLE x", "a{b}}c"]
    with as_mallory(mallorys) as connection:
        for number, name in enumerate(hostile):
            table = psycopg.sql.Identifier(f"{number}{name}"[:40])
            column = psycopg.sql.Identifier(name)
            connection.execute(psycopg.sql.SQL("CREATE TABLE {} ({} date NOT NULL) PARTITION BY RANGE ({})").format(table, column, column))
            connection.execute("SELECT teamscale.create_partition_policy(%s::regclass, %s, '1 month', retain => '1', name_template => %s)",
                               [table.as_string(connection), name, "{table}" + name.replace("{", "{{").replace("}", "}}")[:20] + "{period}"])
    for time in ["2026-02-15", "2026-03-15"]:
        set_clock(mallorys, time)
        mallorys.execute("CALL teamscale.maintain_partitions()")
    assert mallorys.execute("SELECT failures FROM teamscale.stat_maintenance WHERE failures > 0") == []
    assert not mallorys.value("SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'")
