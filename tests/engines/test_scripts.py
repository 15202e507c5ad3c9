"""Workers through scripts that stand for ssh and sbatch: what the real ones do seldom."""

import os
import re
import stat

from kit import scenario
from scale_kit import Run, processes, scale
from test_hosts import Program


def script(t, name, body):
    """In PATH, before the real one; each call is a line of the file `calls`."""
    path = t.write(f"bin/{name}", f"#!/bin/sh\necho \"$*\" >>{t.path('calls')}\n{body}\n")
    os.chmod(path, stat.S_IRWXU)
    old = os.environ["PATH"]
    if not old.startswith(t.path("bin")):
        os.environ["PATH"] = f"{t.path('bin')}:{old}"
        t.cleanups.append(lambda: os.environ.update(PATH=old))


def calls(t):
    with open(t.path("calls")) as f:
        return f.read().splitlines()


def hosts(t, *names):
    """Those that begin with `good` are this machine; nobody reaches the others."""
    script(t, "ssh", "for line; do :; done\ncase \"$*\" in *'-- good'*) exec sh -c \"$line\";; esac\n"
           "echo 'no route to host' >&2; exit 255")
    return "--hosts", t.write("hosts.txt", "".join(f"{h} 1\n" for h in names))


def by_hand(t, r, *more):
    Program(t, [os.path.join(t.build, "tranche-worker"), "--access", r.access, "--slots", "1", *more])
    r.workers(lambda n: n == 1)


@scenario("engines", "scripts")
def the_pause_doubles_though_a_worker_is_up(t):
    r = Run(t)
    p = scale(t, "ssh", *hosts(t, "good", "bad1", "bad2", "bad3"), "--pause", "31s", run=r)
    p.says("no more are started for 31s. The last: bad")
    r.workers(lambda n: n == 1)
    p.says("no more are started for 62s. The last: bad", 180)
    row = re.search(r"(\d+) workers in a row failed to start, no more are started for 62s", p.text)
    t.equal(int(row[1]), len([c for c in calls(t) if "-- bad" in c]), "starts of hosts that are away, and failures in a row")
    t.equal(1, r.live()["workers"], "workers")
    r.ends()
    p.ends(0)
    t.equal([], processes(r.access), "processes left")


@scenario("engines", "scripts")
def workers_that_get_no_batches_are_not_started_again_and_again(t):
    r = Run(t, "--label", "gpu")
    p = scale(t, "ssh", *hosts(t, "good1", "good2", "good3"), "--idle-timeout", "2s", "--pause", "2s", run=r)
    p.says("a worker got no batch and left, though batches wait")
    p.says("no more are started for 4s", 180)
    t.true(len(calls(t)) <= 4, f"three at most, and one that was tried: {calls(t)}\n{p.text}")
    by_hand(t, r, "--label", "gpu")
    r.ends()
    p.ends(0)


@scenario("engines", "scripts")
def those_that_stay_and_the_others_add_up_for_compose(t):
    shown = t.run("scale", "--launcher", "compose", "--min", "3", "--max", "4", "--dry-run").out
    t.equal(["3", "4", "0"], re.findall(r"^docker-compose .* --scale worker=(\d+) worker$", shown, re.M), shown)


@scenario("engines", "scripts")
def a_start_that_succeeded_counts_though_the_next_one_fails(t):
    r = Run(t)
    script(t, "sbatch", "case \"$*\" in *--idle-timeout*) echo 'sbatch: error: no more' >&2; exit 1;; esac; echo 77")
    script(t, "squeue", "[ -e over ] || echo '77 0 R'")
    script(t, "scancel", "")
    by_hand(t, r)
    r.commits()
    p = scale(t, "slurm", "--min", "1", "--max", "4", "--output", "json", run=r)
    p.says("3 workers in a row failed to start")
    t.write("over", "")
    r.ends()
    p.says('"started":1,')
