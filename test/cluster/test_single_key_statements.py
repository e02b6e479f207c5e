"""A sharded table answers single-key statements as a plain table does: rows, counts and SQLSTATEs."""

import os
import random

import psycopg
import pytest

import single_key_statements as statements

STATEMENTS = int(os.environ.get("TEAMSCALE_STATEMENTS", "300"))


def outcome(connection, sql, parameters):
    """What a statement gives: (SQLSTATE or None, rows as a sorted list or None, row count)."""
    try:
        cursor = connection.execute(sql, parameters)
    except psycopg.Error as error:
        return error.sqlstate, None, None
    rows = sorted(map(repr, cursor.fetchall())) if cursor.description else None
    return None, rows, cursor.rowcount


@pytest.mark.parametrize("seed", [11, 12])
def test_single_key_statements_match_a_plain_twin(cluster, twin, seed):
    connections = [node.connect(autocommit=True) for node in cluster.nodes]
    plain = twin.connect(autocommit=True)
    for create in statements.SCHEMA:
        connections[0].execute(create)
        plain.execute(create)
    for table in statements.TABLES:
        connections[0].execute("SELECT teamscale.distribute_table(%s, 'team_id')", [table])
    connections[0].execute("SELECT teamscale.run_on_all_nodes(%s)", [statements.FOREIGN_KEY])
    plain.execute(statements.FOREIGN_KEY)
    rng = random.Random(seed)
    for insert in statements.rows(seed):
        rng.choice(connections).execute(insert)
        plain.execute(insert)

    generator = statements.Generator(seed)
    refused = 0
    for number in range(STATEMENTS):
        sql, parameters = generator.statement()
        expected = outcome(plain, sql, parameters)
        given = outcome(rng.choice(connections), sql, parameters)
        assert given == expected, f"seed {seed}, statement {number}: {sql} {parameters}"
        refused += expected[0] is not None
    assert 0 < refused < STATEMENTS / 2, "the generator makes both good and bad statements"
