"""explain and report: what a run did, as the journal and the warehouse remember it."""

import os
import re
import signal
import sqlite3
import stat

from html_page import Page
from kit import scenario

# The first time that a program is run it shows what columns it gives.
CLEAN = ("import os, sys\n"
         "text = sys.stdin.read()\n"
         "if 'poison' in text:\n"
         "    print('cannot digest <b>poison</b> & co', file=sys.stderr)\n"
         "    sys.exit(7)\n"
         "if ',once' in text:\n"
         "    with open(os.environ['MARK'], 'a') as f: f.write('x')\n"
         "    if os.path.getsize(os.environ['MARK']) == 2:\n"
         "        print('not in the mood', file=sys.stderr)\n"
         "        sys.exit(9)\n"
         "sys.stdout.write(text)\n")


def job(t, lines, more=""):
    t.write("clean.py", CLEAN)
    t.write("in.csv", "id,v\n" + "".join(f"{i:05d},{lines.get(i, 'x')}\n" for i in range(2000)))
    t.write("job.yaml", "source: {csv: in.csv, types: {id: text, v: text}}\nbatch: {bytes: 2KiB}\n"
            f"transform: [{{exec: [python3, clean.py], sandbox: none, env: {{MARK: '{t.path('mark')}'}}}}]\n"
            "load: {into: sqlite:wh.db, table: t}\nlimits: {bad_rows: 5, retries: 2}\n" + more)


STUCK = ("import os, sys, time\n"
         "with open(os.environ['MARK'], 'a') as f: f.write('x')\n"
         "while os.path.getsize(os.environ['MARK']) > 1 and os.path.exists(os.environ['WAIT']): time.sleep(0.01)\n"
         "sys.stdout.write(sys.stdin.read())\n")


def start_stuck(t, *args, env=None):
    """A run whose batches wait for the file `wait` to go."""
    t.write("stuck.py", STUCK)
    t.write("in.csv", "id\n" + "".join(f"{i:05d}\n" for i in range(2000)))
    t.write("wait", "")
    t.write("job.yaml", "source: {csv: in.csv, types: {id: text}}\nbatch: {bytes: 4KiB}\n"
            f"transform: [{{exec: [python3, stuck.py], sandbox: none, env: {{MARK: '{t.path('mark')}', "
            f"WAIT: '{t.path('wait')}'}}}}]\nload: {{into: sqlite:wh.db, table: t}}\n")
    return t.start("run", "job.yaml", *args, env=env)


def journal(t, sql):
    """What is there already."""
    try:
        return t.rows(".tranche/runs.db", sql)
    except sqlite3.Error:
        return []


def explain(t, *args, **kw):
    return t.run("explain", "last", *args, **kw).out


def both(t, *args):
    return t.run("explain", "last", *args, "--output", "json").json


def page(t, *args):
    t.run("report", "last", "--html", "r.html", *args)
    with open(t.path("r.html"), encoding="utf-8") as f:
        text = f.read()
    p = Page(text)
    t.equal([], p.faults, "faults of the page")
    for tag in ("script", "link", "img", "iframe", "object", "form", "a", "base"):
        t.equal(0, p.tags.get(tag, 0), tag)
    t.true(not re.search(r"url\(|@import|https?:", text), "it refers to nothing outside")
    t.true("Content-Security-Policy" in text and "prefers-color-scheme: dark" in text, "policy, dark")
    return p


@scenario("report", "smoke")
def a_chunk_that_was_tried_again_says_why_and_where_its_rows_are(t):
    job(t, {700: "once"})
    t.run("run", "job.yaml")
    out = explain(t)
    t.true("loaded" in out and "its last words: not in the mood" in out and "attempt 1 of 2 on local: failed: " in out and "the next ended well" in out, "the run")
    out = explain(t, "in.csv:702")  # the header is line 1
    t.says(t.last, "tried again because attempt 1 failed", "not in the mood", "attempt 2 on local", "ended well",
           "of table t in " + os.path.realpath(t.path("wh.db")), "cache    not asked")
    first, last = map(int, re.search(r"rowids (\d+) to (\d+)", out).groups())
    rows = t.rows("wh.db", f"SELECT id FROM t WHERE rowid BETWEEN {first} AND {last} ORDER BY rowid")
    t.true(("00700",) in rows, rows)
    j = both(t, "in.csv:702")
    t.equal((len(rows), "done", None), (j["rows"]["rows_loaded"], j["rows"]["state"], j["cache"]), "its rows")
    t.equal(["failed", "ok"], [a["outcome"] for a in j["chunk"]["attempts"]], "outcomes")
    # The same by its number and by a byte of it.
    for what in (str(j["chunk"]["number"]), f"in.csv@{j['chunk']['begin']}", f"in.csv@{j['chunk']['end'] - 1}"):
        t.equal(j, both(t, what), what)
    t.true(j["rows"]["first_line"] <= 702 < j["rows"]["first_line"] + j["rows"]["lines"], "its lines")


@scenario("report")
def a_poison_row_is_in_the_report_with_its_reason_and_nothing_of_it_is_markup(t):
    job(t, {700: "poison<script>alert(1)</script>"})
    t.run("run", "job.yaml", want=3)
    r = t.run("report", "last")
    t.says(r, "loaded with rejects", "rows = parsed 1,999 + rejected 1", "chunks that were tried more than once",
           "rejected rows of this load, by reason", "slowest chunks", "hosts", "local")
    j = t.run("report", "last", "--output", "json").json
    t.equal((1, 1), (sum(x["rows"] for x in j["rejects"]), j["rows_rejected"]), "rejects")
    t.true(j["attempts_failed"] >= 3 and j["retried"] and j["slowest"] and j["samples"], "lists")
    host = [w for w in j["workers"] if w["role"] == "local"][0]
    t.true(host["cores"] >= 1 and host["memory_bytes"] > 0 and host["cpu"] and host["host"], host)
    p = page(t)
    t.true("cannot digest <b>poison</b> & co" in p.text and "1,999" in p.text, "as text")
    t.equal(0, p.tags.get("b", 0), "tags of strangers")
    t.true(p.tags["svg"] >= 2 and p.tags["table"] >= 5, p.tags)


@scenario("report")
def a_worker_that_was_killed_is_named_as_the_reason(t):
    run = start_stuck(t, "-j", "2")

    def worker():
        for pid in t.children(run.pid):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if b"tranche-worker" in f.read():
                        return pid
            except OSError:
                pass
        return None
    t.wait_until(lambda: os.path.exists(t.path("mark")) and os.path.getsize(t.path("mark")) > 1, "a batch is worked on")
    found = [worker()]
    t.true(found[0] and journal(t, "SELECT 1 FROM attempts WHERE outcome IS NULL"), "its worker")
    os.kill(found[-1], signal.SIGKILL)
    os.unlink(t.path("wait"))
    t.equal(0, t.finish(run).code, "exit code")
    t.says(t.run("explain", "last"), "was lost: its worker was gone", "the local worker", "came 2 times")
    j = both(t)
    lost = [c for c in j["chunks"] if c["attempts"][0]["outcome"] == "lost"]
    t.true(lost, j["chunks"])
    t.equal("ok", lost[0]["attempts"][-1]["outcome"], "the last attempt")
    t.equal(len(lost[0]["attempts"]), len(both(t, str(lost[0]["number"]))["chunk"]["attempts"]), "attempts")
    page(t)


@scenario("report")
def the_cache_says_what_it_had_and_why_not(t):
    job(t, {}, "cache: true\n")
    t.run("run", "job.yaml")
    t.says(t.run("explain", "last", "in.csv:2"), "cache    not reused: no result of the same bytes")
    t.run("run", "job.yaml", "--fresh")
    t.says(t.run("explain", "last"), "cache    it had the results of")
    t.says(t.run("explain", "last", "in.csv:2"), "its result was reused", "no attempt is on record", "rowids 1 to ")
    t.equal("", both(t, "in.csv:2")["cache"], "why")
    page(t)


@scenario("report")
def runs_into_text_and_nowhere_are_explained_too(t):
    t.write("in.csv", "id,v\n" + "".join(f"{i:05d},x\n" for i in range(2000)))
    t.run("run", "--csv", "in.csv", "--type", "id=text", "--batch-bytes", "2KiB", "--into", "csv:out.csv")
    out = explain(t, "in.csv:1500")
    first, last = map(int, re.search(r"bytes (\d+) to (\d+) of csv:out.csv", out).groups())
    with open(t.path("out.csv"), "rb") as f:
        t.true(b"01498,x" in f.read()[first:last + 1], (first, last))
    t.run("run", "--range", "1000", "--batch-rows", "100", "--into", "null:")
    t.says(t.run("explain", "last", "1"), "cannot be told: this destination keeps no ledger")
    t.says(t.run("explain", "last", "range:5", want=2), "has rows and no lines: say range@5")
    t.says(t.run("explain", "last", "range@5"), "rows 0-")
    t.says(t.run("report", "last"), "rows a second")
    page(t)


@scenario("report")
def a_run_without_progress_explains_itself_unasked(t):
    run = start_stuck(t, "-j", "1", env={"TRANCHE_TIME_SCALE": "10"})

    def told():
        return journal(t, "SELECT text FROM events WHERE kind = 'stall'")
    t.wait_until(told, "it says what it waits for")
    t.true("worker local has in.csv bytes" in told()[0][0] and "slots" in told()[0][0], told())
    t.says(t.run("explain", "last"), "it goes on", "no progress for")
    t.says(t.run("report", "last"), "it goes on")
    os.unlink(t.path("wait"))
    done = t.finish(run)
    t.equal(0, done.code, "exit code")
    t.says(done, "no progress for", "worker local has in.csv bytes")


@scenario("report")
def a_history_elsewhere_is_found_by_job_file_folder_and_flag(t):
    t.write("sub/job.yaml", "source: {range: 3}\nload: {into: 'null:'}\n")
    t.run("run", "sub/job.yaml")
    ident = t.one("sub/.tranche/runs.db", "SELECT id FROM runs")
    for where in (("sub/job.yaml",), ("sub/",), ("sub/.tranche",), ("--state", "sub/.tranche"), ("--state=sub/.tranche", "x.yaml"),
                  (t.path("sub"),)):
        t.says(t.run("runs", *where), ident)
        t.equal(ident, t.run("explain", "last", *where, "--output", "json").json["run"], f"explain {where}")
        t.equal(ident, t.run("report", *where, "last", "--output", "json").json["run"], f"report {where}")
    t.says(t.run("runs", "sub"), ident)
    other = {"TRANCHE_HOME": t.path("none")}
    t.says(t.run("runs", env=other), f"no runs yet in {t.path('none')}; ")
    t.says(t.run("runs", "sub", env=other), ident)
    t.says(t.run("explain", "last", "--state", want=2), "a value is missing: --state")
    t.says(t.run("run", "sub/job.yaml", "--state", "x", want=2), "--state is no flag of 'run'")


@scenario("report")
def what_does_not_exist_is_said(t):
    t.says(t.run("explain", "last", want=2), "there are no runs yet in ./.tranche")
    t.says(t.run("report", "last", want=2), "there are no runs yet in ./.tranche")
    t.says(t.run("runs"), "no runs yet in ./.tranche; it stands beside the job file or in TRANCHE_HOME: name that file or its folder, "
           "or give --state FOLDER")
    job(t, {})
    t.run("run", "job.yaml")
    ident = t.run("explain", "last", "--output", "json").json["run"]
    t.run("explain", ident[:-2])
    t.run("explain", ident, "job.yaml", "--output", "quiet")
    t.equal("", t.last.out, "quiet")
    os.makedirs(t.path("folder"))
    os.symlink("r.html", t.path("link"))
    for args, code, says in (
        (("explain",), 2, "say which run: its id, or last"),
        (("explain", "2020"), 2, f"is called 2020; the last one is {ident}"),
        (("explain", "last", "123456"), 2, f"run {ident} has no chunk 123456"),
        (("explain", "last", "0"), 2, f"run {ident} has no chunk 0"),
        (("explain", "last", "99999999999999999999999"), 2, "has no chunk 9999"),
        (("explain", "last", "in.csv:99999"), 2, "which chunk has line 99999 cannot be told"),
        (("explain", "last", "in.csv@99999999"), 2, "no chunk of this run has byte 99999999 of in.csv"),
        (("explain", "last", "in.csv:x"), 2, "x is no line: say FILE:LINE or FILE@BYTE"),
        (("explain", "last", "out.csv:3"), 2, "out.csv is no input of this run; its first one is in.csv"),
        (("explain", "last", "chunk"), 2, "chunk is no chunk: say its number, FILE:LINE or FILE@BYTE"),
        (("explain", "last", "1", "2"), 2, "one chunk at a time, not also 2"),
        (("explain", "last", "--html", "x"), 2, "no such flag: --html"),
        (("report", "last", "1"), 2, "one run at a time, not also 1"),
        (("report", "last", "--html"), 2, "a value is missing: --html"),
        (("report", "last", "--html", "folder"), 2, "folder is no name of a file"),
        (("report", "last", "--html", "none/r.html"), 1, "cannot write none/r.html: No such file or directory"),
        (("report", "last", "--output", "xml"), 2, "--output is human, json or quiet, not xml"),
    ):
        t.says(t.run(*args, want=code), says)
    t.says(t.run("explain", "--help"), "Usage: tranche explain RUN [CHUNK]")
    t.says(t.run("report", "--help"), "--html FILE")
    t.says(t.run("report", "last", "--html", "link"), "the report of run ", " is written to link\n")
    t.equal("", t.last.out, "standard output")
    t.true(stat.S_ISREG(os.lstat(t.path("link")).st_mode), "a link is replaced")
    t.equal([], [f for f in os.listdir(t.dir) if f.endswith(".new")], "files left beside it")
    t.execute("wh.db", "DROP TABLE tranche_ledger")
    t.says(t.run("explain", "last", "1"), "where they are cannot be told")
    os.unlink(t.path("wh.db"))
    t.says(t.run("explain", "last", "1"), "wh.db cannot be read")
    page(t)


@scenario("report")
def what_a_row_costs_is_told_where_rows_are_what_costs(t):
    for rows, told in ((9999, False), (10000, True)):
        t.equal(told, "CPU a row" in t.run("run", "--range", rows, "--into", "null:").out, f"{rows} rows")
