"""The same commands into PostgreSQL and into SQLite: the same rows, the same counts, the same refusals."""

import collections
import sqlite3

import pg as postgres
from kit import scenario
from test_pg_load import people

COUNTS = ("rows_read", "rows_parsed", "rows_rejected", "rows_emitted", "rows_loaded", "rows_refused", "rows_replaced",
          "rows_skipped", "rows_merged")


class Both:
    """Two warehouses that are given the same."""

    def __init__(self, t):
        self.t, self.pg, self.step = t, postgres.Postgres(t), 0

    def run(self, *args, want=0):
        """What both say, which must be the same; returns the counts of it."""
        t, said = self.t, []
        self.step += 1
        for into in (self.pg.url, "sqlite:wh.db"):
            done = t.run("run", "--csv", "k.csv", "--into", into, "--table", "k", "--batch-bytes", "4KiB", "--output", "json",
                         "--bad-rows", "9", *args, want=want)
            said.append({k: v for k, v in done.json.items() if k in COUNTS})
        t.equal(said[1], said[0], f"counts of step {self.step}: SQLite's, PostgreSQL's")
        return said[0]

    def do(self, sql):
        self.pg.do(sql)
        con = sqlite3.connect(self.t.path("wh.db"))
        con.executescript(sql)
        con.close()

    def same(self, want_rows, columns="id, name, n", table="k"):
        sql = f"SELECT {columns} FROM {table}"

        def plain(rows):
            texts = [["" if v is None else str(v) for v in row] for row in rows]
            return sorted([f"{float(v):.15g}" if v and v.strip("-.0123456789e") == "" else v for v in row] for row in texts)
        one, two = plain(self.pg.rows(sql)), plain(self.t.rows("wh.db", sql))
        count = collections.Counter
        one_more, two_more = (count(map(tuple, a)) - count(map(tuple, b)) for a, b in ((one, two), (two, one)))
        self.t.equal(([], []), (list(one_more)[:9], list(two_more)[:9]), f"rows after step {self.step} that only PostgreSQL has, or SQLite")
        self.t.equal((want_rows, want_rows), (len(one), len(two)), f"rows after step {self.step}")

    def indexed(self, columns):
        """Whether both have an index of exactly these columns."""
        found = [r[0] for r in self.pg.rows("SELECT indexdef FROM pg_indexes WHERE tablename = 'k'")]
        self.t.true(any(f"({columns})" in f for f in found), f"PostgreSQL's index of {columns} in {found}")
        names = [r[1] for r in self.t.rows("wh.db", "PRAGMA index_list(k)")]
        found = [", ".join(c[2] for c in self.t.rows("wh.db", f'PRAGMA index_info("{n}")')) for n in names]
        self.t.true(columns in found, f"SQLite's index of {columns} in {found}")


@scenario("pg")
def upsert_does_the_same_in_both_warehouses(t):
    both = Both(t)
    rows = [(i % 300, f"p{i}", i) for i in range(2000)] + [("", "nobody", 1)]
    t.write("k.csv", people(rows))
    flags = ("--mode", "upsert", "--key", "id", "--index", "name", "--index", "n,name")
    r = both.run(*flags, want=3)
    t.equal((2000, 1700, 1), (r["rows_loaded"], r["rows_replaced"], r["rows_refused"]), "loaded, replaced, refused")
    both.same(300)
    both.indexed("id")
    both.indexed("name")
    both.indexed("n, name")
    both.run(*flags, want=3)  # reads all of it again
    both.same(300)
    t.write("k.csv", people([(5, "five", 1), (900, "more", 2)]))
    both.run(*flags)
    both.same(301)
    t.write("k.csv", people([(i % 7, f"q{i % 3}", i) for i in range(500)]))
    both.run("--mode", "upsert", "--key", "id,name", want=2)  # no such unique key
    both.do("DROP TABLE k; CREATE TABLE k(id bigint, name text, n bigint); CREATE UNIQUE INDEX u ON k(name, id)")
    both.run("--mode", "upsert", "--key", "id,name", "--fresh")
    both.same(21)
    both.do("DROP TABLE k")
    both.run("--mode", "upsert", "--key", "id,name,n", "--fresh")
    both.same(500)
    both.run("--mode", "upsert", "--key", "nothing", "--fresh", want=2)


@scenario("pg")
def incremental_does_the_same_in_both_warehouses(t):
    both = Both(t)
    for watermark, make in (("n", lambda i: (i, f"p{i}", i * 3)), ("n", lambda i: (i, f"p{i}", i * 0.5)),
                            ("name", lambda i: (i, f"p{i:05} ä", 1)), ("id", lambda i: (i - 50, "Z" if i % 2 else "", 1))):
        flags = ("--mode", "incremental", "--watermark", watermark)
        t.write("k.csv", people(map(make, range(400))))
        t.equal(400, both.run(*flags)["rows_loaded"], "rows of the first run")
        t.equal(0, both.run(*flags)["rows_loaded"], "rows of the same again")
        t.write("k.csv", people(list(map(make, range(100, 700))) + [tuple("" if c == watermark else "1"
                                                                          for c in ("id", "name", "n"))]))
        r = both.run(*flags, want=3)
        t.equal((300, 1), (r["rows_loaded"], r["rows_refused"]), "new rows, refused")
        both.same(700)
        both.do("DROP TABLE k; DROP TABLE k_rejects; DROP TABLE tranche_runs; DROP TABLE tranche_ledger")


@scenario("pg")
def append_replace_and_their_indexes_do_the_same_in_both_warehouses(t):
    both = Both(t)
    t.write("k.csv", people([(i, f"p{i}", i) for i in range(700)]))
    both.run("--index", "n")
    both.run("--index", "n")  # nothing new
    both.indexed("n")
    with open(t.path("k.csv"), "a") as f:
        f.write("1000,tail,1\n")
    t.equal(1, both.run("--index", "n")["rows_loaded"], "the tail")
    both.same(701)
    both.run("--mode", "replace", "--index", "name")
    both.same(701)
    both.indexed("n")
    both.indexed("name")
    both.do("DROP INDEX k_n_idx; CREATE UNIQUE INDEX once ON k(id, n)")
    with open(t.path("k.csv"), "a") as f:
        f.write("1000,tail again,1\n")
    both.run("--mode", "replace", "--index", "name", want=2)
    both.same(701)
    both.do("DROP INDEX once")
    both.run("--mode", "replace", "--index", "name")
    both.same(702)
    both.run("--index", "nothing", "--fresh", want=2)
    both.same(702)


@scenario("pg")
def aggregates_and_merge_sql_do_the_same_in_both_warehouses(t):
    both = Both(t)
    t.write("k.csv", people([(i % 9, f"p{i % 4}", i) for i in range(3000)]))
    t.write("names.csv", "name,title\np0,zero\np1,one\np3,three\n")
    aggregate = ("--by", "id,name", "--compute", "s=sum(n)", "--compute", "m=max(n)", "--compute", "c=count(*)")
    both.run(*aggregate, "--mode", "replace", "--index", "s")
    both.same(36, "id, name, s, m, c")
    both.indexed("s")
    both.run(*aggregate, "--merge-sql", "SELECT name, sum(s) AS s, max(m) AS m, count(*) AS groups FROM parts GROUP BY name", "--index", "name")
    both.same(4, "name, s, m, groups")
    both.indexed("name")
    merge = ("--merge-sql", "SELECT id, max(n) - :low AS n FROM parts WHERE n > :low GROUP BY id", "--param", "low=SELECT 2000")
    both.run(*merge, want=2)  # their columns are gone
    both.same(4, "name, s, m, groups")
    both.do("DROP INDEX k_name_idx; DROP INDEX k_s_idx")
    both.run(*merge)
    both.same(9, "id, n")
    both.run("--merge-sql", "SELECT id, nothing FROM parts", want=2)
    both.same(9, "id, n")
