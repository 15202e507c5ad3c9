"""Rows of PostgreSQL through the real programs: what is read, what is refused, what a resume does,
and what happens when the server or the line to it breaks."""

import os
import signal
import sqlite3

from kit import dies_at_commit, scenario
from pg import Postgres
from pg_proxy import Proxy

MANY = 300000
MAKE = f"""CREATE TABLE t AS SELECT i, 'some text of row ' || i AS x, i * 0.25 AS n
FROM generate_series(1, {MANY}) i;"""
QUERY = "SELECT * FROM t ORDER BY i"
TOTALS = [(MANY, MANY, MANY * (MANY + 1) // 2, MANY * (MANY + 1) / 8)]


def totals(t, db="wh.db", table="t"):
    return t.rows(db, f"SELECT count(*), count(DISTINCT i), sum(i), sum(n) FROM {table}")


def loaded(t, args, want=0, env=None):
    done = t.run(*args, "--output", "json", want=want, env=env).json
    t.true(done["load"]["balanced"], "balanced")
    return done


def args(url, *more, query=QUERY):
    return ("run", "--postgres", url, "--query", query, "--into", "sqlite:wh.db", "--table", "t", *more)


@scenario("pg", "sources", "smoke", "threads")
def a_table_of_postgres_is_loaded_with_its_types(t):
    pg = Postgres(t)
    pg.do("""CREATE SCHEMA s; CREATE TABLE s.t(i bigint, r real, n numeric, id numeric(20,0), b boolean, d date,
             z timestamptz, x text, u uuid, y bytea);
             INSERT INTO s.t VALUES(1, 0.1, 1.5, 12345678901234567890, true, '2024-02-29',
             '2024-02-29 12:00:00+02', 'ä', '00000000-0000-0000-0000-00000000000a', '\\x00ff');
             INSERT INTO s.t VALUES(2);""")
    loaded(t, ("run", "--postgres", pg.url, "--postgres-table", "s.t", "--into", "sqlite:wh.db", "--table", "t"))
    t.equal([(1, 0.1, 1.5, "12345678901234567890", 1, "2024-02-29", "2024-02-29 10:00:00+00", "ä",
              "00000000-0000-0000-0000-00000000000a", b"\x00\xff"), (2,) + (None,) * 9],
            t.rows("wh.db", "SELECT * FROM t ORDER BY i"), "rows")
    t.equal(["INTEGER", "REAL", "REAL", "TEXT", "INTEGER", "TEXT", "TEXT", "TEXT", "TEXT", ""],
            [r[0] for r in t.rows("wh.db", "SELECT type FROM pragma_table_info('t')")], "declared types")


@scenario("pg", "sources")
def rows_of_postgres_are_transformed_grouped_and_aggregated(t):
    pg = Postgres(t)
    pg.do("CREATE TABLE sales AS SELECT i % 7 AS region, i AS amount FROM generate_series(1, 70000) i;")
    t.write("job.yaml", f"""
source: {{postgres: '{pg.url}', query: 'SELECT * FROM sales ORDER BY region'}}
batch: {{by: region, rows: 100}}
transform: [{{sql: 'SELECT region, count(*) AS sales, sum(amount) AS total FROM batch GROUP BY region'}}]
load: {{into: 'sqlite:wh.db', table: totals}}
""")
    loaded(t, ("run", "job.yaml"))
    want = [tuple(map(int, r)) for r in
            pg.rows("SELECT region, count(*), sum(amount) FROM sales GROUP BY region ORDER BY region")]
    t.equal(want, t.rows("wh.db", "SELECT * FROM totals ORDER BY region"), "a batch a group")
    loaded(t, ("run", "--postgres", pg.url, "--postgres-table", "sales", "--by", "region", "--compute",
               "total=sum(amount)", "--into", "sqlite:wh.db", "--table", "agg"))
    t.equal([(r, s) for r, _, s in want], t.rows("wh.db", "SELECT * FROM agg ORDER BY region"), "aggregate")


@scenario("pg", "sources")
def a_poison_row_of_postgres_stands_alone(t):
    pg = Postgres(t)
    pg.do("CREATE TABLE p AS SELECT i FROM generate_series(0, 4999) i;")
    r = loaded(t, ("run", "--postgres", pg.url, "--query", "SELECT i FROM p ORDER BY i", "--into", "sqlite:wh.db",
                   "--table", "p", "--bad-rows", 1, "--retries", 1,
                   "--sql", "SELECT CASE WHEN i = 3210 THEN json('{') ELSE i END AS v FROM batch"), want=3)
    t.equal((4999, 1), (r["load"]["rows_loaded"], r["load"]["rows_rejected"]), "rows")
    t.equal([(3210, b"3210")], t.rows("wh.db", "SELECT byte_offset, raw FROM p_rejects"), "the reject")


@scenario("pg", "sources")
def a_killed_load_of_postgres_goes_on_where_it_stopped(t):
    pg = Postgres(t)
    pg.do(MAKE)
    run = args(pg.url, "--batch-rows", 7000)
    for n in (2, 5):
        t.run(*run, want=-9, env=dies_at_commit(n))
    loaded(t, run)
    t.equal(TOTALS, totals(t), "rows")
    pg.do(f"INSERT INTO t VALUES({MANY + 1}, 'new', 0);")
    r = loaded(t, run)
    t.equal(1, r["rows_loaded"], "rows that were added")


@scenario("pg", "sources")
def a_table_that_changed_between_two_runs_is_refused(t):
    pg = Postgres(t)
    pg.do(MAKE)
    run = args(pg.url, "--batch-rows", 7000)
    t.run(*run, want=-9, env=dies_at_commit())
    before = totals(t)
    pg.do("UPDATE t SET n = 0 WHERE i = 1;")
    done = t.run(*run, want=1)
    t.says(done, "gives other values in the rows 0-", "--fresh starts over")
    t.equal(before, totals(t), "nothing is loaded twice")
    loaded(t, (*run, "--fresh", "--mode", "replace"))
    t.equal([(MANY,)], t.rows("wh.db", "SELECT count(*) FROM t"), "rows")


@scenario("pg", "sources")
def sales_of_postgres_are_loaded_day_by_day(t):
    pg = Postgres(t)
    pg.do("CREATE TABLE sales(ds date, amount numeric(10,2));")
    t.write("sales.yaml", f"""
source:
  postgres: {pg.url}
  query: SELECT ds, sum(amount) AS total FROM sales WHERE ds > :watermark AND ds < (SELECT max(ds) FROM sales)
         GROUP BY ds ORDER BY ds
load: {{into: 'sqlite:wh.db', table: daily, mode: incremental, watermark: ds}}
""")
    for day in range(1, 5):
        pg.do(f"INSERT INTO sales SELECT '2024-03-0{day}', i + 0.25 FROM generate_series(1, 100) i;")
        r = loaded(t, ("run", "sales.yaml"))
        t.equal(0 if day == 1 else 1, r["rows_loaded"], f"days loaded on day {day}")
    t.equal([(f"2024-03-0{d}", 5075.0) for d in (1, 2, 3)], t.rows("wh.db", "SELECT * FROM daily ORDER BY ds"), "days")


@scenario("pg", "sources", "smoke")
def what_cannot_be_read_of_postgres_is_said_in_a_sentence(t):
    pg = Postgres(t)
    pg.do("CREATE TABLE closed(x int); CREATE ROLE poor LOGIN;")
    for code, url, query, texts in (
            (1, "postgresql://tranche@127.0.0.1:1/x", "SELECT 1", ["cannot connect", "Connection refused"]),
            (1, pg.at("nothing"), "SELECT 1", ['database "nothing" does not exist']),
            (1, pg.at(user="nobody"), "SELECT 1", ['role "nobody" does not exist']),
            (2, pg.url, "SELECT * FROM nowhere", ["source.query", 'relation "nowhere" does not exist (column 15)']),
            (2, pg.url, "DELETE FROM closed", ["source.query: it must be one SELECT"]),
            (2, pg.at(user="poor"), "SELECT * FROM closed", ["permission denied for table closed"]),
            (2, pg.url, "SELECT 1 / (SELECT count(*) FROM closed)", ["division by zero"])):
        done = t.run(*args(url, query=query), want=code)
        t.says(done, *texts)
        t.equal(1, done.err.count("\n"), "lines of the mistake")
    done = t.run("run", "--postgres", pg.url, "--postgres-table", "nowhere", "--into", "sqlite:wh.db", want=2)
    t.says(done, "source.postgres_table", "has no table 'nowhere'")
    done = t.run("run", "--postgres", "hots=x", "--query", "SELECT 1", "--into", "sqlite:wh.db", "--table", "t", want=2)
    t.says(done, 'invalid connection option "hots"')


@scenario("pg", "sources")
def a_password_is_used_and_never_kept(t):
    pg = Postgres(t)
    secret = "hush-4711"
    pg.do(f"{MAKE} CREATE ROLE guarded LOGIN PASSWORD '{secret}'; GRANT SELECT ON t TO guarded;")
    bare = pg.at(user="guarded")
    open_url = bare.replace("guarded@", f"guarded:{secret}@")
    done = t.run(*args(open_url), want=2)
    t.says(done, "--postgres", "can see the password in a flag", "~/.pgpass")
    as_file = ("run", "job.yaml", "--query", QUERY, "--into", "sqlite:wh.db", "--table", "t", "--batch-rows", 7000)
    t.write("job.yaml", f"source: {{postgres: '{open_url.replace(secret, 'wrong')}'}}\n")
    t.says(t.run(*as_file, want=1), "password authentication failed")
    t.write("job.yaml", f"source: {{postgres: '{open_url}'}}\n")
    t.run(*as_file, want=-9, env=dies_at_commit())
    os.unlink(t.path("job.yaml"))
    # The same job, whichever way the password comes.
    t.write("pgpass", f"127.0.0.1:{pg.port}:*:guarded:{secret}\n")
    os.chmod(t.path("pgpass"), 0o600)
    r = loaded(t, args(bare, "--batch-rows", 7000), env={"PGPASSFILE": t.path("pgpass")})
    t.true(r["resumed"], "the second run resumes the first")
    t.equal(TOTALS, totals(t), "rows")
    os.unlink(t.path("pgpass"))
    done = t.run("runs")
    t.true(secret not in done.out + done.err + r.__str__(), "no password is shown")
    for folder, _, names in os.walk(t.dir):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                t.true(secret.encode() not in f.read(), f"no password in {folder}/{name}")


# ---- what breaks


def batches(t):
    """How many are committed; None: the load has not begun."""
    con = sqlite3.connect(f"file:{t.path('wh.db')}?mode=ro", uri=True, timeout=60)
    try:
        begun = con.execute("SELECT count(*) FROM tranche_runs").fetchone()[0]
        return con.execute("SELECT count(*) FROM tranche_ledger").fetchone()[0] if begun else None
    except sqlite3.OperationalError:
        return None
    finally:
        con.close()


def broken(t, how, rows=1000, until=lambda n: n, what="a batch is committed"):
    """A run whose server is held after a megabyte and then broken: nothing is lost or doubled."""
    pg = Postgres(t)
    pg.do(MAKE + "UPDATE t SET x = repeat('x', 200);")  # more than sockets hold
    line = Proxy(t, pg)
    line.pause_after(1 << 20)
    command = args(line.at(), "--batch-rows", rows)
    p = t.start(*command)
    line.wait_paused(p)
    t.wait_until(lambda: p.poll() is not None or os.path.exists(t.path("wh.db")) and until(batches(t)), what)
    how(pg, line)
    line.go()
    done = t.finish(p)
    t.equal(1, done.code, "exit code")
    loaded(t, command)
    t.equal(TOTALS, totals(t), "rows")
    return done


def kill_backends(t):
    def how(pg, line):
        t.true(pg.kill_backends(), "a backend, and those that help it")
    return how


@scenario("pg", "faults")
def a_killed_backend_of_the_source_loses_nothing(t):
    t.says(broken(t, kill_backends(t)), "tranche: postgresql://", "the same command continues there")


@scenario("pg", "faults")
def a_backend_that_is_killed_before_anything_is_committed_costs_another_try(t):
    done = broken(t, kill_backends(t), rows=MANY, until=lambda n: n is not None, what="the load has begun")
    t.says(done, "tranche: postgresql://", "nothing is known to be committed yet; the same command tries it again")


@scenario("pg", "faults")
def a_line_to_the_source_that_breaks_loses_nothing(t):
    t.says(broken(t, lambda pg, line: line.cut()), "server closed the connection unexpectedly")


@scenario("pg", "faults")
def a_source_server_that_crashes_loses_nothing(t):
    def how(pg, line):
        pg.stop("QUIT")
        pg.start()
    broken(t, how)


@scenario("pg", "faults")
def a_source_that_is_silent_for_long_is_waited_for(t):
    pg = Postgres(t)
    pg.do(MAKE)
    line = Proxy(t, pg)
    line.pause_after(1 << 20)
    p = t.start(*args(line.at()), env={"TRANCHE_TIME_SCALE": "100"})
    line.wait_paused(p)
    time_of_day = pg.one("SELECT now()")
    t.wait_until(lambda: pg.one(f"SELECT now() > '{time_of_day}'::timestamptz + interval '1 second'") == "t",
                 "a second, which is 100 s of the protocol")
    line.go()
    done = t.finish(p)
    t.equal(0, done.code, f"exit code\n{done}")
    t.equal(TOTALS, totals(t), "rows")


@scenario("pg", "faults")
def a_run_that_waits_for_its_source_can_be_interrupted(t):
    pg = Postgres(t)
    pg.do(MAKE)
    line = Proxy(t, pg)
    line.pause_after(1 << 20)
    p = t.start(*args(line.at()))
    line.wait_paused(p)
    p.send_signal(signal.SIGINT)
    done = t.finish(p)
    t.equal(130, done.code, f"exit code\n{done}")
    line.go()
    loaded(t, args(line.at()))
    t.equal(TOTALS, totals(t), "rows")


@scenario("pg", "faults")
def what_is_written_during_the_read_is_not_loaded(t):
    pg = Postgres(t)
    pg.do(MAKE)
    line = Proxy(t, pg)
    line.pause_after(1 << 20)
    p = t.start(*args(line.at()))
    line.wait_paused(p)
    pg.do("DELETE FROM t WHERE i % 2 = 0; UPDATE t SET n = -1; INSERT INTO t VALUES(-1, 'late', 0);")
    line.go()
    done = t.finish(p)
    t.equal(0, done.code, f"exit code\n{done}")
    t.equal(TOTALS, totals(t), "rows")
