"""Each guard that keeps the cache exact: with it no answer differs, without it one does."""

import contextlib

import pytest

from waiting import stopped_at

SETUP = """
    CREATE TABLE assignment (team_id bigint, server_id bigint) PARTITION BY RANGE (team_id);
    CREATE TABLE low PARTITION OF assignment FOR VALUES FROM (0) TO (50);
    CREATE TABLE high (team_id bigint, server_id bigint);
    INSERT INTO assignment VALUES (1, 1), (2, 2);
    INSERT INTO high VALUES (70, 7);
    SELECT teamscale.create_cache('servers_of_team', 'assignment', 'team_id', 'server_id', order_by => 'server_id');
    CREATE FUNCTION differs(k bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            RETURN servers_of_team(k) IS DISTINCT FROM
                   (SELECT coalesce(array_agg(server_id ORDER BY server_id), '{}') FROM assignment WHERE team_id = k);
        END $$;
"""
TRUTH = "SELECT coalesce(array_agg(server_id ORDER BY server_id), '{}') FROM assignment WHERE team_id = %s"


class Scene:
    def __init__(self, database, removed):
        self.database = database
        self.removed = removed

    @contextlib.contextmanager
    def session(self, **parameters):
        with self.database.connect(**parameters) as connection:
            connection.execute(f"SET teamscale.removed_guard = '{self.removed}'")
            yield connection

    @staticmethod
    def cached(connection, key):
        return connection.execute("SELECT servers_of_team(%s)", [key]).fetchone()[0]

    def differs(self, connection, key):
        return self.cached(connection, key) != connection.execute(TRUTH, [key]).fetchone()[0]


def a_change_after_the_answer(scene):
    with scene.session() as reader, scene.session() as writer:
        scene.cached(reader, 1)
        writer.execute("INSERT INTO assignment VALUES (1, 10)")
        return scene.differs(reader, 1)


def the_key_that_a_row_leaves(scene):
    with scene.session() as reader, scene.session() as writer:
        scene.cached(reader, 1)
        writer.execute("UPDATE assignment SET team_id = 3 WHERE team_id = 1")
        return scene.differs(reader, 1)


def the_key_that_a_row_comes_to(scene):
    with scene.session() as reader, scene.session() as writer:
        scene.cached(reader, 3)
        writer.execute("UPDATE assignment SET team_id = 3 WHERE team_id = 1")
        return scene.differs(reader, 3)


def a_look_from_within_the_writing_statement(scene):
    with scene.session() as writer:
        writer.execute("BEGIN")
        writer.execute("UPDATE assignment SET server_id = 100 WHERE team_id = 1")
        writer.execute(
            "INSERT INTO assignment SELECT 2, CASE WHEN differs(2) THEN 1000 ELSE 10 END FROM generate_series(1, 3)"
        )
        return writer.execute("SELECT count(*) FROM assignment WHERE server_id = 1000").fetchone()[0] > 0


def an_old_snapshot_after_a_change(scene):
    with scene.session() as old, scene.session() as other:
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1")
        other.execute("INSERT INTO assignment VALUES (1, 10)")
        scene.cached(other, 1)
        return scene.differs(old, 1)


def a_truncated_table(scene):
    with scene.session() as reader, scene.session() as writer:
        scene.cached(reader, 1)
        writer.execute("TRUNCATE low")
        return scene.differs(reader, 1)


def a_partition_that_is_attached_and_not_yet_told_of(scene):
    with scene.session() as reader, scene.session() as definer, scene.session() as later:
        scene.cached(reader, 70)
        attach = "ALTER TABLE assignment ATTACH PARTITION high FOR VALUES FROM (50) TO (100)"
        with stopped_at(scene.database, "cache definition change visible", definer, attach):
            scene.cached(reader, 70)
        return scene.differs(later, 70)


def a_partition_that_is_detached(scene):
    with scene.session() as reader, scene.session() as definer:
        scene.cached(reader, 1)
        definer.execute("ALTER TABLE assignment DETACH PARTITION low CONCURRENTLY")
        return scene.differs(reader, 1)


def a_table_without_its_triggers(scene):
    with scene.session() as reader, scene.session() as writer:
        writer.execute("ALTER TABLE assignment DISABLE TRIGGER ALL")
        scene.cached(reader, 1)
        writer.execute("INSERT INTO assignment VALUES (1, 10)")
        return scene.differs(reader, 1)


SCENES = [
    (a_change_after_the_answer, "record"),
    (the_key_that_a_row_leaves, "old key"),
    (the_key_that_a_row_comes_to, "new key"),
    (a_look_from_within_the_writing_statement, "own writes"),
    (an_old_snapshot_after_a_change, "latest horizon"),
    (a_truncated_table, "floor"),
    (a_partition_that_is_attached_and_not_yet_told_of, "definition lock"),
    (a_partition_that_is_detached, "floor"),
    (a_table_without_its_triggers, "triggers"),
]


@pytest.fixture
def database(make_database):
    database = make_database()
    with database.connect() as connection:
        connection.execute(SETUP)
    return database


@pytest.mark.parametrize("scene, guard", SCENES, ids=lambda value: getattr(value, "__name__", None))
def test_exact_with_the_guard_and_stale_without(database, scene, guard):
    assert not scene(Scene(database, ""))
    with database.connect() as connection:
        connection.execute("DROP TABLE assignment, high CASCADE; DROP TABLE IF EXISTS low; DROP FUNCTION differs(bigint)")
        connection.execute(SETUP)
    assert scene(Scene(database, guard))
