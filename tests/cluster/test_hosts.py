"""Workers of other hosts: over TCP, with keys, coming and going. All on loopback, port 0."""

import os
import re
import signal
import socket
import subprocess
import threading
import time

from kit import Failed, needs_root, scenario

ROWS = 60000


def burning(steps):
    return (f"SELECT id, h, (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {steps}) "
            "SELECT count(*) FROM c) AS burnt FROM batch")


SLOW = burning(150000)  # some 50 ms a batch
ARGS = ("run", "--csv", "k.csv", "--into", "sqlite:wh.db", "--table", "k", "--batch-bytes", "16KiB",
        "--output", "json")


class Program:
    """A program that runs, with what it has said so far."""

    def __init__(self, t, argv, cwd=None, stdin=subprocess.DEVNULL):
        self.t, self.text = t, ""
        self.p = subprocess.Popen([str(a) for a in argv], cwd=cwd or t.dir, stdin=stdin,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=t.env(),
                                  start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        t.cleanups.append(self.kill)

    def read(self):
        for line in self.p.stdout:
            self.text += line.decode(errors="replace")

    def says(self, part, seconds=180):
        self.t.wait_until(lambda: part in self.text or self.p.poll() is not None, lambda: f"{part!r} in:\n{self.text}", seconds)
        self.reader.join(5 if self.p.poll() is not None else 0)
        if part not in self.text:
            raise Failed(f"wanted {part!r}, and it ended with {self.p.returncode}:\n{self.text}")

    def ends(self, want, seconds=240):
        try:
            self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"still running after {seconds} s:\n{self.text}")
        self.reader.join(5)
        if self.p.returncode != want:
            raise Failed(f"{self.p.args}: wanted exit code {want}, got {self.p.returncode}:\n{self.text}")

    def kill(self):
        try:
            os.killpg(self.p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.p.wait()
        self.reader.join(5)
        self.p.stdout.close()


def make(t, rows=ROWS):
    t.write("k.csv", "id,h\n" + "".join(f"{i},{(i * 2654435761) % 4294967296}\n" for i in range(rows)))


def exact(t, rows=ROWS):
    want = (rows, rows, rows * (rows - 1) // 2, sum((i * 2654435761) % 4294967296 for i in range(rows)))
    got = t.rows("wh.db", "SELECT count(*), count(DISTINCT id), sum(id), sum(h) FROM k")[0]
    t.equal(want, got, "rows, distinct rows, sums")
    t.intact("wh.db")


def keys(t, *names):
    for n in names:
        t.run("keys", "new", "--worker", n, "--address", "tcp://127.0.0.1:1", "-o", f"{n}.access")


def coordinator(t, *more, endpoint="tcp://127.0.0.1:0", sql=SLOW, under=()):
    p = Program(t, [*under, t.tranche, *ARGS, "--sql", sql, "--listen", endpoint, *more])
    p.says("listening on ")
    p.endpoint = re.search(r"listening on (\S+)", p.text).group(1)
    return p


class Held:
    """A coordinator that reads k.csv from a pipe. However fast it is, the last tenth comes only with release()."""

    def __init__(self, t, *more):
        args = ["-" if a == "k.csv" else a for a in ARGS]
        with open(t.path("k.csv"), "rb") as f:
            rows = f.read()
        last = rows.rindex(b"\n", 0, len(rows) * 9 // 10) + 1
        assert last > 4 << 20, "of a pipe so much is looked at first"
        self.program = Program(t, [t.tranche, *args, "--sql", burning(40000), "--listen", "tcp://127.0.0.1:0", *more],
                               stdin=subprocess.PIPE)
        self.may_end = threading.Event()
        self.writer = threading.Thread(target=self.write, args=(rows[:last], rows[last:]), daemon=True)
        self.writer.start()
        self.says("listening on ")
        self.endpoint = re.search(r"listening on (\S+)", self.program.text).group(1)

    def write(self, *parts):
        try:
            with self.program.p.stdin as pipe:
                for part in parts:
                    pipe.write(part)
                    pipe.flush()
                    self.may_end.wait()
        except BrokenPipeError:
            pass  # its own words say why it ended

    def says(self, part, seconds=180):
        self.program.says(part, seconds)

    def release(self):
        self.may_end.set()

    def ends(self, want):
        self.program.ends(want)
        self.writer.join(5)


HELD_ROWS = 5 * ROWS


def worker(t, c, name, *more):
    exe = os.path.join(t.build, "tranche-worker")
    return Program(t, [exe, "--access", f"{name}.access", "--slots", "2", *more, c if isinstance(c, str) else c.endpoint])


def committed(t):
    try:
        return t.one("wh.db", "SELECT count(*) FROM tranche_ledger")
    except Exception:
        return 0


def wait_for_commits(t, n=1):
    t.wait_until(lambda: committed(t) >= n, f"{n} batches are committed")


def workers_of(t):
    return {w for (w,) in t.rows("wh.db", "SELECT DISTINCT worker FROM tranche_ledger WHERE worker <> ''")}  # splits have none


@scenario("hosts", "smoke", "threads")
def a_remote_worker_joins_mid_run(t):
    make(t, HELD_ROWS)
    keys(t, "anna")
    c = Held(t, "-j", "1")
    wait_for_commits(t)
    w = worker(t, c, "anna")
    c.says("worker anna is here")
    c.release()
    c.ends(0)
    w.ends(0)
    exact(t, HELD_ROWS)
    t.equal({"local", "anna"}, workers_of(t), "who worked")


@scenario("hosts")
def two_remote_workers_share_a_load_and_the_coordinator_has_none(t):
    make(t)
    keys(t, "anna", "boris")
    c = coordinator(t, "-j", "0", "--min-workers", "2")
    a = worker(t, c, "anna")
    c.says("worker anna is here")
    t.equal(0, committed(t), "batches before the second worker came")
    b = worker(t, c, "boris")
    c.ends(0)
    a.ends(0)
    b.ends(0)
    exact(t)
    t.equal({"anna", "boris"}, workers_of(t), "who worked")


@scenario("hosts")
def a_worker_that_is_killed_costs_what_it_had(t):
    make(t, HELD_ROWS)
    keys(t, "anna", "boris")
    c = Held(t, "-j", "0")
    a, b = worker(t, c, "anna"), worker(t, c, "boris")
    c.says("worker anna is here")
    c.says("worker boris is here")
    wait_for_commits(t, 3)
    a.kill()
    c.says("worker anna is gone")  # not: "has said nothing"
    c.release()
    c.ends(0)
    b.ends(0)
    exact(t, HELD_ROWS)


TOOL = """#!/bin/sh
[ "$TRANCHE_SAMPLE" = 1 ] && exec cat
while [ ! -e "$HOME/go" ]; do sleep 0.02; done
exec cat
"""


def with_tool(t):
    make(t, 5000)
    os.makedirs(t.path("bin"), exist_ok=True)
    os.chmod(t.write("bin/mytool", TOOL), 0o755)
    c = Program(t, ["env", f"PATH={t.path('bin')}:{os.environ['PATH']}", t.tranche, *ARGS[:-4], "--batch-bytes", "2KiB",
                    "--exec", "mytool", "--sandbox", "none", "--listen", "tcp://127.0.0.1:0", "-j", "0"])
    c.says("listening on ")
    c.endpoint = re.search(r"listening on (\S+)", c.text).group(1)
    return c


@scenario("hosts")
def a_worker_without_the_program_gets_no_more_batches_and_rejects_no_row(t):
    keys(t, "anna", "boris")
    c = with_tool(t)
    exe = os.path.join(t.build, "tranche-worker")
    b = Program(t, ["env", f"PATH={t.path('bin')}:{os.environ['PATH']}", exe, "--access", "boris.access", "--slots", "2", c.endpoint])
    c.says("worker boris is here")
    a = worker(t, c, "anna")
    c.says("worker anna cannot run this job and gets no more batches: exec: cannot run 'mytool'")
    t.write("go", "")
    c.ends(0)
    a.ends(0)
    b.ends(0)
    exact(t, 5000)
    t.equal(1, c.text.count("cannot run 'mytool'"), "times that it is said")
    t.equal({"boris"}, workers_of(t), "who worked")


@scenario("hosts")
def a_run_ends_when_no_worker_has_the_program(t):
    keys(t, "anna")
    c = with_tool(t)
    a = worker(t, c, "anna")
    c.says("no worker is left that can run this job; worker anna: exec: cannot run 'mytool'")
    c.ends(1)
    a.ends(0)
    t.equal([], t.rows("wh.db", "SELECT name FROM sqlite_master WHERE name = 'k_rejects'") and
            t.rows("wh.db", "SELECT * FROM k_rejects"), "rejects")


@scenario("hosts")
def sigterm_drains_a_worker(t):
    make(t, HELD_ROWS)
    keys(t, "anna", "boris")
    c = Held(t, "-j", "0")
    a = worker(t, c, "anna")
    wait_for_commits(t)
    os.kill(a.p.pid, signal.SIGTERM)
    a.ends(0)
    c.says("worker anna has left")
    c.release()
    b = worker(t, c, "boris")
    c.ends(0)
    b.ends(0)
    exact(t, HELD_ROWS)
    t.equal(0, t.one(".tranche/runs.db", "SELECT count(*) FROM attempts WHERE outcome IN ('failed', 'died')"), "failures")


def is_resting(pids):
    """None of them is on a processor."""
    for p in pids:
        try:
            with open(f"/proc/{p}/stat") as f:
                if f.read().rsplit(")", 1)[1].split()[0] in "RD":
                    return False
        except OSError:
            return False
    return True


@scenario("hosts", "smoke", "threads")
def finished_results_are_handed_to_a_coordinator_that_was_started_again(t):
    make(t)
    keys(t, "anna")
    c = coordinator(t, "-j", "0")
    w = worker(t, c, "anna")
    wait_for_commits(t, 2)
    os.kill(c.p.pid, signal.SIGSTOP)
    kids = t.children(w.p.pid)
    quiet = 0

    def idle():
        nonlocal quiet
        quiet = quiet + 1 if is_resting(kids) else 0
        return quiet > 60
    t.wait_until(idle, "the worker has finished what it had")
    c.kill()
    w.says("is lost")
    again = coordinator(t, "-j", "0", endpoint=c.endpoint)
    again.says("taken over")
    again.ends(0)
    w.ends(0)
    exact(t)


@scenario("hosts")
def coordinators_are_killed_again_and_again_and_the_workers_stay(t):
    make(t, 5 * ROWS)
    keys(t, "anna", "boris")
    c = coordinator(t, "-j", "0")
    endpoint = c.endpoint
    a, b = worker(t, endpoint, "anna"), worker(t, endpoint, "boris")
    for i in range(5):
        before = committed(t)
        t.wait_until(lambda: committed(t) > before, "the run goes on")
        time.sleep(t.random.uniform(0, 0.2))  # a random moment
        c.kill()
        c = coordinator(t, "-j", "0", endpoint=endpoint)
    c.ends(0)
    a.ends(0)
    b.ends(0)
    exact(t, 5 * ROWS)


@scenario("hosts")
def a_revoked_worker_is_sent_away(t):
    make(t, HELD_ROWS)
    keys(t, "anna", "boris")
    c = Held(t, "-j", "0")
    a = worker(t, c, "anna")
    wait_for_commits(t)
    t.run("keys", "revoke", "anna")
    a.ends(1)
    t.true("revoked" in a.text, f"it is told: {a.text}")
    c.says("worker anna was revoked")
    again = worker(t, c, "anna")
    again.ends(1)
    t.true("key" in again.text, f"it is told: {again.text}")
    c.says("a key that is not allowed")
    c.release()
    b = worker(t, c, "boris")
    c.ends(0)
    b.ends(0)
    exact(t, HELD_ROWS)


@scenario("hosts")
def strangers_without_keys_get_nothing(t):
    make(t)
    keys(t, "anna")
    c = coordinator(t, "-j", "0")
    exe = os.path.join(t.build, "tranche-worker")
    plain = Program(t, [exe, "--insecure", c.endpoint])
    plain.says("no tranche coordinator")
    none = Program(t, [exe, c.endpoint])
    none.ends(1)
    t.true("--access" in none.text, none.text)
    port = int(c.endpoint.rsplit(":", 1)[1])
    socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    socks[0].sendall(b"GET / HTTP/1.0\r\n\r\n" * 100)
    socks[1].sendall(t.random.randbytes(10000))
    a = worker(t, c, "anna")
    c.ends(0)
    a.ends(0)
    for s in socks:
        s.close()
    t.true("connection" in c.text and "refused" in c.text, c.text)
    exact(t)
    t.equal({"anna"}, workers_of(t), "who worked")


@scenario("hosts")
def another_version_is_refused_with_both_named(t):
    make(t, 2000)
    keys(t, "anna")
    c = coordinator(t, "-j", "0")
    version = t.run("--version").out.split()[1].encode()
    with open(os.path.join(t.build, "tranche-worker"), "rb") as f:
        exe = f.read()
    other = b"9" + version[1:]
    t.write("old-worker", exe.replace(version, other))
    os.chmod(t.path("old-worker"), 0o755)
    w = Program(t, [t.path("old-worker"), "--access", "anna.access", c.endpoint])
    w.ends(1)
    for text in (w.text, c.text):
        t.true(version.decode() in text and other.decode() in text, f"both versions in: {text}")
    good = worker(t, c, "anna")
    c.ends(0)
    good.ends(0)


@scenario("hosts")
def another_processor_is_refused_with_both_named(t):
    make(t, 2000)
    keys(t, "anna")
    c = coordinator(t, "-j", "0")
    w = Program(t, ["setarch", "i686", os.path.join(t.build, "tranche-worker"), "--access", "anna.access", c.endpoint])
    w.ends(1)
    for text in (w.text, c.text):
        t.true("i686 little-endian" in text and f"{os.uname().machine} little-endian" in text, f"both in: {text}")
    good = worker(t, c, "anna")
    c.ends(0)
    good.ends(0)
    exact(t, 2000)


@scenario("hosts")
def sighup_reads_the_allow_list_again(t):
    make(t, 5000)
    keys(t, "anna", "boris")
    c = coordinator(t, "-j", "0", "--min-workers", "2")  # so that it waits for us
    a = worker(t, c, "anna")
    c.says("worker anna is here")
    allowed, stays = t.path(".tranche", "keys", "allowed"), "the list of allowed workers stays as it was"
    os.chmod(allowed, 0o644)  # which is a change, and seen without a signal
    c.says(stays)
    told = c.text.count(stays)
    os.kill(c.p.pid, signal.SIGHUP)
    t.wait_until(lambda: c.text.count(stays) > told, f"it is read again, though nothing has changed:\n{c.text}")
    t.true("chmod 600" in c.text, c.text)
    os.chmod(allowed, 0o600)
    b = worker(t, c, "boris")
    c.ends(0)
    a.ends(0)
    b.ends(0)
    exact(t, 5000)


@scenario("hosts")
def more_connections_than_there_is_room_for_cost_no_worker_its_own(t):
    make(t, 5000)
    keys(t, "anna", "boris")
    few = ["prlimit", "--nofile=210:210"]  # 110 connections; with more files it is 1,200
    c = coordinator(t, "-j", "0", "--min-workers", "2", under=few)  # so that it waits for us
    a = worker(t, c, "anna")
    c.says("worker anna is here")
    port, socks = int(c.endpoint.rsplit(":", 1)[1]), []

    def crowded():
        if len(socks) < 2000:
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", port))
            socks.append(s)
        return "as many as this run takes" in c.text
    t.wait_until(crowded, f"connections are cut:\n{c.text}")
    for s in socks:
        s.close()
    b = worker(t, c, "boris")
    c.ends(0)
    a.ends(0)
    b.ends(0)
    exact(t, 5000)
    t.true("anna is gone" not in c.text, f"a worker went for a stranger:\n{c.text}")


def is_shut_out(t, *lies):
    make(t)
    keys(t, "honest", *lies)
    c = coordinator(t, "-j", "0")
    for how in lies:
        liar = Program(t, [os.path.join(t.build, "tests", "liar"), f"{how}.access", c.endpoint, how])
        liar.ends(0)
        c.says(f"worker {how} broke the rules")
        t.true("refused:" in liar.text and "denied" in liar.text, liar.text)
        t.equal(1, c.text.count(f"worker {how} broke the rules"), f"how often it is said in\n{c.text}")
        t.true("somebody else" not in c.text, "its name is its key's")
    w = worker(t, c, "honest")
    c.ends(0)
    w.ends(0)
    exact(t)
    t.equal({"honest"}, workers_of(t), "who worked")


@scenario("hosts")
def a_worker_that_lies_three_times_is_shut_out_and_the_run_goes_on(t):
    is_shut_out(t, "lease", "order", "digest", "need", "twins")


@scenario("hosts")
def a_worker_whose_results_unpack_to_a_lot_is_shut_out(t):  # two who give bad results would be believed
    is_shut_out(t, "bomb")


@scenario("hosts")
def volatile_workers_lose_nothing(t):
    make(t)
    keys(t, "anna", "boris")
    c = coordinator(t, "-j", "0")
    deaths = 0
    ws = {n: worker(t, c, n, "--volatility", "0.2") for n in ("anna", "boris")}
    while c.p.poll() is None:
        for n, w in ws.items():
            if w.p.poll() == -signal.SIGKILL:
                deaths += 1
                ws[n] = worker(t, c, n, "--volatility", "0.2")
        time.sleep(0.01)
    c.ends(0)
    exact(t)
    t.true(deaths > 3, f"only {deaths} deaths")


@scenario("hosts")
def a_host_that_does_not_see_the_file_gets_its_bytes(t):
    needs_root()
    make(t)
    keys(t, "anna")
    os.mkdir(t.path("data"))
    os.rename(t.path("k.csv"), t.path("data", "k.csv"))
    args = [a.replace("k.csv", "data/k.csv") if a == "k.csv" else a for a in ARGS]
    c = Program(t, [t.tranche, *args, "--listen", "tcp://127.0.0.1:0", "-j", "0"])
    c.says("listening on ")
    endpoint = re.search(r"listening on (\S+)", c.text).group(1)
    exe = os.path.join(t.build, "tranche-worker")
    w = Program(t, ["unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs data && exec "$@"', "sh", exe, "--access",
                    "anna.access", endpoint])
    c.ends(0)
    w.ends(0)
    exact(t)
    t.equal(0, t.one(".tranche/runs.db", "SELECT count(*) FROM attempts WHERE outcome = 'not run'"), "batches offered in vain")


@scenario("hosts")
def only_workers_with_the_label_get_batches(t):
    make(t, 20000)
    keys(t, "anna", "boris")
    c = coordinator(t, "-j", "1", "--label", "gpu")
    a = worker(t, c, "anna", "--label", "big")
    c.says("no worker has the label gpu: 2 connected without")
    b = worker(t, c, "boris", "--label", "big", "--label", "gpu")
    c.ends(0)
    a.ends(0)
    b.ends(0)
    t.equal({"boris"}, workers_of(t), "who worked")


@scenario("hosts")
def only_workers_with_the_memory_get_batches(t):
    make(t, 20000)
    keys(t, "anna", "boris")
    c = coordinator(t, "-j", "0", "--worker-memory", "256MiB")
    a = worker(t, c, "anna", "--memory", "128MiB")
    c.says("worker anna is here: 2 slots, but with less memory than limits.worker_memory")
    c.says("no worker has the memory of limits.worker_memory, 256MiB: 1 connected, the largest with 128MiB")
    b = worker(t, c, "boris", "--memory", "256MiB")
    c.ends(0)
    a.ends(0)
    b.ends(0)
    t.equal({"boris"}, workers_of(t), "who worked")
    wrong = Program(t, [os.path.join(t.build, "tranche-worker"), "--memory", "much", "tcp://127.0.0.1:1"])
    wrong.ends(2)
    t.true("--memory takes a size, e.g. 4GiB: much" in wrong.text, wrong.text)
    wrong = Program(t, [os.path.join(t.build, "tranche-worker"), "--mem", "1GiB", "tcp://127.0.0.1:1"])
    wrong.ends(2)
    t.true("a flag is cut short; write it out as: memory" in wrong.text, wrong.text)


@scenario("hosts")
def too_few_workers_end_the_run_with_a_sentence(t):
    make(t, 2000)
    keys(t, "anna")
    r = t.run(*ARGS, "-j", "1", "--listen", "tcp://127.0.0.1:0", "--min-workers", "3", "--wait", "300ms", want=1)
    t.says(r, "workers.min is 3", "300ms")


@scenario("hosts")
def an_idle_worker_leaves_after_its_time(t):
    keys(t, "anna")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        w = worker(t, "tcp://127.0.0.1:%d" % s.getsockname()[1], "anna", "--idle-timeout", "300ms")
        w.ends(0)
    t.true("nothing to do" in w.text, w.text)


@scenario("hosts", "bad")
def what_is_wrong_with_keys_and_addresses_is_told(t):
    make(t, 100)
    listen = ("--listen", "tcp://127.0.0.1:0")
    t.says(t.run(*ARGS, *listen, want=2), "tranche keys new")
    keys(t, "anna")
    t.says(t.run(*ARGS, "--listen", "tcp://127.0.0.1", want=2), "tcp://HOST:PORT")
    t.says(t.run(*ARGS, "--listen", "tcp://192.0.2.1:0", want=2), "no such address")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        t.says(t.run(*ARGS, "--listen", "tcp://127.0.0.1:%d" % s.getsockname()[1], want=1), "taken")
    os.chmod(t.path(".tranche/keys/coordinator.key"), 0o644)
    t.says(t.run(*ARGS, *listen, want=2), "chmod 600")
    os.chmod(t.path(".tranche/keys/coordinator.key"), 0o600)

    t.says(t.run("keys", "new", "--worker", "anna", "--address", "tcp://h:1", want=2), "allowed already")
    t.says(t.run("keys", "new", "--worker", "x/y", "--address", "tcp://h:1", want=2), "no name")
    t.says(t.run("keys", "new", "--worker", "x", want=2), "--address")
    t.says(t.run("keys", "revoke", "nobody", want=2), "keys list")
    t.says(t.run("keys", "allow", "carl", "short", want=2), "40 characters")
    t.says(t.run("keys", "frob", want=2), "revoke")
    t.says(t.run("keys", "list"), "anna")

    exe = os.path.join(t.build, "tranche-worker")
    for argv, code, part in [
        (["--access", "missing.access"], 1, "missing.access"),
        (["--access", ".tranche/keys/coordinator.key"], 2, "role 'coordinator'"),
        (["--access", "anna.access", "tcp://no-such-host.invalid:5"], 1, "has no address"),
        (["--access", "anna.access", "tcp://127.0.0.1:0"], 1, "port 0"),
        (["--on-server-lost", "maybe"], 2, "wait or stop"),
        (["--volatility", "2"], 2, "0 to 1"),
        (["--idle-timeout", "5"], 2, "duration"),
        ([], 2, "--help"),
    ]:
        w = Program(t, [exe, *argv])
        w.ends(code)
        t.true(part in w.text and len(w.text.splitlines()) == 1, f"one line with {part!r}: {w.text}")
    os.chmod(t.path("anna.access"), 0o640)
    w = Program(t, [exe, "--access", "anna.access"])
    w.ends(2)
    t.true("chmod 600" in w.text, w.text)


@scenario("hosts", "bad")
def an_address_that_answers_with_something_else_is_told(t):
    keys(t, "anna")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        stop = threading.Event()

        def serve():
            while not stop.is_set():
                try:
                    c, _ = s.accept()
                except OSError:
                    return
                with c:
                    c.recv(1000)
                    c.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n" + b"x" * 1000)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        w = worker(t, "tcp://127.0.0.1:%d" % s.getsockname()[1], "anna")
        w.says("no tranche coordinator")
        w.kill()
        stop.set()
        s.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@scenario("hosts")
def plaintext_needs_the_word_and_says_so(t):
    make(t, 5000)
    c = coordinator(t, "-j", "0", "--insecure")
    t.true("plaintext" in c.text, c.text)
    w = Program(t, [os.path.join(t.build, "tranche-worker"), "--insecure", "--name", "carl", c.endpoint])
    c.ends(0)
    w.ends(0)
    exact(t, 5000)
    t.equal({"carl"}, workers_of(t), "who worked")
