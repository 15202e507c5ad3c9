"""Pipelines: steps in their order, side by side, skipped when nothing has changed, and what a failure leaves."""

import os
import signal

from kit import dies_at_commit, scenario

CHAIN = """
name: sales
steps:
  - name: raw
    source: {csv: 'in-*.csv', types: {v: integer}}
    load: {into: sqlite:wh.db, table: raw, mode: replace}
    limits: {bad_rows: 1}
  - name: totals
    needs: raw
    source: {sqlite: wh.db, query: 'SELECT g, sum(v) AS v FROM raw GROUP BY g ORDER BY g'}
    load: {into: sqlite:wh.db, table: totals, mode: replace}
  - name: out
    needs: [totals]
    source: {sqlite: wh.db, sqlite_table: totals}
    transform: {sql: 'SELECT g, v * 2 AS v FROM batch'}
    load: {into: csv:out.csv, mode: replace}
  - name: other
    source: {range: 50}
    load: {into: jsonl:other.jsonl, mode: replace}
"""


def make(t):
    t.write("in-1.csv", "g,v\n" + "".join(f"{i % 3},{i}\n" for i in range(300)))
    t.write("p.yaml", CHAIN)


def steps(done):
    return {s["step"]: s for s in done.json["steps"]}


def states(done):
    return {name: s["status"] for name, s in steps(done).items()}


def run(t, *args, want=0):
    return t.run("run", "p.yaml", "--output", "json", *args, want=want)


@scenario("pipelines", "smoke")
def steps_run_in_their_order_and_not_again_when_nothing_has_changed(t):
    make(t)
    r = run(t)
    t.equal({"raw": "loaded", "totals": "loaded", "out": "loaded", "other": "loaded"}, states(r), "steps")
    t.equal(300 + 3 + 3 + 50, r.json["rows_loaded"], "rows of all steps")
    with open(t.path("out.csv")) as f:
        t.equal("g,v\n0,29700\n1,29900\n2,30100\n", f.read(), "out.csv")
    r = run(t)
    t.equal({"skipped"}, set(states(r).values()), "steps of the second run")
    again = t.run("run", "p.yaml")
    t.equal(len(states(r)), (again.out + again.err).count("nothing has changed since"), "each is told once")
    t.equal(0, r.json["rows_read"], "rows read")
    for s in steps(r).values():
        t.true("nothing has changed since" in s["reason"], s)
    t.intact("wh.db")
    t.leaves_nothing()


@scenario("pipelines")
def each_change_is_named_and_runs_what_it_concerns(t):
    make(t)
    run(t)

    def change(what, ran, step, reason, *args):
        what()
        r = run(t, *args)
        t.equal(ran, {n for n, s in states(r).items() if s == "loaded"}, f"steps that ran: {reason}")
        t.true(reason in steps(r)[step]["reason"], f"{reason}: {steps(r)[step]}")

    change(lambda: t.write("in-2.csv", "g,v\n1,1000\n"), {"raw", "totals", "out"}, "raw",
           "the file in-2.csv is new")
    t.equal([("0", 14850), ("1", 15950), ("2", 15050)],
            [(str(g), v) for g, v in t.rows("wh.db", "SELECT g, v FROM totals ORDER BY g")], "totals")
    change(lambda: os.unlink(t.path("in-2.csv")), {"raw", "totals", "out"}, "raw", "the file in-2.csv is gone")
    change(lambda: t.write("in-1.csv", "g,v\n7,1\n"), {"raw", "totals", "out"}, "raw",
           "the file in-1.csv has changed")
    change(lambda: t.write("p.yaml", CHAIN.replace("v * 2", "v * 3")), {"out"}, "out", "its spec has changed")
    change(lambda: os.unlink(t.path("out.csv")), {"out"}, "out", "out.csv is gone")
    change(lambda: t.write("other.jsonl", ""), {"other"}, "other", "other.jsonl has changed")
    # Somebody else writes to the table that a step reads.
    change(lambda: t.execute("wh.db", "INSERT INTO raw VALUES(8, 8)"), {"totals", "out"}, "totals",
           "what it reads of wh.db has changed")
    change(lambda: t.execute("wh.db", "DROP TABLE totals"), {"totals", "out"}, "totals",
           "the table totals of sqlite:wh.db is gone")
    change(lambda: None, {"out"}, "out", "--from", "--from", "out")
    change(lambda: None, {"raw", "totals", "out", "other"}, "other", "--fresh", "--fresh")
    t.equal({"skipped"}, set(states(run(t)).values()), "steps of the last run")


@scenario("pipelines")
def a_program_or_a_param_that_changes_runs_its_step_again(t):
    t.write("twice.py", "import sys\nprint(sys.stdin.readline().strip())\nfor l in sys.stdin: print(int(l) * 2)\n")
    t.execute("wh.db", "CREATE TABLE settings AS SELECT 5 AS least")
    t.write("p.yaml", "steps:\n"
            "  - name: a\n"
            "    source: {range: 10}\n"
            "    params: {least: {sql: SELECT least FROM settings}}\n"
            "    transform: [{sql: 'SELECT i FROM batch WHERE i >= :least'}, {exec: [python3, twice.py]}]\n"
            "    load: {into: sqlite:wh.db, table: a, mode: replace}\n")
    t.equal({"a": "loaded"}, states(run(t)), "first")
    t.equal({"a": "skipped"}, states(run(t)), "second")
    with open(t.path("twice.py"), "a") as f:
        f.write("# changed\n")
    r = run(t)
    t.true("twice.py has changed" in steps(r)["a"]["reason"], steps(r))
    t.execute("wh.db", "UPDATE settings SET least = 8")
    r = run(t)
    t.true("the value of params.least has changed" in steps(r)["a"]["reason"], steps(r))
    t.equal([(16,), (18,)], t.rows("wh.db", "SELECT i FROM a ORDER BY 1"), "rows")


@scenario("pipelines")
def steps_that_need_nothing_of_each_other_run_at_the_same_time(t):
    # Each waits for the other to have begun: one after the other would time out.
    t.write("meet.py", "import sys, time\n"
            "mine, other = sys.argv[1:]\n"
            "open(mine, 'w').close()\n"
            "import os\n"
            "while not os.path.exists(other): time.sleep(0.01)\n"
            "sys.stdout.write(sys.stdin.read())\n")
    text = "steps:\n"
    for mine, other in ("ab", "ba"):
        text += (f"  - name: {mine}\n    source: {{range: 3}}\n"
                 f"    transform: {{exec: [python3, meet.py, {t.path(mine)}, {t.path(other)}], sandbox: none}}\n"
                 f"    load: {{into: 'sqlite:{mine}.db'}}\n    limits: {{timeout: 200s, retries: 0}}\n")
    t.write("p.yaml", text)
    # Their columns are learned from a sample, which meets already.
    t.equal({"a": "loaded", "b": "loaded"}, states(run(t)), "steps")


@scenario("pipelines")
def a_failure_stops_what_needs_it_and_nothing_else(t):
    make(t)
    t.write("in-1.csv", "g,v\n1,x\n1,y\n1,3\n")  # two bad rows, one is allowed
    r = run(t, want=4)
    t.equal({"raw": "limit passed", "totals": "not run", "out": "not run", "other": "loaded"}, states(r), "steps")
    t.equal("totals", steps(r)["out"]["reason"], "what it needs")
    t.equal("limit passed", r.json["status"], "status")
    t.write("in-1.csv", "g,v\n1,x\n1,3\n")
    r = run(t, want=3)
    t.equal({"raw": "loaded with rejects", "totals": "loaded", "out": "loaded", "other": "skipped"}, states(r), "steps")
    t.equal([(1, 3)], t.rows("wh.db", "SELECT g, v FROM totals"), "rows")


@scenario("pipelines")
def what_a_step_changed_is_not_forgotten_when_the_next_one_fails(t):
    # What b's program finds for itself is no input of b: only `needs` tells.
    t.write("look.py", f"import sys\nassert not open({t.path('stop')!r}).read()\n"
            f"n = len(open({t.path('a.csv')!r}).readlines()) - 1\nsys.stdin.read()\nprint('n')\nprint(n)\n")
    t.write("p.yaml", "steps:\n"
            "  - {name: a, source: {csv: in.csv}, load: {into: 'csv:a.csv', mode: append}}\n"
            "  - name: b\n    needs: a\n    source: {range: 1}\n"
            "    transform: {exec: [python3, look.py], sandbox: none}\n"
            "    load: {into: 'sqlite:b.db', mode: replace}\n    limits: {retries: 0}\n")
    t.write("in.csv", "id\n1\n2\n")
    t.write("stop", "")
    t.equal({"a": "loaded", "b": "loaded"}, states(run(t)), "first")
    with open(t.path("in.csv"), "a") as f:
        f.write("3\n")
    t.write("stop", "x")
    t.equal({"a": "loaded", "b": "failed"}, states(run(t, want=None)), "b fails after a has loaded a row")
    t.write("stop", "")
    r = run(t)
    t.equal({"a": "skipped", "b": "loaded"}, states(r), "b runs although nothing of this run has changed")
    t.equal([(3,)], t.rows("b.db", "SELECT n FROM b"), "what b found")
    t.equal({"a": "skipped", "b": "skipped"}, states(run(t)), "last")


@scenario("pipelines")
def a_step_that_died_when_its_load_was_done_still_changed_it(t):
    make(t)
    run(t)
    t.write("in-1.csv", "g,v\n1,5\n")
    r = t.finish(t.start("run", "p.yaml", "--output", "json", env={"TRANCHE_CRASH_AT": "step-ended"}))
    t.equal("failed", states(r)["raw"], "raw dies after its run and before that is noted")
    t.equal({"raw": "loaded", "totals": "loaded", "out": "loaded", "other": "skipped"}, states(run(t)), "steps")
    t.equal([(1, 5)], t.rows("wh.db", "SELECT g, v FROM totals"), "totals")


SLOW = """
steps:
  - name: first
    source: {range: 1000}
    batch: {rows: 1000}
    load: {into: sqlite:wh.db, table: first}
  - name: slow
    needs: first
    source: {csv: k.csv}
    batch: {bytes: 128KiB}
    load: {into: sqlite:wh.db, table: k}
  - name: last
    needs: slow
    source: {sqlite: wh.db, query: 'SELECT count(*) AS n, sum(id) AS s FROM k'}
    load: {into: 'csv:last.csv'}
"""


def slow(t, rows=60000):
    t.write("p.yaml", SLOW)
    t.write("k.csv", "id,text\n" + "".join(f"{i},row {i}\n" for i in range(rows)))
    return rows


def exact(t, rows):
    with open(t.path("last.csv")) as f:
        t.equal(f"n,s\n{rows},{rows * (rows - 1) // 2}\n", f.read(), "last.csv")
    t.equal([(rows, rows)], t.rows("wh.db", "SELECT count(*), count(DISTINCT id) FROM k"), "rows")
    t.intact("wh.db")


@scenario("pipelines")
def a_pipeline_that_is_killed_goes_on_in_the_middle_of_a_step(t):
    rows = slow(t, 300000)
    p = t.start("run", "p.yaml", "--output", "json", env=dies_at_commit(3))
    r = t.finish(p)  # the step's process dies there: `first` has one batch, `slow` four commits at least
    t.equal({"first": "loaded", "slow": "failed", "last": "not run"}, states(r), "steps")
    t.says(r, "slow: its process ended by Killed; the same command goes on")
    r = run(t)
    t.equal({"first": "skipped", "slow": "loaded", "last": "loaded"}, states(r), "steps after that")
    t.true(0 < steps(r)["slow"]["rows_loaded"] < rows, f"only the rest was loaded: {steps(r)['slow']}")
    exact(t, rows)


@scenario("pipelines")
def the_whole_pipeline_is_killed_at_random_moments(t):
    rows = slow(t, 20000)
    for _ in range(12):
        p = t.start("run", "p.yaml", "--output", "json")
        try:
            p.wait(t.random.uniform(0.0, 0.5))
        except Exception:
            pass
        p.kill()  # its steps die with it
        p.communicate()
    r = run(t)
    t.equal(0, r.code, "exit code")
    exact(t, rows)


@scenario("pipelines")
def an_interrupted_pipeline_says_so_and_goes_on(t):
    slow(t)
    t.write("wait.py", "import sys, time\nsys.stderr.write('waiting\\n')\n"
            f"import os\nopen({t.path('begun')!r}, 'w').close()\n"
            f"while not os.path.exists({t.path('go')!r}): time.sleep(0.01)\nsys.stdout.write(sys.stdin.read())\n")
    t.write("p.yaml", "steps:\n"
            "  - name: a\n    source: {range: 3}\n    load: {into: 'sqlite:a.db'}\n"
            "  - name: b\n    needs: a\n    source: {range: 3}\n"
            "    transform: {exec: [python3, wait.py], sandbox: none}\n    load: {into: 'sqlite:b.db'}\n"
            "  - name: c\n    needs: b\n    source: {range: 3}\n    load: {into: 'sqlite:c.db'}\n")
    p = t.start("run", "p.yaml", "--output", "json")
    t.wait_until(lambda: os.path.exists(t.path("begun")), "the second step works")
    p.send_signal(signal.SIGTERM)
    r = t.finish(p)
    t.equal(130, r.code, "exit code")
    t.equal({"a": "loaded", "b": "interrupted", "c": "not run"}, states(r), "steps")
    t.write("go", "")
    t.equal({"a": "skipped", "b": "loaded", "c": "loaded"}, states(run(t)), "steps after that")


@scenario("pipelines")
def what_cannot_be_skipped_says_why(t):
    t.write("p.yaml", "steps:\n"
            "  - {name: nothing, source: {range: 3}, load: {into: 'null:'}}\n"
            "  - {name: shown, source: {range: 3}, load: {into: 'stdout:'}}\n")
    for _ in range(2):
        r = t.run("run", "p.yaml")
        t.equal("i\n0\n1\n2\n", r.out, "standard output has the rows alone")
        t.says(r, "nothing: runs: its rows are kept nowhere", "shown: runs: its rows go to standard output",
               "pipeline p: 2 steps")


@scenario("pipelines")
def an_incremental_step_that_finds_nothing_new_changes_nothing(t):
    t.execute("s.db", "CREATE TABLE s AS SELECT 1 AS d, 10 AS v UNION ALL SELECT 2, 20")
    t.write("p.yaml", "steps:\n"
            "  - name: new\n    source: {sqlite: s.db, query: 'SELECT d, v FROM s WHERE d > :watermark'}\n"
            "    load: {into: 'sqlite:wh.db', mode: incremental, watermark: d}\n"
            "  - name: after\n    needs: new\n    source: {range: 3}\n    load: {into: 'csv:after.csv', mode: replace}\n")
    t.equal({"new": "loaded", "after": "loaded"}, states(run(t)), "first")
    for _ in range(2):
        t.equal({"new": "loaded", "after": "skipped"}, states(run(t)), "nothing is new")
    t.execute("s.db", "INSERT INTO s VALUES(3, 30)")
    t.equal({"new": "loaded", "after": "loaded"}, states(run(t)), "a row is new")
    t.equal({"new": "loaded", "after": "skipped"}, states(run(t)), "nothing is new once more")
    t.execute("s.db", "DELETE FROM s")
    t.equal({"new": "loaded", "after": "loaded"}, states(run(t, "--fresh")), "all rows were taken back")
    t.equal(0, t.one("wh.db", "SELECT count(*) FROM new"), "rows")


@scenario("pipelines")
def mistakes_about_pipelines_are_told(t):
    make(t)
    for args, says in (
        (("--from", "totasl"), "--from: no step is called 'totasl'; did you mean 'totals'?"),
        (("--from", "x"), "--from: no step is called 'x'"),
        (("--into", "null:"), "--into is about one job; in a pipeline it stands in the step"),
        (("--sql", "SELECT 1"), "a pipeline's transforms stand in its steps, not in flags"),
        (("-j", "x"), "--workers: 'x' is no count"),
    ):
        r = t.run("run", "p.yaml", *args, want=2)
        t.equal(1, r.err.count(says), f"{says}, once, in {r.err}")
    t.says(t.run("run", "--range", "3", "--into", "null:", "--from", "x", want=2),
           "--from is about the steps of a pipeline, and this is one job")
    t.write("c.yaml", "steps:\n  - {name: a, needs: b, source: {range: 1}, load: {into: 'null:'}}\n"
            "  - {name: b, needs: a, source: {range: 1}, load: {into: 'null:'}}\n")
    t.says(t.run("check", "c.yaml", want=2), "c.yaml:2:1: needs: a circle, so none of them can begin: a needs b needs a")
    r = t.run("check", "p.yaml")
    t.says(r, "raw: ok, 1 input", "totals: ok as it is written; its input and transforms are tried when raw has run")
    t.true(not os.path.exists(t.path("wh.db")), "check loads nothing")


@scenario("pipelines")
def a_job_or_a_pipeline_may_come_through_a_pipe(t):
    os.mkfifo(t.path("job"))
    for text, says in (("source: {range: 3}\nload: {into: 'null:'}\n", "job: ok, 1 input"),
                       ("steps:\n  - {name: a, source: {range: 3}, load: {into: 'null:'}}\n", "a: ok, 1 input")):
        p = t.start("check", "job")
        with open(t.path("job"), "w") as f:  # waits until it is opened
            f.write(text)
        done = t.finish(p, timeout=240)
        t.equal(0, done.code, done)
        t.says(done, says)


@scenario("pipelines")
def a_param_with_a_function_of_ours_is_compared_too(t):
    t.execute("wh.db", "CREATE TABLE s AS SELECT 1 AS x UNION ALL SELECT 5")
    t.write("p.yaml", "steps:\n  - name: a\n    source: {range: 3}\n    params: {m: {sql: SELECT median(x) FROM s}}\n"
            "    transform: {sql: 'SELECT i, :m AS m FROM batch'}\n    load: {into: sqlite:wh.db, table: a, mode: replace}\n")
    t.equal({"a": "loaded"}, states(run(t)), "first")
    t.equal({"a": "skipped"}, states(run(t)), "second")
    # Another job makes the same table anew, with other rows.
    t.run("run", "--range", "2", "--sql", "SELECT i, 0.5 AS m FROM batch", "--into", "sqlite:wh.db", "--table", "a",
          "--mode", "replace")
    t.equal({"a": "loaded"}, states(run(t)), "third")
    t.equal(3, t.one("wh.db", "SELECT count(*) FROM a"), "rows")


@scenario("pipelines")
def a_warehouse_can_be_read_and_loaded_into(t):
    t.execute("wh.db", "CREATE TABLE sales AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
              "WHERE i < 50000) SELECT i, 'row ' || i AS text FROM n")
    for journal in ("delete", "wal"):
        t.execute("wh.db", f"PRAGMA journal_mode={journal}")
        r = t.run("run", "--sqlite", "wh.db", "--sqlite-table", "sales", "--into", "sqlite:wh.db", "--table",
                  f"copy_{journal}", "--batch-bytes", "64KiB")
        t.says(r, "wh.db is loaded into, too: its rows are put into a temporary file first")
        t.equal([], t.rows("wh.db", f"SELECT * FROM sales EXCEPT SELECT * FROM copy_{journal}"), "rows that miss")
        t.equal(50000, t.one("wh.db", f"SELECT count(*) FROM copy_{journal}"), "rows")
    t.leaves_nothing()
