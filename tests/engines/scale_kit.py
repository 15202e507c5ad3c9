"""scale_kit - a run whose input comes as a scenario wants it, and `tranche scale` beside it."""

import os
import signal
import socket
import sqlite3
import subprocess
import threading

from kit import Failed
from test_hosts import Program

SLOW = ("SELECT id, h, (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5000) "
        "SELECT count(*) FROM c) AS burnt FROM batch")


def free_port(host="127.0.0.1"):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((host, 0))
        return s.getsockname()[1]


class Feed(threading.Thread):
    """Rows for a run's standard input, as many as it takes while `flows` is set."""

    BLOCK, SAMPLE = 100, 36000  # the sample is what the run looks at before it begins

    def __init__(self, pipe):
        super().__init__(daemon=True)
        self.pipe, self.rows, self.flows, self.over = pipe, 0, threading.Event(), False
        self.flows.set()
        self.start()

    def run(self):
        try:
            self.pipe.write(b"id,h\n")
            self.write(self.SAMPLE)
            while self.flows.wait() and not self.over:
                self.write(self.BLOCK)
            self.pipe.close()
        except (BrokenPipeError, ValueError):
            pass

    def write(self, n):
        ids = range(self.rows, self.rows + n)
        self.pipe.write("".join(f"{i},{(i * 2654435761) % 4294967296}\n" for i in ids).encode())
        self.pipe.flush()
        self.rows += n

    def finish(self):
        self.over = True
        self.flows.set()


class Run:
    """`tranche run` for workers of other hosts only, and an access file that they share."""

    def __init__(self, t, *more):
        self.t = t
        port = free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        self.access = t.path("fleet.access")
        if not os.path.exists(self.access):
            t.run("keys", "new", "--worker", "fleet", "--address", self.address, "-o", self.access)
        self.c = Program(t, [t.tranche, "run", "--csv", "-", "--into", "sqlite:wh.db", "--table", "k", "--sql", SLOW,
                             "--batch-bytes", "2KiB", "--output", "json", "-j", "0", "--listen", self.address, *more],
                         stdin=subprocess.PIPE)
        self.feed = Feed(self.c.p.stdin)
        self.c.says("listening on ")

    def live(self):
        """The row that `tranche scale` reads."""
        con = sqlite3.connect(f"file:{self.t.path('.tranche', 'runs.db')}?mode=ro", uri=True, timeout=10)
        try:
            rows = con.execute("SELECT workers, slots, running, waiting FROM live ORDER BY run DESC LIMIT 1").fetchall()
        except sqlite3.OperationalError:
            rows = []
        finally:
            con.close()
        return dict(zip(("workers", "slots", "running", "waiting"), rows[0] if rows else (0, 0, 0, 0)))

    def committed(self):
        try:
            return self.t.one("wh.db", "SELECT count(*) FROM tranche_ledger")
        except sqlite3.OperationalError:
            return 0

    def commits(self, more=5):
        goal = self.committed() + more
        self.t.wait_until(lambda: self.committed() >= goal, f"{more} batches more\n{self.c.text[-3000:]}")

    def workers(self, wanted, seconds=240):
        self.t.wait_until(lambda: wanted(self.live()["workers"]), f"workers\n{self.c.text[-3000:]}", seconds)

    def ends(self, code=0):
        """No more rows; each that there was must be loaded once."""
        self.feed.finish()
        self.c.ends(code, 120)
        self.feed.join(10)
        n, t = self.feed.rows, self.t
        want = (n, n, n * (n - 1) // 2, sum((i * 2654435761) % 4294967296 for i in range(n)))
        t.equal(want, t.rows("wh.db", "SELECT count(*), count(DISTINCT id), sum(id), sum(h) FROM k")[0],
                f"rows, distinct rows, sums\n{self.c.text[-3000:]}")
        t.intact("wh.db")


def scale(t, launcher, *args, run=None):
    """The command, which decides five times a second."""
    argv = [t.tranche, "scale", "--launcher", launcher, "--interval", "200ms"]
    if run:
        argv += ["--access", run.access, "--worker", os.path.join(t.build, "tranche-worker")]
    p = Program(t, [*argv, *args])
    return p


def command_lines():
    """Of all processes of this machine, with spaces between the words."""
    return list(by_pid().values())


def processes(marker):
    """Those whose command line has the marker."""
    return [pid for pid, line in by_pid().items() if marker in line]


def by_pid():
    found = {}
    for pid in os.listdir("/proc"):
        try:
            with open(f"/proc/{int(pid)}/cmdline", "rb") as f:
                found[int(pid)] = f.read().replace(b"\0", b" ").decode(errors="replace")
        except (OSError, ValueError):
            pass
    return found


class Daemon:
    """A server of an engine in a process group of its own, its words in a file."""

    def __init__(self, t, name, argv, env=None):
        self.log = t.path(f"{name}.out")
        with open(self.log, "wb") as f:
            self.p = subprocess.Popen([str(a) for a in argv], cwd=t.dir, stdin=subprocess.DEVNULL, stdout=f,
                                      stderr=subprocess.STDOUT, env=t.env(**(env or {})), start_new_session=True)
        self.name = name
        t.cleanups.append(self.stop)

    def lives(self):
        if self.p.poll() is not None:
            with open(self.log, errors="replace") as f:
                raise Failed(f"{self.name} ended with {self.p.returncode}:\n{f.read()[-3000:]}")
        return True

    def stop(self):
        if self.p.poll() is None:
            os.killpg(self.p.pid, signal.SIGKILL)
        self.p.wait()
