"""tranche plan: tries a job, foretells its run, writes its file, and touches nothing."""

import gzip
import hashlib
import json
import os
import sqlite3

from kit import scenario


def plan(t, *args, want=0):
    return t.run("plan", *args, "--output", "json", want=want).json


def mixed(t, rows=3000):
    lines = ["id,delay,code,day"]
    for i in range(rows):
        delay = "" if i % 300 == 7 else i % 1240 - 37
        lines.append(f"{i},{delay},{'00501' if i == 1500 else i},2020-01-{i % 28 + 1:02d}")
    t.write("in.csv", "\n".join(lines) + "\n")


def column(p, name):
    return next(c for c in p["columns"] if c["name"] == name)


def foretells(t, p, rows):
    t.equal(rows, p["rows"], "rows")
    t.true(p["seconds"] > 0 and set(p["seconds_by_workers"]) == {"1", "4", "16"}, "wall times")
    t.true(p["output_bytes"] > 0 and p["coordinator_memory"] > 0 and p["worker_memory"] > 0, "sizes")


@scenario("plan", "smoke")
def each_type_is_told_with_its_evidence(t):
    mixed(t)
    p = plan(t, "--csv", "in.csv")
    foretells(t, p, 3000)
    t.equal("in all 2,990 sampled values, -37 .. 1202, 10 empty", column(p, "delay")["evidence"], "evidence of delay")
    t.equal(["integer", "integer", "text", "date"], [c["type"] for c in p["columns"]], "types")
    t.true("'00501' does not round-trip as integer (in.csv, line 1502)" in column(p, "code")["evidence"], p["columns"])
    t.true("2020-01-01 .. 2020-01-28" in column(p, "day")["evidence"], p["columns"])
    t.says(t.run("plan", "--csv", "in.csv"), "wall time    1: ", "held up by", "memory")


@scenario("plan")
def nothing_is_written_but_the_prediction(t):
    mixed(t)
    t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t")
    with open(t.path("wh.db"), "rb") as f:
        before = hashlib.sha256(f.read()).digest()
    plan(t, "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t", "--mode", "replace")
    plan(t, "--csv", "in.csv", "--into", "csv:new/out.csv")
    with open(t.path("wh.db"), "rb") as f:
        t.equal(before, hashlib.sha256(f.read()).digest(), "the warehouse")
    t.equal(["in.csv", "wh.db"], sorted(f for f in os.listdir(t.path()) if f.startswith(("in", "wh", "new", "out"))),
            "files")
    db = sqlite3.connect(t.path(".tranche", "runs.db"))
    t.equal([(1,)], db.execute("SELECT count(*) FROM runs").fetchall(), "runs in the history")
    t.equal([(2, 3000)], db.execute("SELECT count(*), max(rows_read) FROM plans").fetchall(), "plans in the history")
    db.close()


@scenario("plan")
def the_job_file_that_is_written_runs_as_it_is(t):
    mixed(t)
    p = plan(t, "--csv", "in.csv", "--sql", "SELECT id, delay * 2 AS d\nFROM batch WHERE delay > :m", "--param",
             "m=SELECT 100", "--index", "d", "--into", "sqlite:wh.db", "--table", "late", "--write", "late.yaml")
    t.equal("late.yaml", p["written"], "what was written")
    t.run("check", "late.yaml")
    t.run("run", "late.yaml")
    t.equal([(sum(1 for i in range(3000) if i % 300 != 7 and i % 1240 - 37 > 100),)],
            t.rows("wh.db", "SELECT count(*) FROM late"), "rows")
    again = t.run("plan", "late.yaml", "--write", "late.yaml", want=2)
    t.says(again, "--write: late.yaml is there already; --force replaces it")
    t.run("plan", "late.yaml", "--write", "late.yaml", "--force")
    t.run("check", "late.yaml")
    t.true(not [f for f in os.listdir(t.path()) if f.startswith("late.yaml.")], "nothing is left beside it")


@scenario("plan")
def rejects_are_foretold_with_examples_from_all_of_the_input(t):
    rows = 40000
    with open(t.path("in.csv"), "w") as f:
        f.write("id,v,text\n")
        for i in range(rows):
            f.write(f"{i},{'x' if i % 1000 == 999 else i},{'long ' * 60}\n")
    p = plan(t, "--csv", "in.csv", "--type", "v=integer")
    t.true(abs(p["rows"] - rows) < rows / 100, p["rows"])
    t.true(10 <= p["rows_rejected"] <= 120, p["rows_rejected"])
    t.true(p["past_bad_rows"], "the limit is passed")
    t.equal(3, len(p["rejects"]), "examples")
    with open(t.path("in.csv")) as f:
        lines = f.read().split("\n")
    for r in p["rejects"]:
        t.true("'x' is not an integer" in r["reason"], r)
        line = int(r["where"].removeprefix("in.csv, line "))
        t.true(lines[line - 1].startswith(r["raw"][:20]), (r, lines[line - 1][:30]))


@scenario("plan")
def compressed_files_lines_of_json_and_queries_are_sampled(t):
    rows = 5000
    with gzip.open(t.path("in.csv.gz"), "wt") as f:
        f.write("id,v\n" + "".join(f"{i},{i * i}\n" for i in range(rows)))
    foretells(t, plan(t, "--csv", "in.csv.gz"), rows)
    t.write("in.jsonl", "".join(json.dumps({"id": i, "a": {"b": i / 2}}) + "\n" for i in range(rows)))
    for kind, more in (("--jsonl", "; --fields makes columns of members"), ("--lines", "")):
        t.equal([("line", "each line as it is" + more)],
                [(c["name"], c["evidence"]) for c in plan(t, kind, "in.jsonl")["columns"]], kind)
    p = plan(t, "--jsonl", "in.jsonl", "--fields", "id,a.b")
    foretells(t, p, rows)
    t.equal("real", column(p, "a.b")["type"], "type of a member")
    t.run("run", "--csv", "in.csv.gz", "--into", "sqlite:s.db", "--table", "s")
    foretells(t, plan(t, "--sqlite", "s.db", "--query", "SELECT * FROM s WHERE id % 2 = 0 ORDER BY id;"), rows // 2)
    foretells(t, plan(t, "--sqlite", "s.db", "--sqlite-table", "s"), rows)


@scenario("plan")
def programs_ranges_and_groups_are_tried(t):
    t.write("twice.py", "import sys\nprint(sys.stdin.readline().strip())\n"
            "for line in sys.stdin: print(int(line) * 2)\n")
    p = plan(t, "--range", "2000", "--exec", "python3 twice.py")
    foretells(t, p, 2000)
    p = plan(t, "--range", "100000", "--sql", "SELECT i % 7 AS k, i FROM batch", "--by", "k", "--compute", "n=count(*)")
    foretells(t, p, 100000)
    t.equal(["k", "n"], [c["name"] for c in p["output_columns"]], "columns of groups")


@scenario("plan")
def params_are_read_from_the_warehouse_and_nothing_else(t):
    t.execute("wh.db", "CREATE TABLE f(x)")
    t.execute("wh.db", "INSERT INTO f VALUES (10), (20), ('o''x')")
    job = ["--range", "100", "--param", "low=SELECT min(x) FROM f", "--param", "name=SELECT max(x) FROM f", "--sql",
           "SELECT i, :name AS n FROM batch WHERE i >= :low", "--into", "sqlite:wh.db", "--table", "t"]
    p = plan(t, *job)
    t.equal(90, round(p["rows"] * 0.9), "rows")
    t.says(t.run("plan", *job), "output       about 90 rows")


@scenario("plan")
def what_cannot_be_planned_is_said(t):
    t.write("in.csv", "a\n1\n")
    for args, sentence in (
        (["--csv", "-"], "standard input comes only once: give it a file"),
        (["--csv", "none.csv"], "none.csv"),
        (["--csv", "in.csv", "--force"], "--force is about --write"),
        (["--csv", "in.csv", "--write", "x.txt"], "--write: x.txt is no name of a job file"),
        (["--csv", "in.csv", "--write", "no/x.yaml"], "cannot create no/x.yaml"),
        (["--csv", "in.csv", "--sql", "SELECT b FROM batch"], "no such column: b"),
    ):
        r = t.run("plan", *args, want=1 if "cannot create" in sentence else 2)
        t.says(r, sentence)
    t.write("p.yaml", "steps:\n  - {name: a, source: {range: 1}, load: {into: 'null:'}}\n")
    t.says(t.run("plan", "p.yaml", want=2), "is a pipeline: plan takes one job")
    t.true(not os.path.exists(t.path("warehouse.db")), "no warehouse was made")


@scenario("plan")
def an_empty_input_has_a_plan(t):
    t.write("in.csv", "a,b\n")
    p = plan(t, "--csv", "in.csv")
    t.equal(0, p["rows"], "rows")
    t.true("no value among 0 sampled rows" in column(p, "a")["evidence"], p["columns"])


@scenario("plan")
def a_run_says_how_far_it_is_from_its_plan(t):
    mixed(t)
    job = ["--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t", "-j", "2"]
    p = plan(t, *job)
    done = t.run("run", *job, "--output", "json").json
    t.equal(round(p["seconds"], 4), done["planned_seconds"], "what was planned")
    t.says(t.run("report", "last"), "plan ", "was expected with 2 batches at a time")
    t.true("planned_seconds" not in t.run("run", *job, "--output", "json").json, "nothing was new")
    t.says(t.run("run", *job, "--fresh"), "planned: ", "with 2 workers; it took ")
    t.true("planned_seconds" not in t.run("run", *job, "--fresh", "-j", "1", "--output", "json").json, "other workers")
    t.true("planned_seconds" not in t.run("run", *job[:-3], "u", "--output", "json").json, "another job")
    plan(t, *job[:-3], "u")
    t.true("was expected" not in t.run("report", "last").out, "a later plan is no plan of it")


@scenario("plan")
def a_prediction_that_cannot_be_kept_is_still_told(t):
    mixed(t, 100)
    r = t.run("plan", "--csv", "in.csv", env={"TRANCHE_HOME": "/proc/none"})
    t.says(r, "the prediction is not kept for a report: ", "wall time")


@scenario("plan")
def without_a_place_for_trials_nothing_is_foretold(t):
    mixed(t, 100)
    r = t.run("plan", "--csv", "in.csv", env={"TMPDIR": "/proc/none"}, want=1)
    t.says(r, "in /proc/none")
    t.true("wall time" not in r.out, "no prediction")


@scenario("plan")
def what_fails_in_a_trial_is_told_as_a_run_would(t):
    t.write("in.csv", "a,b\n1,{}\n2,{x\n3,{}\n")
    p = plan(t, "--csv", "in.csv", "--sql", "SELECT a, json_extract(b, '$') AS x FROM batch", "--bad-rows", "1")
    t.equal([(3, 1, False)], [(p["rows"], p["rows_rejected"], p["past_bad_rows"])], "rows")
    t.equal([("in.csv, line 3", "malformed JSON")], [(r["where"], r["reason"]) for r in p["rejects"]], "rejects")
    t.equal("finding the rows that the transforms fail on", p["held_up_by"], "what holds it up")
    t.true(any("are found by trying ever smaller parts of their batch" in n for n in p["notes"]), p["notes"])
