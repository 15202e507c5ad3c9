"""A warehouse of PostgreSQL at the end of a line that breaks: in COMMIT above all, where nobody
knows what has become of it."""

from kit import scenario
from pg import Postgres
from pg_proxy import Proxy

ROWS = 200000
SUM = ROWS * (ROWS - 1) // 2


class Load:
    def __init__(self, t):
        self.t, self.pg = t, Postgres(t)
        self.line = Proxy(t, self.pg)

    def args(self, table="r", *more):
        return ("run", "--range", ROWS, "--batch-rows", 1000, "--into", "postgres:" + self.line.at(), "--table", table,
                "--output", "json", *more)

    def ends_well(self, done, table="r"):
        """The run got over it by itself; the same command finds nothing left to do."""
        t = self.t
        t.equal(0, done.code, f"exit code\n{done}")
        t.true(done.json["load"]["balanced"], f"balanced\n{done}")
        t.equal([[str(ROWS), str(ROWS), str(SUM)]],
                self.pg.rows(f"SELECT count(*), count(DISTINCT i), sum(i) FROM {table}"), "rows")

    def nothing_is_left(self, table="r"):
        again = self.t.run(*self.args(table)).json
        self.t.equal((0, ROWS), (again["rows_loaded"], again["load"]["rows_loaded"]), "rows of the run, of the load")
        self.t.equal(str(ROWS), self.pg.one(f"SELECT count(*) FROM {table}"), "rows")


def cut_in_commit(t, when):
    load = Load(t)
    for nth in (1, 2, 3):  # the beginning of the load, and rows
        table = f"r{nth}"
        getattr(load.line, when)("COMMIT", nth)
        if nth == 1:  # nothing is at stake yet: the run may end
            t.run(*load.args(table), want=(0, 1))
        load.ends_well(t.run(*load.args(table), want=None), table)
        t.equal(nth, load.line.done, "cuts")
        load.nothing_is_left(table)


@scenario("pg", "faults")
def a_commit_that_never_got_to_the_server_is_not_lost(t):
    cut_in_commit(t, "cut_before")


@scenario("pg", "faults")
def a_commit_that_nobody_heard_of_is_not_loaded_twice(t):
    cut_in_commit(t, "cut_after")


@scenario("pg", "faults")
def a_swap_that_nobody_heard_of_is_done_once(t):
    load = Load(t)
    for when in ("cut_before", "cut_after"):
        load.pg.do("DROP TABLE IF EXISTS r; CREATE TABLE r(i bigint); INSERT INTO r VALUES(-1);")
        load.line.hold("RENAME")
        p = t.start(*load.args("r", "--mode", "replace", "--fresh"))
        load.line.wait_paused(p)
        getattr(load.line, when)("COMMIT")  # of the swap
        load.line.go()
        load.ends_well(t.finish(p))


@scenario("pg", "faults")
def a_server_that_is_restarted_in_commit_is_found_again(t):
    for how in ("INT", "QUIT"):
        load = Load(t)
        load.line.hold("COMMIT", 2)
        p = t.start(*load.args())
        load.line.wait_paused(p)
        load.pg.stop(how)
        load.line.go()
        t.wait_until(lambda: load.line.refused > 1 or p.poll() is not None, "two attempts to connect")
        load.pg.start()
        load.ends_well(t.finish(p))
        load.nothing_is_left()


@scenario("pg", "faults")
def a_warehouse_that_is_silent_for_long_is_waited_for(t):
    load = Load(t)
    load.line.hold("COMMIT", 2)
    p = t.start(*load.args(), env={"TRANCHE_TIME_SCALE": "100"})
    load.line.wait_paused(p)
    began = load.pg.one("SELECT now()")
    t.wait_until(lambda: load.pg.one(f"SELECT now() > '{began}'::timestamptz + interval '1 second'") == "t",
                 "a second, which is 100 s of the protocol")
    load.line.go()
    load.ends_well(t.finish(p))


@scenario("pg", "faults")
def a_source_and_a_warehouse_may_be_the_same_server(t):
    load = Load(t)
    load.pg.do(f"CREATE TABLE r AS SELECT i FROM generate_series(0, {ROWS - 1}) i;")
    for mode in ("replace", "append"):
        table = "r" if mode == "replace" else "copy"
        done = t.run("run", "--postgres", load.line.at(), "--query", "SELECT i FROM r ORDER BY i", "--into",
                     "postgres:" + load.line.at(), "--table", table, "--mode", mode, "--output", "json")
        load.ends_well(done, table)
