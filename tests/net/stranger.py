#!/usr/bin/env python3
"""stranger - peers that should not get in, or do what no worker does: stranger.py KIND ADDRESS [ACCESS-FILE] [SECONDS] [SEED]

Runs until SECONDS (5) have passed. The kinds are the functions at the end.
"""

import random
import socket
import sys
import time

import zmq

GREETING_3 = b"\xff" + b"\0" * 8 + b"\x7f\x03\0"


def access(path):
    with open(path) as f:
        words = [line.split(None, 1) for line in f if line.strip() and not line.startswith("#")]
    return {w[0]: w[1].strip().encode() for w in words if len(w) == 2}


class Stranger:
    def __init__(self, address, path, seconds, seed):
        self.random = random.Random(seed)
        self.address, self.end = address, time.monotonic() + seconds
        self.where = (address.split("//")[1].split(":")[0], int(address.rsplit(":", 1)[1]))
        self.keys = access(path) if path else None
        self.ctx = zmq.Context()

    def going(self):
        return time.monotonic() < self.end

    def dealer(self, keys=None, server=None, name=None, kind=zmq.DEALER):
        s = self.ctx.socket(kind)
        s.linger = 0
        s.sndhwm = 100
        if name:
            s.setsockopt(zmq.ROUTING_ID, name)
        if keys:
            s.curve_publickey, s.curve_secretkey, s.curve_serverkey = keys[0], keys[1], server
        s.connect(self.address)
        return s

    def own(self, **more):
        return self.dealer((self.keys["public"], self.keys["secret"]), self.keys["coordinator"], **more)

    def send(self, s, *frames, times=1 << 60):
        """As often as it takes until the time is over."""
        while self.going() and times:
            try:
                s.send_multipart(frames, zmq.NOBLOCK, copy=False)
                times -= 1
            except zmq.Again:
                time.sleep(0.005)

    def raw(self, *pieces, then=0.3):
        """Connects, says the pieces, reads a little, hangs up; again and again."""
        while self.going():
            try:
                with socket.create_connection(self.where, 2) as s:
                    s.settimeout(then)
                    for p in pieces:
                        s.sendall(p() if callable(p) else p)
                    try:
                        while s.recv(4096):
                            pass
                    except socket.timeout:
                        pass
            except OSError:
                time.sleep(0.05)

    # ---- kinds ----

    def no_key(self):
        self.send(self.dealer(), b"hello")

    def plain(self):
        s = self.ctx.socket(zmq.DEALER)
        s.linger = 0
        s.plain_username, s.plain_password = b"admin", b"admin"
        s.connect(self.address)
        self.send(s, b"hello")

    def wrong_server_key(self):
        self.send(self.dealer(zmq.curve_keypair(), zmq.curve_keypair()[0]), b"hello")

    def unknown_key(self):
        self.send(self.dealer(zmq.curve_keypair(), self.keys["coordinator"]), b"hello")

    def request(self):
        self.send(self.dealer(zmq.curve_keypair(), self.keys["coordinator"], kind=zmq.PUSH), b"hello")

    def zmtp_1(self):
        self.raw(b"\x01\x00", b"\x06\x00hello")

    def zmtp_2(self):
        self.raw(b"\xff" + b"\0" * 8 + b"\x7f\x01\x05", b"\0\0", b"\0\x05hello")

    def zmtp_9(self):
        self.raw(b"\xff" + b"\0" * 8 + b"\x7f\x09\0" + b"CURVE".ljust(20, b"\0") + b"\0" * 32)

    def cut_greeting(self):
        self.raw(lambda: (GREETING_3 + b"CURVE".ljust(20, b"\0") + b"\0" * 32)[:1 + self.random.randrange(63)])

    def garbage_after_greeting(self):
        self.raw(GREETING_3 + b"CURVE".ljust(20, b"\0") + b"\0" * 32, lambda: self.random.randbytes(3000))

    def garbage(self):
        self.raw(lambda: self.random.randbytes(3000))

    def http(self):
        self.raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")

    def idle(self):
        """200 connections that say nothing; who is hung up on comes again."""
        socks = []
        while self.going():
            for s in socks[:]:
                try:
                    if not s.recv(64):
                        socks.remove(s)
                except BlockingIOError:
                    pass
                except OSError:
                    socks.remove(s)
            while len(socks) < 200 and self.going():
                try:
                    s = socket.create_connection(self.where, 2)
                    s.setblocking(False)
                    socks.append(s)
                except OSError:
                    break
            time.sleep(0.1)

    def endless_frames(self):
        s = self.own() if self.keys else self.dealer()
        frame = zmq.Frame(b"x" * 1000)
        while self.going():
            try:
                s.send(frame, zmq.SNDMORE | zmq.NOBLOCK, copy=False)
            except zmq.Again:
                time.sleep(0.005)

    def endless_plain_frames(self):
        """One message of ever more frames, written by hand: libzmq itself sends only whole ones."""
        ready = b"\x05READY\x0bSocket-Type" + (6).to_bytes(4, "big") + b"DEALER"
        frame = b"\x03" + (60000).to_bytes(8, "big") + b"x" * 60000
        while self.going():
            try:
                with socket.create_connection(self.where, 2) as s:
                    s.sendall(GREETING_3[:11] + b"\0" + b"NULL".ljust(20, b"\0") + b"\0" * 32)
                    s.sendall(b"\x04" + bytes([len(ready)]) + ready)
                    while self.going():
                        s.sendall(frame)
            except OSError:
                time.sleep(0.05)

    def many_frames(self):
        self.send(self.own() if self.keys else self.dealer(), *[b"x"] * 1000)

    def claimed_id(self):
        n = 0
        while self.going():
            s = [self.own(name=b"w1"), self.own(name=b"\1claimed"), self.own(name=b"w%d" % n)] if self.keys else [
                self.dealer(name=b"w1"), self.dealer(name=b"claimed")]
            for x in s:
                self.send(x, b"hello", times=3)
            time.sleep(0.1)
            for x in s:
                x.close()
            n += 1

    def huge_frame(self):
        s = self.own() if self.keys else self.dealer()
        self.send(s, b"x" * (300 << 20))

    def other_protocol(self):
        """A HELLO of version 9, of which an older coordinator understands the first six bytes."""
        s = self.own() if self.keys else self.dealer()
        self.send(s, b"TRNC" + (9).to_bytes(2, "little") + (1).to_bytes(2, "little") + bytes(56), times=1)
        while self.going() and not s.poll(50):
            pass
        if self.going():
            print("answered: " + s.recv().decode(errors="replace"), file=sys.stderr)

    def garbage_messages(self):
        s = self.own() if self.keys else self.dealer()
        while self.going():
            self.send(s, b"TRNC" + self.random.randbytes(60 + self.random.randrange(256)), times=20)
            time.sleep(0.01)


def main(argv):
    kind, address, path = argv[0], argv[1], argv[2] if len(argv) > 2 else ""
    s = Stranger(address, path, float(argv[3]) if len(argv) > 3 else 5, argv[4] if len(argv) > 4 else "")
    getattr(s, kind)()
    s.ctx.destroy(linger=0)


if __name__ == "__main__":
    main(sys.argv[1:])
