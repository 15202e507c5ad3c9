"""Transforms by programs of the user's own."""

import os
import signal
import subprocess
import sys

from kit import scenario
from test_hosts import Program

PYTHON = sys.executable

DOUBLE = """#!/usr/bin/env python3
import csv, sys
rows = csv.DictReader(sys.stdin)
out = csv.writer(sys.stdout)
out.writerow(["id", "name", "twice"])
for r in rows:
    out.writerow([r["id"], r["name"].upper(), int(r["v"]) * 2 if r["v"] else ""])
"""

KEEP = """#!/usr/bin/env python3
import csv, io, os, sys
while True:
    head = sys.stdin.buffer.readline()
    if not head:
        break
    word, size, rows = head.split()
    assert word == b"tranche-batch"
    body = sys.stdin.buffer.read(int(size)).decode()
    out, n = io.StringIO(), 0
    w = csv.writer(out)
    w.writerow(["id", "pid"])
    for r in csv.DictReader(io.StringIO(body)):
        if r["v"] == "die":
            sys.exit("row " + r["id"] + " is poison")
        if r["v"] == "raise":
            text = f"row {r['id']} is bad".encode()
            sys.stdout.buffer.write(b"tranche-error %d\\n" % len(text) + text)
            break
        w.writerow([r["id"], os.getpid()])
        n += 1
    else:
        data = out.getvalue().encode()
        sys.stdout.buffer.write(b"tranche-batch %d %d\\n" % (len(data), n) + data)
    sys.stdout.buffer.flush()
"""


def program(t, name, text):
    os.chmod(t.write(name, text), 0o755)


def numbers(t, n, bad=None, what="x"):
    t.write("in.csv", "id,name,v\n" + "".join(f"{i},n{i},{what if i == bad else i * 3}\n" for i in range(n)))


def run(t, *args, new=False, **kw):
    if new:
        for f in os.listdir(t.dir):
            if f.startswith("wh.db"):
                os.unlink(t.path(f))
    return t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t", "--output", "json", *args, **kw)


@scenario("exec")
def a_program_that_fails_at_every_row_ends_a_long_run_soon(t):
    t.write("in.csv", "x\n" + "".join(f"{i}\n" for i in range(200000)))
    bad = t.write("bad.sh", '#!/bin/sh\n[ "$TRANCHE_SAMPLE" = 1 ] && exec cat\nexit 3\n')
    os.chmod(bad, 0o755)
    r = t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t", "--exec", "./bad.sh", "--sandbox", "none", want=4)
    t.says(r, "limits.bad_rows allows 0, but the transform failed on ", "each found by bisection")
    tried = t.one(".tranche/runs.db", "SELECT count(*) FROM attempts")
    t.true(tried < 6000, f"{tried} attempts before the first rows were found")


FAILS_FROM_HALF = KEEP.replace('if r["v"] == "raise":', 'if int(r["id"]) > 100000:')


@scenario("exec")
def a_program_that_fails_from_the_middle_on_ends_a_long_run_soon(t):
    program(t, "half.py", FAILS_FROM_HALF)
    numbers(t, 200000)
    r = run(t, "--exec", "./half.py", "--persistent", want=4)
    t.says(r, "limits.bad_rows allows 0, but the transform failed on ", "each found by bisection")
    tried = t.one(".tranche/runs.db", "SELECT count(*) FROM attempts")
    t.true(tried < 6000, f"{tried} attempts before the first rows were found")


@scenario("exec")
def a_run_that_looks_for_rows_at_fault_is_interrupted_and_continued(t):
    program(t, "half.py", FAILS_FROM_HALF)
    numbers(t, 200000)
    args = ["run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t", "--exec", "./half.py", "--persistent", "--retries", "1"]
    p = t.start(*args, "--bad-rows", "100%")
    failed = "SELECT count(*) FROM attempts WHERE outcome = 'failed'"
    t.wait_until(lambda: os.path.exists(t.path("wh.db")) and t.one(".tranche/runs.db", failed) > 300, "failures")
    p.send_signal(signal.SIGINT)
    done = t.finish(p)
    t.equal(130, done.code, "exit code")
    t.says(done, "interrupted")
    found = t.one("wh.db", "SELECT count(*) FROM t_rejects")
    t.equal(found, t.one("wh.db", "SELECT count(DISTINCT line) FROM t_rejects WHERE line > 100002"), "rows that were found")
    r = t.run(*args, "--bad-rows", str(found), want=4)
    t.says(r, f"limits.bad_rows allows {found}, but the transform failed on ")
    t.equal(0, t.one("wh.db", "SELECT count(*) - count(DISTINCT line) FROM t_rejects"), "rows that were rejected twice")
    t.intact("wh.db")


@scenario("exec", "smoke")
def a_program_in_the_jobs_folder_transforms_every_batch(t):
    program(t, "job/clean.py", DOUBLE)
    numbers(t, 5000)
    os.rename(t.path("in.csv"), t.path("job/in.csv"))
    t.write("job/job.yaml", """
source: {csv: in.csv}
batch: {bytes: 8KiB}
transform:
  - sql: SELECT id, name, nullif(v, 30) AS v FROM batch WHERE id % 2 = 0
  - exec: ./clean.py
  - sql: SELECT id, name, twice + 1 AS w FROM batch
load: {into: 'sqlite:wh.db', table: t}
""")
    r = t.run("run", "job/job.yaml", "--output", "json").json
    t.equal((5000, 2500, 2500), (r["rows_read"], r["rows_emitted"], r["rows_loaded"]), "rows")
    want = [(i, f"N{i}", None if i == 10 else i * 6 + 1) for i in range(0, 5000, 2)]
    t.equal(want, t.rows("job/wh.db", "SELECT id, name, w FROM t ORDER BY rowid"), "rows")
    t.leaves_nothing()


@scenario("exec")
def a_program_from_path_with_arguments_in_one_text(t):
    t.write("swap.py", DOUBLE)
    numbers(t, 10)
    run(t, "--exec", "python3 'swap.py' --unused \"two words\"")
    t.equal(10, t.one("wh.db", "SELECT count(*) FROM t WHERE twice = id * 6"), "rows")
    t.equal("INTEGER", t.one("wh.db", "SELECT type FROM pragma_table_info('t') WHERE name = 'twice'"), "type")


@scenario("exec")
def a_persistent_program_is_one_process_for_many_batches(t):
    program(t, "keep.py", KEEP)
    numbers(t, 3000)
    r = run(t, "--exec", "./keep.py", "--persistent", "--batch-bytes", "4KiB", "-j", "2").json
    t.equal(3000, r["rows_loaded"], "rows")
    t.true(r["chunks"] > 8, "many batches")
    n = t.one("wh.db", "SELECT count(DISTINCT pid) FROM t")
    t.true(n <= 2, f"{n} processes for {r['chunks']} batches")
    t.leaves_nothing()


@scenario("exec")
def poison_rows_are_isolated(t):
    program(t, "keep.py", KEEP)
    program(t, "clean.py", DOUBLE)
    for args, what, reason in ((["--exec", "./clean.py"], "x", "ValueError"),
                               (["--exec", "./keep.py", "--persistent"], "die", "row 1234 is poison"),
                               (["--exec", "./keep.py", "--persistent"], "raise", "row 1234 is bad")):
        numbers(t, 2000, bad=1234, what=what)
        r = run(t, *args, "--batch-bytes", "16KiB", "--retries", "0", "--bad-rows", "1", new=True, want=3).json
        t.equal((1999, 1), (r["rows_loaded"], r["rows_rejected"]), "loaded, rejected")
        t.equal([(1236,)], t.rows("wh.db", "SELECT line FROM t_rejects"), "the guilty line")
        said = t.one("wh.db", "SELECT reason FROM t_rejects")
        t.true(reason in said, f"the reason holds {reason!r}: {said!r}")
    for retries in (2, 4):
        run(t, *args, "--batch-bytes", "16KiB", "--retries", retries, "--bad-rows", "1", new=True, want=3)
        single = "SELECT max(attempt) FROM attempts WHERE run = (SELECT max(seq) FROM runs) AND \"end\" - begin < 25"
        t.equal(retries, t.one(".tranche/runs.db", single), "failures of the row, all alone")


@scenario("exec")
def a_poison_row_in_the_sample_does_not_stop_the_plan(t):
    program(t, "clean.py", DOUBLE)
    numbers(t, 500, bad=0)
    r = run(t, "--exec", "./clean.py", "--bad-rows", "1", "--retries", "0", want=3).json
    t.equal((499, 1), (r["rows_loaded"], r["rows_rejected"]), "loaded, rejected")


@scenario("exec")
def a_program_that_lacks_a_module_rejects_no_row(t):
    numbers(t, 60)
    program(t, "lazy.py", "import os, sys\nif os.environ.get('TRANCHE_SAMPLE') != '1':\n    import no_such_module\n"
            "sys.stdout.write(sys.stdin.read())\n")
    args = ("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t", "--exec", "python3 lazy.py", "--sandbox", "none")
    r = t.run(*args, "--bad-rows", "100%", want=1)
    t.says(r, "no worker is left that can run this job", "lazy.py:3: ModuleNotFoundError: No module named 'no_such_module'")
    t.equal([], t.rows("wh.db", "SELECT name FROM sqlite_master WHERE name = 't_rejects'") and
            t.rows("wh.db", "SELECT * FROM t_rejects"), "rejects")
    # One that a row asks for is that row's own mistake.
    program(t, "late.py", "import sys\ndef f(x):\n    if x.startswith('7,'): import no_such_module\n    return x\n"
            "sys.stdout.write(''.join(map(f, sys.stdin)))\n")
    r = t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "u", "--exec", "python3 late.py", "--sandbox", "none",
              "--bad-rows", 1, "--retries", 0, want=3)
    t.equal(59, t.one("wh.db", "SELECT count(*) FROM u"), "rows")


@scenario("exec")
def programs_that_cannot_work_are_told_before_anything_is_loaded(t):
    t.write("plain.py", DOUBLE)
    program(t, "nothing.sh", "#!/bin/sh\ncat >/dev/null\n")
    program(t, "fails.sh", "#!/bin/sh\ncat >/dev/null\necho no such thing >&2\nexit 1\n")
    program(t, "index.sh", "#!/bin/sh\ncat >/dev/null\necho ',a'\necho 0,1\n")
    program(t, "twice.sh", "#!/bin/sh\ncat >/dev/null\necho 'a,A'\n")
    program(t, "strange.sh", "#!/nowhere/sh\n")
    t.write("text", "hello\n")
    os.chmod(t.path("text"), 0o755)
    numbers(t, 10)
    for command, texts in {
        "nowhere": ["cannot run 'nowhere'", "in PATH"],
        "./nowhere": ["does not exist"],
        "./plain.py": ["may not be executed", "chmod +x", "python3"],
        "./strange.sh": ["interpreter in its first line"],
        "./nothing.sh": ["it wrote nothing", "line of column names"],
        "./fails.sh": ["exit code 1", "no such thing"],
        "./index.sh": ["column 1 of its result has no name", "index=False"],
        "./twice.sh": ["two columns 'A'"],
        "cat | sort": ["no shell runs it", "[sh, -c"],
        "'cat": ["never closed"],
        " ": ["no program"],
    }.items():
        r = run(t, "--exec", command, want=2)
        t.says(r, *texts)
        t.true(not os.path.exists(t.path("wh.db")) or not t.rows("wh.db", "SELECT 1 FROM sqlite_master WHERE name = 't'"),
               "no table")
    t.leaves_nothing()


def late(body, python=PYTHON):
    """Fine on the sample of a plan, otherwise once a row 1500 is there."""
    return f"""#!{python}
import os, sys, time
data = sys.stdin.buffer.read()
if b"\\n1500,n" in data:
{body}
sys.stdout.buffer.write(data)
"""


@scenario("exec")
def what_goes_wrong_in_a_later_batch_is_told(t):
    numbers(t, 2000)
    for body, code, text in (
            ("    sys.exit(7)", 4, "exit code 7"),
            ("    os.kill(os.getpid(), 11)", 4, "signal 11"),
            ("    sys.stdout.write('id,name,w\\n1,2,3\\n'); sys.exit(0)", 4, "column 3 is 'w', and was 'v'"),
            ("    sys.stdout.write('id,name\\n1,2\\n'); sys.exit(0)", 4, "it gives 2, and gave 3"),
            ("    sys.exit(0)", 4, "it wrote nothing"),
            ("    sys.stdout.write('id,name,v\\n1,2,3\\n1,\"2'); sys.exit(0)", 4, "line 3 of its result"),
            ("    sys.stdout.write('id,name,v\\n1,2\\n'); sys.exit(0)", 4, "line 2 of its result"),
            ("    sys.stdout.buffer.write(b'id,name,v\\n1,\\xff,3\\n'); sys.exit(0)", 4, "UTF-8"),
            ("    sys.stdout.write('id,name,v\\n' + '1,2,3\\n' * 8000000); sys.exit(0)", 4, "is larger than")):
        program(t, "late.py", late(body))
        r = run(t, "--exec", "./late.py", "--batch-rows", "1200", "--retries", "0", "-j", "2",
                "--worker-memory", "128MiB", new=True, want=code)
        said = t.one("wh.db", "SELECT reason FROM t_rejects")
        t.true(text in said, f"the reason holds {text!r}: {said!r}")
        t.equal(1999, t.one("wh.db", "SELECT count(*) FROM t"), "the others are loaded")
    t.leaves_nothing()


@scenario("exec")
def an_answer_without_a_last_line_end_is_whole(t):
    program(t, "cut.py", f"#!{PYTHON}\nimport sys\nsys.stdout.write(sys.stdin.read().rstrip())\n")
    numbers(t, 100)
    run(t, "--exec", "./cut.py")
    t.equal([(100, 297)], t.rows("wh.db", "SELECT count(*), max(v) FROM t"), "rows")


@scenario("exec")
def nothing_a_program_does_with_its_pipes_locks_up(t):
    numbers(t, 60000)
    big = "'x' * 3000000"
    for name, body, rows in (
            ("never_reads", "print('a')\nprint(1)", None),
            ("closes_stdin", "os.close(0)\nprint('a')\nprint(1)", None),
            ("reads_one_line", "l = sys.stdin.readline()\nprint('a')\nprint(1)", None),
            ("floods_stderr_first", f"sys.stderr.write({big}); d = sys.stdin.read(); sys.stdout.write(d)", 60000),
            ("writes_before_it_reads", "print('a,b,c')\nfor i in range(300000): print('1,2,3')\nsys.stdin.read()", None),
            ("echoes_as_it_reads", "for l in sys.stdin: sys.stdout.write(l); sys.stderr.write(l)", 60000),
            ("leaves_a_daemon_with_the_pipes",
             "d = sys.stdin.read()\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(1000)\nsys.stdout.write(d)", 60000)):
        program(t, f"{name}.py", f"#!{PYTHON}\nimport os, sys, time\n{body}\n")
        r = run(t, "--exec", f"./{name}.py", "--batch-bytes", "256KiB", new=True).json
        if rows:
            t.equal(rows, r["rows_loaded"], name)
        else:
            t.true(r["rows_loaded"] > 0, name)
    t.leaves_nothing()


def sleepers(t):
    found = subprocess.run(["pgrep", "-f", t.dir], capture_output=True, text=True).stdout.split()
    return [p for p in found if int(p) != os.getpid()]


@scenario("exec")
def a_program_that_never_ends_is_stopped_with_all_it_started(t):
    numbers(t, 2000)
    program(t, "hang.py", late("    import subprocess\n    print('working on it', file=sys.stderr, flush=True)\n"
                               "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000) # " + t.dir + "'])\n"
                               "    time.sleep(1000)"))
    run(t, "--exec", "./hang.py", "--batch-rows", "1200", "--retries", "0", "--timeout", "2s", "--fresh",
        "--bad-rows", "1", want=3)
    said = t.one("wh.db", "SELECT reason FROM t_rejects")
    t.true("limits.timeout" in said, said)
    t.equal([], sleepers(t), "processes that are left")
    program(t, "never.py", f"#!{PYTHON}\nimport time\ntime.sleep(1000)\n")
    r = run(t, "--exec", "./never.py", "--timeout", "1s", "--fresh", want=2)
    t.says(r, "gave no answer")
    t.equal([], sleepers(t), "processes that are left")


@scenario("exec")
def the_environment_is_clean_and_has_the_params(t):
    t.write("in.csv", "id\n1\n")
    t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "base")
    program(t, "env.py", f"#!{PYTHON}\nimport os, sys\nprint('name,value')\n"
                         "for k, v in sorted(os.environ.items()): print(f'{k},\"{v}\"')\n")
    run(t, "--exec", "./env.py", "--env", "MODE=fast", "--env", "LANG=C", "--param", "mean=SELECT avg(id) FROM base",
        env={"SECRET": "x", "LANG": "C.UTF-8", "VIRTUAL_ENV": "/venv"})
    got = dict(t.rows("wh.db", "SELECT name, value FROM t"))
    t.true("SECRET" not in got and "TRANCHE_HOME" not in got, str(got))
    t.equal(("fast", "C", "/venv", t.dir, "1.0", "csv", "0"),
            tuple(got.get(k) for k in ("MODE", "LANG", "VIRTUAL_ENV", "HOME", "TRANCHE_PARAM_mean", "TRANCHE_FORMAT",
                                       "TRANCHE_PERSISTENT")), "environment")


SANDBOX = """#!/usr/bin/python3
import os, socket, sys
def can(f):
    try:
        f()
        return "yes"
    except OSError as e:
        return "no"
def connect():
    s = socket.socket(socket.AF_INET)
    s.settimeout(5)
    s.connect(("127.0.0.1", int(os.environ["PORT"])))
print("what,can")
print("scratch," + can(lambda: open(os.environ["TMPDIR"] + "/x", "w").write("x")))
print("job," + can(lambda: open("written", "w")))
print("home," + can(lambda: open(os.environ["HOME"] + "/written", "w")))
print("read," + can(lambda: open(os.environ["READ"]).read()))
print("delete," + can(lambda: os.unlink("in.csv")))
print("null," + can(lambda: open("/dev/null", "w").write("x")))
print("connect," + can(connect))
"""


@scenario("exec")
def a_sandbox_keeps_the_program_to_its_scratch_folder(t):
    import socket
    server = socket.create_server(("127.0.0.1", 0))
    t.cleanups.append(server.close)
    elsewhere = t.write("elsewhere/file", "x")
    os.mkdir(t.path("job"))
    program(t, "job/try.py", SANDBOX)
    base = {"scratch": "yes", "null": "yes"}
    for level, want in (("default", dict(base, job="no", home="no", read="yes", delete="no", connect="yes")),
                        ("strict", dict(base, job="no", home="no", read="no", delete="no", connect="no")),
                        ("none", dict(base, job="yes", home="yes", read="yes", delete="yes", connect="yes"))):
        t.write("job/in.csv", "id\n1\n")
        t.write("job/job.yaml", f"""
source: {{csv: in.csv}}
transform: {{exec: ./try.py, sandbox: {level}, env: {{PORT: {server.getsockname()[1]}, READ: {elsewhere}}}}}
load: {{into: 'sqlite:../wh.db', table: {level}}}
""")
        r = t.run("run", "job/job.yaml", want=None)
        if r.code == 2 and "needs user namespaces" in r.err:
            continue  # said, and refused: this host does not let us
        if level != "none":
            t.equal(0, r.code, "exit code")
            t.equal(want, dict(t.rows("wh.db", f'SELECT what, can FROM "{level}"')), level)
        t.says(r, f"sandbox {level}")


@scenario("exec")
def a_changed_program_is_another_job(t):
    program(t, "clean.py", DOUBLE)
    numbers(t, 10)
    run(t, "--exec", "./clean.py")
    r = run(t, "--exec", "./clean.py").json
    t.equal(0, r["rows_loaded"], "the same program: nothing new")
    program(t, "clean.py", DOUBLE.replace("* 2", "* 3"))
    r = run(t, "--exec", "./clean.py").json
    t.equal(10, r["rows_loaded"], "another program: its own load")


@scenario("exec", "kills")
def a_run_that_is_killed_with_its_programs_goes_on_exactly_once(t):
    program(t, "keep.py", KEEP)
    numbers(t, 20000)
    for args in (["--exec", "./keep.py", "--persistent"], ["--exec", "./clean.py"]):
        program(t, "clean.py", DOUBLE)
        table = "t" + str(len(args))
        for kill in range(3):
            p = t.start("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", table, "--batch-bytes",
                        "8KiB", *args)

            def loaded():
                try:
                    return t.one("wh.db", f"SELECT count(*) FROM {table}") > kill * 3000 or p.poll() is not None
                except Exception:  # not there yet
                    return p.poll() is not None
            t.wait_until(loaded, "something is loaded")
            p.kill()  # if it is still there
            t.finish(p)
        t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", table, "--batch-bytes", "8KiB", *args)
        t.equal([(20000, 20000)], t.rows("wh.db", f"SELECT count(*), count(DISTINCT id) FROM {table}"), "rows")
        t.intact("wh.db")
        t.equal([], sleepers(t), "processes that are left")


@scenario("exec")
def json_lines_go_both_ways(t):
    program(t, "flat.py", f"""#!{PYTHON}
import json, sys
for line in sys.stdin:
    r = json.loads(line)
    for mail in (r["name"] or "").split("+"):
        out = {{"id": r["id"], "mail": mail or None, "half": r["v"] / 2 if r["v"] is not None else None, "big": r["v"] == 9}}
        if r["id"] == 3:
            del out["half"]
            out["more"] = [1]
        print(json.dumps(out))
""")
    t.write("in.csv", 'id,name,v\n1,a+b,5\n2,"q""q",\n3,,9\n4,\u00e4,10\n')
    run(t, "--exec", "./flat.py", "--exec-format", "jsonl")
    t.equal([(1, "a", 2.5, 0, None), (1, "b", 2.5, 0, None), (2, 'q"q', None, 0, None), (3, None, None, 1, "[1]"),
             (4, "\u00e4", 5.0, 0, None)], t.rows("wh.db", "SELECT id, mail, half, big, more FROM t ORDER BY rowid"), "rows")
    program(t, "none.sh", "#!/bin/sh\ncat >/dev/null\n")
    t.says(run(t, "--exec", "./none.sh", "--exec-format", "jsonl", want=2, new=True), "its columns are not known")
    program(t, "bad.sh", "#!/bin/sh\ncat >/dev/null\necho '[1]'\n")
    t.says(run(t, "--exec", "./bad.sh", "--exec-format", "jsonl", want=2), "line 1 of its result is no JSON object")


HELPER = """import tranche

def halve(v):
    return int(v) // 2 if v is not None else None

@tranche.transform
def clean(rows):
    for row in rows:
        if row["name"] == "drop":
            continue
        if row["v"] == "raise":
            raise ValueError(f"what is {row['id']}")
        yield {"id": row["id"], "name": row["name"], "empty": "", "null": None, "half": halve(row["v"]),
               "scale": tranche.params["scale"]}
"""


@scenario("exec")
def a_python_function_with_the_helper(t):
    import shutil
    from kit import ROOT
    shutil.copy(os.path.join(ROOT, "examples", "python", "tranche.py"), t.path("tranche.py"))
    t.write("clean.py", HELPER)
    t.write("in.csv", "id,name,v\n" + "".join(
        f'{i},{"drop" if 300 < i < 900 else chr(34) * 2 if i % 3 else chr(34) + "x, " + chr(34) * 2 + chr(10) + chr(34)},'
        f'{"" if i % 5 == 0 else "raise" if i == 977 else i}\n' for i in range(1000)))
    t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "base")
    want = [(i, "" if i % 3 else 'x, "\n', "", None, None if i % 5 == 0 else i // 2, 1000)
            for i in range(1000) if not 300 < i < 900 and i != 977]
    for args in (["--persistent"], ["--persistent", "--exec-format", "jsonl"], [], ["--exec-format", "jsonl"]):
        r = t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t" + str(len(args)), "--exec",
                  "python3 clean.py", *args, "--batch-bytes", "2KiB", "--retries", "0", "--bad-rows", "1", "--type", "v=text",
                  "--param", "scale=SELECT count(*) FROM base", "--output", "json", "--mode", "replace", want=3).json
        got = t.rows("wh.db", 'SELECT id, name, "empty", "null", half, CAST(scale AS INTEGER) FROM t' + str(len(args)) + " ORDER BY id")
        t.equal(want, got, f"rows with {args}")
        t.true("ValueError: what is 977" in t.one("wh.db", f"SELECT reason FROM t{len(args)}_rejects"), "the reason")


@scenario("exec")
def a_zero_byte_of_a_python_function_is_never_taken_for_an_empty_text(t):
    import shutil
    from kit import ROOT
    shutil.copy(os.path.join(ROOT, "examples", "python", "tranche.py"), t.path("tranche.py"))
    t.write("in.csv", "id\n1\n")
    t.write("f.py", 'import tranche\n@tranche.transform\ndef f(rows):\n    return [{"v": "a\\0b", "w": ""} for _ in rows]\n')
    t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t", "--exec", "python3 f.py", "--retries", "0",
          "--bad-rows", "1", want=3)
    t.true("a value has a zero byte beside empty texts" in t.one("wh.db", "SELECT reason FROM t_rejects"), "the reason")


@scenario("exec", "kills")
def what_programs_started_ends_with_a_runner_that_is_killed(t):
    numbers(t, 2000)
    program(t, "hang.py", late("    import subprocess\n    open(os.environ['TMPDIR'] + '/here', 'w')\n"
                               "    subprocess.run([sys.executable, '-c', 'import time; time.sleep(1000) # " + t.dir + "'])"))
    p = t.start("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t", "--exec", "./hang.py", "--batch-rows",
                "1200", "--retries", "0", "--bad-rows", "1")

    def hanging():
        with_text = [x for x in t.children(p.pid) if t.dir in read(f"/proc/{x}/cmdline") and "sleep(1000)" in read(f"/proc/{x}/cmdline")]
        return bool(with_text) or p.poll() is not None

    def runner_of(pid):
        while pid > 1 and "tranche-runner" not in read(f"/proc/{pid}/comm"):
            pid = int(read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[1] or 0) if read(f"/proc/{pid}/stat") else 0
        return pid

    def read(path):
        try:
            with open(path) as f:
                return f.read()
        except OSError:
            return ""
    killed = set()
    while p.poll() is None:
        t.wait_until(hanging, "the program hangs")
        for x in t.children(p.pid):
            if "sleep(1000)" in read(f"/proc/{x}/cmdline") and x not in killed:
                killed.add(x)
                r = runner_of(x)
                if r > 1:
                    os.kill(r, signal.SIGKILL)
                t.wait_until(lambda: not read(f"/proc/{x}/cmdline"), "what it started has ended")
    done = t.finish(p)
    t.equal(3, done.code, "exit code")
    t.equal(1999, t.one("wh.db", "SELECT count(*) FROM t"), "rows")
    t.equal([], sleepers(t), "processes that are left")
    t.leaves_nothing()


@scenario("exec", "files")
def a_program_travels_to_another_host_by_digest(t):
    from test_files import cached, exact, listen
    from test_hosts import keys, make, worker
    make(t, 4000)
    program(t, "name.py", f"""#!{PYTHON}
import csv, sys
rows = csv.DictReader(sys.stdin)
out = csv.writer(sys.stdout)
out.writerow(["id", "name"])
for r in rows:
    out.writerow([r["id"], "the name of %07d" % int(r["id"])])
""")
    t.write("job.yaml", """
source: {csv: k.csv}
transform: {exec: ./name.py}
load: {into: 'sqlite:wh.db', table: k}
""")
    keys(t, "anna")
    c = listen(t, "-j", "0")
    w = worker(t, c, "anna")
    c.ends(0)
    w.ends(0)
    exact(t)
    t.equal([0o500], [os.stat(f).st_mode & 0o777 for f in cached(t)], "the program in the cache")


@scenario("exec")
def a_variable_of_the_callers_reaches_the_program_and_no_file(t):
    t.write("in.csv", "id\n1\n2\n")
    program(t, "who.py", f"""#!{PYTHON}
import os, sys
sys.stdin.read()
print("token,text,plain")
print(",".join([os.environ["TOKEN"][::-1], os.environ["TEXT"], os.environ["PLAIN"]]))
""")
    t.write("job.yaml", """
source: {csv: in.csv}
transform: {exec: ./who.py, env: {TOKEN: $API_TOKEN, TEXT: $$API_TOKEN, PLAIN: 5$}}
load: {into: 'sqlite:wh.db', table: t}
""")
    secret = "s3cret-%032x" % t.random.getrandbits(128)
    r = t.run("run", "job.yaml", env={"API_TOKEN": secret})
    t.equal([(secret[::-1], "$API_TOKEN", "5$")], t.rows("wh.db", "SELECT token, text, plain FROM t"), "what it saw")
    t.true(secret not in r.out + r.err, "the secret is not said")
    for folder, _, names in os.walk(t.dir):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                t.true(secret.encode() not in f.read(), f"the secret is not in {name}")
    r = t.run("run", "job.yaml", "--output", "json", env={"API_TOKEN": "another"}).json
    t.equal(0, r["rows_loaded"], "with another value it is the same load")
    r = t.run("run", "job.yaml", "--fresh", want=2)
    t.says(r, "TOKEN wants the variable API_TOKEN of the environment, which is not set", "$$API_TOKEN")


PACKAGE = {
    "job/clean.py": f"#!{PYTHON}\nimport csv, sys\nfrom lib.names import name\nrows = csv.DictReader(sys.stdin)\n"
                    "out = csv.writer(sys.stdout)\nout.writerow(['id', 'name'])\n"
                    "for r in rows: out.writerow([r['id'], name(r['id'])])\n",
    "job/lib/__init__.py": "",
    "job/lib/names.py": "words = open('data/words.txt').read().strip()\ndef name(i): return words + ' %07d' % int(i)\n",
    "job/lib/__pycache__/old.pyc": "old",
    "job/data/words.txt": "the name of\n",
    "job/data/.hidden": "x",
}


def package_job(t, more=""):
    from test_hosts import make
    make(t, 4000)
    for path, text in PACKAGE.items():
        t.write(path, text)
    os.rename(t.path("k.csv"), t.path("job/k.csv"))
    t.write("job.yaml", "")
    os.chmod(t.path("job/clean.py"), 0o755)
    t.write("job/job.yaml", f"""
source: {{csv: k.csv}}
transform: {{exec: ./clean.py, files: [lib, 'data/*.txt'], {more}}}
load: {{into: 'sqlite:../wh.db', table: k}}
""")


@scenario("exec", "files")
def files_beside_a_program_travel_with_it(t):
    from test_files import cached, exact
    from test_hosts import Program, keys, worker
    package_job(t)
    keys(t, "anna")
    os.rename(t.path(".tranche"), t.path("job/.tranche"))
    t.write("job/lib/names.py", PACKAGE["job/lib/names.py"] + "import os\nat = [os.getcwd(), os.path.dirname(__file__)]\n")
    t.write("job/clean.py", PACKAGE["job/clean.py"].replace("import name", "import name, at").replace("'name']", "'name', 'cwd', 'lib']")
            .replace("(r['id'])]", "(r['id'])] + at"))
    c = Program(t, [t.tranche, "run", "job/job.yaml", "--batch-bytes", "4KiB", "--listen", "tcp://127.0.0.1:0", "-j", "0"])
    c.says("listening on ")
    c.endpoint = c.text.split("listening on ")[1].split()[0]
    w = worker(t, c, "anna")
    c.ends(0)
    w.ends(0)
    exact(t)
    for cwd, lib in t.rows("wh.db", "SELECT DISTINCT cwd, lib FROM k"):
        t.true("/beside-" in cwd and lib == cwd + "/lib", f"it ran in {cwd} with {lib}")
    t.equal(4, len(cached(t)), "files in the cache, and no folder")


@scenario("exec", "files")
def a_changed_file_beside_a_program_is_another_job(t):
    package_job(t)
    r = t.run("run", "job/job.yaml", "--output", "json").json
    t.equal(4000, r["rows_loaded"], "rows")
    t.equal(0, t.run("run", "job/job.yaml", "--output", "json").json["rows_loaded"], "the same: nothing new")
    t.write("job/lib/__pycache__/old.pyc", "new")
    t.equal(0, t.run("run", "job/job.yaml", "--output", "json").json["rows_loaded"], "bytes that do not travel")
    t.write("job/data/words.txt", "a name of\n")
    t.equal(4000, t.run("run", "job/job.yaml", "--output", "json").json["rows_loaded"], "other words")


@scenario("exec", "files")
def files_that_cannot_travel_are_told(t):
    package_job(t)
    for files, text in (("../k.csv", "is not below the job's folder"), ("/etc/passwd", "is not below the job's folder"),
                        ("'lib/*.so'", "no file matches 'lib/*.so'"), ("nowhere.py", "nowhere.py"), ("[]", "an empty list")):
        job = t.write("job/other.yaml", f"""
source: {{csv: k.csv}}
transform: {{exec: ./clean.py, files: {files}}}
load: {{into: 'sqlite:../wh.db', table: k}}
""")
        t.says(t.run("run", job, want=2), "files", text)
    t.write("in.csv", "id,name,v\n1,a,2\n")
    r = t.run("run", "--csv", "in.csv", "--into", "sqlite:x.db", "--table", "t", "--exec-file", "job", want=2)
    t.says(r, "--exec-file stands behind the transform")
    t.run("run", "--csv", "job/k.csv", "--into", "sqlite:x.db", "--table", "t", "--exec", "./job/clean.py", "--exec-file", "job",
          "--exec-file", "in.csv", want=2)  # the words are looked for here, in the current folder
    t.says(t.last, "data/words.txt")


@scenario("exec")
def a_mistake_that_every_row_meets_is_told_in_its_words_once(t):
    t.write("bug.py", "import os, sys\nprint(sys.stdin.read() if os.environ.get('TRANCHE_SAMPLE') else {}['late'])\n")
    done = t.run("run", "--range", 100, "--batch-rows", 10, "--exec", "python3 bug.py", "--into", "sqlite:wh.db", "--table", "t",
                 "--retries", 1, want=4)
    t.says(done, "attempt 1 failed after", "ms, in the same words", "limits.bad_rows allows 0, but the transform failed on 20 rows")
    t.equal(2, done.err.count("KeyError: 'late'"), "times that the words are there: at the first failure and at the end")


@scenario("exec")
def a_program_that_is_tried_for_long_is_named_as_what_is_waited_for(t):
    t.write("slow.py", "import os, sys, time\nrows = sys.stdin.read()\n"
            "while not os.path.exists('go on'):\n    time.sleep(0.01)\nsys.stdout.write(rows)\n")
    c = Program(t, [t.tranche, "run", "--range", "10", "--exec", "python3 slow.py", "--into", "sqlite:wh.db", "--table", "t"])
    c.says("the transforms are being tried on a sample of the input, to learn what columns they give")
    t.write("go on", "")
    c.ends(0)
    t.equal(10, t.one("wh.db", "SELECT count(*) FROM t"), "rows")
