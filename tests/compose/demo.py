#!/usr/bin/env python3
"""demo - docker-compose.yml in a real engine; run.sh starts that and then this.

Each scenario begins with no container and no volume. What the warehouse must hold is computed
here, from the same file, with Python's csv module.
"""

import collections
import csv
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster"))
from kit import ROOT, Done, Failed, main, scenario  # noqa: E402

SLOW = ("-f", "docker-compose.yml", "-f", "tests/compose/slow.yml")


def flights():
    with open(os.path.join(ROOT, "examples/data/flights-slice.csv"), newline="") as f:
        for r in csv.DictReader(f):
            delay, distance = (int(r[k]) if r[k] else None for k in ("delay", "distance"))
            yield r["date"], delay, distance, r["origin"], r["destination"]


def late():
    for date, delay, _, origin, destination in flights():
        if delay is not None and delay > 60:
            yield date, origin, destination, delay


class Demo:
    """One project of docker-compose, gone when the scenario ends."""

    def __init__(self, t, *files):
        self.t, self.files = t, files
        self.down()
        t.cleanups.append(self.down)

    def call(self, *argv, want=0, timeout=240, env=None):
        p = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=dict(os.environ, **(env or {})))
        done = self.t.finish(p, timeout)
        if want is not None and done.code != want:
            raise Failed(f"wanted exit code {want}\n{done}\n{self.logs()}")
        return done

    def compose(self, *args, **kw):
        return self.call("docker-compose", *self.files, *args, **kw)

    def docker(self, *args, **kw):
        last = self.t.last
        out = self.call("docker", *args, **kw).out.strip()
        self.t.last = last  # what a failure shows is docker-compose's
        return out

    def logs(self):
        r = subprocess.run(["docker-compose", *self.files, "logs", "--no-color", "--tail", "40"],
                           cwd=ROOT, capture_output=True, text=True)
        return f"--- containers\n{r.stdout[-6000:]}"

    def down(self):
        self.compose("down", "-v", "-t", "1", want=None)

    def ids(self, service):
        return self.compose("ps", "-aq", service).out.split()

    @property
    def coordinator(self):
        return self.ids("coordinator")[0]

    def inspect(self, container):
        return json.loads(self.docker("inspect", container))[0]

    def state(self, container):
        s = self.inspect(container)["State"]
        return s["Status"], s["ExitCode"]

    def ended(self, container, want=0, seconds=240):
        self.t.wait_until(lambda: self.state(container)[0] == "exited", "a container ends",
                          seconds)
        got = self.state(container)[1]
        if got != want:
            raise Failed(f"a container's exit code: wanted {want}, got {got}\n{self.logs()}")

    def query(self, sql):
        """In the running coordinator; None while there is nothing to ask."""
        r = self.call("docker", "exec", self.coordinator, "sqlite3", "-readonly",
                      "/warehouse/flights.db", sql, want=None)
        return r.out.strip() if r.code == 0 and r.out.strip() else None

    def batches(self):
        return int(self.query("SELECT count(*) FROM tranche_ledger") or 0)

    def until_mid_run(self):
        self.t.wait_until(lambda: self.batches() >= 10, "ten batches are loaded", 120)

    def exact(self, table, columns, want):
        """The warehouse, copied out: every row once and no other, and a ledger that agrees."""
        t = self.t
        self.docker("cp", f"{self.coordinator}:/warehouse/flights.db", t.path("out.db"))
        t.intact("out.db")
        want = collections.Counter(want)
        got = collections.Counter(t.rows("out.db", f"SELECT {columns} FROM {table}"))
        t.equal((sum(want.values()), 0, 0), (sum(got.values()), sum((want - got).values()),
                (got - want).total()), "rows, lost rows, surplus rows")
        t.equal([("complete", 0)], t.rows("out.db", "SELECT state, (SELECT count(*) FROM "
                f"{table}_rejects) FROM tranche_runs"), "state, rejects")
        t.equal(sum(want.values()), t.one("out.db", "SELECT sum(rows_loaded) FROM tranche_ledger "
                "WHERE state <> 'split'"), "rows in the ledger")

    def exact_flights(self):
        self.exact("flights", "date, delay, distance, origin, destination", flights())


@scenario("compose")
def one_command_builds_runs_and_shows_the_demo(t):
    d = Demo(t)
    r = d.compose("up", "--no-color", "--scale", "worker=4", timeout=900)
    late_rows = list(late())
    by_origin = collections.Counter(x[1] for x in late_rows).most_common(1)[0]
    t.says(r, f"{len(late_rows):,} rows into", "balanced", f"│ {by_origin[0]} ", f"│ {by_origin[1]} ")
    t.equal(4, len(d.ids("worker")), "workers")
    for c in d.ids("worker") + [d.coordinator]:
        t.equal(("exited", 0), d.state(c), "state of a container")
    d.exact("late", "date, origin, destination, delay", late_rows)


@scenario("compose")
def containers_may_do_nothing_but_their_work(t):
    d = Demo(t, *SLOW)
    d.compose("up", "-d", "--scale", "worker=2", timeout=900)
    both = [d.coordinator, *d.ids("worker")]
    for c in both:
        t.wait_until(lambda: d.inspect(c)["State"].get("Health", {}).get("Status") == "healthy",
                     "a container is healthy", 60)
        i = d.inspect(c)
        h = i["HostConfig"]
        t.equal(("10001:10001", True, ["ALL"], True, 64, True),
                (i["Config"]["User"], h["ReadonlyRootfs"], h["CapDrop"],
                 any(s.startswith("no-new-privileges") for s in h["SecurityOpt"]), h["PidsLimit"], h["Init"]),
                "user, read-only root, dropped capabilities, no new privileges, processes, init")
        t.true(h["Memory"] > 0, "memory is limited")
        status = d.docker("exec", c, "sh", "-c", "cat /proc/self/status; touch /x /usr/x 2>&1; "
                          "cat /proc/net/route | wc -l", want=None)
        t.true("CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status, status)
        t.true("Read-only file system" in status, "the root is read-only")
    w = d.ids("worker")[0]
    t.equal("", d.docker("exec", w, "ls", "-A", "/warehouse"), "what a worker sees of the warehouse")
    t.equal("Read-only file system", d.docker("exec", w, "sh", "-c", "touch /access/x 2>&1 | "
            "sed 's/.*: //'"), "a worker that writes among the access files")
    names = d.docker("exec", d.coordinator, "stat", "-c", "%a", "/access/worker-01.access",
                     "/warehouse/.tranche/keys").split()
    t.equal(["600", "700"], names, "modes of keys")


@scenario("compose")
def a_killed_worker_loses_and_doubles_nothing(t):
    d = Demo(t, *SLOW)
    d.compose("up", "-d", "--scale", "worker=4", timeout=900)
    d.until_mid_run()
    victim = d.ids("worker")[0]
    d.docker("kill", victim)
    before = d.batches()
    coordinator = d.coordinator
    d.ended(coordinator)
    for c in d.ids("worker"):
        d.ended(c, 137 if c == victim else 0)
    d.exact_flights()
    total = t.one("out.db", "SELECT count(*) FROM tranche_ledger")
    t.true(before + 10 < total, f"it was in the middle: {before} of {total} batches")
    t.true(t.one("out.db", "SELECT count(DISTINCT worker) FROM tranche_ledger") >= 3, "the others worked")


@scenario("compose")
def a_killed_coordinator_goes_on_with_the_same_workers(t):
    d = Demo(t, *SLOW)
    d.compose("up", "-d", "--scale", "worker=4", timeout=900)
    d.until_mid_run()
    before = d.batches()
    coordinator = d.coordinator
    d.docker("kill", coordinator)
    d.ended(coordinator, 137)
    for c in d.ids("worker"):
        t.equal("running", d.state(c)[0], "a worker without its coordinator")
    d.compose("start", "coordinator")
    d.ended(coordinator)
    for c in d.ids("worker"):
        d.ended(c, 0)
    d.exact_flights()
    total = t.one("out.db", "SELECT count(*) FROM tranche_ledger")
    t.true(before + 10 < total, f"it was in the middle: {before} of {total} batches")
    t.equal(2, t.one("out.db", "SELECT max(epoch) FROM tranche_runs"), "epoch")
    d.compose("up", "--scale", "worker=4")  # nothing is new: it ends, and nothing is loaded twice
    d.exact_flights()


@scenario("compose")
def scale_brings_as_many_workers_as_the_queue_wants(t):
    t.write("min.yml", "services: {coordinator: {environment: {MIN_WORKERS: 1}}}\n")
    files = (*SLOW, "-f", t.path("min.yml"))
    d = Demo(t, *files)
    d.compose("up", "-d", "--no-deps", "coordinator", timeout=900)
    coordinator = d.coordinator
    state = d.docker("volume", "inspect", "demo_warehouse", "--format", "{{.Mountpoint}}") + "/.tranche"
    p = subprocess.Popen([t.tranche, "scale", "--launcher", "compose", "--max", "3", "--interval", "500ms", "--state",
                          state, "--", *files], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, env=dict(os.environ), start_new_session=True)
    t.cleanups.append(p.kill)
    t.wait_until(lambda: p.poll() is not None or len(d.ids("worker")) == 3, "three workers", 180)
    d.ended(coordinator)
    done = t.finish(p, 120)
    t.equal(0, done.code, f"exit code of scale\n{done}\n")
    t.says(done, "takes workers", "the run is over", "at most 3 at a time, 0 failed")
    t.equal([], d.ids("worker"), "workers that are left")
    d.exact_flights()


@scenario("compose")
def one_command_loads_into_a_server_of_postgres(t):
    d = Demo(t, "--profile", "postgres")
    up = ("up", "--no-color", "--exit-code-from", "coordinator", "--scale", "worker=2")
    late_rows = list(late())
    r = d.compose(*up, timeout=900, env={"INTO": "postgres"})
    t.says(r, f"{len(late_rows):,} rows into", "balanced")
    r = d.compose(*up, env={"INTO": "postgres"})  # nothing is new
    t.says(r, "balanced")
    d.compose("up", "-d", "postgres")
    server = d.ids("postgres")[0]

    def query(sql):
        r = d.call("docker", "exec", server, "psql", "-XAtq", "-U", "tranche", "warehouse", "-c", sql, want=None)
        return r.out.strip().splitlines() if r.code == 0 else None

    t.wait_until(lambda: query("SELECT 1"), "the server answers")
    want = collections.Counter("|".join(map(str, row)) for row in late_rows)
    got = collections.Counter(query("SELECT to_char(date, 'YYYY-MM-DD HH24:MI'), origin, destination, delay FROM late"))
    t.equal((len(late_rows), 0), (got.total(), (want - got).total()), "rows, lost rows")
    h = d.inspect(server)["HostConfig"]
    t.equal((True, ["ALL"]), (h["ReadonlyRootfs"], h["CapDrop"]), "read-only root, dropped capabilities")
    for c in d.ids("worker"):
        t.true("/secret" not in str(d.inspect(c)["Mounts"]), "workers do not see the password")
    refused = d.call("docker", "exec", server, "psql", "-h", "127.0.0.1", "-w", "-U", "tranche", "warehouse", want=2)
    t.says(refused, "no password supplied")


@scenario("compose")
def the_exit_code_of_the_coordinator_can_be_had(t):
    t.write("override.yml", "services: {coordinator: {environment: {JOB: /nowhere.yaml}}}\n")
    d = Demo(t, "-f", "docker-compose.yml", "-f", t.path("override.yml"))
    d.compose("up", "--exit-code-from", "coordinator", "--scale", "worker=2", want=2, timeout=900)
    d = Demo(t)
    d.compose("up", "--exit-code-from", "coordinator", "--scale", "worker=2", want=0)


sys.exit(main(sys.argv[1:] or ["compose"]))
