"""Random queries over several tables that share a key: joins of all kinds, subqueries, set operations, CTEs.

Whether one node can answer such a query depends on where its conditions stand. Tables are t0, t1 and t2 (k, x, y);
k is the key. Conditions often compare keys with each other or with a constant, so that about half of the queries are
pinned. The generator is a function of its seed. Results have no order but for their rows.
"""

import random

SCHEMA = [f"CREATE TABLE t{i} (k bigint NOT NULL, x int, y bigint, PRIMARY KEY (k, x))" for i in range(3)]
KEYS = 6


def rows(seed):
    rng = random.Random(seed)
    for table in range(3):
        for k in range(1, KEYS + 1):
            for x in range(1, rng.randint(1, 4)):
                yield f"INSERT INTO t{table} VALUES ({k}, {x}, {rng.randint(1, KEYS)})"


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def query(self):
        self.names = 0
        self.constant = self.rng.randint(1, KEYS)
        form = self.rng.randrange(6)
        if form == 0:
            name, _ = self.alias()
            inner = self.select(2, [])
            return f"WITH {name} AS ({inner}) SELECT * FROM {name} JOIN t0 ON {name}.k = t0.k{self.where([name, 't0'], 1)}"
        if form == 1:
            return self.set_operation(2, [])
        return self.select(2, [])

    def alias(self):
        self.names += 1
        return f"q{self.names}", self.names

    def key(self, names):
        return f"{self.rng.choice(names)}.k" if names else str(self.constant)

    def term(self, names):
        if self.rng.random() < 0.65 or not names:
            return str(self.constant)
        return f"{self.rng.choice(names)}.{self.rng.choice(['k', 'k', 'k', 'y', 'x'])}"

    def condition(self, names, depth, outer=()):
        every = list(names) + list(outer)
        form = self.rng.randrange(14 if depth else 9)
        if form < 6:
            return f"{self.key(names)} = {self.term(every)}"
        if form == 6:
            return f"{self.rng.choice(names)}.x > {self.rng.randint(0, 2)}"
        if form == 7:
            return f"({self.condition(names, 0, outer)} OR {self.condition(names, 0, outer)})"
        if form == 8:
            return f"NOT ({self.condition(names, 0, outer)})"
        if form in (9, 10):
            negation = self.rng.choice(["", "", "NOT "])
            return f"{self.key(names)} {negation}IN ({self.some_keys(depth - 1, every)})"
        if form in (11, 12):
            negation = self.rng.choice(["", "NOT "])
            return f"{negation}EXISTS ({self.select(depth - 1, every)})"
        return f"{self.key(names)} = (SELECT max(k) FROM ({self.select(depth - 1, every)}) m)"

    def some_keys(self, depth, outer):
        if self.rng.random() < 0.4:
            return self.set_operation(depth, outer)
        return self.select(depth, outer)

    def where(self, names, depth, outer=()):
        conditions = [self.condition(names, depth, outer) for _ in range(self.rng.choice([1, 1, 2, 2, 3, 0]))]
        return " WHERE " + " AND ".join(conditions) if conditions else ""

    def source(self, depth, outer):
        """(FROM item, alias)"""
        name, _ = self.alias()
        form = self.rng.randrange(8 if depth else 3)
        if form < 4:
            return f"{self.rng.choice(['t0', 't1', 't2'])} {name}", name
        if form == 4:
            return f"({self.set_operation(depth - 1, [])}) {name} (k)", f"{name}"
        if form == 5:
            return f"(VALUES ({self.constant}::bigint), ({self.rng.choice([self.constant, 1])})) {name} (k)", name
        return f"({self.select(depth - 1, [])}) {name} (k)", name

    def from_clause(self, depth, outer):
        item, name = self.source(depth, outer)
        names = [name]
        for _ in range(self.rng.choice([0, 0, 1, 1, 2])):
            item2, name2 = self.source(depth, outer)
            names.append(name2)
            kind = self.rng.choice(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
            on = f"{self.key(names[:-1])} = {name2}.k"
            # FULL JOIN takes only conditions that it can merge or hash by.
            if kind != "FULL JOIN" and self.rng.random() < 0.3:
                on = " AND ".join(self.condition(names, 0) for _ in range(self.rng.randint(1, 2)))
            item = f"({item} {kind} {item2} ON {on})"
        return item, names

    def select(self, depth, outer):
        """One column, k."""
        item, names = self.from_clause(depth, outer)
        where = self.where(names, depth, outer)
        out = self.key(names)
        form = self.rng.randrange(12)
        if form == 0:
            return f"SELECT {out} AS k FROM {item}{where} GROUP BY {out}"
        if form == 1:
            return f"SELECT max({out}) AS k FROM {item}{where}"
        if form == 2:
            return f"SELECT DISTINCT {out} AS k FROM {item}{where}"
        if form == 3:
            return f"SELECT {out} AS k FROM {item}{where} ORDER BY 1 LIMIT {self.rng.randint(1, 3)}"
        if form == 4:
            return f"SELECT count(*) AS k FROM {item}{where}"
        if form == 5:
            return f"SELECT k FROM (SELECT {out} AS k, row_number() OVER (PARTITION BY {self.key(names)}) AS n FROM {item}{where}) w WHERE n = 1"
        return f"SELECT {out} AS k FROM {item}{where}"

    def set_operation(self, depth, outer):
        operation = self.rng.choice(["UNION", "UNION ALL", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL"])
        other = f"SELECT {self.rng.choice([self.constant, 2])}::bigint" if self.rng.random() < 0.3 else self.select(depth, outer)
        return f"({self.select(depth, outer)}) {operation} ({other})"
