"""Bad input gets a clear sentence, and nothing is lost."""

import fcntl
import gzip
import os
import signal
import sqlite3
import subprocess
import sys
import threading

from kit import dies_at_commit, needs_root, scenario


def load(t, *more, want, csv="in.csv", into="sqlite:wh.db"):
    return t.run("run", "--csv", csv, "--into", into, "--table", "t", *more, want=want)


@scenario("bad", "smoke")
def what_is_no_readable_csv_is_named(t):
    os.mkdir(t.path("folder.csv"))
    t.write("binary.csv", bytes(range(256)) * 64)
    t.write("empty.csv", "")
    t.write("utf16.csv", "a,b\n1,2\n".encode("utf-16"))
    for csv, texts in {"missing.csv": ["missing.csv"], "nothing-*.csv": ["nothing-*.csv"],
                       "folder.csv": ["folder.csv"], "binary.csv": ["binary.csv"],
                       "empty.csv": ["empty.csv", "empty"], "utf16.csv": ["UTF-16"]}.items():
        r = load(t, csv=csv, want=(1, 2))
        t.says(r, *texts)
        t.true(len(r.err.strip().splitlines()) <= 2, "one clear sentence")
    t.true(not os.path.exists(t.path("wh.db")) or
           not t.rows("wh.db", "SELECT 1 FROM sqlite_schema WHERE name='t'"), "no table was made")


@scenario("bad")
def another_delimiter_or_encoding_or_date_is_told_with_what_to_do(t):
    t.write("in.csv", "a;b\n" + "1,5;2\n" * 50)
    t.says(load(t, want=2), "2 columns at ';': say --delimiter ';', or --delimiter ','")
    t.true(not os.path.exists(t.path("wh.db")) or not t.rows("wh.db", "SELECT 1 FROM sqlite_schema WHERE name='t'"), "no table")
    t.says(load(t, "--delimiter", ",", "--bad-rows", "50", want=3), "most often: 2 fields, the header has 1 (50)")
    load(t, "--delimiter", ";", into="sqlite:right.db", want=0)
    t.write("in.csv", b"a\nM\xfcller\nSt\xf6r\nok\n")
    t.says(load(t, into="sqlite:latin.db", want=4), "2 of its first 4 lines are not UTF-8", "iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW.csv",
           "most often: byte 3 is not UTF-8, and the like (2)")
    t.write("in.csv", "d\n31.12.2023\n30.12.2023\n")
    t.says(load(t, "--type", "d=date", into="sqlite:dates.db", want=4), "most often: column d: '31.12.2023' is not a date, and the like (2)",
           "strptime(text, '%d.%m.%Y') (docs/SQL.md)")


@scenario("bad")
def an_unclosed_quote_is_located_and_the_rows_before_it_are_loaded(t):
    t.write("in.csv", 'a,b\n1,x\n2,y\n3,"never closed\n4,z\n')
    r = load(t, want=4)
    t.says(r, "byte 14", "1 row was rejected")
    t.equal([(1, "x"), (2, "y")], t.rows("wh.db", "SELECT * FROM t"), "rows")
    t.equal(1, t.one("wh.db", "SELECT count(*) FROM t_rejects"), "rejects")


@scenario("bad")
def a_wrong_type_given_by_the_user_is_told(t):
    t.write("in.csv", "a\nx\ny\n")
    t.says(load(t, "--type", "a=integer", want=4), "2 rows were rejected, limits.bad_rows allows fewer")
    t.says(load(t, "--type", "a=number", want=2), "number", "integer")
    t.says(load(t, "--type", "z=integer", want=2), "z", "a")


@scenario("bad")
def a_table_with_another_schema_is_compared_column_by_column(t):
    con = sqlite3.connect(t.path("wh.db"))
    con.execute("CREATE TABLE t(a, other)")
    con.commit()
    con.close()
    t.write("in.csv", "a,b\n1,2\n")
    t.says(load(t, want=2), "b", "other")


@scenario("bad")
def a_locked_warehouse_names_its_holder_and_waits(t):
    t.write("in.csv", "a\n1\n")
    load(t, want=0)
    holder = subprocess.Popen([sys.executable, "-c", "import sqlite3,sys\n"
                               "c=sqlite3.connect(sys.argv[1],isolation_level=None)\n"
                               "c.execute('BEGIN IMMEDIATE')\nprint('held',flush=True)\nsys.stdin.read()",
                               t.path("wh.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        t.write("in.csv", "a\n1\n2\n")
        r = load(t, want=1)
        t.says(r, str(holder.pid))
    finally:
        holder.stdin.close()
        holder.wait()
    load(t, want=0)
    t.equal([(1,), (2,)], t.rows("wh.db", "SELECT a FROM t ORDER BY a"), "rows")


@scenario("bad")
def a_second_run_of_the_same_job_is_told_who_holds_it(t):
    t.write("in.csv", "a\n" + "1\n" * 1000)
    p = t.start("run", "--csv", "-", "--into", "sqlite:wh.db", "--table", "t", stdin=subprocess.PIPE)
    try:
        p.stdin.write(b"a\n" + b"1\n" * 3000000)
        p.stdin.flush()
        t.wait_until(lambda: os.path.exists(t.path("wh.db")), "the first run has begun")
        r = t.run("run", "--csv", "-", "--into", "sqlite:wh.db", "--table", "t", want=1, input=b"a\n1\n")
        t.says(r, str(p.pid))
    finally:
        p.stdin.close()
        p.stdin = None
        t.finish(p)
    t.equal(3000000, t.one("wh.db", "SELECT count(*) FROM t"), "rows of the first")


@scenario("bad")
def a_file_truncated_before_a_resume_is_refused(t):
    t.write("in.csv", "a\n1\n2\n3\n")
    load(t, want=0)
    t.write("in.csv", "a\n1\n")
    t.says(load(t, want=(1, 2)), "in.csv")
    t.equal(3, t.one("wh.db", "SELECT count(*) FROM t"), "rows")


@scenario("bad")
def a_full_disk_pauses_the_run_and_space_lets_it_go_on(t):
    needs_root()
    disk = t.path("disk")
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], check=True)
    t.cleanups.append(lambda: subprocess.run(["umount", "-l", disk]))
    with open(os.path.join(disk, "ballast"), "wb") as f:
        f.write(b"x" * 2200000)
    p = t.start("run", "--csv", t.data("superstore.csv"), "--into", f"sqlite:{disk}/wh.db", "--table", "t",
                "--batch-bytes", "64KiB", "--output", "json")
    os.set_blocking(p.stderr.fileno(), False)
    seen = b""

    def said():
        nonlocal seen
        seen += p.stderr.read() or b""
        return b"space" in seen or b"full" in seen or p.poll() is not None
    t.wait_until(said, "the full disk is told")
    t.true(p.poll() is None, f"the run waits: {seen.decode()}")
    subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
    os.set_blocking(p.stderr.fileno(), True)
    r = t.finish(p)
    t.equal(0, r.code, "exit code")
    t.equal(9994, t.one("disk/wh.db", "SELECT count(*) FROM t"), "rows")
    t.intact("disk/wh.db")


@scenario("bad")
def a_worker_that_cannot_be_started_is_told(t):
    t.write("in.csv", "a\n1\n")
    os.mkdir(t.path("bin"))
    subprocess.run(["cp", t.tranche, t.path("bin", "tranche")], check=True)
    t.tranche = t.path("bin", "tranche")
    t.says(load(t, want=1), "tranche-worker")


@scenario("bad")
def interrupted_is_130_and_resumable(t):
    p = t.start("run", "--csv", "-", "--into", "sqlite:wh.db", "--table", "t", "--batch-bytes", "64KiB",
                stdin=subprocess.PIPE)
    data = b"a\n" + b"".join(b"%d\n" % i for i in range(200000))
    p.stdin.write(data)
    p.stdin.flush()
    t.wait_until(lambda: os.path.exists(t.path("wh.db")), "the run has begun")
    os.kill(p.pid, signal.SIGINT)
    p.stdin.close()
    p.stdin = None
    r = t.finish(p)
    t.equal(130, r.code, "exit code")
    t.run("run", "--csv", "-", "--into", "sqlite:wh.db", "--table", "t", "--batch-bytes", "64KiB", input=data)
    t.equal([(200000, sum(range(200000)))], t.rows("wh.db", "SELECT count(*), sum(a) FROM t"), "rows")


@scenario("bad")
def wrong_usage_is_two_and_says_what_would_be_right(t):
    for args, texts in {
        ("run", "--cvs", "x.csv"): ["--csv"],
        ("rnu",): ["run"],
        ("run", "--csv", "x.csv", "--into", "mysql:x"): ["sqlite"],
        ("run", "--csv", "x.csv", "--into", "sqlite:x.db", "--mode", "upsert"): ["upsert", "--key"],
        ("run", "missing.yaml"): ["missing.yaml"],
        ("run", "--csv", "x.csv"): ["--into"],
        ("serve", "--jbos", "2"): ["--jobs"],
    }.items():
        t.says(t.run(*args, want=2), *texts)
    t.write("j.yaml", "sorce:\n  csv: x.csv\n")
    t.says(t.run("check", "j.yaml", want=2), "j.yaml:1:1", "source")


@scenario("bad")
def help_and_version_are_there(t):
    for args in (("--help",), ("run", "--help"), ("check", "--help"), ("runs", "--help"), ("--version",)):
        r = t.run(*args)
        t.true(r.out.strip() and not r.err, "help on stdout, nothing on stderr")
    for flag in "--csv --sql --into --table --mode --bad-rows --batch-bytes --fresh --output --progress".split():
        t.says(t.run("run", "--help"), flag)


def has_rows(t, db):
    try:
        return os.path.exists(t.path(db)) and t.one(db, "SELECT count(*) FROM tranche_ledger") > 0
    except sqlite3.Error:  # not there yet, or locked
        return False


def write_all(pipe, data):
    try:
        pipe.write(data)
    except OSError:  # the run may end before it has read all
        pass


@scenario("bad", "smoke", "threads")
def ctrl_c_ends_a_run_that_waits_for_input(t):
    head = b"a\n" + b"".join(b"%d\n" % i for i in range(600000))
    for data, ready in ((b"", "tmp"), (head, "wh.db")):  # in the plan; in the loop
        p = t.start("run", "--csv", "-", "--into", "sqlite:wh.db", "--table", "t", "--output", "json",
                    stdin=subprocess.PIPE)
        if data:
            threading.Thread(target=write_all, args=(p.stdin, data), daemon=True).start()
        t.wait_until(lambda: os.path.exists(t.path(ready)) and (ready != "tmp" or os.listdir(t.path("tmp"))),
                     "the run has begun")
        os.kill(p.pid, signal.SIGINT)
        t.wait_until(lambda: p.poll() is not None, "it ends while nothing comes")
        r = t.finish(p)
        t.equal(130, r.code, "exit code")
        t.equal("interrupted", r.json["status"], "status")
        t.leaves_nothing()
    t.run("run", "--csv", "-", "--into", "sqlite:wh.db", "--table", "t", input=head)
    t.equal([(600000, sum(range(600000)))], t.rows("wh.db", "SELECT count(*), sum(a) FROM t"), "rows")


@scenario("bad")
def two_signals_at_a_time_end_a_run_in_order(t):
    data = b"a\n" + b"".join(b"%d\n" % i for i in range(600000))
    p = t.start("run", "--csv", "-", "--into", "sqlite:wh.db", "--table", "t", "--output", "json",
                stdin=subprocess.PIPE)
    threading.Thread(target=write_all, args=(p.stdin, data), daemon=True).start()
    t.wait_until(lambda: has_rows(t, "wh.db"), "rows are committed")
    os.kill(p.pid, signal.SIGTERM)
    os.kill(p.pid, signal.SIGINT)
    r = t.finish(p)
    t.equal(130, r.code, "exit code")
    t.equal("interrupted", r.json["status"], "status")
    t.true(r.json["rows_loaded"] > 0, "what was loaded is told")
    t.leaves_nothing()


@scenario("bad")
def a_transform_that_fails_on_every_row_does_not_bisect_them_all(t):
    t.write("in.csv", "a\n" + "".join(f"{i}\n" for i in range(600)))
    sql = "SELECT json_extract('{bad' || a, '$.x') AS n FROM batch"
    r = load(t, "--sql", sql, "--output", "json", want=4)
    t.says(r, "malformed JSON", "--bad-rows")
    t.equal("limit passed", r.json["status"], "status")
    t.true(r.json["rows_rejected"] < 600, "it stops early")
    t.true(len(r.err.splitlines()) < 150, "not a line for each attempt on each row")
    load(t, "--sql", sql, "--bad-rows", "100%", want=3)
    t.equal(600, t.one("wh.db", "SELECT count(*) FROM t_rejects"), "rejects")


@scenario("bad")
def a_file_that_was_loaded_in_part_and_is_gone_is_missed(t):
    for name in "ab":
        t.write(f"{name}.csv", "k\n" + "".join(f"{name}{i}\n" for i in range(20000)))
    job = ("run", "--csv", "[ab].csv", "--into", "sqlite:wh.db", "--table", "t", "--batch-bytes", "8KiB")
    t.run(*job, want=-signal.SIGKILL, env=dies_at_commit())
    os.rename(t.path("a.csv"), t.path("hidden"))
    t.says(t.run(*job, want=1), "a.csv", "part", "--fresh")
    os.rename(t.path("hidden"), t.path("a.csv"))
    t.run(*job)
    t.equal([("a", 20000), ("b", 20000)], t.rows("wh.db", "SELECT substr(k,1,1), count(*) FROM t GROUP BY 1"), "rows")
    os.remove(t.path("a.csv"))  # all of it is in: it may go
    t.run(*job)
    t.equal(40000, t.one("wh.db", "SELECT count(*) FROM t"), "rows")


@scenario("bad")
def a_command_that_is_wrong_gives_its_json_line_too(t):
    for args in (("--into", "mysql:x", "--csv", "x.csv"), ("--cvs", "x.csv"), ("none.yaml",)):
        r = t.run("run", *args, "--output", "json", want=2)
        t.equal("failed", r.json["status"], "status")
        t.true(r.json["error"] in r.err, "the error is the one that was told")
    r = t.run("check", "--csv", "none.csv", "--output=json", want=2)
    t.equal("failed", r.json["status"], "status of a check")


@scenario("bad")
def odd_names_and_numbers_are_said_as_valid_json(t):
    odd = os.fsencode(t.dir) + b"/odd\xff.csv"
    with open(odd, "wb"):
        pass  # an empty file: the error names it
    r = load(t, "--output", "json", csv="odd*.csv", want=2)
    t.true("odd\ufffd.csv" in r.json["error"], f"the name is in {r.json['error']!r}")
    for rows in (1, 2):
        with open(odd, "wb") as f:
            f.write(b"a\n" + b"1\n" * rows)
        t.equal("loaded", load(t, "--output", "json", csv="odd*.csv", want=0).json["status"], "status")
    t.equal(2, t.one("wh.db", "SELECT count(*) FROM t"), "rows: the second run knows the file again")


@scenario("bad")
def more_workers_than_their_memory_allows_are_refused(t):
    t.write("in.csv", "a\n1\n")
    t.says(load(t, "--workers", "100", "--worker-memory", "64MiB", want=2), "--workers 4", "--worker-memory")


@scenario("bad")
def a_full_disk_under_the_history_is_told_once(t):
    needs_root()
    disk = t.path("state")
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=True)
    t.cleanups.append(lambda: subprocess.run(["umount", "-l", disk]))
    t.write("in.csv", "a\n" + "".join(f"{i}\n" for i in range(150000)))
    r = t.run("run", "--csv", "in.csv", "--into", "sqlite:wh.db", "--table", "t", "--batch-bytes", "64",
              env={"TRANCHE_HOME": disk})
    t.true(1 <= r.err.count("no space") <= 2, "it is told once, and that the end is not in the history")
    t.equal((150000, 150000), t.rows("wh.db", "SELECT count(*), count(DISTINCT a) FROM t")[0], "rows")


@scenario("bad")
def closed_and_full_standard_streams_do_no_harm(t):
    t.write("in.csv", "a\n1\n2\n")
    def shell(redirect, csv, want):
        line = f'exec timeout 20 "$0" run --csv {csv} --into sqlite:wh.db --table t --fresh --output json {redirect}'
        p = subprocess.run(["sh", "-c", line, t.tranche], cwd=t.dir, env=t.env(), capture_output=True)
        t.equal(want, p.returncode, f"exit code with {redirect}: {p.stderr.decode()}")
    shell("<&-", "-", 1)
    shell("</dev/null", "-", 2)
    for redirect, want in (("<&-", 0), ("2>&-", 0), (">&-", 1), (">/dev/full", 1), ("<&- >&- 2>&-", 1)):
        shell(redirect, "in.csv", want)
        t.equal([(1,), (2,)], t.rows("wh.db", "SELECT a FROM t"), "rows")
        t.intact("wh.db")


@scenario("bad")
def a_bomb_is_unpacked_no_further_than_a_record_may_go(t):
    t.write("in.csv.gz", gzip.compress(b"a,b\n1,2\n") + 600 * gzip.compress(b"x" * (1 << 20)))
    argv = ["prlimit", f"--data={400 << 20}", t.tranche, "run", "--csv", "in.csv.gz", "--into", "sqlite:wh.db", "--table", "t"]
    r = subprocess.run(argv, cwd=t.dir, env=t.env(), capture_output=True, text=True, timeout=240)
    t.true(r.returncode == 4 and "is longer than 33554432 bytes" in r.stderr, f"exit code {r.returncode}\n{r.stderr}")
    t.equal([(1, 2)], t.rows("wh.db", "SELECT * FROM t"), "rows before it")


@scenario("bad")
def names_and_values_of_the_input_steer_no_terminal(t):
    t.write("f\x1b]0;title\x07\x7f\x9b.csv", 'a,b\x1b[2J,c\x9bd\n1,2,3\n"x\x1b[31m\ntranche: all is well",4,5\n')
    args = ["--csv", "f*.csv", "--type", "a=integer", "--into", "stdout:", "--bad-rows", "9"]
    check = t.run("check", *args)
    rejected = t.run("run", *args, want=3)
    said = [check.out, check.err, rejected.err]
    t.true("\ntranche: all" not in rejected.err and "line 3" in rejected.err, rejected.err)
    t.write("fg.csv", "a,b\x1b[2J,c\x9bd\n1,2,3\n")
    said.append(t.run("run", "--csv", "f*.csv", "--into", "null:").out)
    t.write("fh.csv", "a,b\n")
    for more in (["--csv", "f*.csv"], ["--csv", "fg.csv", "--type", "\x1b[2J=integer"], ["--csv", "g\x1b[2J.csv"]):
        wrong = t.run("run", *more, "--into", "null:", "--output", "json", want=2)
        said += [wrong.err, wrong.out]
        t.true(wrong.json["error"], wrong.out)
    said.append(t.run("runs").out)
    for text in said:
        bad = [c for c in text if (c < " " and c not in "\t\n") or "\x7f" <= c < "\xa0"]
        t.true(not bad, f"{bad!r} in {text!r}")
