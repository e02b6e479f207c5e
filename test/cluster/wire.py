"""A client that sends single messages of PostgreSQL's protocol, in orders that no driver does."""

import socket
import struct


class Wire:
    def __init__(self, database, user="postgres"):
        self.socket = socket.create_connection(("127.0.0.1", database.server.port), timeout=30)
        parameters = b"".join(part.encode() + b"\0" for part in ("user", user, "database", database.name)) + b"\0"
        self.socket.sendall(struct.pack("!II", 8 + len(parameters), 196608) + parameters)
        self.answers()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _read(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            assert part, "the server has closed the connection"
            data += part
        return data

    def send(self, kind, *parts):
        body = b"".join(part if isinstance(part, bytes) else part.encode() + b"\0" for part in parts)
        self.socket.sendall(kind.encode() + struct.pack("!I", 4 + len(body)) + body)

    def bind(self, portal, sql):
        """Parses a statement without parameters and binds a portal to it; its rows come as text."""
        self.send("P", "", sql, struct.pack("!H", 0))
        self.send("B", portal, "", struct.pack("!HHH", 0, 0, 0))

    def execute(self, portal, limit=0):
        self.send("E", portal, struct.pack("!I", limit))

    def sync(self):
        self.send("S")
        return self.answers()

    def query(self, sql):
        self.send("Q", sql)
        return self.answers()

    def answers(self):
        """What comes until the server waits for messages: rows as tuples of text, tags, and SQLSTATEs."""
        found = []
        while True:
            kind, length = struct.unpack("!cI", self._read(5))
            body = self._read(length - 4)
            if kind == b"Z":
                return found
            if kind == b"D":
                found.append(self._row(body))
            elif kind == b"C":
                found.append(body[:-1].decode())
            elif kind == b"s":
                found.append("suspended")
            elif kind == b"E":
                fields = dict((field[:1], field[1:].decode()) for field in body.split(b"\0") if field)
                found.append("error " + fields[b"C"])

    @staticmethod
    def _row(body):
        row, position = [], 2
        for _ in range(struct.unpack_from("!H", body)[0]):
            (length,) = struct.unpack_from("!i", body, position)
            position += 4
            row.append(None if length < 0 else body[position : position + length].decode())
            position += max(length, 0)
        return tuple(row)
