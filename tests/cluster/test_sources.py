"""Every source through the real programs: what is read, what is refused, what a resume does."""

import json

from kit import dies_at_commit, scenario


def resumed(t, args, want=0):
    done = t.run(*args, "--output", "json", want=want).json
    t.true(done["load"]["balanced"], "balanced")
    return done


@scenario("sources", "smoke")
def a_range_is_loaded_without_any_file(t):
    r = t.run("run", "--range", 100000, "--into", "sqlite:wh.db", "--table", "r", "--output", "json").json
    t.equal(100000, r["load"]["rows_loaded"], "rows loaded")
    t.equal(0, r["bytes_read"], "bytes read")
    t.equal([(100000, 4999950000, 0, 99999)],
            t.rows("wh.db", "SELECT count(*), sum(i), min(i), max(i) FROM r"), "rows")
    r = t.run("run", "--range", 0, "--into", "sqlite:wh.db", "--table", "empty", "--output", "json").json
    t.equal(0, r["load"]["rows_loaded"], "rows of an empty range")


@scenario("sources")
def batch_rows_are_exact(t):
    t.write("b.csv", "a,b\n" + "".join(f'{i},"x\n{i}"\n' for i in range(10007)))
    t.write("l.txt", "".join(f"line {i}\r\n" for i in range(10007)))
    blank = lambda i: "\n" * (i % 7 == 3) + "\r\n" * (i // 3000)  # blank lines are no rows
    t.write("blank.csv", "a,b\n" + "".join(f'{blank(i)}{i},"\n\n"\n' for i in range(10007)) + "\n\n")
    t.write("blank.json", "".join(f'{blank(i)} \t\n{{"a": {i}}}\n' for i in range(10007)))
    for source in (("--range", 10007), ("--csv", "b.csv"), ("--lines", "l.txt"), ("--csv", "blank.csv"),
                   ("--jsonl", "blank.json")):
        t.run("run", *source, "--batch-rows", 1000, "--sql", "SELECT count(*) AS n FROM batch",
              "--into", "sqlite:wh.db", "--table", "n", "--mode", "replace")
        t.equal([(1000,)] * 10 + [(7,)], t.rows("wh.db", "SELECT n FROM n ORDER BY rowid"), source[0])


@scenario("sources")
def a_poison_row_of_a_range_stands_alone(t):
    r = t.run("run", "--range", 5000, "--into", "sqlite:wh.db", "--table", "r", "--bad-rows", 1, "--retries", 1,
              "--sql", "SELECT i, CASE WHEN i = 3210 THEN json('{') ELSE i END AS v FROM batch",
              "--output", "json", want=3).json
    t.equal((5000, 4999, 1), tuple(r["load"][k] for k in ("rows_read", "rows_loaded", "rows_rejected")), "rows")
    t.equal([(None, 3210, b"3210")], t.rows("wh.db", "SELECT line, byte_offset, raw FROM r_rejects"), "the reject")


@scenario("sources")
def a_killed_range_goes_on_where_it_stopped(t):
    args = ("run", "--range", 50000, "--batch-rows", 100, "--into", "sqlite:wh.db", "--table", "r")
    for _ in range(2):  # at the first commit: how many there are is nobody's to say
        t.run(*args, want=-9, env=dies_at_commit())
    resumed(t, args)
    t.equal([(50000, 50000, 1249975000)],
            t.rows("wh.db", "SELECT count(*), count(DISTINCT i), sum(i) FROM r"), "rows")


@scenario("sources", "smoke")
def lines_are_loaded_as_they_are(t):
    t.write("a.txt", b"\xef\xbb\xbffirst\r\n\n  17 \n\"a,b\"\nlast")
    t.write("b.txt", b"lone\rcr\nbad \xff byte\nnul \x00\n" + 300 * b"x" + b"\nend\n")
    r = t.run("run", "--lines", "*.txt", "--into", "sqlite:wh.db", "--table", "l", "--bad-rows", 2,
              "--output", "json", want=3).json
    t.equal((10, 8, 2), tuple(r["load"][k] for k in ("rows_read", "rows_loaded", "rows_rejected")), "rows")
    t.equal([("first",), ("",), ("  17 ",), ('"a,b"',), ("last",), ("lone\rcr",), ("x" * 300,), ("end",)],
            t.rows("wh.db", "SELECT line FROM l ORDER BY rowid"), "lines")
    t.equal([(2, 8, "byte 12 is not UTF-8"), (3, 19, "NUL byte at 23")],
            t.rows("wh.db", "SELECT line, byte_offset, reason FROM l_rejects ORDER BY line"), "rejects")


@scenario("sources")
def two_sources_are_refused(t):
    t.write("job.yaml", "source: {csv: a.csv}\nload: {into: 'null:'}\n")
    r = t.run("run", "job.yaml", "--range", 5, want=2)
    t.says(r, "--range: source.csv is given too; only one of them can be")


@scenario("sources", "smoke")
def json_lines_become_typed_columns(t):
    lines = [json.dumps({"id": i, "name": f"n{i}", "tags": [i, "x"], "address": {"city": "R\u00f6m", "zip": f"{i:05d}"},
                         "score": i / 4, "ok": i % 2 == 0, "day": "2024-02-29"}) for i in range(20000)]
    t.write("a-1.json", "\n".join(lines[:10000]) + "\n\n")
    t.write("a-2.json", "\r\n".join(lines[10000:]))
    r = t.run("run", "--jsonl", "a-*.json", "--fields", "id,name,tags,address,address.zip,score,ok,day,none",
              "--into", "sqlite:wh.db", "--table", "j", "--output", "json").json
    t.equal((20000, 20000), (r["load"]["rows_read"], r["load"]["rows_loaded"]), "rows")
    t.equal([("id", "INTEGER"), ("name", "TEXT"), ("tags", "TEXT"), ("address", "TEXT"), ("address.zip", "TEXT"),
             ("score", "REAL"), ("ok", "INTEGER"), ("day", "TEXT"), ("none", "TEXT")],
            t.rows("wh.db", "SELECT name, type FROM pragma_table_info('j')"), "columns")
    t.equal([(19999, "n19999", '[19999, "x"]', '{"city": "R\\u00f6m", "zip": "19999"}', "19999", 4999.75, 0,
              "2024-02-29", None)], t.rows("wh.db", "SELECT * FROM j ORDER BY rowid DESC LIMIT 1"), "last row")
    t.equal([(20000, 199990000, "00007")],
            t.rows("wh.db", "SELECT count(*), sum(id), max(CASE id WHEN 7 THEN \"address.zip\" END) FROM j"), "sums")


@scenario("sources")
def lines_that_are_no_json_are_rejected_with_their_place(t):
    t.write("a.json", b'{"id": 1}\nnope\n[1]\n{"id": "\xff"}\n{"id": 2}\n{"id": 3')
    args = ("run", "--jsonl", "a.json", "--into", "sqlite:wh.db", "--bad-rows", 9)
    t.run(*args, "--table", "j", "--fields", "id", want=3)
    t.equal([(1,), (2,)], t.rows("wh.db", "SELECT id FROM j"), "rows")
    got = t.rows("wh.db", "SELECT line, byte_offset, reason FROM j_rejects ORDER BY line")
    t.equal([(2, 10), (3, 15), (4, 19), (6, 41)], [g[:2] for g in got], "places")
    for reason, want in zip((g[2] for g in got), ("not JSON", "not an object", "not UTF-8", "not JSON")):
        t.true(reason.startswith(want), f"{reason} starts with {want}")
    t.run(*args, "--table", "whole", want=3)
    t.equal([('{"id": 1}',), ("[1]",), ('{"id": 2}',)], t.rows("wh.db", "SELECT line FROM whole"), "whole lines")
    t.run(*args, "--table", "typed", "--fields", "id", "--type", "id=date", want=3)
    t.equal([("id", "'1' is not a date")], t.rows("wh.db", 'SELECT "column", reason FROM typed_rejects WHERE line = 1'),
            "a value that does not fit its given type")


@scenario("sources")
def killed_json_lines_go_on_where_they_stopped(t):
    t.write("k.json", "".join(f'{{"id": {i}}}\n' for i in range(60000)))
    args = ("run", "--jsonl", "k.json", "--fields", "id", "--batch-bytes", "1KiB",
            "--into", "sqlite:wh.db", "--table", "k")
    for _ in range(2):
        t.run(*args, want=-9, env=dies_at_commit())
    resumed(t, args)
    t.equal([(60000, 60000, 1799970000)],
            t.rows("wh.db", "SELECT count(*), count(DISTINCT id), sum(id) FROM k"), "rows")
    t.equal(0, t.one("wh.db", "SELECT count(*) FROM (SELECT id, lag(id) OVER (ORDER BY rowid) AS b FROM k) "
                     "WHERE b > id"), "rows out of order")


@scenario("sources")
def json_lines_come_through_a_pipe_and_compressed(t):
    import gzip
    text = "".join(f'{{"id": {i}}}\n' for i in range(3000)).encode()
    t.write("a.json.gz", gzip.compress(text))
    t.run("run", "--jsonl", "a.json.gz", "--fields", "id", "--into", "sqlite:wh.db", "--table", "g")
    p = t.start("run", "--jsonl", "-", "--fields", "id", "--into", "sqlite:wh.db", "--table", "s", stdin=-1)
    t.equal(0, t.finish(p, input=text).code, "exit code")
    for table in ("g", "s"):
        t.equal([(3000, 4498500)], t.rows("wh.db", f"SELECT count(*), sum(id) FROM {table}"), table)


def database(t, rows=20000, name="s.db"):
    import sqlite3
    con = sqlite3.connect(t.path(name))
    con.executescript("CREATE TABLE sales(id INTEGER PRIMARY KEY, region TEXT, day DATE, amount REAL, n, raw BLOB, ok BOOL)")
    con.executemany("INSERT INTO sales VALUES(?, ?, ?, ?, ?, ?, ?)",
                    ((i, f"region {i // 1000:02d}", f"2024-01-{i % 28 + 1:02d}", i / 4, i if i % 2 else f"n{i}",
                      bytes([0, i % 256]), i % 2) for i in range(rows)))
    con.commit()
    con.close()


@scenario("sources", "smoke")
def a_table_of_a_database_is_copied_value_by_value(t):
    database(t)
    r = t.run("run", "--sqlite", "s.db", "--sqlite-table", "sales", "--into", "sqlite:wh.db", "--table", "c",
              "--output", "json").json
    t.equal((20000, 20000), (r["load"]["rows_read"], r["load"]["rows_loaded"]), "rows")
    t.equal([("id", "INTEGER"), ("region", "TEXT"), ("day", "TEXT"), ("amount", "REAL"), ("n", ""), ("raw", ""),
             ("ok", "INTEGER")], t.rows("wh.db", "SELECT name, type FROM pragma_table_info('c')"), "columns")
    want = t.rows("s.db", "SELECT *, typeof(n), typeof(raw) FROM sales ORDER BY id")
    t.equal(want, t.rows("wh.db", "SELECT *, typeof(n), typeof(raw) FROM c ORDER BY rowid"), "values")


@scenario("sources")
def a_query_keeps_its_order_and_goes_through_sql(t):
    database(t)
    t.run("run", "--sqlite", "s.db", "--query", "SELECT region, amount FROM sales ORDER BY id DESC", "--batch-rows", 3000,
          "--sql", "SELECT region, sum(amount) AS a FROM batch GROUP BY region ORDER BY region DESC",
          "--into", "sqlite:wh.db", "--table", "c")
    t.equal(49997500.0, t.one("wh.db", "SELECT sum(a) FROM c"), "sum")
    t.equal([("region 19",), ("region 18",)], t.rows("wh.db", "SELECT region FROM c ORDER BY rowid LIMIT 2"), "order")


@scenario("sources")
def a_killed_query_goes_on_where_it_stopped(t):
    database(t)
    args = ("run", "--sqlite", "s.db", "--query", "SELECT * FROM sales ORDER BY id", "--batch-rows", 50,
            "--into", "sqlite:wh.db", "--table", "k")
    for _ in range(2):
        t.run(*args, want=-9, env=dies_at_commit())
    r = resumed(t, args)
    t.true(r["resumed"], "resumed")
    t.equal([(20000, 20000, 199990000)],
            t.rows("wh.db", "SELECT count(*), count(DISTINCT id), sum(id) FROM k"), "rows")


@scenario("sources")
def a_query_over_changed_rows_is_not_resumed(t):
    database(t)
    args = ("run", "--sqlite", "s.db", "--query", "SELECT * FROM sales ORDER BY id", "--batch-rows", 50,
            "--into", "sqlite:wh.db", "--table", "k")
    t.run(*args, want=-9, env=dies_at_commit())
    import sqlite3
    con = sqlite3.connect(t.path("s.db"))
    con.execute("UPDATE sales SET amount = -1 WHERE id = 5")
    con.commit()
    r = t.run(*args, want=1)
    t.says(r, "s.db: the query gives other values in the rows 0-", "--fresh starts over")
    con.execute("DELETE FROM sales")
    con.commit()
    con.close()
    t.says(t.run(*args, want=1), "s.db: the query gives no more the rows 0-")
    resumed(t, (*args, "--fresh"))
    t.equal(0, t.one("wh.db", "SELECT count(*) FROM k"), "rows after --fresh")


@scenario("sources")
def only_the_new_rows_of_a_query_are_loaded_again(t):
    import sqlite3
    database(t, 1000)
    args = ("run", "--sqlite", "s.db", "--query", "SELECT * FROM sales ORDER BY id", "--into", "sqlite:wh.db",
            "--table", "k")
    resumed(t, args)
    con = sqlite3.connect(t.path("s.db"))
    con.execute("INSERT INTO sales(id) VALUES(1000), (1001)")
    con.commit()
    con.close()
    t.equal(2, resumed(t, args)["rows_read"], "rows read by the second run")
    t.equal(1002, t.one("wh.db", "SELECT count(*) FROM k"), "rows")


@scenario("sources")
def a_poison_row_of_a_query_stands_alone(t):
    database(t, 3000)
    r = t.run("run", "--sqlite", "s.db", "--query", "SELECT id, region FROM sales ORDER BY id", "--retries", 1,
              "--sql", "SELECT id, CASE WHEN id = 2001 THEN json('{') ELSE id END AS v FROM batch",
              "--into", "sqlite:wh.db", "--table", "k", "--bad-rows", 1, "--output", "json", want=3).json
    t.equal((3000, 2999, 1), tuple(r["load"][k] for k in ("rows_read", "rows_loaded", "rows_rejected")), "rows")
    t.equal([(None, 2001, b"2001,region 02")],
            t.rows("wh.db", "SELECT line, byte_offset, raw FROM k_rejects"), "the reject")


@scenario("sources")
def rows_that_are_no_text_are_rejected(t):
    import sqlite3
    con = sqlite3.connect(t.path("s.db"))
    con.executescript("CREATE TABLE t(a, b); INSERT INTO t VALUES(1, 'good'), (2, CAST(x'41ff' AS TEXT)), "
                      "(3, CAST(x'4100' AS TEXT)), (4, 'x')")
    con.close()
    args = ("run", "--sqlite", "s.db", "--sqlite-table", "t", "--into", "sqlite:wh.db", "--bad-rows", 4)
    t.run(*args, "--table", "k", want=3)
    t.equal([(1, "good"), (4, "x")], t.rows("wh.db", "SELECT * FROM k"), "rows")
    t.equal([(2, "b", "byte 1 of the text is not UTF-8"), (3, "b", "NUL byte at 1 of the text")],
            t.rows("wh.db", 'SELECT byte_offset, "column", reason FROM k_rejects ORDER BY 1'), "rejects")
    t.run(*args, "--type", "a=boolean", "--table", "typed", want=3)
    t.equal([(1, "good")], t.rows("wh.db", "SELECT * FROM typed"), "rows of a given type")
    t.equal([(4, "a", "the value is not of the type boolean")], t.rows(
        "wh.db", 'SELECT byte_offset, "column", reason FROM typed_rejects ORDER BY 1 DESC LIMIT 1'), "reject")


@scenario("sources", "smoke", "threads")
def whole_groups_stay_in_one_batch(t):
    database(t)
    args = ("run", "--sqlite", "s.db", "--batch-by", "region", "--into", "sqlite:wh.db",
            "--sql", "SELECT region, count(*) AS n FROM batch GROUP BY region ORDER BY region")
    for size in (("--batch-rows", 1), ("--batch-rows", 1500), ("--batch-bytes", "1"), ()):
        t.run(*args, *size, "--query", "SELECT * FROM sales ORDER BY region", "--table", "g", "--mode", "replace")
        t.equal([(f"region {i:02d}", 1000) for i in range(20)],
                t.rows("wh.db", "SELECT region, n FROM g ORDER BY rowid"), f"groups with {size}")
    r = t.run(*args, "--query", "SELECT * FROM sales ORDER BY id % 10000", "--table", "x", want=2)
    t.says(r, "batch.by: the group 'region 00' begins at row 0 and again at row 2; the rows must come ordered")


@scenario("sources")
def a_group_that_always_fails_is_rejected_as_a_whole(t):
    database(t, 5000)
    r = t.run("run", "--sqlite", "s.db", "--batch-by", "region", "--query", "SELECT region, id FROM sales ORDER BY id",
              "--sql", "SELECT region, count(*) AS n, json(CASE WHEN max(id) = 2999 THEN '{' END) AS v FROM batch "
              "GROUP BY region", "--into", "sqlite:wh.db", "--table", "g", "--retries", 0, "--bad-rows", 1000,
              "--output", "json", want=3).json
    t.equal((5000, 1000), (r["load"]["rows_read"], r["load"]["rows_rejected"]), "rows")
    t.equal([(f"region {i:02d}", 1000) for i in (0, 1, 3, 4)], t.rows("wh.db", "SELECT region, n FROM g ORDER BY 1"),
            "groups")
    t.equal([(1000, 2000, 2999)], t.rows("wh.db", "SELECT count(*), min(byte_offset), max(byte_offset) FROM g_rejects"),
            "rejects")


@scenario("sources")
def a_group_above_the_limit_is_an_error(t):
    import sqlite3
    con = sqlite3.connect(t.path("s.db"))
    con.executescript("CREATE TABLE t(g, x); INSERT INTO t VALUES('small', 1); "
                      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
                      "INSERT INTO t SELECT 'large', hex(zeroblob(60000)) FROM n;")
    con.close()
    r = t.run("run", "--sqlite", "s.db", "--query", "SELECT * FROM t ORDER BY g DESC", "--batch-by", "g",
              "--memory", "16MiB", "--into", "null:", want=2)
    t.says(r, "batch.by: the group 'large' has more than 8388608 bytes", "raise --memory")
    t.run("run", "--sqlite", "s.db", "--query", "SELECT * FROM t ORDER BY g DESC", "--batch-by", "g",
          "--memory", "64MiB", "--into", "null:")


@scenario("sources")
def mistakes_about_a_database_are_told(t):
    database(t, 10)
    t.says(t.run("run", "--sqlite", "s.db", "--sqlite-table", "sales", "--table", "sales",
                 "--into", "sqlite:s.db", want=2),
           "the table sales of s.db is both read and loaded into: load into another table")
    t.write("no.db", "this is no database, but long enough to be looked at" * 100)
    for args, says in (
        (("--sqlite", "s.db"), "--sqlite: what shall be read of it? give source.query or source.sqlite_table"),
        (("--sqlite", "s.db", "--query", "SELECT 1", "--sqlite-table", "sales"), "only one of them can be"),
        (("--sqlite", "gone.db", "--sqlite-table", "t"), "gone.db does not exist"),
        (("--sqlite", "no.db", "--sqlite-table", "t"), "no.db is not a SQLite database"),
        (("--sqlite", "s.db", "--sqlite-table", "tt"), "source.sqlite_table: "),
        (("--sqlite", "s.db", "--query", "DELETE FROM sales"), "source.query: "),
        (("--sqlite", "s.db", "--query", "SELECT regio FROM sales"), "no such column: regio"),
        (("--sqlite", "s.db", "--query", "ATTACH 'x' AS y"), "source.query: "),
        (("--sqlite", "s.db", "--sqlite-table", "sales", "--batch-by", "regio"),
         "batch.by: the query has no column 'regio'"),
        (("--csv", "x.csv", "--batch-by", "a"), "only a source that comes in rows keeps groups together"),
        (("--csv", "x.csv", "--query", "SELECT 1"), "it is about sqlite and postgres, which is not the source"),
    ):
        t.says(t.run("run", *args, "--into", "null:", want=2), says)


@scenario("sources")
def a_query_that_never_ends_can_be_interrupted(t):
    import signal
    database(t, 10)
    endless = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 5000"
    p = t.start("run", "--sqlite", "s.db", "--query", endless, "--batch-rows", 100, "--into", "sqlite:wh.db",
                "--table", "k")

    def some_are_loaded():
        try:
            return t.one("wh.db", "SELECT count(*) FROM k") >= 1000
        except Exception:  # not there yet, or locked
            return False
    t.wait_until(some_are_loaded, "rows of the query")
    p.send_signal(signal.SIGINT)
    t.equal(130, t.finish(p).code, "exit code")


@scenario("sources")
def what_others_write_during_a_query_is_not_seen(t):
    import sqlite3
    database(t, 20000)
    con = sqlite3.connect(t.path("s.db"))
    con.execute("PRAGMA journal_mode = WAL")
    args = ("run", "--sqlite", "s.db", "--query", "SELECT id, amount FROM sales ORDER BY id", "--batch-rows", 100,
            "--into", "sqlite:wh.db", "--table", "k")
    p = t.start(*args)
    while p.poll() is None:  # as long as it reads
        con.execute("UPDATE sales SET amount = -1 - amount WHERE id > 0")
        con.commit()
    t.equal(0, t.finish(p).code, "exit code")
    con.close()
    t.equal(20000, t.one("wh.db", "SELECT count(*) FROM k"), "rows")
    t.equal(1, t.one("wh.db", "SELECT count(DISTINCT amount < 0) FROM k WHERE id > 0"), "states that were seen")


def listening(t, *args, endpoint="tcp://127.0.0.1:0"):
    from test_hosts import Program
    import re
    p = Program(t, [t.tranche, "run", *args, "-j", "0", "--listen", endpoint, "--output", "json"])
    p.says("listening on ")
    p.endpoint = re.search(r"listening on (\S+)", p.text).group(1)
    return p


@scenario("sources", "hosts")
def rows_travel_to_other_hosts(t):
    from test_hosts import keys, worker
    database(t)
    keys(t, "anna")
    for table, source, want in (
            ("r", ("--range", 30000, "--sql", "SELECT i AS id FROM batch"), 449985000),
            ("q", ("--sqlite", "s.db", "--query", "SELECT id FROM sales ORDER BY id", "--batch-rows", 500), 199990000)):
        c = listening(t, *source, "--into", "sqlite:wh.db", "--table", table)
        w = worker(t, c, "anna")
        c.ends(0)
        w.ends(0)
        t.equal(want, t.one("wh.db", f"SELECT sum(id) FROM {table}"), f"sum of {table}")


@scenario("sources", "hosts")
def a_result_of_other_data_is_not_taken_over(t):
    import os
    import signal
    import sqlite3
    from test_hosts import is_resting, keys, wait_for_commits, worker
    database(t, 4000)
    keys(t, "anna")
    args = ("--sqlite", "s.db", "--query", "SELECT id, amount FROM sales ORDER BY id", "--batch-rows", 50,
            "--into", "sqlite:wh.db", "--table", "k", "--sql",
            "SELECT id, amount, (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 150000) "
            "SELECT count(*) FROM c) AS burnt FROM batch")
    c = listening(t, *args)
    w = worker(t, c, "anna")
    wait_for_commits(t, 2)
    os.kill(c.p.pid, signal.SIGSTOP)
    kids, quiet = t.children(w.p.pid), 0

    def idle():
        nonlocal quiet
        quiet = quiet + 1 if is_resting(kids) else 0
        return quiet > 60
    t.wait_until(idle, "the worker has finished what it had")
    c.kill()
    w.says("is lost")
    loaded = t.one("wh.db", "SELECT max(id) FROM k")
    con = sqlite3.connect(t.path("s.db"))
    con.execute("UPDATE sales SET amount = -1 WHERE id > ?", (loaded,))
    con.commit()
    con.close()
    again = listening(t, *args, endpoint=c.endpoint)
    again.ends(0)
    w.ends(0)
    t.equal([(4000, 3999 - loaded)], t.rows("wh.db", "SELECT count(*), sum(amount = -1) FROM k"),
            "rows, and those that were changed")


@scenario("sources")
def elements_of_a_list_are_rows(t):
    lines = [{"id": i, "of": {"name": f"n{i}"}, "items": [{"sku": f"s{i}-{k}", "n": k} for k in range(i % 4)]}
             for i in range(3000)]
    lines[5].pop("items")
    text = "".join(json.dumps(line) + "\n" for line in lines)
    t.write("a.json", text + '{"id": 3000, "items": 7}\n' +
            '{"items": [{"sku": "x"}, {"n": "no number"}], "id": 3001}\n{"items": [{"sku": "last"}], "id": 3002}\n')
    args = ("run", "--jsonl", "a.json", "--rows", "items[*]", "--fields", "id,of.name,items.sku,items.n",
            "--type", "items.n=integer", "--into", "sqlite:wh.db", "--bad-rows", 9, "--batch-bytes", "4KiB")
    r = t.run(*args, "--table", "j", "--output", "json", want=3).json
    want = [(line["id"], line["of"]["name"], item["sku"], item["n"]) for line in lines for item in line.get("items", ())]
    want.append((3002, None, "last", None))
    t.equal((3003, 3001, len(want), 2),
            tuple(r["load"][k] for k in ("rows_read", "rows_parsed", "rows_loaded", "rows_rejected")), "rows")
    t.equal(want, t.rows("wh.db", "SELECT * FROM j ORDER BY rowid"), "the elements, with what their lines have")
    t.equal([(3001, None, "items is not a list"), (3002, "items.n", "'no number' is not an integer")],
            t.rows("wh.db", 'SELECT line, "column", reason FROM j_rejects ORDER BY line'), "rejects")
    t.run(*args, "--table", "k", want=-9, env=dies_at_commit())
    resumed(t, args + ("--table", "k"), want=3)
    t.equal(want, t.rows("wh.db", "SELECT * FROM k ORDER BY rowid"), "the same after a kill")
