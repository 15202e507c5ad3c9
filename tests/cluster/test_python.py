"""Functions of Python scripts, by the helper that ships with the examples: with Debian's own python3."""

import json
import os
import subprocess

from kit import ROOT, Failed, scenario

PYTHON = "/usr/bin/python3"

SCRIPT = """import json, os, sys
import tranche

def square(x):
    return x * x

def who(x):
    return [x, os.getpid(), {"text": 'a"b,\\n\u00e4', "none": None}]

def odd(row):
    print("a print disturbs nobody")
    if row["id"] % 2:
        return {"id": row["id"], "name": row["name"].upper(), "half": row["id"] / 2}

def thrice(row):
    for i in range(3):
        yield {"id": row["id"], "i": i}

def bad(x):
    return 100 // (x - 5)

def length(row):
    return {"n": len(row["line"])}

if __name__ == "__main__":
    print(json.dumps(eval(sys.argv[1], globals())))
"""


def ask(t, expression, want=0):
    t.write("use.py", SCRIPT)
    env = t.env(PYTHONPATH=os.path.join(ROOT, "examples", "python"), TRANCHE=t.tranche)
    r = subprocess.run([PYTHON, "use.py", expression], cwd=t.dir, env=env, capture_output=True, text=True, timeout=120)
    if r.returncode != want:
        raise Failed(f"{expression}: wanted {want}, got {r.returncode}\n{r.stdout}\n{r.stderr}")
    return json.loads(r.stdout) if want == 0 else r.stderr


@scenario("python", "exec", "smoke")
def a_function_is_mapped_over_a_list_by_several_processes(t):
    t.equal([i * i for i in range(1000)], ask(t, "list(tranche.map(square, range(1000), jobs=2))"), "squares, in order")
    got = ask(t, "list(tranche.map(who, ('x%d' % i for i in range(50)), jobs=2, batch_rows=1))")
    t.equal([f"x{i}" for i in range(50)], [g[0] for g in got], "items, in order")
    t.true(1 <= len({g[1] for g in got}) <= 2, f"processes: {len({g[1] for g in got})}")
    t.equal([{"text": 'a"b,\n\u00e4', "none": None}], [g[2] for g in got[:1]], "a value")
    t.equal([], ask(t, "list(tranche.map(square, []))"), "nothing")
    t.leaves_nothing()


@scenario("python", "exec")
def a_function_is_mapped_over_the_rows_of_files(t):
    t.write("in.csv", "id,name\n" + "".join(f"{i},n{i}\n" for i in range(100)))
    want = [{"id": i, "name": f"N{i}", "half": i / 2} for i in range(1, 100, 2)]
    t.equal(want, ask(t, "list(tranche.map(odd, csv='in.csv'))"), "rows")
    got = ask(t, "list(tranche.map(thrice, csv='in.csv', into='sqlite:wh.db', table='t', batch_rows=10))")
    t.equal([{"id": i, "i": k} for i in range(100) for k in range(3)], got, "rows of the table")
    t.equal(300, t.one("wh.db", "SELECT count(*) FROM t"), "rows that are loaded")
    t.equal(300, len(ask(t, "list(tranche.map(thrice, csv='in.csv', into='sqlite:wh.db', table='t', batch_rows=10))")),
            "loaded once, however often it is called")
    t.equal(want[:2], ask(t, "list(tranche.map(odd, csv=['in.csv'], into='jsonl:out.jsonl'))[:2]"), "rows of a file")
    t.equal([{"n": 7}], ask(t, "list(tranche.map(length, lines='in.csv'))[:1]"), "lines")


@scenario("python", "exec")
def what_a_function_raises_is_raised_in_the_script(t):
    said = ask(t, "list(tranche.map(bad, range(10)))", want=1)
    t.true("tranche.Error: rejected: " in said and "line 6" in said and "ZeroDivisionError" in said, said)
    t.equal([-20, -25], ask(t, "list(tranche.map(bad, range(10), bad_rows=1))[:2]"), "with a bad row allowed")
    for call, text in (("map(lambda x: x, [1])", "a lambda"), ("map(square)", "one of items"),
                       ("map(odd, csv='in.csv', into='sqlite:wh.db')", "with a table"),
                       ("map(odd, csv='in.csv', into='postgres:x')", "into is"),
                       ("map(square, [1], tranche='/nowhere/tranche')", "No such file"),
                       ("map(odd, csv='nowhere.csv').__next__()", "nowhere.csv"),
                       ("map(odd, csv='in.csv', no_such_flag=1).__next__()", "unknown flag")):
        t.true(text in ask(t, "tranche." + call, want=1), f"{call} says {text!r}")


@scenario("python", "exec")
def a_program_that_cannot_be_started_is_the_only_thing_said(t):
    said = ask(t, "tranche.map(square, [1], tranche='/nowhere/tranche')", want=1)
    t.true("No such file" in said, said)
    t.true("Exception ignored" not in said and "AttributeError" not in said, said)
    t.leaves_nothing()


@scenario("python", "exec")
def a_script_without_a_guard_is_told(t):
    t.write("bare.py", "import tranche\ndef f(x):\n    return x\nprint(list(tranche.map(f, [1])))\n")
    env = t.env(PYTHONPATH=os.path.join(ROOT, "examples", "python"), TRANCHE=t.tranche)
    r = subprocess.run([PYTHON, "bare.py"], cwd=t.dir, env=env, capture_output=True, text=True, timeout=60)
    t.equal(1, r.returncode, r.stderr)
    t.true("if __name__ == '__main__'" in r.stderr, r.stderr)


@scenario("python", "exec")
def a_slow_function_is_not_called_to_plan_the_run(t):
    t.write("slow.py", """import os, tranche
def slow(x):
    with open(os.environ["TMPDIR"] + "/calls", "a") as f:
        f.write(".")
    with open(os.environ["TMPDIR"] + "/calls") as f:
        return [os.getpid(), len(f.read())]
if __name__ == "__main__":
    calls = {}
    for pid, n in tranche.map(slow, range(20), jobs=2):
        calls[pid] = n
    print(sum(calls.values()))
""")
    env = t.env(PYTHONPATH=os.path.join(ROOT, "examples", "python"), TRANCHE=t.tranche)
    r = subprocess.run([PYTHON, "slow.py"], cwd=t.dir, env=env, capture_output=True, text=True, timeout=60)
    t.equal("20\n", r.stdout, r.stderr)
