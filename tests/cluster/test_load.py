"""Loading: what goes in comes out, whatever it is cut into."""

import gzip
import os
import re
import signal
import sqlite3
import subprocess
from contextlib import closing

from kit import Failed, dies_at_commit, read_csv, scenario

KEYS = ("run status rows_read rows_parsed rows_rejected rows_emitted rows_loaded rows_refused "
        "chunks chunks_cached retries bytes_read seconds workers table").split()


@scenario("load", "smoke", "threads")
def superstore_is_loaded_exactly(t):
    r = t.run("run", "--csv", t.data("superstore.csv"), "--into", "sqlite:wh.db", "--table",
              "orders", "--output", "json").json
    for k in KEYS:
        t.true(k in r, f"the JSON line has {k}")
    t.equal(9994, r["rows_loaded"], "rows_loaded")
    t.equal("loaded", r["status"], "status")
    t.equal([(9994, 2297200.8603)], t.rows("wh.db", "SELECT count(*), round(sum(Sales), 4) FROM orders"), "sums")
    t.intact("wh.db")
    want = [r[16] for r in read_csv(t.data("superstore.csv"))[1:]]
    got = [x for (x,) in t.rows("wh.db", 'SELECT "Product Name" FROM orders ORDER BY rowid')]
    t.equal(want, got, "product names, byte for byte and in order")
    t.leaves_nothing()


@scenario("load")
def every_row_of_the_flights_slice_arrives_in_order_for_any_batch_size(t):
    want = [tuple(r) for r in read_csv(t.data("flights-slice.csv"))[1:]]
    for size in ("64KiB", "1MiB", "auto", "777"):
        t.run("run", "--csv", t.data("flights-slice.csv"), "--into", f"sqlite:f{size}.db", "--table", "f",
              "--batch-bytes", size)
        got = t.rows(f"f{size}.db", "SELECT date, CAST(delay AS TEXT), CAST(distance AS TEXT), origin, "
                     "destination FROM f ORDER BY rowid")
        t.equal(want, got, f"rows with batches of {size}")


@scenario("load")
def unordered_loads_the_same_rows(t):
    for flag, db in (("true", "a.db"), ("false", "b.db")):
        t.run("run", "--csv", t.data("flights-slice.csv"), "--into", f"sqlite:{db}", "--table", "f",
              "--batch-bytes", "32KiB", "--ordered", flag)
    sql = "SELECT * FROM f ORDER BY 1,2,3,4,5"
    t.equal(t.rows("a.db", sql), t.rows("b.db", sql), "rows")


@scenario("load", "smoke")
def a_second_append_of_the_same_files_loads_nothing(t):
    for rows in (9994, 0):
        r = t.run("run", "--csv", t.data("superstore.csv"), "--into", "sqlite:wh.db", "--table", "o",
                  "--output", "json").json
        t.equal(rows, r["rows_loaded"], "rows_loaded")
    t.equal(9994, t.one("wh.db", "SELECT count(*) FROM o"), "rows")


@scenario("load")
def append_by_another_path_to_the_database_is_another_load_and_says_so(t):
    t.write("a.csv", "id\n1\n2\n")
    os.symlink(".", t.path("link"))
    args = ("--csv", "a.csv", "--table", "t", "--into")
    t.run("run", *args, "sqlite:wh.db")
    t.true("another load" not in t.last.err, "the first load")
    for n, into in enumerate(("link/wh.db", "./wh.db", t.path("wh.db")), 2):
        t.says(t.run("run", *args, f"sqlite:{into}"), ": load ", ", started ", ", has a.csv already. This is another load ",
               "the command of then loads only what is new")
        t.equal(n * 2, t.one("wh.db", "SELECT count(*) FROM t"), "rows")
    t.run("run", *args, "sqlite:wh.db")
    t.true("another load" not in t.last.err, "the same again")
    t.run("run", *args[:2], "--table", "u", "--into", "sqlite:./wh.db")
    t.true("another load" not in t.last.err, "another table")
    t.run("run", *args, "sqlite:../" + os.path.basename(t.dir) + "/wh.db", "--mode", "replace")
    t.true("another load" not in t.last.err, "a replace")


@scenario("load")
def a_refused_run_leaves_the_table_to_others_and_replace_always_works(t):
    t.write("x.csv", "a,b\n1,2\n3,4\n")
    t.write("y.csv", "a,b\n9,9\n")
    x, y = (("run", "--csv", f, "--into", "sqlite:wh.db", "--table", "t", "--output", "quiet") for f in ("x.csv", "y.csv"))
    states = "SELECT group_concat(state) FROM tranche_runs"
    t.run(*x)
    t.write("x.csv", "a,b\n1,2\n3,5\n")
    t.says(t.run(*x, want=1), "x.csv changed: ", "--fresh starts over")
    t.true("same command continues" not in t.last.err, "it would be refused again")
    t.equal("complete", t.one("wh.db", states), "after a refusal")
    t.run(*y)
    with closing(sqlite3.connect(t.path("wh.db"))) as db, db:
        db.execute("DELETE FROM t WHERE a = 1")
    t.says(t.run(*x, "--fresh", want=2), "can't be dropped: ", "--mode replace puts a new table in the place of all of it")
    t.equal("complete,complete", t.one("wh.db", states), "after another")
    t.run(*x, "--mode", "replace", "--fresh")
    t.equal([(1, 2), (3, 5)], t.rows("wh.db", "SELECT * FROM t"), "rows")
    t.run(*y, env=dies_at_commit(), want=-signal.SIGKILL)
    t.says(t.run(*x, want=2), "another unfinished load", "--mode replace replaces all of the table")
    t.run(*x, "--mode", "replace")
    t.equal("replaced,replaced,replaced,replaced,complete", t.one("wh.db", states), "in the end")


@scenario("load")
def a_load_that_ended_before_its_first_commit_is_in_nobodys_way(t):
    t.write("a.csv", "a\n1\n2\n")
    for into in ("sqlite:wh.db", "csv:out.csv"):
        job = ("run", "--csv", "a.csv", "--into", into, *(() if into[:3] == "csv" else ("--table", "t")))
        ledger = into.split(":")[1] + (".ledger" if into[:3] == "csv" else "")
        t.run(*job, "--sql", "SELECT a + 1 AS a FROM batch", want=-signal.SIGKILL, env={"TRANCHE_CRASH_AT": "begin-after-commit"})
        t.run(*job)
        t.equal([("dropped",), ("complete",)], t.rows(ledger, "SELECT state FROM tranche_runs ORDER BY load_id"), "loads")
        p = t.start(*job, "--sql", "SELECT a + 2 AS a FROM batch", env={"TRANCHE_STOP_AT": "begin-after-commit"})
        t.wait_until(lambda: len(t.rows(ledger, "SELECT 1 FROM tranche_runs")) == 3, "another one has begun")
        t.says(t.run(*job, "--sql", "SELECT a + 3 AS a FROM batch", want=2, env={"TRANCHE_HOME": t.path("other")}),
               "another unfinished load", "with 0 rows so far")
        p.kill()
        t.finish(p)
        t.run(*job, "--sql", "SELECT a + 3 AS a FROM batch")
    t.equal([(1,), (2,), (4,), (5,)], t.rows("wh.db", "SELECT a FROM t ORDER BY a"), "rows")
    with open(t.path("out.csv")) as f:
        t.equal("a\n1\n2\n4\n5\n", f.read(), "out.csv")


@scenario("load")
def what_was_committed_without_a_row_and_what_another_boot_began_stays_in_the_way(t):
    t.write("a.csv", "a\n" + "1\n" * 20000)
    x = ("run", "--csv", "a.csv", "--into", "sqlite:wh.db", "--table", "t", "--batch-bytes", "16KiB")
    none = ("--sql", "SELECT a FROM batch WHERE a > 5")
    t.run(*x, *none, env=dies_at_commit(), want=-signal.SIGKILL)
    t.says(t.run(*x, want=2), "another unfinished load", "with 0 rows so far")
    t.run(*x, *none)
    t.run(*x, "--sql", "SELECT a + 1 AS a FROM batch", want=-signal.SIGKILL, env={"TRANCHE_CRASH_AT": "begin-after-commit"})
    with closing(sqlite3.connect(t.path("wh.db"))) as db, db:
        host = db.execute("SELECT host FROM tranche_runs WHERE state = 'loading'").fetchone()[0]
        t.true(re.fullmatch(r".+ \(boot [0-9a-f]{8}\)", host), host)
        db.execute("UPDATE tranche_runs SET host = ? WHERE state = 'loading'", (host[:-9] + "00000000)",))
    t.says(t.run(*x, want=2), "another unfinished load", "(boot 00000000)")


@scenario("load")
def a_run_without_new_work_shows_the_sheet_of_all_runs_as_that(t):
    t.write("a.csv", "id\n1\nx\n")
    args = ("run", "--csv", "a.csv", "--type", "id=integer", "--into", "sqlite:wh.db", "--table", "t", "--bad-rows")
    t.run(*args, 1, want=3)
    whole = "all that this load has, with what earlier runs of it did:"
    t.true(whole not in t.last.out, "the first run")
    t.says(t.run(*args, 1, want=3), "nothing new since the last run", whole)
    t.says(t.run(*args, 0, want=4), whole, "1 row was rejected by earlier runs of this load, limits.bad_rows allows fewer")


@scenario("load")
def another_transform_of_a_file_that_is_in_says_that_it_comes_again(t):
    t.write("a.csv", "id\n1\n2\n")
    args = ("run", "--csv", "a.csv", "--into", "sqlite:wh.db", "--table", "t")
    t.run(*args)
    t.says(t.run(*args, "--sql", "SELECT id FROM batch WHERE id > 1"), ": load 1, started ", ", has a.csv already. This is another load (the job, ",
           "--mode replace takes their place")
    t.equal(3, t.one("wh.db", "SELECT count(*) FROM t"), "rows")


@scenario("load")
def the_summary_names_the_file_as_seen_from_the_current_folder(t):
    os.mkdir(t.path("in"))
    t.write("in/a.csv", "id\n1\nx\n")
    source = "source: {csv: a.csv, types: {id: integer}}\nlimits: {bad_rows: 1}\n"
    t.write("in/db.yaml", source + "load: {into: sqlite:wh.db, table: t}\n")
    t.write("in/text.yaml", source + "load: {into: 'csv:out-*.csv'}\n")
    t.says(t.run("run", "in/db.yaml", want=3), "1 rows into sqlite:in/wh.db (table t)")
    t.says(t.run("run", "in/text.yaml", want=3), "1 rows into csv:in/out-*.csv in ", "stand in in/out-.csv.rejects ")
    t.true(os.path.exists(t.path("in/out-.csv.rejects")), "there it is")


@scenario("load")
def append_takes_only_the_new_tail_and_the_new_file(t):
    t.write("a-1.csv", "id,v\n1,x\n2,y\n")
    args = ("run", "--csv", "a-*.csv", "--into", "sqlite:wh.db", "--table", "t", "--output", "json")
    t.equal(2, t.run(*args).json["rows_loaded"], "first")
    with open(t.path("a-1.csv"), "a") as f:
        f.write("3,z\n")
    t.write("a-0.csv", "id,v\n0,w\n")
    t.equal(2, t.run(*args).json["rows_loaded"], "second")
    t.equal([(0, "w"), (1, "x"), (2, "y"), (3, "z")], t.rows("wh.db", "SELECT * FROM t ORDER BY id"), "rows")


@scenario("load")
def a_changed_middle_is_refused_and_fresh_starts_over(t):
    t.write("a.csv", "id,v\n1,x\n2,y\n")
    args = ("run", "--csv", "a.csv", "--into", "sqlite:wh.db", "--table", "t")
    t.run(*args)
    t.write("a.csv", "id,v\n1,X\n2,y\n3,z\n")
    r = t.run(*args, want=(1, 2))
    t.says(r, "a.csv", "changed", "--fresh")
    t.equal([(1, "x"), (2, "y")], t.rows("wh.db", "SELECT * FROM t"), "rows")
    t.run(*args, "--fresh")
    t.equal([(1, "X"), (2, "y"), (3, "z")], t.rows("wh.db", "SELECT * FROM t"), "rows after --fresh")


@scenario("load", "smoke", "threads")
def replace_swaps_in_the_new_table(t):
    t.write("a.csv", "id\n1\n2\n")
    args = ("run", "--csv", "a.csv", "--into", "sqlite:wh.db", "--table", "t", "--mode", "replace")
    t.run(*args)
    t.write("a.csv", "id\n3\n")
    t.run(*args)
    t.equal([(3,)], t.rows("wh.db", "SELECT * FROM t"), "rows")
    names = {n for (n,) in t.rows("wh.db", "SELECT name FROM sqlite_schema WHERE type='table'")}
    t.equal({"t", "t_rejects", "tranche_runs", "tranche_ledger"}, names, "tables")


@scenario("load")
def replace_past_the_limit_swaps_nothing_in(t):
    t.write("a.csv", "id\n1\n")
    args = ("run", "--csv", "a.csv", "--into", "sqlite:wh.db", "--table", "t", "--mode", "replace",
            "--type", "id=integer")
    t.run(*args)
    t.write("a.csv", "id\n2\nx\n")
    t.run(*args, want=4)
    t.equal([(1,)], t.rows("wh.db", "SELECT * FROM t"), "the old rows stand")


@scenario("load", "smoke", "threads")
def gz_zst_and_stdin_give_the_rows_of_the_plain_file(t):
    plain = open(t.data("flights-slice.csv"), "rb").read()
    t.write("f.csv", plain)
    with gzip.open(t.path("f.csv.gz"), "wb") as f:
        f.write(plain)
    subprocess.run(["zstd", "-q", t.path("f.csv"), "-o", t.path("g.csv.zst")], check=True)
    t.run("run", "--csv", "f.csv", "--into", "sqlite:plain.db", "--table", "f")
    t.run("run", "--csv", "f.csv.gz", "--into", "sqlite:gz.db", "--table", "f")
    t.run("run", "--csv", "g.csv.zst", "--into", "sqlite:zst.db", "--table", "f")
    t.run("run", "--csv", "-", "--into", "sqlite:stdin.db", "--table", "f", input=plain)
    want = t.rows("plain.db", "SELECT * FROM f ORDER BY rowid")
    for db in ("gz.db", "zst.db", "stdin.db"):
        t.equal(want, t.rows(db, "SELECT * FROM f ORDER BY rowid"), db)


@scenario("load")
def odd_files_are_read_as_they_are(t):
    cases = {
        "crlf": b"a,b\r\n1,x\r\n2,y\r\n", "bom": b"\xef\xbb\xbfa,b\n1,x\n2,y\n",
        "no final newline": b"a,b\n1,x\n2,y", "quoted": b'"a","b"\n"1","x"\n2,"y"\n',
        "blank lines": b"a,b\n\n1,x\n\n2,y\n\n",
    }
    for i, (name, data) in enumerate(cases.items()):
        t.write("o.csv", data)
        t.run("run", "--csv", "o.csv", "--into", f"sqlite:o{i}.db", "--table", "t")
        t.equal([(1, "x"), (2, "y")], t.rows(f"o{i}.db", "SELECT a, b FROM t"), name)


@scenario("load")
def newlines_and_quotes_inside_fields_survive(t):
    values = ['a\nb', 'say "hi"', 'a,b', '', ' x ', 'ä\r\nö', '"', '""', "'"]
    text = "id,v\n" + "".join('%d,"%s"\n' % (i, v.replace('"', '""')) for i, v in enumerate(values))
    t.write("q.csv", text)
    t.run("run", "--csv", "q.csv", "--into", "sqlite:q.db", "--table", "t", "--batch-bytes", "1")
    t.equal(list(enumerate(values)), t.rows("q.db", "SELECT id, v FROM t ORDER BY rowid"), "values")


@scenario("load")
def a_header_without_rows_gives_an_empty_table(t):
    t.write("h.csv", "a,b\n")
    r = t.run("run", "--csv", "h.csv", "--into", "sqlite:h.db", "--table", "t", "--output", "json").json
    t.equal(0, r["rows_loaded"], "rows_loaded")
    t.equal([], t.rows("h.db", "SELECT a, b FROM t"), "rows")


@scenario("load")
def two_thousand_columns_and_a_field_of_16_mib_fit(t):
    big = "x" * (16 << 20)
    head = ",".join(f"c{i}" for i in range(2000))
    t.write("wide.csv", head + "\n" + ",".join(str(i) for i in range(2000)) + "\n")
    t.run("run", "--csv", "wide.csv", "--into", "sqlite:w.db", "--table", "t")
    t.equal([(0, 1999)], t.rows("w.db", "SELECT c0, c1999 FROM t"), "wide row")
    t.write("big.csv", f"a,b\n1,{big}\n2,y\n")
    t.run("run", "--csv", "big.csv", "--into", "sqlite:b.db", "--table", "t")
    t.equal([("1", 16 << 20), ("2", 1)], t.rows("b.db", "SELECT CAST(a AS TEXT), length(b) FROM t ORDER BY a"),
            "long field")


@scenario("types")
def inferred_numbers_round_trip_and_the_rest_stays_text(t):
    t.write("t.csv", "zip,code,id,n,r,d\n"
            "00501,1e5,12345678901234567890,42,1.5,2016-11-08\n"
            "10001,2e7,12345678901234567891,-7,2,2016-11-09\n")
    t.run("run", "--csv", "t.csv", "--into", "sqlite:t.db", "--table", "t")
    t.equal([("text", "text", "text", "integer", "real", "text")],
            t.rows("t.db", "SELECT typeof(zip), typeof(code), typeof(id), typeof(n), typeof(r), typeof(d) "
                   "FROM t LIMIT 1"), "types")
    t.equal([("00501",), ("10001",)], t.rows("t.db", "SELECT zip FROM t"), "zip")


@scenario("types")
def a_late_value_that_does_not_fit_is_kept_as_text_and_counted(t):
    rows = "".join(f"{i},{i}\n" for i in range(400000))
    t.write("m.csv", "id,n\n" + rows + "400000,surprise\n" + rows)
    r = t.run("run", "--csv", "m.csv", "--into", "sqlite:m.db", "--table", "m", "--output", "json").json
    t.equal(800001, r["rows_loaded"], "rows_loaded")
    kind = t.one("m.db", "SELECT typeof(n) FROM m WHERE id = 400000")
    t.equal("text", kind, "type of the late value")
    t.equal("surprise", t.one("m.db", "SELECT n FROM m WHERE id = 400000"), "late value")


@scenario("types", "smoke", "threads")
def bad_rows_go_to_the_rejects_with_everything_to_find_them(t):
    t.write("b.csv", 'id,n\n1,5\n2,abc\n"3\n3",7,8\n4,9\n')
    args = ("run", "--csv", "b.csv", "--into", "sqlite:b.db", "--table", "t", "--type", "n=integer")
    t.run(*args, "--output", "json", "--bad-rows", "2", want=3)
    t.equal([("1", 5), ("4", 9)], t.rows("b.db", "SELECT CAST(id AS TEXT), n FROM t ORDER BY rowid"), "rows")
    got = t.rows("b.db", "SELECT line, byte_offset, column, CAST(raw AS TEXT) FROM t_rejects ORDER BY line")
    t.equal([(3, 9, "n", "2,abc"), (4, 15, None, '"3\n3",7,8')],
            [(a, b, c or None, d) for a, b, c, d in got], "rejects")
    r = t.run(*args, "--output", "json", want=4).json
    t.equal("limit passed", r["status"], "status with no bad rows allowed")


@scenario("load")
def many_files_balance_one_by_one(t):
    for i in range(25):
        t.write(f"part-{i:02}.csv", "k,v\n" + "".join(f"{i},{j}\n" for j in range(i * 10)))
    r = t.run("run", "--csv", "part-*.csv", "--into", "sqlite:p.db", "--table", "p", "--output", "json").json
    t.equal(sum(i * 10 for i in range(25)), r["rows_loaded"], "rows_loaded")
    t.true(r["load"]["balanced"], "balanced")
    t.equal([(i, i * 10) for i in range(1, 25)],
            t.rows("p.db", "SELECT k, count(*) FROM p GROUP BY k ORDER BY k"), "rows a file")


@scenario("load")
def the_job_file_does_what_the_flags_do(t):
    t.write("in.csv", "a;b\n1;x\n")
    t.write("job.yaml", "name: j\nsource:\n  csv: in.csv\n  delimiter: ';'\nload:\n  into: sqlite:wh.db\n  table: t\n")
    t.run("check", "job.yaml")
    t.run("run", "job.yaml")
    t.equal([(1, "x")], t.rows("wh.db", "SELECT * FROM t"), "rows")
    r = t.run("runs")
    t.says(r, "loaded")
    t.true(os.path.exists(t.path(".tranche", "runs.db")), "runs.db beside the job")


@scenario("load")
def deleting_the_state_folder_never_doubles_rows(t):
    t.write("a.csv", "id\n1\n2\n")
    args = ("run", "--csv", "a.csv", "--into", "sqlite:wh.db", "--table", "t")
    t.run(*args)
    subprocess.run(["rm", "-rf", t.path(".tranche")], check=True)
    t.run(*args)
    t.equal(2, t.one("wh.db", "SELECT count(*) FROM t"), "rows")


@scenario("load")
def an_existing_wal_database_stays_wal(t):
    import sqlite3
    con = sqlite3.connect(t.path("wal.db"))
    con.execute("PRAGMA journal_mode=WAL")
    con.execute("CREATE TABLE other(x)")
    con.commit()
    con.close()
    t.run("run", "--csv", t.data("superstore.csv"), "--into", "sqlite:wal.db", "--table", "o")
    t.equal("wal", t.one("wal.db", "PRAGMA journal_mode"), "journal mode")
    t.equal(9994, t.one("wal.db", "SELECT count(*) FROM o"), "rows")


@scenario("load")
def refused_rows_of_a_unique_table_are_counted(t):
    import sqlite3
    con = sqlite3.connect(t.path("u.db"))
    con.execute("CREATE TABLE u(id INTEGER UNIQUE, v TEXT)")
    con.commit()
    con.close()
    t.write("u.csv", "id,v\n1,a\n2,b\n1,c\n3,d\n")
    r = t.run("run", "--csv", "u.csv", "--into", "sqlite:u.db", "--table", "u", "--bad-rows", "5",
              "--output", "json", want=3).json
    t.equal((4, 3, 1), (r["rows_emitted"], r["rows_loaded"], r["rows_refused"]), "emitted, loaded, refused")
    t.equal([(1, "a"), (2, "b"), (3, "d")], t.rows("u.db", "SELECT * FROM u ORDER BY id"), "rows")
    if "UNIQUE" not in t.one("u.db", "SELECT reason FROM u_rejects"):
        raise Failed("the reject names the constraint")
