"""Programs that misbehave, each as one process a batch and persistent, in CSV and JSON lines."""

import os

from kit import scenario
from test_exec import PYTHON, numbers, program, sleepers

# Fine on the sample of the plan, which are the first 1000 rows; row 1000 is alone in the second batch.
ROWS = 1001
PROGRAM = f"""#!{PYTHON}
import os, sys, time
csv, persistent, what = os.environ["TRANCHE_FORMAT"] == "csv", os.environ["TRANCHE_PERSISTENT"] == "1", sys.argv[1]
out = sys.stdout.buffer

def answer(data, rows):
    if persistent:
        out.write(b"tranche-batch %d %d\\n" % (len(data), rows))
    out.write(data)
    out.flush()

def batches():
    while persistent and (head := sys.stdin.buffer.readline()):
        yield sys.stdin.buffer.read(int(head.split()[1]))
    if not persistent:
        yield sys.stdin.buffer.read()

if what == "never_reads":
    time.sleep(1000)
for body in batches():
    good, rows = body, body.count(b"\\n") - csv
    if b"n1000" in body:
        print("so long", file=sys.stderr, flush=True)
        if what == "exits":
            sys.exit(1)
        if what == "half_a_row":
            good = b'id,name,v\\n1,n,2\\n1,"n' if csv else b'{{"id":1,"name":"n","v":2}}\\n{{"id":1,"na'
            rows = 2
        if what == "never_ends":
            time.sleep(1000)
        if what == "writes_too_much":
            good, rows = (b"id,name,v\\n" + b"1,n,2\\n" * 20000000, 20000000) if csv else (b'{{"id":1}}\\n' * 20000000, 20000000)
        if what == "floods_stderr":
            for i in range(300):
                sys.stderr.write("x" * 65536)
        if what == "leaves_a_daemon" and os.fork() == 0:
            os.setsid()
            time.sleep(1000)
    answer(good, rows)
"""

# What it does, the words of the reason; None: its rows are loaded.
LATER = {
    "exits": ["ended with exit code 1", "so long"],
    "half_a_row": ["of its result"],
    "never_ends": ["took longer than limits.timeout", "so long"],
    "writes_too_much": ["its output for one batch is larger than"],
    "floods_stderr": None,
    "leaves_a_daemon": None,
}
WAYS = [["--exec-format", f, *p] for f in ("csv", "jsonl") for p in ([], ["--persistent"])]


def run(t, table, command, way, *more, want):
    return t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", table, "--exec", command, *way, "--batch-rows", "1000",
                 "--retries", "0", "--bad-rows", "1", "--worker-memory", "256MiB", "-j", "1", "--output", "json", *more, want=want)


def misbehaves(t, what):
    numbers(t, ROWS)
    program(t, "bad.py", PROGRAM + f"# {t.dir}\n")
    for i, way in enumerate(WAYS):
        words = LATER[what]
        more = ["--timeout", "3s"] if what == "never_ends" else []
        r = run(t, f"t{i}", f"./bad.py {what} {t.dir}", way, *more, want=3 if words else 0).json
        t.equal(ROWS - bool(words), r["rows_loaded"], f"rows loaded, {way}")
        if words:
            said = t.one("wh.db", f"SELECT reason FROM t{i}_rejects")
            for w in words:
                t.true(w in said, f"{way}: the reason holds {w!r}: {said!r}")
            t.equal(ROWS + 1, t.one("wh.db", f"SELECT line FROM t{i}_rejects"), "the line")
        t.equal([], sleepers(t), "processes that are left")
    t.leaves_nothing()


@scenario("exec", "misbehaviour")
def a_program_that_exits_fails_its_batch_alone(t):
    misbehaves(t, "exits")


@scenario("exec", "misbehaviour")
def a_program_that_writes_half_a_row_fails_its_batch_alone(t):
    misbehaves(t, "half_a_row")


@scenario("exec", "misbehaviour")
def a_program_that_never_ends_fails_its_batch_alone(t):
    misbehaves(t, "never_ends")


@scenario("exec", "misbehaviour")
def a_program_that_writes_too_much_fails_its_batch_alone(t):
    misbehaves(t, "writes_too_much")


@scenario("exec", "misbehaviour")
def a_program_that_floods_its_stderr_is_fine(t):
    misbehaves(t, "floods_stderr")


@scenario("exec", "misbehaviour")
def a_daemon_that_keeps_the_output_open_holds_nobody(t):
    misbehaves(t, "leaves_a_daemon")


@scenario("exec", "misbehaviour")
def a_program_that_is_missing_or_never_reads_is_told_before_the_run(t):
    numbers(t, 10)
    program(t, "bad.py", PROGRAM + f"# {t.dir}\n")
    for way in WAYS:
        t.says(run(t, "t", "./nowhere.py", way, want=2), "cannot run './nowhere.py'", "does not exist")
        r = run(t, "t", f"./bad.py never_reads {t.dir}", way, "--timeout", "500ms", want=2)
        t.says(r, "'./bad.py' gave no answer to 10 rows of the input within 500 ms")
        t.true(not os.path.exists(t.path("wh.db")) or not t.rows("wh.db", "SELECT 1 FROM sqlite_master WHERE name = 't'"), "no table")
    t.equal([], sleepers(t), "processes that are left")
    t.leaves_nothing()
