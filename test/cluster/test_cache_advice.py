"""cache_advice: what hit ratio memory of another size would have, from a sample of the look-ups."""

import pytest

# Requests for few keys often and for many seldom; the same on every server.
LOOK_UPS = "SELECT count(value_of((random() ^ 4 * 120000)::int)) FROM generate_series(1, 400000), (SELECT setseed(0.5)) AS seed"
MEASURED = "SELECT hits::float8 / (hits + misses) FROM teamscale.stat_cache"


def make_cache(server):
    database = server.create_database()
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION teamscale")
        connection.execute("CREATE TABLE t AS SELECT i AS k, i AS v FROM generate_series(0, 120000) AS i")
        connection.execute("CREATE UNIQUE INDEX ON t (k)")
        connection.execute("SELECT teamscale.create_cache('value_of', 't', 'k', 'v')")
    return database


@pytest.mark.parametrize("size", [4, 8])
def test_the_advice_of_a_size_is_what_that_size_gives(make_server, size):
    server = make_server()
    server.configure(**{"teamscale.cache_size": "4MB"})
    server.restart()
    database = make_cache(server)
    assert database.value("SELECT count(hit_ratio) FROM teamscale.cache_advice") == 0
    database.execute(LOOK_UPS)
    advised = database.value("SELECT hit_ratio FROM teamscale.cache_advice WHERE cache_size = %s", [size << 20])
    server.configure(**{"teamscale.cache_size": f"{size}MB"})
    server.restart()
    database.execute(LOOK_UPS)
    assert advised == pytest.approx(database.value(MEASURED), abs=0.03)
