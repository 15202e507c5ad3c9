"""proxy - a line between workers and a coordinator (tcp, --insecure or with keys) that does to whole messages what networks do.

    line = Proxy("127.0.0.1", port, seed)     # workers connect to line.endpoint; line.target() moves it to another port
    line.rates["up"]["drop"] = 0.1            # of the messages from workers; "down": from the coordinator
    line.order("down", "double")              # the next message; line.order("up", "reset", "RESULT"): the next of that type
    line.cut()                                # every connection, now, by RST
    line.done                                 # a Counter: ("up", "drop", "RESULT") -> times

What can happen to a message (FAULTS): drop, double, delay (and all behind it), swap (with the one that follows, if one
does within a moment), flip (a bit of it), break (a bit of its frame's head, so that the stream makes no sense any more),
reset (a part of it, then RST). ZMTP 3.1 (rfc.zeromq.org/spec/23): a greeting of 64 bytes, then frames of flags, length
and body; flags 1: more frames of the message follow, 2: the length has 8 bytes, 4: a command, which is no message.
MESSAGE of CURVE is "sealed": each of its frames is a message to us, since what is inside is secret.
"""

import collections
import os
import random
import re
import select
import socket
import struct
import threading
import time

FAULTS = ("drop", "double", "delay", "swap", "flip", "break", "reset")
HERE = os.path.dirname(os.path.abspath(__file__))
MORE, LONG, COMMAND = 1, 2, 4
GREETING = (10, 1, 53)  # each side waits for the other's beginning before it goes on


def message_types():
    with open(os.path.join(HERE, "..", "..", "proto", "messages.def")) as f:
        return {int(n): name for name, n in re.findall(r"^MESSAGE\((\w+), (\d+),", f.read(), re.M)}


TYPES = message_types()


class Closed(Exception):
    pass


class Stream:
    """Reads frames off a socket."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def exactly(self, n):
        while len(self.buffer) < n:
            part = self.sock.recv(1 << 20)
            if not part:
                raise Closed()
            self.buffer += part
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def waits(self, seconds):
        """Whether nothing comes for so long."""
        return not self.buffer and not select.select([self.sock], [], [], seconds)[0]

    def frame(self):
        head = self.exactly(1)
        head += self.exactly(8 if head[0] & LONG else 1)
        n = int.from_bytes(head[1:], "big")
        return head, self.exactly(n)

    def message(self):
        """(type, frames): a command has type None; what is not known is "?"."""
        frames = [self.frame()]
        flags, body = frames[0][0][0], frames[0][1]
        if body.startswith(b"\7MESSAGE"):
            return "sealed", frames
        if flags & COMMAND:
            return None, frames
        while frames[-1][0][0] & MORE:
            frames.append(self.frame())
        kind = struct.unpack_from("<H", body, 6)[0] if body[:4] == b"TRNC" and len(body) >= 8 else None
        return TYPES.get(kind, "?"), frames


class Pipe:
    """One connection."""

    def __init__(self, proxy, n, client, server):
        self.proxy, self.n, self.client, self.server = proxy, n, client, server
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self):
        for way, source, sink in (("up", self.client, self.server), ("down", self.server, self.client)):
            rng = random.Random(f"{self.proxy.seed}:{self.n}:{way}")
            threading.Thread(target=self.run, args=(way, source, sink, rng), daemon=True).start()

    def run(self, way, source, sink, rng):
        try:
            stream = Stream(source)
            for n in GREETING:
                sink.sendall(stream.exactly(n))
            while True:
                kind, frames = stream.message()
                for data in self.proxy.suffer(way, kind, frames, rng, stream, sink):
                    sink.sendall(data)
        except (Closed, OSError, ValueError):
            pass
        finally:
            self.close()
            self.proxy.forget(self)

    def close(self, rst=False):
        for s in (self.client, self.server):
            try:
                if rst:  # the linger time 0 makes close send it, once nobody waits in recv
                    s.shutdown(socket.SHUT_RD)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            if rst:
                s.close()


class Proxy:
    def __init__(self, host, port, seed):
        self.host, self.port_behind, self.seed = host, port, seed
        self.rates = {way: dict.fromkeys(FAULTS, 0.0) for way in ("up", "down")}
        self.orders, self.done, self.passed = [], collections.Counter(), collections.Counter()
        self.delay, self.moment = 0.3, 0.05  # seconds: the longest delay; how long a message waits for one to swap with
        self.lock, self.pipes, self.connections = threading.Lock(), set(), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def target(self, port):
        self.port_behind = port

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((self.host, self.port_behind))
            except OSError:  # nobody listens, now
                client.close()
                continue
            with self.lock:
                self.connections += 1
                pipe = Pipe(self, self.connections, client, server)
                self.pipes.add(pipe)
            pipe.start()

    def forget(self, pipe):
        with self.lock:
            self.pipes.discard(pipe)

    def order(self, way, fault, kind=None):
        assert fault in FAULTS
        with self.lock:
            self.orders.append((way, fault, kind))

    def countermand(self):
        """Takes back orders that found no message yet, and returns how many."""
        with self.lock:
            n, self.orders = len(self.orders), []
        return n

    def choose(self, way, kind, rng):
        with self.lock:
            for i, (w, fault, k) in enumerate(self.orders):
                if w == way and k in (None, kind):
                    del self.orders[i]
                    return fault
        x = rng.random()
        for fault, p in self.rates[way].items():
            if x < p:
                return fault
            x -= p
        return None

    def suffer(self, way, kind, frames, rng, stream, sink):
        """The pieces that are sent in place of this message."""
        whole = b"".join(head + body for head, body in frames)
        fault = kind and self.choose(way, kind, rng)
        if not fault:
            self.passed[way] += 1
            return [whole]
        again = []
        if fault == "swap":
            if stream.waits(self.moment):
                self.passed[way] += 1
                return [whole]
            again = [b"".join(h + b for h, b in stream.message()[1])]
        with self.lock:
            self.done[way, fault, kind] += 1
        if fault == "drop":
            return []
        if fault == "double":
            return [whole, whole]
        if fault == "delay":
            time.sleep(rng.uniform(0, self.delay))
            return [whole]
        if fault == "swap":
            return [*again, whole]
        if fault == "reset":
            sink.sendall(whole[:rng.randrange(1, len(whole))])
            raise Closed(self.reset(stream.sock))
        return [self.damaged(frames, rng, fault == "break")]

    @staticmethod
    def damaged(frames, rng, head):
        """One bit differs: of a frame's head, or of a body."""
        pieces = [bytearray(p) for frame in frames for p in frame]
        which = rng.choice([i for i, p in enumerate(pieces) if len(p) and i % 2 == (0 if head else 1)] or [0])
        pieces[which][rng.randrange(len(pieces[which]))] ^= 1 << rng.randrange(8)
        return b"".join(pieces)

    def reset(self, sock):
        with self.lock:
            mine = [p for p in self.pipes if sock in (p.client, p.server)]
        for p in mine:
            p.close(rst=True)

    def cut(self):
        with self.lock:
            pipes = list(self.pipes)
        for p in pipes:
            p.close(rst=True)
        return len(pipes)

    def honest(self):
        """From now on it does nothing to messages."""
        for rates in self.rates.values():
            rates.update(dict.fromkeys(FAULTS, 0.0))
        return self.countermand()

    def total(self, fault, way=None):
        return sum(n for (w, f, _), n in self.done.items() if f == fault and way in (None, w))

    def told(self):
        """Its counters, for people."""
        return ", ".join(f"{n} x {fault} {kind} {way}" for (way, fault, kind), n in sorted(self.done.items())) or "nothing"

    def close(self):
        self.listener.close()
        self.cut()
