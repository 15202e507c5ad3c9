"""A PostgreSQL database has others in it: sessions that end late, tables that refer to ours, roles with few rights."""

import signal
import subprocess

import pg as postgres
from kit import dies_at_commit, scenario
from test_pg_load import args, exact, left, make, people


class Session:
    """Statements of somebody else, in a session that stays open."""

    def __init__(self, t, pg, name="psql"):
        self.t = t
        self.p = subprocess.Popen(["psql", "-XqAt", "-d", pg.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, env=t.env(PGAPPNAME=name))
        t.cleanups.append(self.p.kill)

    def do(self, sql):
        self.p.stdin.write(f"{sql};\n\\echo done\n".encode())
        self.p.stdin.flush()
        while (line := self.p.stdout.readline()) != b"done\n":
            self.t.true(line, f"the session has ended: {sql}")

    def is_ended(self):
        self.p.stdin.write(b"SELECT 1;\n")
        self.p.stdin.close()
        return self.p.wait() != 0


def unfinished(t, pg, *more, at=None):
    """The command of a load that was killed."""
    do = args(pg, *more)
    t.equal(-signal.SIGKILL, t.finish(t.start(*do, env={"TRANCHE_CRASH_AT": at} if at else dies_at_commit())).code, "exit code")
    return do


def waits_for(t, pg, p):
    t.wait_until(lambda: p.poll() is not None or pg.one("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0",
                 "the run to wait")


# ---- sessions

LATE = """BEGIN; SELECT epoch FROM tranche_runs WHERE load_id = 1 FOR SHARE;
INSERT INTO k VALUES (5, 5, 'late');
INSERT INTO tranche_ledger SELECT (jsonb_populate_record(l, jsonb_build_object('byte_begin', 1 << 30, 'byte_end',
(1 << 30) + 9, 'rows_loaded', 1, 'xact', pg_current_xact_id()::text::bigint))).* FROM tranche_ledger l LIMIT 1"""


@scenario("pg")
def fresh_takes_back_what_the_old_run_commits_while_it_is_waited_for(t):
    pg = postgres.Postgres(t)
    make(t, 20000)
    do = unfinished(t, pg)
    late = Session(t, pg)
    late.do(LATE)
    p = t.start(*do, "--fresh")
    waits_for(t, pg, p)
    late.do("COMMIT")
    t.equal(0, t.finish(p).code, "exit code")
    exact(t, pg, 20000)


@scenario("pg")
def a_load_that_is_finished_while_it_is_waited_for_is_not_begun_again(t):
    pg = postgres.Postgres(t)
    make(t, 20000)
    do = unfinished(t, pg, "--mode", "replace", at="finish-before-begin")
    finisher = Session(t, pg)
    finisher.do("BEGIN; UPDATE tranche_runs SET state = 'complete', finished = started, staging = NULL;"
                "ALTER TABLE k__tranche_1 RENAME TO k")
    p = t.start(*do)
    waits_for(t, pg, p)
    finisher.do("COMMIT")
    done = t.finish(p)
    t.equal(0, done.code, "exit code")
    t.says(done, "another run changed load 1 meanwhile")
    t.equal([["1", "replaced"], ["2", "complete"]], pg.rows("SELECT load_id, state FROM tranche_runs ORDER BY 1"), "loads")
    exact(t, pg, 20000)


@scenario("pg")
def a_load_that_is_finished_while_fresh_waits_for_it_stays(t):
    pg = postgres.Postgres(t)
    make(t, 20000)
    unfinished(t, pg, at="finish-before-begin")
    finisher = Session(t, pg)
    finisher.do("BEGIN; UPDATE tranche_runs SET state = 'complete', finished = started")
    t.write("other.csv", "id,h,text\n-1,0,x\n")
    p = t.start(*args(pg, "--fresh", source=("--csv", "other.csv")))
    waits_for(t, pg, p)
    finisher.do("COMMIT")
    t.equal(0, t.finish(p).code, "exit code")
    t.equal("x", pg.one("DELETE FROM k WHERE id = -1 RETURNING text"), "the row of the other load")
    exact(t, pg, 20000)


@scenario("pg")
def a_session_that_hangs_is_ended_for_fresh_too(t):
    pg = postgres.Postgres(t)
    make(t, 20000)
    do = unfinished(t, pg)
    hanging = Session(t, pg, "tranche load 1")
    hanging.do("BEGIN; SELECT epoch FROM tranche_runs FOR SHARE")
    t.says(t.run(*do, "--fresh"), "the session of an older run was ended")
    t.true(hanging.is_ended(), "the hanging session was ended")
    exact(t, pg, 20000)


# ---- tables

@scenario("pg")
def a_table_that_others_refer_to_is_not_replaced(t):
    pg = postgres.Postgres(t)
    t.write("k.csv", people([(i, "new", i) for i in range(50)]))
    for what in ("CASCADE", "NO ACTION"):
        pg.do("CREATE TABLE k(id bigint PRIMARY KEY, name text, n bigint); INSERT INTO k VALUES (1, 'old', 1);"
              f"CREATE TABLE orders(id bigint REFERENCES k ON DELETE {what}); INSERT INTO orders VALUES (1)")
        before = left(pg)
        t.says(t.run(*args(pg, "--mode", "replace"), want=2), "can't be replaced: orders has a foreign key on it",
               "orders_id_fkey", "mode: upsert")
        t.equal([["1"]], pg.rows("SELECT id FROM orders"), f"rows of the other table ({what})")
        t.equal(before, left(pg), "tables")
        pg.do("ALTER TABLE orders DROP CONSTRAINT orders_id_fkey")
        do = unfinished(t, pg, "--mode", "replace", at="finish-before-begin")
        pg.do(f"ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES k ON DELETE {what}")
        pg.do("CREATE VIEW v AS SELECT * FROM k")
        t.says(t.run(*do, want=2), "orders has a foreign key on it")
        t.equal([["1"]], pg.rows("SELECT id FROM orders"), f"rows of the other table ({what}, made during the run)")
        pg.do("DROP TABLE orders; DROP VIEW v")
        t.run(*do)
        t.equal([["50", "new"]], pg.rows("SELECT count(*), max(name) FROM k"), "rows")
        pg.do("DROP TABLE k, k_rejects, tranche_runs, tranche_ledger")


@scenario("pg")
def a_ledger_with_a_column_renamed_is_refused_with_what_to_do(t):
    pg = postgres.Postgres(t)
    t.write("k.csv", people([(i, "new", i) for i in range(5)]))
    t.run(*args(pg))
    for table, column in (("tranche_ledger", "rows_parsed"), ("tranche_runs", "spec")):
        pg.do(f"ALTER TABLE {table} RENAME COLUMN {column} TO other")
        t.says(t.run(*args(pg), want=2), "are not those of this version: columns were renamed, added or removed. Undo that")
        pg.do(f"ALTER TABLE {table} RENAME COLUMN other TO {column}")
    t.run(*args(pg))
    t.equal([["5"]], pg.rows("SELECT count(*) FROM k"), "rows")


@scenario("pg")
def a_table_that_refers_to_itself_is_replaced(t):
    pg = postgres.Postgres(t)
    pg.do("CREATE TABLE k(id bigint PRIMARY KEY, name text, n bigint REFERENCES k ON DELETE CASCADE);"
          "INSERT INTO k VALUES (70, 'old', 70)")
    t.write("k.csv", people([(i, "new", i) for i in range(50)]))
    t.run(*args(pg, "--mode", "replace"))
    t.equal([["50", "new"]], pg.rows("SELECT count(*), max(name) FROM k"), "rows")
    t.equal([["k_n_fkey"], ["k_pkey"]], pg.rows("SELECT conname FROM pg_constraint WHERE conrelid = 'k'::regclass ORDER BY 1"),
            "constraints")


@scenario("pg")
def a_replaced_table_keeps_not_null_defaults_and_who_may_read_it(t):
    pg = postgres.Postgres(t)
    pg.do("CREATE ROLE reader; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;"
          "CREATE TABLE k(id bigint NOT NULL, name text DEFAULT 'none', gone text NOT NULL DEFAULT '', \"N\" bigint, n bigint PRIMARY KEY);"
          "REVOKE SELECT ON k FROM PUBLIC; GRANT INSERT ON k TO reader")
    t.write("k.csv", people([(i, "new", i) for i in range(50)]))
    for more in ((), ("--merge-sql", "SELECT * FROM parts")):
        t.run(*args(pg, "--mode", "replace", *more))
        t.equal([["50", "new"]], pg.rows("SELECT count(*), max(name) FROM k"), "rows")
        t.equal([["id", "t", None], ["name", "f", "'none'::text"], ["n", "t", None]],
                pg.rows("SELECT attname, attnotnull, pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef ON "
                        "adrelid = attrelid AND adnum = attnum WHERE attrelid = 'k'::regclass AND attnum > 0 ORDER BY attnum"),
                "columns")
        t.equal([["reader", "INSERT"]], pg.rows("SELECT grantee, privilege_type FROM information_schema.table_privileges WHERE "
                                                "table_name = 'k' AND grantee <> 'tranche'"), "grants")
    t.write("k.csv", people([("", "newer", 7)]))
    t.says(t.run(*args(pg, "--mode", "replace", "--type", "id=integer"), want=2), "can't have what the old one has",
           'ALTER COLUMN id SET NOT NULL', "contains null values")
    t.equal([["50", "new"]], pg.rows("SELECT count(*), max(name) FROM k"), "rows")


KEPT = (("", "CREATE VIEW v AS SELECT * FROM k", "a view"),
        ("", "ALTER TABLE k ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON k USING (true)", "row level security"),
        ("", "ALTER TABLE k OWNER TO boss", "another owner"),
        ("", "ALTER TABLE k ADD COLUMN s serial", "fills itself"),
        ("", "ALTER TABLE k ADD COLUMN s bigint GENERATED ALWAYS AS (n * 2) STORED", "fills itself"),
        ("", "COMMENT ON COLUMN k.n IS 'of notes'", "comments"),
        ("", "ALTER TABLE k SET (fillfactor = 50)", "settings of its own"),
        ("", "CREATE TABLE child(id bigint, name text, n bigint); INSERT INTO child VALUES (0, 'child', 0); ALTER TABLE child INHERIT k", "children"),
        ("", "ALTER TABLE k ADD PRIMARY KEY (id); CREATE PUBLICATION pub FOR TABLE k", "a publication"),
        ("", "CREATE TRIGGER x AFTER INSERT ON k EXECUTE FUNCTION nothing(); ALTER TABLE k DISABLE TRIGGER x", "a trigger"),
        ("", "CREATE STATISTICS st ON id, n FROM k", "statistics"),
        ("", "GRANT SELECT (n) ON k TO boss", "grants"),
        ("", "CREATE INDEX i ON k(n); CLUSTER k USING i", "an index"),
        ("PARTITION BY RANGE (id)", "CREATE TABLE part PARTITION OF k FOR VALUES FROM (-9) TO (1000)", "partitions"))
REPLACED = ("row level security", "another owner", "fills itself", "children", "partitions")


@scenario("pg")
def a_table_with_what_a_new_one_would_not_have_stays_and_gets_the_rows(t):
    pg = postgres.Postgres(t)
    pg.do("CREATE ROLE boss; CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    other = {"new.csv": people([(i, "new", i) for i in range(50)]), "other.csv": "other\n1\n"}
    for name, text in other.items():
        t.write(name, text)
    for of_table, more, what in KEPT:
        pg.do(f"CREATE TABLE k(id bigint, name text, n bigint) {of_table}; {more}; INSERT INTO k VALUES (-1, 'old', -1)")
        oid = "SELECT 'k'::regclass::oid, (SELECT count(*) FROM pg_class WHERE relname IN ('child', 'part'))"
        before, tables = pg.rows(oid), left(pg)
        t.says(t.run(*args(pg, "--mode", "replace", source=("--csv", "other.csv")), want=2), what, "so it stays",
               'column "other" of relation "k" does not exist')
        t.equal(tables, left(pg), f"tables, {what}")
        if what in REPLACED:
            t.run(*args(pg, "--mode", "replace", source=("--csv", "new.csv")))
            t.equal(before, pg.rows(oid), f"the table, {what}")
            only = "" if of_table else "ONLY"
            t.equal([["50", "1225", "new"]], pg.rows(f"SELECT count(*), sum(n), max(name) FROM {only} k"), f"rows, {what}")
        if what == "children":
            t.equal([["0", "child", "0"]], pg.rows("SELECT * FROM child"), "the child's rows")
        pg.do("DROP TABLE k CASCADE; DROP TABLE IF EXISTS k_rejects, tranche_runs, tranche_ledger; DROP TABLE IF EXISTS child;"
              "DROP PUBLICATION IF EXISTS pub")


@scenario("pg")
def what_a_table_that_stays_refuses_is_said_and_its_rows_are_the_old_ones(t):
    pg = postgres.Postgres(t)
    pg.do("CREATE TABLE k(id bigint CHECK (id < 40), name text, n bigint); COMMENT ON TABLE k IS 'mine';"
          "INSERT INTO k VALUES (-1, 'old', -1); CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS "
          "'BEGIN RETURN NULL; END'; CREATE ROLE weak LOGIN; GRANT ALL ON SCHEMA public TO weak;"
          "GRANT SELECT, INSERT ON k TO weak; CREATE SCHEMA other AUTHORIZATION weak")
    t.write("k.csv", people([(i, "new", i) for i in range(50)]))
    do = args(pg, "--mode", "replace")
    t.says(t.run(*role(pg, do), want=2), "it has another owner, so it stays", "permission denied for table k")
    t.says(t.run(*do, want=2), "it has comments or labels, so it stays", "violates check constraint")
    t.write("k.csv", people([(i, "new", i) for i in range(30)]))
    pg.do("CREATE TRIGGER x BEFORE DELETE ON k FOR EACH ROW EXECUTE FUNCTION skip()")
    t.says(t.run(*do, "--fresh", want=2), "so it stays", "a trigger or a rule changes which rows are in it")
    t.equal([["-1", "old", "-1"]], pg.rows("SELECT * FROM k"), "rows")
    pg.do("DROP TRIGGER x ON k")
    t.run(*do)
    t.equal([["30"]], pg.rows("SELECT count(*) FROM k"), "rows")
    pg.do("GRANT ALL ON ALL TABLES IN SCHEMA public TO weak; ALTER TABLE k OWNER TO weak;"
          "ALTER TABLE k ENABLE ROW LEVEL SECURITY; ALTER TABLE k FORCE ROW LEVEL SECURITY")
    t.says(t.run(*role(pg, do), want=2), "has row level security, which holds for this role too")
    t.equal([["30"]], pg.rows("SELECT count(*) FROM k"), "rows")
    elsewhere = [a + "?options=-csearch_path%3Dother,public" if a == pg.url else a for a in do]
    t.write("k.csv", people([(i, "newer", i) for i in range(20)]))
    t.run(*elsewhere)
    t.equal([["20"]], pg.rows("SELECT count(*) FROM public.k"), "rows of a table in a schema behind the first")


# ---- rights

def role(pg, url, name="weak"):
    return [a.replace("tranche@", name + "@") if a == pg.url else a for a in url]


@scenario("pg", "smoke")
def a_missing_right_to_insert_is_said_before_a_row_is_read(t):
    pg = postgres.Postgres(t)
    t.write("k.csv", people([(1, "x", 1)]))
    pg.do("CREATE TABLE k(id bigint UNIQUE, name text, n bigint); CREATE ROLE weak LOGIN; GRANT ALL ON SCHEMA public TO weak;"
          "GRANT SELECT ON k TO weak")
    for more in ((), ("--mode", "upsert", "--key", "id")):
        t.says(t.run(*role(pg, args(pg, *more)), want=2), "permission denied for table k: the role weak may not INSERT")
    pg.do("GRANT INSERT ON k TO weak")
    t.says(t.run(*role(pg, args(pg, "--mode", "upsert", "--key", "id")), want=2), "the role weak may not UPDATE")
    t.equal([["k"]], left(pg), "tables")
    t.run(*role(pg, args(pg)))
    t.equal([["1", "x", "1"]], pg.rows("SELECT * FROM k"), "rows")


@scenario("pg")
def a_right_to_insert_that_is_taken_away_makes_no_rejects(t):
    pg = postgres.Postgres(t)
    make(t, 20000)
    pg.do("CREATE TABLE k(id bigint, h bigint, text text, UNIQUE (id)); CREATE ROLE weak LOGIN;"
          "GRANT ALL ON SCHEMA public TO weak; GRANT INSERT (id) ON k TO weak")
    do = role(pg, args(pg))
    done = t.run(*do, want=1)
    t.says(done, "permission denied for table k")
    t.equal([["loading"]], pg.rows("SELECT state FROM tranche_runs"), "states")
    t.equal("0", pg.one("SELECT count(*) FROM k_rejects"), "rejects")
    pg.do("GRANT INSERT ON k TO weak")
    t.run(*do)
    exact(t, pg, 20000)


@scenario("pg")
def a_table_with_row_level_security_is_loaded_by_roles_that_it_does_not_hold_for(t):
    pg = postgres.Postgres(t)
    t.write("k.csv", people([(1, "x", 1)]))
    pg.do("CREATE TABLE k(id bigint UNIQUE, name text, n bigint); CREATE ROLE weak LOGIN; GRANT ALL ON SCHEMA public TO weak;"
          "GRANT ALL ON k TO weak; ALTER TABLE k ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON k USING (n > 5)")
    for more in ((), ("--mode", "upsert", "--key", "id")):
        t.says(t.run(*role(pg, args(pg, *more)), want=2), "table k", "has row level security", "BYPASSRLS")
    t.run(*args(pg))
    t.equal([["1", "x", "1"]], pg.rows("SELECT * FROM k"), "rows")


@scenario("pg")
def tables_that_were_made_for_a_role_are_enough_for_it(t):
    pg = postgres.Postgres(t)
    t.write("k.csv", people([(1, "x", 1)]))
    t.write("n.csv", people([(2, "y", 2), ("no", "z", 3)]))
    t.run(*args(pg))
    pg.do("CREATE ROLE weak LOGIN; CREATE UNIQUE INDEX u ON k(id);"
          "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO weak")
    before = left(pg)
    for n, more in enumerate(((), ("--mode", "upsert", "--key", "id"), ("--mode", "incremental", "--watermark", "id"))):
        do = role(pg, args(pg, "--type", "id=integer", "--bad-rows", "2", *more, source=("--csv", "n.csv")))
        t.equal((1, 0)[n == 2], t.run(*do, want=3).json["rows_loaded"], f"rows {more}")
        t.equal([["1", "x"], ["2", "y"]], pg.rows("SELECT id, name FROM k ORDER BY 1"), f"rows {more}")
    t.equal(before, left(pg), "tables")
    t.says(t.run(*role(pg, args(pg, "--mode", "replace")), want=2), "creating the table is not allowed",
           "permission denied for schema public")
