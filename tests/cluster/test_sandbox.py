"""What programs may do, and what becomes of those that misbehave with processes."""

import json
import os
import pty
import socket
import subprocess
import sys
import tempfile

from kit import Failed, Skipped, scenario
from test_exec import late, numbers, program, sleepers

PYTHON = "/usr/bin/python3"  # strict runs what is in /usr
REFUSED = "sandbox: strict needs"


def may_be_strict(under=()):
    made_of = [*under, "unshare", "-U", "-r", "-p", "-m", "-n", "-i", "--fork", "true"]
    return subprocess.run(made_of, capture_output=True).returncode == 0


def refused(said, under=()):
    """Strict was refused: right only where the kernel refuses what it is made of."""
    if may_be_strict(under):
        raise Failed(f"strict was refused, and namespaces are allowed here\n{said}")
    raise Skipped("namespaces are not allowed here")


def strict(t, *args, table="t", under=(), want=0, home=None):
    """A run with --sandbox strict."""
    argv = [*under, t.tranche, "run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", table, "--output", "json", *args,
            "--sandbox", "strict"]
    r = subprocess.run(argv, cwd=t.dir, env=t.env(**(home or {})), capture_output=True, text=True, timeout=240)
    if r.returncode == 2 and REFUSED in r.stderr:
        refused(r.stderr, under)
    if r.returncode not in (want if isinstance(want, tuple) else (want,)):
        raise Failed(f"wanted {want}, got {r.returncode}\n{r.stdout}\n{r.stderr}")
    return r


ALONE = f"""#!{PYTHON}
import os, sys
sys.stdin.read()
def can(f):
    try:
        f()
        return "yes"
    except OSError as e:
        return type(e).__name__
print("what,can")
print("others," + str(sum(int(p) > 10 for p in os.listdir("/proc") if p.isdigit())))
print("signal," + can(lambda: os.kill(int(os.environ["TEST_PID"]), 0)))
print("all," + can(lambda: os.kill(-1, 9)))
print("me," + str(os.getpid() < 10))
print("user," + str(os.getuid()))
"""


@scenario("exec", "sandbox", "smoke")
def a_strict_program_is_alone_with_its_own_processes(t):
    program(t, "alone.py", ALONE)
    t.write("in.csv", "id\n1\n")
    r = strict(t, "--exec", "./alone.py", "--env", f"TEST_PID={os.getpid()}")
    t.true("sandbox strict: no network, no other processes" in r.stderr, r.stderr)
    t.equal({"others": "0", "signal": "ProcessLookupError", "all": "ProcessLookupError", "me": "True", "user": str(os.getuid())},
            dict(t.rows("wh.db", "SELECT what, can FROM t")), "what it can")
    t.leaves_nothing()


SOCKETS = f"""#!{PYTHON}
import multiprocessing, os, socket, sys
sys.stdin.read()
def can(f):
    try:
        f()
        return "yes"
    except OSError as e:
        return type(e).__name__
def pair(kind):
    a, b = socket.socketpair(socket.AF_UNIX, kind)
    a.send(b"x")
    return b.recv(1), a.sendto(b"out", os.environ["TEST_DATAGRAM"]) if kind == socket.SOCK_DGRAM else 0
def pool():
    with multiprocessing.get_context("fork").Pool(2) as p:
        assert p.map(abs, [-1, -2]) == [1, 2]
print("what,can")
print("stream," + can(lambda: socket.socket(socket.AF_UNIX).connect(os.environ["TEST_STREAM"])))
print("packet," + can(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(os.environ["TEST_STREAM"])))
print("datagram," + can(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"out", os.environ["TEST_DATAGRAM"])))
print("raw," + can(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_RAW).sendto(b"out", os.environ["TEST_DATAGRAM"])))
print("datagram pair," + can(lambda: pair(socket.SOCK_DGRAM)))
print("inet," + can(lambda: socket.socket(socket.AF_INET)))
print("pair," + can(lambda: pair(socket.SOCK_STREAM)))
print("packet pair," + can(lambda: pair(socket.SOCK_SEQPACKET)))
print("pool," + can(pool))
"""


@scenario("exec", "sandbox")
def a_strict_program_reaches_no_socket_of_the_host(t):
    program(t, "sockets.py", SOCKETS)
    t.write("in.csv", "id\n1\n")
    with socket.socket(socket.AF_UNIX) as stream, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
        stream.bind(t.path("stream"))
        stream.listen()
        datagram.bind(t.path("datagram"))
        there = ["--env", "TEST_STREAM=" + t.path("stream"), "--env", "TEST_DATAGRAM=" + t.path("datagram")]
        strict(t, "--exec", "./sockets.py", *there)
    refused = dict.fromkeys(("stream", "packet", "datagram", "raw", "datagram pair", "inet"), "PermissionError")
    t.equal({**refused, "pair": "yes", "packet pair": "yes", "pool": "yes"},
            dict(t.rows("wh.db", "SELECT what, can FROM t")), "what it reaches")


@scenario("exec", "sandbox")
def a_strict_program_shares_no_memory_with_programs_outside(t):
    program(t, "memory.py", f"""#!{PYTHON}
import os, sys
sys.stdin.read()
os.mkdir("/dev/shm/" + os.environ["TEST_NAME"] + ".own")
print("what,can")
print("theirs," + ("yes" if os.path.exists("/dev/shm/" + os.environ["TEST_NAME"]) else "no"))
print("own," + str(len(os.listdir("/dev/shm"))))
""")
    t.write("in.csv", "id\n1\n")
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as theirs:
        strict(t, "--exec", "./memory.py", "--env", "TEST_NAME=" + os.path.basename(theirs.name))
    t.equal({"theirs": "no", "own": "1"}, dict(t.rows("wh.db", "SELECT what, can FROM t")), "what it sees")
    t.true(not os.path.exists(theirs.name + ".own"), "what it made there is gone")


@scenario("exec", "sandbox")
def a_program_has_no_terminal_to_type_into(t):
    program(t, "tty.py", f"""#!{PYTHON}
import fcntl, sys, termios
sys.stdin.read()
print("can")
try:
    with open("/dev/tty", "w") as f:
        fcntl.ioctl(f, termios.TIOCSTI, b"!")
    print("typed")
except OSError as e:
    print(e.strerror)
""")
    t.write("in.csv", "id\n1\n")
    argv = [t.tranche, "run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--exec", "./tty.py", "--sandbox"]
    levels = ["default", "none"] + ["strict"] * may_be_strict()
    for level in levels:
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(t.dir)
            os.execve(argv[0], [*argv, level, "--table", level], t.env())
        said = b""
        try:
            while (more := os.read(terminal, 4096)):
                said += more
        except OSError:  # how the end of a terminal reads
            pass
        os.close(terminal)
        t.equal(0, os.waitpid(pid, 0)[1], said.decode(errors="replace"))
        t.equal("No such device or address", t.one("wh.db", f'SELECT can FROM "{level}"'), level)


@scenario("exec", "sandbox")
def an_ordinary_user_has_the_strict_sandbox_too(t):
    if os.getuid() != 0:
        raise Skipped("the scenario before was that")
    under = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if subprocess.run([*under, t.tranche, "--version"], capture_output=True).returncode:
        raise Skipped("the program cannot be read by others here")
    os.makedirs(t.path("tmp"), exist_ok=True)
    for folder in (t.dir, t.path("tmp")):
        os.chmod(folder, 0o777)
    program(t, "alone.py", ALONE)
    t.write("in.csv", "id\n1\n")
    r = strict(t, "--exec", "./alone.py", "--env", f"TEST_PID={os.getpid()}", under=under)
    got = dict(t.rows("wh.db", "SELECT what, can FROM t"))
    t.equal(("0", "ProcessLookupError", "65534"), (got["others"], got["signal"], got["user"]), "what it can")


@scenario("exec", "sandbox")
def strict_is_refused_or_named_where_containers_take_parts_of_it_away(t):
    program(t, "cat.sh", "#!/bin/sh\ncat\n")
    program(t, "proc.py", f"#!{PYTHON}\nimport sys\nsys.stdin.read()\nprint('can')\n"
                          "try:\n    print(open('/proc/1/cmdline').read()[:0] + 'yes')\nexcept OSError: print('no')\n")
    t.write("in.csv", "id\n1\n")
    strict(t, "--exec", "./cat.sh")
    inside = ["unshare", "-Urm", "--propagation", "private", "sh", "-c"]
    none = inside + ["echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"", "sh"]
    if subprocess.run([*none, "true"], capture_output=True).returncode == 0:
        argv = [*none, t.tranche, "run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "x", "--exec", "./cat.sh"]
        r = subprocess.run([*argv, "--sandbox", "strict"], cwd=t.dir, env=t.env(), capture_output=True, text=True)
        t.equal(2, r.returncode, r.stderr)
        t.true("user namespaces, which are not allowed here" in r.stderr and "sandbox: default" in r.stderr, r.stderr)
        r = subprocess.run(argv, cwd=t.dir, env=t.env(), capture_output=True, text=True)
        t.equal(0, r.returncode, r.stderr)
        t.true("sandbox default" in r.stderr, r.stderr)
    # In each /proc there is: one that is whole anywhere is enough for the kernel to allow a new one.
    masked = inside + ["for p in $(grep ' - proc ' /proc/self/mountinfo | cut -d ' ' -f 5); do "
                       "mount -t tmpfs tmpfs $p/tty || exit 77; done; exec \"$@\"", "sh"]
    mounted = False
    for _ in range(9):  # others mount and unmount theirs in the meantime
        if subprocess.run([*masked, "true"], capture_output=True).returncode:
            continue
        mounted = True
        r = strict(t, "--exec", "./proc.py", table="y", under=masked, want=(0, 77))
        if r.returncode == 77:
            continue
        t.true("but not /proc" in r.stderr, f"the level names what is missing\n{r.stderr}")
        t.equal("no", t.one("wh.db", "SELECT can FROM y"), "/proc can be read")
        break
    else:
        t.equal(False, mounted, "each try ended in a mount that failed")


@scenario("exec", "sandbox")
def a_strict_program_ends_as_it_ended(t):
    numbers(t, 2000)
    program(t, "cat.sh", "#!/bin/sh\ncat\n")
    strict(t, "--exec", "./cat.sh")
    for i, (body, text) in enumerate((
            ("    sys.exit(7)", "ended with exit code 7"),
            ("    os.abort()", "was killed by signal 6"),
            ("    os.kill(os.getpid(), 9)", "was killed by signal 9"),
            ("    print('going', file=sys.stderr, flush=True)\n    os.kill(os.getpid(), 11)", "was killed by signal 11"))):
        program(t, "late.py", late(body, PYTHON))
        strict(t, "--exec", "./late.py", "--batch-rows", "1200", "--retries", "0", "--bad-rows", "1", table=f"t{i}", want=3)
        said = t.one("wh.db", f"SELECT reason FROM t{i}_rejects")
        t.true(text in said, f"the reason holds {text!r}: {said!r}")
        t.equal(1999, t.one("wh.db", f"SELECT count(*) FROM t{i}"), "the others are loaded")
    t.leaves_nothing()


def stuck(t, body):
    """A persistent program that gives back what it gets, until a row 1500 comes."""
    program(t, "stuck.py", f"""#!{PYTHON}
import os, sys, time
while (head := sys.stdin.buffer.readline()):
    body = sys.stdin.buffer.read(int(head.split()[1]))
    if b"\\n1500,n" in body:
        print("here", file=sys.stderr, flush=True)
        {body}
        time.sleep(1000) # {t.dir}
    sys.stdout.buffer.write(head + body)
    sys.stdout.buffer.flush()
""")


@scenario("exec", "sandbox")
def a_strict_program_that_never_ends_is_stopped_with_all_it_started(t):
    numbers(t, 2000)
    stuck(t, "os.fork() or os.setsid()")
    r = strict(t, "--exec", "./stuck.py", "--persistent", "--batch-rows", "4", "--retries", "0", "--bad-rows", "1", "--timeout",
               "3s", want=3)
    if r:
        said = t.one("wh.db", "SELECT reason FROM t_rejects")
        t.true("took longer than limits.timeout" in said, said)
    t.equal([], sleepers(t), "processes that are left")
    t.leaves_nothing()


@scenario("exec", "sandbox")
def what_a_strict_program_leaves_running_ends_with_it(t):
    numbers(t, 3000)
    program(t, "daemon.py", f"#!{PYTHON}\nimport os, sys, time\nd = sys.stdin.read()\n"
                            "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(1000)\n    os._exit(0)\n"
                            "sys.stdout.write(d)\n# " + t.dir + "\n")
    r = strict(t, "--exec", "./daemon.py", "--batch-rows", "1000")
    if r:
        t.equal(3000, json.loads(r.stdout)["rows_loaded"], "rows")
    t.equal([], sleepers(t), "processes that are left")


SPIN = """
import resource, time
def spin(s):
    while sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) < s: pass
"""


@scenario("exec", "sandbox")
def the_cpu_time_of_programs_is_counted(t):
    t.write("in.csv", "id\n1\n2\n")
    once = f"#!{PYTHON}\nimport os, sys\n{SPIN}\nd = sys.stdin.read()\nif os.fork() == 0:\n    spin(0.2)\n    os._exit(0)\nos.wait()\nspin(0.2)\nsys.stdout.write(d)\n"
    keep = f"""#!{PYTHON}
import sys
{SPIN}
while (head := sys.stdin.buffer.readline()):
    body = sys.stdin.buffer.read(int(head.split()[1]))
    spin(0.4)
    sys.stdout.buffer.write(head + body)
    sys.stdout.buffer.flush()
"""
    program(t, "once.py", once)
    program(t, "keep.py", keep)
    for i, args in enumerate((["--exec", "./once.py"], ["--exec", "./keep.py", "--persistent"],
                              ["--exec", "./keep.py", "--persistent", "--sandbox", "strict"],
                              ["--exec", "./keep.py", "--persistent", "--concurrency", "2"])):
        r = t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", f"t{i}", "--output", "json", *args, want=(0, 2))
        if r.code == 2:
            refused(r.err)
        spent = r.json["cpu_seconds"]["workers"]
        t.true(spent >= 0.37, f"{spent} s of CPU for {args}: the program alone took 0.4")


@scenario("exec", "sandbox")
def a_persistent_program_that_hangs_up_is_ended_at_once(t):
    numbers(t, 2000)
    for i, (what, body) in enumerate((("input", "os.close(0)"), ("output", "os.close(1)"),
                       ("output", "sys.stdout.buffer.write(b'tranche-batch 50 1\\nid'); sys.stdout.buffer.flush(); os.close(1)"))):
        stuck(t, body)
        # The time limit is far away: the scenario would fail on its own.
        r = t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", f"t{i}", "--exec", "./stuck.py",
                  "--persistent", "--batch-rows", "4", "--retries", "0", "--bad-rows", "1", "--timeout", "1h", want=3)
        said = t.one("wh.db", f"SELECT reason FROM t{i}_rejects")
        t.true(f"closed its standard {what} and lives on" in said and "here" in said, said)
        t.equal(1999, t.one("wh.db", f"SELECT count(*) FROM t{i}"), "the others are loaded")
    t.equal([], sleepers(t), "processes that are left")
    t.leaves_nothing()


@scenario("sandbox", "sql")
def a_runner_of_sql_is_locked_in_before_it_reads(t):
    # Without end, so that there is time to look.
    p = t.start("run", "--range", "1000000000000", "--sql", "SELECT i FROM batch WHERE i < 0", "--into", "null:", "-j", "1")

    def statuses():
        found = []
        for x in t.children(p.pid):
            try:
                with open(f"/proc/{x}/status") as f:
                    text = f.read()
            except OSError:
                continue
            if text.startswith("Name:\ttranche-runner"):
                found.append(text)
        return found
    t.wait_until(lambda: p.poll() is not None or any("Seccomp:\t2" in s and "NoNewPrivs:\t1" in s for s in statuses()),
                 "a runner with a filter")
    t.true(p.poll() is None, "it runs")
    p.terminate()
    t.finish(p)


@scenario("exec", "sandbox")
def the_level_that_was_reached_is_in_the_history(t):
    t.write("in.csv", "id\n1\n")
    program(t, "cat.sh", "#!/bin/sh\ncat\n")
    t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t", "--exec", "./cat.sh", "--sandbox", "none")
    t.equal([("exec ./cat.sh: none",)], t.rows(".tranche/runs.db", "SELECT text FROM events WHERE kind = 'sandbox'"), "the event")


@scenario("sandbox", "hosts")
def a_host_without_strict_is_refused_by_name_and_another_does_the_work(t):
    from test_hosts import Program, keys, make, worker
    none = ["unshare", "-Urm", "--propagation", "private", "sh", "-c",
            "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"", "sh"]
    make(t, 4000)
    os.rename(t.path("k.csv"), t.path("in.csv"))
    program(t, "cat.sh", "#!/bin/sh\ncat\n")
    if subprocess.run([*none, "true"], capture_output=True).returncode:
        raise Skipped("namespaces are not allowed here")
    strict(t, "--exec", "./cat.sh", table="try")
    keys(t, "anna", "bert")
    c = Program(t, [t.tranche, "run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "k", "--exec", "./cat.sh", "--sandbox",
                    "strict", "--listen", "tcp://127.0.0.1:0", "-j", "0"])
    c.says("listening on ")
    c.endpoint = c.text.split("listening on ")[1].split()[0]
    w = Program(t, [*none, t.tranche + "-worker", "--access", "anna.access", c.endpoint])
    w.ends(1)
    c.says("worker anna: sandbox: strict needs user namespaces")
    w = worker(t, c, "bert")
    c.ends(0)
    w.ends(0)
    t.equal(4000, t.one("wh.db", "SELECT count(*) FROM k"), "rows")
