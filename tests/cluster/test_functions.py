"""The same functions in sql, merge, params and aggregate, each against an independent computation."""

import datetime
import math
import re
from fractions import Fraction

from kit import Failed, scenario

QS = (0, 0.05, 0.25, 0.5, 0.995, 1)
# What a text is as a number: blanks around it do not count, nor does a text that only begins with one.
TEXTS = ("12", "-7.5", "1e3", " 3 ", "NaN", "nan", "inf", "-inf", "0x10", "12abc", "abc", "", "-", ".", "1e", "+4", ".5", "5.",
         "-0.0", "123456789012345678901234567890")
FORMATS = ("%d/%m/%Y", "%Y-%m-%d %H:%M:%S", "%d %b %Y", "%j %Y")
PATTERNS = (("^a", r"^a"), ("[0-9]{2,}$", r"[0-9]{2,}\Z"), ("(?i)B.C", r"(?i)B.C"), ("x|yz", r"x|yz"), ("^$", r"^\Z"))


def number(text):
    return Fraction(text.strip()) if re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", text) else None


def random_rows(t, n):
    rnd, rows = t.random, []
    for i in range(n):
        x = rnd.choice((rnd.randint(-1000, 1000), rnd.randint(-2**62, 2**62), rnd.choice((2**63 - 1, -2**63, 2**53 + 1, 0))))
        r = rnd.choice((rnd.gauss(0, 1), rnd.gauss(1e9, 1e-3), -rnd.random() * 10.0**rnd.randint(-100, 100), 5e-324, -0.0))
        m = rnd.choice(TEXTS)
        day = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=rnd.randint(0, 3 * 10**9))
        d = day.strftime(rnd.choice(FORMATS)) if rnd.random() > 0.1 else rnd.choice(("31/02/2001", "no date", ""))
        s = "".join(rnd.choice("abcxyzABC019") for _ in range(rnd.randint(0, 8)))
        rows.append((i, x if rnd.random() > 0.1 else None, r if rnd.random() > 0.1 else None,
                     m if rnd.random() > 0.1 else None, d, s))
    return rows


def write(t, name, rows):
    def text(s):
        return "" if s is None else '"' + s.replace('"', '""') + '"'
    t.write(name, "id,x,r,m,d,s\n" + "".join(
        f"{i},{'' if x is None else x},{'' if r is None else repr(r)},{text(m)},{text(d)},{text(s)}\n"
        for i, x, r, m, d, s in rows))


def quantile(values, q):
    v = sorted(map(float, values))
    at = Fraction(q) * (len(v) - 1)
    lo = int(at)
    return v[lo] if lo + 1 == len(v) else float(v[lo] + (at - lo) * (Fraction(v[lo + 1]) - Fraction(v[lo])))


def variance(values):
    f = [Fraction(v) for v in values]
    mean = sum(f) / len(f)
    return sum((v - mean) ** 2 for v in f) / (len(f) - 1)


def moment(text, form):
    try:
        return datetime.datetime.strptime(text, form).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return "-"


def numeric_expressions(rows):
    """(SQL, what it gives), of numbers in columns and in texts."""
    columns = {"x": [r[1] for r in rows if r[1] is not None], "r": [r[2] for r in rows if r[2] is not None],
               "m": [number(r[3]) for r in rows if r[3] is not None and number(r[3]) is not None]}
    for c, values in columns.items():
        var = variance(values)
        yield f"variance({c})", float(var)
        yield f"stddev({c})", math.sqrt(var)
        yield f"median({c})", quantile(values, 0.5)
        yield f"count_distinct({c})", len({r["xrm".index(c) + 1] for r in rows} - {None})
        for q in QS:
            yield f"quantile({c}, {q})", quantile(values, q)


def text_expressions(rows):
    for form in FORMATS:
        yield f"coalesce(strptime(d, '{form}'), '-')", [moment(r[4], form) for r in rows]
    for ours, python in PATTERNS:
        yield f"s REGEXP '{ours}'", [str(int(re.search(python, r[5]) is not None)) for r in rows]


def all_expressions(rows, table):
    """Over the whole table, one value each: texts one after another."""
    for sql, want in numeric_expressions(rows):
        yield f"(SELECT {sql} FROM {table})", want
    for sql, want in text_expressions(rows):
        yield f"(SELECT group_concat({sql}, '|') FROM (SELECT * FROM {table} ORDER BY id))", "|".join(want)


def compare(t, expressions, got, where):
    t.equal(len(expressions), len(got), "values")
    for (sql, want), g in zip(expressions, got):
        if isinstance(want, float):
            if not isinstance(g, float) or not math.isclose(want, g, rel_tol=1e-11, abs_tol=1e-320):
                raise Failed(f"{where}: {sql}: wanted {want!r}, got {g!r}")
        else:
            t.equal(want, g, f"{where}: {sql}")


def named(expressions):
    return ", ".join(f"{sql} AS c{i}" for i, (sql, _) in enumerate(expressions))


@scenario("sql", "smoke")
def functions_give_the_same_in_sql_merge_and_params(t):
    rows = random_rows(t, 500)
    write(t, "in.csv", rows)
    load = ("--csv", "in.csv", "--type", "x=integer", "--type", "r=real", "--type", "m=text", "--type", "d=text", "--type",
            "s=text", "--into", "sqlite:wh.db", "--table")
    of_table = list(all_expressions(rows, "TABLE"))
    batch, parts, base = ([(sql.replace("TABLE", table), want) for sql, want in of_table]
                          for table in ("batch", "parts", "base"))
    t.run("run", *load, "a", "--sql", f"SELECT {named(batch)} FROM batch LIMIT 1")
    compare(t, batch, t.rows("wh.db", "SELECT * FROM a")[0], "sql")
    t.run("run", *load, "b", "--merge-sql", f"SELECT {named(parts)} FROM parts LIMIT 1", "--batch-bytes", "8KiB")
    compare(t, parts, t.rows("wh.db", "SELECT * FROM b")[0], "merge")
    t.run("run", *load, "base")
    params = [x for i, (sql, _) in enumerate(base) for x in ("--param", f"p{i}=SELECT {sql}")]
    t.run("run", *load, "c", *params, "--sql", "SELECT " + ", ".join(f":p{i} AS c{i}" for i in range(len(base))) +
          " FROM batch LIMIT 1")
    compare(t, base, t.rows("wh.db", "SELECT * FROM c")[0], "params")


@scenario("aggregate")
def an_aggregate_takes_texts_for_numbers_as_sql_does(t):
    rows = random_rows(t, 1500)
    write(t, "in.csv", rows)
    mixed = [x if i % 3 == 0 else None if m is None else number(m) for i, x, _, m, _, _ in rows]
    values = [v for v in mixed if v is not None]
    want = [("variance(v)", float(variance(values))), ("stddev(v)", math.sqrt(variance(values))),
            ("avg(v)", float(sum(map(Fraction, values)) / len(values))), ("sum(v)", float(sum(map(Fraction, values)))),
            ("median(v)", quantile(values, 0.5))] + [(f"quantile(v, {q})", quantile(values, q)) for q in QS]
    r = t.run("run", "--csv", "in.csv", "--type", "x=integer", "--type", "m=text", "--batch-bytes", "4KiB", "--sql",
              "SELECT iif(id % 3, m, x) AS v FROM batch", *[a for i, (f, _) in enumerate(want) for a in
                                                           ("--compute", f"c{i}={f}")], "--into", "sqlite:wh.db", "--table", "t")
    compare(t, want, t.rows("wh.db", "SELECT * FROM t")[0], "aggregate")
    t.says(r, "they were merged into 1 row")
