#!/usr/bin/env python3
"""power_cut - what a power cut leaves, of a run whose every write, sync and name was recorded.

The shim records what the coordinator does to the files of one folder. For any moment of that record a Disk knows what was
synced, what was only written, and which names stood in folders that were synced. A cut keeps of the rest what it likes:

    dropped     nothing that was not synced
    kept        everything (as kill -9 does)
    names       every name, no data: files are as long as they were made, and full of zeros
    mixed       of the writes to each file any, in any order; each torn at 512 bytes, or whole; of the names of each folder
                the first few

The folder is built again with the same inodes, and the same command has to complete it, exactly. What stood in the ledger when
the coordinator had said that the load is complete must still stand there; before that, all but the last transaction.
"""

import os
import random
import shutil
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "cluster")]

import kit  # noqa: E402
import roomy  # noqa: E402,F401
from fault import Fault  # noqa: E402
from test_crash_points import WAYS, same, write_input  # noqa: E402

SECTOR = 512
FINISHED = "finish-after-commit"
OTHERS = ("mixed", "names", "kept")


class Inode:
    def __init__(self, durable=b""):
        self.durable, self.live, self.pending = durable, bytearray(durable), []

    def write(self, at, data):
        apply(self.live, ("W", at, data))
        self.pending.append(("W", at, data))

    def resize(self, size):
        apply(self.live, ("T", size, b""))
        self.pending.append(("T", size, b""))

    def sync(self):
        self.durable, self.pending = bytes(self.live), []


def apply(content, step):
    kind, at, data = step
    if kind == "T":
        content[at:] = b"\0" * max(0, at - len(content))
        return
    if len(content) < at:
        content.extend(b"\0" * (at - len(content)))
    content[at:at + len(data)] = data


def rename_all(names, changes):
    for name, ino in changes.items():
        names.pop(name, None)
        if ino is not None:
            names[name] = ino


class Folder:
    """Names of a folder: those that are durable, and what was done since."""

    def __init__(self, names=()):
        self.durable, self.live, self.pending = dict(names), dict(names), []

    def change(self, **names):
        """All of it or nothing: a name and its inode, or None."""
        self.pending.append(names)
        rename_all(self.live, names)

    def sync(self):
        self.durable, self.pending = dict(self.live), []


class Disk:
    def __init__(self, root):
        """As the folder is now; all of it is durable."""
        self.root, self.inodes, self.folders = root, {}, {}
        for path, _, names in os.walk(root):
            self.folders[path] = Folder()
            for name in names:
                full = os.path.join(path, name)
                ino = os.stat(full).st_ino
                with open(full, "rb") as f:
                    self.inodes[ino] = Inode(f.read())
                self.folders[path].durable[name] = self.folders[path].live[name] = ino

    def step(self, event):
        kind, ino, at, data, path, to = event
        folder, name = os.path.split(path)
        if kind == "W":
            self.inodes[ino].write(at, data)
        elif kind == "T":
            self.inodes[ino].resize(at)
        elif kind == "C":
            self.inodes.setdefault(ino, Inode())
            self.folders[folder].change(**{name: ino})
        elif kind == "S" and path:
            self.folders[path].sync()
        elif kind == "S":
            self.seen(ino, at, data)
            self.inodes[ino].sync()
        elif kind == "R":
            self.seen(ino, at, data)
            if os.path.dirname(to) != folder:
                raise kit.Failed(f"renamed into another folder: {path} {to}")
            self.folders[folder].change(**{name: None, os.path.basename(to): ino})
        elif kind == "U":
            self.folders[folder].change(**{name: None})
        elif kind == "D":  # a folder is as durable as its parent: nothing here depends on more
            self.folders[path] = Folder()

    def seen(self, ino, n, data):
        """FILEs write unseen: their content is what the record shows."""
        i = self.inodes[ino]
        if n >= 0 and bytes(i.live) != data:
            i.resize(0)
            i.write(0, data)

    def after_cut(self, kind, rng):
        """{folder: {name: inode}}, {inode: content}"""
        names, content = {}, {}
        for path, f in self.folders.items():
            keep = {"dropped": 0, "mixed": rng.randint(0, len(f.pending))}.get(kind, len(f.pending))
            names[path] = dict(f.durable)
            for changes in f.pending[:keep]:
                rename_all(names[path], changes)
        for ino, i in self.inodes.items():
            content[ino] = {"dropped": lambda: i.durable, "kept": lambda: bytes(i.live), "names": lambda: zeros(i),
                            "mixed": lambda: mixed(i, rng)}[kind]()
        return names, content


def zeros(inode):
    return inode.durable[:len(inode.live)] + b"\0" * (len(inode.live) - len(inode.durable))


def mixed(inode, rng):
    """Any of the unsynced writes, in any order, torn between sectors."""
    content = bytearray(inode.durable)
    steps = [s for s in inode.pending if rng.random() < 0.5]
    if rng.random() < 0.5:
        rng.shuffle(steps)
    for kind, at, data in steps:
        if kind == "W" and rng.random() < 0.5:
            cut = rng.randrange(0, len(data) + 1)
            data = data[:max(0, (at + cut) // SECTOR * SECTOR - at)]
            if not data:
                continue
        apply(content, (kind, at, data))
    return bytes(content)


def read_record(path):
    """[(kind, inode, offset, data, path, to)]"""
    events = []
    with open(path, "rb") as f:
        while line := f.readline():
            kind, ino, at, n, names = line.decode().rstrip("\n").split(" ", 4)
            data = f.read(int(n))
            names = names.split("\t") + [""]
            events.append((kind, int(ino), int(at), data, names[0], names[1]))
    return events


class Recorded:
    """A run of a way to load, and the folder as it stood before."""

    def __init__(self, t, way, wal):
        self.t, self.way, self.wal = t, way, wal
        self.root, self.kept = os.path.realpath(t.path("w")), os.path.realpath(t.path("kept"))
        os.mkdir(self.kept)
        self.command = [t.tranche, *way.command(way.args)]
        self.prepare()
        self.before = Disk(self.root)
        self.keep_inodes()
        trace = t.path("trace")
        f = Fault(t, record=t.path("record"), keep=self.kept, under=self.root)
        self.run(3, TRANCHE_CRASH_TRACE=os.path.realpath(t.path()) + "/trace", **f.env)
        with open(trace) as lines:
            steps = iter(lines.read().split())
        self.events = read_record(t.path("record"))
        # A step of the trace is a record without inode.
        self.steps = {i: next(steps, "") for i, e in enumerate(self.events) if e[0] == "M"}
        self.want = self.look()

    def prepare(self):
        os.makedirs(os.path.join(self.root, "out"))
        if self.wal:
            con = sqlite3.connect(os.path.join(self.root, "wh.db"))
            con.executescript("PRAGMA journal_mode=WAL; CREATE TABLE mine(x);")
            con.close()
        for rows, args, env in self.way.before:
            write_input(self, rows)
            self.run(-9 if env else 3, *args, **(env or {}))
        write_input(self, 1500)

    def write(self, name, text):
        return self.t.write(name, text)

    def run(self, want, *args, **env):
        """The input stays outside, where nothing changes it."""
        argv = [self.t.tranche, *self.way.command(args or self.way.args)]
        argv[argv.index("in.csv")] = os.path.join("..", "in.csv")
        import subprocess
        p = subprocess.Popen(argv, cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=self.t.env(**env), start_new_session=True)
        done = self.t.finish(p)
        if done.code != want:
            raise kit.Failed(f"wanted exit code {want}\n{done}")
        return done

    def keep_inodes(self):
        for folder, f in self.before.folders.items():
            for name, ino in f.live.items():
                os.link(os.path.join(folder, name), os.path.join(self.kept, str(ino)))

    def look(self):
        inner = kit.Case.__new__(kit.Case)
        inner.__dict__.update(self.t.__dict__, dir=self.root)
        return self.way.look(inner)

    def build(self, names, content):
        """The folder as after the cut: the same inodes, so that what is remembered of files is true."""
        shutil.rmtree(self.root)
        for ino, data in content.items():
            with open(os.path.join(self.kept, str(ino)), "r+b") as f:
                f.truncate(0)
                f.write(data)
        for folder, entries in sorted(names.items()):
            os.makedirs(folder, exist_ok=True)
            for name, ino in entries.items():
                os.link(os.path.join(self.kept, str(ino)), os.path.join(folder, name))

    def ledger(self):
        """What the ledger says is in: ranges, and whether the load is complete."""
        name = next((n for n in ("wh.db", "out/o.csv.ledger", "out/o.jsonl.ledger", "out/part-*.csv.ledger")
                     if os.path.exists(os.path.join(self.root, n))), None)
        if not name:
            return set()
        con = sqlite3.connect(os.path.join(self.root, name))
        try:
            last = "(SELECT max(load_id) FROM tranche_runs)"  # what earlier ones left may have been replaced
            got = set(con.execute(f"SELECT load, input, byte_begin, byte_end, state FROM tranche_ledger WHERE load = {last}"))
            return got | set(con.execute(f"SELECT load_id, state FROM tranche_runs WHERE state = 'complete' AND load_id = {last}"))
        except sqlite3.OperationalError as e:
            if "no such table" in str(e):
                return set()
            raise
        finally:
            con.close()


def promises(r):
    """[(index of the event, what the ledger said when it was told that it is committed)]"""
    got, disk, rng = [], Disk.__new__(Disk), random.Random(0)
    disk.__dict__.update(copy_of(r.before).__dict__)
    for i, event in enumerate(r.events):
        disk.step(event)
        if r.steps.get(i) in ("commit-after-commit", FINISHED):
            r.build(*disk.after_cut("kept", rng))
            got.append((i, r.ledger()))
    return got


def promise_before(promised, at):
    """The last transaction may be lost, as long as nobody was told that the load is complete: it is loaded again."""
    heard = [said for i, said in promised if i < at]
    if heard and any(said[-1] == "complete" for said in heard[-1]):
        return heard[-1]
    return heard[-2] if len(heard) > 1 else set()


def copy_of(disk):
    import copy
    return copy.deepcopy(disk)


def cut(r, at, kind, seed, promised):
    """None, or what is wrong after a cut before event `at`."""
    disk, rng = copy_of(r.before), random.Random(f"{seed}:{at}:{kind}")
    for event in r.events[:at]:
        disk.step(event)
    r.build(*disk.after_cut(kind, rng))
    try:
        said = promise_before(promised, at)
        lost = said - r.ledger()
        if lost:
            raise kit.Failed(f"acknowledged, but not there: {sorted(lost, key=str)[:5]}")
        r.run(3)
        same(r.t, r.want, r.look(), "afterwards")
    except Exception as e:
        tail = [f"{k} {ino} {n} {len(d)} {p} {q}" for k, ino, n, d, p, q in r.events[max(0, at - 12):at]]
        return f"{kind}, cut before event {at} of {len(r.events)}, seed {seed}\n" + "\n".join(tail) + f"\n{e}"
    return None


def power_cuts(t, way, step, seed, start=None, say=None, wal=False):
    """Cuts after every sync, dropping the rest, and of the other kinds one before every step-th event; returns how many."""
    r = Recorded(t, WAYS[way], wal)
    promised = promises(r)
    t.true(promised, "something was acknowledged")
    first, end = t.random.randrange(step) if start is None else start, len(r.events)
    cuts = [(0, "dropped")] + [(i + 1, "dropped") for i, e in enumerate(r.events) if e[0] == "S"]
    cuts += [(at, kind) for at in range(first, end, step) for kind in OTHERS if step == 1 or kind == OTHERS[at // step % len(OTHERS)]]
    cuts += [(end, kind) for kind in ("dropped", *OTHERS[:2])]  # the run had ended, and said so
    wrong, n = [], len(cuts)
    for at, kind in cuts:
        complaint = cut(r, at, kind, seed, promised)
        if complaint:
            wrong.append(complaint)
            if say:
                say(complaint)
    if say:
        say(f"{way}: {len(r.events)} events, {len(promised)} acknowledgements, {n} cuts, {len(wrong)} wrong")
    if wrong:
        raise kit.Failed(f"{len(wrong)} of {n} power cuts went wrong; the first:\n{wrong[0]}")
    return n


def main(argv):
    import argparse
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.path.join(kit.ROOT, "build", "dev"))
    p.add_argument("--way", choices=sorted(WAYS), action="append")
    p.add_argument("--step", type=int, default=1)
    p.add_argument("--seed", default="1")
    a = p.parse_args(argv)
    bad = 0
    for way in a.way or sorted(WAYS):
        t = kit.Case("power", os.path.abspath(a.build), a.seed)
        try:
            power_cuts(t, way, a.step, a.seed, 0, lambda s: print(s, flush=True))
        except kit.Failed as e:
            bad += 1
            print(str(e).splitlines()[0], flush=True)
        finally:
            t.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
