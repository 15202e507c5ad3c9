"""pg_proxy - a line to PostgreSQL that breaks where a scenario wants it to.

It reads the messages of both sides (postgresql.org/docs/15/protocol-message-formats.html) and
passes them on whole, so that a cut lies between two of them.

    line = Proxy(case, pg)
    case.run("run", "--postgres", line.at(), ...)
    line.pause_after(1 << 20)     # bytes from the server; line.paused.wait(); line.go()
    line.cut_before("COMMIT", 3)  # the third one never gets to the server
    line.cut_after("COMMIT")      # the server has done the first, and nobody hears of it
    line.hold("COMMIT")           # line.paused.wait(); line.go()
    line.cut()                    # every connection, now
"""

import re
import socket
import struct
import threading
import time

import kit

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102


class Closed(Exception):
    pass


class Pipe:
    """One client and its connection to the server."""

    def __init__(self, proxy, client):
        self.proxy, self.client = proxy, client
        self.server = socket.create_connection(("127.0.0.1", proxy.pg.port))
        self.statement = ""  # the last one that was asked for
        for s in (self.client, self.server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        for s in (self.client, self.server):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def run(self, side):
        try:
            self.from_client() if side == "client" else self.from_server()
        except (Closed, OSError):
            pass
        finally:
            self.close()

    @staticmethod
    def exactly(s, n):
        parts = []
        while n:
            part = s.recv(min(n, 1 << 20))
            if not part:
                raise Closed()
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def startup(self):
        while True:
            head = self.exactly(self.client, 8)
            size, code = struct.unpack("!II", head)
            body = self.exactly(self.client, size - 8)
            if code not in (SSL_REQUEST, GSS_REQUEST):
                self.server.sendall(head + body)
                return
            self.client.sendall(b"N")

    def message(self, s):
        head = self.exactly(s, 5)
        body = self.exactly(s, struct.unpack("!I", head[1:])[0] - 4)
        return head[:1], body, head + body

    def from_client(self):
        self.startup()
        while True:
            kind, body, whole = self.message(self.client)
            if kind in (b"Q", b"P"):
                self.statement = body.decode(errors="replace")
                if self.proxy.wants("hold", self.statement):
                    self.proxy.wait()
                if self.proxy.wants("before", self.statement):
                    raise Closed()
            self.server.sendall(whole)

    def from_server(self):
        """What came together goes on together: a row is a message, and there are a great many."""
        got = bytearray()
        while True:
            part = self.server.recv(1 << 18)
            if not part:
                raise Closed()
            got += part
            at = done = 0
            while len(got) - at >= 5:
                size = 1 + struct.unpack_from("!I", got, at + 1)[0]
                if len(got) - at < size:
                    break
                ends = got[at:at + 1] == b"C" and self.proxy.wants("after", self.statement)
                if ends or not self.proxy.may_pass(size):
                    self.client.sendall(got[done:at])
                    done = at
                    if ends:
                        raise Closed()
                    self.proxy.wait()
                at += size
            self.client.sendall(got[done:at])
            del got[:at]


class Proxy:
    def __init__(self, case, pg):
        self.case, self.pg, self.pipes, self.lock = case, pg, [], threading.Lock()
        self.wanted, self.done, self.refused = {}, 0, 0
        self.left, self.paused, self.open = None, threading.Event(), threading.Event()
        self.open.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        case.cleanups.append(self.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def at(self, database="postgres", user="tranche"):
        return self.pg.at(database, user, self.port)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                pipe = Pipe(self, client)
            except OSError:  # the server is not there
                self.refused += 1
                client.close()
                continue
            with self.lock:
                self.pipes.append(pipe)
            for side in ("client", "server"):
                threading.Thread(target=pipe.run, args=(side,), daemon=True).start()

    def wants(self, when, statement):
        """Whether it is time; each order is followed once."""
        with self.lock:
            word, nth = self.wanted.get(when, (None, 0))
            if word is None or not re.search(rf"\b{word}\b", statement, re.IGNORECASE):
                return False
            self.wanted[when] = (word, nth - 1)
            if nth > 1:
                return False
            del self.wanted[when]
            self.done += 1
            return True

    def cut_before(self, word, nth=1):
        self.wanted["before"] = (word, nth)

    def cut_after(self, word, nth=1):
        self.wanted["after"] = (word, nth)

    def hold(self, word, nth=1):
        self.paused.clear()
        self.open.clear()
        self.wanted["hold"] = (word, nth)

    def pause_after(self, n):
        self.paused.clear()
        self.open.clear()
        self.left = n

    def may_pass(self, n):
        if self.left is None:
            return True
        with self.lock:
            if self.left is None or self.left >= n:
                self.left = None if self.left is None else self.left - n
                return True
        return False

    def wait(self):
        self.paused.set()
        self.open.wait()

    def go(self):
        with self.lock:
            self.left = None
        self.open.set()

    def wait_paused(self, p=None, seconds=240):
        """p: the program that the line serves; if it has ended, it says why."""
        end = time.monotonic() + seconds
        while not self.paused.wait(0.05):
            late = time.monotonic() > end
            if late and p:
                p.kill()
            if late or p and p.poll() is not None:
                said = self.case.finish(p) if p else ""
                raise kit.Failed(f"{'too late' if late else 'it has ended'}: {self.left} bytes before the line waits\n{said}")

    def cut(self):
        with self.lock:
            pipes, self.pipes = self.pipes, []
        for p in pipes:
            p.close()

    def close(self):
        self.listener.close()
        self.go()
        self.cut()
