"""Ways to load: upsert, incremental, indexes; files and standard output; what grew and what changed."""

import gzip
import os
import re
import shutil
import sqlite3
import subprocess

from kit import Failed, dies_at_commit, read_csv, scenario

SMALL = ("--batch-bytes", "4KiB", "--output", "json")


def people(rows):
    return "id,name,n\n" + "".join(f"{i},{name},{n}\n" for i, name, n in rows)


# ---- upsert

@scenario("ways", "smoke")
def upsert_keeps_the_last_row_of_each_key_and_says_how_many_it_replaced(t):
    rows = [(i % 700, f"p{i}", i) for i in range(5000)]
    t.write("a.csv", people(rows))
    args = ("run", "--csv", "a.csv", "--into", "sqlite:wh.db", "--table", "p", "--mode", "upsert", "--key", "id",
            "--index", "name", *SMALL)
    r = t.run(*args).json
    t.equal((5000, 4300), (r["rows_loaded"], r["rows_replaced"]), "loaded, replaced")
    last = sorted({i: (i, name, n) for i, name, n in rows}.values())
    t.equal(last, t.rows("wh.db", "SELECT * FROM p ORDER BY id"), "the last row of each key")
    t.write("a.csv", people([(3, "new", 1), (9000, "more", 2)]))
    r = t.run(*args).json
    t.equal((2, 1), (r["rows_loaded"], r["rows_replaced"]), "loaded, replaced")
    t.equal([(701,)], t.rows("wh.db", "SELECT count(*) FROM p"), "rows")
    t.equal([("new",)], t.rows("wh.db", "SELECT name FROM p WHERE id = 3"), "the replaced row")
    t.equal([("p_id_key",), ("p_name_idx",)],
            t.rows("wh.db", "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'p' ORDER BY 1"),
            "indexes")
    t.intact("wh.db")


@scenario("ways")
def upsert_wants_a_unique_key_of_a_table_that_is_there(t):
    t.write("a.csv", people([(1, "x", 1)]))
    con = sqlite3.connect(t.path("wh.db"))
    con.execute("CREATE TABLE p(id INTEGER, name TEXT, n INTEGER)")
    con.commit()
    args = ("run", "--csv", "a.csv", "--into", "sqlite:wh.db", "--table", "p", "--mode", "upsert", "--key", "id")
    said = t.run(*args, want=2)
    t.says(said, "has no UNIQUE index or PRIMARY KEY")
    con.execute(re.search(r"CREATE UNIQUE INDEX .*", said.err).group(0))
    con.close()
    t.run(*args)
    t.equal([(1, "x", 1)], t.rows("wh.db", "SELECT * FROM p"), "rows")


@scenario("ways")
def columns_that_the_result_lacks_are_named_before_anything_is_done(t):
    t.write("a.csv", people([(1, "x", 1)]))
    for flags in (("--mode", "upsert", "--key", "idd"), ("--mode", "incremental", "--watermark", "idd"),
                  ("--index", "name,idd")):
        for command in ("run", "check"):
            t.says(t.run(command, "--csv", "a.csv", "--into", "sqlite:wh.db", *flags, want=2),
                   "the result has no column 'idd'; did you mean 'id'?")
    t.true(not os.path.exists(t.path("wh.db")) or t.rows("wh.db", "SELECT count(*) FROM sqlite_schema") == [(0,)],
           "nothing was made")


# ---- incremental

@scenario("ways", "smoke")
def incremental_takes_only_rows_above_the_greatest_that_is_loaded(t):
    args = ("run", "--csv", "a.csv", "--into", "sqlite:wh.db", "--table", "p", "--mode", "incremental",
            "--watermark", "n", *SMALL)
    t.write("a.csv", people([(i, "x", i) for i in range(1000)]))
    r = t.run(*args).json
    t.equal((1000, 0), (r["rows_loaded"], r["rows_skipped"]), "loaded, skipped")
    t.write("a.csv", people([(i, "y", i) for i in range(500, 1500)]))
    r = t.run(*args).json
    t.equal((1000, 500, 500, 500), (r["rows_read"], r["rows_emitted"], r["rows_loaded"], r["rows_skipped"]),
            "read, emitted, loaded, skipped")
    t.equal([(1500, 1500, 500)], t.rows("wh.db", "SELECT count(*), count(DISTINCT id), sum(name = 'y') FROM p"), "rows")
    t.says(t.run(*args[:-2]), "skipped by watermark, at or below what is loaded: 1,000")


@scenario("ways", "smoke")
def daily_totals_of_sales_are_loaded_day_by_day(t):
    con = sqlite3.connect(t.path("sales.db"))
    con.execute("CREATE TABLE customer_sales(ds TEXT, customer INTEGER, amount REAL)")
    t.write("sales.yaml", """
source:
  sqlite: sales.db
  query: SELECT ds, count(*) AS sales, sum(amount) AS total FROM customer_sales
         WHERE ds > :watermark AND ds < '2024-03-03' GROUP BY ds ORDER BY ds
load: {into: 'sqlite:wh.db', table: daily, mode: incremental, watermark: ds, indexes: [[ds]]}
""".replace("'2024-03-03'", "(SELECT max(ds) FROM customer_sales)"))
    for day in range(1, 8):
        con.executemany("INSERT INTO customer_sales VALUES(?,?,?)",
                        [(f"2024-03-{day:02}", c, day + c) for c in range(100)])
        con.commit()
        r = t.run("run", "sales.yaml", "--output", "json").json
        t.equal(0 if day == 1 else 1, r["rows_loaded"], f"days loaded on day {day}")
    want = con.execute("SELECT ds, count(*), sum(amount) FROM customer_sales WHERE ds < '2024-03-07' GROUP BY ds "
                       "ORDER BY ds").fetchall()
    t.equal(want, t.rows("wh.db", "SELECT * FROM daily ORDER BY ds"), "daily totals")
    con.close()


# ---- files

@scenario("ways", "smoke")
def csv_into_csv_gives_the_same_fields_in_the_same_order(t):
    want = read_csv(t.data("flights-slice.csv"))
    for size in ("777", "64KiB", "auto"):
        t.run("run", "--csv", t.data("flights-slice.csv"), "--into", f"csv:{size}.csv", "--batch-bytes", size)
        t.equal(want, read_csv(t.path(f"{size}.csv")), f"rows with batches of {size}")
    r = t.run("run", "--csv", t.data("flights-slice.csv"), "--into", "csv:777.csv", "--output", "json").json
    t.equal((0, "loaded"), (r["rows_loaded"], r["status"]), "a second run")
    t.leaves_nothing()


@scenario("ways")
def a_tail_that_was_appended_to_the_input_is_appended_to_the_output(t):
    t.write("a.csv", people([(1, "x", 1), (2, '"q,""r"""', 2)]))
    args = ("run", "--csv", "a*.csv", "--into", "jsonl:out.jsonl")
    t.run(*args)
    with open(t.path("a.csv"), "a") as f:
        f.write("3,z,3\n")
    t.write("a0.csv", people([(0, "w", 0)]))
    t.run(*args)
    t.equal('{"id":1,"name":"x","n":1}\n{"id":2,"name":"q,\\"r\\"","n":2}\n{"id":3,"name":"z","n":3}\n'
            '{"id":0,"name":"w","n":0}\n', open(t.path("out.jsonl")).read(), "the output")


@scenario("ways")
def parts_together_have_every_row_once(t):
    t.write("a.csv", people([(i, "x" * 60, i) for i in range(1200000)]))
    t.run("run", "--csv", "a.csv", "--into", "csv:out/part-*.csv")
    parts = sorted(f for f in os.listdir(t.path("out")) if f.endswith(".csv"))
    t.equal([f"part-{i + 1:05}.csv" for i in range(len(parts))], parts, "names")
    t.true(len(parts) > 1, "more than one part")
    ids = []
    for p in parts:
        with open(t.path("out", p)) as f:
            t.equal("id,name,n\n", f.readline(), "the header")
            ids += [int(line.split(",")[0]) for line in f]
    t.equal(list(range(1200000)), ids, "ids")


FILE_POINTS = ("begin-before-commit begin-after-commit file-after-create file-after-cut file-after-write:1 "
               "file-after-write:7 file-after-sync commit-after-ledger:3 commit-before-commit commit-after-commit "
               "finish-before-begin finish-before-commit finish-after-commit").split()


@scenario("ways")
def a_coordinator_that_dies_at_any_step_leaves_a_file_that_the_next_one_completes(t):
    t.write("a.csv", people([(i, f"row {i}", i) for i in range(3000)]))
    want = open(t.path("a.csv")).read()
    for mode, points in (("append", FILE_POINTS + ["file-after-rename"]), ("replace", FILE_POINTS + ["file-after-swap"])):
        for point in points:
            for f in os.listdir(t.dir):
                if f.startswith("out.csv"):
                    os.unlink(t.path(f))
            args = ("run", "--csv", "a.csv", "--into", "csv:out.csv", "--mode", mode, *SMALL)
            t.run(*args, env={"TRANCHE_CRASH_AT": point}, want=-9)
            if mode == "replace" and os.path.exists(t.path("out.csv")):
                t.equal(want, open(t.path("out.csv")).read(), f"what readers see after {point}")
            t.run(*args)
            t.equal(want, open(t.path("out.csv")).read(), f"after {point}, {mode}")


@scenario("ways")
def a_coordinator_that_dies_at_any_step_of_an_upsert_or_an_index_loses_nothing(t):
    rows = [(i % 300, f"p{i}", i) for i in range(3000)]
    t.write("a.csv", people(rows))
    last = sorted({i: (i, name, n) for i, name, n in rows}.values())
    for mode in (("upsert", "--key", "id"), ("incremental", "--watermark", "n")):
        for point in ("begin-before-commit", "begin-after-commit", "commit-after-rows:3", "commit-after-ledger:2",
                      "commit-before-commit", "commit-after-commit", "finish-after-index", "finish-after-index:2",
                      "finish-before-commit", "finish-after-commit"):
            if os.path.exists(t.path("wh.db")):
                os.unlink(t.path("wh.db"))
            args = ("run", "--csv", "a.csv", "--into", "sqlite:wh.db", "--table", "p", "--mode", *mode,
                    "--index", "n", "--index", "name,n", *SMALL)
            t.run(*args, env={"TRANCHE_CRASH_AT": point}, want=-9)
            t.run(*args)
            want = last if mode[0] == "upsert" else rows
            t.equal(want, t.rows("wh.db", "SELECT * FROM p ORDER BY " + ("id" if mode[0] == "upsert" else "n")),
                    f"rows after {point}, {mode[0]}")
            t.equal(2, t.one("wh.db", "SELECT count(*) FROM sqlite_schema WHERE name IN ('p_n_idx', 'p_name_n_idx')"),
                    f"indexes after {point}")
            t.intact("wh.db")


@scenario("ways")
def a_full_folder_ends_the_run_or_is_waited_for_and_nothing_is_torn(t):
    t.write("a.csv", people([(i, "x" * 100, i) for i in range(60000)]))
    os.mkdir(t.path("small"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", t.path("small")],
                      capture_output=True).returncode:
        return  # no right to mount here
    t.cleanups.append(lambda: subprocess.run(["umount", t.path("small")]))
    args = ("run", "--csv", "a.csv", "--into", "csv:small/out.csv")
    p = t.start(*args)
    line = b""
    while b"no space left" not in line:
        line = p.stderr.readline()
        t.true(line, "it says that there is no space")
    subprocess.run(["mount", "-o", "remount,size=40m", t.path("small")], check=True)
    done = t.finish(p)
    t.equal(0, done.code, "exit code")
    t.equal(open(t.path("a.csv")).read(), open(t.path("small", "out.csv")).read(), "the output")


@scenario("ways")
def places_that_cannot_take_a_file_are_said(t):
    t.write("a.csv", people([(1, "x", 1)]))
    os.mkdir(t.path("folder"))
    for into, text in (("csv:nowhere/out.csv", "does not exist: create it first"), ("csv:folder", "is a folder"),
                       ("jsonl:/proc/out.jsonl", "out.jsonl"), ("csv:a.csv", "is among the inputs")):
        said = t.run("run", "--csv", "a.csv", "--into", into, want=(1, 2))
        t.says(said, text)
    t.equal(people([(1, "x", 1)]), open(t.path("a.csv")).read(), "the input")


@scenario("ways")
def a_file_system_that_is_read_only_is_said(t):
    os.mkdir(t.path("ro"))
    if subprocess.run(["mount", "-t", "tmpfs", "none", t.path("ro")], capture_output=True).returncode:
        return  # no right to mount here
    t.cleanups.append(lambda: subprocess.run(["umount", t.path("ro")]))
    subprocess.run(["mount", "-o", "remount,ro", t.path("ro")], check=True)
    for more in (["csv:ro/out.csv"], ["jsonl:ro/out.jsonl"], ["csv:ro/part-*.csv"], ["sqlite:ro/wh.db", "--table", "t"],
                 ["csv:ro/sum.csv", "--compute", "n=count(*)"]):
        t.says(t.run("run", "--range", 5, "--into", *more, want=2), "the file system of its folder is read-only")
    t.says(t.run("run", "--range", 5, "--into", "csv:ro/new/part-*.csv", want=1),
           "its folder ro/new can't be made: Read-only file system")
    r = t.run("run", "--range", 5, "--into", "stdout:", env={"TRANCHE_HOME": t.path("ro", "home")})
    t.says(r, "no history is kept of this run")
    t.equal("i\n0\n1\n2\n3\n4\n", r.out, "rows")


@scenario("ways", "smoke", "threads")
def standard_output_gets_rows_and_nothing_else(t):
    t.write("a.csv", people([(1, "x", 1), (2, "y", 2)]))
    r = t.run("run", "--csv", "a.csv", "--into", "stdout:")
    t.equal(people([(1, "x", 1), (2, "y", 2)]), r.out, "standard output")
    t.true("balanced" in r.err, "the report is on standard error")
    r = t.run("run", "--csv", "a.csv", "--into", "stdout:jsonl", "--sql", "SELECT id FROM batch", "--output", "json")
    t.equal('{"id":1}\n{"id":2}\n', r.out, "standard output")
    t.write("bad.csv", "id,n\n1,2\n3\n")
    r = t.run("run", "--csv", "bad.csv", "--into", "stdout:", "--bad-rows", "1", want=3)
    t.equal("id,n\n1,2\n", r.out, "standard output")
    t.says(r, "rejected: bad.csv, line 3")
    r = t.run("run", "--csv", "bad.csv", "--into", "null:", "--bad-rows", "1", want=3)
    t.says(r, "rejected rows are not kept")
    t.true("bad_rejects" not in r.out, "no table of rejects is named")


@scenario("ways")
def a_reader_that_has_enough_ends_the_run(t):
    t.write("a.csv", people([(i, "x" * 50, i) for i in range(300000)]))
    p = t.start("run", "--csv", "a.csv", "--into", "stdout:")
    t.equal(b"id,name,n\n", p.stdout.readline(), "the header")
    p.stdout.close()
    err = p.stderr.read().decode()
    t.equal(1, p.wait(), "exit code")
    t.true("has closed it" in err and "continues" not in err, err)


@scenario("ways")
def rejects_of_a_file_stand_beside_it(t):
    t.write("a.csv", "id,n\n1,2\n3\n4,5\n")
    t.run("run", "--csv", "a.csv", "--into", "csv:out.csv", "--bad-rows", "1", want=3)
    t.equal("id,n\n1,2\n4,5\n", open(t.path("out.csv")).read(), "the output")
    rows = read_csv(t.path("out.csv.rejects"))
    t.equal(["run", "file", "line", "byte_offset", "column", "reason", "raw"], rows[0], "header")
    t.equal(("1", "a.csv", "3", "9", "3"), (rows[1][0], rows[1][1], rows[1][2], rows[1][3], rows[1][6]), "the reject")


# ---- unique violations

@scenario("ways")
def a_row_that_breaks_a_rule_of_the_table_is_refused_in_every_mode(t):
    t.write("a.csv", people([(1, "x", 1), (2, "x", 2), (3, "z", 3), (3, "w", 4)]))
    for mode, loaded, refused in ((("append",), 2, 2), (("upsert", "--key", "id"), 3, 1),
                                  (("incremental", "--watermark", "n"), 2, 2)):
        if os.path.exists(t.path("wh.db")):
            os.unlink(t.path("wh.db"))
        con = sqlite3.connect(t.path("wh.db"))
        con.execute("CREATE TABLE p(id INTEGER UNIQUE, name TEXT UNIQUE, n INTEGER)")
        con.commit()
        con.close()
        r = t.run("run", "--csv", "a.csv", "--into", "sqlite:wh.db", "--table", "p", "--mode", *mode,
                  "--bad-rows", "9", "--output", "json", want=3).json
        t.equal((4, loaded, refused), (r["rows_emitted"], r["rows_loaded"], r["rows_refused"]), f"counts of {mode[0]}")
        t.true(r["load"]["balanced"], "balanced")
        t.equal(refused, t.one("wh.db", "SELECT count(*) FROM p_rejects WHERE reason LIKE 'UNIQUE constraint failed%'"),
                f"rejects of {mode[0]}")


# ---- what grew, and what changed

def append(t, *more, want=0):
    return t.run("run", "--csv", "in/*", "--into", "sqlite:wh.db", "--table", "p", "--output", "json", *more, want=want)


def ids(t):
    return [i for (i,) in t.rows("wh.db", "SELECT id FROM p ORDER BY rowid")]


@scenario("ways")
def files_that_grow_come_or_go_are_followed(t):
    t.write("in/m.csv", people([(1, "x", 1), (2, "x", 2)]))
    append(t)
    with open(t.path("in/m.csv"), "a") as f:
        f.write("3,x,3\n")
    t.equal(1, append(t).json["rows_loaded"], "rows of the tail")
    t.write("in/a.csv", people([(10, "a", 1)]))  # sorts before the other
    t.equal(1, append(t).json["rows_loaded"], "rows of the new file")
    os.rename(t.path("in/a.csv"), t.path("kept.csv"))  # loaded whole, and gone
    t.equal(0, append(t).json["rows_loaded"], "nothing new")
    os.rename(t.path("kept.csv"), t.path("in/a.csv"))
    t.equal(0, append(t).json["rows_loaded"], "it is known when it is back")
    t.equal([1, 2, 3, 10], ids(t), "rows")


@scenario("ways")
def a_file_that_was_cut_after_its_last_line_grows_only_with_a_line_end(t):
    t.write("in/m.csv", "id,name,n\n1,x,1\n2,x,2")
    append(t)
    with open(t.path("in/m.csv"), "a") as f:
        f.write("2\n3,x,3\n")
    t.says(append(t, want=1), "m.csv grew after byte", "--fresh starts over")
    t.equal([1, 2], ids(t), "rows")
    append(t, "--fresh")
    t.equal([(1, 1), (2, 22), (3, 3)], t.rows("wh.db", "SELECT id, n FROM p ORDER BY id"), "rows")


@scenario("ways")
def a_changed_middle_is_refused_with_its_bytes(t):
    t.write("in/m.csv", people([(i, "x", i) for i in range(2000)]))
    append(t, "--batch-bytes", "4KiB")
    text = open(t.path("in/m.csv")).read()
    t.write("in/m.csv", text.replace("\n1000,x,", "\n1000,y,"))
    said = append(t, want=1)
    t.says(said, "in/m.csv changed: bytes ", "--fresh starts over")
    begin, end = map(int, re.search(r"bytes (\d+)-(\d+) are not", said.err).groups())
    t.true(begin <= text.index("\n1000,x,") < end and end - begin <= 8192, f"{begin}-{end} holds the change")
    t.write("in/m.csv", text[:1000])
    t.says(append(t, want=1), "m.csv changed: it has 1000 bytes now")
    append(t, "--fresh", "--bad-rows", "1", want=(0, 3))


@scenario("ways")
def another_file_of_the_same_size_is_seen_though_its_time_was_put_back(t):
    t.write("in/m.csv", people([(1, "x", 1), (2, "x", 2)]))
    before = os.stat(t.path("in/m.csv"))
    append(t)
    t.write("new.csv", people([(1, "x", 1), (2, "y", 2)]))
    os.utime(t.path("new.csv"), ns=(before.st_atime_ns, before.st_mtime_ns))
    os.rename(t.path("new.csv"), t.path("in/m.csv"))
    t.equal(before.st_mtime_ns, os.stat(t.path("in/m.csv")).st_mtime_ns, "the time")
    t.says(append(t, want=1), "in/m.csv changed: bytes ")


@scenario("ways")
def a_file_that_was_written_in_place_is_seen_though_its_time_was_put_back(t):
    t.write("in/m.csv", people([(1, "x", 1), (2, "x", 2)]))
    before = os.stat(t.path("in/m.csv"))
    append(t)
    with open(t.path("in/m.csv"), "r+") as f:
        f.write(people([(1, "x", 1), (2, "z", 2)]))
    os.utime(t.path("in/m.csv"), ns=(before.st_atime_ns, before.st_mtime_ns))
    after = os.stat(t.path("in/m.csv"))
    t.equal((before.st_mtime_ns, before.st_ino, before.st_size), (after.st_mtime_ns, after.st_ino, after.st_size),
            "time, number, size")
    t.says(append(t, want=1), "in/m.csv changed: bytes ")


@scenario("ways")
def a_renamed_file_is_a_new_file(t):
    t.write("in/m.csv", people([(1, "x", 1)]))
    append(t)
    os.rename(t.path("in/m.csv"), t.path("in/n.csv"))
    t.equal(1, append(t).json["rows_loaded"], "rows: names tell files apart")


@scenario("ways")
def a_compressed_file_that_grows_is_followed_and_one_that_changed_is_not(t):
    def pack(rows):
        t.write("in/m.csv.gz", gzip.compress(people(rows).encode()))
    pack([(i, "x", i) for i in range(1000)])
    append(t, "--batch-bytes", "4KiB")
    pack([(i, "x", i) for i in range(1200)])
    t.equal(200, append(t).json["rows_loaded"], "rows of the tail")
    pack([(i, "y" if i == 100 else "x", i) for i in range(1300)])
    t.says(append(t, want=1), "m.csv.gz", "changed")
    pack([(i, "x", i) for i in range(900)])
    t.says(append(t, want=1), "m.csv.gz")
    t.equal(1200, t.one("wh.db", "SELECT count(*) FROM p"), "rows")


def part_of(t, name, commits=1):
    """An unfinished load that has a part of this input."""
    t.run("run", "--csv", "in/*", "--into", "sqlite:wh.db", "--table", "p", "--batch-bytes", "100KiB",
          env=dies_at_commit(commits), want=-9)
    t.true(t.one("wh.db", "SELECT count(*) FROM p") > 0, f"a part of {name} is in")


@scenario("ways")
def a_partly_loaded_file_that_vanished_is_missed(t):
    for name, pack in (("m.csv", lambda b: b), ("m.csv.gz", gzip.compress)):
        shutil.rmtree(t.path("in"), ignore_errors=True)
        if os.path.exists(t.path("wh.db")):
            os.unlink(t.path("wh.db"))
        t.write(f"in/{name}", pack(people([(i, "x" * 500, i) for i in range(20000)]).encode()))
        part_of(t, name, 9)
        os.rename(t.path(f"in/{name}"), t.path("away"))
        t.write("in/z.csv", people([(99999, "z", 1)]))
        if name.endswith(".gz"):
            loaded = t.one("wh.db", "SELECT sum(byte_end - byte_begin) FROM tranche_ledger")
            t.true(loaded > os.path.getsize(t.path("away")), "more bytes of the stream are in than the file has")
        t.says(append(t, want=1), f"{name} is not among the inputs any more", "Bring the file back")
        os.rename(t.path("away"), t.path(f"in/{name}"))
        append(t)
        t.equal(20001, t.one("wh.db", "SELECT count(DISTINCT id) FROM p"), "rows")
        t.equal(20001, t.one("wh.db", "SELECT count(*) FROM p"), "rows")
