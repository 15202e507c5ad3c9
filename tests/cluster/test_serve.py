"""A server and its queue: submit, wait, jobs, cancel, logs; order; kill -9; who may come in."""

import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess

from kit import scenario
from test_hosts import Program

HELD = """
import os, sys, time
open(sys.argv[1], 'w').close()
while not os.path.exists(sys.argv[2]): time.sleep(0.01)
sys.stdout.write(sys.stdin.read())
"""


# Lets the first call pass: it learns the columns.
HELD_LATER = """
import os, sys
if not os.path.exists(sys.argv[1] + ".sample"):
    open(sys.argv[1] + ".sample", "w").close()
    sys.stdout.write(sys.stdin.read())
    sys.exit()
""" + HELD


class Server(Program):
    def __init__(self, t, *args, env=None):
        self.env = env or {}
        t_env = t.env
        t.env = lambda **more: t_env(**{**self.env, **more})
        try:
            super().__init__(t, [t.tranche, "serve", *args])
        finally:
            t.env = t_env

    def ready(self):
        self.says("serving ")
        return self


def serve(t, *args, env=None):
    return Server(t, *args, env=env).ready()


def number(t, *args, **kw):
    return t.run("submit", *args, "--output", "json", **kw).json["job"]


def jobs(t, *args):
    r = t.run("jobs", "--all", "--output", "json", *args)
    return {j["job"]: j for j in map(json.loads, r.out.splitlines())}


def program(t, text):
    """held.py, which must not change under a job that begins."""
    if os.path.exists(t.path("held.py")):
        with open(t.path("held.py")) as f:
            if f.read() == text:
                return
    t.write("held.py", text)


def held(t, name, table=None, text=HELD):
    """A job that says that it runs, and goes on when it may."""
    program(t, text)
    return ("--range", 5, "--exec", f"python3 held.py {t.path(name + '.runs')} {t.path(name + '.go')}",
            "--sandbox", "none", "--into", "sqlite:wh.db", "--table", table or name, "--name", name, "-j", 1)


def held_in_worker(t, name):
    return held(t, name, text=HELD_LATER)


def runs(t, name):
    t.wait_until(lambda: os.path.exists(t.path(name + ".runs")), f"{name} runs")


def go(t, name):
    t.write(name + ".go", "")


def slow(t, rows=60000):
    t.write("k.csv", "id,text\n" + "".join(f"{i},row {i}\n" for i in range(rows)))
    t.write("k.yaml", "source: {csv: k.csv}\nbatch: {bytes: 16KiB}\nload: {into: sqlite:wh.db, table: k}\n")
    return rows


def exact(t, rows):
    t.equal([(rows, rows)], t.rows("wh.db", "SELECT count(*), count(DISTINCT id) FROM k"), "rows")
    t.intact("wh.db")


@scenario("serve", "smoke")
def a_job_is_submitted_waited_for_and_listed(t):
    t.write("a.csv", "x\n1\n2\nthree\n")
    t.write("sub/job.yaml", "source: {csv: ../a.csv, types: {x: integer}}\nload: {into: sqlite:../wh.db, table: a}\n"
            "limits: {bad_rows: 1}\n")
    s = serve(t)
    r = t.run("submit", "sub/job.yaml")
    t.equal("job 1\n", r.out, "standard output")
    r = t.run("wait", 1, want=3)  # the job's own exit code
    t.equal("job 1 (job) has ended, exit code 3\n", r.out, "standard output")
    t.equal([(1,), (2,)], t.rows("wh.db", "SELECT x FROM a ORDER BY x"), "rows")
    j = jobs(t)[1]
    t.equal(("ended", 3, 1, 50, t.dir, "sub/job.yaml"),
            (j["state"], j["exit_code"], j["starts"], j["priority"], j["folder"], j["file"]), "job")
    t.equal(j["run"], t.one(".tranche/runs.db", "SELECT id FROM runs"), "its run")
    t.says(t.run("logs", 1), "job 1 begins", "rows into sqlite:")
    t.says(t.run("jobs"), "ended", "job")
    r = t.run("submit", "--wait", "sub/job.yaml", "--output", "json", want=3)
    t.equal((2, "ended", 3), (r.json["job"], r.json["state"], r.json["exit_code"]), "job")
    t.equal(2, t.one("wh.db", "SELECT count(*) FROM a"), "rows: the same load has nothing new")
    s.p.send_signal(signal.SIGTERM)
    s.ends(0)
    t.says(t.run("jobs", want=1), "no server has .tranche: start one with 'tranche serve'")
    t.leaves_nothing()


@scenario("serve")
def mistakes_are_told_before_anything_is_queued(t):
    serve(t)
    t.write("job.yaml", "source: {csv: none.csv}\nlode: {into: 'null:'}\n")
    t.says(t.run("submit", "job.yaml", want=2), "job.yaml:2:1: unknown key 'lode'; did you mean 'load.mode'?")
    t.write("job.yaml", "source: {csv: none.csv}\nload: {into: 'null:'}\n")
    t.says(t.run("submit", "job.yaml", want=2), "none.csv is not there")
    t.says(t.run("submit", "--range", 3, "--into", "stdout:", want=2), "a job in a queue has no standard output")
    t.says(t.run("submit", "--range", 3, "--into", "null:", "--priority", 101, want=2),
           "--priority is a number from 0 to 100, and not '101'")
    t.says(t.run("submit", "--range", 3, "--into", "null:", "-j", 0, want=2),
           "they come in through --listen", "here: tranche serve --listen-workers tcp://HOST:PORT")
    t.says(t.run("submit", "--range", 3, "--into", "null:", "--listen", "tcp://127.0.0.1:0", want=2),
           "--listen and --insecure: the server has the port for workers")
    t.says(t.run("jobs"), "no jobs yet")
    t.says(t.run("wait", 5, want=2), "there is no job 5")
    t.says(t.run("cancel", 5, want=2), "there is no job 5")
    t.says(t.run("logs", 5, want=2), "there is no job 5")
    t.says(t.run("wait", "x", want=2), "a job is a number")
    t.says(t.run("wait", want=2), "which job? give its number")
    t.says(t.run("jobs", "--al", want=2), "did you mean '--all'?")
    t.says(t.run("serve", "--jobs", 0, want=2), "--jobs is a number from 1 to 64")
    t.says(t.run("serve-job", want=2), "serve-job is for the server, not for people")


@scenario("serve")
def jobs_go_by_priority_and_a_cancelled_one_does_not_begin(t):
    serve(t)
    first = number(t, *held(t, "first"))
    runs(t, "first")
    low = number(t, "--range", 1, "--into", "sqlite:wh.db", "--table", "low", "--priority", 10)
    never = number(t, "--range", 1, "--into", "sqlite:wh.db", "--table", "never", "--priority", 99)
    high = number(t, "--range", 1, "--into", "sqlite:wh.db", "--table", "high", "--priority", 90)
    t.says(t.run("cancel", never), f"job {never} is cancelled")
    t.says(t.run("cancel", never, want=2), f"job {never} is cancelled already")
    go(t, "first")
    for j in (first, high, low):
        t.run("wait", j)
    t.run("wait", never, want=130)
    all_jobs = jobs(t)
    t.equal("cancelled", all_jobs[never]["state"], "state")
    t.true(all_jobs[first]["started_ms"] <= all_jobs[high]["started_ms"] <= all_jobs[low]["started_ms"], all_jobs)
    t.equal([first, high, low],
            [int(n[3:]) for (n,) in t.rows(".tranche/runs.db",
                                           "SELECT 'job' || j.id FROM runs r JOIN jobs j ON j.run = r.id ORDER BY r.seq")],
            "order of the runs")


@scenario("serve")
def a_running_job_is_cancelled_and_submitted_again_it_goes_on(t):
    serve(t)
    job = number(t, *held(t, "a"))
    runs(t, "a")
    t.equal("running", jobs(t)[job]["state"], "state")
    t.says(t.run("cancel", job), f"job {job} is being stopped")
    t.says(t.run("wait", job, want=130), "was cancelled, exit code 130")
    t.says(t.run("logs", job), "interrupted by Terminated")
    t.says(t.run("report", "last"), "cancelled")
    t.true("its process died" not in t.last.out, "somebody cancelled it")
    go(t, "a")
    t.run("submit", "--wait", *held(t, "a"))
    t.equal(5, t.one("wh.db", "SELECT count(*) FROM a"), "rows")


@scenario("serve")
def what_a_job_writes_can_be_followed(t):
    serve(t)
    job = number(t, *held(t, "a"))
    runs(t, "a")
    f = Program(t, [t.tranche, "logs", job, "--follow"])
    f.says(f"job {job} begins")
    go(t, "a")
    f.says("5 rows into sqlite:wh.db")
    f.ends(0)
    t.equal(t.run("logs", job).out, f.text, "what was followed")


@scenario("serve")
def two_jobs_at_a_time_but_one_after_the_other_into_one_table(t):
    serve(t, "--jobs", 2)
    a = number(t, *held(t, "a"))
    same = number(t, *held(t, "same", "a"))
    other = number(t, *held(t, "other"))
    runs(t, "a")
    runs(t, "other")  # both at once
    t.equal(["running", "queued", "running"], [jobs(t)[j]["state"] for j in (a, same, other)], "states")
    go(t, "a")
    t.run("wait", a)
    runs(t, "same")
    go(t, "same")
    go(t, "other")
    t.run("wait", same)
    t.run("wait", other)


@scenario("serve")
def a_second_server_on_the_same_folder_is_refused_with_the_pid_of_the_first(t):
    s = serve(t)
    r = t.run("serve", want=1)
    t.says(r, f"another server has {t.path('.tranche')}: process {s.p.pid} (tranche serve)", "stop it first")
    t.run("jobs")
    r = t.run("submit", "--range", 3, "--into", "null:", "--state", "elsewhere", want=1)
    t.says(r, "no server has elsewhere")


@scenario("serve")
def a_server_that_is_killed_loses_nothing_and_its_jobs_go_on_first(t):
    rows = slow(t)
    s = serve(t)
    job = number(t, "k.yaml")
    later = number(t, "--range", 3, "--into", "sqlite:wh.db", "--table", "later", "--priority", 100)
    ledger = lambda: os.path.exists(t.path("wh.db")) and t.one(
        "wh.db", "SELECT count(*) FROM sqlite_schema WHERE name = 'tranche_ledger'") and t.one(
        "wh.db", "SELECT count(*) FROM tranche_ledger") or t.run("jobs", job, "--output", "json").json["exit_code"] == 0
    t.wait_until(ledger, "something is loaded")
    kids = t.children(s.p.pid)
    s.p.kill()
    t.wait_until(lambda: not [k for k in kids if os.path.exists(f"/proc/{k}")], "all of its processes are gone")
    s.p.wait()
    serve(t)
    t.run("wait", job)
    t.run("wait", later)
    exact(t, rows)
    t.equal(3, t.one("wh.db", "SELECT count(*) FROM later"), "rows")


@scenario("serve")
def a_job_that_starts_over_does_so_once_and_then_goes_on(t):
    rows = slow(t)
    t.run("run", "k.yaml")
    s = serve(t)
    job = number(t, "k.yaml", "--fresh")
    t.wait_until(lambda: t.one("wh.db", "SELECT count(*) FROM tranche_ledger WHERE load = 2") or jobs(t)[job]["state"] == "ended",
                 "something is loaded")
    kids = t.children(s.p.pid)
    s.p.kill()
    t.wait_until(lambda: not [k for k in kids if os.path.exists(f"/proc/{k}")], "all of its processes are gone")
    s.p.wait()
    serve(t)
    t.run("wait", job)
    exact(t, rows)
    t.equal("dropped,complete", t.one("wh.db", "SELECT group_concat(state) FROM tranche_runs"), "loads")


@scenario("serve")
def a_server_is_killed_at_random_moments_and_every_job_is_done_once(t):
    rows = slow(t, 30000)
    s = serve(t)
    number(t, "k.yaml")
    w = Program(t, [t.tranche, "wait", 1])
    for i in range(6):
        number(t, "--range", 100, "--into", "sqlite:wh.db", "--table", f"t{i}", "--token", f"t{i}")
        try:
            s.p.wait(t.random.uniform(0.0, 0.3))
        except Exception:
            pass
        s.p.kill()
        s.p.wait()
        s = serve(t)
    w.ends(0)  # it has waited through all of that
    for i in range(6):
        r = t.run("submit", "--range", 100, "--into", "sqlite:wh.db", "--table", f"t{i}", "--token", f"t{i}", "--wait")
        t.says(r, "as before: it was submitted already")
        t.equal(100, t.one("wh.db", f"SELECT count(*) FROM t{i}"), "rows")
    exact(t, rows)
    t.equal(7, len(jobs(t)), "jobs")


@scenario("serve")
def killed_at_every_step_of_a_job_the_next_server_ends_it(t):
    points = ("backlog-before-add", "backlog-added", "backlog-before-move:2", "backlog-moved:2", "serve-forked",
              "backlog-before-move:3", "backlog-moved:3")
    for i, point in enumerate(points):  # the first move is the look for jobs of an earlier server
        s = serve(t, env={"TRANCHE_CRASH_AT": point})
        job = ("submit", "--range", 50, "--into", "sqlite:wh.db", "--table", f"t{i}", "--token", f"t{i}")
        w = Program(t, [t.tranche, *job])
        s.ends(-signal.SIGKILL)
        w.kill()
        s = serve(t)
        t.run(*job, "--wait")  # perhaps it is known already, perhaps not
        t.equal(50, t.one("wh.db", f"SELECT count(*) FROM t{i}"), f"{point}: rows")
        t.equal("ended", jobs(t)[i + 1]["state"], f"{point}: state")
        s.p.send_signal(signal.SIGTERM)
        s.ends(0)
    t.equal(len(points), len(t.rows(".tranche/runs.db", "SELECT id FROM jobs")), "jobs")


@scenario("serve")
def a_server_that_is_told_to_stop_keeps_what_runs_for_the_next(t):
    s = serve(t)
    job = number(t, *held(t, "a"))
    runs(t, "a")
    s.p.send_signal(signal.SIGTERM)
    s.says(f"job {job} is interrupted, and queued again")
    s.ends(0)
    t.equal([("queued", 1)], t.rows(".tranche/runs.db", "SELECT state, starts FROM jobs"), "jobs")
    go(t, "a")
    serve(t)
    t.run("wait", job)
    t.equal(5, t.one("wh.db", "SELECT count(*) FROM a"), "rows")
    t.equal(2, jobs(t)[job]["starts"], "starts")


@scenario("serve")
def a_log_is_followed_from_one_server_to_the_next(t):
    s = serve(t)
    job = number(t, *held(t, "a"))
    runs(t, "a")
    reader = Program(t, [t.tranche, "logs", str(job), "--follow"])
    reader.says(f"job {job} begins")
    s.p.send_signal(signal.SIGTERM)
    s.ends(0)
    go(t, "a")
    serve(t)
    reader.says("rows into sqlite:")
    reader.ends(0)


@scenario("serve")
def a_job_whose_process_cannot_be_made_waits_until_it_can(t):
    s = serve(t)
    first, second = number(t, *held(t, "a")), number(t, *held(t, "b"))
    runs(t, "a")
    # Room for the log, and for nothing that a process needs.
    there = {int(x) for x in os.listdir(f"/proc/{s.p.pid}/fd")}
    before = resource.prlimit(s.p.pid, resource.RLIMIT_NOFILE)
    free = min(set(range(1000)) - there)
    resource.prlimit(s.p.pid, resource.RLIMIT_NOFILE, (free + 1, before[1]))
    go(t, "a")
    s.says("cannot begin a job: Too many open files; trying again")
    resource.prlimit(s.p.pid, resource.RLIMIT_NOFILE, before)
    go(t, "b")
    t.run("wait", second)
    t.equal(["ended", "ended"], [jobs(t)[j]["state"] for j in (first, second)], "states")


@scenario("serve")
def what_one_job_lacks_holds_up_no_other(t):
    s = serve(t)
    first = number(t, *held(t, "a"))
    runs(t, "a")
    os.mkdir(t.path("gone"))
    gone = json.loads(subprocess.run([t.tranche, "submit", "--range", "3", "--into", "null:", "--output", "json"], cwd=t.path("gone"),
                                     env=t.env(TRANCHE_HOME=t.path(".tranche")), capture_output=True, text=True,
                                     check=True).stdout)["job"]
    unlogged = number(t, "--range", 3, "--into", "sqlite:wh.db", "--table", "u")
    last = number(t, "--range", 3, "--into", "null:")
    os.rmdir(t.path("gone"))
    t.write(f".tranche/serve/logs/{unlogged}", "no folder")
    go(t, "a")
    t.run("wait", gone, want=1)
    t.says(t.run("logs", gone), f"the folder of the job, {t.path('gone')}: No such file or directory")
    t.run("wait", last)
    t.equal(["ended"] * 4, [jobs(t)[j]["state"] for j in (first, gone, unlogged, last)], "states")
    t.equal(3, t.one("wh.db", "SELECT count(*) FROM u"), "rows of the job without a log")
    s.says(f"job {unlogged} cannot read the log")


@scenario("serve")
def a_server_that_stops_does_not_wait_for_ever_for_its_queue(t):
    s = serve(t)
    job = number(t, *held(t, "a"))
    runs(t, "a")
    with sqlite3.connect(t.path(".tranche/runs.db"), isolation_level=None) as db:
        db.execute("ALTER TABLE jobs RENAME TO elsewhere")
    s.p.send_signal(signal.SIGTERM)
    s.says("no such table: jobs; trying again")

    def ended():  # signals of one moment count as one
        s.p.send_signal(signal.SIGTERM)
        return s.p.poll() is not None
    t.wait_until(ended, "the server ends")
    s.ends(1)
    s.says("stopped without having written to runs.db how 1 job ended (runs.db: no such table: jobs); the next server queues it again")
    with sqlite3.connect(t.path(".tranche/runs.db"), isolation_level=None) as db:
        db.execute("ALTER TABLE elsewhere RENAME TO jobs")
    go(t, "a")
    serve(t).says("1 job had begun, and will go on")
    t.run("wait", job)
    t.equal(5, t.one("wh.db", "SELECT count(*) FROM a"), "rows")


@scenario("serve")
def a_job_whose_row_somebody_deletes_holds_up_no_other(t):
    s = serve(t)
    number(t, *held(t, "a"))
    runs(t, "a")
    t.execute(".tranche/runs.db", "DELETE FROM jobs")
    go(t, "a")
    s.says("runs.db knows nothing of it any more: its row of jobs was deleted or changed")
    t.run("submit", "--wait", "--range", 3, "--into", "null:")


@scenario("serve")
def a_job_that_crashes_harms_neither_the_server_nor_the_next_job(t):
    s = serve(t)
    job = number(t, *held(t, "a"))
    runs(t, "a")
    with open(f"/proc/{s.p.pid}/task/{s.p.pid}/children") as f:
        child = int(f.read().split()[0])
    os.kill(child, signal.SIGKILL)
    t.says(t.run("wait", job, want=1), "its process was ended by signal 9 (Killed); submitted again it goes on")
    t.run("submit", "--wait", "--range", 3, "--into", "null:")


@scenario("serve")
def a_pipeline_is_a_job_too_and_its_text_is_that_of_the_submission(t):
    s = serve(t)
    t.run("submit", *held(t, "first"))
    runs(t, "first")
    t.write("p.yaml", "name: two\nsteps:\n"
            "  - {name: a, source: {range: 4}, load: {into: 'csv:a.csv', mode: replace}}\n"
            "  - {name: b, needs: a, source: {csv: a.csv}, load: {into: sqlite:wh.db, table: b}}\n")
    job = number(t, "p.yaml")
    os.unlink(t.path("p.yaml"))
    go(t, "first")
    t.run("wait", job)
    t.equal(4, t.one("wh.db", "SELECT count(*) FROM b"), "rows")
    t.equal("two", jobs(t)[job]["name"], "name")
    t.true(s.p.poll() is None, "the server is there")


@scenario("serve")
def strange_bytes_at_the_socket_change_nothing(t):
    s = serve(t)
    folder = t.path(".tranche/serve")
    t.equal(0o700, stat.S_IMODE(os.stat(folder).st_mode), "mode of the folder")
    for n in (1, 10, 64, 3000, 100000):
        c = socket.socket(socket.AF_UNIX)
        c.settimeout(20)
        c.connect(os.path.join(folder, "socket"))
        try:
            c.sendall(t.random.randbytes(n))
            c.shutdown(socket.SHUT_WR)
            while c.recv(4096):
                pass
        except OSError:
            pass
        c.close()
    for zmtp in (b"\xff" + b"\0" * 8 + b"\x7f\x03\0NULL" + b"\0" * 48,):
        c = socket.socket(socket.AF_UNIX)
        c.connect(os.path.join(folder, "socket"))
        try:
            c.sendall(zmtp + b"\4\x26\5READY\x0bSocket-Type\0\0\0\6DEALER\x08Identity\0\0\0\0")
            for frame in (b"", b"x", b"TRNC", b"TRNC\5\0\x21\0" + b"\xff" * 56, b"\0" * 200):
                c.sendall(b"\0" + bytes([len(frame)]) + frame)
        except BrokenPipeError:
            pass  # it has heard enough
        c.close()
    t.run("submit", "--wait", "--range", 3, "--into", "null:")
    t.true(s.p.poll() is None, "the server is there")


@scenario("serve")
def a_folder_that_others_can_enter_is_refused(t):
    os.makedirs(t.path(".tranche/serve"))
    os.chmod(t.path(".tranche/serve"), 0o755)
    t.says(t.run("serve", want=2), ".tranche/serve is open to other users, who could submit jobs there")
    shutil.rmtree(t.path(".tranche/serve"))
    os.mkdir(t.path("theirs"))
    os.symlink(t.path("theirs"), t.path(".tranche/serve"))
    t.says(t.run("serve", want=1), ".tranche/serve")
    t.equal(["logs"], os.listdir(t.path("theirs")), "no socket there")


@scenario("serve")
def a_server_that_is_told_to_reload_goes_on_also_without_a_port(t):
    s = serve(t)
    s.p.send_signal(signal.SIGHUP)
    t.run("submit", "--wait", "--range", 3, "--into", "null:")
    s.p.send_signal(signal.SIGTERM)
    s.ends(0)


@scenario("serve")
def a_low_limit_of_open_files_is_raised_or_told(t):
    def limited(to):
        return Program(t, ["sh", "-c", f'ulimit {to} && exec "$0" serve', t.tranche])

    s = limited("-n 200")
    s.says("200 files may be open at a time, and jobs need 256: raise that limit (ulimit -n)")
    s.ends(2)
    limited("-Sn 150").says("serving ")
    t.run("submit", "--wait", "--range", 3, "--into", "null:")


@scenario("serve")
def a_server_begun_with_nohup_outlives_its_terminal(t):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        s = serve(t)
    finally:
        signal.signal(signal.SIGHUP, before)
    s.p.send_signal(signal.SIGHUP)
    t.run("submit", "--wait", "--range", 3, "--into", "null:")
    s.p.send_signal(signal.SIGTERM)
    s.ends(0)


@scenario("serve")
def what_a_job_leaves_behind_may_write_for_ever(t):
    s = serve(t)
    job = number(t, *held(t, "a"))
    runs(t, "a")
    with open(f"/proc/{s.p.pid}/task/{s.p.pid}/children") as f:
        child = int(f.read().split()[0])
    # As a program would that was begun in the background and has the job's standard error.
    log = os.open(f"/proc/{child}/fd/2", os.O_WRONLY)
    noise = subprocess.Popen(["yes", "noise"], stdout=log)
    os.close(log)
    try:
        os.kill(child, signal.SIGKILL)
        t.run("wait", job, want=1)
        t.run("submit", "--wait", "--range", 3, "--into", "null:")
        t.true(noise.wait(240) != 0, "nobody reads it any more")
    finally:
        noise.kill()
        noise.wait()


@scenario("serve")
def a_long_path_to_the_folder_is_no_obstacle(t):
    state = t.path("a" * 100, "b" * 100, "state")
    os.makedirs(os.path.dirname(state))
    s = serve(t, "--state", state)
    t.run("submit", "--wait", "--range", 3, "--into", "null:", "--state", state)
    t.equal(1, len(t.run("jobs", "--output", "json", env={"TRANCHE_HOME": state}).out.splitlines()), "jobs")
    t.equal("loaded", sqlite3.connect(os.path.join(state, "runs.db")).execute("SELECT status FROM runs").fetchone()[0],
            "its history stands with the server")
    t.true(s.p.poll() is None, "the server is there")


def client_key(t, s, name, kind="--client"):
    port = s.text.split("listening for clients on tcp://127.0.0.1:")[1].split()[0]
    t.run("keys", "new", kind, name, "--address", f"tcp://127.0.0.1:{port}", "-o", f"{name}.access")
    return ("--access", f"{name}.access")


@scenario("serve")
def a_client_of_another_host_comes_in_with_a_key_of_its_own_until_it_is_revoked(t):
    t.run("keys", "new", "--client", "first", "--address", "tcp://127.0.0.1:1", "-o", "first.access")
    s = serve(t, "--listen", "tcp://127.0.0.1:0")
    s.says("listening for clients on tcp://127.0.0.1:")
    key = client_key(t, s, "anna")
    t.wait_until(lambda: t.run("jobs", *key, want=None).code == 0, "the new key is known")
    job = number(t, *key, "--range", 7, "--into", "sqlite:wh.db", "--table", "r")
    t.run("wait", job, *key)
    t.equal(("anna", "ended"), (jobs(t, *key)[job]["owner"], jobs(t)[job]["state"]), "job")
    t.says(t.run("logs", job, *key), "7 rows into")
    t.says(t.run("submit", *key, "--csv", "none.csv", "--into", "null:", want=2),
           "a job reads files of the host where the server runs: none.csv is not there")
    t.says(t.run("keys", "list"), "anna", "(client)")
    worker = client_key(t, s, "worker", "--worker")  # which is no client
    t.says(t.run("jobs", *worker, want=2), "does not allow this key: it was revoked, or is none of a client")
    t.says(t.run("submit", *worker, "--range", 3, "--into", "null:", want=2), "does not allow this key")

    f = Program(t, [t.tranche, "submit", *key, *map(str, held(t, "a")), "--wait"])
    runs(t, "a")
    t.run("keys", "revoke", "--client", "anna")
    t.says(t.run("jobs", *key, want=(1, 2)), "allow")  # denied, or told so
    f.ends(2)
    t.true("is not allowed any more" in f.text or "does not allow this key" in f.text, f.text)
    t.equal("running", jobs(t)[job + 1]["state"], "what was submitted goes on")
    t.says(t.run("cancel", job + 1), "is being stopped")
    t.run("wait", job + 1, want=130)


@scenario("serve")
def without_keys_no_port_is_opened(t):
    t.says(t.run("serve", "--listen", "tcp://127.0.0.1:0", want=2), "tranche keys new")
    t.says(t.run("serve", "--listen", "nonsense", want=2), "--listen: nonsense is not tcp://HOST:PORT")


def free_port(t):
    """Below those that the kernel hands out by itself."""
    while True:
        port = t.random.randrange(12000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def crew(t):
    return {w["worker"]: w for w in map(json.loads, t.run("workers", "--output", "json").out.splitlines())}


@scenario("serve")
def a_worker_of_another_host_waits_for_the_next_job_until_it_is_drained(t):
    address = f"tcp://127.0.0.1:{free_port(t)}"
    t.run("keys", "new", "--worker", "anna", "--address", address, "-o", "anna.access")
    s = serve(t, "--listen-workers", address)
    t.says(t.run("workers"), "no job runs, or none has workers yet")
    w = Program(t, [os.path.join(t.build, "tranche-worker"), "--access", "anna.access", "--slots", 1])
    first = number(t, "--range", 1000, "--into", "sqlite:wh.db", "--table", "first", "-j", 0)
    t.run("wait", first)
    second = number(t, *held_in_worker(t, "a")[:-2], "-j", 0, "--batch-rows", 10)
    runs(t, "a")
    t.true(w.p.poll() is None, f"the worker has waited: {w.text}")
    anna = lambda: crew(t).get("anna", {})  # a line may break and come about again at any time
    t.wait_until(lambda: anna().get("doing") == "range rows 0-5", "what it works on is listed")
    t.wait_until(lambda: (second, 1, False) == tuple(anna().get(k) for k in ("job", "slots", "leaving")), "anna")
    t.says(t.run("drain", "berta", want=2), "no job that runs has a worker 'berta'")
    t.says(t.run("drain", want=2), "which worker?")
    t.wait_until(lambda: t.run("drain", "anna", want=None).code == 0
                 and "worker anna was drained" in t.run("logs", second).out, "the job knows")
    t.says(t.run("logs", second), "it ends what it has, and leaves")
    s.says("worker anna is drained")
    t.wait_until(lambda: anna().get("leaving"), "anna leaves")
    go(t, "a")
    w.ends(0)
    t.run("wait", second)
    t.equal([(1000,), (5,)], t.rows("wh.db", "SELECT count(*) FROM first UNION ALL SELECT count(*) FROM a"), "rows")


@scenario("serve")
def the_worker_of_this_machine_leaves_with_its_job_only(t):
    serve(t)
    job = number(t, *held_in_worker(t, "a"))
    runs(t, "a")
    t.wait_until(lambda: "local" in crew(t), "the worker is listed")
    t.says(t.run("drain", "local", want=2), "'local' is the job's own worker on the server's host")
    t.says(t.run("workers"), "worker", "local")
    go(t, "a")
    t.run("wait", job)
    t.equal({}, crew(t), "workers")
