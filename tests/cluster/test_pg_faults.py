"""What a PostgreSQL server does to a run that goes on: it becomes a standby, has no room for its log, stays away."""

import os
import signal
import subprocess

import pg as postgres
from kit import needs_root, scenario
from test_pg_load import FED, Fed, args, exact, lines, make
from test_pg_others import Session, waits_for


def standby(pg, yes):
    """Starts the server anew, as one that only follows another, or as its own."""
    pg.stop()
    mark = os.path.join(pg.dir, "data", "standby.signal")
    open(mark, "w").close() if yes else os.unlink(mark)
    pg.start()


@scenario("pg")
def a_standby_is_refused_also_in_the_middle_of_a_run(t):
    pg = postgres.Postgres(t)
    run = Fed(t, pg)
    run.feed(0, FED)
    run.commits(1)
    standby(pg, True)
    run.feed(FED, 2 * FED)
    t.says(run.ends(want=2), "the server is a standby, and read-only: load into its primary")
    make(t, 10)
    t.says(t.run(*args(pg, table="other"), want=2), "the server is a standby")
    standby(pg, False)
    t.run(*args(pg, source=("--csv", "-")), input=lines(0, 2 * FED).encode())
    exact(t, pg, 2 * FED)


@scenario("pg")
def a_server_that_stays_away_is_waited_for_until_somebody_interrupts(t):
    pg = postgres.Postgres(t)
    run = Fed(t, pg)
    run.feed(0, FED)
    run.commits(1)
    pg.stop()
    run.feed(FED, 2 * FED)
    said = []
    t.wait_until(lambda: said.append(os.read(run.p.stderr.fileno(), 65536)) or b"Connection refused" in b"".join(said),
                 "the run to say that the server is away")
    run.p.send_signal(signal.SIGINT)
    run.ends(want=130)
    pg.start()
    t.run(*args(pg, source=("--csv", "-")), input=lines(0, 2 * FED).encode())
    exact(t, pg, 2 * FED)


@scenario("pg")
def a_server_without_room_for_its_log_is_waited_for_whether_it_crashes_or_not(t):
    needs_root()
    pg = postgres.Postgres(t)
    pg.stop()
    log = os.path.join(pg.dir, "data", "pg_wal")
    os.rename(log, log + ".old")
    os.mkdir(log)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", log], check=True)
    t.cleanups.insert(0, lambda: subprocess.run(["umount", "-l", log], check=True))
    subprocess.run(["cp", "-a", log + ".old/.", log], check=True)
    pg.start()
    make(t, 400000)
    p = t.start(*args(pg))
    t.wait_until(lambda: p.poll() is not None or "No space left on device" in pg.log(), "no space for the log")
    subprocess.run(["mount", "-o", "remount,size=400m", log], check=True)

    def ends():
        if pg.process.poll() is not None:  # it could not even recover
            pg.start()
        return p.poll() is not None
    t.wait_until(ends, "the run to end", seconds=400)
    done = t.finish(p)
    t.equal(0, done.code, "exit code")
    t.true("No space left on device" in done.err or "the connection was lost" in done.err, "what was waited for is said")
    exact(t, pg, 400000)
    pg.stop()


@scenario("pg")
def readers_of_the_old_table_are_waited_for_though_the_session_is_ended_meanwhile(t):
    pg = postgres.Postgres(t)
    make(t, 20000)
    pg.do("CREATE TABLE k(id bigint, h bigint, text text)")
    reader = Session(t, pg)
    reader.do("BEGIN; SELECT count(*) FROM k")
    p = t.start(*args(pg, "--mode", "replace", "--index", "h"))
    waits_for(t, pg, p)
    t.true(pg.kill_backends("tranche load%") > 0, "sessions that were ended")
    t.wait_until(lambda: p.poll() is not None or pg.backends("tranche load%"), "the run to come again")
    waits_for(t, pg, p)
    reader.do("COMMIT")
    done = t.finish(p)
    t.equal(0, done.code, "exit code")
    t.says(done, "the connection was lost while locking the old table")
    exact(t, pg, 20000)
