"""Files that a job needs on its workers' hosts. HOME of each scenario is its own folder."""

import glob
import os

from kit import scenario
from test_hosts import SLOW, Program, keys, make, wait_for_commits, worker

ROWS, NAMES = 4000, 20000
SQL = "SELECT b.id, n.name FROM batch b JOIN names n ON n.id = b.id % 20000"


def job(t, rows=ROWS, sql=SQL):
    make(t, rows)
    write_names(t, "the name of")
    t.write("job.yaml", f"""
source: {{csv: k.csv}}
tables: {{names: names.csv}}
transform: {{sql: "{sql}"}}
load: {{into: 'sqlite:wh.db', table: k}}
""")


def write_names(t, words):
    t.write("names.csv", "id,name\n" + "".join(f"{i},{words} {i:07d}\n" for i in range(NAMES)))


def listen(t, *more):
    p = Program(t, [t.tranche, "run", "job.yaml", "--batch-bytes", "4KiB", "--output", "json", "--listen",
                    "tcp://127.0.0.1:0", *more])
    p.says("listening on ")
    p.endpoint = p.text.split("listening on ")[1].split()[0]
    return p


def exact(t):
    t.equal((ROWS, ROWS), t.rows("wh.db", "SELECT count(*), count(DISTINCT id) FROM k")[0], "rows, distinct rows")
    t.equal(0, t.one("wh.db", "SELECT count(*) FROM k WHERE name <> printf('the name of %07d', id)"), "wrong names")


def cached(t):
    return sorted(glob.glob(t.path(".cache", "tranche", "files", "*")))


@scenario("files", "smoke", "threads")
def a_lookup_table_comes_to_another_host_and_stays_in_its_cache(t):
    job(t)
    keys(t, "anna")
    seen = set()
    for i in range(2):
        c = listen(t, "-j", "0", "--fresh")
        w = worker(t, c, "anna")
        c.ends(0)
        w.ends(0)
        exact(t)
        t.equal(1, len(cached(t)), "files in the cache")
        seen.add((cached(t)[0], os.stat(cached(t)[0]).st_ino))
        os.remove(t.path("wh.db"))
    t.equal(1, len(seen), "files that came")
    t.equal(0o400, os.stat(cached(t)[0]).st_mode & 0o777, "its mode")


@scenario("files")
def a_spoilt_file_in_the_cache_is_fetched_again(t):
    job(t)
    keys(t, "anna")
    for i in range(2):
        c = listen(t, "-j", "0", "--fresh")
        w = worker(t, c, "anna")
        c.ends(0)
        w.ends(0)
        exact(t)
        name = cached(t)[0]
        os.chmod(name, 0o600)
        with open(name, "r+b") as f:
            f.seek(1000)
            f.write(b"spoilt")
    t.equal(1, len(cached(t)), "files in the cache")


@scenario("files")
def two_workers_of_a_host_share_the_cache(t):
    job(t)
    keys(t, "anna", "bert")
    c = listen(t, "-j", "0", "--min-workers", "2")
    ws = [worker(t, c, n) for n in ("anna", "bert")]
    c.ends(0)
    for w in ws:
        w.ends(0)
    exact(t)
    t.equal(1, len(cached(t)), "files in the cache")


@scenario("files")
def what_dead_workers_left_in_the_cache_is_swept(t):
    job(t)
    keys(t, "anna")
    t.write(".cache/tranche/files/part-123456", "half of it")
    t.write(".cache/tranche/files/job-123456/names.csv", "a link")
    c = listen(t, "-j", "0")
    w = worker(t, c, "anna")
    c.ends(0)
    w.ends(0)
    exact(t)
    t.equal(1, len(cached(t)), "files in the cache")


@scenario("files")
def a_table_that_changed_before_a_worker_came_ends_the_run(t):
    job(t)
    keys(t, "anna")
    c = listen(t, "-j", "0")
    write_names(t, "THE NAME OF")
    w = worker(t, c, "anna")
    c.ends(1)
    w.ends(0)
    t.true("names.csv changed during the run: its digest no longer matches" in c.text, f"the sentence is in {c.text}")
    t.equal([], cached(t), "files in the cache")


@scenario("files")
def a_table_that_changes_under_the_local_worker_ends_the_run(t):
    job(t, sql=SLOW.replace("FROM batch", "FROM batch, (SELECT max(id) FROM names)"))
    p = Program(t, [t.tranche, "run", "job.yaml", "--batch-bytes", "1KiB", "-j", "1"])
    wait_for_commits(t)
    write_names(t, "THE NAME OF")
    p.ends(1)
    t.true("names.csv changed during the run: its digest no longer matches" in p.text, f"the sentence is in {p.text}")


@scenario("files")
def a_cache_that_others_may_write_to_is_refused(t):
    job(t)
    keys(t, "anna")
    os.makedirs(t.path(".cache/tranche/files"))
    os.chmod(t.path(".cache/tranche/files"), 0o777)
    c = listen(t, "-j", "0")
    w = worker(t, c, "anna")
    w.ends(1)
    t.true("others may write to it: programs would run from there" in w.text, f"the sentence is in {w.text}")
