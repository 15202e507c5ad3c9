"""Transforms in SQL."""

import os

from kit import read_csv, scenario


@scenario("sql", "smoke", "threads")
def a_filter_gives_what_sqlite_gives(t):
    f = t.data("flights-slice.csv")
    r = t.run("run", "--csv", f, "--sql", "SELECT origin, delay FROM batch WHERE delay > 60", "--into",
              "sqlite:late.db", "--table", "late", "--output", "json").json
    want = [(r[3], int(r[1])) for r in read_csv(f)[1:] if r[1] and int(r[1]) > 60]
    t.equal(want, t.rows("late.db", "SELECT origin, delay FROM late ORDER BY rowid"), "late flights")
    t.equal(len(want), r["rows_loaded"], "rows_loaded")
    t.equal(r["rows_read"], r["rows_parsed"], "rows parsed")


@scenario("sql")
def steps_params_and_tables_work_together(t):
    t.write("in.csv", "id,city,v\n1,B,10\n2,M,20\n3,B,\n")
    t.write("cities.csv", "code,name\nB,Berlin\nM,Mainz\n")
    t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "base")
    t.write("job.yaml", """
source: {csv: in.csv}
params:
  mean: {sql: SELECT avg(v) FROM base}
tables: {cities: cities.csv}
transform:
  - sql: SELECT id, city, coalesce(v, :mean) AS v FROM batch
  - sql: SELECT b.id, c.name, b.v * 2 AS v FROM batch b JOIN cities c ON c.code = b.city
load: {into: 'sqlite:wh.db', table: out}
""")
    t.run("run", "job.yaml")
    t.equal([(1, "Berlin", 20), (2, "Mainz", 40), (3, "Berlin", 30.0)],
            t.rows("wh.db", "SELECT * FROM out ORDER BY id"), "rows")


@scenario("sql", "smoke")
def check_tries_params_where_the_warehouse_is(t):
    t.write("in.csv", "id,v\n1,10\n2,\n")
    job = """
source: {{csv: in.csv}}
params:
  mean: {{sql: '{sql}'}}
transform:
  - sql: SELECT id, coalesce(v, :mean) AS v FROM batch
load: {{into: '{into}', table: out}}
"""
    good = "SELECT avg(v) FROM base"
    t.write("job.yaml", job.format(sql=good, into="sqlite:wh.db"))
    t.says(t.run("check", "job.yaml"), "params are tried when a run begins: sqlite:wh.db is not there yet")
    t.true(not os.path.exists(t.path("wh.db")), "check makes no database")
    t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "base")
    r = t.run("check", "job.yaml")
    t.true("params are tried" not in r.out, r.out)
    for sql, says in (("SELECT avg(w) FROM base", "params.mean: line 1, column 12: no such column: w"),
                      ("SELECT avg(v) FROM bass", "params.mean: no such table: bass"),
                      ("SELECT id, v FROM base", "params.mean: it gives 2 columns: a parameter is one value"),
                      ("DELETE FROM base", "not allowed in params: DELETE FROM base"),
                      ("SELECT avg(v FROM base", "params.mean: line 1, column 14: near \"FROM\"")):
        t.write("job.yaml", job.format(sql=sql, into="sqlite:wh.db"))
        for command in ("check", "run"):
            t.says(t.run(command, "job.yaml", want=2), says)
    for into in ("stdout:", "null:", "csv:out.csv"):
        t.write("job.yaml", job.format(sql=good, into=into).replace(", table: out", ""))
        for command in ("check", "run"):
            t.says(t.run(command, "job.yaml", want=2), "job.yaml:3:1: params: they are read from the database that rows "
                   f"go into, and {into} has no tables")
    t.equal(2, t.one("wh.db", "SELECT count(*) FROM base"), "rows")
    t.equal(0, t.one("wh.db", "SELECT count(*) FROM sqlite_schema WHERE name = 'out'"), "tables of failed runs")


@scenario("sql")
def a_transform_that_raises_loses_only_the_guilty_rows(t):
    t.write("in.csv", "id,j\n" + "".join(
        f"{i},{'{bad' if i in (17, 1500) else chr(34) + '{' + chr(34)*2 + 'a' + chr(34)*2 + ':' + str(i) + '}' + chr(34)}\n"
        for i in range(2000)))
    r = t.run("run", "--csv", "in.csv", "--sql", "SELECT id, json_extract(j, '$.a') AS a FROM batch",
              "--into", "sqlite:wh.db", "--table", "t", "--bad-rows", "2", "--output", "json", want=3).json
    t.equal((1998, 2), (r["rows_loaded"], r["rows_rejected"]), "loaded, rejected")
    t.equal(0, t.one("wh.db", "SELECT count(*) FROM t WHERE id <> a"), "wrong rows")
    t.equal([(19,), (1502,)], t.rows("wh.db", "SELECT line FROM t_rejects ORDER BY line"), "rejected lines")


@scenario("sql")
def group_by_within_the_batch_and_functions(t):
    t.write("in.csv", "g,v\na,1\na,2\nb,5\n")
    t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t", "--sql",
          "SELECT g, count(*) AS n, median(v) AS m, stddev(v) AS s FROM batch GROUP BY g ORDER BY g")
    rows = t.rows("wh.db", "SELECT g, n, m, round(s, 4) FROM t")
    t.equal([("a", 2, 1.5, 0.7071), ("b", 1, 5, None)], rows, "groups")


@scenario("sql")
def mistakes_in_sql_are_told_before_anything_is_loaded(t):
    f = t.data("flights-slice.csv")
    for sql, texts in {
        "SELEC x FROM batch": ["SELEC"],
        "SELECT delai FROM batch": ["delai", "delay"],
        "SELECT 1; SELECT 2": [],
        "DELETE FROM batch": [],
        "ATTACH 'x.db' AS x": [],
        "SELECT load_extension('x')": [],
        "SELECT :nope FROM batch": ["nope"],
    }.items():
        r = t.run("run", "--csv", f, "--sql", sql, "--into", "sqlite:x.db", "--table", "t", want=2)
        t.says(r, *texts)


@scenario("sql")
def lookup_tables_are_read_like_the_input(t):
    t.write("in.csv", "id;city\n1;B\n")
    t.write("cities.csv", "code;name\nB;Berlin, Mitte\n")
    t.run("run", "--csv", "in.csv", "--delimiter", ";", "--lookup", "cities=cities.csv", "--sql",
          "SELECT id, name FROM batch JOIN cities ON code = city", "--into", "sqlite:wh.db", "--table", "t")
    t.equal([(1, "Berlin, Mitte")], t.rows("wh.db", "SELECT * FROM t"), "rows")


@scenario("sql")
def a_large_lookup_table_stands_in_a_file(t):
    names = {i: f"the name of {i:07d}" for i in range(20000)}
    t.write("names.csv", "id,name\n" + "".join(f"{i},{n}\n" for i, n in names.items()))
    t.write("in.csv", "k\n" + "".join(f"{i * 7}\n" for i in range(2000)))
    t.write("job.yaml", """
source: {csv: in.csv}
tables: {names: names.csv}
transform: {sql: 'SELECT b.k, n.name FROM batch b JOIN names n ON n.id = b.k'}
load: {into: 'sqlite:wh.db', table: out}
""")
    t.run("run", "job.yaml", "-j", "2", "--batch-bytes", "1KiB")
    t.equal([(i * 7, names[i * 7]) for i in range(2000)], t.rows("wh.db", "SELECT k, name FROM out ORDER BY k"), "rows")


@scenario("sql")
def a_group_by_that_sees_one_batch_is_told(t):
    says = "GROUP BY sees one batch at a time; over all rows: --by/--compute or --merge-sql (docs/AGGREGATE.md)"
    t.write("in.csv", "c,v\n" + "".join(f"c{i % 100},{i}\n" for i in range(40000)))
    t.write("small.csv", "c,v\na,1\na,2\n")
    t.write("cities.csv", "c,n\nc1,5\n")
    into = ("--into", "sqlite:wh.db", "--table", "t")
    sql = "SELECT c, sum(v) AS v FROM batch GROUP BY c"
    for command in ("check", "plan", "run"):
        t.equal([f"sql:1: {says}"], [s for s in t.run(command, "--csv", "in.csv", "--sql", sql, *into).err.splitlines()
                                     if "GROUP BY" in s], command)
    t.write("job.yaml", f"source: {{csv: in.csv}}\ntransform:\n  - sql: {sql}\nload: {{into: 'null:'}}\n")
    t.says(t.run("check", "job.yaml"), f"job.yaml:3: {says}")
    for args in (("--csv", "small.csv", "--sql", sql),
                 ("--csv", "in.csv", "--sql", sql, "--batch-rows", "40000"),
                 ("--csv", "in.csv", "--sql", sql, "--by", "c", "--compute", "v=sum(v)"),
                 ("--csv", "in.csv", "--sql", sql, "--merge-sql", "SELECT c, sum(v) AS v FROM parts GROUP BY c"),
                 ("--csv", "in.csv", "--lookup", "l=cities.csv", "--sql", "SELECT v - (SELECT sum(n) FROM l) AS v FROM batch")):
        r = t.run("check", *args, *into)
        t.true("GROUP BY" not in r.err, r.err)


@scenario("sql")
def a_name_with_a_dot_is_asked_for_in_double_quotes(t):
    t.write("in.jsonl", '{"id": 1, "user": {"name": "a"}}\n')
    args = ("--jsonl", "in.jsonl", "--fields", "id,user.name", "--into", "sqlite:wh.db", "--table", "t", "--sql")
    t.says(t.run("run", *args, "SELECT id, user.name FROM batch", want=2),
           'no such column: user.name; the batch has: id, user.name; a name with a dot stands in double quotes: "user.name"')
    t.run("run", *args, 'SELECT id, "user.name" AS name FROM batch')
    t.equal([(1, "a")], t.rows("wh.db", "SELECT * FROM t"), "rows")


@scenario("sql")
def a_statement_rejects_rows_on_purpose_with_its_own_reason(t):
    t.write("in.csv", "id,amount\n" + "".join(f"{i},{-i if i in (17, 333) else i}\n" for i in range(600)))
    sql = "SELECT id, CASE WHEN amount < 0 THEN reject('amount is negative') ELSE amount END AS amount FROM batch"
    r = t.run("run", "--csv", "in.csv", "--sql", sql, "--into", "sqlite:wh.db", "--table", "t", "--bad-rows", 2, want=3)
    t.says(r, "most often: amount is negative (2)")
    t.equal([(19, b"17,-17", "amount is negative"), (335, b"333,-333", "amount is negative")],
            t.rows("wh.db", "SELECT line, raw, reason FROM t_rejects ORDER BY line"), "rejects")
    t.equal((598, 0), t.rows("wh.db", "SELECT count(*), sum(amount < 0) FROM t")[0], "rows")
    t.run("run", "--csv", "in.csv", "--sql", "SELECT id, reject('none is good') AS x FROM batch", "--into", "sqlite:wh.db", "--table", "u",
          want=(2, 4))
