"""kill -9 at any moment: after a resume every row is there, once."""

import os
import re
import signal
import time

from kit import ROOT, Failed, scenario

ROWS = 120000
ARGS = ("run", "--csv", "k.csv", "--into", "sqlite:wh.db", "--table", "k", "--batch-bytes", "16KiB",
        "--output", "json")


def make(t, rows=ROWS):
    t.write("k.csv", "id,h,text\n" + "".join(f"{i},{(i * 2654435761) % 4294967296},row {i}\n"
                                             for i in range(rows)))


def exact(t, rows=ROWS):
    want = (rows, rows, rows * (rows - 1) // 2, sum((i * 2654435761) % 4294967296 for i in range(rows)))
    got = t.rows("wh.db", "SELECT count(*), count(DISTINCT id), sum(id), sum(h) FROM k")[0]
    t.equal(want, got, "rows, distinct rows, sums")
    t.equal(0, t.one("wh.db", "SELECT count(*) FROM k_rejects"), "rejects")
    order = t.one("wh.db", "SELECT count(*) FROM (SELECT id, lag(id) OVER (ORDER BY rowid) AS before FROM k) "
                  "WHERE before > id")
    t.equal(0, order, "rows out of order")
    t.intact("wh.db")


def resume(t, what, rows=ROWS):
    r = t.run(*ARGS)
    if not r.json["load"]["balanced"]:
        raise Failed(f"{what}: not balanced\n{r}")
    exact(t, rows)


def kill_after(t, p, seconds, pick):
    time.sleep(seconds)  # the point of this test is a random moment
    victims = pick(p.pid)
    for v in victims:
        try:
            os.kill(v, signal.SIGKILL)
        except ProcessLookupError:
            pass


@scenario("kills")
def thirty_coordinators_are_killed_at_random_moments(t):
    make(t)
    kills = 0
    while kills < 30:
        for _ in range(t.random.choice((1, 1, 2, 4))):  # a resume may be killed too
            p = t.start(*ARGS)
            kill_after(t, p, t.random.uniform(0.0, 0.4), lambda pid: [pid])
            p.wait()
            p.communicate()
            kills += 1
        resume(t, f"kill {kills}")
        for f in ("wh.db", "wh.db-journal"):
            if os.path.exists(t.path(f)):
                os.unlink(t.path(f))


@scenario("kills")
def twenty_workers_and_runners_are_killed_while_a_run_goes_on(t):
    make(t, ROWS)
    killed = rounds = 0
    while killed < 20:
        rounds += 1
        t.true(rounds <= 200, f"only {killed} were alive to be killed")
        p = t.start(*ARGS, "--mode", "replace")
        for _ in range(5):
            time.sleep(t.random.uniform(0.0, 0.06))  # a random moment
            kids = t.children(p.pid)
            if kids and p.poll() is None:
                try:
                    os.kill(t.random.choice(kids), signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    pass
        r = t.finish(p)
        t.equal(0, r.code, f"exit code of round {rounds}")
        exact(t)


@scenario("kills", "smoke", "threads")
def everything_is_killed_at_once(t):
    make(t)
    for i in range(3):
        p = t.start(*ARGS)
        kill_after(t, p, t.random.uniform(0.03, 0.3), lambda pid: [pid] + t.children(pid))
        p.wait()
        p.communicate()
    resume(t, "all killed")


@scenario("kills")
def at_every_named_crash_point_nothing_is_lost_or_doubled(t):
    rows = ROWS // 4
    make(t, rows)
    t.run(*ARGS, env={"TRANCHE_CRASH_TRACE": t.path("trace")})
    with open(t.path("trace")) as f:
        points = sorted(set(f.read().split()))
    t.true(len(points) >= 5 and set(points) <= set(named_points()), f"crash points passed: {points}")
    for point in points:
        for n in (1, 3):
            for f in ("wh.db", "wh.db-journal"):
                if os.path.exists(t.path(f)):
                    os.unlink(t.path(f))
            r = t.run(*ARGS, want=None, env={"TRANCHE_CRASH_AT": f"{point}:{n}"})
            t.true(n > 1 or r.code == -signal.SIGKILL, f"it died at {point}:{n}")
            resume(t, f"crash at {point}:{n}", rows)


@scenario("kills")
def a_resume_may_cut_across_what_was_split_before(t):
    t.write("k.csv", "id,j\n" + "".join(f"{i},{'{bad' if i == 3000 else 1}\n" for i in range(20000)))
    args = ("run", "--csv", "k.csv", "--into", "sqlite:wh.db", "--table", "k", "--bad-rows", "1",
            "--sql", "SELECT id, json_extract(j, '$') AS v FROM batch", "--output", "json")
    for n, size in ((1, "64KiB"), (3, "50KiB"), (2, "30KiB")):
        t.run(*args, "--batch-bytes", size, want=-signal.SIGKILL,
              env={"TRANCHE_CRASH_AT": f"note-after-commit:{n}"})
    r = t.run(*args, "--batch-bytes", "41KiB", want=3).json
    t.true(r["load"]["balanced"], "balanced")
    t.equal([(19999, sum(range(20000)) - 3000)], t.rows("wh.db", "SELECT count(*), sum(id) FROM k"), "rows")
    t.equal([(3002,)], t.rows("wh.db", "SELECT line FROM k_rejects"), "rejects")


# Where points are that no load passes, and the tests that kill there.
ELSEWHERE = {"backlog.c": "unit/test_backlog.c", "serve_child.c": "cluster/test_serve.py",
             "pipeline_step.c": "cluster/test_pipelines.py"}


def points_in(path):
    with open(path) as f:
        return set(re.findall(r'crash_point\("([a-z0-9-]+)"\)', f.read()))


def named_points():
    """The names as they stand in the sources: none is forgotten."""
    files = (os.path.join(ROOT, folder, name) for folder in ("coordinator", "common", "proto")
             for name in os.listdir(os.path.join(ROOT, folder)) if name.endswith(".c") and name not in ELSEWHERE)
    return sorted(set().union(*map(points_in, files)))


def points_without_a_test():
    """Of those that no load passes."""
    left = set()
    for source, test in ELSEWHERE.items():
        with open(os.path.join(ROOT, "tests", test)) as f:
            text = f.read()
        left |= {p for p in points_in(os.path.join(ROOT, "coordinator", source)) if f'"{p}' not in text}
    return left
