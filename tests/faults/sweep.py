#!/usr/bin/env python3
"""sweep - lets the n-th call fail, for many n, and asks each time what the next run leaves.

    sweep(case, "append", "coordinator", "pwrite", "EIO", step=1)

raises kit.Failed with all that went wrong. After a failing call the run either goes on and is
exact, or ends with exit code 1 and a sentence, and then the same command makes it exact.
"""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster"))

import kit  # noqa: E402
import roomy  # noqa: E402,F401
from fault import Fault  # noqa: E402
from oracle import left_behind  # noqa: E402
from pg import Postgres  # noqa: E402
from test_crash_points import ROWS, WAYS, Way, same, start_over, write_input  # noqa: E402

DONE, ENDED = 3, 1  # two rows of the input are bad
JOBS = 2
SLOW = 8
LIBRARIES_THAT_GIVE_UP = ("libzmq", "libgssapi_krb5", "libkrb5")
HANGS = 120  # seconds; a run takes one
LIBRARY_THAT_WAITS, WAITS = "libpq", 10  # for an answer that it had no memory for: the one to COPY


class Lane:
    """A folder of its own, in which one run after the other is made to fail."""

    def __init__(self, t, way):
        self.t, self.way = kit.Case(t.name, t.build, t.seed), way
        self.command = way.command(way.args)
        self.start_over()
        self.t.run(*self.command, want=DONE)
        self.want = self.look()

    def start_over(self):
        start_over(self.t, self.way)

    def look(self):
        return self.way.look(self.t)

    def close(self):
        self.t.close()

    def survey(self, role, call):
        """How often it is called, and from how many places."""
        self.start_over()
        f = Fault(self.t, role=role, call=call, survey=1)
        self.t.run(*self.command, want=DONE, env=f.env)
        return f.seen[call], f.places

    def complains(self, f):
        """None, or what is wrong with what came of this fault; and the sentence it ended with."""
        t, command = self.t, self.command
        self.start_over()
        p = t.start(*command, env=f.env)
        r, sentence = None, ""
        try:
            stacks = stacks_if_it_hangs(t, p, f)
            r = t.finish(p)
            t.true(not stacks or library_waits(f), f"it hangs\n{stacks}")
            sentence = (r.err.strip().splitlines() or [""])[-1]
            if died_by_itself(f.text):
                raise kit.Failed("it crashed")
            if r.code in (-6, -11) and not died_by_itself(f.text) or stacks or loader_gave_up(r):
                r.code, sentence = ENDED, "a library ended it"
            t.true(r.code in (DONE, ENDED), f"exit code {r.code}")
            t.true(r.code == DONE or sentence, "it ended without a sentence")
            if r.code != DONE:
                t.run(*command, want=DONE)
            same(t, self.want, self.look(), "afterwards")
            # Zombies may be another lane's; a history that could not be closed is tidied by the next run.
            passing = ("zombie", "shared memory", "runs.db-") if r.code == DONE else ("zombie", "shared memory")
            t.equal([], [x for x in left_behind(t.dir) if not any(p in x for p in passing)], "what is left")
        except Exception as e:  # a damaged database raises sqlite3's own
            return f"{f.how} ({f.fired} failed)\n{f.text}{e}\n{r}", r and r.code, sentence
        return None, r.code, sentence


class PostgresLane(Lane):
    """A database of its own in a server of the scenario's."""

    def __init__(self, t, server, mode):
        self.server, self.database = server, f"lane{len(server.rows('SELECT datname FROM pg_database'))}"
        server.do(f"CREATE DATABASE {self.database}")
        super().__init__(t, Way(("--into", server.at(self.database), "--table", "k", *mode), None))

    def start_over(self):
        write_input(self.t, ROWS)
        self.server.rows(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.database}' AND pid <> pg_backend_pid()")
        self.server.do("DROP SCHEMA public CASCADE; CREATE SCHEMA public", self.database)

    def look(self):
        return (self.server.rows("SELECT * FROM k ORDER BY 1, 2", self.database),
                self.server.rows("SELECT DISTINCT line, reason FROM k_rejects ORDER BY 1", self.database))


POSTGRES = {"postgres": (), "postgres replace": ("--mode", "replace")}


def lanes_of(t, way):
    if way not in POSTGRES:
        return [Lane(t, WAYS[way]) for _ in range(JOBS)]
    server = Postgres(t, "--client_min_messages=error")
    return [PostgresLane(t, server, POSTGRES[way]) for _ in range(JOBS)]


def library_waits(f):
    """libpq 15 takes lack of memory for the answer to COPY for an answer that is still on its way."""
    return f.text.partition(":")[2].lstrip().startswith(LIBRARY_THAT_WAITS)


def stacks_if_it_hangs(t, p, f):
    """Empty when it ends by itself; else what all its threads are at, and it is killed."""
    def ended():
        return os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    try:
        t.wait_until(lambda: ended() or library_waits(f), "it ends", HANGS)
        t.wait_until(ended, "it ends", WAITS if library_waits(f) else HANGS)
        return ""
    except kit.Failed:
        pids = [p.pid, *t.children(p.pid)]
        told = [subprocess.run(["gdb", "-batch", "-ex", "thread apply all bt 14", "-p", str(pid)], capture_output=True,
                               text=True, stdin=subprocess.DEVNULL).stdout for pid in pids]
        os.killpg(p.pid, signal.SIGKILL)
        return "\n".join(f"--- process {pid}\n{text}" for pid, text in zip(pids, told))


def died_by_itself(text):
    """Some libraries end the process when they get no memory, which is like kill -9; nothing else may."""
    return "died of" in text and not any(x in text.splitlines()[0] for x in LIBRARIES_THAT_GIVE_UP)


def loader_gave_up(r):
    """glibc makes a thread's variables of a library when they are first used, if need be in its destructor."""
    return r.code == 127 and "cannot allocate memory for thread-local data: ABORT" in r.err


def sweep(t, way, role, call, error, step=1, start=None, count=1, under=None, say=None, most=None):
    """Every step-th place (of malloc) or number (of other calls). Returns how many failed."""
    lanes = lanes_of(t, way)
    try:
        total, places = lanes[0].survey(role, call)
        if call == "malloc":
            every = [dict(stack=p, at=1) for p, _ in sorted(places.items(), key=lambda x: x[1])]
        else:
            every = [dict(at=n) for n in range(1, total + 1)]
        first = t.random.randrange(step) if start is None else start
        every = every[first::step][:most]
        return run_all(lanes, every, role, call, error, count, under, say)
    finally:
        for lane in lanes:
            lane.close()


def run_all(lanes, every, role, call, error, count, under, say):
    wrong, fired, ends = [], 0, {}

    def work(i):
        lane, k = lanes[i], 0
        for how in every[i::len(lanes)]:
            f = Fault(lane.t, role=role, error=error, call=call, count=count, **how, **({"under": under} if under else {}))
            began = time.monotonic()
            complaint, code, sentence = lane.complains(f)
            if say and time.monotonic() - began > SLOW:
                say(f"slow: {time.monotonic() - began:.0f} s, {f.how}\n{f.text}{sentence}")
            k += f.fired > 0
            ends.setdefault((code, sentence), []).append(how)
            if complaint:
                wrong.append(complaint)
                if say:
                    say(complaint)
        return k

    with ThreadPoolExecutor(len(lanes)) as pool:
        fired = sum(pool.map(work, range(len(lanes))))
    if say:
        for (code, sentence), hows in sorted(ends.items(), key=lambda x: -len(x[1])):
            say(f"{len(hows):5} times exit code {code}: {sentence[:200]}")
        say(f"{len(every)} runs, {fired} failing calls, {len(wrong)} wrong")
    if wrong:
        raise kit.Failed(f"{len(wrong)} of {len(every)} went wrong; the first:\n{wrong[0]}")
    return fired


def main(argv):
    import argparse
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.path.join(kit.ROOT, "build", "dev"))
    p.add_argument("--way", choices=[*sorted(WAYS), *POSTGRES], default="append")
    p.add_argument("--role", choices=("coordinator", "worker", "runner", "describe"), default="coordinator")
    p.add_argument("--call", required=True)
    p.add_argument("--error", default="EIO")
    p.add_argument("--step", type=int, default=1)
    p.add_argument("--start", type=int, default=0)
    p.add_argument("--most", type=int)
    p.add_argument("--count", type=int, default=1)
    a = p.parse_args(argv)
    t = kit.Case("sweep", os.path.abspath(a.build), "1")
    try:
        sweep(t, a.way, a.role, a.call, a.error, a.step, a.start, a.count, say=lambda s: print(s, flush=True), most=a.most)
    except kit.Failed as e:
        print(str(e).splitlines()[0])
        return 1
    finally:
        t.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
