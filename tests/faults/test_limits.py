"""Too little of everything: room on disks, descriptors, memory, processes. And coordinators that stand still while another one
begins. The run goes on, or ends with a sentence; the next one, with enough of it, makes the result exact."""

import os
import signal
import subprocess
import time

import kit
from kit import needs_root, scenario
from test_kills import ARGS, exact, make

ROWS = 20000


def exact_later(t, done, what):
    """Exit code 1 with a sentence, or the exact result at once. Then without limits."""
    t.true(done.code in (0, 1) or done.code < 0 and gave_up(done), f"{what}: exit code {done.code}")
    t.true(done.code == 0 or done.err.strip(), f"{what}: a sentence")
    if done.code:
        t.run(*ARGS)
    exact(t, ROWS)
    away(t)


def away(t):
    for f in ("wh.db", "wh.db-journal"):
        if os.path.exists(t.path(f)):
            os.unlink(t.path(f))


def gave_up(done):
    """libzmq aborts where it gets no thread or memory, and the kernel kills where memory is out: both are like kill -9."""
    return done.code == -signal.SIGKILL or done.code == -signal.SIGABRT and "(src/" in done.err


def run_under(t, command, *args, want=None):
    p = subprocess.Popen([*command, t.tranche, *args], cwd=t.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, env=t.env(), start_new_session=True)
    done = t.finish(p)
    t.true(want is None or done.code == want, f"exit code {done.code}")
    return done


@scenario("limits")
def few_descriptors_end_a_run_with_a_sentence_or_are_enough(t):
    make(t, ROWS)
    for n in (6, 10, 14, 18, 22, 26, 30, 40, 64):
        done = run_under(t, ["prlimit", f"--nofile={n}:{n}"], *ARGS)
        t.true(n < 64 or done.code == 0, f"64 are enough: exit code {done.code}")
        exact_later(t, done, f"{n} descriptors")


class Group:
    """A control group of this version or the other."""

    def __init__(self, t, controller, *names):
        needs_root()
        old = f"/sys/fs/cgroup/{controller}"
        self.path = os.path.join(old if os.path.isdir(old) else "/sys/fs/cgroup", f"tranche-test-{os.getpid()}")
        try:
            os.mkdir(self.path)
        except OSError as e:
            raise kit.Skipped(f"no control group: {e}")
        t.cleanups.append(self.close)
        self.limit = next((n for n in names if os.path.exists(os.path.join(self.path, n))), None)
        if not self.limit:
            raise kit.Skipped(f"control groups here do not limit {controller}")

    def set(self, value):
        with open(os.path.join(self.path, self.limit), "w") as f:
            f.write(str(value))

    def enter(self):
        return ["sh", "-c", f'echo $$ >{self.path}/cgroup.procs && exec "$@"', "sh"]

    def close(self):
        subprocess.run(["sh", "-c", f"for i in 1 2 3 4 5 6 7 8 9; do rmdir {self.path} 2>/dev/null && exit; sleep 0.2; done"])


@scenario("limits")
def a_group_of_300_mb_is_enough_and_a_tight_one_costs_no_row(t):
    make(t, ROWS)
    group = Group(t, "memory", "memory.max", "memory.limit_in_bytes")
    group.set(300 << 20)
    exact_later(t, run_under(t, group.enter(), *ARGS, want=0), "300 MB")
    for mb in (48, 24, 16, 12):
        group.set(mb << 20)
        exact_later(t, run_under(t, group.enter(), *ARGS), f"{mb} MB")


@scenario("limits")
def an_address_space_of_300_mb_is_enough(t):
    make(t, ROWS)
    exact_later(t, run_under(t, ["prlimit", f"--as={300 << 20}:{300 << 20}"], *ARGS), "300 MB")


@scenario("limits")
def few_processes_end_a_run_with_a_sentence_or_are_enough(t):
    make(t, ROWS)
    group = Group(t, "pids", "pids.max")
    for n in (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 64):
        group.set(n)
        done = run_under(t, group.enter(), *ARGS)
        t.true(n < 64 or done.code == 0, f"64 are enough: exit code {done.code}")
        exact_later(t, done, f"{n} processes and threads")


@scenario("limits")
def a_full_scratch_folder_is_waited_for(t):
    needs_root()
    make(t, 300000)
    small = t.path("tmp")
    os.makedirs(small, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], check=True)
    t.cleanups.append(lambda: subprocess.run(["umount", "-l", small]))
    talk = Talk(t.start("run", "--csv", "k.csv", "--into", "sqlite:wh.db", "--table", "a", "--compute", "n=count(*)", "--compute",
                        "d=count_distinct(text)", "--memory", "16MiB", "-j", "1"))
    talk.says(t, "set TMPDIR to a folder with space")
    subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
    done = talk.ends(t)
    t.equal(0, done.code, f"exit code: {talk.text}{done}")
    t.equal([(300000, 300000)], t.rows("wh.db", "SELECT n, d FROM a"), "the aggregate")


# ---- two coordinators

def stopped(p):
    """It, and no thread of it runs."""
    try:
        with open(f"/proc/{p.pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False


def stops_at(t, point, home):
    p = t.start(*ARGS, env={"TRANCHE_STOP_AT": point, "TRANCHE_HOME": t.path(home)})
    t.cleanups.append(lambda: p.poll() is not None or os.killpg(p.pid, signal.SIGKILL))
    t.wait_until(lambda: stopped(p) or p.poll() is not None, f"it stands still at {point}")
    t.true(p.poll() is None, f"it passes {point}")
    return p


class Talk:
    """What a program says while it runs."""

    def __init__(self, p):
        self.p, self.text = p, ""
        os.set_blocking(p.stderr.fileno(), False)

    def says(self, t, text):
        def said():
            self.text += (self.p.stderr.read() or b"").decode()
            return text in self.text or self.p.poll() is not None
        t.wait_until(said, f"it says {text!r}")
        t.true(text in self.text, f"it says {text!r}: {self.text}")

    def ends(self, t):
        os.set_blocking(self.p.stderr.fileno(), True)
        return t.finish(self.p)


@scenario("limits")
def a_coordinator_that_stands_still_in_a_transaction_is_named_and_killed(t):
    make(t, ROWS)
    old = stops_at(t, "commit-after-rows", "one")
    new = Talk(t.start(*ARGS, env={"TRANCHE_HOME": t.path("two")}))
    new.says(t, str(old.pid))
    os.killpg(old.pid, signal.SIGKILL)
    old.communicate()
    t.equal(0, new.ends(t).code, "exit code of the second")
    exact(t, ROWS)


@scenario("limits")
def a_coordinator_that_stands_still_in_a_transaction_and_goes_on_loses_to_the_next(t):
    make(t, ROWS)
    old = stops_at(t, "commit-after-rows", "one")
    new = Talk(t.start(*ARGS, env={"TRANCHE_HOME": t.path("two")}))
    new.says(t, str(old.pid))
    os.killpg(old.pid, signal.SIGCONT)
    first, second = t.finish(old), new.ends(t)
    t.true(first.code in (0, 1) and second.code in (0, 1) and 0 in (first.code, second.code),
           f"exit codes {first.code} and {second.code}\n{first}\n{second}")
    exact(t, ROWS)


@scenario("limits")
def a_coordinator_that_slept_while_another_one_finished_ends_without_a_row(t):
    make(t, ROWS)
    for point in ("assigned", "commit-before-begin", "finish-before-begin"):
        old = stops_at(t, point, "one")
        t.run(*ARGS, env={"TRANCHE_HOME": t.path("two")})
        os.killpg(old.pid, signal.SIGCONT)
        first = t.finish(old)
        t.true(first.code in (0, 1), f"exit code of the one that slept at {point}: {first}")
        t.true(first.code == 0 or first.err.strip(), f"it says why: {first}")
        exact(t, ROWS)
        away(t)


@scenario("limits")
def two_coordinators_that_start_at_once_load_every_row_once(t):
    make(t, ROWS)
    for _ in range(4):
        both = [t.start(*ARGS, env={"TRANCHE_HOME": t.path(home)}) for home in ("one", "two")]
        done = [t.finish(p) for p in both]
        t.true(all(d.code in (0, 1) for d in done), f"exit codes: {done[0]}\n{done[1]}")
        t.true(any(d.code == 0 for d in done) or t.run(*ARGS), "one wins")
        exact(t, ROWS)
        away(t)


def stands_still_for_a_while(t, role):
    make(t, 60000)
    p = t.start(*ARGS, env={"TRANCHE_TIME_SCALE": "20", "TRANCHE_STOP_AT": "assigned"})
    t.wait_until(lambda: stopped(p), "batches were handed out")
    victim = next((k for k in t.children(p.pid) if role_of(k) == role), None)
    t.true(victim, f"a {role} is there")
    os.kill(victim, signal.SIGSTOP)
    os.kill(p.pid, signal.SIGCONT)
    time.sleep(2)  # the silence after which a worker is given up is 0.6 s
    try:
        os.kill(victim, signal.SIGCONT)
    except ProcessLookupError:
        pass  # others did its work, and it was ended
    os.set_blocking(p.stderr.fileno(), True)
    t.equal(0, t.finish(p).code, f"exit code with a {role} that stood still")
    exact(t, 60000)


@scenario("limits")
def a_worker_that_stands_still_for_longer_than_a_silence_costs_no_row(t):
    stands_still_for_a_while(t, "worker")


@scenario("limits")
def a_runner_that_stands_still_for_longer_than_a_silence_costs_no_row(t):
    stands_still_for_a_while(t, "runner")


def stat_of(pid):
    """Its name, and its parent."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            name = os.path.basename(f.read().split(b"\0")[0].decode())
        with open(f"/proc/{pid}/stat") as f:
            return name, int(f.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return "", 0


def role_of(pid):
    """A worker's first runners are copies of it, and have its name."""
    name, parent = stat_of(pid)
    is_runner = name == "tranche-runner" or name == "tranche-worker" == stat_of(parent)[0]
    return "runner" if is_runner else "worker" if name == "tranche-worker" else name
