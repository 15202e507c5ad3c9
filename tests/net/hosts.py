"""hosts - machines that are network namespaces, a bridge between them, and what goes wrong there.

A Hosts has one namespace for the coordinator ("c"), one for each worker and one for the
bridge. Every host has its own idea of the boot id, and none but the coordinator's sees the
files of the run: batches travel. The names of the namespaces hold our process id; interfaces,
nft tables and queues live inside them and go with them.
"""

import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
import uuid

from kit import Failed

PORT = 5555
NET = "10.77.0"
LABEL = "tranche-net"
DEADLINE = 180  # s; of what takes none on a calm machine


def sh(*argv, check=True):
    p = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if check and p.returncode:
        raise Failed(f"{' '.join(map(str, argv))}: {p.stderr.strip()}")
    return p.stdout


def remove_leftovers():
    """Of runs that were killed before they could tidy up."""
    for line in sh("ip", "netns", "list").splitlines():
        m = re.match(rf"({LABEL}-(\d+)-\S+)", line)
        if m and not os.path.exists(f"/proc/{m.group(2)}"):
            remove(m.group(1))


def remove(ns):
    for pid in sh("ip", "netns", "pids", ns, check=False).split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    sh("ip", "netns", "del", ns, check=False)


class Program:
    """A program on a host, with what it has said so far and when."""

    def __init__(self, t, argv, stdin=subprocess.DEVNULL, env=None):
        self.t, self.lines, self.out = t, [], b""
        self.p = subprocess.Popen([str(a) for a in argv], cwd=t.dir, stdin=stdin, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=t.env(**(env or {})), start_new_session=True)
        self.readers = [threading.Thread(target=f, daemon=True) for f in (self.read_err, self.read_out)]
        for r in self.readers:
            r.start()
        t.cleanups.append(self.kill)

    def read_err(self):
        for line in self.p.stderr:
            self.lines.append((time.monotonic(), line.decode(errors="replace").rstrip()))

    def read_out(self):
        self.out = self.p.stdout.read()

    @property
    def text(self):
        return "\n".join(line for _, line in self.lines)

    def when(self, part, seconds=DEADLINE, after=0.0):
        """Waits until a line with this part was said after that moment; the moment it was."""
        end = time.monotonic() + seconds
        while True:
            over = self.p.poll() is not None
            for at, line in list(self.lines):
                if at >= after and part in line:
                    return at
            if over or time.monotonic() > end:
                raise Failed(f"not said within {seconds} s: {part!r}\n{self}")
            time.sleep(0.005)

    def ends(self, want, seconds=DEADLINE):
        try:
            self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"still running after {seconds} s\n{self}")
        for r in self.readers:
            r.join(5)
        if self.p.returncode != want:
            raise Failed(f"wanted exit code {want}\n{self}")

    def signal(self, number):
        os.killpg(self.p.pid, number)

    def kill(self):
        try:
            self.signal(signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.p.wait()
        for r in self.readers:
            r.join(5)

    def __str__(self):
        lines = self.lines
        began = lines[0][0] if lines else 0
        said = "\n".join(f"{at - began:7.2f} {line}" for at, line in lines[-60:])
        return f"$ {' '.join(self.p.args)}\nexit code {self.p.poll()}\n{said}\n{self.out.decode(errors='replace')[-2000:]}"


class Feed(threading.Thread):
    """Rows for the run's standard input, as fast as it takes them but no faster than `rate`
    rows a second, until finish(). The sample that it looks at first comes at once."""

    BLOCK, SAMPLE = 200, 36000

    def __init__(self, pipe, rate):
        super().__init__(daemon=True)
        self.pipe, self.rate, self.rows, self.over = pipe, rate, 0, threading.Event()
        self.start()

    def run(self):
        try:
            self.pipe.write(b"id,h\n")
            self.write(self.SAMPLE)
            while not self.over.wait(self.BLOCK / self.rate):
                self.write(self.BLOCK)
            self.pipe.close()
        except BrokenPipeError:
            pass

    def write(self, n):
        ids = range(self.rows, self.rows + n)
        self.pipe.write("".join(f"{i},{(i * 2654435761) % 4294967296}\n" for i in ids).encode())
        self.pipe.flush()
        self.rows += n

    def finish(self):
        self.over.set()


SLOW = ("SELECT id, h, (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000) "
        "SELECT count(*) FROM c) AS burnt FROM batch")  # some ms a batch


class Hosts:
    def __init__(self, t, workers=3, scale=1):
        self.t, self.scale = t, scale
        self.env = {"TRANCHE_TIME_SCALE": str(scale)}
        self.names = [f"w{i + 1}" for i in range(workers)]
        self.worker, self.feed, self.c, self.cuts = {}, None, None, {}
        t.cleanups.insert(0, self.close)
        os.makedirs(t.path("data"), exist_ok=True)
        self.build_net()

    # ---- the network ----

    def ns(self, host):
        return f"{LABEL}-{os.getpid()}-{host}"

    def inside(self, host, *argv, check=True):
        return sh("ip", "netns", "exec", self.ns(host), *argv, check=check)

    def address(self, host):
        return f"{NET}.{1 if host == 'c' else 10 + int(host[1:])}"

    def build_net(self):
        sh("ip", "netns", "add", self.ns("net"))
        sh("ip", "-n", self.ns("net"), "link", "add", "name", "br0", "type", "bridge")
        sh("ip", "-n", self.ns("net"), "link", "set", "br0", "up")
        for h in ["c"] + self.names:
            sh("ip", "netns", "add", self.ns(h))
            sh("ip", "link", "add", "name", "eth0", "netns", self.ns(h), "type", "veth", "peer", "name", h, "netns", self.ns("net"))
            sh("ip", "-n", self.ns("net"), "link", "set", h, "master", "br0", "up")
            sh("ip", "-n", self.ns(h), "addr", "add", f"{self.address(h)}/24", "dev", "eth0")
            sh("ip", "-n", self.ns(h), "link", "set", "eth0", "up")
            sh("ip", "-n", self.ns(h), "link", "set", "lo", "up")

    def close(self):
        for h in self.names + ["c", "net"]:
            remove(self.ns(h))

    def nft(self, host, text):
        p = subprocess.run(["ip", "netns", "exec", self.ns(host), "nft", "-f", "-"], input=text, text=True, capture_output=True)
        if p.returncode:
            raise Failed(f"nft: {p.stderr}")

    def rule(self, host, table, hooks, verdict):
        self.nft(host, "".join(f"add table inet {table}_{hook}\n"
                               f"add chain inet {table}_{hook} pass {{ type filter hook {hook} priority 0; }}\n"
                               f"add rule inet {table}_{hook} pass {verdict}\n" for hook in hooks))

    def cut(self, host, *hooks):
        """Drops all packets that come into ("input") or leave ("output") the host."""
        self.cuts[host] = hooks or ("input", "output")
        self.rule(host, "cut", self.cuts[host], "counter drop")

    def heal(self, host):
        """How many packets the cut has dropped."""
        hooks = self.cuts.pop(host)
        n = sum(self.dropped(host, f"cut_{hook}") for hook in hooks)
        self.nft(host, "".join(f"delete table inet cut_{hook}\n" for hook in hooks))
        return n

    def lose(self, host, percent):
        self.rule(host, "loss", ("input", "output"), f"numgen random mod 100 < {percent} counter drop")

    def dropped(self, host, table):
        return sum(int(n) for n in re.findall(r"packets (\d+)", self.inside(host, "nft", "list", "table", "inet", table, check=False)))

    def narrow(self, host, rate, burst="16kb"):
        """So many bits a second, in each direction."""
        tbf = ("root", "tbf", "rate", rate, "burst", burst, "latency", "400ms")
        self.inside(host, "tc", "qdisc", "add", "dev", "eth0", *tbf)
        self.inside("net", "tc", "qdisc", "add", "dev", host, *tbf)

    def delayed(self, host):
        """How many packets of either direction the queue has held back."""
        out = self.inside(host, "tc", "-s", "qdisc", "show", "dev", "eth0") + \
            self.inside("net", "tc", "-s", "qdisc", "show", "dev", host)
        return [int(n) for n in re.findall(r"overlimits (\d+)", out)]

    def carried(self, host):
        """Bytes that came to the host, and bytes that left it."""
        stats = json.loads(self.inside(host, "ip", "-j", "-s", "link", "show", "dev", "eth0"))[0]["stats64"]
        return stats["rx"]["bytes"], stats["tx"]["bytes"]

    # ---- the programs ----

    def key(self, name):
        self.t.run("keys", "new", "--worker", name, "--address", f"tcp://{self.address('c')}:{PORT}", "-o", f"{name}.access")
        return self.t.path(f"{name}.access")

    def coordinate(self, *more, rate=20000, batch="2KiB", csv="-", sql=SLOW, insecure=False):
        stdin = subprocess.PIPE if csv == "-" else subprocess.DEVNULL
        self.c = Program(self.t, [
            "ip", "netns", "exec", self.ns("c"), self.t.tranche, "run", "--csv", csv, "--into", "sqlite:wh.db",
            "--table", "k", "--batch-bytes", batch, "--output", "json", "-j", "0", *(["--sql", sql] if sql else []), "--listen",
            f"tcp://{self.address('c')}:{PORT}", *(["--insecure"] if insecure else []), *more], stdin=stdin, env=self.env)
        if csv == "-":
            self.feed = Feed(self.c.p.stdin, rate)
        self.c.when("listening on ")
        return self.c

    def on_host(self, host, argv, env=None, reboot=True, hide=True, instead=None):
        """A program on a machine of its own: another boot (or one of our containers), another disk (or
        ours, where it sees other files instead of some)."""
        steps = ["set -e"]
        if reboot:
            boot = self.t.write(f"boot-{host}", f"{uuid.uuid4()}\n")
            steps.append(f"mount --bind {boot} /proc/sys/kernel/random/boot_id")
        if hide:
            steps.append(f"mount -t tmpfs none {self.t.path('data')}")
        for path, other in (instead or {}).items():
            steps.append(f"mount --bind {other} {self.t.path(path)}")
        script = "; ".join(steps + ['exec "$@"'])
        return Program(self.t, ["ip", "netns", "exec", self.ns(host), "sh", "-c", script, "sh", *argv],
                       env={**self.env, **(env or {})})

    def work(self, host, *more, access=None, env=None, **see):
        """The worker of a host; the key was made with the same name."""
        way = more if access is False else ("--access", access or f"{host}.access", *more)
        w = self.on_host(host, [os.path.join(self.t.build, "tranche-worker"), "--slots", "2", *way], env=env, **see)
        self.worker[host] = w
        return w

    def start(self, *more, **how):
        """Everything: keys, the coordinator, and a worker on each host."""
        for n in self.names:
            self.key(n)
        self.coordinate(*more, **how)
        for n in self.names:
            self.work(n)
        for n in self.names:
            self.c.when(f"worker {n} is here")
        self.commits(10)

    # ---- what came of it ----

    def ledger(self, sql, *params):
        try:
            con = sqlite3.connect(f"file:{self.t.path('wh.db')}?mode=ro", uri=True, timeout=10)
        except sqlite3.Error:
            return []
        try:
            return con.execute(sql, params).fetchall()
        except sqlite3.OperationalError:
            return []  # it does not stand there yet
        finally:
            con.close()

    def committed(self, worker=None):
        rows = self.ledger("SELECT count(*) FROM tranche_ledger WHERE ?1 IS NULL OR worker = ?1", worker)
        return rows[0][0] if rows else 0

    def commits(self, more=10, worker=None, seconds=DEADLINE):
        """Waits for so many batches more; the moment they were there."""
        goal, end = self.committed(worker) + more, time.monotonic() + seconds
        while self.committed(worker) < goal:
            if self.c.p.poll() is not None or time.monotonic() > end:
                raise Failed(f"not {more} batches more within {seconds} s{' by ' + worker if worker else ''}\n{self.everything()}")
            time.sleep(0.02)
        return time.monotonic()

    def leased(self, worker):
        """What a worker was given and did not answer for, now or before it was gone: [begin, end, batches], neighbours perhaps as one."""
        db = os.path.join(self.t.dir, ".tranche", "runs.db")
        con = sqlite3.connect(f"file:{db}?mode=ro", uri=True, timeout=10)
        try:
            return con.execute('SELECT begin, "end", chunks FROM attempts WHERE worker = ? AND (outcome IS NULL OR outcome IN (\'lost\', \'expired\'))', (worker,)).fetchall()
        finally:
            con.close()

    def unfinished(self, spans):
        done = "SELECT coalesce(sum(byte_end - byte_begin), 0) FROM tranche_ledger WHERE byte_begin >= ? AND byte_end <= ?"
        return [x for x in spans if sum(n for (n,) in self.ledger(done, x[0], x[1])) < x[1] - x[0]]

    def workers(self):
        return {w for (w,) in self.ledger("SELECT DISTINCT worker FROM tranche_ledger")}

    def ends(self, rows=None, seconds=DEADLINE):
        """No more rows; the run must end well, and each row must be there once."""
        if self.feed:
            self.feed.finish()
        try:
            self.c.ends(0, seconds)
        except Failed as e:
            raise Failed(f"{e}\n{self.everything()}")
        if self.feed:
            self.feed.join(10)
            rows = self.feed.rows
        t, last = self.t, json.loads(self.c.out.strip().splitlines()[-1])
        want = (rows, rows, rows * (rows - 1) // 2, sum((i * 2654435761) % 4294967296 for i in range(rows)))
        got = t.rows("wh.db", "SELECT count(*), count(DISTINCT id), sum(id), sum(h) FROM k")[0]
        t.equal(want, got, f"rows, distinct rows, sums\n{self.everything()}\n")
        t.equal(0, t.one("wh.db", "SELECT count(*) FROM k_rejects"), f"rejects\n{self.c}\n")
        t.true(last["load"]["balanced"], f"balanced\n{self.c}")
        t.intact("wh.db")
        return last

    def everything(self):
        return "\n".join(f"--- {n}\n{p}" for n, p in [("c", self.c), *self.worker.items()] if p)
