"""A whole table of a database, by rowids: who reads it, what a writer meets, what a resume does."""

import os
import sqlite3

from kit import dies_at_commit, needs_root, scenario
from test_hosts import Program, keys, worker
from test_sources import listening, resumed

UNSEEN = "does not see the state that is read"
COPY = "SELECT count(*), count(DISTINCT i), sum(i), sum(length(v)) FROM {}"


def table(t, rows=20000, mode="delete", name="s.db"):
    """Rowids with gaps: three apart, and a large one after each thousand."""
    con = sqlite3.connect(t.path(name), isolation_level=None)
    con.execute(f"PRAGMA journal_mode = {mode}")
    con.execute("CREATE TABLE t(i INTEGER, v TEXT, w)")
    con.execute("BEGIN")
    con.executemany("INSERT INTO t(rowid, i, v) VALUES(?, ?, ?)",
                    ((i * 3 + i // 1000 * 10**12, i, f"value {i}") for i in range(rows)))
    con.execute("COMMIT")
    return con


def args(*more, into="k"):
    return ("run", "--sqlite", "s.db", "--sqlite-table", "t", "--into", "sqlite:wh.db", "--table", into, *more)


def same_rows(t, into="k", rows=20000):
    t.equal([(rows, rows, rows * (rows - 1) // 2, t.one("s.db", "SELECT sum(length(v)) FROM t"))],
            t.rows("wh.db", COPY.format(into)), "rows")


@scenario("sources", "smoke", "threads")
def a_table_is_read_by_the_runners_in_both_journal_modes(t):
    for mode in ("delete", "wal"):
        con = table(t, mode=mode, name="s.db")
        for n, more in enumerate(((), ("--batch-rows", 100), ("--batch-rows", 1500), ("--batch-bytes", "4KiB"))):
            done = resumed(t, args(*more, into=f"{mode}{n}"))
            t.equal(20000, done["rows_read"], "rows read")
            same_rows(t, f"{mode}{n}")
            t.true(UNSEEN not in t.last.err, "the runners read it themselves")
        con.close()
        for f in os.listdir(t.dir):
            if f.startswith("s.db"):
                os.unlink(t.path(f))


@scenario("sources")
def batches_of_few_rows_of_a_table_go_in_trains(t):
    table(t, 900).close()
    for n in (1, 3):
        done = resumed(t, args("--batch-rows", n, into=f"k{n}"))
        t.equal(900 // n, done["chunks"], "batches")
        same_rows(t, f"k{n}", 900)


@scenario("sources")
def a_killed_table_goes_on_where_it_stopped(t):
    con = table(t)
    a = args("--batch-rows", 100)
    for _ in range(3):
        t.run(*a, want=-9, env=dies_at_commit())
        con.execute("CREATE TABLE IF NOT EXISTS other(x)")  # which is no part of it
        con.execute("INSERT INTO other VALUES(1)")
    r = resumed(t, args("--batch-rows", 170))
    t.true(r["resumed"], "resumed")
    same_rows(t)
    con.execute("INSERT INTO t VALUES(20000, 'value', 1), (20001, 'value', 1)")
    t.equal(2, resumed(t, a)["rows_read"], "rows read that were added")
    same_rows(t, rows=20002)
    con.close()


@scenario("sources")
def a_table_that_changed_is_not_resumed(t):
    for change, says in (("UPDATE t SET v = 'other' WHERE i = 5", "s.db: the table has other values in the rows 0-"),
                         ("INSERT INTO t(rowid, i) VALUES(1, -1)", "s.db: the table has other values in the rows 0-"),
                         ("DELETE FROM t WHERE i = 5", "s.db: the table has other values in the rows 0-"),
                         ("DELETE FROM t", "s.db: the table has no more the rows ")):
        con = table(t)
        t.run(*args("--batch-rows", 50), want=-9, env=dies_at_commit())
        con.execute(change)
        t.says(t.run(*args("--batch-rows", 50), want=1), says, "--fresh starts over")
        left = con.execute("SELECT count(*) FROM t").fetchone()[0]
        resumed(t, args("--fresh"))
        t.equal(left, t.one("wh.db", "SELECT count(*) FROM k"), "rows after --fresh")
        con.close()
        os.unlink(t.path("s.db"))
        os.unlink(t.path("wh.db"))


@scenario("sources")
def a_change_of_a_loaded_table_is_seen_when_its_log_is_written_back(t):
    for journal in ("wal", "delete"):
        for change in ("UPDATE t SET v = 'other' WHERE i = 5", "DELETE FROM t WHERE i = 5"):
            con = table(t)
            con.execute(f"PRAGMA journal_mode = {journal}")
            con.close()
            t.run(*args())
            t.says(t.run(*args()), "nothing new")
            con = sqlite3.connect(t.path("s.db"), isolation_level=None)
            con.execute(change)
            con.close()
            t.says(t.run(*args(), want=1), "s.db: the table has other values in the rows 0-", "--fresh starts over")
            os.unlink(t.path("s.db"))
            os.unlink(t.path("wh.db"))


@scenario("sources")
def a_poison_row_of_a_table_stands_alone_with_its_rowid(t):
    table(t, 3000).close()
    r = t.run(*args("--retries", 1, "--bad-rows", 1, "--output", "json", "--sql",
                    "SELECT i, CASE WHEN i = 2001 THEN json('{') ELSE v END AS v FROM batch"), want=3).json
    t.equal((3000, 2999, 1), tuple(r["load"][k] for k in ("rows_read", "rows_loaded", "rows_rejected")), "rows")
    t.equal([(None, 2001 * 3 + 2 * 10**12, b"2001,value 2001,")],
            t.rows("wh.db", "SELECT line, byte_offset, raw FROM k_rejects"), "the reject")


@scenario("sources", "hosts")
def what_is_committed_to_a_table_during_the_run_is_not_seen(t):
    keys(t, "anna")
    con = table(t, mode="wal")
    c = listening(t, *args("--batch-rows", 300)[1:])
    con.execute("UPDATE t SET v = 'other', i = -i")
    con.execute("DELETE FROM t WHERE rowid % 2")
    w = worker(t, c, "anna")
    c.ends(0)
    w.ends(0)
    t.true(UNSEEN in c.text, "the rows were sent")
    t.equal([(20000, 20000, 199990000, sum(len(f"value {i}") for i in range(20000)))], t.rows("wh.db", COPY.format("k")),
            "rows as they were")
    con.close()


@scenario("sources", "hosts")
def who_writes_with_a_rollback_journal_waits_and_the_rows_are_sent(t):
    keys(t, "anna")
    con = table(t)
    con.execute("PRAGMA busy_timeout = 0")
    c = listening(t, *args("--batch-rows", 300)[1:])
    con.execute("BEGIN IMMEDIATE")
    con.execute("UPDATE t SET v = 'other'")
    try:
        con.execute("COMMIT")
        t.true(False, "somebody reads: the commit must fail")
    except sqlite3.OperationalError as e:
        t.equal("database is locked", str(e), "error of the commit")
    w = worker(t, c, "anna")  # its runners find the lock of who waits
    c.ends(0)
    w.ends(0)
    t.true(UNSEEN in c.text, "the rows were sent")
    con.execute("COMMIT")
    t.equal(0, t.one("wh.db", "SELECT count(*) FROM k WHERE v = 'other'"), "rows that were not committed")
    t.equal([(20000, 20000)], t.rows("wh.db", "SELECT count(*), count(DISTINCT i) FROM k"), "rows")
    con.close()


@scenario("sources", "hosts")
def a_worker_of_this_host_reads_the_table_and_one_that_has_another_file_gets_its_rows(t):
    keys(t, "anna")
    os.mkdir(t.path("data"))
    con = table(t, name="data/s.db")
    con.close()
    source = ["--sqlite", "data/s.db", "--sqlite-table", "t", "--batch-rows", "300", "--into", "sqlite:wh.db"]
    exe = os.path.join(t.build, "tranche-worker")
    boxed = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs data && exec "$@"', "sh"]
    for name, before in (("sees", []), ("blind", boxed)):
        if before:
            needs_root()
        c = listening(t, *source, "--table", name)
        w = Program(t, [*before, exe, "--access", "anna.access", c.endpoint])
        c.ends(0)
        w.ends(0)
        t.true(UNSEEN not in c.text, "nobody was given a path in vain")
        t.equal([(20000, 20000, 199990000)], t.rows("wh.db", f"SELECT count(*), count(DISTINCT i), sum(i) FROM {name}"),
                "rows")


@scenario("sources")
def what_has_no_rowid_is_read_by_one_thread_and_that_is_said(t):
    con = table(t, 300)
    con.executescript("""
        CREATE TABLE keyed(i INTEGER PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO keyed SELECT i, v FROM t;
        CREATE VIEW seen AS SELECT i, v FROM t;
        CREATE TABLE hidden(rowid, _rowid_ TEXT, oid, i); INSERT INTO hidden SELECT 1, v, 2, i FROM t;
        CREATE TABLE shadow(rowid TEXT, i); INSERT INTO shadow SELECT 'x', i FROM t;
        CREATE TABLE below(i); INSERT INTO below(rowid, i) SELECT i - 1, i FROM t;
        CREATE TABLE above(i); INSERT INTO above(rowid, i) SELECT 9223372036854775807 - i, i FROM t;""")
    con.close()
    for name, why in (("keyed", "it is WITHOUT ROWID"), ("seen", "it is not an ordinary table"),
                      ("hidden", "its columns have taken all names of the rowid"), ("shadow", None),
                      ("below", "it has a negative rowid"), ("above", "or the largest there can be")):
        r = t.run("run", "--sqlite", "s.db", "--sqlite-table", name, "--into", "sqlite:wh.db", "--table", name)
        t.equal(bool(why), "one thread reads it" in r.err, f"what is said of {name}")
        t.says(r, why or "")
        t.equal([(300, 44850)], t.rows("wh.db", f"SELECT count(*), sum(i) FROM {name}"), name)


@scenario("sources")
def rows_of_very_different_sizes_fit_the_memory(t):
    con = table(t, 2000)
    con.execute("UPDATE t SET v = hex(zeroblob(100000)) WHERE i > 1500 AND i % 10 = 7")
    con.execute("INSERT INTO t(i, v) VALUES(2000, hex(zeroblob(8000000)))")
    con.close()
    resumed(t, args("--memory", "64MiB", "-j", 2))
    same_rows(t, rows=2001)


@scenario("sources")
def several_batches_of_a_table_are_in_flight_in_one_runner(t):
    table(t, 4000).close()
    done = t.run(*args("-j", 1, "--batch-rows", 100, "--concurrency", 8, "--exec", "cat", "--output", "json"))
    t.equal(4000, done.json["load"]["rows_loaded"], "rows loaded")
    same_rows(t, rows=4000)


@scenario("sources")
def only_the_new_rows_of_a_table_are_loaded_incrementally(t):
    con = table(t, 1000)
    a = args("--mode", "incremental", "--watermark", "i")
    t.run(*a)
    con.execute("UPDATE t SET v = 'not new' WHERE i < 1000")
    con.execute("INSERT INTO t(i, v) VALUES(1000, 'new'), (1001, 'new')")
    con.close()
    r = t.run(*a, "--output", "json").json
    t.equal(2, r["load"]["rows_loaded"], "new rows")
    t.equal([(1002, 2)], t.rows("wh.db", "SELECT count(*), sum(v = 'new') FROM k"), "rows")
