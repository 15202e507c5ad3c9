"""The HTTP side of a server: who may ask and how, what is told, and what hostile clients get."""

import base64
import errno
import http.client
import json
import os
import re
import signal
import shutil
import socket
import subprocess

from kit import scenario
from test_serve import Server, go, held_in_worker, jobs, number, runs

POLICY = "default-src 'none'"


class Web:
    def __init__(self, t, *args, env=None):
        self.t = t
        self.server = Server(t, "--page", "0", *args, env=env)
        self.server.ready()
        self.url = open(t.path(".tranche/serve/page")).read().strip()
        self.host, self.port = re.fullmatch(r"http://(.*):(\d+)/", self.url).groups()
        self.port = int(self.port)

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=30)

    def raw(self, text, shut=False):
        """All that is answered to these bytes; b"" when the line is cut."""
        with self.connect() as s:
            try:
                s.sendall(text if isinstance(text, bytes) else text.encode())
                if shut:
                    s.shutdown(socket.SHUT_WR)
                got = b""
                while part := s.recv(65536):
                    got += part
                return got
            except OSError as e:
                if isinstance(e, ConnectionError) or e.errno == errno.ENOTCONN:  # cut, before or after our last byte
                    return b""
                raise

    def get(self, path, method="GET", **headers):
        c = http.client.HTTPConnection(self.host, self.port, timeout=60)
        c.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        r = c.getresponse()
        r.text = r.read().decode()
        c.close()
        return r

    def json(self, path, status=200):
        r = self.get("/api/v1/" + path)
        self.t.equal((status, "application/json"), (r.status, r.getheader("Content-Type")), path)
        return json.loads(r.text)

    def stream(self):
        """A page that listens: the socket, past its headers."""
        s = self.connect()
        s.sendall(f"GET /events HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        f = s.makefile("rb")
        status = int(f.readline().split()[1])
        while f.readline().strip():
            pass
        return s, f, status

    def answers(self):
        try:
            r = self.get("/healthz")
            return (r.status, r.text) == (200, "ok\n")
        except (OSError, http.client.HTTPException):  # cut off: this machine is slow
            return False

    def lives(self):
        self.t.wait_until(self.answers, "an answer to /healthz")


def has(t, text, *parts):
    for part in parts:
        t.true(part in text, f"wanted {part!r} in:\n{text}")


def version(f):
    """The next version that a stream tells."""
    while True:
        line = f.readline()
        if line.startswith(b"data: "):
            return int(line[6:])
        if not line:
            raise AssertionError("the stream ended")


@scenario("web", "smoke")
def a_page_is_there_only_when_it_is_asked_for_and_goes_with_the_server(t):
    s = Server(t)
    s.ready()
    t.equal(False, os.path.exists(t.path(".tranche/serve/page")), "an address")
    s.p.send_signal(signal.SIGTERM)
    s.ends(0)
    w = Web(t)
    t.equal("127.0.0.1", w.host, "host")
    w.lives()
    r = w.get("/api/v1/server")
    t.equal(("no-store", "nosniff", None), tuple(r.getheader(h) for h in
            ("Cache-Control", "X-Content-Type-Options", "Access-Control-Allow-Origin")), "headers")
    t.equal(POLICY, r.getheader("Content-Security-Policy")[:len(POLICY)], "policy")
    w.server.p.send_signal(signal.SIGTERM)
    w.server.ends(0)
    t.equal(False, os.path.exists(t.path(".tranche/serve/page")), "an address")


@scenario("web")
def what_says_who_may_ask_is_checked_before_the_server_begins(t):
    def refused(*args):
        return t.run("serve", *args, want=2)
    t.says(refused("--page", "0.0.0.0:0"), "can be reached from other hosts, and needs a token", "--page-token")
    t.says(refused("--page", "[::]:0"), "needs a token")
    t.says(refused("--page", "x y"), "'x y' is no [HOST:]PORT, e.g. 8080")
    t.says(refused("--page-token", "x"), "give --page, too")
    t.says(refused("--page", "0", "--page-token", "none"), "--page-token none: No such file")
    t.write("token", "short\n")
    os.chmod(t.path("token"), 0o600)
    t.says(refused("--page", "0", "--page-token", "token"), "32 to 1024 characters, and this one 5")
    os.chmod(t.path("token"), 0o644)
    t.says(refused("--page", "0", "--page-token", "token"), "yours alone (chmod 600)")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        t.says(t.run("serve", "--page", port, want=1), f"the page cannot listen on 127.0.0.1:{port}: Address already in use")
    t.leaves_nothing()


@scenario("web")
def with_a_token_nobody_sees_anything_without_it(t):
    token = "0123456789abcdef0123456789abcdef"
    t.write("token", token + "\n")
    os.chmod(t.path("token"), 0o600)
    w = Web(t, "--page-token", "token")
    r = w.get("/api/v1/server")
    t.equal(401, r.status, "status")
    has(t, r.text, "the token is missing or wrong")
    t.equal("Basic", r.getheader("WWW-Authenticate")[:5], "WWW-Authenticate")
    for path in "/", "/nothing", "/metrics", "/events", "/api/v1/jobs":
        t.equal(401, w.get(path).status, path)
        t.equal(401, w.get(path, Authorization="Bearer " + token[:-1] + "x").status, path)
    w.lives()  # says no more than that
    t.equal(200, w.get("/api/v1/server", Authorization="Bearer " + token).status, "status")
    basic = base64.b64encode(f"tranche:{token}".encode()).decode()
    t.equal(200, w.get("/metrics", Authorization="Basic " + basic).status, "status")
    other = base64.b64encode(f"root:{token}".encode()).decode()
    t.equal(401, w.get("/metrics", Authorization="Basic " + other).status, "status")
    t.equal(True, token not in w.server.text, "the token in the log")


@scenario("web")
def names_of_other_hosts_and_other_methods_are_refused(t):
    w = Web(t, "--page-host", "tranche.example,second.example")
    for host in "127.0.0.1", "localhost:99", "[::1]", "tranche.example:443", "second.example":
        t.equal(200, w.get("/api/v1/server", Host=host).status, host)
    for host in "evil.example", "127.0.0.1.evil.example", "", "10.0.0.1":
        r = w.get("/api/v1/server", Host=host)
        t.equal(403, r.status, host)
        has(t, json.loads(r.text)["error"], "Host names another host")
    for method in "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW":
        r = w.get("/api/v1/jobs/1", method)
        t.equal((405, "GET, HEAD"), (r.status, r.getheader("Allow")), method)
    r = w.get("/api/v1/server", "HEAD")
    t.equal((200, ""), (r.status, r.text), "HEAD")
    t.equal(200, w.get("/events", "HEAD").status, "HEAD of a stream")
    for path in "/x", "/..", "/api/v2/server", "/api/v1/jobs/1/2", "//", "/healthz/", "/%3Ci%3Ezz":
        r = w.get(path)
        t.equal(404, r.status, path)
        t.equal(False, "<i>zz" in r.text, "an unescaped path")


@scenario("web")
def the_api_tells_of_jobs_runs_and_rejected_rows(t):
    w = Web(t)
    raw = b"x,t\n1,a\nthr<b>ee,\"b\n\"\n\xff\xfe,c\n" + b"4,d\n" * 20
    t.write("a.csv", raw)
    number(t, "--csv", "a.csv", "--type", "x=integer", "--into", "sqlite:wh.db", "--table", "a", "--bad-rows", 5)
    t.run("wait", 1, want=3)
    t.wait_until(lambda: w.json("jobs/1")["state"] == "ended", "the job has ended, on the page too")
    job = w.json("jobs/1")
    want = {k: v for k, v in jobs(t)[1].items()}
    t.equal(want, {k: job[k] for k in want}, "the job, as tranche jobs has it")
    run = job["runs"][0]
    t.equal((1, "loaded with rejects", 23, 2, 21, None), (run["job"], run["status"], run["rows_read"],
            run["rows_rejected"], run["rows_loaded"], run["now"]), "the run")
    t.equal(w.json("runs")["runs"][0], run, "the run, in the list")
    t.equal(w.json("runs/last"), run, "the run by its name")
    path = f"runs/{run['run']}"
    rejects = w.json(path + "/rejects")
    t.equal([(3, 8, "x", 'thr<b>ee,"b\n"', None), (5, 22, "", "\ufffd\ufffd,c", b"\xff\xfe,c")],
            [(r["line"], r["byte"], r["column"], r["raw"], "raw_base64" in r and base64.b64decode(r["raw_base64"]) or None)
             for r in rejects["rejects"]], "rejects")
    first = w.json(path + "/rejects?limit=1")
    t.equal(1, len(first["rejects"]), "a page of rejects")
    t.equal(rejects["rejects"][1:], w.json(path + f"/rejects?limit=1&after={first['next']}")["rejects"], "the next page")
    t.equal([1, 1], sorted(r["rows"] for r in w.json(path + "/reasons")["reasons"]), "reasons")
    t.equal(1, w.json(path + "/chunks")["attempts"], "attempts")
    t.equal({"(coordinator)", "local"}, {x["name"] for x in w.json(path + "/workers")["workers"]}, "workers")
    t.equal(run["run"], w.json(path + "/samples")["run"], "samples")
    t.equal([], w.json(path + "/events")["events"], "events")
    s = w.json("server")
    t.equal((1, 0, 1, 1), (s["jobs"]["ended"], s["workers"], s["runs"], s["jobs_at_a_time"]), "the server")
    has(t, w.json("runs/none", 404)["error"], "there is no run none")
    has(t, w.json("runs/none/samples", 404)["error"], "is called none")
    has(t, w.json("jobs/x", 404)["error"], "'x' is no number")
    has(t, w.json("jobs?limit=0", 400)["error"], "limit is a number from 1 to 1000, and not '0'")
    has(t, w.json("jobs?before=-1", 400)["error"], "before is a number")
    metrics = w.get("/metrics").text
    has(t, metrics, 'tranche_runs_ended_total{status="loaded with rejects"} 1\n', "tranche_rows_read_total 23\n",
           "tranche_rows_rejected_total 2\n")


@scenario("web", "threads")
def a_run_that_goes_on_is_told_of_as_it_goes_and_pages_hear_of_it(t):
    w = Web(t)
    s, f, status = w.stream()
    t.equal(200, status, "status")
    before = version(f)
    number(t, *held_in_worker(t, "slow"))
    after = version(f)
    t.equal(True, after > before, "a new version")
    runs(t, "slow")
    t.wait_until(lambda: any(x["doing"] for x in w.json("workers")["workers"]), "a worker that does something")
    x = w.json("workers")["workers"][0]
    t.equal(("local", 1, "range", "rows"), (x["name"], x["job"], x["doing"]["input"], x["doing"]["in"]), "the worker")
    t.wait_until(lambda: w.json("runs/last")["now"], "what it has done so far")
    now = w.json("runs/last")["now"]
    t.equal((0, 5, "rows", 1), (now["rows_read"], now["input_all"], now["input_in"], now["workers"]), "progress")
    t.equal(True, now["chunks_running"] > 0, "chunks that run")
    t.equal((1, True), ((j := w.json("jobs"))["jobs"][0]["job"], j["jobs"][0]["run"] == x["run"]), "its run")
    has(t, w.get("/metrics").text, "tranche_run_chunks_running{", "tranche_run_slots_busy{", 'job="1"} ')
    go(t, "slow")
    t.run("wait", 1)
    version(f)
    t.wait_until(lambda: w.json("server")["workers"] == 0, "no worker")
    f.close()
    s.close()
    w.lives()


# Protocol time runs faster, so that what takes 5 s takes half a second.
QUICK = {"TRANCHE_TIME_SCALE": "10"}


@scenario("web")
def hostile_clients_are_cut_off_and_the_server_lives(t):
    w = Web(t, env=QUICK)
    head = f"GET /healthz HTTP/1.1\r\nHost: {w.host}\r\n"
    for size in 9000, 19000, 100000:
        got = w.raw(head + "X: " + "a" * size + "\r\n\r\n", shut=True)
        t.equal(True, got[9:12] in (b"431", b""), f"{size} bytes of headers: {got[:40]}")
        got = w.raw("GET /" + "a" * size + f" HTTP/1.1\r\nHost: {w.host}\r\n\r\n", shut=True)
        t.equal(True, got[9:12] in (b"431", b"414", b""), f"a path of {size} bytes: {got[:40]}")
    for text in ("\r\n" * 9, "\0" * 100, "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\xff\xfe /\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
                 head + "Content-Length: 99999999999999999999\r\n\r\n", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                 head + " folded\r\n\r\n", "GET /?" + "&a=%zz" * 300 + f" HTTP/1.1\r\nHost: {w.host}\r\n\r\n"):
        w.raw(text.encode("latin-1"), shut=True)
    w.lives()


@scenario("web")
def who_is_slow_keeps_nobody_else_out_for_long(t):
    w = Web(t, env=QUICK)
    slow = [w.connect() for _ in range(100)]  # more than there may be
    for s in slow:
        s.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
    w.lives()  # as soon as the first are cut off
    drip = w.connect()
    drip.settimeout(0.05)

    def is_cut():
        try:
            drip.sendall(b"a")
            return drip.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True
    t.wait_until(is_cut, "who sends a byte now and then is cut off")
    for s in [*slow, drip]:
        s.close()


@scenario("web")
def pages_that_listen_are_limited_and_do_not_hold_the_server_up(t):
    w = Web(t)
    streams = [w.stream() for _ in range(17)]
    t.equal([200] * 16 + [503], [status for _, _, status in streams], "streams")
    w.lives()
    for s, f, _ in streams:
        f.close()
        s.close()

    def room():
        s, f, status = w.stream()
        f.close()
        s.close()
        return status == 200
    t.wait_until(room, "room for another stream")
    streams = [w.stream()]
    w.server.p.send_signal(signal.SIGTERM)
    w.server.ends(0)
    for s, f, _ in streams:
        while f.readline():
            pass
        s.close()


@scenario("web")
def without_its_library_the_server_says_what_to_install(t):
    t.write("lib/libmicrohttpd.so.12", "no library")
    r = t.run("serve", "--page", "0", env={"LD_LIBRARY_PATH": t.path("lib")}, want=2)
    t.says(r, "--page needs libmicrohttpd, which this host lacks: install libmicrohttpd12 (")
    t.leaves_nothing()


def promtool(t):
    """Prometheus' own checker; out of its package, which is not installed, since it would start a server."""
    there = shutil.which("promtool")
    if there:
        return there
    folder = t.path("prometheus")
    os.makedirs(folder)
    fetch = "apt-get -q download prometheus && dpkg -x prometheus_*.deb ."
    update = f"{'' if os.geteuid() == 0 else 'sudo -n '}apt-get -q update"
    done = subprocess.run(f"({fetch}) || ({update} && {fetch})", shell=True, cwd=folder, capture_output=True, text=True)
    t.equal(0, done.returncode, f"promtool: {done.stdout}{done.stderr}")
    return os.path.join(folder, "usr", "bin", "promtool")


@scenario("browser")
def prometheus_takes_the_metrics_as_they_are(t):
    w = Web(t)
    number(t, *held_in_worker(t, "m"), "--name", "a\"b\\c{}=<d>")
    t.wait_until(lambda: "tranche_run_slots_busy{" in w.get("/metrics").text, "a run that goes on, in the metrics")
    text = w.get("/metrics").text
    done = subprocess.run([promtool(t), "check", "metrics"], input=text, capture_output=True, text=True)
    t.equal((0, ""), (done.returncode, done.stdout + done.stderr), "promtool")
    go(t, "m")
    t.run("wait", 1)
