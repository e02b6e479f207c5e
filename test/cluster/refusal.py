"""What an error says, in all its parts."""

import psycopg
import pytest


def refused(database, sql, parameters=None, *, sqlstate, message=None, detail=None, hint=None, **connect):
    """Runs the statement, which fails with this SQLSTATE and with these texts in its parts; gives the error's parts."""
    with database.connect(**connect) as connection:
        return refused_in(connection, sql, parameters, sqlstate=sqlstate, message=message, detail=detail, hint=hint)


def refused_in(connection, sql, parameters=None, *, sqlstate, message=None, detail=None, hint=None):
    """The same in a session that is there."""
    with pytest.raises(psycopg.Error) as raised:
        connection.execute(sql, parameters)
    parts = raised.value.diag
    said = (raised.value.sqlstate, parts.message_primary, parts.message_detail, parts.message_hint)
    assert raised.value.sqlstate == sqlstate, said
    for text, part in ((message, parts.message_primary), (detail, parts.message_detail), (hint, parts.message_hint)):
        assert text is None or text in (part or ""), said
    return parts
