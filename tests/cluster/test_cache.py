"""The cache: what was worked on once is not worked on again, and never a wrong result."""

import os
import sqlite3

from kit import scenario

COUNT = ("import sys, os\n"
         "with open(os.environ['MARK'], 'a') as f: f.write('s' if os.environ.get('TRANCHE_SAMPLE') else 'b')\n"
         "print(sys.stdin.readline().strip() + ',twice')\n"
         "for line in sys.stdin:\n"
         "    id, v = line.strip().split(',')\n"
         "    print(f'{id},{v},{int(v) * 2}')\n")


def make(t, rows=3000):
    t.write("count.py", COUNT)
    t.write("in.csv", "id,v\n" + "".join(f"{i:05d},{i % 100:03d}\n" for i in range(rows)))
    t.write("job.yaml", "source: {csv: in.csv, types: {id: text, v: text}}\n"
            "batch: {bytes: 4KiB}\n"
            f"transform: [{{exec: [python3, count.py], sandbox: none, env: {{MARK: '{t.path('mark')}'}}}}]\n"
            "load: {into: sqlite:wh.db, table: t, mode: replace}\n"
            "cache: true\n")


def run(t, *args, want=0):
    if os.path.exists(t.path("mark")):
        os.unlink(t.path("mark"))
    r = t.run("run", "job.yaml", "--output", "json", *args, want=want)
    return r.json


def started(t, why):
    if not os.path.exists(t.path("mark")):
        return 0
    with open(t.path("mark")) as f:
        return f.read().count(why)


def batches(t):
    """How many the program worked on."""
    return started(t, "b")


def samples(t):
    """How often it was tried, to learn its columns."""
    return started(t, "s")


def exact(t, rows=3000):
    t.equal([(rows, rows * (rows - 1) // 2, sum(2 * (i % 100) for i in range(rows)))],
            t.rows("wh.db", "SELECT count(*), sum(id), sum(twice) FROM t"), "rows and sums")
    t.intact("wh.db")


def files(t):
    d = t.path(".tranche", "cache", "results")
    return sorted(os.path.join(d, f) for f in os.listdir(d) if "." not in f)


@scenario("cache", "smoke")
def a_second_run_works_on_nothing(t):
    make(t)
    first = run(t)
    t.equal((0, first["chunks"], 1), (first["chunks_cached"], batches(t), samples(t)), "cached, worked on, tried")
    t.true(first["chunks"] > 5, "several batches")
    exact(t)
    second = run(t, "--fresh")
    t.equal((first["chunks"], 0, 0), (second["chunks_cached"], batches(t), samples(t)), "cached, worked on, tried")
    for k in ("rows_read", "rows_parsed", "rows_emitted", "rows_loaded", "chunks", "bytes_read"):
        t.equal(first[k], second[k], k)
    exact(t)
    r = t.run("cache", "list")
    t.says(r, "job", str(first["chunks"]))
    t.equal(r.out, t.run("cache", "list", t.dir).out, "what is kept in the folder that is named")
    t.says(t.run("cache", "clear"), f"removed {first['chunks']} results")
    t.says(t.run("cache", "list"), "no results are kept in ./.tranche/cache")
    run(t, "--fresh")
    t.equal(first["chunks"], batches(t), "worked on after clear")
    t.leaves_nothing()


@scenario("cache")
def only_what_has_changed_is_worked_on(t):
    make(t)
    n = run(t)["chunks"]
    with open(t.path("in.csv"), "a") as f:  # batches are cut from the front: those before stay the same
        f.write("".join(f"{i:05d},{i % 100:03d}\n" for i in range(3000, 4000)))
    r = run(t, "--fresh")
    t.true(n - 1 <= r["chunks_cached"] <= n, r)
    t.equal(r["chunks"] - r["chunks_cached"], batches(t), "worked on")
    exact(t, 4000)
    # Everything that makes a result is in its name; what does not, is not.
    for change, cached in (
        (lambda: t.write("count.py", COUNT + "# other bytes\n"), False),
        (lambda: t.write("job.yaml", open(t.path("job.yaml")).read().replace("python3, count", "python3, -s, count")),
         False),
        (lambda: t.write("job.yaml", open(t.path("job.yaml")).read().replace("mark'}", "mark', B: '1'}")), False),
        (lambda: t.write("job.yaml", open(t.path("job.yaml")).read() + "limits: {timeout: 3m, memory: 100MiB}\n"), True),
    ):
        change()
        r = run(t, "--fresh", "-j", "1")
        t.equal(r["chunks"] if cached else 0, r["chunks_cached"], "cached")
        exact(t, 4000)


@scenario("cache")
def rows_that_are_rejected_are_rejected_again(t):
    t.write("job.yaml", "source: {csv: in.csv, types: {v: integer}}\nbatch: {bytes: 1KiB}\n"
            "transform: {sql: 'SELECT id, v * 2 AS v FROM batch'}\n"
            "load: {into: sqlite:wh.db, table: t, mode: replace}\nlimits: {bad_rows: 5}\ncache: true\n")
    t.write("in.csv", "id,v\n" + "".join(f"{i},{'x' if i == 500 else i}\n" for i in range(1000)))
    for k in range(2):
        r = t.run("run", "job.yaml", "--output", "json", "--fresh", want=3).json
        t.equal((999, 1), (r["rows_loaded"], r["rows_rejected"]), "loaded, rejected")
        t.equal(r["chunks"] - 1 if k else 0, r["chunks_cached"], "all but the batch with that row")
        t.equal([(502,)], t.rows("wh.db", "SELECT line FROM t_rejects"), "its line")


@scenario("cache")
def a_damaged_or_foreign_file_is_no_result(t):
    make(t)
    run(t)
    kept = files(t)
    for i, f in enumerate(kept):
        with open(f, "r+b") as x:
            data = bytearray(x.read())
            if i % 4 == 0:
                data[t.random.randrange(len(data))] ^= 1 << t.random.randrange(8)
            elif i % 4 == 1:
                data = data[:t.random.randrange(len(data))]
            elif i % 4 == 2:
                data += b"\0" * 10
            x.seek(0)
            x.truncate()
            x.write(data)
    os.unlink(kept[3])
    os.symlink("/etc/passwd", kept[3])
    r = run(t, "--fresh")
    t.equal(len([i for i in range(len(kept)) if i % 4 == 3]) - 1, r["chunks_cached"], "those that nobody touched")
    exact(t)
    t.true(os.path.exists("/etc/passwd"), "a link leads nowhere")


@scenario("cache")
def columns_that_somebody_damaged_are_learned_again(t):
    make(t)
    run(t)
    d = t.path(".tranche", "cache", "results")
    name, = [f for f in os.listdir(d) if f.endswith(".columns")]
    with open(os.path.join(d, name), "r+b") as f:
        data = bytearray(f.read())
        data[t.random.randrange(len(data))] ^= 1 << t.random.randrange(8)
        f.seek(0)
        f.write(data)
    for tried in (1, 0):
        r = run(t, "--fresh")
        t.equal((r["chunks"], tried), (r["chunks_cached"], samples(t)), "cached, tried")
        exact(t)
    t.equal(0, t.run("check", "job.yaml").code, "exit code")
    t.equal(1, samples(t), "a check tries the program, whatever is kept")


@scenario("cache")
def a_program_that_stays_is_not_started_for_nothing(t):
    t.write("p.py", "import os, sys\n"
            "with open(os.environ['MARK'], 'a') as f: f.write('s' if os.environ.get('TRANCHE_SAMPLE') else 'b')\n"
            "while head := sys.stdin.readline().split():\n"
            "    body = sys.stdin.read(int(head[1]))\n"
            "    print('tranche-batch', len(body), head[2], flush=True)\n"
            "    print(body, end='', flush=True)\n")
    t.write("job.yaml", "source: {range: 100}\nbatch: {rows: 10}\n"
            f"transform: [{{exec: [python3, p.py], persistent: true, sandbox: none, env: {{MARK: '{t.path('mark')}'}}}}]\n"
            "load: {into: sqlite:wh.db, table: t, mode: replace}\ncache: true\n")
    run(t)
    t.true(batches(t) >= 1 and samples(t) == 1, "it was started")
    run(t)
    t.equal((0, 0), (batches(t), samples(t)), "started")
    t.equal([(100, 4950)], t.rows("wh.db", "SELECT count(*), sum(i) FROM t"), "rows")


@scenario("cache")
def a_limit_of_bytes_keeps_what_was_used_last(t):
    make(t, 40000)
    text = open(t.path("job.yaml")).read().replace("bytes: 4KiB", "bytes: 64KiB").replace("cache: true", "cache: 1MiB")
    t.write("job.yaml", text)
    first = run(t)
    size = sum(os.path.getsize(f) for f in files(t))
    t.true(first["chunks"] > len(files(t)) > 0, "some had to go")
    t.true(size <= 1 << 20, f"{size} bytes are kept")
    r = run(t, "--fresh")
    t.true(0 < r["chunks_cached"] < first["chunks"], r)
    exact(t, 40000)


@scenario("cache")
def two_runs_share_the_cache_and_one_is_killed(t):
    make(t)
    for i in range(2):
        t.write(f"j{i}.yaml", open(t.path("job.yaml")).read().replace("wh.db", f"w{i}.db"))
    runs = [t.start("run", f"j{i}.yaml", "--output", "json") for i in range(2)]
    killed = t.start("run", "job.yaml")
    d = t.path(".tranche", "cache", "results")
    t.wait_until(lambda: killed.poll() is not None or (os.path.isdir(d) and len(os.listdir(d)) > 2), "results are kept")
    killed.kill()
    killed.communicate()
    for p in runs:
        t.equal(0, t.finish(p).code, "exit code")
    run(t)
    exact(t)
    for i in range(2):
        t.equal(3000, t.one(f"w{i}.db", "SELECT count(*) FROM t"), "rows")


@scenario("cache")
def a_cache_that_cannot_be_written_is_said_and_does_no_harm(t):
    make(t)
    os.makedirs(t.path(".tranche"))
    t.write(".tranche/cache", "a file")
    r = t.run("run", "job.yaml")
    t.says(r, "nothing is taken from the cache, or kept there: ")
    exact(t)
    t.says(t.run("cache", "list", want=1), ".tranche/cache/results")


@scenario("cache")
def ranges_queries_and_aggregates_are_cached_too(t):
    t.execute("s.db", "CREATE TABLE s AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
              "WHERE i < 5000) SELECT i, i % 7 AS g FROM n")
    jobs = {
        "range": ("source: {range: 5000}\nbatch: {rows: 500}\ntransform: {sql: 'SELECT i, i * i AS q FROM batch'}\n", ""),
        "query": ("source: {sqlite: s.db, query: 'SELECT i, g FROM s ORDER BY i'}\nbatch: {rows: 500}\n", ""),
        "aggregate": ("source: {sqlite: s.db, query: 'SELECT i, g FROM s ORDER BY i'}\nbatch: {rows: 500}\n",
                      "aggregate: {by: [g], compute: {n: count(*), m: median(i)}}\n"),
    }
    for name, (source, more) in jobs.items():
        t.write(f"{name}.yaml", source + more + f"load: {{into: sqlite:{name}.db, table: t, mode: replace}}\ncache: true\n")
        rows = []
        for k in range(2):
            r = t.run("run", f"{name}.yaml", "--output", "json", "--fresh").json
            t.equal((10, 10 * k), (r["chunks"], r["chunks_cached"]), f"{name}: batches, cached")
            rows.append(t.rows(f"{name}.db", "SELECT * FROM t ORDER BY 1"))
        t.equal(rows[0], rows[1], f"{name}: rows")


@scenario("cache")
def mistakes_about_the_cache_are_told(t):
    for args, says in (
        (("cache",), "say what to do: list or clear"),
        (("cache", "lst"), "it is list or clear, not lst"),
        (("cache", "list", "--otput", "json"), "no such flag, or its value is missing: --otput"),
        (("cache", "clear", "nosuch/job.yaml"), "nosuch/job.yaml: cannot open the job file: No such file"),
        (("cache", "list", "--output", "xml"), "--output is human, json or quiet, not xml"),
        (("run", "--range", "1", "--into", "null:", "--cache", "maybe"), "--cache: 'maybe' is neither true, false nor a size; e.g. 4GiB"),
    ):
        t.says(t.run(*args, want=2), says)
    t.says(t.run("cache", "--help"), "Usage: tranche cache list|clear")
