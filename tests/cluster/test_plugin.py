"""Plugins, and many batches in flight in one runner: what works, and what every fault costs."""

import datetime
import os
import shutil
import subprocess

from kit import ROOT, scenario
from test_hosts import Program, keys, worker

NAUGHTY = "tests/plugins/naughty.c"
# Sanitizers would turn crashes into exits.
SIGNALS = {f"{x}_OPTIONS": os.environ.get(f"{x}_OPTIONS", "") + ":handle_segv=0:handle_abort=0:allow_user_segv_handler=1"
           for x in ("ASAN", "TSAN", "UBSAN")}


def build(t, source=NAUGHTY, name="plugin.so", flags=(), compiler="cc"):
    """Nothing but worker/plugin.h is needed, and it brings no warning."""
    std = ["-x", "c++", "-std=c++11"] if compiler == "g++" else ["-std=gnu99"]
    done = subprocess.run([compiler, *std, "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread",
                           "-I", ROOT, *flags, "-o", t.path(name), os.path.join(ROOT, source)],
                          capture_output=True, text=True)
    t.equal("", done.stderr, f"what {compiler} says of {source}")
    return "./" + name


def arguments(plugin, rows=1000, batch=100, args=(), more=()):
    pairs = [x for a in args for x in ("--plugin-arg", a)]
    return ["run", "--range", rows, "--batch-rows", batch, "--plugin", plugin, *pairs,
            "--into", "sqlite:wh.db", "--table", "t", "--output", "json", *more]


def exact(t, rows=1000, without=()):
    want = (rows - len(without), rows * (rows - 1) // 2 - sum(without))
    got = t.rows("wh.db", "SELECT count(*), sum(i) FROM t")[0]
    t.equal(want, got, "rows and their sum")
    t.intact("wh.db")


def runs(t, *args, more=(), rows=1000, batch=100, want=0, without=(), plugin=None):
    done = t.run(*arguments(plugin or build(t), rows, batch, args, more), want=want, env=SIGNALS)
    exact(t, rows, without)
    return done


@scenario("plugin", "smoke")
def a_plugin_is_opened_with_its_arguments_and_params(t):
    t.run("run", "--range", 6, "--into", "sqlite:wh.db", "--table", "numbers")
    runs(t, "what=param", more=("--param", "mean=SELECT avg(i) FROM numbers"))


@scenario("plugin", "smoke")
def what_sql_computes_comes_with_the_type_that_a_sample_shows(t):
    """The template doubles integers and reals, and refuses anything else."""
    t.write("in.csv", "id,price\n" + "".join(f"{i},{i}.5\n" for i in range(1000)))
    plugin = build(t, "examples/plugin/template.c")

    def doubled(sql, *more, command="run", want=0):
        return t.run(command, "--csv", "in.csv", "--sql", f"SELECT id, {sql} AS p FROM batch", "--plugin", plugin,
                     "--plugin-arg", "column=p", "--into", "sqlite:wh.db", "--table", "t", "--mode", "replace",
                     "--batch-bytes", "1KiB", *more, want=want)
    for sql, kind, total in (("price * 4", "real", 8 * sum(i + 0.5 for i in range(1000))),
                             ("id + 1", "integer", 2 * sum(range(1001))),
                             ("id % 2", "integer", 1000),
                             ("CASE id WHEN 999 THEN 1.5 ELSE id END", "real", 2 * sum(range(999)) + 3),
                             ("(SELECT max(id) FROM batch) * 0 + id", "integer", 2 * sum(range(1000)))):
        doubled(sql)
        t.equal([(kind, total)], t.rows("wh.db", "SELECT max(typeof(p)), sum(p) FROM t WHERE p IS NOT NULL"), sql)
    for command in ("check", "run"):
        for sql in ("'x' || id", "NULL", "CAST(id AS TEXT)", "iif(id % 2, id, 'x')"):
            t.says(doubled(sql, command=command, want=2), "the column is neither integer nor real")


@scenario("plugin")
def dates_and_timestamps_go_both_ways_as_numbers(t):
    day, rows = datetime.date(1999, 12, 25), []
    for i in range(500):
        at = datetime.datetime(2000, 2, 28, 22, 30) + datetime.timedelta(minutes=7 * i, microseconds=i)
        rows.append((i, day + datetime.timedelta(days=i), at))
    t.write("in.csv", "id,day,moment\n" + "".join(f"{i},{d},{at.isoformat(' ')}\n" for i, d, at in rows))
    plugin = build(t, "tests/plugins/times.c")
    args = ("--csv", "in.csv", "--plugin", plugin, "--batch-bytes", "4KiB", "--into", "sqlite:wh.db", "--table", "t")
    t.says(t.run("check", *args), "day                            date", "moment                         timestamp")
    t.run("run", *args)
    hour = datetime.timedelta(hours=1)
    t.equal([(i, (d + datetime.timedelta(days=1)).isoformat(), (at + hour).isoformat()) for i, d, at in rows],
            t.rows("wh.db", "SELECT * FROM t ORDER BY id"), "a day and an hour later")
    t.says(t.run("check", *args, "--plugin-arg", "text=id", want=2), "plugin times wants column 'id' as a time, but it is "
           "integer: say `source.types: {id: date}` or timestamp")
    t.write("in.csv", "id,day,moment\n1,2000-01-01,2000-01-01 00:00:00.1234567\n2,2000-01-01,2000-01-01 10:00+02:00\n")
    t.run("run", *args, "--fresh", "--bad-rows", 1, want=3)
    t.equal([(2, "2000-01-02", "2000-01-01T09:00:00")], t.rows("wh.db", "SELECT * FROM t"), "rows")
    t.true("'2000-01-01 00:00:00.1234567' is no timestamp" in t.one("wh.db", "SELECT reason FROM t_rejects"), "reason")


@scenario("plugin")
def a_value_of_another_type_than_the_sample_showed_loses_its_row(t):
    rows = 400000  # more than a sample has
    t.write("in.csv", "id\n" + "".join(f"{i}\n" for i in range(rows)))
    sql = f"SELECT id, CASE id WHEN {rows - 2} THEN 0.5 WHEN {rows - 1} THEN 8.0 ELSE id END AS p FROM batch"
    t.run("run", "--csv", "in.csv", "--sql", sql, "--plugin", build(t, "examples/plugin/template.c"), "--plugin-arg",
          "column=p", "--into", "sqlite:wh.db", "--table", "t", "--bad-rows", 1, want=3)
    t.equal([(rows - 1, 2 * sum(range(rows - 2)) + 16)], t.rows("wh.db", "SELECT count(*), sum(p) FROM t"), "rows")
    why = t.one("wh.db", "SELECT reason FROM t_rejects")
    t.true("column 'p': '0.5' is no integer, as the plugin was promised" in why and "CAST it in the sql" in why, why)


@scenario("plugin")
def the_template_works_in_c_and_in_cpp(t):
    t.write("in.csv", "id,price,name\n" + "".join(f"{i},{i}.5,n{i}\n" for i in range(1000)))
    compilers = [c for c in ("cc", "clang", "g++") if shutil.which(c)]
    for c in compilers:
        plugin = build(t, "examples/plugin/template.c", f"{c}.so", compiler=c)
        t.run("run", "--csv", "in.csv", "--plugin", plugin, "--plugin-arg", "column=price", "--into",
              "sqlite:wh.db", "--table", "t", "--mode", "replace", "--fresh")
        t.equal([(1000, 2 * sum(i + 0.5 for i in range(1000)), "n0", "n999")],
                t.rows("wh.db", "SELECT count(*), sum(price), min(name), max(name) FROM t"), c)


@scenario("plugin")
def a_job_file_names_a_plugin_beside_itself(t):
    os.makedirs(t.path("jobs"))
    build(t, name="jobs/p.so")
    t.write("jobs/job.yaml", "source: {range: 100}\ntransform:\n  - plugin: p.so\n    args: {what: nothing}\n"
            "load: {into: 'sqlite:wh.db', table: t}\n")
    t.run("run", "jobs/job.yaml")
    t.equal(100, t.one("jobs/wh.db", "SELECT count(*) FROM t"), "rows")


@scenario("plugin")
def sql_and_a_plugin_follow_one_another(t):
    t.write("in.csv", "i,x\n" + "".join(f"{i},{i % 7}\n" for i in range(1000)))
    t.run("run", "--csv", "in.csv", "--sql", "SELECT i, x FROM batch WHERE x = 3", "--plugin", build(t), "--sql",
          "SELECT i * 10 AS ten FROM batch", "--into", "sqlite:wh.db", "--table", "t")
    t.equal([(10 * sum(i for i in range(1000) if i % 7 == 3),)], t.rows("wh.db", "SELECT sum(ten) FROM t"), "sum")


@scenario("plugin")
def what_is_no_plugin_is_refused_before_the_run(t):
    t.write("text.so", "not a library\n")
    build(t, name="none.so", flags=["-DNO_ENTRY"])
    build(t, name="old.so", flags=["-DABI=7"])
    build(t, name="null.so", flags=["-DNO_TABLE"])
    build(t, name="open.so")
    os.chmod(t.path("open.so"), 0o777)
    for plugin, says in (("./missing.so", "plugin ./missing.so does not exist: build it first, see docs/PLUGIN.md"),
                         ("./text.so", "text.so cannot be loaded: "),
                         ("./none.so", "none.so is no plugin of tranche: it does not export tranche_plugin()"),
                         ("./old.so", "old.so is built for ABI 7, this tranche"),
                         ("./null.so", "null.so does not serve ABI 1"),
                         ("./open.so", "can be written by every user"),
                         (".", "plugin .: ")):
        done = t.run(*arguments(plugin), want=2)
        t.says(done, says)
        t.true(not os.path.exists(t.path("wh.db")) or not t.rows("wh.db", "SELECT 1 FROM sqlite_master WHERE name = 't'"),
               "a table was made")


@scenario("plugin")
def a_plugin_that_cannot_be_opened_is_told_before_the_run(t):
    plugin = build(t)
    for what, says in (("crash in init", "opening the transform killed its process: signal 11"),
                       ("exit in init", "opening the transform ended its process: exit code 3"),
                       ("fail in init", "plugin naughty cannot be opened: not today"),
                       ("crash in bind", "opening the transform killed its process: signal 11"),
                       ("fail in bind", "plugin naughty does not take these columns: it gave no reason"),
                       ("no schema", "the plugin's bind gave no schema"),
                       ("nested", "a table has no place for nested values")):
        t.says(t.run(*arguments(plugin, args=[f"what={what}"]), want=2, env=SIGNALS), says)


@scenario("plugin")
def a_row_that_a_plugin_cannot_take_stands_alone_among_the_rejects(t):
    done = runs(t, "what=fail", "at=417", more=("--bad-rows", "1"), want=3, without=[417])
    t.equal([("plugin naughty: this row is unlucky",)], t.rows("wh.db", "SELECT reason FROM t_rejects"), "reason")
    t.equal(1, done.json["rows_rejected"], "rejects")


@scenario("plugin", "smoke", "threads")
def a_row_that_crashes_a_plugin_stands_alone_among_the_rejects(t):
    for what, says in (("crash", "signal 11"), ("abort", "signal 6"), ("exit", "exited with code 3")):
        runs(t, f"what={what}", "at=417", more=("--bad-rows", "1", "--mode", "replace"), want=3, without=[417])
        reason = t.one("wh.db", "SELECT reason FROM t_rejects ORDER BY rowid DESC LIMIT 1")
        t.true(says in reason, f"the reason of {what}: {reason}")


@scenario("plugin", "threads")
def what_a_runner_had_ahead_of_a_row_that_ends_it_is_not_blamed(t):
    """Batches of some milliseconds, so that each runner has the next one while it works on one."""
    plugin = build(t)
    for what, batch in (("crash", 10), ("exit", 10), ("hang", 2)):
        runs(t, f"what={what}", "at=417", "ms=3", plugin=plugin, batch=batch, want=3, without=[417],
             more=("--bad-rows", "1", "--mode", "replace", "--timeout", "300ms", "--retries", "1", "-j", "2"))
        failed = t.rows(".tranche/runs.db", "SELECT begin, \"end\" FROM attempts WHERE outcome IN ('failed', 'died', 'timeout')")
        t.true(failed, f"attempts that ended with {what}")
        for begin, end in failed:
            t.true(begin <= 417 < end, f"rows {begin}-{end} ended with {what}")


@scenario("plugin")
def a_row_that_a_plugin_never_comes_back_from_stands_alone_among_the_rejects(t):
    runs(t, "what=hang", "at=3", more=("--bad-rows", "1", "--timeout", "200ms", "--retries", "1"), rows=8, batch=4,
         want=3, without=[3])
    t.true("took longer than limits.timeout" in t.one("wh.db", "SELECT reason FROM t_rejects"), "reason")


@scenario("plugin")
def a_result_that_lies_fails_its_batch(t):
    plugin = build(t)
    for what, says in (("no array", "gave no array"), ("length", "the length -1"),
                       ("columns", "has 0 columns, its schema 1"), ("offsets", "its offsets are negative"),
                       ("one row too few", "it has 0 rows, the array 1"), ("fail in silence", "it gave no reason"),
                       ("keep", "keeps part of a batch past the call")):
        done = t.run(*arguments(plugin, 2, 1, [f"what={what}"], ("--retries", "1")), want=4)
        t.says(done, says)
        os.unlink(t.path("wh.db"))


@scenario("plugin")
def what_a_plugin_prints_and_threads_that_it_leaves_disturb_nobody(t):
    plugin = build(t)
    runs(t, "what=loud", plugin=plugin)
    os.unlink(t.path("wh.db"))
    runs(t, "what=thread", plugin=plugin)


# ---- workers.concurrency ----

@scenario("plugin", "smoke", "threads")
def hundreds_of_batches_are_in_flight_at_the_same_time(t):
    # Each batch waits until 150 of its process are there, and answers how many that were.
    t.run(*arguments(build(t), 600, 1, ["what=company", "company=150"], ("--concurrency", "200", "-j", "2")))
    t.equal([(600,)], t.rows("wh.db", "SELECT count(*) FROM t"), "rows")
    least = t.one("wh.db", "SELECT min(i) FROM t")
    t.true(least >= 150, f"a batch waited for 149 others in vain: {least}")


@scenario("plugin")
def a_crash_among_many_batches_costs_its_own_row_only(t):
    for what in ("crash", "exit", "fail"):
        runs(t, f"what={what}", "at=417", "ms=5",
             more=("--concurrency", "16", "-j", "2", "--bad-rows", "1", "--mode", "replace"), batch=10, want=3,
             without=[417])


@scenario("plugin")
def a_batch_that_hangs_among_many_is_stopped_alone(t):
    done = runs(t, "what=hang", "at=3", "ms=1",
                more=("--concurrency", "8", "-j", "1", "--bad-rows", "1", "--timeout", "300ms", "--retries", "1"),
                rows=64, batch=2, want=3, without=[3])
    t.says(done, "took longer than limits.timeout")


@scenario("plugin")
def chunks_by_value_and_by_reference_are_worked_on_at_the_same_time(t):
    text = "i,text\n" + "".join(f"{i},row {i}\n" for i in range(20000))
    t.write("in.csv", text)
    want = [(20000, sum(range(20000)))]
    common = ("--plugin", build(t), "--sql", "SELECT i FROM batch", "--concurrency", "50", "--batch-bytes", "4KiB",
              "--into", "sqlite:wh.db", "--mode", "replace", "--fresh", "--table")
    t.run("run", "--csv", "in.csv", *common, "a")
    t.run("run", "--csv", "-", *common, "b", input=text.encode())
    t.equal(want, t.rows("wh.db", "SELECT count(*), sum(i) FROM a"), "by reference")
    t.equal(want, t.rows("wh.db", "SELECT count(*), sum(i) FROM b"), "by value")


@scenario("plugin")
def concurrency_without_a_step_that_waits_is_told(t):
    common = ("run", "--range", "10", "--into", "null:", "--concurrency", "8")
    says = "workers.concurrency changes nothing here: only exec, plugin"
    t.says(t.run(*common, "--sql", "SELECT i FROM batch"), says)
    t.says(t.run(*common), says)
    t.true(says not in t.run(*common, "--exec", "cat").err, "with a program it is of use")


@scenario("plugin")
def more_batches_than_memory_has_room_for_are_refused(t):
    done = t.run(*arguments(build(t), more=("--concurrency", "1000", "-j", "4")), want=2)
    t.says(done, "workers.concurrency: 1000 batches at a time in 4 slots", "take --concurrency 512, or --worker-memory 2000MiB")
    t.says(t.run(*arguments(build(t), more=("--concurrency", "1001")), want=2), "concurrency")


@scenario("plugin")
def flags_of_a_plugin_without_a_plugin_are_refused(t):
    done = t.run("run", "--range", 5, "--plugin-arg", "a=b", "--into", "null:", want=2)
    t.says(done, "--plugin-arg stands behind the transform that it is about")
    done = t.run("run", "--range", 5, "--sql", "SELECT 1", "--plugin-arg", "a=b", "--into", "null:", want=2)
    t.says(done, "is for plugin, and this step is sql")


@scenario("plugin")
def another_build_of_a_plugin_is_another_job(t):
    runs(t, "what=nothing")
    runs(t, "what=nothing")  # the same: nothing is loaded twice
    build(t, flags=["-DEXTRA", "-O2"])
    done = t.run(*arguments("./plugin.so", args=["what=nothing"]))
    t.equal(2000, t.one("wh.db", "SELECT count(*) FROM t"), f"rows after a run with another build\n{done}")


@scenario("plugin", "hosts")
def a_plugin_travels_to_a_worker_that_has_only_its_cache(t):
    keys(t, "anna")
    os.makedirs(t.path("lib"))
    build(t, name="lib/p.so")
    t.write("job.yaml", "source: {range: 1000}\nbatch: {rows: 10}\ntransform:\n  - plugin: lib/p.so\n"
            "load: {into: 'sqlite:wh.db', table: t}\nworkers: {concurrency: 4}\n")
    c = Program(t, [t.tranche, "run", "job.yaml", "-j", "0", "--listen", "tcp://127.0.0.1:0"])
    c.says("listening on ")
    w = worker(t, c.text.split("listening on ")[1].split()[0], "anna")
    c.ends(0)
    w.ends(0)
    exact(t)
    t.equal(1, len(os.listdir(t.path(".cache", "tranche", "files"))), "files in the worker's cache")
