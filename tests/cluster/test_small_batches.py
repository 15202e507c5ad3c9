"""Batches of a few rows: they travel together, and each keeps its own fate."""

import os
import signal

from kit import scenario

TINY = ["--batch-bytes", "8"]  # a row or two


def numbers(t, rows, bad=()):
    t.write("in.csv", "id,j\n" + "".join(
        f"{i},{'{bad' if i in bad else '{}'}\n" for i in range(rows)))


@scenario("small", "smoke", "threads")
def thousands_of_small_batches_are_loaded_exactly_once(t):
    numbers(t, 20000)
    r = t.run("run", "--csv", "in.csv", "--into", "null:", *TINY, "--output", "json").json
    t.equal((20000, 20000), (r["rows_read"], r["rows_loaded"]), "read, loaded")
    chunks, spans = t.rows(".tranche/runs.db", "SELECT sum(chunks), count(*) FROM attempts")[0]
    t.true(chunks >= 10000, f"{chunks} small batches")
    t.true(spans < chunks, f"{spans} rows of history for {chunks} attempts")
    t.equal(0, t.one(".tranche/runs.db", "SELECT count(*) FROM attempts WHERE outcome <> 'ok'"), "not ok")


@scenario("small")
def small_batches_from_a_pipe_are_loaded_exactly_once(t):
    rows = 3000
    data = "id\n" + "".join(f"{i}\n" for i in range(rows))
    r = t.run("run", "--csv", "-", "--into", "sqlite:wh.db", "--table", "t", *TINY, "--output", "json",
              input=data.encode()).json
    t.equal(rows, r["rows_loaded"], "loaded")
    t.equal((rows, rows * (rows - 1) // 2), t.rows("wh.db", "SELECT count(*), sum(id) FROM t")[0], "rows, sum")


@scenario("small")
def a_row_that_fails_among_small_batches_is_rejected_alone(t):
    bad = (0, 777, 778, 2999)
    numbers(t, 3000, bad)
    r = t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t", *TINY,
              "--sql", "SELECT id, json_extract(j, '$.a') AS a FROM batch", "--bad-rows", "4",
              "--output", "json", want=3).json
    t.equal((2996, 4), (r["rows_loaded"], r["rows_rejected"]), "loaded, rejected")
    t.equal([(i + 2,) for i in bad], t.rows("wh.db", "SELECT line FROM t_rejects ORDER BY line"), "lines")


@scenario("small")
def runners_killed_among_small_batches_cost_no_row(t):
    numbers(t, 60000)
    p = t.start("run", "--csv", "in.csv", "--into", "null:", *TINY, "--output", "json")
    killed = set()
    while p.poll() is None and len(killed) < 2:  # more could be three in a row under one lone row
        for pid in t.children(p.pid):
            if len(killed) < 2 and pid not in killed and is_runner(pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
                except ProcessLookupError:
                    pass  # the run is over
    r = t.finish(p)
    t.equal(0, r.code, "exit code")
    t.equal((60000, 0), (r.json["rows_loaded"], r.json["rows_rejected"]), "loaded, rejected")


def is_runner(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip() == "tranche-runner"
    except OSError:
        return False
