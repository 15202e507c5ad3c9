"""Functions of Python scripts, by the helper that ships with the examples: with Debian's own python3."""

import json
import os
import re
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
    r = subprocess.run([PYTHON, "use.py", expression], cwd=t.dir, env=env, capture_output=True, text=True, timeout=240)
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
    t.equal("tranche.Error: item 5 (value 5): use.py:20: ZeroDivisionError: integer division or modulo by zero",
            said.splitlines()[-1], "the end of the traceback")
    t.true("balanced" not in said and "items.jsonl" not in said and "Traceback" not in said.split("tranche.Error", 1)[1], said)
    for call, text in (("map(lambda x: x, [1])", "a lambda"), ("map(square)", "one of items"),
                       ("map(odd, csv='in.csv', into='sqlite:wh.db')", "with a table"),
                       ("map(odd, csv='in.csv', into='postgres:x')", "into is"),
                       ("map(square, [1], tranche='/nowhere/tranche')", "No such file"),
                       ("map(odd, csv='nowhere.csv').__next__()", "nowhere.csv"),
                       ("map(odd, csv='in.csv', no_such_flag=1).__next__()", "unknown flag")):
        t.true(text in ask(t, "tranche." + call, want=1), f"{call} says {text!r}")


SOME_FAIL = """import os, tranche

def f(x):
    if x % 97 == 5:
        raise ValueError(f"no {x}")
    if x == 501:
        os._exit(3)
    return None if x == 7 else x

if __name__ == "__main__":
    got = list(tranche.map(f, range(1000), bad_rows=12, jobs=2))
    bad = {i: y for i, y in enumerate(got) if isinstance(y, tranche.Error)}
    print(len(got), [i for i, y in enumerate(got) if i not in bad and y != (None if i == 7 else i)])
    print(list(bad), [y.index for y in bad.values()] == [y.item for y in bad.values()] == list(bad))
    print(bad[5])
    print(len([y for y in bad.values() if "told why" in str(y)]))
    equal = list(tranche.map(f, [1, 5, 1, 5, 5, "a" * 200], bad_rows="100%"))
    print([y if not isinstance(y, tranche.Error) else y.index for y in equal[:5]], str(equal[5])[:109])
    try:
        for y in tranche.map(f, range(1000), bad_rows=3):
            pass
    except tranche.Error as e:
        print(len(str(e).splitlines()), str(e).splitlines()[0])
"""


@scenario("python", "exec")
def items_that_are_rejected_keep_their_places(t):
    t.write("some.py", SOME_FAIL)
    bad = sorted([*range(5, 1000, 97), 501])
    t.equal(["1000 []", f"{bad} True", "item 5 (value 5): some.py:5: ValueError: no 5", "2",
             f"[1, 1, 1, 3, 4] item 5 (value \"{'a' * 76}...): some.py:4: T",
             "10 item 5 (value 5): some.py:5: ValueError: no 5"], python(t, "some.py").splitlines(), "what is yielded")
    t.leaves_nothing()


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
    r = subprocess.run([PYTHON, "bare.py"], cwd=t.dir, env=env, capture_output=True, text=True, timeout=240)
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
    r = subprocess.run([PYTHON, "slow.py"], cwd=t.dir, env=env, capture_output=True, text=True, timeout=240)
    t.equal("20\n", r.stdout, r.stderr)


# ---- what joblib's users look for ----

def python(t, *argv, want=0):
    env = t.env(PYTHONPATH=os.path.join(ROOT, "examples", "python"), TRANCHE=t.tranche)
    r = subprocess.run([PYTHON, *argv], cwd=t.dir, env=env, capture_output=True, text=True, timeout=240)
    if r.returncode != want:
        raise Failed(f"{argv}: wanted {want}, got {r.returncode}\n{r.stdout}\n{r.stderr}")
    return r.stdout


def side_by_side():
    """(which side, the script), as the page on Python has them."""
    with open(os.path.join(ROOT, "docs", "PYTHON.md")) as f:
        return re.findall(r"```python\n# with (\w+)\n(.*?)```", f.read(), re.S)


@scenario("python", "exec")
def both_sides_of_the_page_on_python_give_the_same(t):
    sides = side_by_side()
    t.equal(["joblib", "tranche"] * 2, [side for side, _ in sides], "the scripts of the page")
    known = subprocess.run([PYTHON, "-c", "import joblib"], capture_output=True).returncode == 0
    for i, (side, text) in enumerate(sides):
        if side == "joblib" and not known:  # not on this host: the other side has to give it all the same
            continue
        t.write(f"side{i}.py", text)
        for turn in ("first", "second")[:1 if side == "joblib" else 2]:
            t.equal("[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]\n", python(t, f"side{i}.py"), f"the {turn} run of\n{text}")


REMEMBERS = """import sys
import tranche

FACTOR = 3
UNUSED = 1

class Shape:
    def times(self, x):
        return scaled(x)

def scaled(x):
    return FACTOR * x

def slow(x):
    if x == "bad":
        raise ValueError("no such thing")
    with open("calls", "a") as f:
        f.write(".")
    return {"is": Shape().times(x)}

if __name__ == "__main__":
    items = eval(sys.argv[1])
    got = list(tranche.map(slow, items, cache=True, sandbox="none"))
    assert got == [{"is": scaled(x)} for x in items], got
"""


@scenario("python", "exec", "cache")
def a_function_is_called_once_for_each_item_until_it_is_changed(t):
    text = REMEMBERS

    def calls(items="range(20)"):
        t.write("calls", "")
        t.write("slow.py", text)
        python(t, "slow.py", items)
        return os.path.getsize(t.path("calls"))

    t.equal(20, calls(), "calls of the first run")
    t.equal(0, calls(), "calls of the second")
    t.equal(2, calls("[100, *range(20), 101]"), "two items more, around the others")
    text = REMEMBERS.replace("UNUSED = 1", "UNUSED = 2")
    t.equal(0, calls(), "what the function does not use was changed")
    for old, new, what in (("FACTOR = 3", "FACTOR = 4", "a constant"),
                           ("FACTOR * x", "x * FACTOR", "a function that a class uses"),
                           ("return scaled(x)", "return scaled(x) + 0", "a method"),
                           ('{"is"', '{ "is"', "the function itself")):
        t.true(old in REMEMBERS, f"{old!r} stands in the script")
        text = REMEMBERS.replace(old, new)
        t.equal(20, calls(), f"{what} was changed")
        t.equal(0, calls(), f"{what} was changed, the second time")
    text = REMEMBERS
    t.equal(0, calls(), "as it was")
    t.equal(["calls", "slow.py", ".tranche", "tmp"], sorted(os.listdir(t.dir), key="calls slow.py .tranche tmp".split().index),
            "files")
    t.leaves_nothing()


USES = """import datetime, functools, re, sys, threading
import tranche

PAIRS = {("a", "b"): 1}
KEYS = {1: "x"}
DAY = datetime.date(2020, 1, 1)
NAMES = {"c", "d", "e", "f"}
WORD = re.compile("w+")
LIMIT = 10
LOCK = threading.Lock()

def within(x):
    return x + 0

class Base:
    def base(self):
        return 1

class Shape(Base):
    @staticmethod
    def fixed(x):
        return helped(x)

def helped(x):
    return 5 * x

@functools.lru_cache
def kept(x, most=LIMIT):
    return within(x)

def f(x):
    with LOCK:
        return PAIRS, KEYS, DAY, NAMES, WORD, kept(x), Shape.fixed(x)

print(tranche._code(f))
"""


@scenario("python")
def whatever_a_function_uses_of_its_file_makes_it_another_one(t):
    def code(old="", new=""):
        t.true(old in USES, f"{old!r} stands in the script")
        t.write("uses.py", USES.replace(old, new))
        return python(t, "uses.py")

    before = code()
    for _ in range(2):
        t.equal(before, code(), "its code, unchanged, in another process")
    for old, new in (('"b"): 1', '"b"): 2'), ('{1: "x"}', '{"1": "x"}'), ("2020, 1, 1", "2021, 1, 1"), ('"f"}', '"g"}'),
                     ('"w+"', '"v+"'), ("LIMIT = 10", "LIMIT = 11"), ("x + 0", "0 + x"), ("return 1", "return 2"),
                     ("5 * x", "6 * x")):
        t.true(code(old, new) != before, f"{old!r} became {new!r}")


@scenario("python", "exec")
def a_function_that_was_changed_is_another_load(t):
    t.write("in.csv", "id\n1\n2\n")

    def rows(factor, mode):
        t.write("f.py", "import json, tranche\ndef f(row):\n    return {'v': row['id'] * %d}\n"
                "if __name__ == '__main__':\n    print(json.dumps([r['v'] for r in tranche.map(f, csv='in.csv', "
                "into='sqlite:wh.db', table='%s', mode='%s')]))\n" % (factor, mode, mode))
        return json.loads(python(t, "f.py"))

    t.equal([10, 20], rows(10, "replace"), "rows")
    t.equal([30, 60], rows(30, "replace"), "rows of the new function in place of the old")
    t.equal([10, 20], rows(10, "append"), "rows")
    t.equal([10, 20], rows(10, "append"), "loaded once")
    t.equal([10, 20, 30, 60], rows(30, "append"), "rows of both")


@scenario("python", "exec")
def a_script_that_stops_in_the_middle_leaves_nothing(t):
    t.write("some.py", "import sys, tranche\ndef f(x):\n    return x\nif __name__ == '__main__':\n"
            "    it = tranche.map(f, range(5000), batch_rows=10)\n    print(next(it), next(it))\n    eval(sys.argv[1])\n")
    for end, want in (("None", 0), ("sys.exit(5)", 5), ("1 / 0", 1), ("it.close()", 0)):
        t.equal("0 1\n", python(t, "some.py", end, want=want), end)
        t.wait_until(lambda: not os.listdir(t.path("tmp")), "the temporary folder is empty")
    t.equal(["some.py", "tmp"], sorted(os.listdir(t.dir)), "nothing else stands in the folder")


@scenario("python", "exec")
def what_cannot_be_found_by_its_name_is_refused(t):
    t.write("no.py", """import functools, math, tranche
class C:
    def method(self, x):
        return x
    def __call__(self, x):
        return x
def outer():
    def inner(x):
        return x
    return inner
def f(x):
    return x
if __name__ == "__main__":
    for g in (lambda x: x, outer(), C().method, C(), functools.partial(f)):
        try:
            tranche.map(g, [1])
        except ValueError as e:
            print(str(e).split(": ")[0], "needs a function at the top level of a file" in str(e))
    print(list(tranche.map(math.sqrt, [4, 9])), list(tranche.map(f, [])))
""")
    t.equal("<lambda> True\nouter.<locals>.inner True\nC.method True\n<C> True\n<partial> True\n[2.0, 3.0] []\n",
            python(t, "no.py"), "what is said")
    t.leaves_nothing()


DATES = """import csv, sys
from datetime import datetime
import tranche

def date(row):
    return {"n": row["n"], "d": str(datetime.strptime(row["d"], "%d.%m.%Y").date())}

if "TRANCHE_FORMAT" in __import__("os").environ and sys.argv[1:] == ["plain"]:
    w = csv.DictWriter(sys.stdout, ["n", "d"])
    w.writeheader()
    w.writerows(date(row) for row in csv.DictReader(sys.stdin))
else:
    @tranche.transform
    def dates(rows):
        for row in rows:
            yield date(row)
"""


@scenario("python", "exec", "report")
def an_exception_is_a_reason_of_one_line_with_the_place_in_the_users_file(t):
    t.write("dates.py", DATES)
    t.write("in.csv", "n,d\n" + "".join(f"{i},{'unbekannt' if i in (3, 13) else '01.02.2024'}\n" for i in range(20)))
    why = "dates.py:6: ValueError: time data 'unbekannt' does not match format '%d.%m.%Y'"
    helper = os.path.join(ROOT, "examples", "python")
    for how, command, flags in (("plain", "dates.py plain", []), ("helper", "dates.py", ["--persistent"])):
        r = t.run("run", "--csv", "in.csv", "--exec", f"{PYTHON} {command}", "--env", f"PYTHONPATH={helper}", *flags, "--batch-rows",
                  "10", "-j", "1", "--into", f"sqlite:{how}.db", "--table", "t", "--bad-rows", "9", want=3)
        t.equal([(why, 2)], t.rows(f"{how}.db", "SELECT reason, count(*) FROM t_rejects GROUP BY 1"), "reasons")
        failed = [x for x in r.err.splitlines() if " failed after " in x]
        t.true(failed and re.match("in.csv lines [0-9]+-[0-9]+: .*ValueError", failed[0]), r.err)
        t.equal(["in.csv line 15", "in.csv line 5"], sorted(x.split(": ")[0] for x in failed[1:]), "a line for the place, and one for each row")
        report = t.run("report", "last", "--output", "json").json
        t.equal([{"reason": "dates.py:6: ValueError", "rows": 2}], report["rejects"], "reasons that are counted together")
        told = t.run("report", "last").out
        t.true(len([x for x in told.splitlines() if "  chunk " in x and ": attempt " in x]) == 2 and "only halved on the way" in told, told)
