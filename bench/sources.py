#!/usr/bin/env python3
"""sources - JSON lines, SQLite and PostgreSQL tables into SQLite: tranche against what people do today.

Usage: bench/sources.py [--build DIR] [--rows N] [--rounds N]

Programs take turns on fresh databases; medians of wall and CPU time, and their ratio. No run
counts whose rows and sums were not checked. --before names an older build to compare with, --flights a CSV
file of flights that becomes a table, which is copied, too.
Without the package postgresql-15 its table is left out.
"""

import argparse
import glob
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

COLUMNS = "id INTEGER, name TEXT, emails TEXT, city TEXT, zip TEXT, score REAL, active INTEGER"
BY_HAND = f"""
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[2])
db.execute("CREATE TABLE a({COLUMNS})")
def rows():
    for line in open(sys.argv[1]):
        o = json.loads(line)
        yield (o["id"], o["name"], json.dumps(o["emails"]), o["address"]["city"], o["address"]["zip"], o["score"], o["active"])
db.executemany("INSERT INTO a VALUES(?, ?, ?, ?, ?, ?, ?)", rows())
db.commit()
"""
ATTACH = ("ATTACH '{source}' AS s; CREATE TABLE a({columns}); INSERT INTO a SELECT * FROM s.{table};")
COPY = f"""
import sqlite3, sys
source, db = sqlite3.connect(sys.argv[1]), sqlite3.connect(sys.argv[2])
db.execute("CREATE TABLE a({COLUMNS})")
db.executemany("INSERT INTO a VALUES(?, ?, ?, ?, ?, ?, ?)", source.execute("SELECT * FROM a"))
db.commit()
"""


def generate(path, rows):
    with open(path, "w") as f:
        for i in range(rows):
            f.write(f'{{"id": {i}, "name": "Customer number {i}", "emails": ["a{i}@example.org", "b@example.com"], '
                    f'"address": {{"city": "Town {i % 100}", "zip": "0{i % 10000:04d}"}}, "score": {i % 97}.25, '
                    f'"active": true}}\n')


def timed(argv):
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def sums(db, sql):
    con = sqlite3.connect(db)
    try:
        return con.execute(sql).fetchone()
    finally:
        con.close()


class Postgres:
    """A server with the rows of a CSV file in the table a."""

    def __init__(self, root, folder, rows_csv):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = str(s.getsockname()[1])
        script, self.dir = os.path.join(root, "tests/tools/pg_server.sh"), f"{folder}/tranche-pg-{os.getpid()}-bench"
        subprocess.run(["sh", script, "init", self.dir], check=True)
        self.server = subprocess.Popen(["sh", script, "serve", self.dir, self.port, "--shared_buffers=512MB"],
                                       stderr=subprocess.DEVNULL)
        self.url = f"postgresql://tranche@127.0.0.1:{self.port}/postgres"
        self.psql = ["psql", "-Xq", "-d", self.url]
        while subprocess.run([*self.psql, "-c", "SELECT 1"], capture_output=True).returncode:
            if self.server.poll() is not None:
                sys.exit("PostgreSQL does not start")
            time.sleep(0.1)
        types = COLUMNS.replace("REAL", "double precision")
        subprocess.run([*self.psql, "-c", f"CREATE TABLE a({types})", "-c", f"\\copy a from '{rows_csv}' csv",
                        "-c", "VACUUM ANALYZE a"], check=True)

    def by_hand(self, db):
        return ["sh", "-c", f"""sqlite3 '{db}' 'CREATE TABLE a({COLUMNS})' &&
            psql -Xq -d '{self.url}' -c '\\copy a to stdout csv' | sqlite3 '{db}' '.import --csv /dev/stdin a'"""]

    def stop(self):
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait()


def compare(title, want, sql, rounds, folder, programs):
    took = {name: [] for name, _ in programs}
    for _ in range(rounds):
        for name, argv in programs:
            db = os.path.join(folder, "out.db")
            took[name].append(timed(argv(db)))
            if sums(db, sql) != want:
                sys.exit(f"{name}: wrong rows: {sums(db, sql)}")
            shutil.rmtree(os.path.join(folder, ".tranche"), ignore_errors=True)
            os.unlink(db)
    wall = {n: statistics.median(t[0] for t in v) for n, v in took.items()}
    cpu = {n: statistics.median(t[1] for t in v) for n, v in took.items()}
    ours = programs[0][0]
    print(title)
    for name, _ in programs:
        print(f"  {name:26} {wall[name]:6.2f} s  CPU {cpu[name]:6.2f} s"
              + (f"  tranche: {wall[name] / wall[ours]:.1f} x, CPU {cpu[name] / cpu[ours]:.1f} x" if name != ours else ""))


def copies(tranche, others, source, table, columns):
    """Programs that copy a table: ours, older builds, and the least that there can be."""
    def copy(argv):
        return lambda db: [*argv, "--sqlite", source, "--sqlite-table", table, "--into", f"sqlite:{db}"]
    sql = ATTACH.format(source=source, columns=columns, table=table)
    return [("tranche", copy(tranche)), *((name, copy(argv)) for name, argv in others),
            ("sqlite3, ATTACH and INSERT", lambda db: ["sqlite3", db, sql])]


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    args.add_argument("--build", default=os.path.join(root, "build", "release"))
    args.add_argument("--rows", type=int, default=500000)
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument("--before", help="folder of another build of tranche")
    args.add_argument("--flights", help="date,delay,distance,origin,destination")
    a = args.parse_args()
    run = ["run", "--output", "quiet", "--table", "a"]
    tranche = [os.path.join(os.path.abspath(a.build), "tranche"), *run]
    others = [("tranche before", [os.path.join(os.path.abspath(a.before), "tranche"), *run])] if a.before else []
    flights = a.flights and os.path.abspath(a.flights)
    folder = tempfile.mkdtemp(prefix="tranche-bench-")
    os.chdir(folder)
    try:
        lines, copy = "a.json", "copy.db"
        generate(lines, a.rows)
        subprocess.run([sys.executable, "-c", BY_HAND, lines, copy], check=True)
        fields = "id,name,emails,address.city,address.zip,score,active"
        want, sql = (a.rows, a.rows * (a.rows - 1) // 2, a.rows), "SELECT count(*), sum(id), sum(length(emails) > 10) FROM a"
        compare(f"JSON lines, {a.rows} rows, {os.path.getsize(lines) >> 20} MiB", want, sql, a.rounds, folder, [
            ("tranche", lambda db: [*tranche, "--jsonl", lines, "--fields", fields, "--into", f"sqlite:{db}"]),
            ("Python json and sqlite3", lambda db: [sys.executable, "-c", BY_HAND, lines, db])])
        compare(f"a table of a database, {a.rows} rows", want, sql, a.rounds, folder, [
            *copies(tranche, others, copy, "a", COLUMNS),
            ("Python sqlite3", lambda db: [sys.executable, "-c", COPY, copy, db])])
        if glob.glob("/usr/lib/postgresql/*/bin/postgres"):
            os.chmod(folder, 0o755)
            subprocess.run(["sqlite3", "-csv", copy, ".once a.csv", "SELECT * FROM a"], check=True)
            pg = Postgres(root, folder, os.path.join(folder, "a.csv"))
            try:
                def from_table(argv):
                    return lambda db: [*argv, "--postgres", pg.url, "--postgres-table", "a", "--into", f"sqlite:{db}"]
                compare(f"a table of PostgreSQL, {a.rows} rows", want, sql, a.rounds, folder, [
                    ("tranche", from_table(tranche)), *((name, from_table(argv)) for name, argv in others),
                    ("psql and sqlite3 .import", pg.by_hand)])
            finally:
                pg.stop()
        if flights:
            columns = "date TEXT, delay INTEGER, distance INTEGER, origin TEXT, destination TEXT"
            subprocess.run(["sqlite3", "f.db", f"CREATE TABLE flights({columns});", ".mode csv",
                            f".import --skip 1 '{flights}' flights"], check=True)
            sql = "SELECT count(*), sum(delay), sum(distance), count(DISTINCT origin) FROM "
            want = sums("f.db", sql + "flights")
            compare(f"a table of flights, {want[0]} rows", want, sql + "a", a.rounds, folder,
                    copies(tranche, others, "f.db", "flights", columns))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
