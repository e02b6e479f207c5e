"""Random statements that a sharded table and a plain twin must answer alike.

Each statement names one team, by a constant, a parameter or a stable expression, so that it belongs to one bucket. The
generator is a function of its seed. Two tables are used: team (team_id, name) and assignment (team_id, server_id, role,
size, tags, note, assigned_at), primary key (team_id, server_id), with a check (size >= 0), a foreign key to team and a
unique constraint (team_id, note).
"""

import random

SCHEMA = [
    """CREATE TABLE team (team_id bigint PRIMARY KEY, name text NOT NULL)""",
    """CREATE TABLE assignment (
        team_id bigint NOT NULL,
        server_id bigint NOT NULL,
        role text NOT NULL DEFAULT 'web',
        size numeric(12, 2) CHECK (size >= 0),
        tags text[],
        note varchar(20),
        assigned_at timestamptz NOT NULL DEFAULT '2026-01-01 00:00:00+00',
        doubled numeric GENERATED ALWAYS AS (size * 2) STORED,
        PRIMARY KEY (team_id, server_id),
        UNIQUE (team_id, note))""",
]
TABLES = ["team", "assignment"]
# Between sharded tables it is added when both are sharded.
FOREIGN_KEY = "ALTER TABLE assignment ADD FOREIGN KEY (team_id) REFERENCES team"
TEAMS = 60
SERVERS = 8


def rows(seed):
    """The initial rows of both tables, as INSERT statements that each touch one team."""
    rng = random.Random(seed)
    for team in range(1, TEAMS + 1):
        yield f"INSERT INTO team VALUES ({team}, 'team {team}')"
        values = ", ".join(
            f"({team}, {server}, '{rng.choice(['web', 'db', 'queue'])}', {rng.randint(0, 10**6) / 100},"
            f" '{{a,\"b {server}\"}}', {rng.choice(['NULL', repr(f'n{server}')])})"
            for server in range(1, rng.randint(1, SERVERS) + 1)
        )
        yield f"INSERT INTO assignment (team_id, server_id, role, size, tags, note) VALUES {values}"


class Generator:
    """Gives (sql, parameters) pairs; sql uses psycopg's placeholders when there are parameters."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def statement(self):
        self.parameters = []
        self.team = self.rng.choice([self.rng.randint(1, TEAMS), self.rng.randint(1, TEAMS + 5)])
        make = self.rng.choice(
            [self.select, self.select, self.join, self.subquery, self.cte, self.aggregate, self.insert, self.insert,
             self.upsert, self.update, self.update, self.delete, self.merge, self.lock, self.set_operation, self.bad]
        )
        sql = make()
        return sql, self.parameters or None

    # --- parts ---------------------------------------------------------------------------------------------------

    def key(self):
        """The team in one of the ways that pin a bucket."""
        form = self.rng.randrange(6)
        if form == 0:
            self.parameters.append(self.team)
            return "%s::bigint"
        if form == 1:
            self.parameters.append(self.team)
            return "%s"
        if form == 2:
            return f"({self.team - 1} + 1)"
        if form == 3:
            return f"{self.team}::integer"
        return str(self.team)

    def value(self, text):
        if self.rng.random() < 0.3:
            self.parameters.append(text)
            return "%s"
        return "'" + text.replace("'", "''").replace("%", "%%" if self.parameters else "%") + "'"

    def server(self):
        return str(self.rng.randint(1, SERVERS + 2))

    def size(self):
        return self.rng.choice(["10", "0", "12345.67", "-1", "1e3", "NULL", "99999999999", "0.005"])

    def condition(self, alias=""):
        a = f"{alias}." if alias else ""
        return self.rng.choice(
            [f"{a}server_id = {self.server()}", f"{a}server_id > {self.server()}", f"{a}role = 'db'", f"{a}size > 1000",
             f"{a}note IS NULL", f"{a}tags @> ARRAY['a']", "true", f"{a}role LIKE 'w' || '_' || 'b'",
             f"{a}assigned_at < now()", f"{a}size BETWEEN 5 AND 5000"]
        )

    # --- statements ----------------------------------------------------------------------------------------------

    def select(self):
        columns = self.rng.choice(
            ["*", "server_id, upper(role)", "size * 2, doubled", "count(*)", "tags[1], note", "assignment",
             "team_id::text || '-' || server_id", "coalesce(note, 'none'), now() > assigned_at",
             "row_number() OVER (ORDER BY server_id), server_id", "CASE WHEN size > 100 THEN 'big' ELSE role END"]
        )
        key = self.key()
        tail = "" if columns == "count(*)" else self.rng.choice(["", " ORDER BY server_id", " ORDER BY server_id DESC LIMIT 2",
                                                                  " ORDER BY server_id OFFSET 1"])
        return f"SELECT {columns} FROM assignment WHERE team_id = {key} AND {self.condition()}{tail}"

    def join(self):
        kind = self.rng.choice(["JOIN", "LEFT JOIN"])
        key = self.key()
        return (f"SELECT t.name, a.server_id, a.size FROM team t {kind} assignment a "
                f"ON a.team_id = t.team_id AND {self.condition('a')} WHERE t.team_id = {key}")

    def subquery(self):
        key = self.key()
        form = self.rng.randrange(3)
        if form == 0:
            return (f"SELECT name FROM team t WHERE t.team_id = {key} AND EXISTS "
                    f"(SELECT 1 FROM assignment a WHERE a.team_id = t.team_id AND {self.condition('a')})")
        if form == 1:
            return f"SELECT s.n FROM (SELECT count(*) AS n FROM assignment WHERE team_id = {key} AND {self.condition()}) s"
        return (f"SELECT t.name, (SELECT max(size) FROM assignment a WHERE a.team_id = t.team_id) FROM team t "
                f"WHERE t.team_id = {key}")

    def cte(self):
        return (f"WITH a AS (SELECT * FROM assignment WHERE team_id = {self.key()}) "
                f"SELECT role, count(*), sum(size) FROM a WHERE {self.condition()} GROUP BY role")

    def aggregate(self):
        key = self.key()
        return (f"SELECT role, count(*), avg(size), string_agg(server_id::text, ',' ORDER BY server_id), bool_or(size > 10) "
                f"FROM assignment WHERE team_id = {key} GROUP BY role HAVING count(*) > 0")

    def set_operation(self):
        operation = self.rng.choice(["UNION", "UNION ALL", "EXCEPT", "INTERSECT"])
        return (f"SELECT server_id FROM assignment WHERE team_id = {self.key()} {operation} "
                f"SELECT server_id + 1 FROM assignment WHERE team_id = {self.key()}")

    def insert(self):
        returning = self.rng.choice(["", " RETURNING *", " RETURNING server_id, doubled"])
        rows = ", ".join(
            f"({self.key()}, {self.server()}, {self.value('web')}, {self.size()}, {self.rng.choice(['NULL', repr('n1')])})"
            for _ in range(self.rng.choice([1, 1, 1, 2, 3]))
        )
        return f"INSERT INTO assignment (team_id, server_id, role, size, note) VALUES {rows}{returning}"

    def upsert(self):
        action = self.rng.choice(
            ["DO NOTHING", "(team_id, server_id) DO NOTHING",
             "(team_id, server_id) DO UPDATE SET size = excluded.size, role = assignment.role || '+'",
             "(team_id, server_id) DO UPDATE SET size = excluded.size WHERE assignment.size < excluded.size"]
        )
        rows = ", ".join(f"({self.key()}, {self.server()}, {self.size()})" for _ in range(self.rng.choice([1, 1, 2])))
        return (f"INSERT INTO assignment (team_id, server_id, size) VALUES {rows} "
                f"ON CONFLICT {action} RETURNING server_id, size")

    def update(self):
        if self.rng.random() < 0.2:
            return (f"UPDATE assignment a SET note = left(t.name, 20) FROM team t "
                    f"WHERE a.team_id = t.team_id AND t.team_id = {self.key()} AND a.server_id = 1 "
                    f"RETURNING a.note, t.name")
        quoted = "it's"
        note = self.rng.random() < 0.2
        change = f"(role, note) = ('new', {self.value(quoted)})" if note else self.rng.choice(
            ["size = size + 1", "size = -1", "role = NULL", "tags[2] = 'x', tags[3] = 'y'", "role = DEFAULT",
             "server_id = server_id + 100", "note = 'same'", "note = 'a text that is far too long'",
             "assigned_at = '2026-02-03 04:05:06+07'", "(size, role) = (SELECT 5, 'sub')"]
        )
        returning = self.rng.choice(["", " RETURNING *", " RETURNING server_id"])
        return f"UPDATE assignment SET {change} WHERE team_id = {self.key()} AND {self.condition()}{returning}"

    def delete(self):
        key = self.key()
        if self.rng.random() < 0.2:
            return f"DELETE FROM team WHERE team_id = {key}"
        return f"DELETE FROM assignment WHERE team_id = {key} AND {self.condition()} RETURNING server_id"

    def merge(self):
        key = self.key()
        return (f"MERGE INTO assignment a USING (SELECT {key}::bigint AS team_id, {self.server()}::bigint AS server_id, "
                f"7::numeric AS size) s ON a.team_id = s.team_id AND a.server_id = s.server_id "
                f"WHEN MATCHED AND a.size > 100 THEN DELETE WHEN MATCHED THEN UPDATE SET size = s.size "
                f"WHEN NOT MATCHED THEN INSERT (team_id, server_id, size) VALUES (s.team_id, s.server_id, s.size)")

    def lock(self):
        strength = self.rng.choice(["UPDATE", "SHARE", "KEY SHARE", "NO KEY UPDATE NOWAIT", "UPDATE SKIP LOCKED"])
        return f"SELECT server_id FROM assignment WHERE team_id = {self.key()} ORDER BY server_id FOR {strength}"

    def bad(self):
        return self.rng.choice(
            [f"SELECT nothing FROM assignment WHERE team_id = {self.team}",
             f"SELECT 1 / (server_id - server_id) FROM assignment WHERE team_id = {self.team}",
             f"INSERT INTO assignment (team_id, server_id) VALUES ({self.team}, NULL)",
             f"INSERT INTO assignment (team_id, server_id) VALUES (NULL, 1)",
             f"INSERT INTO assignment (team_id, server_id, size) VALUES ({self.team}, 99, 'x')",
             f"INSERT INTO assignment (team_id, server_id, doubled) VALUES ({self.team}, 99, 1)",
             f"UPDATE assignment SET size = 'abc' WHERE team_id = {self.team}",
             f"SELECT * FROM assignment WHERE team_id = {self.team} AND role::integer = 1"]
        )
