"""A web server that is asked by scenarios, and misbehaves as they want.

The path says what it does:
    /echo?...        200, JSON: {"query": {..}, "headers": {..}, "path": ".."}
    /list?n=N        {"items": [{"id": 0, "of": {"n": N}}, ...]}: N items
    /status/CODE     an error with that status, and a text
    /flaky/KEY/K     fails with 503 K times for the same KEY, then 200
    /later/KEY/WHEN  429 with Retry-After: WHEN (a number of seconds, or "date"), then 200
    /cut/KEY/K       hangs up K times without an answer, then 200
    /short           announces more bytes than it sends, and hangs up
    /big/BYTES       so many bytes, without saying how many
    /said/BYTES      announces so many bytes, and sends one
    /heads           headers without end
    /drip            a byte now and then, without end
    /never           no answer at all
    /circle          redirects to itself
    /go?to=URL       redirects there
    /pages/N?p=I     page I of N: {"items": [I], "next": ".." or null}, and a header Link
    /round           a page whose next page is itself
    /text/HEX        these bytes
    /gzip            a zipped answer that is much larger than it looks
Every answer waits for ms=MS milliseconds when the query says so, and as long as `hold` is set or `left` is 0.
"""

import asyncio
import email.utils
import json
import os
import ssl
import threading
import time
import urllib.parse
import zlib


class WebServer:
    def __init__(self, cert=None):
        """With a certificate (a file with its key) it speaks TLS."""
        os.environ["no_proxy"] = "127.0.0.1"
        self.asked = []          # (path, query, headers)
        self.seen = {}           # how often a key was asked for
        self.now = self.most = 0  # requests under way
        self.begun = []          # when each began
        self.hold = False
        self.left = None         # how many answers are given before it holds again
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if cert else None
        if cert:
            self.tls.load_cert_chain(cert)
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.ready.wait(180)
        self.url = f"http{'s' if cert else ''}://127.0.0.1:{self.port}"

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(
            asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=2000, ssl=self.tls))
        self.port = self.server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    async def _talk(self, r, w):
        try:
            while await self._one(r, w):
                await w.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            w.close()

    async def _one(self, r, w):
        line = await r.readline()
        if not line:
            return False
        target = line.decode().split()[1]
        headers = {}
        while (h := (await r.readline()).decode().strip()):
            k, v = h.split(":", 1)
            headers[k.lower()] = v.strip()
        u = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(u.query, keep_blank_values=True))
        self.asked.append((u.path, query, headers))
        self.begun.append(time.monotonic())
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if "ms" in query:
                await asyncio.sleep(float(query["ms"]) / 1000)
            while self.hold or self.left == 0:
                await asyncio.sleep(0.005)
            if self.left:
                self.left -= 1
            return await self._answer(r, w, u.path, query, headers)
        finally:
            self.now -= 1

    def _send(self, w, body, status=200, **more):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in more.items())
        w.write(head.encode() + b"\r\n" + body)
        return True

    def _count(self, key):
        self.seen[key] = self.seen.get(key, 0) + 1
        return self.seen[key]

    async def _answer(self, r, w, path, query, headers):
        parts = urllib.parse.unquote(path).split("/")
        what = parts[1]
        if what == "list":
            n = int(query["n"])
            return self._send(w, {"items": [{"id": i, "of": {"n": n}} for i in range(n)]})
        if what == "status":
            return self._send(w, b"sorry, no", int(parts[2]))
        if what == "flaky":
            bad = self._count(path) <= int(parts[3])
            return self._send(w, b"busy" if bad else {"items": [1]}, 503 if bad else 200)
        if what == "later":
            if self._count(path) > 1:
                return self._send(w, {"items": [1]})
            when = parts[3]
            if when == "date":
                when = email.utils.formatdate(time.time() + 2, usegmt=True)
            return self._send(w, b"slow down", 429, Retry_After=when)
        if what == "cut":
            if self._count(path) <= int(parts[3]):
                return False
            return self._send(w, {"items": [1]})
        if what == "short":
            w.write(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n{\"items\": [")
            await w.drain()
            return False
        if what == "said":
            w.write(b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n[" % int(parts[2]))
            await w.drain()
            await r.read()
            return False
        if what == "big":
            w.write(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")
            left, piece = int(parts[2]), b" " * 65536
            while left > 0:
                w.write(piece)
                left -= len(piece)
                await w.drain()
            return False
        if what == "heads":
            w.write(b"HTTP/1.1 200 X\r\n")
            for i in range(1 << 20):
                w.write(b"X-%d: " % i + b"y" * 1000 + b"\r\n")
                await w.drain()
            return False
        if what == "drip":
            w.write(b"HTTP/1.1 200 X\r\n\r\n")
            while True:
                w.write(b" ")
                await w.drain()
                await asyncio.sleep(0.05)
        if what == "never":
            await r.read()
            return False
        if what == "circle":
            return self._send(w, b"", 302, Location="/circle")
        if what == "go":
            return self._send(w, b"", 302, Location=query["to"])
        if what == "pages":
            n, p = int(parts[2]), int(query.get("p", 1))
            more = f"/pages/{n}?p={p + 1}" if p < n else None
            link = {"Link": f'</pages/{n}?p=1>; rel="first", <{more}>; rel="next"'} if more else {}
            return self._send(w, {"items": [p], "next": more}, **link)
        if what == "round":
            return self._send(w, {"items": [1], "next": "/round"})
        if what == "text":
            return self._send(w, bytes.fromhex(parts[2]))
        if what == "gzip":
            z = zlib.compressobj(wbits=31)
            return self._send(w, z.compress(b" " * (64 << 20)) + z.flush(), Content_Encoding="gzip")
        return self._send(w, {"path": path, "query": query, "headers": headers})
