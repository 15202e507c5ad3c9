"""pg - a PostgreSQL server of a scenario's own; it is gone when the scenario is.

    pg = Postgres(case)                     # made, started, torn down with the case
    case.run("run", "--postgres", pg.url, "--query", "SELECT ...", ...)
    pg.rows("SELECT ...")                   # lists of texts, None for NULL
    pg.stop(); pg.start()                   # a restart; pg.stop("QUIT") is a crash
"""

import csv
import io
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import kit

SCRIPT = os.path.join(kit.ROOT, "tests", "tools", "pg_server.sh")
SERIAL = iter(range(1 << 30))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postgres:
    def __init__(self, case, *settings, port=None):
        self.case, self.settings, self.process = case, settings, None
        self.dir = os.path.join(tempfile.gettempdir(), f"tranche-pg-{os.getpid()}-{next(SERIAL)}")
        case.cleanups.append(self.close)
        done = subprocess.run(["sh", SCRIPT, "init", self.dir], capture_output=True, text=True)
        if done.returncode:
            raise kit.Failed(f"PostgreSQL cannot be made\n{done.stderr}")
        for tries in range(4):  # somebody else may take the port
            self.port = port or free_port()
            if self.try_start():
                return
        raise kit.Failed(f"PostgreSQL does not start\n{self.log()}")

    def at(self, database="postgres", user="tranche", port=None):
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}"

    @property
    def url(self):
        return self.at()

    def log(self):
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()[-4000:]

    def try_start(self):
        with open(os.path.join(self.dir, "log"), "a") as log:
            self.process = subprocess.Popen(
                ["sh", SCRIPT, "serve", self.dir, str(self.port), *self.settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 120
        while self.psql("SELECT 1", check=False).returncode:
            if self.process.poll() is not None:
                self.process = None
                return False
            if time.monotonic() > end:
                raise kit.Failed(f"PostgreSQL does not answer\n{self.log()}")
            time.sleep(0.02)
        return True

    def start(self):
        end = time.monotonic() + 120
        while not self.try_start():  # the processes of a killed server may still be there
            if "is still in use" not in self.log()[-400:] or time.monotonic() > end:
                raise kit.Failed(f"PostgreSQL does not start\n{self.log()}")
            time.sleep(0.02)

    def stop(self, how="INT"):
        if self.process:
            self.process.send_signal(getattr(signal, "SIG" + how))
            self.process.wait()
            self.process = None

    def close(self):
        self.stop("QUIT")
        shutil.rmtree(self.dir, ignore_errors=True)

    def psql(self, sql, *options, database="postgres", check=True, input=None):
        done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.dir, "-p",
                               str(self.port), "-U", "tranche", "-d", database, *options,
                               *(("-c", sql) if sql is not None else ())],
                              capture_output=True, text=True, input=input)
        if check and done.returncode:
            raise kit.Failed(f"psql: {sql}\n{done.stderr}")
        return done

    def do(self, sql, database="postgres"):
        """Statements, each in a transaction of its own."""
        self.psql(None, database=database, input=sql)

    def rows(self, sql, database="postgres"):
        text = self.psql(sql, "--csv", "-P", "null=\\N", database=database).stdout
        return [[None if v == "\\N" else v for v in row] for row in csv.reader(io.StringIO(text))]

    def one(self, sql, database="postgres"):
        return self.rows(sql, database)[0][0]

    def backends(self, like="tranche"):
        """Process ids of the server's processes that serve a program of this name."""
        return [int(r[0]) for r in self.rows(
            f"SELECT pid FROM pg_stat_activity WHERE application_name LIKE '{like}'")]

    def kill_backends(self, like="tranche"):
        return len(self.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                             f"WHERE application_name LIKE '{like}'"))
