"""kit - what every scenario leans on: an own folder, the real programs, SQLite to look with.

A scenario is a function marked with @scenario(GROUP); its name is a sentence. It gets a Case:
a fresh folder, `run()` for the programs, and checks that say what was wanted and what came.
"""

import csv
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SCENARIOS = []


def scenario(*groups):
    def mark(fn):
        SCENARIOS.append((fn.__name__, groups, fn))
        return fn
    return mark


class Failed(Exception):
    pass


class Skipped(Exception):
    """This host cannot show it; says why. Neither passed nor failed."""


def needs_root():
    if os.geteuid() != 0:
        raise Skipped("it needs root")


class Done:
    """A program that has ended."""

    def __init__(self, argv, code, out, err, seconds):
        self.argv, self.code, self.out, self.err, self.seconds = argv, code, out, err, seconds

    @property
    def json(self):
        lines = self.out.strip().splitlines()
        try:
            return json.loads(lines[-1])
        except (IndexError, ValueError):
            raise Failed(f"no JSON as the last line of stdout\n{self}")

    def __str__(self):
        return (f"$ {' '.join(self.argv)}\nexit code {self.code} after {self.seconds:.2f} s\n"
                f"--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-4000:]}")


class Case:
    def __init__(self, name, build, seed):
        self.name, self.build, self.seed = name, build, seed
        self.random = random.Random(f"{name}:{seed}")
        self.dir = tempfile.mkdtemp(prefix="tranche-test-")
        self.tranche = os.path.join(build, "tranche")
        self.last = None
        self.cleanups = []

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return path

    def data(self, name):
        return os.path.join(ROOT, "examples", "data", name)

    def env(self, **more):
        env = dict(os.environ, TMPDIR=self.path("tmp"), HOME=self.dir, LC_ALL="C.UTF-8")
        env.update(more)
        if "TRANCHE_HOME" not in more:
            env.pop("TRANCHE_HOME", None)
        os.makedirs(self.path("tmp"), exist_ok=True)
        return env

    def start(self, *args, env=None, stdin=subprocess.DEVNULL):
        """Starts the program in its own process group."""
        return subprocess.Popen([self.tranche, *map(str, args)], cwd=self.dir, stdin=stdin,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=self.env(**(env or {})), start_new_session=True)

    def finish(self, p, timeout=240, input=None):
        began = time.monotonic()
        try:
            out, err = p.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, err = p.communicate()
            raise Failed(f"still running after {timeout} s\n--- stderr\n{err.decode(errors='replace')[-4000:]}")
        done = Done(p.args, p.returncode, out.decode(errors="replace"),
                    err.decode(errors="replace"), time.monotonic() - began)
        self.last = done
        return done

    def run(self, *args, want=0, timeout=240, input=None, env=None):
        p = self.start(*args, env=env,
                       stdin=subprocess.DEVNULL if input is None else subprocess.PIPE)
        done = self.finish(p, timeout, input)
        if want is not None:
            wanted = want if isinstance(want, tuple) else (want,)
            if done.code not in wanted:
                raise Failed(f"wanted exit code {want}\n{done}")
        return done

    def rows(self, db, sql, *params):
        con = sqlite3.connect(self.path(db))
        con.text_factory = lambda b: b.decode("utf-8", "surrogateescape")
        try:
            return con.execute(sql, params).fetchall()
        finally:
            con.close()

    def execute(self, db, sql):
        con = sqlite3.connect(self.path(db), isolation_level=None)
        try:
            con.execute(sql)
        finally:
            con.close()

    def one(self, db, sql, *params):
        return self.rows(db, sql, *params)[0][0]

    def intact(self, db):
        self.equal("ok", self.one(db, "PRAGMA integrity_check"), "integrity_check")

    def equal(self, want, got, what):
        if want != got:
            raise Failed(f"{what}: wanted {want!r}, got {got!r}\n{self.last or ''}")

    def true(self, ok, what):
        if not ok:
            raise Failed(f"{what}\n{self.last or ''}")

    def says(self, done, *texts):
        for t in texts:
            if t not in done.err and t not in done.out:
                raise Failed(f"wanted the output to say {t!r}\n{done}")

    def wait_until(self, condition, what, seconds=180):
        """Waits for a condition, with a deadline; never for a guess at a time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                what = what() if callable(what) else what
                raise Failed(f"not within {seconds} s: {what}\n{self.last or ''}")
            time.sleep(0.005)

    def children(self, pid):
        """Process ids of all descendants."""
        found, todo = [], [pid]
        while todo:
            p = todo.pop()
            try:
                for t in os.listdir(f"/proc/{p}/task"):
                    with open(f"/proc/{p}/task/{t}/children") as f:
                        kids = [int(x) for x in f.read().split()]
                    found += kids
                    todo += kids
            except OSError:
                pass
        return found

    def leaves_nothing(self):
        left = os.listdir(self.path("tmp")) if os.path.isdir(self.path("tmp")) else []
        self.equal([], left, "files left in the temporary folder")

    def close(self, failed=False):
        for f in self.cleanups:
            f()
        if not (failed and os.environ.get("KEEP")):
            shutil.rmtree(self.dir, ignore_errors=True)


def dies_at_commit(nth=1):
    """The environment of a run that is killed behind its nth commit, each of which has one batch:
    how many a busy machine puts into one is nobody's to say, and it may be all of them."""
    return {"TRANCHE_CRASH_AT": f"commit-after-commit:{nth}", "TRANCHE_COMMIT_MOST": "1"}


def read_csv(path, **kw):
    with open(path, newline="", encoding="utf-8-sig") as f:
        return list(csv.reader(f, **kw))


def names_of_tests():
    """Scenarios, cmocka tests, the rows of their tables, fuzz targets."""
    names = set()
    for folder, _, files in os.walk(os.path.join(ROOT, "tests")):
        for name in files:
            if not name.endswith((".c", ".h", ".py")):
                continue
            with open(os.path.join(folder, name), errors="replace") as f:
                text = f.read()
            names |= {name[:-2]} if name.startswith("fuzz_") else set()
            names |= set(re.findall(r"^def (\w+)\(t\):", text, re.M))
            names |= set(re.findall(r"^static void (\w+)\(void \*\*state\)", text, re.M))
            names |= {"a_worker_lies_with_" + lie.replace("-", "_") for lie in re.findall(r'^lies\("([^"]+)"', text, re.M)}
    return names


def taken(path):
    """Whether we are the first who want it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        return True
    except FileExistsError:
        return False


def main(argv):
    build = os.path.join(ROOT, "build", "dev")
    groups, seed = [], os.environ.get("SEED") or str(int.from_bytes(os.urandom(4), "little"))
    share = None
    args = iter(argv)
    for a in args:
        if a == "--build":
            build = os.path.abspath(next(args))
        elif a == "--share":  # a folder: several of us take from the same scenarios
            share = next(args)
        else:
            groups.append(a)
    todo = [(n, f) for n, g, f in SCENARIOS
            if "all" in groups and not {"readme", "valgrind", "browser"} & set(g) or set(groups) & ({n} | set(g))]
    passed = failed = skipped = 0
    print(f"{len(todo)} scenarios, SEED={seed}, {build}", flush=True)
    for name, fn in todo:
        if share and not taken(os.path.join(share, name)):
            continue
        case, began = Case(name, build, seed), time.monotonic()
        before = passed + skipped
        try:
            fn(case)
            passed += 1
            print(f"ok      {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Skipped as e:
            skipped += 1
            print(f"skipped {name}: {e}", flush=True)
        except Exception as e:  # one broken scenario must not hide the others
            failed += 1
            text = str(e) if isinstance(e, Failed) else traceback.format_exc()
            again = f"SEED={seed} {os.path.relpath(sys.argv[0], ROOT)} --build {os.path.relpath(build, ROOT)} {name}"
            print(f"FAILED  {name} in {case.dir}\nagain: {again}\n{text}", flush=True)
        finally:
            case.close(passed + skipped == before)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
