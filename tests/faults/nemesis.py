"""nemesis - one run of a load, and random faults that befall it until it is complete; then the oracle is asked.

Everything random is drawn from one seed in one order, whatever the faults hit: the same seed takes the same decisions again.
What they hit depends on the moment. Each fault is printed when it hits: seed, time since the run began, what, whom.
"""

import glob
import heapq
import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import kit
import oracle
import pg_proxy
import proxy
from test_kills import named_points

TABLE = "flights"
COLUMNS = ["id", "date", "score", "origin", "destination"]
ELSEWHERE = re.compile("file-|stage-|rejects-|merge-|finish-after-index")  # places that these loads do not pass
KILLED = -signal.SIGKILL
SCALE = 5  # protocol time runs so many times as fast: a silence is 2.4 s
SQL = "SELECT id, 'd' || date AS date, delay * 1000 + distance AS score, origin, destination{burn} FROM batch"


def transform(row):
    """What SQL does, in another language; None: the row is bad."""
    try:
        return int(row[0]), "d" + row[1], int(row[2]) * 1000 + int(row[3]), row[4], row[5]
    except ValueError:
        return None


def make_input(source, path, rows=None):
    """The flights with a number in front of each, and a bad one now and then."""
    with open(source, encoding="utf-8") as f, open(path, "w", encoding="utf-8") as out:
        out.write("id," + next(f))
        for i, line in enumerate(f):
            if i == rows:
                break
            if i % 4001 == 17:
                line = line.replace(",", ",late?", 1)
            out.write(f"{i},{line}")


class Program(threading.Thread):
    """One of ours, with what it says. `us`: we have killed it."""

    def __init__(self, storm, argv, env, what):
        super().__init__(daemon=True)
        self.what, self.text, self.out, self.us, self.stopped, self.rows = what, "", "", False, False, 0
        self.p = subprocess.Popen([str(a) for a in argv], cwd=storm.t.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=storm.t.env(**env), start_new_session=True)
        self.pid = self.p.pid
        if storm.opts.nice:  # a session is scheduled as one (sched(7), autogroup)
            with open(f"/proc/{self.pid}/autogroup", "w", encoding="ascii") as f:
                f.write(str(storm.opts.nice))
        self.start()
        self.outs = threading.Thread(target=self.read_out, daemon=True)
        self.outs.start()

    def run(self):
        for line in self.p.stderr:
            line = line.decode(errors="replace")
            if line.startswith('{"'):
                self.rows = line  # any change of it is progress
            else:
                self.text += line

    def read_out(self):
        self.out = self.p.stdout.read().decode(errors="replace")

    def alive(self):
        return self.p.poll() is None

    def signal(self, number):
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        self.us = True
        self.signal(signal.SIGKILL)

    def end(self):
        self.p.wait()
        self.join(5)
        self.outs.join(5)

    def last_words(self):
        lines = [line for line in self.text.splitlines() if line.strip()]
        return lines[-1] if lines else ""


def is_dead(pid):
    return oracle.text_of(f"/proc/{pid}/stat").rpartition(b")")[2].split()[:1] in ([], [b"Z"])


def levels(pid):
    """Its descendants by depth: for a coordinator its worker, that one's runners, their programs."""
    found, here = [], [pid]
    while here:
        here = [int(k) for p in here for t in listdir(f"/proc/{p}/task") for k in oracle.text_of(f"/proc/{p}/task/{t}/children").split()]
        found.append([p for p in here if not is_dead(p)])
    return found


def listdir(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


class Run:
    def __init__(self, t, ref, seed, pg, opts, say):
        self.t, self.ref, self.seed, self.pg, self.opts, self.say = t, ref, seed, pg, opts, say
        self.rng = random.Random(seed)
        self.began, self.heals, self.faults, self.found, self.words = time.monotonic(), [], 0, [], {}
        self.coordinators, self.workers, self.done, self.serial, self.text = [], [], None, 0, ""
        self.restart_at, self.crash_at, self.disk, self.crashed = 0, None, None, []
        self.configure()

    # ---- what is run

    def configure(self):
        r = self.rng
        self.slots = r.choice((0, 1, 2, 2))
        self.want_workers = r.choice((1, 2) if self.slots == 0 else (0, 1, 2))
        self.mode = r.choice(((), (), ("--mode", "replace"), ("--mode", "upsert", "--key", "id")))
        self.batch = r.choice((8, 16, 32, 64)) * (1 + self.ref.size // (4 << 20))
        batches = max(1, self.ref.size // (self.batch * 1024))
        each, way, self.points = self.opts.work / batches, r.choice(("sql", "sql", "exec")), [p for p in named_points() if not ELSEWHERE.match(p)]
        burn = int(each * 3_000_000)
        self.exec = ["--exec", f"sh -c 'sleep {each:.3f}; exec cat'"] if way == "exec" else []
        self.sql = SQL.format(burn=f", (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {burn}) "
                                   "SELECT count(*) FROM c) AS burnt" if way == "sql" else "")
        self.prepare_target()
        self.proxy = proxy.Proxy("127.0.0.1", self.free_port(), self.seed)
        self.say(f"seed {self.seed}: {'postgres' if self.pg else 'sqlite'}, -j {self.slots}, {self.want_workers} remote, "
                 f"{' '.join(self.mode) or 'append'}, {batches} batches of {self.batch} KiB, {way} of {each * 1000:.0f} ms")

    def free_port(self):
        import socket
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        return self.port

    def prepare_target(self):
        if self.pg:
            self.database = f"storm_{self.seed}"
            self.pg.psql(f"CREATE DATABASE {self.database}")
            self.pg_line = pg_proxy.Proxy(self.t, self.pg)
            self.into = self.pg_line.at(self.database)
            return
        self.database = None
        self.disk = self.t.path("disk")
        os.makedirs(self.disk)
        if os.geteuid() == 0:
            mib = 64 + 4 * (self.ref.size >> 20)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", self.disk], check=True)
            self.t.cleanups.append(lambda: subprocess.run(["umount", "-l", self.disk]))
        self.into = "sqlite:disk/wh.db"

    def target(self):
        if self.pg:
            return oracle.Postgres(self.pg, TABLE, self.database)
        return oracle.Sqlite(os.path.join(self.disk, "wh.db"), TABLE)

    def coordinate(self, usurper=False, second=False):
        env = {"TRANCHE_TIME_SCALE": str(SCALE)}
        if usurper:
            self.serial += 1
            env["TRANCHE_HOME"] = self.t.path(f"home{self.serial}")
        elif not second and self.crash_at:
            env["TRANCHE_CRASH_AT"], self.crash_at = self.crash_at, None
        listen = [] if usurper or second else ["--listen", f"tcp://127.0.0.1:{self.port}", "--insecure"]
        argv = [self.t.tranche, "run", "--csv", self.ref.path, "--into", self.into, "--table", TABLE, *self.mode, "--type", "delay=integer",
                "--type", "date=text", "--sql", self.sql, *self.exec, "--batch-bytes", f"{self.batch}KiB", "--bad-rows", "1000", "-j",
                max(self.slots, 1) if usurper or second else self.slots, *listen, "--output", "json", "--progress", "json"]
        c = Program(self, argv, env, "usurper" if usurper else "second coordinator" if second else "coordinator")
        c.crash = env.get("TRANCHE_CRASH_AT")
        self.coordinators.append(c)
        return c

    def work(self):
        self.serial += 1
        exe = os.path.join(self.t.build, "tranche-worker")
        w = Program(self, [exe, "--insecure", "--name", f"w{self.serial}", "--slots", "2", self.proxy.endpoint],
                    {"TRANCHE_TIME_SCALE": str(SCALE)}, f"worker w{self.serial}")
        self.workers.append(w)
        return w

    # ---- the loop

    def at(self):
        return time.monotonic() - self.began

    def storm(self, wanted):
        """Until so many faults have hit or the load is complete; then all is healed and must come to its end."""
        self.coordinate()
        for _ in range(self.want_workers):
            self.work()
        r = self.rng
        kinds = self.kinds()
        while self.faults < wanted and not self.done and not self.found and self.at() < 60 + 3 * wanted:
            gap, which, x, y = min(r.expovariate(1 / self.opts.gap), 2), r.random(), r.random(), r.random()
            self.restart_after = r.choice((0, 0, 0.1, 0.5, 2))
            self.wait(gap)
            if self.done:
                break
            name, fn = pick(kinds, which)
            hit = fn(x, y)
            if hit:
                self.faults += 1
                self.say(f"seed {self.seed} {self.at():7.2f} s  {name}: {hit}")
        self.heal_all()
        self.await_end()
        self.finish()
        return self.found

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while True:
            self.tick()
            left = end - time.monotonic()
            if left <= 0 or self.done:
                return
            time.sleep(min(0.02, left))

    def later(self, seconds, fn):
        self.serial += 1
        heapq.heappush(self.heals, (time.monotonic() + seconds, self.serial, fn))

    def tick(self):
        while self.heals and self.heals[0][0] <= time.monotonic():
            heapq.heappop(self.heals)[2]()
        for c in [c for c in self.coordinators if not c.alive()]:
            self.coordinators.remove(c)
            self.ended(c)
        for w in [w for w in self.workers if not w.alive()]:
            self.workers.remove(w)
            w.end()
            # One that was asked to leave before it could hear that ends by the signal.
            if not (w.p.returncode in (0, 1, -signal.SIGTERM) or w.p.returncode == KILLED and w.us):
                self.found.append(f"{w.what} ended with {w.p.returncode}: {w.text[-2000:]}")
        if not self.done and not self.coordinators and time.monotonic() >= self.restart_at:
            self.coordinate()

    def ended(self, c):
        c.end()
        code = c.p.returncode
        self.restart_at = time.monotonic() + self.restart_after
        if code in (0, 3) and c.what != "second coordinator":
            self.done = c
        elif code in (0, 3):
            self.done = c  # the first one was gone when it came
        elif code == KILLED and (c.us or c.crash):
            if not c.us:
                self.faults += 1
                self.crashed.append(c.crash)
                self.say(f"seed {self.seed} {self.at():7.2f} s  crash point: {c.crash}")
        elif code == 1:
            words = re.sub(r"\d+", "N", c.last_words())
            self.words[words] = self.words.get(words, 0) + 1
            if re.search(r"port|taken", c.last_words()):
                self.proxy.target(self.free_port())
        else:
            self.found.append(f"(g) the {c.what} ended with {code}:\n{c.text[-3000:]}")

    def heal_all(self):
        while self.heals:
            heapq.heappop(self.heals)[2]()
        self.faults -= self.proxy.honest()  # orders that found no message
        self.crash_at = None

    def await_end(self):
        """Nothing is broken any more: the load must get on, and end."""
        self.restart_after, seen, idle, looked, began = 0, None, 0, time.monotonic(), time.monotonic()
        while not self.done and not self.found:
            self.tick()
            if not self.workers and self.slots == 0 and not self.done:
                self.work()
            now = [(c.pid, c.rows) for c in self.coordinators]
            # A time in which we stood still ourselves says nothing about others.
            idle, looked = idle + min(time.monotonic() - looked, 0.5), time.monotonic()
            if now != seen:
                seen, idle = now, 0
            if idle > self.opts.patience:
                self.found.append(f"a hang: no progress for {self.opts.patience} s with everything healed\n{self.stacks()}")
            time.sleep(0.02)
        if time.monotonic() - began > self.opts.patience / 2:
            self.say(f"seed {self.seed}: took {time.monotonic() - began:.0f} s with everything healed:\n{(self.done or self).text[-3000:]}")

    def stacks(self):
        text = ""
        for c in [*self.coordinators, *self.workers]:
            text += f"--- {c.what} {c.pid}, last progress {c.rows}\n{c.text[-3000:]}\n"
            for pid in [c.pid, *[p for level in levels(c.pid) for p in level]]:
                done = subprocess.run(["gdb", "-p", str(pid), "-batch", "-ex", "thread apply all bt 30"], capture_output=True, text=True)
                state = "".join(line.decode() for line in oracle.text_of(f"/proc/{pid}/status").splitlines(True)
                                if line.startswith((b"State", b"PPid", b"TracerPid", b"Sig", b"Shd")))
                text += (f"--- {pid}: {oracle.text_of(f'/proc/{pid}/cmdline').replace(bytes(1), b' ').decode(errors='replace')}\n{state}"
                         f"{oracle.text_of(f'/proc/{pid}/stack').decode()}{done.stdout[-8000:]}{done.stderr[-1000:]}\n")
        return text

    def kill_what_lives(self):
        """For one who was interrupted."""
        for p in [*self.coordinators, *self.workers]:
            p.kill()

    def finish(self):
        """Others must notice that it is over; workers that were not told of it are asked to leave."""
        end = time.monotonic() + self.opts.patience
        if self.found:
            for p in [*self.coordinators, *self.workers]:
                p.kill()
        while self.coordinators and time.monotonic() < end:
            done = self.done
            self.tick()
            self.done = done or self.done
            time.sleep(0.02)
        for c in self.coordinators if self.done else ():
            self.found.append(f"the {c.what} still runs though the load is complete\n{self.stacks()}")
            c.kill()
        for w in list(self.workers):
            w.signal(signal.SIGTERM)
        for w in self.workers:
            try:
                w.p.wait(self.opts.patience)
            except subprocess.TimeoutExpired:
                self.found.append(f"{w.what} does not leave after SIGTERM\n{self.stacks()}")
                w.kill()
            w.end()
        self.proxy.close()
        for home in glob.glob(self.t.path("home*")):  # of usurpers: nobody comes back to them
            shutil.rmtree(home)
        if self.pg:
            self.pg_line.close()
        if not self.done:
            return
        report = json.loads(self.done.out.strip().splitlines()[-1])
        # A coordinator that comes when all is loaded has nothing left to reject.
        found = oracle.judge(self.ref, self.target(), self.done.p.returncode, (0, 3) if not report["rows_read"] else (3,), report)
        left = oracle.left_behind(self.t.dir)
        if any("is left" in f for f in left):  # of one that was killed, and nobody came after it
            for making in glob.glob(self.t.path("tmp", "tranche-scratch-new-*")):
                os.utime(making, (0, 0))  # who makes one is given a minute
            self.t.run("run", "--range", "1", "--into", "null:", "--exec", "cat")
            left = oracle.left_behind(self.t.dir)
        self.found += found + left

    # ---- the faults

    def kinds(self):
        """(weight, name, function of two random numbers): what was hit, or None when nothing was there."""
        both = [(4, "kill -9", self.kill_runner), (3, "kill -9", self.kill_worker), (4, "kill -9", self.kill_coordinator),
                (1, "kill -9", self.kill_all), (1, "kill -9", self.kill_program),
                (5, "SIGSTOP", self.stop_one), (3, "joins", self.join), (2, "leaves", self.leave),
                (6, "message", self.message), (1, "line", self.cut_lines), (3, "crash point", self.crash),
                (2, "second coordinator", self.second), (1, "usurper", self.usurp)]
        if self.pg:
            return both + [(3, "server", self.end_backends), (1, "server", self.kill_backend), (1, "server", self.restart_server),
                           (2, "server line", self.cut_pg), (2, "server line", self.cut_commit)]
        return both + ([(3, "disk", self.fill_disk)] if os.geteuid() == 0 else [])

    def of_level(self, depth):
        """(pid, name): depth 0 is a worker's parent process, 1 its runners, 2 their programs."""
        found = []
        for c in self.coordinators:
            found += [(p, f"{c.what}'s") for level in levels(c.pid)[depth:depth + 1] for p in level]
        for w in self.workers:
            found += [(p, w.what) for p in ([w.pid] if depth == 0 else [p for level in levels(w.pid)[depth - 1:depth] for p in level])]
        return found

    def kill_pid(self, depth, what, x):
        there = self.of_level(depth)
        if not there:
            return None
        pid, whose = pick_one(there, x)
        for w in self.workers:
            w.us |= w.pid == pid
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return f"{what} {pid} ({whose})"

    def kill_worker(self, x, y):
        return self.kill_pid(0, "worker", x)

    def kill_runner(self, x, y):
        return self.kill_pid(1, "runner", x)

    def kill_program(self, x, y):
        return self.exec and self.kill_pid(2, "program", x)

    def kill_coordinator(self, x, y):
        if not self.coordinators:
            return None
        c = pick_one(self.coordinators, x)
        c.kill()
        return f"{c.what} {c.pid}"

    def kill_all(self, x, y):
        all_of_us = [*self.coordinators, *self.workers]
        below = [p for c in all_of_us for level in levels(c.pid) for p in level]
        for c in all_of_us:
            c.kill()
        for p in below:
            try:
                os.kill(p, signal.SIGKILL)
            except ProcessLookupError:
                pass
        n = len(self.workers)
        for _ in range(n if self.slots else max(n, 1)):
            self.later(y, self.work)
        return f"everything, {len(all_of_us) + len(below)} processes" if all_of_us else None

    def stop_one(self, x, y):
        there = [(c.pid, c.what) for c in self.coordinators] + self.of_level(0) + self.of_level(1)
        if not there:
            return None
        pid, whose = pick_one(there, x)
        seconds = y * 2 if y < 0.8 else 2.4 + y * 3  # longer than a silence, now and then
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            return None
        self.later(seconds, lambda: self.go_on(pid))
        return f"{pid} ({whose}) for {seconds:.2f} s"

    @staticmethod
    def go_on(pid):
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def join(self, x, y):
        return len(self.workers) < 4 and self.work().what

    def leave(self, x, y):
        if not self.workers:
            return None
        w = pick_one(self.workers, x)
        w.signal(signal.SIGTERM)
        return w.what

    def message(self, x, y):
        if not self.proxy.pipes:
            return None
        way, fault = ("up", "down")[x < 0.5], proxy.FAULTS[int(y * len(proxy.FAULTS))]
        self.proxy.order(way, fault)
        return f"{fault} {way}"

    def cut_lines(self, x, y):
        n = self.proxy.cut()
        return n and f"{n} connections are cut"

    def crash(self, x, y):
        """The next coordinator will die there, when it passes it; this one makes room."""
        if self.crash_at or not self.coordinators:
            return None
        self.crash_at = f"{self.points[int(x * len(self.points))]}:{1 + int(y * 3)}"
        c = self.coordinators[0]
        c.kill()
        return f"coordinator {c.pid} makes room for one that dies at {self.crash_at}"

    def second(self, x, y):
        return self.coordinators and f"{self.coordinate(second=True).pid} with the same folder"

    def usurp(self, x, y):
        return len(self.coordinators) == 1 and f"{self.coordinate(usurper=True).pid} with a folder of its own"

    def fill_disk(self, x, y):
        ballast = os.path.join(self.disk, "ballast")
        if os.path.exists(ballast):
            return None
        try:
            with open(ballast, "wb", buffering=0) as f:
                while True:
                    f.write(bytes(1 << 20))
        except OSError:
            pass  # this is what "full" means
        self.later(y * 2, lambda: os.unlink(ballast))
        return f"full for {y * 2:.2f} s"

    def end_backends(self, x, y):
        try:
            n = self.pg.kill_backends("tranche%") if self.pg.process else 0
        except kit.Failed:
            return None
        return n and f"{n} sessions are ended"

    def kill_backend(self, x, y):
        try:
            there = self.pg.backends("tranche%") if self.pg.process else []
        except kit.Failed:
            return None
        if not there:
            return None
        pid = pick_one(there, x)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return f"kill -9 of its process {pid}, so that it recovers"

    def restart_server(self, x, y):
        if not self.pg.process:
            return None
        how = ("INT", "QUIT", "KILL")[int(x * 3)]
        # Asked to end while it recovers it may wait for ever: then it is ended at once.
        stubborn = threading.Timer(20, self.pg.process.send_signal, (signal.SIGQUIT,))
        stubborn.start()
        self.pg.stop(how)
        stubborn.cancel()
        self.later(y * 2, self.pg.start)
        return f"SIG{how}, started again after {y * 2:.2f} s"

    def cut_pg(self, x, y):
        n = len(self.pg_line.pipes)
        self.pg_line.cut()
        return n and f"{n} connections are cut"

    def cut_commit(self, x, y):
        """Before the server hears of a COMMIT, or after it did and before we hear that."""
        if self.pg_line.wanted:
            return None
        (self.pg_line.cut_before if x < 0.5 else self.pg_line.cut_after)("COMMIT", 1 + int(y * 3))
        return f"cut {'before' if x < 0.5 else 'after'} a COMMIT"


def pick(weighted, x):
    total = sum(w for w, *_ in weighted)
    x *= total
    for w, name, fn in weighted:
        if x < w:
            return name, fn
        x -= w
    return weighted[-1][1:]


def pick_one(items, x):
    return items[int(x * len(items))]
