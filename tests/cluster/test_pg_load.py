"""Into PostgreSQL: every way to load, every fault of a server, and what its tables refuse."""

import os
import re
import signal
import socket
import subprocess
import threading

import pg as postgres
from kit import Failed, dies_at_commit, needs_root, read_csv, scenario

ROWS = 60000
SMALL = ("--batch-bytes", "32KiB", "--output", "json")


def make(t, rows=ROWS, name="k.csv"):
    t.write(name, lines(0, rows))


def lines(first, last):
    head = "id,h,text\n" if first == 0 else ""
    return head + "".join(f"{i},{(i * 2654435761) % 4294967296},row {i}\n" for i in range(first, last))


def args(pg, *more, source=("--csv", "k.csv"), table="k"):
    return ("run", *source, "--into", pg.url, "--table", table, *SMALL, *more)


def exact(t, pg, rows=ROWS, table="k"):
    want = [str(rows), str(rows), str(rows * (rows - 1) // 2), str(sum((i * 2654435761) % 4294967296 for i in range(rows)))]
    t.equal([want], pg.rows(f"SELECT count(*), count(DISTINCT id), sum(id), sum(h) FROM {table}"),
            "rows, distinct rows, sums")
    t.equal("0", pg.one(f"SELECT count(*) FROM {table} WHERE text <> 'row ' || id"), "rows with another's text")
    t.equal("0", pg.one(f"SELECT count(*) FROM {table}_rejects"), "rejects")
    t.equal([["complete"]], pg.rows("SELECT DISTINCT state FROM tranche_runs WHERE state NOT IN ('dropped', 'replaced')"),
            "states")


def people(rows):
    return "id,name,n\n" + "".join(f"{i},{name},{n}\n" for i, name, n in rows)


FED = 160000  # rows; more than the 4 MiB that are looked at first of a pipe


class Fed:
    """A run that reads what we write to it, as we write it."""

    def __init__(self, t, pg, *more):
        self.t, self.pg = t, pg
        self.p = t.start(*args(pg, *more, source=("--csv", "-")), stdin=subprocess.PIPE)

    def feed(self, first, last):
        try:
            self.p.stdin.write(lines(first, last).encode())
            self.p.stdin.flush()
        except BrokenPipeError:
            pass  # its own words say why it ended

    def commits(self, n):
        def there():
            found = self.pg.psql("SELECT count(*) FROM tranche_ledger", check=False).stdout
            return found.strip().isdigit() and int(found) >= n
        self.t.wait_until(there, f"{n} commits")

    def ends(self, want=0):
        try:
            self.p.stdin.close()
        except BrokenPipeError:
            pass
        self.p.stdin = None
        done = self.t.finish(self.p)
        self.t.equal(want, done.code, "exit code")
        return done


class Cutter:
    """Stands between a run and the server. It cuts the line at the COMMITs of these numbers: before the server hears
    of it, or after the server has answered and before the run hears that."""

    def __init__(self, t, pg, numbers, server_hears):
        self.pg, self.numbers, self.server_hears, self.seen, self.cut = pg, numbers, server_hears, 0, 0
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        t.cleanups.append(self.door.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.door.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.pg.port))
            silent = threading.Event()
            threading.Thread(target=self.pump, args=(client, server, silent), daemon=True).start()
            threading.Thread(target=self.pump_back, args=(server, client, silent), daemon=True).start()

    def pump(self, client, server, silent):
        try:
            while data := client.recv(65536):
                if b"COMMIT\0" in data:
                    self.seen += 1
                    if self.seen in self.numbers:
                        self.cut += 1
                        if not self.server_hears:
                            break
                        silent.set()
                server.sendall(data)
        except OSError:
            pass
        if not silent.is_set():
            self.end(client, server)

    def pump_back(self, server, client, silent):
        try:
            while data := server.recv(65536):
                if silent.is_set():
                    break
                client.sendall(data)
        except OSError:
            pass
        self.end(client, server)

    @staticmethod
    def end(*lines):
        for line in lines:
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


# ---- what arrives

@scenario("pg", "smoke")
def rows_arrive_in_postgresql_with_their_types(t):
    pg = postgres.Postgres(t)
    t.write("a.csv", "Id,r,ok,d,at,Name\n"
                     "1,0.5,true,2001-02-03,2001-02-03 04:05:06.25,a\n"
                     "-2,1e300,false,0001-01-01,1999-12-31T23:59Z,\"b \"\"c\"\", ä\n"
                     "\"\n"
                     ",,,,,\n")
    r = t.run("run", "--csv", "a.csv", "--into", pg.url, "--table", "Kinds", "--type", "ok=boolean", "--output",
              "json").json
    t.equal((3, True), (r["rows_loaded"], r["load"]["balanced"]), "loaded, balanced")
    t.equal([["id", "bigint"], ["r", "double precision"], ["ok", "boolean"], ["d", "date"],
             ["at", "timestamp without time zone"], ["name", "text"]],
            pg.rows("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = "
                    "'kinds' ORDER BY ordinal_position"), "columns")
    t.equal([["-2", "1e+300", "f", "0001-01-01", "1999-12-31 23:59:00", "b \"c\", ä\n"],
             ["1", "0.5", "t", "2001-02-03", "2001-02-03 04:05:06.25", "a"], [None] * 6],
            pg.rows("SELECT * FROM kinds ORDER BY id"), "rows")
    t.equal([["1", "0"]], pg.rows("SELECT count(DISTINCT load), sum(rows_refused) FROM tranche_ledger"), "ledger")
    r = t.run("run", "--csv", "a.csv", "--into", pg.url, "--table", "Kinds", "--type", "ok=boolean", "--output",
              "json").json
    t.equal((0, "3"), (r["rows_loaded"], pg.one("SELECT count(*) FROM kinds")), "rows of the same command again")


@scenario("pg")
def a_slice_of_the_flights_is_the_same_in_both_warehouses(t):
    pg = postgres.Postgres(t)
    sql = "SELECT *, length(text) AS n FROM batch WHERE h % 3 > 0"
    make(t, 30000)
    for into in (pg.url, "sqlite:wh.db"):
        t.run("run", "--csv", "k.csv", "--into", into, "--table", "k", "--sql", sql, *SMALL)
    for what in ("count(*)", "sum(id)", "sum(h)", "sum(n)", "min(text)", "max(text)"):
        t.equal(str(t.one("wh.db", f"SELECT {what} FROM k")), pg.one(f"SELECT {what} FROM k"), what)


@scenario("pg")
def what_postgresql_can_not_have_is_refused_row_by_row(t):
    pg = postgres.Postgres(t)
    t.write("a.csv", b"id,day,name\n1,2001-01-01,a\n2,0000-01-01,b\n3,2001-01-03,\xc3\xa4\n"
                     b"4,2001-01-04,\xff\n5,2001-01-05,nul\n")
    r = t.run("run", "--csv", "a.csv", "--into", pg.url, "--table", "p", "--type", "day=date", "--sql",
              "SELECT id, day, CASE name WHEN 'nul' THEN 'x' || char(0) ELSE name END AS name FROM batch",
              "--output", "json", "--bad-rows", "9", want=3).json
    t.equal((True, 2), (r["load"]["balanced"], r["rows_loaded"]), "balanced, loaded")
    t.equal([["1", "a"], ["3", "ä"]], pg.rows("SELECT id, name FROM p ORDER BY id"), "rows")
    reasons = " ".join(row[0] for row in pg.rows("SELECT reason FROM p_rejects ORDER BY line, raw"))
    for part in ("'0000-01-01' is not a date", "UTF-8", "is NUL"):
        t.true(part in reasons, f"{part} is among the reasons: {reasons}")


@scenario("pg")
def what_has_no_type_of_its_own_becomes_text_and_nan_is_refused(t):
    pg = postgres.Postgres(t)
    pg.do("CREATE TABLE s(i bigint, r float8, u uuid, j jsonb, a int[], b bytea); INSERT INTO s VALUES (1, 'Infinity', "
          "'6a2f41a3-c54c-fce8-32d2-0324e1c32e22', '{\"a\": 1}', '{1,2}', '\\x00ff'); INSERT INTO s VALUES (2, 'NaN'); CREATE TABLE e(i bigint, u uuid)")
    do = ("run", "--postgres", pg.url, "--into", pg.url, "--output", "json")
    r = t.run(*do, "--query", "SELECT * FROM s", "--table", "d", "--bad-rows", "1", want=3).json
    t.equal((1, 1), (r["rows_loaded"], r["rows_refused"]), "loaded, refused")
    t.equal([["1", "Infinity", "6a2f41a3-c54c-fce8-32d2-0324e1c32e22", '{"a": 1}', "{1,2}", "\\x00ff"]], pg.rows("SELECT * FROM d"), "rows")
    t.equal([["r"]], pg.rows("SELECT \"column\" FROM d_rejects WHERE reason LIKE '''NaN'' is not a number%'"), "the column of NaN")
    t.says(t.run(*do, "--query", "SELECT i, u FROM s", "--table", "e", want=2), "u is uuid there and text in the rows")


# ---- ways to load

@scenario("pg", "smoke")
def upsert_into_postgresql_keeps_the_last_row_of_each_key(t):
    pg = postgres.Postgres(t)
    rows = [(i % 700, f"p{i}", i) for i in range(5000)]
    t.write("k.csv", people(rows))
    do = args(pg, "--mode", "upsert", "--key", "id", "--index", "name")
    r = t.run(*do).json
    t.equal((5000, 4300), (r["rows_loaded"], r["rows_replaced"]), "loaded, replaced")
    last = sorted({i: (i, name, n) for i, name, n in rows}.values())
    t.equal([[str(v) for v in row] for row in last], pg.rows("SELECT * FROM k ORDER BY id"), "the last row of each key")
    t.write("k.csv", people([(3, "new", 1), (9000, "more", 2), ("", "nobody", 3)]))
    r = t.run(*do, "--bad-rows", "5", want=3).json
    t.equal((2, 1, 1), (r["rows_loaded"], r["rows_replaced"], r["rows_refused"]), "loaded, replaced, refused")
    t.equal([["701"]], pg.rows("SELECT count(*) FROM k"), "rows")
    t.equal([["k_id_key"], ["k_name_idx"]],
            pg.rows("SELECT indexname FROM pg_indexes WHERE tablename = 'k' ORDER BY 1"), "indexes")
    t.equal([["id", ",nobody,3"]], pg.rows("SELECT \"column\", convert_from(raw, 'UTF8') FROM k_rejects"), "rejects")


@scenario("pg")
def upsert_wants_a_unique_key_of_postgresql_s_table(t):
    pg = postgres.Postgres(t)
    t.write("k.csv", people([(1, "x", 1), (1, "y", 2)]))
    pg.do("CREATE TABLE k(id bigint, name text, n bigint)")
    do = args(pg, "--mode", "upsert", "--key", "id")
    said = t.run(*do, want=2)
    t.says(said, "has no UNIQUE index or PRIMARY KEY")
    pg.do(re.search(r"CREATE UNIQUE INDEX [^\\]*?\)", said.err).group(0))
    t.run(*do)
    t.equal([["1", "y", "2"]], pg.rows("SELECT * FROM k"), "rows")


@scenario("pg")
def incremental_into_postgresql_takes_only_what_is_above_the_greatest(t):
    pg = postgres.Postgres(t)
    days = [f"2001-{m:02}-{d:02}" for m in range(1, 13) for d in range(1, 29)]
    do = args(pg, "--mode", "incremental", "--watermark", "day")
    t.write("k.csv", "day,n\n" + "".join(f"{d},{i}\n" for i, d in enumerate(days[:200])))
    r = t.run(*do).json
    t.equal((200, 0), (r["rows_loaded"], r["rows_skipped"]), "loaded, skipped")
    t.write("k.csv", "day,n\n" + "".join(f"{d},{i}\n" for i, d in enumerate(days)) + ",7\n")
    r = t.run(*do, "--bad-rows", "1", want=3).json
    t.equal((len(days) - 200, 200, 1), (r["rows_loaded"], r["rows_skipped"], r["rows_refused"]),
            "loaded, skipped, refused")
    t.equal(str(len(days)), pg.one("SELECT count(DISTINCT day) FROM k"), "days")
    t.equal([["t" + days[199]], ["t" + days[-1]]], pg.rows("SELECT watermark FROM tranche_runs ORDER BY load_id"),
            "watermarks")


@scenario("pg")
def fresh_takes_back_what_the_load_put_into_postgresql(t):
    pg = postgres.Postgres(t)
    make(t, 20000)
    pg.do("CREATE TABLE k(id bigint, h bigint, text text); INSERT INTO k VALUES (-1, 0, 'mine')")
    p = t.start(*args(pg), env=dies_at_commit())
    t.equal(-signal.SIGKILL, t.finish(p).code, "exit code")
    t.true(int(pg.one("SELECT count(*) FROM k")) > 1, "something was committed")
    t.run(*args(pg, "--fresh"))
    t.equal("mine", pg.one("DELETE FROM k WHERE id < 0 RETURNING text"), "the row of somebody else")
    exact(t, pg, 20000)
    pg.do("UPDATE k SET h = 1 WHERE id = 5")
    t.says(t.run(*args(pg, "--fresh"), want=2), "some of them were changed or deleted since")
    t.equal("20000", pg.one("SELECT count(*) FROM k"), "rows")


@scenario("pg", "smoke", "threads")
def replace_swaps_the_new_rows_in_at_one_moment(t):
    pg = postgres.Postgres(t)
    t.write("k.csv", people([(i, "old", i) for i in range(100)]))
    do = args(pg, "--mode", "replace", "--index", "n")
    t.run(*do)
    pg.do("CREATE ROLE reader; GRANT SELECT ON k TO reader; ALTER TABLE k ADD PRIMARY KEY (id);"
          "CREATE INDEX mine ON k(name); CREATE TABLE log(n bigint);"
          "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (1); "
          "RETURN NULL; END'; CREATE TRIGGER noted AFTER DELETE ON k FOR EACH STATEMENT EXECUTE FUNCTION note()")
    t.write("k.csv", people([(i, "new", i) for i in range(50)]))
    p = t.start(*do, env={"TRANCHE_CRASH_AT": "finish-before-commit"})
    t.equal(-signal.SIGKILL, t.finish(p).code, "exit code")
    t.equal([["100", "old"]], pg.rows("SELECT count(*), max(name) FROM k"), "the old rows")
    t.run(*do)
    t.equal([["50", "new"]], pg.rows("SELECT count(*), max(name) FROM k"), "the new rows")
    t.equal([["k_n_idx"], ["k_pkey"], ["mine"]],
            pg.rows("SELECT indexname FROM pg_indexes WHERE tablename = 'k' ORDER BY 1"), "indexes")
    t.equal("t", pg.one("SELECT has_table_privilege('reader', 'k', 'SELECT')"), "the grant")
    pg.do("DELETE FROM k WHERE id = 1")
    t.equal("1", pg.one("SELECT count(*) FROM log"), "the trigger")
    t.equal([], pg.rows("SELECT relname FROM pg_class WHERE relname LIKE '%tranche\\_%' AND relkind = 'r' AND "
                        "relname NOT IN ('tranche_runs', 'tranche_ledger')"), "staged tables left")


@scenario("pg")
def a_table_that_a_view_hangs_on_keeps_its_place(t):
    pg = postgres.Postgres(t)
    t.write("k.csv", people([(i, "old", i) for i in range(100)]))
    do = args(pg, "--mode", "replace")
    t.run(*do)
    pg.do("CREATE VIEW v AS SELECT count(*) AS n, max(name) AS name FROM k")
    t.write("k.csv", people([(i, "new", i) for i in range(50)]))
    t.run(*do)
    t.equal([["50", "new"]], pg.rows("SELECT * FROM v"), "the view")
    t.write("k.csv", "other\n1\n")
    t.says(t.run(*do, want=2), "it has a view or a rule on it, so it stays", 'column "other" of relation "k" does not exist')
    t.write("k.csv", "id,n\n1,1\n")
    for more in ((), ("--merge-sql", "SELECT id, n FROM parts")):
        t.says(t.run(*do, *more, "--fresh", want=2), "the new rows have no column name")
    t.equal([["50", "new"]], pg.rows("SELECT * FROM v"), "the view")


@scenario("pg")
def what_the_new_table_can_not_have_is_said_and_nothing_is_swapped(t):
    pg = postgres.Postgres(t)
    t.write("k.csv", people([(1, "old", 1)]))
    do = args(pg, "--mode", "replace")
    t.run(*do)
    pg.do("CREATE UNIQUE INDEX once ON k(n)")
    t.write("k.csv", people([(1, "new", 1), (2, "new", 1)]))
    t.says(t.run(*do, want=2), "the new k can't have what the old one has", "CREATE UNIQUE INDEX once")
    t.equal([["1", "old", "1"]], pg.rows("SELECT * FROM k"), "rows")
    pg.do("DROP INDEX once")
    t.run(*do)
    t.equal([["2", "new"]], pg.rows("SELECT count(*), max(name) FROM k"), "rows")


@scenario("pg")
def params_are_read_from_postgresql_and_only_read(t):
    pg = postgres.Postgres(t)
    pg.do("CREATE TABLE means(v double precision); INSERT INTO means VALUES (2.5), (3.5)")
    t.write("a.csv", "x\n1\n2\n")
    do = ("run", "--csv", "a.csv", "--into", pg.url, "--table", "r", "--sql", "SELECT x + :m AS y FROM batch")
    t.run(*do, "--param", "m=SELECT avg(v) FROM means")
    t.equal([["4"], ["5"]], pg.rows("SELECT * FROM r ORDER BY 1"), "rows")
    for sql, why in (("DELETE FROM means RETURNING 1", "read-only transaction"), ("SELECT v FROM means", "more than one row"),
                     ("SELECT 1, 2", "2 columns"), ("SELECT nothing", "nothing"), ("SELECT 1 WHERE false", "no row"),
                     ("COPY means TO STDOUT", "a COPY"), ("COPY means FROM STDIN", "COPY FROM")):
        t.says(t.run(*do, "--param", f"m={sql}", want=2), "params.m", why)
    t.equal("2", pg.one("SELECT count(*) FROM means"), "rows of the other table")


@scenario("pg", "smoke")
def an_aggregate_in_postgresql_has_the_same_groups_and_values(t):
    pg = postgres.Postgres(t)
    keys = ["", "1", "1.0", "2.5", "x", "ä, \"b\"", "-7", "001"]
    t.write("k.csv", "k,g,x,day\n" + "".join(
        f'"{keys[i % 8] if keys[i % 8] else ""}",{i % 3},{"" if i % 11 == 0 else (i * 7919) % 1000 - 500},2001-0{i % 9 + 1}-01\n'
        .replace('""', "").replace(', "b"', ', ""b""') for i in range(20000)))
    flags = ["--by", "k,g", "--batch-bytes", "16KiB", "--index", "g"]
    for compute in ("n=count(x)", "s=sum(x)", "m=avg(x)", "sd=stddev(x)", "q=quantile(x, 0.9)", "lo=min(day)", "d=count_distinct(x)"):
        flags += ["--compute", compute]
    for into in (pg.url, "sqlite:wh.db"):
        r = t.run("run", "--csv", "k.csv", "--into", into, "--table", "agg", "--mode", "replace", *flags, "--output", "json").json
        t.true(r["load"]["balanced"], "balanced")
    sql = "SELECT {k} AS k, g, n, s, m, sd, q, lo, d FROM agg"

    def plain(rows):
        return sorted([[None if v is None else str(v) if i in (0, 7) else float(v) for i, v in enumerate(row)] for row in rows],
                      key=repr)
    want = plain(t.rows("wh.db", sql.format(k="CAST(k AS TEXT)")))
    t.equal(24, len(want), "groups")
    t.equal(want, plain(pg.rows(sql.format(k="k"))), "the result")
    t.equal([["k", "text"], ["g", "bigint"], ["n", "bigint"], ["s", "bigint"], ["m", "double precision"]],
            pg.rows("SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'agg'::regclass AND "
                    "attnum BETWEEN 1 AND 5 ORDER BY attnum"), "columns")
    for point in ("commit-before-commit", "merge-before", "merge-after-aggregate", "finish-before-commit", "finish-after-commit"):
        do = ("run", "--csv", "k.csv", "--into", pg.url, "--table", "agg", "--mode", "replace", *flags)
        t.equal(-signal.SIGKILL, t.finish(t.start(*do, env={"TRANCHE_CRASH_AT": point})).code, f"{point}: exit code")
        t.run(*do)
        t.equal(want, plain(pg.rows(sql.format(k="k"))), f"the result after {point}")
    t.equal([["agg"], ["agg_rejects"], ["tranche_ledger"], ["tranche_runs"]],
            pg.rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"),
            "tables left")


@scenario("pg")
def a_group_that_postgresql_can_not_have_is_refused_alone(t):
    pg = postgres.Postgres(t)
    t.write("k.csv", "k,x\na,1\nb,2\na,3\n")
    done = t.run("run", "--csv", "k.csv", "--into", pg.url, "--table", "agg", "--mode", "replace", "--sql",
                 "SELECT CASE k WHEN 'b' THEN 'b' || char(0) ELSE k END AS k, x FROM batch", "--by", "k",
                 "--compute", "s=sum(x)")
    t.says(done, "1 row of the aggregate's result can't stand in PostgreSQL: see agg_rejects")
    t.equal([["a", "4"]], pg.rows("SELECT * FROM agg"), "rows")
    t.true("NUL" in pg.one("SELECT reason FROM agg_rejects"), "the reason")


def left(pg):
    return pg.rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') "
                   "ORDER BY 1")


OURS = [["tranche_ledger"], ["tranche_runs"]]
MERGE_POINTS = ("begin-before-commit", "begin-after-commit", "commit-after-rows", "commit-before-commit",
                "commit-after-commit", "finish-before-begin", "merge-before", "merge-after-sql", "finish-after-index",
                "finish-before-commit", "finish-after-commit")


@scenario("pg", "smoke")
def merge_sql_in_postgresql_makes_the_table_of_all_rows(t):
    pg = postgres.Postgres(t)
    rows = 20000
    make(t, rows)
    sql = ("SELECT H % 7 AS rest, count(*) AS n, sum(id)::bigint AS ids, max(text) AS greatest "
           "FROM parts WHERE id >= :low GROUP BY 1 ORDER BY 1 DESC -- all of them")
    groups = {}
    for i in range(100, rows):
        groups.setdefault((i * 2654435761) % 4294967296 % 7, []).append(i)
    want = [[str(g), str(len(ids)), str(sum(ids)), max(f"row {i}" for i in ids)]
            for g, ids in sorted(groups.items(), reverse=True)]
    do = args(pg, "--merge-sql", sql, "--param", "low=SELECT 100", "--index", "REST")
    for point in MERGE_POINTS:
        t.equal(-signal.SIGKILL, t.finish(t.start(*do, env={"TRANCHE_CRASH_AT": point})).code, f"{point}: exit code")
        r = t.run(*do).json
        t.equal((True, rows, 7), (r["load"]["balanced"], r["load"]["rows_loaded"], r["rows_merged"]), f"balanced, rows ({point})")
        t.equal(want, pg.rows("SELECT * FROM k ORDER BY ctid"), f"the result after {point}")
        t.equal([["k"], ["k_rejects"]] + OURS, left(pg), f"tables left after {point}")
        t.equal([["k_rest_idx"]], pg.rows("SELECT indexname FROM pg_indexes WHERE tablename = 'k'"), "indexes")
        pg.do("DROP TABLE k, k_rejects, tranche_runs, tranche_ledger")


@scenario("pg")
def merge_sql_in_postgresql_works_on_what_an_aggregate_gives(t):
    pg = postgres.Postgres(t)
    pg.do("CREATE TABLE parts(mine text); INSERT INTO parts VALUES ('mine'); CREATE TABLE names(g bigint, name text);"
          "INSERT INTO names VALUES (0, 'zero'), (2, 'two')")
    t.write("k.csv", "G,x\n" + "".join(f"{i % 5},{i}\n" for i in range(10000)))
    do = args(pg, "--by", "G", "--compute", "s=sum(x)", "--compute", "n=count(*)", "--merge-sql",
              "SELECT name, s::numeric / n AS \"Mean\" FROM parts NATURAL JOIN names ORDER BY g")
    for point in ("commit-before-commit", "merge-after-aggregate", "merge-after-sql", "finish-before-commit"):
        t.equal(-signal.SIGKILL, t.finish(t.start(*do, env={"TRANCHE_CRASH_AT": point})).code, f"{point}: exit code")
        t.equal(2, t.run(*do).json["rows_merged"], "rows")
        t.equal([["zero", True], ["two", True]],
                [[name, float(mean) == want] for (name, mean), want in zip(pg.rows('SELECT name, "Mean" FROM k ORDER BY ctid'),
                                                                           (4997.5, 4999.5))], f"the result after {point}")
    t.equal([["k"], ["k_rejects"], ["names"], ["parts"]] + OURS, left(pg), "tables left")
    t.equal("mine", pg.one("SELECT mine FROM parts"), "a table that is called parts")


@scenario("pg")
def merge_sql_in_postgresql_reads_lookup_tables(t):
    pg = postgres.Postgres(t)
    make(t, 20000)
    pg.do("CREATE TABLE names(mine text); INSERT INTO names VALUES ('mine')")
    t.write("names.csv", "Id,name,since,x\n" + "".join(f'{i},"name, {i}",2001-01-0{i % 9 + 1},{i / 4 if i % 3 else ""}\n'
                                                      for i in range(0, 20000, 7)))
    t.write("few.csv", "rest,word\n0,none\n3,ä\n")
    sql = ("SELECT word, count(*) AS n, max(name) AS name, max(since) AS since, sum(x) AS x FROM parts JOIN names USING (id) "
           "LEFT JOIN FEW ON id % 4 = rest GROUP BY word ORDER BY word")
    do = args(pg, "--merge-sql", sql, "--lookup", "Names=names.csv", "--lookup", "few=few.csv")
    groups = {}
    for i in range(0, 20000, 7):
        groups.setdefault({0: "none", 3: "ä"}.get(i % 4), []).append(i)
    want = [[word, str(len(ids)), max(f"name, {i}" for i in ids), max(f"2001-01-0{i % 9 + 1}" for i in ids),
             f"{sum(i / 4 for i in ids if i % 3):g}"] for word, ids in ((w, groups[w]) for w in ("none", "ä", None))]
    for point in ("begin-before-commit", "merge-after-sql", "finish-before-commit"):
        t.equal(-signal.SIGKILL, t.finish(t.start(*do, env={"TRANCHE_CRASH_AT": point})).code, f"{point}: exit code")
        t.run(*do)
        t.equal(want, [row[:4] + [f"{float(row[4]):g}"] for row in pg.rows("SELECT * FROM k ORDER BY ctid")],
                f"the result after {point}")
    t.equal([["k"], ["k_rejects"], ["names"]] + OURS, left(pg), "tables left")
    t.equal("mine", pg.one("SELECT mine FROM names"), "a table that is called as a lookup table")
    one = ("--merge-sql", "SELECT id FROM parts", "--fresh")
    t.write("bad.csv", "id,day\n1,2001-01-01\n2,0000-01-01\n")
    t.says(t.run(*args(pg, *one, "--lookup", "bad=bad.csv"), want=2), "table bad: day: ", "'0000-01-01' is not a date",
           "(in the row 2,0000-01-01)")
    t.says(t.run(*args(pg, "--merge-sql", "SELECT * FROM nothing", "--lookup", "few=few.csv", "--fresh"), want=2),
           'relation "nothing" does not exist')


@scenario("pg")
def params_of_every_kind_are_values_in_merge_sql(t):
    pg = postgres.Postgres(t)
    make(t, 10)
    values = {"a": "-7::bigint", "b": "-1.5::float8", "c": "'it''s :a \\ ''%s'", "d": "'\\x00ff27'::bytea", "e": "NULL::text"}
    do = ["--merge-sql", "SELECT count(*) * :a AS n, sum(id) * :b AS r, :c || :e AS none, :c AS c, :d AS d, ':a' AS text, "
          "1::text AS cast, :e IS NULL AS e FROM parts"]
    for name, value in values.items():
        do += ["--param", f"{name}=SELECT {value}"]
    t.run(*args(pg, *do))
    t.equal([["-70", "-67.5", None, "it's :a \\ '%s", "\\x00ff27", ":a", "1", "t"]], pg.rows("SELECT * FROM k"), "the result")


@scenario("pg")
def a_line_that_breaks_in_commit_makes_one_result_of_merge_sql(t):
    pg = postgres.Postgres(t)
    make(t, 20000)
    for server_hears in (False, True):
        line = Cutter(t, pg, {1, 2, 4, 6, 7}, server_hears)
        do = list(args(pg, "--merge-sql", "SELECT count(*) AS n, sum(id) AS ids FROM parts"))
        do[do.index(pg.url)] = pg.at(port=line.port)
        t.run(*do)
        t.true(line.cut >= 3, f"{line.cut} of {line.seen} commits were cut")
        t.equal([["20000", "199990000"]], pg.rows("SELECT * FROM k"), "the result")
        t.equal([["k"], ["k_rejects"]] + OURS, left(pg), "tables left")
        pg.do("DROP TABLE k, k_rejects, tranche_runs, tranche_ledger")


@scenario("pg", "smoke")
def a_mistake_in_merge_sql_is_said_with_its_place_before_a_row_is_loaded(t):
    pg = postgres.Postgres(t)
    make(t, 100)
    pg.do("CREATE TABLE mine(n bigint); CREATE SEQUENCE seq; CREATE FUNCTION writes() RETURNS bigint LANGUAGE sql AS "
          "'INSERT INTO mine VALUES (1) RETURNING n'")
    before = left(pg)
    for sql, *parts in (
            ("SELECT id,\n  m FROM parts", "merge.sql: ", 'column "m" does not exist (line 2, column 3)'),
            ("SELECT :nothing AS a FROM parts", "merge.sql: ", "syntax error", "(column 8)"),
            ("SELEKT 1", "merge.sql: ", "syntax error", "(column 1)"),
            ("SELECT 1 AS a; DROP TABLE mine", "merge.sql: ", "multiple commands"),
            ("DELETE FROM mine RETURNING n", "merge.sql must be one SELECT"),
            ("WITH d AS (DELETE FROM mine RETURNING n) SELECT n FROM d", "merge.sql must be one SELECT", "data-modifying"),
            ("SELECT id INTO other FROM parts", "merge.sql must be one SELECT"),
            ("SELECT id, h AS id FROM parts", "merge.sql must be one SELECT", 'column "id" specified more than once'),
            ("SELECT nextval('seq') AS a", "merge.sql may only read"),
            ("SELECT writes() AS a", "merge.sql may only read"),
            ("SELECT id FROM other", "merge.sql: ", 'relation "other" does not exist')):
        t.says(t.run(*args(pg, "--merge-sql", sql), want=2), *parts)
    t.says(t.run(*args(pg, "--merge-sql", "SELECT id FROM parts", "--index", "h"), want=2),
           "load.indexes: the result of merge has no column 'h'")
    t.equal(before, left(pg), "tables")
    t.equal("0", pg.one("SELECT count(*) FROM mine"), "rows of another table")
    check = t.run("check", "--csv", "k.csv", "--into", pg.url, "--table", "k", "--merge-sql", "SELECT id FROM parts")
    t.says(check, "merge.sql is tried when a run begins")


@scenario("pg")
def another_load_that_has_the_same_file_is_named_in_postgresql(t):
    pg = postgres.Postgres(t)
    make(t, 100)
    t.run(*args(pg))
    t.true("another load" not in t.last.err, "the first load")
    t.run(*args(pg))
    t.true("another load" not in t.last.err, "the same again")
    other = args(pg, "--sql", "SELECT id, h, text FROM batch")
    t.says(t.run(*other), "table k of ", ": load 1, started ", ", has k.csv already. This is another load ",
           "the command of then loads only what is new")
    # What somebody has damaged there is in nobody's way.
    pg.do("UPDATE tranche_runs SET inputs = 'no JSON'")
    t.run(*args(pg, "--sql", "SELECT id, h, text FROM batch WHERE id < 7"))
    t.equal("207", pg.one("SELECT count(*) FROM k"), "rows")


@scenario("pg")
def a_load_that_ended_before_its_first_commit_is_in_nobodys_way_in_postgresql(t):
    pg = postgres.Postgres(t)
    make(t, 100)
    p = t.start(*args(pg, "--sql", "SELECT id, h, text FROM batch WHERE id < 7"), env={"TRANCHE_CRASH_AT": "begin-after-commit"})
    t.equal(-signal.SIGKILL, t.finish(p).code, "exit code")
    t.run(*args(pg))
    t.equal([["dropped"], ["complete"]], pg.rows("SELECT state FROM tranche_runs ORDER BY load_id"), "loads")
    exact(t, pg, 100)


@scenario("pg")
def merge_sql_that_fails_over_the_rows_leaves_the_old_table_and_fresh_begins_anew(t):
    pg = postgres.Postgres(t)
    make(t, 1000)
    good = "SELECT count(*) AS n FROM parts"
    t.run(*args(pg, "--merge-sql", good))
    bad = args(pg, "--merge-sql", "SELECT 1 / id AS n FROM parts")
    for _ in range(2):
        t.says(t.run(*bad, want=2), "merge.sql: ", "division by zero")
        t.equal([["1000"]], pg.rows("SELECT * FROM k"), "the old table")
    t.says(t.run(*args(pg, "--merge-sql", good), want=2), "another unfinished load", "--fresh")
    t.run(*args(pg, "--merge-sql", "SELECT sum(id) AS n, '' AS e FROM parts", "--fresh"))
    t.equal([["499500", ""]], pg.rows("SELECT * FROM k"), "the result")
    t.equal([["k"], ["k_rejects"]] + OURS, left(pg), "tables left")


# ---- a table that is there

@scenario("pg")
def a_table_with_other_columns_is_refused_column_by_column(t):
    pg = postgres.Postgres(t)
    t.write("k.csv", people([(1, "x", 1)]))
    pg.do('CREATE TABLE k("ID" integer, name text, extra text)')
    t.says(t.run(*args(pg), want=2), "table k of postgresql://tranche@127.0.0.1", "has no column n",
           "the rows have no column extra", "ID is integer there and bigint in the rows")
    pg.do('DROP TABLE k; CREATE TABLE k(n bigint, name text, "ID" bigint, twice bigint GENERATED ALWAYS AS (n * 2) STORED)')
    t.run(*args(pg))
    t.equal([["1", "x", "1", "2"]], pg.rows("SELECT * FROM k"), "rows")
    pg.do("CREATE VIEW w AS SELECT 1 AS id")
    for mode in ("append", "replace"):
        t.says(t.run(*args(pg, "--mode", mode, table="w"), want=2), "is no table")
    t.write("k.csv", "id,ctid\n1,2\n")
    t.says(t.run(*args(pg, table="x"), want=2), 'column name "ctid" conflicts with a system column name')


@scenario("pg", "smoke", "threads")
def rows_that_break_a_rule_of_the_table_are_refused_alone(t):
    pg = postgres.Postgres(t)
    pg.do("CREATE TABLE k(id bigint PRIMARY KEY, name text CHECK (name <> 'bad'), n bigint NOT NULL);"
          "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF new.n = 77 THEN RETURN NULL; END IF; "
          "RETURN new; END'; CREATE TRIGGER skips BEFORE INSERT ON k FOR EACH ROW EXECUTE FUNCTION skip();"
          "INSERT INTO k VALUES (5, 'mine', 0)")
    rows = [(i, f"p{i}", i) for i in range(2000)]
    rows[100] = (100, "bad", 100)
    rows[1500] = (1500, "p", "")
    rows.append((3, "again", 3))
    t.write("k.csv", people(rows))
    r = t.run(*args(pg, "--bad-rows", "9"), want=3).json
    t.equal((1996, 5, True), (r["rows_loaded"], r["rows_refused"], r["load"]["balanced"]), "loaded, refused, balanced")
    t.equal([["mine"]], pg.rows("SELECT name FROM k WHERE id = 5"), "the row that was there")
    reasons = {row[0]: row[1] for row in pg.rows("SELECT convert_from(raw, 'UTF8'), reason FROM k_rejects")}
    for raw, part in (("5,p5,5", "k_pkey"), ("100,bad,100", "k_name_check"), ("1500,p,", "not-null"),
                      ("77,p77,77", "a trigger of the table ignored the row"), ("3,again,3", "already exists")):
        t.true(part in reasons.get(raw, ""), f"{raw}: {part} in {reasons}")


# ---- exactly once

POINTS = ("begin-before-commit", "begin-after-commit", "commit-before-begin", "commit-after-rows:3",
          "commit-after-ledger:2", "commit-before-commit", "commit-after-commit", "finish-before-begin",
          "finish-before-commit", "finish-after-commit")


@scenario("pg")
def a_coordinator_that_dies_at_any_step_loses_and_doubles_nothing(t):
    pg = postgres.Postgres(t)
    make(t, 20000)
    for mode in (("append",), ("replace",), ("upsert", "--key", "id"), ("incremental", "--watermark", "id")):
        for point in POINTS:
            do = args(pg, "--mode", *mode)
            died = t.finish(t.start(*do, env={"TRANCHE_CRASH_AT": point}))
            t.equal(-signal.SIGKILL, died.code, f"{mode[0]}, {point}: exit code")
            t.run(*do)
            exact(t, pg, 20000)
            pg.do("DROP TABLE k, k_rejects, tranche_runs, tranche_ledger")


@scenario("pg", "smoke", "threads")
def the_server_s_processes_are_ended_and_the_run_goes_on(t):
    pg = postgres.Postgres(t)
    run = Fed(t, pg)
    for k in range(3):
        run.feed(k * FED, (k + 1) * FED)
        run.commits(k + 1)
        t.wait_until(lambda: pg.kill_backends("tranche load%") > 0, "a session to end")
    run.feed(3 * FED, 4 * FED)
    t.says(run.ends(), "the connection was lost")
    exact(t, pg, 4 * FED)


@scenario("pg")
def a_line_that_breaks_in_commit_loses_and_doubles_nothing(t):
    pg = postgres.Postgres(t)
    make(t, 40000)
    for server_hears in (False, True):
        for mode in ("append", "replace"):
            line = Cutter(t, pg, {1, 2, 4, 7}, server_hears)
            do = list(args(pg, "--mode", mode, "--batch-bytes", "16KiB"))
            do[do.index(pg.url)] = pg.at(port=line.port)
            done = t.run(*do)
            t.true(line.cut >= 2, f"{line.cut} of {line.seen} commits were cut")
            t.says(done, "the outcome of a commit is unknown")
            t.equal(40000, done.json["rows_loaded"], "rows of this run")
            exact(t, pg, 40000)
            pg.do("DROP TABLE k, k_rejects, tranche_runs, tranche_ledger")


@scenario("pg")
def the_server_is_restarted_and_crashes_while_a_run_goes_on(t):
    pg = postgres.Postgres(t)
    run = Fed(t, pg)
    for k, how in enumerate(("INT", "QUIT", "KILL")):
        run.feed(k * FED, (k + 1) * FED)
        run.commits(k + 1)
        pg.stop(how)
        pg.start()
    run.feed(3 * FED, 4 * FED)
    run.ends()
    exact(t, pg, 4 * FED)


@scenario("pg")
def a_second_coordinator_takes_the_load_over_and_the_first_one_ends(t):
    pg = postgres.Postgres(t)
    first = Fed(t, pg)
    first.feed(0, FED)
    first.commits(1)
    second = t.run(*args(pg, source=("--csv", "-")), input=lines(0, FED).encode(),
                   env={"TRANCHE_HOME": t.path("other")})
    t.equal(True, second.json["load"]["balanced"], "balanced")
    first.feed(FED, 2 * FED)
    t.says(first.ends(want=1), "load 1")
    exact(t, pg, FED)


@scenario("pg")
def the_session_of_a_coordinator_that_hangs_in_a_transaction_is_ended(t):
    pg = postgres.Postgres(t)
    make(t, 20000)
    t.equal(-9, t.finish(t.start(*args(pg), env=dies_at_commit())).code, "exit code")
    hanging = subprocess.Popen(["psql", "-XqAt", "-d", pg.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, env=t.env(PGAPPNAME="tranche load 1"))
    t.cleanups.append(hanging.kill)
    hanging.stdin.write(b"BEGIN;\nSELECT epoch FROM tranche_runs FOR SHARE;\n")
    hanging.stdin.flush()
    t.equal(b"1\n", hanging.stdout.readline(), "the epoch")
    t.says(t.run(*args(pg)), "the session of an older run was ended")
    hanging.stdin.write(b"SELECT 1;\n")
    hanging.stdin.close()
    t.true(hanging.wait() != 0, "the hanging session was ended")
    exact(t, pg, 20000)


@scenario("pg")
def a_locked_table_is_waited_for(t):
    pg = postgres.Postgres(t)
    make(t, 20000)
    pg.do("CREATE TABLE k(id bigint, h bigint, text text)")
    other = subprocess.Popen(["psql", "-XqAt", "-d", pg.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             env=t.env())
    t.cleanups.append(other.kill)
    other.stdin.write(b"BEGIN;\nLOCK TABLE k;\nSELECT 1;\n")
    other.stdin.flush()
    t.equal(b"1\n", other.stdout.readline(), "the lock")
    p = t.start(*args(pg))
    t.wait_until(lambda: pg.one("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0", "the run to wait")
    other.stdin.close()
    t.equal(0, t.finish(p).code, "exit code")
    exact(t, pg, 20000)


@scenario("pg")
def a_full_disk_of_the_server_is_waited_for(t):
    needs_root()
    pg = postgres.Postgres(t)
    room = t.path("room")
    os.mkdir(room)
    os.chmod(t.dir, 0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", room], check=True)
    t.cleanups.append(lambda: subprocess.run(["umount", "-l", room], check=True))
    os.chown(room, os.stat(pg.dir).st_uid, os.stat(pg.dir).st_gid)
    pg.psql(f"CREATE TABLESPACE room LOCATION '{room}'")
    pg.do("CREATE TABLE k(id bigint, h bigint, text text) TABLESPACE room")
    make(t, 200000)
    p = t.start(*args(pg))
    said = []
    t.wait_until(lambda: said.append(os.read(p.stderr.fileno(), 65536)) or b"No space left" in b"".join(said),
                 "the run to say that there is no space")
    subprocess.run(["mount", "-o", "remount,size=90m", room], check=True)
    t.equal(0, t.finish(p).code, "exit code")
    exact(t, pg, 200000)
    pg.stop()


@scenario("pg")
def a_server_with_room_for_one_session_only_is_loaded_too(t):
    pg = postgres.Postgres(t)
    pg.do("CREATE ROLE single LOGIN CONNECTION LIMIT 1; GRANT ALL ON SCHEMA public TO single")
    make(t)
    do = list(args(pg, "--batch-bytes", "16KiB"))
    do[do.index(pg.url)] = pg.at(user="single")
    t.run(*do)
    exact(t, pg)


# ---- servers that say no

@scenario("pg", "smoke")
def a_server_that_is_not_there_or_says_no_is_said(t):
    pg = postgres.Postgres(t)
    t.write("k.csv", people([(1, "x", 1)]))

    def into(url, *parts, want=1, env=None):
        t.says(t.run("run", "--csv", "k.csv", "--into", url, "--table", "k", want=want, env=env), *parts)
    into(pg.at(port=postgres.free_port()), "the warehouse is not there", "Connection refused")
    into(pg.at("nothing"), 'database "nothing" does not exist')
    pg.do("CREATE ROLE guarded LOGIN PASSWORD 's3cr3t'; CREATE ROLE weak LOGIN")
    into(pg.at(user="guarded"), "no password supplied", "~/.pgpass")
    into(pg.at(user="guarded"), "password authentication failed", env={"PGPASSWORD": "wr0ng"})
    into(pg.at(user="weak"), "is not allowed", "permission denied for schema public", want=2)
    pg.psql("CREATE DATABASE frozen")
    pg.psql("ALTER DATABASE frozen SET default_transaction_read_only = on")
    into(pg.at("frozen"), "can't be written", want=2)
    pg.psql("CREATE DATABASE old ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    into(pg.at("old"), "keeps its text as LATIN1", want=2)


@scenario("pg")
def what_was_said_to_be_loaded_survives_a_server_that_commits_lazily(t):
    pg = postgres.Postgres(t, "--synchronous_commit=off", "--wal_writer_delay=10s")
    make(t, 3000)
    t.run(*args(pg))
    pg.stop("QUIT")
    pg.start()
    exact(t, pg, 3000)


@scenario("pg")
def a_password_is_in_nothing_that_is_kept_or_shown(t):
    pg = postgres.Postgres(t)
    make(t, 2000)
    pg.do("CREATE ROLE guarded LOGIN PASSWORD 's3cr3t'; GRANT ALL ON SCHEMA public TO guarded")
    url = pg.url.replace("tranche@", "guarded:s3cr3t@")
    t.says(t.run("run", "--csv", "k.csv", "--into", url, want=2), "the password in a flag")
    t.write("job.yaml", f"source: {{csv: k.csv}}\nload:\n  into: {url}\n  table: k\n")
    done = t.run("run", "job.yaml")
    failed = t.run("run", "job.yaml", "--type", "id=date", "--table", "k", want=None)
    runs = t.run("runs")
    for what in (done.out, done.err, failed.out, failed.err, runs.out,
                 "".join(r[0] or "" for r in pg.rows("SELECT tranche_runs::text FROM tranche_runs"))):
        t.true("s3cr3t" not in what, f"a password in: {what}")
    kept = subprocess.run(["grep", "-rl", "s3cr3t", t.dir], capture_output=True, text=True).stdout.split()
    t.equal([t.path("job.yaml")], kept, "files with the password")
    exact(t, pg, 2000)
