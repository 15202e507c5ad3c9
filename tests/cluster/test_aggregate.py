"""Aggregates and merge, compared with exact arithmetic."""

import csv
import json
import math
import os
import shutil
import signal
import statistics
import time
from fractions import Fraction

from kit import Failed, scenario

COMPUTE = {
    "n": "count(*)", "n_x": "count(x)", "sum_x": "sum(x)", "avg_x": "avg(x)", "sd_x": "stddev(x)",
    "var_x": "variance(x)", "min_x": "min(x)", "max_x": "max(x)", "p05_x": "quantile(x, 0.05)",
    "med_x": "median(x)", "d_x": "count_distinct(x)", "sum_r": "sum(r)", "avg_r": "avg(r)",
    "sd_r": "stddev(r)", "var_r": "variance(r)", "min_r": "min(r)", "max_r": "max(r)",
    "p95_r": "quantile(r, 0.95)", "med_r": "median(r)", "d_r": "count_distinct(r)",
    "n_t": "count(t)", "min_t": "min(t)", "max_t": "max(t)", "d_t": "count_distinct(t)",
    "sum_b": "sum(b)", "d_b": "count_distinct(b)", "last_t": "max_by(t, b)", "last_x": "max_by(x, b)", "first_b": "min_by(b, t)",
}
FLAGS = [a for name, f in COMPUTE.items() for a in ("--compute", f"{name}={f}")]
KEYS = ["a", "b", "Gr\u00fc\u00df Gott, long key of some bytes", "z z", "aaaaaaa", "aaaaaaaa", "0", ""]


def quoted(s):
    return '"' + s.replace('"', '""') + '"'


def random_rows(t, n):
    rnd, rows = t.random, []
    for _ in range(n):
        key = rnd.choice(KEYS) if rnd.random() > 0.05 else None
        group = rnd.choice((rnd.randint(-3, 3), rnd.randint(-2**63, 2**63 - 1) if rnd.random() < 0.02 else 7))
        x = rnd.choice((rnd.randint(-50, 1500), rnd.randint(-50, 1500), rnd.randint(-2**40, 2**40)))
        if rnd.random() < 0.02:
            x = rnd.choice((2**63 - 1, -2**63, 2**53, 2**53 + 1, -2**53 - 1))
        r = rnd.choice((rnd.uniform(-1, 1), rnd.gauss(1e6, 1e-3), rnd.uniform(-1, 1) * 10.0**rnd.randint(-150, 150),
                        float(rnd.randint(0, 20)), 0.1, -0.0, 5e-324))
        text = rnd.choice(KEYS) + str(rnd.randint(0, 40))
        rows.append((key, group if rnd.random() > 0.03 else None, x if rnd.random() > 0.1 else None,
                     r if rnd.random() > 0.1 else None, text if rnd.random() > 0.1 else None, rnd.randint(-2**63, 2**63 - 1)))
    return rows


def write_rows(t, name, rows):
    lines = ["k,g,x,r,t,b"]
    for key, group, x, r, text, b in rows:
        lines.append(",".join(("" if key is None else quoted(key), "" if group is None else str(group),
                               "" if x is None else str(x), "" if r is None else repr(r),
                               "" if text is None else quoted(text), str(b))))
    t.write(name, "\n".join(lines) + "\n")


def quantile(values, q):
    v = sorted(map(float, values))
    at = q * (len(v) - 1)
    lo = int(at)
    return v[lo] if at == lo else v[lo] + (at - lo) * (v[lo + 1] - v[lo])


def numbers(values, exact):
    """What is computed of numbers: n, sum, avg, sd, var, min, max."""
    if not values:
        return None
    f = [Fraction(v) for v in values]
    total = sum(f)
    var = sum((v - total / len(f)) ** 2 for v in f) / (len(f) - 1) if len(f) > 1 else None
    return {"sum": exact(total), "avg": total / len(f), "var": var, "min": min(values), "max": max(values)}


def as_float(total):
    return float(total)  # of a Fraction: correctly rounded


def as_int(total):
    return int(total) if -2**63 <= total < 2**63 else float(total)


def near(t, what, want, got, ulps=4):
    if want is None or got is None:
        t.equal(want, got, what)
        return
    want = float(want)
    if not math.isclose(want, got, rel_tol=ulps * 2.0**-52, abs_tol=5e-324):
        raise Failed(f"{what}: wanted {want!r}, got {got!r}")


def root(v):
    """The square root of a fraction, as near as a double can be."""
    if v is None:
        return None
    if v == 0:
        return 0.0
    shift = max(0, 240 - (v.numerator.bit_length() - v.denominator.bit_length()))
    shift += shift % 2
    return float(Fraction(math.isqrt((v.numerator << shift) // v.denominator), 1 << (shift // 2)))


def sql_order(v):
    return (0, 0) if v is None else (1, v) if not isinstance(v, str) else (2, v.encode())


def check(t, rows, by, got):
    """Every function of every group; groups in the order of their keys."""
    groups = {}
    for r in rows:
        groups.setdefault(tuple(r[i] for i in by), []).append(r)
    keys = sorted(groups, key=lambda k: tuple(map(sql_order, k)))
    t.equal(keys, [tuple(g[:len(by)]) for g in got], "keys in order")
    for key, line in zip(keys, got):
        g = dict(zip(COMPUTE, line[len(by):]))
        x, r, text, b = ([m[i] for m in groups[key] if m[i] is not None] for i in (2, 3, 4, 5))
        want_x, want_r = numbers(x, as_int), numbers(r, as_float)
        last = max(groups[key], key=lambda m: (m[5], sql_order(m[4]), sql_order(m[2])))
        first = min((m for m in groups[key] if m[4] is not None), key=lambda m: (m[4].encode(), m[5]), default=None)
        for name, want in (("n", len(groups[key])), ("n_x", len(x)), ("n_t", len(text)), ("d_x", len(set(x))),
                           ("d_r", len(set(r))), ("d_t", len(set(text))), ("d_b", len(set(b))),
                           ("min_t", min(text, key=str.encode, default=None)),
                           ("last_t", last[4]), ("last_x", last[2]), ("first_b", first and first[5]),
                           ("max_t", max(text, key=str.encode, default=None)), ("sum_b", as_int(sum(b)))):
            t.equal(want, g[name], f"{name} of {key}")
        for c, want, values in (("x", want_x, x), ("r", want_r, r)):
            for f in ("sum", "min", "max"):
                t.equal(want and want[f], g[f"{f}_{c}"], f"{f} of {c} of {key}")
            near(t, f"avg of {c} of {key}", want and want["avg"], g[f"avg_{c}"])
            near(t, f"var of {c} of {key}", want and want["var"], g[f"var_{c}"])
            near(t, f"sd of {c} of {key}", want and root(want["var"]), g[f"sd_{c}"])
            near(t, f"median of {c} of {key}", statistics.median(map(float, values)) if values else None, g[f"med_{c}"])
        near(t, f"p05 of {key}", quantile(x, 0.05) if x else None, g["p05_x"])
        near(t, f"p95 of {key}", quantile(r, 0.95) if r else None, g["p95_r"])


def run(t, name, *more, table="agg", want=0, env=None):
    return t.run("run", "--csv", name, *FLAGS, "--into", "sqlite:wh.db", "--table", table, "--output", "json",
                 *more, want=want, env=env)


def bits(t, table="agg"):
    """The table as it is, bit by bit."""
    names = [r[1] for r in t.rows("wh.db", f"PRAGMA table_info({table})")]
    return [[v.hex() if isinstance(v, float) else v for v in r]
            for r in t.rows("wh.db", f"SELECT {', '.join(names)} FROM {table} ORDER BY rowid")]


@scenario("aggregate", "smoke")
def every_function_equals_exact_arithmetic(t):
    rows = random_rows(t, 4000)
    write_rows(t, "in.csv", rows)
    for by, flags in (([0], ["--by", "k"]), ([1], ["--by", "g"]), ([1, 0], ["--by", "g,k"]), ([], [])):
        r = run(t, "in.csv", *flags, "--batch-bytes", "20KiB").json
        t.true(r["load"]["balanced"], "balanced")
        check(t, rows, by, t.rows("wh.db", "SELECT * FROM agg ORDER BY rowid"))
        t.equal(t.one("wh.db", "SELECT count(*) FROM agg"), r["rows_merged"], "rows_merged")
    tables = {n for n, in t.rows("wh.db", "SELECT name FROM sqlite_schema WHERE type = 'table'")}
    t.equal({"agg", "agg_rejects", "tranche_runs", "tranche_ledger"}, tables, "tables left")


@scenario("aggregate")
def a_result_is_the_same_bit_by_bit_however_it_came_about(t):
    rows = random_rows(t, 30000)
    write_rows(t, "in.csv", rows)
    flags = ["--by", "k,g"]
    run(t, "in.csv", *flags)
    want = bits(t)
    for more in (["-j", "1"], ["-j", "2"], ["-j", "7"], ["-j", "7", "--unordered"], ["--batch-bytes", "5KiB"],
                 ["--batch-bytes", "977KiB"], ["--batch-rows", "1000"]):
        run(t, "in.csv", *flags, *more)
        t.true(want == bits(t), f"other bits with {more}")
    kills = 0
    for _ in range(8):
        p = t.start("run", "--csv", "in.csv", *FLAGS, "--into", "sqlite:wh.db", "--table", "agg", *flags,
                    "--batch-bytes", "40KiB", "-j", "3")
        for _ in range(3):
            time.sleep(t.random.uniform(0.0, 0.15))  # a random moment
            kids = t.children(p.pid)
            if kids:
                try:
                    os.kill(t.random.choice(kids + [p.pid]), signal.SIGKILL)
                    kills += 1
                except ProcessLookupError:
                    pass
        p.wait()
        p.communicate()
        run(t, "in.csv", *flags, "--batch-bytes", "40KiB", "-j", "3")
        t.true(want == bits(t), f"other bits after {kills} kills")
    t.intact("wh.db")


@scenario("aggregate")
def a_crash_during_the_merge_merges_again(t):
    rows = random_rows(t, 3000)
    write_rows(t, "in.csv", rows)
    args = ["--by", "k", "--merge-sql", "SELECT k, n, sum_x, sum_r FROM parts WHERE n > :least ORDER BY n DESC, k",
            "--batch-bytes", "20KiB", "--index", "k"]
    t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "base")
    args += ["--param", "least=SELECT count(*) / 10 FROM base"]
    run(t, "in.csv", *args)
    want = bits(t)
    t.true(len(want) > 1, "groups")
    for point in ("merge-before", "merge-after-aggregate", "merge-after-sql", "finish-before-commit",
                  "finish-after-commit"):
        t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "agg", "--mode", "replace")
        done = run(t, "in.csv", *args, want=None, env={"TRANCHE_CRASH_AT": f"{point}:1"})
        t.equal(-signal.SIGKILL, done.code, f"end at {point}")
        run(t, "in.csv", *args)
        t.true(want == bits(t), f"other bits after a crash at {point}")
        t.equal(1, t.one("wh.db", "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'agg'"),
                "indexes")
    left = [n for n, in t.rows("wh.db", "SELECT name FROM sqlite_schema WHERE name LIKE 'agg__tranche%'")]
    t.equal([], left, "staged tables left")
    t.intact("wh.db")


@scenario("aggregate")
def merge_sql_sees_all_rows_params_and_lookup_tables(t):
    t.write("in.csv", "city,v\n" + "".join(f"{'BMX'[i % 3]},{i}\n" for i in range(30000)))
    t.write("cities.csv", "code,name\nB,Berlin\nM,Mainz\n")
    t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "base")
    t.write("job.yaml", """
source: {csv: in.csv}
batch: {bytes: 8KiB}
params:
  low: {sql: SELECT avg(v) FROM base}
tables: {cities: cities.csv}
transform:
  - sql: SELECT city, v FROM batch WHERE v >= :low
merge:
  sql: |
    SELECT c.name, count(*) AS n, median(v) AS mid, quantile(v, 0.9) AS p90, stddev(v) AS sd, variance(v) AS var,
           strptime('03.02.2001', '%d.%m.%Y') AS day, 'abc' REGEXP 'b.' AS re
    FROM parts JOIN cities c ON c.code = city GROUP BY 1 ORDER BY 1 DESC
load: {into: 'sqlite:wh.db', table: out}
""")
    r = t.run("run", "job.yaml", "--output", "json").json
    got = t.rows("wh.db", "SELECT * FROM out ORDER BY rowid")
    want = []
    for name, at in (("Mainz", 1), ("Berlin", 0)):
        v = [i for i in range(30000) if i % 3 == at and i >= 14999.5]
        want.append((name, len(v), statistics.median(v), quantile(v, 0.9), statistics.stdev(v),
                     statistics.variance(v), "2001-02-03 00:00:00", 1))
    for w, g in zip(want, got):
        t.equal(w[:4] + w[6:], g[:4] + g[6:], "row")
        near(t, "stddev", w[4], g[4], 64)
        near(t, "variance", w[5], g[5], 64)
    t.equal(2, r["rows_merged"], "rows_merged")


@scenario("aggregate")
def merge_joins_a_large_lookup_table(t):
    t.write("in.csv", "i\n" + "".join(f"{i}\n" for i in range(1000)))
    t.write("big.csv", "id,name\n" + "".join(f"{i},{'long name ' * 40}{i}\n" for i in range(20000)))
    t.run("run", "--csv", "in.csv", "--lookup", "big=big.csv", "--merge-sql",
          "SELECT count(*) AS n, max(name) AS name FROM parts JOIN big ON id = i", "--into", "sqlite:wh.db", "--table", "t")
    t.equal([(1000, "long name " * 40 + "999")], t.rows("wh.db", "SELECT * FROM t"), "row")


@scenario("aggregate")
def an_aggregate_follows_the_transforms_and_takes_what_they_give(t):
    t.write("in.csv", "i\n" + "".join(f"{i}\n" for i in range(5000)))
    t.run("run", "--csv", "in.csv", "--batch-bytes", "2KiB", "--into", "sqlite:wh.db", "--table", "t", "--sql",
          "SELECT CASE i % 4 WHEN 0 THEN 1 WHEN 1 THEN 1.0 WHEN 2 THEN '1' ELSE x'31' END AS k, "
          "CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN i || '' WHEN 2 THEN 'no number' WHEN 3 THEN i * 0.5 ELSE i END AS v "
          "FROM batch", "--by", "k", "--compute", "n=count(*)", "--compute", "s=sum(v)", "--compute", "c=count(v)",
          "--compute", "lo=min(v)", "--compute", "hi=max(v)", "--compute", "d=count_distinct(v)")
    got = t.rows("wh.db", "SELECT typeof(k), n, s, c, lo, hi, d FROM t ORDER BY rowid")
    want = []
    for kind, mods in (("integer", (0, 1)), ("text", (2,)), ("blob", (3,))):
        members = [i for i in range(5000) if i % 4 in mods]
        s = sum(Fraction(i) / 2 if i % 5 == 3 else Fraction(i) for i in members if i % 5 in (1, 3, 4))
        v = [str(i) if i % 5 == 1 else "no number" if i % 5 == 2 else i * 0.5 if i % 5 == 3 else i
             for i in members if i % 5]
        n = [x for x in v if not isinstance(x, str)]
        want.append((kind, len(members), float(s), len(v), min(n), max(x for x in v if isinstance(x, str)), len(set(v))))
    t.equal(want, got, "groups")


@scenario("aggregate", "bad")
def mistakes_of_an_aggregate_are_named_with_their_place(t):
    t.write("in.csv", "origin,delay\nORD,1\n")
    job = """
source: {{csv: in.csv}}
aggregate:
  by: [{by}]
  compute:
    n: count(*)
    m: '{f}'
load: {{into: 'sqlite:wh.db', table: t{more}}}
"""
    for by, f, more, says in (
            ("origin", "avvg(delay)", "", "job.yaml:7:9: aggregate.compute: m: no function 'avvg'; did you mean 'avg'?"),
            ("origin", "mean(delay)", "", "did you mean 'avg'?"),
            ("origin", "avg(dely)", "", "job.yaml:7:13: aggregate.compute: no column 'dely'; did you mean 'delay'?"),
            ("orgin", "avg(delay)", "", "job.yaml:4:8: aggregate.by: no column 'orgin'; did you mean 'origin'?"),
            ("origin", "quantile(delay)", "", "quantile(column, q): the ', q' is missing"),
            ("origin", "quantile(delay, 95)", "", "95 is not from 0 to 1; a percentage is written as a share"),
            ("origin", "avg(delay) * 2", "", "nothing may follow the function"),
            ("origin", "avg(*)", "", "only count takes *"),
            ("origin", "sum(origin)", "", "the column is text, sum works on numbers"),
            ("origin", "avg(delay)", ", mode: append", "aggregate is made from the whole input"),
            ("origin, n", "avg(delay)", "", "'n' is one of aggregate.by already")):
        t.write("job.yaml", job.format(by=by, f=f, more=more))
        for command in ("check", "run"):
            t.says(t.run(command, "job.yaml", want=2), says)
    t.true(not os.path.exists(t.path("wh.db")) or not t.rows("wh.db", "SELECT * FROM sqlite_schema"), "nothing was made")
    for sql, says in (("SELECT x FROM parts", "merge.sql: line 1, column 8: no such column: x; parts has: origin, delay"),
                      ("SELECT * FROM part", "no such table: part; there are: parts; did you mean 'parts'?"),
                      ("SELECT * FROM sqlite_schema", "not allowed in merge: reading sqlite_"),
                      ("DELETE FROM parts", "not allowed in merge: DELETE FROM parts"),
                      ("SELECT :p FROM parts", "no such param: :p"),
                      ("ATTACH 'x.db' AS x", "not allowed in merge: ATTACH"),
                      ("SELECT load_extension('x') FROM parts", "not allowed in merge: load_extension()")):
        for command, into in (("run", "sqlite:m.db"), ("check", "sqlite:m.db"), ("check", "sqlite:none.db"),
                              ("check", "csv:m.csv"), ("check", "stdout:"), ("run", "stdout:")):
            t.says(t.run(command, "--csv", "in.csv", "--merge-sql", sql, "--into", into, want=2), says)
    t.says(t.run("check", "--csv", "in.csv", "--merge-sql", "SELECT delay FROM parts", "--index", "origin", "--into",
                 "sqlite:m.db", want=2), "load.indexes: the result of merge has no column 'origin'")
    t.true(not os.path.exists(t.path("none.db")) and not os.path.exists(t.path("m.csv.ledger")), "check makes nothing")
    t.equal(0, t.one("m.db", "SELECT count(*) FROM sqlite_schema"), "tables after mistakes")
    r = t.run("check", "--csv", "in.csv", "--merge-sql", "SELECT * FROM parts", "--into", "sqlite:m.db")
    t.says(r, "ok, 1 input")


@scenario("aggregate", "smoke", "threads")
def text_destinations_get_the_same_table(t):
    rows = random_rows(t, 2000)
    write_rows(t, "in.csv", rows)
    more = ("--by", "g,k", "--batch-bytes", "20KiB")
    run(t, "in.csv", *more)
    want = t.rows("wh.db", "SELECT * FROM agg ORDER BY rowid")
    names = [r[1] for r in t.rows("wh.db", "PRAGMA table_info(agg)")]
    args = ("run", "--csv", "in.csv", *FLAGS, *more)
    r = t.run(*args, "--into", "csv:out.csv", "--output", "json").json
    t.true(r["load"]["balanced"] and r["rows_merged"] == len(want), "balanced")
    with open(t.path("out.csv"), newline="") as f:
        got = list(csv.reader(f))
    t.equal(names, got[0], "names")
    for w, g in zip(want, got[1:]):
        t.equal([field(v, x) for v, x in zip(w, g)], g, "a row")
    t.equal(len(want), len(got) - 1, "rows")
    out = t.run(*args, "--into", "stdout:").out
    with open(t.path("out.csv"), newline="") as f:
        t.equal(f.read(), out, "standard output")
    t.run(*args, "--into", "jsonl:out.jsonl")
    with open(t.path("out.jsonl")) as f:
        t.equal([dict(zip(names, w)) for w in want], [json.loads(line) for line in f], "objects")
    t.true(not staged(t), f"left behind: {staged(t)}")


def staged(t):
    return [f for f in os.listdir(t.dir) if "tranche_" in f or f.endswith(".tranche") and f != ".tranche"]


def field(value, text):
    """What the value is as CSV: of a real any text that reads back as it."""
    if isinstance(value, float):
        return text if text and float(text).hex() == value.hex() else repr(value)
    return "" if value is None else str(value)


@scenario("aggregate", "smoke")
def merge_sql_into_text_keeps_its_order(t):
    shutil.copy(t.data("flights-slice.csv"), t.path("in.csv"))
    args = ("run", "--csv", "in.csv", "--by", "origin", "--compute", "n=count(*)", "--merge-sql",
            "SELECT n, origin FROM parts ORDER BY n DESC, origin LIMIT 3")
    r = t.run(*args, "--into", "stdout:jsonl")
    rows = [json.loads(line) for line in r.out.splitlines()]
    t.equal(3, len(rows), "rows")
    t.equal(sorted(rows, key=lambda x: (-x["n"], x["origin"])), rows, "order")
    t.says(r, "they were merged into 3 rows")
    t.run(*args, "--into", "csv:top.csv")
    with open(t.path("top.csv")) as f:
        t.equal(["n,origin"] + [f"{x['n']},{x['origin']}" for x in rows], f.read().splitlines(), "file")
    r = t.run("run", "--csv", "in.csv", "--merge-sql", "SELECT count(*) AS n FROM parts", "--into", "stdout:")
    with open(t.path("in.csv")) as f:
        t.equal(f"n\n{len(f.readlines()) - 1}\n", r.out, "merge alone")


@scenario("aggregate")
def text_gets_the_values_that_a_table_of_the_result_would_have(t):
    t.write("in.csv", "d,b,r,i,s\n2024-01-02,true,1.5,7,x\n2024-01-01,false,2.0,8,\n,,,,y\n")
    for n, sql in enumerate((
            "SELECT * FROM parts", "SELECT r, i FROM parts UNION ALL SELECT 3, 4.0", "SELECT s FROM parts Union SELECT 5",
            "SELECT r FROM (SELECT r FROM parts UNION ALL SELECT i FROM parts)", "WITH v(r, b) AS (VALUES (1, 1)) SELECT * FROM v",
            "SELECT b, max(r) AS r FROM parts GROUP BY b ORDER BY b", "SELECT r * 2 AS r, count(*) AS n, b FROM parts GROUP BY s",
            "SELECT i FROM parts EXCEPT SELECT 8", "SELECT * FROM parts WHERE i > 100")):
        args = ("run", "--csv", "in.csv", "--merge-sql", sql)
        t.run(*args, "--into", "sqlite:wh.db", "--table", f"t{n}")
        t.run(*args, "--into", f"csv:{n}.csv", "--output", "json")
        t.equal(t.one("wh.db", f"SELECT count(*) FROM t{n}"), t.last.json["rows_merged"], f"rows of {sql}")
        want = t.run("run", "--sqlite", "wh.db", "--sqlite-table", f"t{n}", "--into", "stdout:").out
        with open(t.path(f"{n}.csv")) as f:
            t.equal(want, f.read(), sql)
        t.equal(want, t.run(*args, "--into", "stdout:").out, f"standard output: {sql}")


@scenario("aggregate")
def a_merge_that_fails_in_the_middle_leaves_the_old_file(t):
    t.write("out.jsonl", '{"x":1}\n')
    t.write("in.csv", "v\n" + "".join(f"{i}\n" for i in range(2000)))
    sql = "SELECT abs(CASE WHEN v = 1999 THEN -9223372036854775807 - 1 ELSE v END) AS x FROM parts"
    r = t.run("run", "--csv", "in.csv", "--merge-sql", sql, "--into", "jsonl:out.jsonl", "--mode", "replace", want=2)
    t.says(r, "merge.sql: merge: integer overflow")
    with open(t.path("out.jsonl")) as f:
        t.equal('{"x":1}\n', f.read(), "the file")
    t.equal([], [x for x in os.listdir(t.dir) if "__tranche" in x], "what was written of the new one")


@scenario("aggregate")
def what_text_cannot_take_of_an_aggregate_is_said(t):
    shutil.copy(t.data("flights-slice.csv"), t.path("in.csv"))
    by = ("--csv", "in.csv", "--by", "origin")
    for command in ("check", "run"):
        t.says(t.run(command, *by, "--into", "csv:part-*.csv", want=2),
               "--into: the result of aggregate takes the place of what an earlier run made, and several files cannot "
               "be swapped in at one moment; give one file")
        t.says(t.run(command, *by, "--into", "csv:out.csv", "--mode", "upsert", "--key", "origin", want=2),
               "upsert needs a database to look rows up in")
        t.says(t.run(command, *by, "--into", "csv:out.csv", "--index", "origin", want=2), "a text file has no indexes")
    t.says(t.run("run", *by, "--into", "csv:in.csv", want=2), "is among the inputs")
    t.write("bad.csv", "k,v\na,1\na,x\n")
    bad = ("run", "--csv", "bad.csv", "--type", "v=integer", "--by", "k", "--compute", "n=sum(v)", "--into")
    r = t.run(*bad, "stdout:", want=4)
    t.says(r, "rejected: bad.csv, line 3, v: 'x' is not an integer", "1 row was rejected", "no table was made")
    t.equal("", r.out, "standard output")
    t.equal("k,n\na,1\n", t.run(*bad, "stdout:", "--bad-rows", 1, want=3).out, "within the limit")
    t.write("out.csv", "old\n")
    t.says(t.run(*bad, "csv:out.csv", want=4), "the old table stands, nothing was swapped in")
    with open(t.path("out.csv")) as f:
        t.equal("old\n", f.read(), "the old file")


@scenario("aggregate")
def a_coordinator_that_dies_at_any_step_leaves_the_old_file_or_the_new(t):
    rows = random_rows(t, 600)
    write_rows(t, "in.csv", rows)
    args = ("run", "--csv", "in.csv", "--by", "k", *FLAGS, "--merge-sql", "SELECT * FROM parts ORDER BY n", "--batch-bytes",
            "8KiB", "--into")
    t.run(*args, "csv:want.csv")
    with open(t.path("want.csv")) as f:
        want = f.read()
    for point in ("begin-before-commit", "begin-after-commit", "commit-after-rows:2", "commit-before-commit",
                  "commit-after-commit", "merge-before", "merge-after-aggregate", "merge-after-sql", "file-after-create",
                  "stage-after-write", "stage-after-rename", "finish-before-commit", "finish-after-commit"):
        for old in (None, "old\n"):
            for f in ("out.csv", "out.csv.ledger"):
                if os.path.exists(t.path(f)):
                    os.unlink(t.path(f))
            if old:
                t.write("out.csv", old)
            t.run(*args, "csv:out.csv", want=-signal.SIGKILL, env={"TRANCHE_CRASH_AT": point})
            now = None
            if os.path.exists(t.path("out.csv")):
                with open(t.path("out.csv")) as f:
                    now = f.read()
            t.true(now in (old, want), f"{point}: {now!r}")
            t.run(*args, "csv:out.csv")
            with open(t.path("out.csv")) as f:
                t.equal(want, f.read(), f"after {point}")
            t.true(not staged(t), f"{point} left {staged(t)}")


@scenario("aggregate")
def a_million_groups_stay_within_the_memory(t):
    with open(t.path("in.csv"), "w") as f:
        f.write("k,v\n")
        for i in range(1000000):
            f.write(f"{i * 7919 % 1000003},{i}\n")
        for i in range(200000):
            f.write(f"{i * 7919 % 1000003},{i}\n")
    r = t.run("run", "--csv", "in.csv", "--by", "k", "--compute", "n=count(*)", "--compute", "s=sum(v)", "--compute",
              "m=median(v)", "--memory", "32MiB", "--into", "sqlite:wh.db", "--table", "t", "--output", "json").json
    t.equal(1000000, r["rows_merged"], "groups")
    t.equal((1200000, sum(range(1000000)) + sum(range(200000)), 0),
            t.rows("wh.db", "SELECT sum(n), sum(s), sum(s / n <> m) FROM t")[0], "sums")


@scenario("aggregate")
def values_that_do_not_fit_into_memory_go_to_disk(t):
    n = 400000
    with open(t.path("in.csv"), "w") as f:
        f.write("r,t\n" + "".join(f"{i * 2654435761 % 4294967296}.5,text number {i % 300000} of many\n" for i in range(n)))
    t.run("run", "--csv", "in.csv", "--compute", "m=median(r)", "--compute", "q=quantile(r, 0.9)", "--compute",
          "d=count_distinct(t)", "--compute", "e=count_distinct(r)", "--memory", "16MiB", "--into", "sqlite:wh.db",
          "--table", "t")
    v = [i * 2654435761 % 4294967296 + 0.5 for i in range(n)]
    t.equal((statistics.median(v), quantile(v, 0.9), 300000, len(set(v))), t.rows("wh.db", "SELECT * FROM t")[0], "row")
    t.leaves_nothing()


@scenario("aggregate")
def an_empty_input_has_no_groups_but_one_total(t):
    t.write("in.csv", "k,x\n")
    t.run("run", "--csv", "in.csv", "--by", "k", "--compute", "n=count(*)", "--into", "sqlite:wh.db", "--table", "g")
    t.equal(0, t.one("wh.db", "SELECT count(*) FROM g"), "groups of nothing")
    t.run("run", "--csv", "in.csv", "--compute", "n=count(*)", "--compute", "s=sum(x)", "--compute", "q=median(x)",
          "--compute", "d=count_distinct(x)", "--into", "sqlite:wh.db", "--table", "a")
    t.equal([(0, None, None, 0)], t.rows("wh.db", "SELECT * FROM a"), "the total of nothing")
