"""A whole table of PostgreSQL by several connections: the same rows as one would read, from one state,
and what happens when one of the connections breaks or does not come about."""

import os
import signal

from kit import dies_at_commit, scenario
from pg import Postgres
from pg_proxy import Proxy

MANY = 300000
# Every tenth row is gone and every seventh stands elsewhere: blocks have holes, some are empty.
MAKE = f"""CREATE TABLE t AS SELECT i, 'some text of row ' || i AS x, i * 0.25 AS n FROM generate_series(1, {MANY}) i;
DELETE FROM t WHERE i % 10 = 0 OR i BETWEEN 100000 AND 150000;
UPDATE t SET x = 'changed ' || i, n = n + 1 WHERE i % 7 = 0;"""
SUMS = "SELECT count(*), count(DISTINCT i), sum(i), sum(n), sum(length(x)) FROM t"
SEVERAL = (os.cpu_count() or 1) > 1


def made(t, more=""):
    pg = Postgres(t)
    pg.do(MAKE + more)
    return pg, tuple(float(v) for v in pg.rows(SUMS)[0])


def args(url, *more, table="t"):
    return ("run", "--postgres", url, "--postgres-table", table, "--into", "sqlite:wh.db", "--table", "t", *more)


def check(t, want):
    t.equal(want, tuple(float(v) for v in t.rows("wh.db", SUMS)[0]), "rows and sums")


def paused(t, pg):
    """A run that has read a megabyte, and waits."""
    line = Proxy(t, pg)
    line.pause_after(1 << 20)
    p = t.start(*args(line.at()))
    line.wait_paused(p)
    return line, p


@scenario("pg", "sources")
def a_table_with_holes_is_read_by_several_connections(t):
    pg, want = made(t)
    line, p = paused(t, pg)
    if SEVERAL:
        t.true(len(pg.backends()) > 1, "connections")
    line.go()
    t.equal(0, t.finish(p).code, "exit code")
    check(t, want)
    t.run(*args(pg.url), "--fresh", "--mode", "replace", "--sql", "SELECT i, x, n FROM batch", "--workers", 2)
    check(t, want)


@scenario("pg", "sources")
def a_killed_load_of_a_table_goes_on_where_it_stopped(t):
    pg, want = made(t, "CREATE ROLE reader LOGIN; GRANT SELECT ON t TO reader;")
    run = args(pg.at(user="reader"), "--batch-rows", 7000)
    for _ in range(2):
        t.run(*run, want=-9, env=dies_at_commit())
    # One connection finds the rows in the order in which several found them.
    t.wait_until(lambda: not pg.backends(), "the server has seen that they are gone")
    pg.do("ALTER ROLE reader CONNECTION LIMIT 1;")
    t.says(t.run(*run), *(["one connection reads it", "too many connections"] if SEVERAL else []))
    check(t, want)


@scenario("pg", "sources")
def a_view_is_read_by_one_connection_which_is_said(t):
    pg, want = made(t, "CREATE VIEW seen AS SELECT * FROM t;")
    t.says(t.run(*args(pg.url, table="seen")), "one connection reads it: it is not an ordinary table")
    check(t, want)


@scenario("pg", "faults")
def what_is_written_while_a_table_is_read_is_not_loaded(t):
    pg, want = made(t)
    line, p = paused(t, pg)
    pg.do("""DELETE FROM t WHERE i % 2 = 0; UPDATE t SET n = -1;
             INSERT INTO t SELECT -i, 'late', 0 FROM generate_series(1, 100000) i; VACUUM t;""")
    line.go()
    t.equal(0, t.finish(p).code, "exit code")
    check(t, want)


@scenario("pg", "faults")
def one_killed_connection_of_several_loses_nothing(t):
    pg, want = made(t)
    line, p = paused(t, pg)
    last = pg.one("SELECT pid FROM pg_stat_activity WHERE application_name = 'tranche' ORDER BY backend_start DESC LIMIT 1")
    t.equal("t", pg.one(f"SELECT pg_terminate_backend({last})"), "killed")
    line.go()
    done = t.finish(p)
    t.equal(1, done.code, "exit code")
    t.says(done, "tranche: postgresql://")
    t.equal(1, done.err.count("tranche: postgresql://"), "sentences")
    t.wait_until(lambda: not pg.backends(), "the other connections are gone")
    t.run(*args(line.at()))
    check(t, want)


@scenario("pg", "faults")
def a_table_that_is_waited_for_can_be_interrupted(t):
    pg, want = made(t)
    line, p = paused(t, pg)
    p.send_signal(signal.SIGINT)
    done = t.finish(p)
    t.equal(130, done.code, f"exit code\n{done}")
    line.go()
    t.wait_until(lambda: not pg.backends(), "all connections are gone")
    t.run(*args(line.at()))
    check(t, want)
