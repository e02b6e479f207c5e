"""A reader of change events that makes the tables again from the events alone, in each format."""

import json

PLACEHOLDER = "__debezium_unavailable_value"


def quoted(name):
    """An identifier in a statement that the driver looks for placeholders in."""
    return '"' + name.replace('"', '""').replace("%", "%%") + '"'


class Fold:
    """Applies events to a target database that has the same tables, empty. DDL events change it, too."""

    def __init__(self, target, format):
        self.connection = target.connect()
        # Rows come in the order of their commits; constraints between tables were checked at the source.
        self.connection.execute("SET session_replication_role = replica")
        self.format = format
        self.tables = {}

    def columns(self, schema, table):
        """name -> (type, generated, identity) in order; read again after DDL."""
        if (schema, table) not in self.tables:
            self.tables[schema, table] = {
                name: (type_name, generated, identity)
                for name, type_name, generated, identity in self.connection.execute(
                    "SELECT a.attname, format_type(a.atttypid, NULL), a.attgenerated <> '', a.attidentity = 'a' FROM pg_attribute AS a"
                    " WHERE a.attrelid = format('%%I.%%I', %s::text, %s::text)::regclass"
                    " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                    [schema, table],
                )
            }
        return self.tables[schema, table]

    def parts(self, event):
        """(before, after, unchanged, verbatim, partition) of a row event: after and before as SQL expressions on $1."""
        payload = json.loads(event["payload"])
        if self.format == "cloudevents":
            data = payload["data"]
            return "data,before", "data,after", data
        if self.format == "debezium":
            return "before", "after", payload
        return '"",before', "", payload.get("", {})

    def value(self, column, type_name, path, verbatim):
        """An SQL expression for the column's value out of the row at the path of the payload."""
        row = f"(%(payload)s::json #> '{{{path}}}')" if path else "%(payload)s::json"
        name = "'" + column.replace("'", "''").replace("%", "%%") + "'"
        text = f"({row} ->> {name})"
        if type_name == "bytea":
            return f"decode({text}, 'base64')"
        if type_name == "bytea[]":
            return (
                f"CASE WHEN {text} IS NOT NULL THEN ARRAY(SELECT decode(e, 'base64') FROM json_array_elements_text({row} -> {name})"
                " WITH ORDINALITY AS u (e, n) ORDER BY n) END"
            )
        if type_name in ("json", "jsonb"):
            if self.format == "debezium" or verbatim:
                return f"{text}::{type_name}"
            return f"CASE WHEN {text} IS NOT NULL THEN ({row} -> {name})::{type_name} END"
        return None  # as json_populate_record() reads it

    def apply(self, event):
        """event: a dict of the columns of poll_events(), payload as text."""
        op = event["op"]
        if op == "ddl":
            payload = json.loads(event["payload"])
            ddl = payload["data"] if self.format == "cloudevents" else payload.get("change") or payload[""]["ddl"]
            if not ddl.get("dropped"):
                self.connection.execute(ddl["statement"])
            self.tables.clear()
        elif op == "truncate":
            self.run(f"TRUNCATE {quoted(event['schema'])}.{quoted(event['table'])}", [])
        elif op in ("insert", "read", "update", "delete"):
            self.apply_row(event)

    def apply_row(self, event):
        schema, table = event["schema"], event["table"]
        target = f"{quoted(schema)}.{quoted(table)}"
        columns = self.columns(schema, table)
        before, after, remarks = self.parts(event)
        verbatim = set(remarks.get("verbatim", []))
        unchanged = set(remarks.get("unchanged", []))
        if self.format == "debezium" and event["op"] == "update":
            unchanged = {name for name, value in remarks["after"].items() if value == PLACEHOLDER}
        parameters = {"payload": event["payload"], "key": event["key"]}
        old = self.old_row(event, target, columns, before, remarks, parameters)
        if event["op"] == "delete":
            self.run(f"DELETE FROM {target} WHERE {old}", parameters, 1)
            return
        assigned = [name for name, (_, generated, identity) in columns.items()
            if name not in unchanged and not generated and not (identity and event["op"] == "update")]
        names = ", ".join(quoted(name) for name in assigned)
        values = [
            self.value(name, columns[name][0], after, name in verbatim) or f"r.{quoted(name)}" for name in assigned
        ]
        row = f"%(payload)s::json #> '{{{after}}}'" if after else "%(payload)s::json"
        source = f"SELECT {', '.join(values)} FROM json_populate_record(NULL::{target}, {row}) AS r"
        if event["op"] == "update":
            self.run(f"UPDATE {target} SET ({names}) = ({source}) WHERE {old}", parameters, 1)
        elif event["op"] == "read":
            self.run(f"DELETE FROM {target} WHERE {old}", parameters)
            self.run(f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE {source}", parameters, 1)
        else:
            self.run(f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE {source}", parameters, 1)

    def old_row(self, event, target, columns, before, remarks, parameters):
        """A condition that finds the row: by the old key, or by the whole old row."""
        key = json.loads(event["key"]) if event["key"] else None
        source = parameters["payload"]
        old = remarks.get("before")
        if event["op"] == "delete" and self.format == "row":
            old, before = json.loads(source), ""
        row = f"%(payload)s::json #> '{{{before}}}'" if before else "%(payload)s::json"
        if key is not None:
            names = list(key)
            if old is None:
                row = "%(key)s::json"
        else:
            names = [name for name, (_, generated, _) in columns.items() if not generated]
        conditions = []
        for name in names:
            mine = f"t.{quoted(name)}"
            if columns[name][0] == "json":
                mine, value = f"{mine}::text", f"(r.{quoted(name)})::text"
            else:
                value = self.value(name, columns[name][0], before, False) or f"r.{quoted(name)}"
            conditions.append(f"{mine} IS NOT DISTINCT FROM {value}")
        return (
            f"(tableoid, ctid) = (SELECT t.tableoid, t.ctid FROM {target} AS t, json_populate_record(NULL::{target}, {row}) AS r"
            f" WHERE {' AND '.join(conditions)} LIMIT 1)"
        )

    def run(self, sql, parameters, expected=None):
        cursor = self.connection.execute(sql, parameters)
        if expected is not None and cursor.rowcount != expected:
            raise AssertionError(f"{cursor.rowcount} rows instead of {expected}: {sql}\n{parameters}")


def poll(connection, stream, max_events=1000, max_wait="0"):
    """Events as dicts, payload and key as the text that the server wrote."""
    cursor = connection.execute(
        "SELECT id, node, lsn, committed_at, xid, op, schema, \"table\", topic, key::text, payload::text, position"
        " FROM teamscale.poll_events(%s, %s, %s)",
        [stream, max_events, max_wait],
    )
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor]


def drain(connection, stream, max_events=1000):
    """All events that there are, polled and acked batch by batch."""
    while batch := poll(connection, stream, max_events):
        yield from batch
        connection.execute("SELECT teamscale.ack_events(%s, %s)", [stream, batch[-1]["position"]])
