"""Random transactions on a cached table, each comparing the caches with the table under one snapshot."""

import random
import threading
import time

import psycopg

KEYS = 40
# The queries that the functions answer, and how many keys differ from them.
DIFFERENCES = """
    SELECT count(*) FILTER (WHERE servers_of_team(k) IS DISTINCT FROM
               (SELECT coalesce(array_agg(server_id ORDER BY server_id), '{}') FROM assignment WHERE team_id = k))
         + count(*) FILTER (WHERE roles_of_team(k) IS DISTINCT FROM
               (SELECT coalesce(array_agg(ROW(server_id, role)::roles_of_team_row ORDER BY server_id, role), '{}')
                FROM assignment WHERE team_id = k AND mod(server_id, 2) = 0))
         + count(*) FILTER (WHERE owner_of_team(k) IS DISTINCT FROM (SELECT owner FROM team WHERE team_id = k))
    FROM generate_series(%s::bigint, %s::bigint) AS k"""

SCHEMA = f"""
    CREATE TABLE team (team_id bigint PRIMARY KEY, owner text, note text);
    CREATE TABLE assignment (team_id bigint REFERENCES team ON DELETE CASCADE ON UPDATE CASCADE, server_id bigint, role text)
        PARTITION BY RANGE (team_id);
    CREATE TABLE assignment_1 PARTITION OF assignment FOR VALUES FROM (0) TO (10);
    CREATE TABLE assignment_2 PARTITION OF assignment FOR VALUES FROM (10) TO (20);
    CREATE TABLE assignment_3 PARTITION OF assignment FOR VALUES FROM (20) TO (30) PARTITION BY HASH (server_id);
    CREATE TABLE assignment_3a PARTITION OF assignment_3 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE assignment_3b PARTITION OF assignment_3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE TABLE assignment_4 (role text, dropped int, server_id bigint, team_id bigint);
    ALTER TABLE assignment_4 DROP COLUMN dropped;
    ALTER TABLE assignment ATTACH PARTITION assignment_4 FOR VALUES FROM (30) TO (1000);
    CREATE INDEX ON assignment (team_id);
    INSERT INTO team SELECT k, 'owner ' || k FROM generate_series(1, {KEYS}) AS k;
    INSERT INTO assignment SELECT k, s, 'web' FROM generate_series(1, {KEYS}) AS k, generate_series(1, 3) AS s;
    SELECT teamscale.create_cache('servers_of_team', 'assignment', 'team_id', 'server_id', order_by => 'server_id');
    SELECT teamscale.create_cache('roles_of_team', 'assignment', 'team_id', 'server_id, role',
                                  order_by => 'server_id, role', filter => 'mod(server_id, 2) = 0');
    SELECT teamscale.create_cache('owner_of_team', 'team', 'team_id', 'owner', "unique" => true);
    -- Looks from within a statement that writes.
    CREATE FUNCTION looked(k bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        IF servers_of_team(k) IS DISTINCT FROM
           (SELECT coalesce(array_agg(server_id ORDER BY server_id), '{{}}') FROM assignment WHERE team_id = k) THEN
            RAISE EXCEPTION 'difference' USING ERRCODE = 'TS001';
        END IF;
        RETURN k;
    END $$;
"""


class Difference(Exception):
    pass


class Session:
    """One session of the workload."""

    def __init__(self, database, seed, definitions=True):
        self.database = database
        self.random = random.Random(seed)
        self.connection = database.connect()
        self.connection.execute("SET lock_timeout = '500ms'")
        self.definitions = definitions
        self.name = f"workload {seed}"
        self.prepared = 0
        self.compared = 0

    def key(self):
        return self.random.randint(1, KEYS)

    def compare(self):
        low = self.random.randint(1, KEYS - 9)
        found = self.connection.execute(DIFFERENCES, [low, low + 9]).fetchone()[0]
        self.compared += 30
        if found:
            raise Difference(f"{self.name}: {found} of the keys {low} to {low + 9} differ")

    def write(self):
        run = self.connection.execute
        key, other, server = self.key(), self.key(), self.random.randint(1, 12)
        choice = self.random.randint(0, 13)
        if choice <= 1:
            run("INSERT INTO assignment VALUES (%s, %s, 'db')", [key, server])
        elif choice == 2:
            run("DELETE FROM assignment WHERE team_id = %s AND server_id = %s", [key, server])
        elif choice == 3:
            run("UPDATE assignment SET team_id = %s WHERE team_id = %s AND server_id < 3", [other, key])
        elif choice == 4:
            run("UPDATE assignment SET server_id = %s WHERE team_id = %s AND server_id < 5", [server, key])
        elif choice == 5:
            run("UPDATE assignment SET role = %s WHERE team_id = %s", [str(server), key])
        elif choice == 6:
            with self.connection.cursor().copy("COPY assignment FROM STDIN") as copy:
                for i in range(3):
                    copy.write_row((key, server + i, "copied"))
        elif choice == 7:
            run(
                "MERGE INTO assignment AS a USING (VALUES (%s::bigint, %s::bigint)) AS v (t, s)"
                " ON a.team_id = v.t AND a.server_id = v.s WHEN MATCHED THEN DELETE"
                " WHEN NOT MATCHED THEN INSERT VALUES (v.t, v.s, 'merged')",
                [key, server],
            )
        elif choice == 8:
            run("DELETE FROM team WHERE team_id = %s", [key])  # its assignments go with it
        elif choice == 9:
            run("INSERT INTO team VALUES (%s, 'new') ON CONFLICT (team_id) DO UPDATE SET owner = %s", [key, str(server)])
        elif choice == 10:
            run("UPDATE assignment SET server_id = looked(team_id) WHERE team_id = %s", [key])
        elif choice == 11:
            run("UPDATE team SET note = %s WHERE team_id = %s", [str(server), key])
        elif choice == 12:
            run("SAVEPOINT s")
            run("DELETE FROM assignment WHERE team_id = %s", [key])
            self.compare()
            run("ROLLBACK TO s")
        else:
            run("SET LOCAL session_replication_role = replica")
            run("INSERT INTO assignment VALUES (%s, %s, 'replica')", [key, server])
            run("SET LOCAL session_replication_role = origin")

    def define(self):
        run = self.connection.execute
        choice = self.random.randint(0, 6)
        if choice == 0:
            run("TRUNCATE assignment_2")
        elif choice == 1:
            run("ALTER TABLE assignment DETACH PARTITION assignment_4")
            run("INSERT INTO assignment_4 (team_id, server_id, role) VALUES (%s, 7, 'apart')", [self.random.randint(30, KEYS)])
            self.compare()
            run("ALTER TABLE assignment ATTACH PARTITION assignment_4 FOR VALUES FROM (30) TO (1000)")
        elif choice == 2:
            run("ALTER TABLE assignment DISABLE TRIGGER ALL")
            run("UPDATE assignment SET server_id = server_id + 1 WHERE team_id = %s", [self.key()])
            self.compare()
            run("ALTER TABLE assignment ENABLE TRIGGER ALL")
            run("ALTER TABLE assignment ENABLE ALWAYS TRIGGER teamscale_cache_guard")
        elif choice == 3:
            run("ALTER TABLE team ADD COLUMN extra int DEFAULT 1")
            run("ALTER TABLE team DROP COLUMN extra")
        elif choice == 4:
            run("SELECT teamscale.flush_cache('servers_of_team')")
        elif choice == 5:
            run("TRUNCATE team, assignment")
            run("INSERT INTO team SELECT k, 'again' FROM generate_series(1, %s) AS k", [KEYS])
        else:
            run("SELECT teamscale.drop_cache('owner_of_team')")
            run("SELECT teamscale.create_cache('owner_of_team', 'team', 'team_id', 'owner', \"unique\" => true)")

    def transaction(self):
        run = self.connection.execute
        run(f"BEGIN ISOLATION LEVEL {self.random.choice(['READ COMMITTED'] * 3 + ['REPEATABLE READ'] * 2 + ['SERIALIZABLE'])}")
        cursor = False
        if self.random.random() < 0.2:
            run("DECLARE c CURSOR FOR " + DIFFERENCES.replace("%s", "1", 1).replace("%s", str(KEYS)))
            cursor = True
        for _ in range(self.random.randint(1, 4)):
            self.compare()
            if self.random.random() < 0.5:
                self.write()
                self.compare()
        if self.definitions and self.random.random() < 0.03:
            self.define()
            self.compare()
        if cursor and run("FETCH c").fetchone()[0]:
            raise Difference(f"{self.name}: a cursor differs")
        ending = self.random.random()
        if ending < 0.2:
            run("ROLLBACK")
        elif ending < 0.3:
            self.prepared += 1
            gid = f"{self.name} {self.prepared}"
            run("PREPARE TRANSACTION '%s'" % gid)
            self.compare()
            run("%s PREPARED '%s'" % (self.random.choice(["COMMIT", "ROLLBACK"]), gid))
        else:
            run("COMMIT")

    def run(self, transactions):
        for _ in range(transactions):
            try:
                self.transaction()
            except psycopg.Error as error:
                # Conflicts between sessions are part of the matter; a difference is not.
                if error.sqlstate == "TS001":
                    raise Difference(str(error)) from error
                if error.sqlstate is None or self.connection.closed:
                    raise
                self.connection.execute("ROLLBACK")


def run_sessions(database, sessions, transactions, seed=1, definitions=True, until=None):
    """Runs sessions at once; gives how many comparisons were made, raises the first difference."""
    workers = [Session(database, f"{seed} {i}", definitions) for i in range(sessions)]
    found = []

    def work(session):
        try:
            while True:
                session.run(transactions)
                if not until or time.monotonic() > until or found:
                    return
        except Exception as error:  # to the test's thread
            found.append(error)

    threads = [threading.Thread(target=work, args=[session]) for session in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for session in workers:
        session.connection.close()
    with database.connect() as connection:
        for (gid,) in connection.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()").fetchall():
            connection.execute("ROLLBACK PREPARED '%s'" % gid)
    if found:
        raise found[0]
    return sum(session.compared for session in workers)
