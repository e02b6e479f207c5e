"""Tables that are made again from change events alone are the tables that the changes were made to."""

import os

import pytest

import event_source
from event_fold import Fold, drain

TRANSACTIONS = int(os.environ.get("TEAMSCALE_TRANSACTIONS", "120"))
FORMATS = ["cloudevents", "debezium", "row"]


@pytest.mark.parametrize("format", FORMATS)
def test_folding_the_events_gives_the_tables(make_database, format):
    source, target = make_database(), make_database(extension=False)
    connection = source.connect()
    for database in (connection, target.connect()):
        event_source.create(database)
    connection.execute(
        "SELECT teamscale.create_event_stream('replay', '{replay.*}', %s, ddl => true, numeric_as => %s)",
        [format, "number" if format == "row" else "string"],
    )
    writer = event_source.Source(connection, seed=FORMATS.index(format))
    fold = Fold(target, format)
    for _ in range(TRANSACTIONS):
        writer.transaction()
    reader = source.connect()
    # Small batches: many begin in the middle of a transaction.
    for event in drain(reader, "replay", max_events=40 if TRANSACTIONS < 1000 else 5000):
        fold.apply(event)
    assert event_source.contents(fold.connection) == event_source.contents(connection)
