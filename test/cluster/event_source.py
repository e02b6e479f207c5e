"""Random transactions of every kind on tables of every kind."""

import random

TYPES = """
CREATE TYPE replay.mood AS ENUM ('sad', 'ok', 'happy "quoted"');
CREATE TYPE replay.address AS (street text, "no. 1" int, since timestamptz);
CREATE DOMAIN replay.positive AS numeric CHECK (VALUE > 0);
CREATE DOMAIN replay.moods AS replay.mood[];
"""

# Name, definition, and what follows it.
TABLES = {
    "plain": ("(id bigint PRIMARY KEY, note text, at timestamptz)", ""),
    "numbers": (
        "(id int PRIMARY KEY, s smallint, n numeric, r real, d double precision, p replay.positive, m money, o oid)",
        "",
    ),
    "times": (
        "(id int PRIMARY KEY, d date, t time, tz timetz, ts timestamp, tstz timestamptz, i interval, r tstzrange, mr int4multirange)",
        "",
    ),
    "texts": (
        '(id text COLLATE "C" PRIMARY KEY, c char(5), v varchar(40), b bytea, ba bytea[], u uuid, n inet, bits varbit, x xml, q tsvector)',
        "",
    ),
    "documents": ("(id int PRIMARY KEY, j json, jb jsonb, ja jsonb)", ""),
    "shapes": ("(id int PRIMARY KEY, a int[], ta text[], m replay.mood, ms replay.moods, c replay.address, ca replay.address[])", ""),
    "wide": ("(id int PRIMARY KEY, big text, small int, other text)", "ALTER TABLE replay.wide ALTER big SET STORAGE EXTERNAL"),
    "whole": ("(a int, b text, big text)", "ALTER TABLE replay.whole REPLICA IDENTITY FULL"),
    "indexed": (
        "(a int NOT NULL, b text NOT NULL, c int)",
        "CREATE UNIQUE INDEX indexed_key ON replay.indexed (a, b); ALTER TABLE replay.indexed REPLICA IDENTITY USING INDEX indexed_key",
    ),
    "ranged": (
        "(id int, at date, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
        "CREATE TABLE replay.ranged_old (note text, at date NOT NULL, id int NOT NULL);"
        "ALTER TABLE replay.ranged ATTACH PARTITION replay.ranged_old FOR VALUES FROM (MINVALUE) TO ('2020-01-01');"
        "CREATE TABLE replay.ranged_new PARTITION OF replay.ranged FOR VALUES FROM ('2020-01-01') TO (MAXVALUE) PARTITION BY HASH (id);"
        "CREATE TABLE replay.ranged_new_0 PARTITION OF replay.ranged_new FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE replay.ranged_new_1 PARTITION OF replay.ranged_new FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    ),
    "generated": ("(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED)", ""),
    'odd "name" %': ('("key ""1"" %" int PRIMARY KEY, "select" text, "é\\" int)', ""),
}


def quoted(name):
    """An identifier; where the driver looks for placeholders, escaped() is one."""
    return '"' + name.replace('"', '""') + '"'


def escaped(name):
    return quoted(name).replace("%", "%%")


def create(connection):
    connection.execute("CREATE SCHEMA replay")
    connection.execute(TYPES)
    for name, (definition, rest) in TABLES.items():
        connection.execute(f"CREATE TABLE replay.{quoted(name)} {definition}")
        if rest:
            connection.execute(rest)


def contents(connection):
    """Every table's rows as COPY writes them, in one order."""
    result = {}
    connection.execute("SET DateStyle = ISO; SET extra_float_digits = 1; SET TimeZone = UTC")
    for name in TABLES:
        with connection.cursor().copy(
            f"COPY (SELECT * FROM replay.{quoted(name)} AS t ORDER BY t::text COLLATE \"C\") TO STDOUT"
        ) as copy:
            result[name] = b"".join(bytes(part) for part in copy)
    return result


TEXTS = [
    "", " ", "plain", 'q"uo\'te', "back\\slash", "line\nbreak\ttab", "\x01\x1f\x7f", "é 漢字 😀", "%s {}", "null", "\u2028", "__x",
]
NUMERICS = ["0", "-0.00", "1.500", "NaN", "Infinity", "-Infinity", "123456789012345678901234567890.123456789", "1e-50", "1e100"]
FLOATS = ["0", "-0", "0.1", "NaN", "Infinity", "-Infinity", "1e-40", "3.4e38", "1", "123456.789"]
JSONS = [
    "null", " null ", "true", "1.00", "1e400", '"x"', '{"a": 1.0, "a": 2}', "[1 , 2]", '{"b":"\\u00e9"}', "[]",
    '{"n":12345678901234567890.10}', '"null"',
]
ONLY_JSON = ['"\\u0000"', '{"s":"\\ud800"}', "[" * 50 + "]" * 50]
TIMESTAMPS = [
    "2000-01-01 00:00:00", "1999-12-31 23:59:59.999999", "infinity", "-infinity", "0044-03-15 12:00:00 BC", "12345-06-07 08:09:10.5",
    "2024-02-29 23:59:60",
]


class Source:
    """Writes random transactions over one connection; the same seed gives the same ones."""

    def __init__(self, connection, seed):
        self.connection = connection
        self.random = random.Random(seed)
        self.prepared = []
        self.ddl = 0
        self.count = 0

    def run(self, sql, parameters=None):
        self.connection.execute(sql, parameters)

    def pick(self, values):
        return None if self.random.random() < 0.1 else self.random.choice(values)

    def text(self):
        return self.pick(TEXTS + [self.random.choice(TEXTS) * 30])

    def big(self):
        """Too large for its page."""
        length = self.random.choice([10, 3000, 9000])
        return "".join(self.random.choice("abcdefgh\\\"é") for _ in range(length))

    def row(self, table):
        """Column -> (value, cast) of a new row."""
        r = self.random
        if table == "plain":
            return {"note": (self.text(), "text"), "at": (self.pick(TIMESTAMPS), "timestamptz")}
        if table == "numbers":
            return {
                "s": (self.pick([-32768, 0, 32767]), "smallint"), "n": (self.pick(NUMERICS), "numeric"),
                "r": (self.pick(FLOATS), "real"), "d": (self.pick(FLOATS + ["5e-324", "1.7976931348623157e308"]), "double precision"),
                "p": (self.pick(["1", "0.5"]), "numeric"), "m": (self.pick(["1.5", "-3"]), "money"), "o": (self.pick([0, 4294967295]), "oid"),
            }
        if table == "times":
            moment = r.choice(TIMESTAMPS)
            return {
                "d": (self.pick(["2024-02-29", "infinity", "0001-01-01 BC", "5874897-12-31"]), "date"),
                "t": (self.pick(["00:00", "24:00", "12:34:56.789"]), "time"),
                "tz": (self.pick(["12:00+02", "23:59:59.5-15:59:59"]), "timetz"),
                "ts": (self.pick(TIMESTAMPS), "timestamp"), "tstz": (moment, "timestamptz"),
                "i": (self.pick(["1 year -2 months 3 days 04:05:06.7", "0", "-1 day"]), "interval"),
                "r": (self.pick(["empty", "[2020-01-01,)", "(,2021-01-01 12:00+05]"]), "tstzrange"),
                "mr": (self.pick(["{}", "{[1,3),[5,9)}"]), "int4multirange"),
            }
        if table == "texts":
            data = self.pick([b"", b"\x00\xff\\", bytes(range(256))])
            return {
                "c": (self.pick(["a", "abcde"]), "text"), "v": (self.pick([t for t in TEXTS]), "text"), "b": (data, "bytea"),
                "ba": (self.pick([[], [b"\x00", None, b"\\x"]]), "bytea[]"),
                "u": (self.pick(["00112233-4455-6677-8899-aabbccddeeff"]), "uuid"), "n": (self.pick(["10.0.0.1/8", "::1"]), "inet"),
                "bits": (self.pick(["", "10110"]), "varbit"), "x": (self.pick(["<a b='c'>d</a>"]), "xml"), "q": (self.pick(["a:1 'b c'"]), "tsvector"),
            }
        if table == "documents":
            return {
                "j": (self.pick(JSONS + ONLY_JSON), "json"), "jb": (self.pick(JSONS[:4] + JSONS[5:]), "jsonb"),
                "ja": (self.pick(["{}", '[{"a":null}]']), "jsonb"),
            }
        if table == "shapes":
            return {
                "a": (self.pick(["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={7,8}"]), "int[]"),
                "ta": (self.pick(['{"a,b","c\\"d",NULL,""}', "{}"]), "text[]"), "m": (self.pick(["sad", 'happy "quoted"']), "replay.mood"),
                "ms": (self.pick(["{sad,ok}", "{}"]), "replay.moods"), "c": (self.pick(['("a ""b""",5,2020-01-01)', "(,,)"]), "replay.address"),
                "ca": (self.pick(['{"(x,1,)",NULL}']), "replay.address[]"),
            }
        if table == "wide":
            return {"big": (self.big(), "text"), "small": (r.randrange(10), "int"), "other": (self.text(), "text")}
        if table == "whole":
            return {"a": (r.randrange(5), "int"), "b": (self.pick(["x", "y"]), "text"), "big": (self.big(), "text")}
        if table == "indexed":
            return {"c": (self.pick([1, 2]), "int")}
        if table == "ranged":
            return {"note": (self.text(), "text")}
        if table == "generated":
            return {"a": (self.pick([1, -7]), "int")}
        return {"select": (self.text(), "text"), "é\\": (self.pick([1, 2]), "int")}

    KEYS = {
        "texts": {"id": "text"}, "indexed": {"a": "int", "b": "text"}, "ranged": {"id": "int", "at": "date"},
        'odd "name" %': {'key "1" %': "int"}, "whole": {}, "generated": {},
    }

    def key(self, table):
        values = {}
        for name, kind in self.KEYS.get(table, {"id": "int"}).items():
            value = self.random.randrange(40)
            if kind == "text":
                value = self.random.choice(TEXTS) + str(value)
            elif kind == "date":
                value = self.random.choice(["2019-05-05", "2021-06-06", "2022-02-02"])
            values[name] = (value, kind)
        return values

    def insert(self, table):
        values = self.key(table) | self.row(table)
        names = ", ".join(escaped(n) for n in values)
        casts = ", ".join(f"%s::{kind}" for _, kind in values.values())
        target = f"replay.{escaped(table)}"
        self.run(
            f"INSERT INTO {target} ({names}) VALUES ({casts}) ON CONFLICT DO NOTHING", [value for value, _ in values.values()]
        )

    def where(self, table):
        if table in ("whole", "generated"):
            return f"ctid = (SELECT ctid FROM replay.{table} ORDER BY ctid LIMIT 1 OFFSET {self.random.randrange(5)})", []
        key = self.key(table)
        return (
            " AND ".join(f"{escaped(n)} = %s::{kind}" for n, (_, kind) in key.items()),
            [value for value, _ in key.values()],
        )

    def update(self, table):
        values = self.row(table)
        chosen = self.random.sample(list(values), self.random.randrange(1, len(values) + 1))
        if table == "wide" and self.random.random() < 0.7:
            chosen = ["small"]
        sets = [(f"{escaped(n)} = %s::{values[n][1]}", values[n][0]) for n in chosen]
        # A new key, where no row has it.
        condition, parameters = self.where(table)
        target = f"replay.{escaped(table)}"
        key = self.key(table)
        if key and self.random.random() < 0.2:
            taken = " AND ".join(f"o.{escaped(n)} = %s::{kind}" for n, (_, kind) in key.items())
            condition += f" AND NOT EXISTS (SELECT FROM {target} AS o WHERE {taken})"
            parameters = parameters + [value for value, _ in key.values()]
            sets += [(f"{escaped(n)} = %s::{kind}", value) for n, (value, kind) in key.items()]
        self.run(
            f"UPDATE {target} SET {', '.join(part for part, _ in sets)} WHERE {condition}", [value for _, value in sets] + parameters
        )

    def delete(self, table):
        condition, parameters = self.where(table)
        self.run(f"DELETE FROM replay.{escaped(table)} WHERE {condition}", parameters)

    def change(self):
        table = self.random.choice(list(TABLES))
        self.random.choices([self.insert, self.update, self.delete], [5, 4, 1])[0](table)

    def schema_change(self):
        """Columns come, change and go; a type gets a value; an index changes nothing."""
        self.ddl += 1
        kinds = [
            f"ALTER TABLE replay.plain ADD COLUMN extra_{self.ddl} int DEFAULT {self.ddl}",
            f"ALTER TABLE replay.ranged ADD COLUMN extra_{self.ddl} text DEFAULT 'd\"{self.ddl}'",
            f"ALTER TABLE replay.wide ALTER COLUMN small TYPE {self.random.choice(['bigint', 'int', 'numeric'])}",
            f"ALTER TABLE replay.shapes ADD COLUMN gone int DEFAULT 1; ALTER TABLE replay.shapes DROP COLUMN gone",
            f"CREATE INDEX ON replay.plain (note, at) WHERE id > {self.ddl}",
            f"ALTER TYPE replay.mood ADD VALUE 'mood {self.ddl}'",
        ]
        for statement in kinds[self.ddl % len(kinds)].split("; "):
            self.run(statement)

    def body(self):
        for _ in range(self.random.randrange(1, 6)):
            kind = self.random.random()
            if kind < 0.15:
                self.run("SAVEPOINT s")
                self.change()
                if self.random.random() < 0.5:
                    self.run("ROLLBACK TO SAVEPOINT s")
                else:
                    self.run("RELEASE SAVEPOINT s")
            else:
                self.change()

    def transaction(self):
        self.count += 1
        kind = self.random.random()
        if kind < 0.01:
            self.schema_change()
            return
        if kind < 0.013:
            self.run(f"TRUNCATE replay.{quoted(self.random.choice(['plain', 'whole', 'ranged', 'documents']))}")
            return
        self.run("BEGIN")
        self.body()
        if kind < 0.1:
            self.run("ROLLBACK")
        elif kind < 0.13:
            self.run(f"PREPARE TRANSACTION 'replay {self.count}'")
            self.run(f"{self.random.choice(['COMMIT', 'COMMIT', 'ROLLBACK'])} PREPARED 'replay {self.count}'")
        else:
            self.run("COMMIT")
