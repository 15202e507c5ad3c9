"""Workers through scripts that stand for ssh and sbatch: what the real ones do seldom."""

import os
import re
import stat

from kit import scenario
from scale_kit import Run, processes, scale


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
