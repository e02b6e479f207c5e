"""A query over sharded tables is answered as plain tables answer it, or refused: never in part."""

import os

import psycopg
import pytest

import random_queries

QUERIES = int(os.environ.get("TEAMSCALE_QUERIES", "800"))


def answer(connection, sql):
    try:
        return sorted(map(repr, connection.execute(sql).fetchall()))
    except psycopg.Error as error:
        return error.sqlstate


@pytest.mark.parametrize("seed", [21, 22])
def test_random_queries_are_answered_whole_or_refused(cluster, twin, seed):
    connections = [node.connect() for node in cluster.nodes]
    plain = twin.connect()
    for statement in random_queries.SCHEMA + list(random_queries.rows(seed)):
        connections[0].execute(statement)
        plain.execute(statement)
    for table in ("t0", "t1", "t2"):
        connections[0].execute("SELECT teamscale.distribute_table(%s, 'k')", [table])

    generator = random_queries.Generator(seed)
    answered = 0
    for number in range(QUERIES):
        sql = generator.query()
        given = answer(connections[number % 3], sql)
        if given == "0A000":
            continue
        expected = answer(plain, sql)
        assert given == expected, f"seed {seed}, query {number}: {sql}"
        answered += isinstance(given, list) and "WHERE" in sql
    assert answered > QUERIES / 20, "the generator makes queries that one node can answer"
