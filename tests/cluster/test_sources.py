"""Every source through the real programs: what is read, what is refused, what a resume does."""

import json

from kit import scenario


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
    for source in (("--range", 10007), ("--csv", "b.csv"), ("--lines", "l.txt")):
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
    args = ("run", "--range", 50000, "--batch-rows", 700, "--into", "sqlite:wh.db", "--table", "r")
    for n in (2, 5):
        t.run(*args, want=-9, env={"TRANCHE_CRASH_AT": f"commit-after-commit:{n}"})
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
