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
    args = ("run", "--jsonl", "k.json", "--fields", "id", "--batch-bytes", "16KiB", "--into", "sqlite:wh.db",
            "--table", "k")
    for n in (1, 4):
        t.run(*args, want=-9, env={"TRANCHE_CRASH_AT": f"commit-after-commit:{n}"})
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
