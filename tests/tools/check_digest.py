#!/usr/bin/env python3
"""check_digest - whether ./check says again, and in bounds, what every kind of log says of a failure."""

import importlib.machinery
import importlib.util
import os
import sys

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "digest")
loader = importlib.machinery.SourceFileLoader("digest", PATH)
sys.dont_write_bytecode = True
d = importlib.util.module_from_spec(importlib.util.spec_from_loader("digest", loader))
loader.exec_module(d)
wrong = []


def expect(what, want, got):
    if want != got:
        wrong.append(f"{what}: wanted {want!r}, got {got!r}")


def named(again):
    return [line for line in again if line.startswith("FAILED: ")]


SCENARIOS = """4 scenarios, SEED=7, build/dev
ok      rows_are_there (0.4 s)
FAILED  rows_are_gone in /tmp/x
again: SEED=7 tests/cluster/run.py --build build/dev rows_are_gone
wanted 1
ok      is what the program said
2 passed, 0 failed is too
skipped nobody_is_root: it needs root
ok      rows_are_still_there (2.5 s)
2 passed, 1 failed
"""
shown, again = d.digest("scenarios", "cluster dev", SCENARIOS)
expect("a failure is named", ["FAILED: cluster dev: rows_are_gone"], named(again))
expect("its text is whole", True, "    2 passed, 0 failed is too" in again and "    wanted 1" in again)
expect("its text is all", 6, len(again))
expect("what is skipped is shown", True, "skipped nobody_is_root: it needs root" in shown)
expect("what passed is one line", "2 ok; the longest: rows_are_still_there 2.5 s, rows_are_there 0.4 s", shown[-1])

long = SCENARIOS.replace("wanted 1\n", "a line\n" * 500 + "x" * 5000 + "\n")
_, again = d.digest("scenarios", "cluster dev", long)
expect("a long text is cut", 1 + 40, len(again))
expect("and says so", 1, sum("lines ...]" in line for line in again))
expect("a long line is cut", True, max(map(len, again)) < 600)

for what, text in (("a runner that was killed", SCENARIOS[:100]), ("one that counts another number",
                   SCENARIOS.replace("2 passed, 1 failed", "2 passed, 2 failed")), ("one that says nothing", "")):
    _, again = d.digest("scenarios", "net 0", text)
    expect(what, "FAILED: net 0: it did not end as it should", (named(again) or [""])[-1])

CTEST = """Internal ctest changing into directory: /x
      Start   1: unit.test_a
      Start   2: unit.test_b
  1/300 Test   #1: unit.test_a ...................   Passed    0.31 sec
100/300 Test #100: unit.test_b ...................***Failed    0.02 sec
[==========] Running 2 test(s).
[ RUN      ] good
[       OK ] good
[ RUN      ] bad
[  ERROR   ] --- 1 != 2
[  FAILED  ] bad

      Start   3: unit.test_c
3/300 Test   #3: unit.test_c ...................Subprocess aborted***Exception:   0.02 sec
  4/300 Test   #4: unit.test_d ...................***Timeout 300.01 sec

50% tests passed, 3 tests failed out of 4
"""
shown, again = d.digest("ctest", "dev", CTEST)
expect("each is named", [f"FAILED: dev: unit.test_{x}" for x in "bcd"], named(again))
expect("what failed in it is there", True, "    [  ERROR   ] --- 1 != 2" in again)
expect("what was good in it is not", False, any("good" in line for line in again))
expect("what passed", "1 ok; the longest: unit.test_a 0.3 s", shown[-1])

shown, again = d.digest("model", "model", """ok   a worker is killed (DEATHS=1): 12 states
ok   1: ranges may overlap (CLEAN ZOMBIE=1): 12405 states, found: assertion violated
FAIL it ends (LIVENESS): 3 states
pan: out of memory
2 passed, 1 failed
""")
expect("what the model cannot do", ["FAILED: model: it ends", "    FAIL it ends (LIVENESS): 3 states",
       "    pan: out of memory"], again)
expect("what it can", "2 ok", shown[-1])

_, again = d.digest("text", "build dev", "a line\n" * 100 + "error: x\n")
expect("of a build its end", ("FAILED: build dev", "    error: x", 40), (again[0], again[-1], len(again)))

print("\n".join(wrong) or "ok")
sys.exit(1 if wrong else 0)
