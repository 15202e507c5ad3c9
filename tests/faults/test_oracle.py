"""The oracle must be able to say no: each way to damage a warehouse is found, and an honest one is fine."""

import os
import shutil
import sqlite3
import subprocess

import oracle
import pg as postgres
from kit import scenario

ROWS = 4000
COLUMNS = ["id", "v", "name"]


def bad(i):
    return i % 900 == 7


def transform(row):
    return (int(row[0]), int(row[1]) * 2, row[2]) if row[1] != "none" else None


def load(t, into):
    t.write("in.csv", "id,v,name\n" + "".join(f"{i},{'none' if bad(i) else i * 7919 % 10007},n{i % 50}\n" for i in range(ROWS)))
    r = t.run("run", "--csv", "in.csv", "--into", into, "--table", "k", "--type", "v=integer", "--sql",
              "SELECT id, v * 2 AS v, name FROM batch", "--batch-bytes", "4KiB", "--bad-rows", "9", "--output", "json", want=3)
    return r, oracle.Reference(t.path("in.csv"), t.path("ref.db"), COLUMNS, transform)


def finds(t, found, *parts):
    for part in parts:
        t.true(any(part in f for f in found), f"the oracle found {part!r}; it said {found}")


SAME_COUNT = "UPDATE k SET v = v + 2 WHERE id = 100; UPDATE k SET v = v - 2 WHERE id = 101"
DAMAGE = {  # what is done, and which letters must speak
    "a row is lost": ("DELETE FROM k WHERE id = 100", "(a) count", "lost", "(b)"),
    "a row is doubled": ("INSERT INTO k SELECT * FROM k WHERE id = 100", "(a) count", "doubled", "(b)"),
    "two rows have other values, and the sums are right": (SAME_COUNT, "lost", "unexpected", "(b)"),
    "a chunk is not in the ledger": ("DELETE FROM tranche_ledger WHERE byte_begin = (SELECT max(byte_begin) FROM tranche_ledger)", "(b)", "(d)"),
    "a chunk's count is wrong": ("UPDATE tranche_ledger SET rows_loaded = rows_loaded - 1 WHERE byte_begin = (SELECT min(byte_begin) FROM "
                                 "tranche_ledger)", "(b)", "(c)"),
    "a reject is gone": ("DELETE FROM k_rejects WHERE line = (SELECT min(line) FROM k_rejects)", "(c)"),
    "the load is not complete": ("UPDATE tranche_runs SET state = 'running'", "(d)"),
}
SWAPPED = ("UPDATE k SET id = -1, v = (SELECT v FROM k WHERE id = 3000), name = (SELECT name FROM k WHERE id = 3000) WHERE id = 100;"
           "UPDATE k SET id = 100, v = 100 * 7919 % 10007 * 2, name = 'n0' WHERE id = 3000; UPDATE k SET id = 3000 WHERE id = -1")


@scenario("oracle")
def the_oracle_finds_each_damage_to_a_warehouse_of_sqlite(t):
    r, ref = load(t, "sqlite:wh.db")
    shutil.copy(t.path("wh.db"), t.path("good.db"))

    def judge():
        return oracle.judge(ref, oracle.Sqlite(t.path("wh.db"), "k"), r.code, (3,), r.json)
    t.equal([], judge(), "what it says of an honest load")
    for name, (sql, *parts) in {**DAMAGE, "rows of two chunks are swapped": (SWAPPED, "(b)")}.items():
        shutil.copy(t.path("good.db"), t.path("wh.db"))
        con = sqlite3.connect(t.path("wh.db"))
        con.executescript(sql)
        con.close()
        finds(t, judge(), *parts)
    shutil.copy(t.path("good.db"), t.path("wh.db"))
    with open(t.path("wh.db"), "r+b") as f:
        f.seek(5 * 16384)
        f.write(b"\xff" * 16384)
    t.true(judge(), "a page of the database is overwritten")
    found = oracle.judge(ref, oracle.Sqlite(t.path("good.db"), "k"), 0, (3,), {"load": dict(r.json["load"], balanced=False)})
    finds(t, found, "(g) exit code 0, wanted 3", "(c) the report says")


@scenario("oracle")
def the_oracle_finds_each_damage_to_a_warehouse_of_postgresql(t):
    pg = postgres.Postgres(t)
    pg.psql("CREATE DATABASE good")
    r, ref = load(t, pg.at("good"))

    def judge(database):
        return oracle.judge(ref, oracle.Postgres(pg, "k", database), r.code, (3,), r.json)
    for i, (name, (sql, *parts)) in enumerate({"nothing": ("",), **DAMAGE}.items()):
        pg.psql(f"CREATE DATABASE damaged{i} TEMPLATE good")
        pg.do(sql, f"damaged{i}")
        found = judge(f"damaged{i}")
        t.equal(bool(parts), bool(found), f"whether it says something when {name}: {found}")
        finds(t, found, *parts)


@scenario("oracle")
def the_oracle_finds_what_is_left_of_programs(t):
    t.equal([], oracle.left_behind(t.dir), "what it says of an empty folder")
    p = subprocess.Popen(["sleep", "1000"], cwd=t.dir)
    dead = subprocess.Popen(["true"], cwd=t.dir)
    t.wait_until(lambda: oracle.zombies({os.getpid()}), "the zombie to be one")
    t.write("tmp/tranche-run-1/socket", "")
    t.write("wh.db-journal", "")
    found = oracle.left_behind(t.dir)
    p.kill()
    p.wait()
    dead.wait()
    finds(t, found, f"process {p.pid} is left: sleep", "is a zombie", "tmp/tranche-run-1 is left", "wh.db-journal is left")
