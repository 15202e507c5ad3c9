"""oracle - whether a load left exactly what it should, whatever was done to its run.

    ref = Reference("in.csv", "ref.db", ["id", "k"], lambda row: (int(row[0]), ...))   # None: a bad row
    findings = judge(ref, Sqlite("wh.db", "t"), code=done.code, want=(3,), report=done.json)
    findings += left_behind(case.dir)

An empty list is the only good answer; everything else is sentences. What is asked, in this order:

 (a) the rows are those of the reference as a multiset: count, sums, hash xor, and EXCEPT both ways
 (b) chunk by chunk: the rows that stand where the ledger says are those of its byte range
 (c) rows loaded + rejected + refused are the input's, in the ledger, in the rejects table and in the report
 (d) the ledger's ranges tile the input, and the load is complete
 (e) the database is intact
 (f) no process, zombie, socket, shared memory or temporary file is left
 (g) the exit code is as specified

The reference knows nothing of our code: Python's csv module reads the input, line by line.
"""

import csv
import hashlib
import io
import os
import re
import sqlite3

MASK = (1 << 64) - 1


def fingerprint(row):
    return int.from_bytes(hashlib.blake2b(repr(tuple(row)).encode(), digest_size=8).digest(), "little")


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


class Reference:
    """What a CSV file (one record a line, a header) must become; kept in a database, by byte offset."""

    def __init__(self, path, db, columns, transform):
        self.path, self.db, self.columns = path, db, columns
        self.size = os.path.getsize(path)
        self.rejected = self.records = 0
        self.con = sqlite3.connect(db)
        self.con.execute(f"CREATE TABLE reference(at INTEGER PRIMARY KEY, fp INTEGER, {', '.join(map(quoted, columns))})")
        with open(path, "rb") as f:
            self.data_begin = len(f.readline())
            self.con.executemany(f"INSERT INTO reference VALUES(?, ?{', ?' * len(columns)})", self.read(f, transform))
        self.con.execute("CREATE TABLE bad(at INTEGER PRIMARY KEY)")
        self.con.executemany("INSERT INTO bad VALUES(?)", ((at,) for at in self.bad))
        self.con.commit()
        self.rows = self.con.execute("SELECT count(*) FROM reference").fetchone()[0]
        self.con.close()

    def read(self, f, transform):
        self.bad, at = [], self.data_begin
        for line in f:
            row = transform(next(csv.reader(io.StringIO(line.decode(), newline=""))))
            self.records += 1
            if row is None:
                self.rejected += 1
                self.bad.append(at)
            else:
                yield (at, signed(fingerprint(row)), *row)
            at += len(line)


def signed(n):  # SQLite's integers are
    return n - (1 << 64) if n >> 63 else n


class Sqlite:
    """A table of a SQLite warehouse. A row's place is its rowid."""

    def __init__(self, path, table):
        self.table = table
        self.con = sqlite3.connect(path)

    def one_column(self, sql, *args):
        return [r[0] for r in self.con.execute(sql, args)]

    def runs(self):
        return self.con.execute("SELECT load_id, state, staging FROM tranche_runs WHERE table_name = ? ORDER BY 1", (self.table,)).fetchall()

    LEDGER = ("byte_begin", "byte_end", "state", "rows_read", "rows_parsed", "rows_rejected", "rows_emitted", "rows_loaded", "rows_refused")

    def ledger(self, load):
        """Dictionaries; `places` is (first, last) or None."""
        rows = self.con.execute(f"SELECT {', '.join(self.LEDGER)}, first_rowid, last_rowid FROM tranche_ledger WHERE load = ? "
                                "ORDER BY byte_begin, byte_end", (load,))
        return [dict(zip(self.LEDGER, r), places=(r[-2], r[-1]) if r[-2] is not None else None) for r in rows]

    def rows(self, columns):
        return self.con.execute(f"SELECT rowid, {', '.join(map(quoted, columns))} FROM {quoted(self.table)}")

    def rejects(self):
        return self.con.execute(f"SELECT count(*) FROM {quoted(self.table + '_rejects')}").fetchone()[0]

    def damage(self):
        said = self.one_column("PRAGMA integrity_check")
        found = [] if said == ["ok"] else [f"integrity_check: {'; '.join(map(str, said[:5]))}"]
        staged = self.one_column("SELECT name FROM sqlite_schema WHERE name LIKE '%!_!_tranche%' ESCAPE '!'")
        return found + [f"a staged table is left: {name}" for name in staged]

    def close(self):
        self.con.close()


class Postgres:
    """A table of a PostgreSQL server (tests/cluster/pg.py). A row's place is the transaction that wrote it."""

    def __init__(self, pg, table, database="postgres"):
        self.pg, self.table, self.database = pg, table, database

    def ask(self, sql):
        return self.pg.rows(sql, self.database)

    def runs(self):
        return [(int(i), state, staging) for i, state, staging in
                self.ask(f"SELECT load_id, state, staging FROM tranche_runs WHERE table_name = '{self.table}' ORDER BY 1")]

    def ledger(self, load):
        found = self.ask(f"SELECT {', '.join(Sqlite.LEDGER)}, xact FROM tranche_ledger WHERE load = {load} ORDER BY 1, 2")
        rows = []
        for r in found:
            row = {k: v if k == "state" else int(v) for k, v in zip(Sqlite.LEDGER, r)}
            row["places"] = (int(r[-1]) & 0xffffffff,) * 2 if r[-1] else None
            rows.append(row)
        return rows

    def rows(self, columns):
        for r in self.ask(f"SELECT xmin, {', '.join(map(quoted, columns))} FROM {quoted(self.table)}"):
            yield (int(r[0]), *map(number, r[1:]))

    def rejects(self):
        return int(self.ask(f"SELECT count(*) FROM {quoted(self.table + '_rejects')}")[0][0])

    def damage(self):
        self.pg.psql("CREATE EXTENSION IF NOT EXISTS amcheck", database=self.database)
        found = [f"verify_heapam of {name}: {message}" for name, message in self.ask(
            "SELECT c.relname, v.msg FROM pg_class c, verify_heapam(c.oid) v WHERE c.relkind = 'r' AND c.relnamespace = "
            "'public'::regnamespace")]
        bad = self.pg.psql("SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE relkind = 'i' AND "
                           "amname = 'btree' AND relnamespace = 'public'::regnamespace", check=False, database=self.database)
        found += [f"bt_index_check: {bad.stderr.strip()}"] if bad.returncode else []
        staged = self.ask(r"SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname "
                              r"LIKE '%\_\_tranche%'")
        return found + [f"a staged table is left: {name}" for name, in staged]

    def close(self):
        pass


def number(text):
    """COPY gives texts; what was a number in the reference is one here."""
    try:
        return int(text)
    except (TypeError, ValueError):
        return text


def judge(ref, target, code=None, want=None, report=None):
    try:
        return Judge(ref, target).findings() + outcome(ref, code, want, report)
    except (sqlite3.Error, ValueError) as e:
        return [f"the warehouse cannot be read: {e}"]
    finally:
        target.close()


def outcome(ref, code, want, report):
    found = []
    if want is not None and code not in want:
        found.append(f"(g) exit code {code}, wanted {' or '.join(map(str, want))}")
    if report:
        load = report["load"]
        if not load["balanced"]:
            found.append("(c) the report says: not balanced")
        got = load["rows_read"], load["rows_rejected"] + load["rows_refused"], load["rows_loaded"]
        if got != (ref.records, ref.rejected, ref.records - ref.rejected):
            found.append(f"(c) the report's rows read, rejected, loaded are {got}, wanted {(ref.records, ref.rejected, ref.rows)}")
    return found


class Judge:
    def __init__(self, ref, target):
        self.ref, self.target, self.found = ref, target, []
        self.db = sqlite3.connect("")
        self.db.execute("ATTACH ? AS r", (ref.db,))
        columns = ", ".join(map(quoted, ref.columns))
        self.db.execute(f"CREATE TABLE got(place INTEGER, fp INTEGER, {columns})")
        marks = ", ?" * len(ref.columns)
        self.db.executemany(f"INSERT INTO got VALUES(?, ?{marks})",
                            ((row[0], signed(fingerprint(row[1:])), *row[1:]) for row in target.rows(ref.columns)))
        self.db.execute("CREATE INDEX got_place ON got(place)")
        self.columns = columns

    def findings(self):
        runs = self.target.runs()
        self.rows_are_the_reference()
        if not runs:
            return self.found + ["(d) tranche_runs has no load of this table"]
        load, state, _ = runs[-1]
        ledger = self.target.ledger(load)
        self.chunks_stand_where_the_ledger_says(ledger)
        self.rows_balance(ledger)
        self.ranges_tile(ledger, state)
        self.found += [f"(e) {text}" for text in self.target.damage()]
        return self.found

    def tell(self, text):
        self.found.append(text)

    def summary(self, table):
        sums = ", ".join(f"sum(CASE typeof({c}) WHEN 'integer' THEN {c} END)" for c in map(quoted, self.ref.columns))
        return self.db.execute(f"SELECT count(*), {sums} FROM {table}").fetchone(), xor(self.db.execute(f"SELECT fp FROM {table}"))

    def rows_are_the_reference(self):
        want, got = self.summary("r.reference"), self.summary("got")
        if want != got:
            self.tell(f"(a) count, sums, xor are {got}, wanted {want}")
        as_set = "SELECT {c}, count(*) FROM {t} GROUP BY {c}"
        tables = [as_set.format(c=self.columns, t=t) for t in ("r.reference", "got")]
        for what, one, other in (("lost", *tables), ("unexpected or doubled", *reversed(tables))):
            rows = self.db.execute(f"{one} EXCEPT {other}").fetchall()
            if rows:
                self.tell(f"(a) {len(rows)} rows {what}, with their number: {rows[:3]}")

    def chunks_stand_where_the_ledger_says(self, ledger):
        """Chunks that share their places (a transaction of PostgreSQL) are looked at together."""
        shared, last = {}, 0
        for row in ledger:
            if row["state"] == "done" and row["places"]:
                shared.setdefault(row["places"], []).append(row)
        for (first, end), rows in sorted(shared.items()):
            got = self.db.execute("SELECT fp FROM got WHERE place BETWEEN ? AND ?", (first, end)).fetchall()
            want = [fp for row in rows for fp in self.db.execute("SELECT fp FROM r.reference WHERE at >= ? AND at < ?",
                                                                 (row["byte_begin"], row["byte_end"]))]
            said, at = sum(row["rows_loaded"] for row in rows), f"bytes {rows[0]['byte_begin']} to {rows[-1]['byte_end']}"
            if not len(got) == len(want) == said:
                self.tell(f"(b) {at}: {len(got)} rows stand there, the ledger says {said}, the reference {len(want)}")
            elif xor(got) != xor(want):
                self.tell(f"(b) {at}: other rows than those of the range")
            if first <= last:
                self.tell(f"(b) {at}: its places {first} to {end} overlap another chunk's")
            last = end
        loaded = sum(row["rows_loaded"] for row in ledger)
        there = self.db.execute("SELECT count(*) FROM got").fetchone()[0]
        if loaded != there:
            self.tell(f"(b) the ledger's rows_loaded are {loaded}, the table has {there}")

    def rows_balance(self, ledger):
        for row in ledger:
            if row["state"] == "split":
                continue
            records, bad = (self.db.execute(f"SELECT count(*) FROM r.{t} WHERE at >= ? AND at < ?",
                                            (row["byte_begin"], row["byte_end"])).fetchone()[0] for t in ("reference", "bad"))
            out = row["rows_rejected"] + row["rows_refused"]
            if (row["rows_read"], out) != (records + bad, bad) or row["rows_loaded"] + out != row["rows_read"]:
                self.tell(f"(c) bytes {row['byte_begin']} to {row['byte_end']}: {row['rows_loaded']} loaded + {out} rejected of "
                          f"{row['rows_read']} read; the input has {records} good and {bad} bad there")
        rejects = self.target.rejects()
        if rejects != self.ref.rejected:
            self.tell(f"(c) {rejects} rows among the rejects, wanted {self.ref.rejected}")

    def ranges_tile(self, ledger, state):
        if state != "complete":
            self.tell(f"(d) the load is {state}")
        at = self.ref.data_begin
        for row in ledger:
            if row["state"] == "split":
                continue
            if row["byte_begin"] != at:
                self.tell(f"(d) the ledger goes on at byte {row['byte_begin']}, wanted {at}")
            at = row["byte_end"]
        if at != self.ref.size:
            self.tell(f"(d) the ledger ends at byte {at}, the input at {self.ref.size}")


def xor(rows):
    x = 0
    for (fp,) in rows:
        x ^= fp & MASK
    return x


# ---- (f) what is left of the programs of a folder

def text_of(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def processes(folder):
    """Process ids of all that run in this folder or were given it in their environment, but ourselves."""
    mark, found = folder.encode(), []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            cwd = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            cwd = ""
        if cwd == folder or cwd.startswith(folder + "/") or mark in text_of(f"/proc/{pid}/environ"):
            if int(pid) != os.getpid():
                found.append(int(pid))
    return found


def zombies(parents):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        stat = text_of(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        if stat and stat[0] == b"Z" and int(stat[1]) in parents:
            found.append(int(pid))
    return found


def left_behind(folder, apart=()):
    """`apart`: process ids that may live (a server of the scenario's own)."""
    alive = [p for p in processes(folder) if p not in apart]
    found = [f"(f) process {p} is left: {text_of(f'/proc/{p}/cmdline').replace(bytes(1), b' ').decode(errors='replace')}" for p in alive]
    found += [f"(f) process {p} is a zombie" for p in zombies({os.getpid(), *alive})]
    tmp = os.path.join(folder, "tmp")
    found += [f"(f) {os.path.join('tmp', name)} is left" for name in (os.listdir(tmp) if os.path.isdir(tmp) else [])]
    for root, _, names in os.walk(folder):
        found += [f"(f) {os.path.join(root, n)} is left" for n in names if n.endswith(("-journal", "-wal", "-shm"))]
    found += [f"(f) a socket is left: {line.decode()}" for line in text_of("/proc/net/unix").splitlines() if folder.encode() in line]
    found += [f"(f) shared memory is left: {n}" for n in os.listdir("/dev/shm") if re.match(r"tranche(?!-test-|-pg-)", n)]
    return found
