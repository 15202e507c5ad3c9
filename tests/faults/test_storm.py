"""Random faults, a few of them; and what the storm found, each as a scenario of its own. `storm` does more of it by hand."""

import os
import re
import signal
import subprocess
import sys

import oracle
from kit import Failed, scenario

HERE = os.path.dirname(os.path.abspath(__file__))


@scenario("storm")
def sixty_random_faults_lose_and_double_nothing(t):
    seed = t.random.getrandbits(32)
    done = subprocess.run([sys.executable, os.path.join(HERE, "storm"), "--seed", str(seed), "--faults", "60", "--runs", "3", "--minutes", "2.5",
                           "--work", "3", "--build", t.build], capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"storm --seed {seed}\n{done.stdout[-20000:]}\n{done.stderr[-4000:]}")
    did = re.search(r": (\d+) faults in (\d+) runs", done.stdout.splitlines()[-1])
    t.true(did and int(did[1]) >= 5, f"it says what it did: {done.stdout[-300:]}")


SQL = ("SELECT id, id * 2 AS twice, (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 300000) "
       "SELECT count(*) FROM c) AS burnt FROM batch")


def children(pid):
    return [int(k) for k in oracle.text_of(f"/proc/{pid}/task/{pid}/children").split()]


def advisers(coordinator):
    """The processes that try the transform before a run: the one that was asked, and its child."""
    asked = [p for p in children(coordinator) if b"--describe" in oracle.text_of(f"/proc/{p}/cmdline")]
    return asked, [c for p in asked for c in children(p)]


def sent(pid, number):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def catch(t, which, number):
    """Starts a run until one such process was met, and sends it the signal; (the run, the process)."""
    for _ in range(100):
        p = t.start("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "k", "--sql", SQL, "--output", "json")
        while p.poll() is None:
            for victim in advisers(p.pid)[which]:
                if sent(victim, number):
                    return p, victim
        t.finish(p)
        os.unlink(t.path("wh.db"))
    raise Failed("no such process was met in 100 runs")


@scenario("storm")
def a_process_that_tries_the_transform_and_is_killed_again_and_again_is_no_mistake_of_the_job(t):
    t.write("in.csv", "id\n" + "".join(f"{i}\n" for i in range(2000)))
    p, _ = catch(t, 1, signal.SIGKILL)
    while p.poll() is None:
        for victim in advisers(p.pid)[1]:
            sent(victim, signal.SIGKILL)
    t.says(t.finish(p), "was killed twice", "tries it again")
    t.equal(1, p.returncode, "exit code")


def types_are_those_of_the_values(t, p):
    done = t.finish(p)
    t.equal(0, done.code, f"exit code\n{done}")
    t.equal([("id", "INTEGER"), ("twice", "INTEGER"), ("burnt", "INTEGER")], t.rows("wh.db", "SELECT name, type FROM pragma_table_info('k')"),
            "columns")
    os.unlink(t.path("wh.db"))


@scenario("storm")
def a_process_that_tries_the_transform_and_is_killed_is_asked_again(t):
    t.write("in.csv", "id\n" + "".join(f"{i}\n" for i in range(2000)))
    for which in (0, 1):
        types_are_those_of_the_values(t, catch(t, which, signal.SIGKILL)[0])


@scenario("storm")
def a_process_that_tries_the_transform_and_stands_still_changes_no_type(t):
    t.write("in.csv", "id\n" + "".join(f"{i}\n" for i in range(2000)))
    p, victim = catch(t, 1, signal.SIGSTOP)
    try:
        p.wait(6)  # it takes this long for the answer to be given up too early
        raise Failed("the run did not wait for it")
    except subprocess.TimeoutExpired:
        os.kill(victim, signal.SIGCONT)
    types_are_those_of_the_values(t, p)
