"""One HTTP request a row."""

import os
import re
import signal
import sqlite3
import subprocess

from kit import scenario
from test_hosts import Program
from webserver import WebServer


def web(t):
    w = WebServer()
    t.cleanups.append(w.close)
    return w


def column(t, *values, name="x"):
    t.write("in.csv", f"n,{name}\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values)))


def run(t, url, *args, want=0, into="sqlite:wh.db", **kw):
    return t.run("run", "--csv", "in.csv", "--http", url, *args, "--into", into, "--table", "t",
                 "--output", "json", want=want, **kw)


def rejected(t, w, url, *reasons, args=(), rows=1):
    """The row is rejected, with one of the words as the reason."""
    run(t, w.url + url, *args, want=4)
    got = t.rows("wh.db", "SELECT line, \"column\", reason, raw FROM t_rejects")
    t.equal(rows, len(got), "rejected rows")
    t.equal((2, "url"), got[0][:2], "line and column")
    for reason in reasons:
        t.true(reason in got[0][2], f"the reason names {reason!r}: {got[0][2]!r}")
    t.true(got[0][2].startswith(w.url), f"the reason names the address: {got[0][2]!r}")
    t.intact("wh.db")


ITEMS = ("--http-rows", "$.items[*]")
PLAIN = ITEMS + ("--http-keep", "n")


# ---- what it gives ----

@scenario("http", "smoke", "threads")
def lists_become_rows_beside_the_columns_that_are_kept(t):
    w = web(t)
    column(t, 2, 0, 1)
    done = run(t, w.url + "/list?n={x}", *PLAIN, "--http-fields", "id,of.n")
    t.equal([(0, 0, 2), (0, 1, 2), (2, 0, 1)], t.rows("wh.db", "SELECT * FROM t"), "rows")
    t.equal([(1, "n"), (2, "id"), (3, "of.n")],
            t.rows("wh.db", "SELECT cid + 1, name FROM pragma_table_info('t')"), "columns")
    t.equal((3, 3, 0, 3), tuple(done.json[k] for k in
            ("rows_read", "rows_parsed", "rows_rejected", "rows_loaded")), "balance")


@scenario("http")
def without_rows_the_answer_is_one_text(t):
    w = web(t)
    column(t, "c3a4", "")
    t.write("in.csv", "x\nc3a4\n78\n")
    run(t, w.url + "/text/{x}")
    t.equal([("c3a4", 200, "ä"), ("78", 200, "x")], t.rows("wh.db", "SELECT * FROM t"), "rows")


@scenario("http")
def items_without_fields_are_kept_as_json(t):
    w = web(t)
    column(t, 1)
    run(t, w.url + "/list?n={x}", *PLAIN)
    t.equal([(0, '{"id": 0, "of": {"n": 1}}')], t.rows("wh.db", "SELECT * FROM t"), "rows")


@scenario("http")
def a_job_file_says_it_all(t):
    w = web(t)
    t.write("in.csv", "id,name\n1,a b\n2,ä&?\n")
    t.write("job.yaml", f"""
source: {{csv: in.csv}}
transform:
  - sql: SELECT id * 10 AS id, name FROM batch
  - http:
      url: '{w.url}/echo/{{name}}?id={{id}}&by={{who}}&{{{{x}}}}=1'
      headers: {{Authorization: Bearer $TOKEN, X-Price: 5$$}}
      rows: $
      fields: {{path: path, key: query.id, by: query.by, odd: 'query.{{x}}', auth: headers.authorization,
               price: headers.x-price, accept: headers.accept}}
      keep: [id]
      concurrency: 2
      rate: 1000/s
  - sql: SELECT id, key + 0 AS key, path, "by", odd, price, accept, length(auth) AS n FROM batch
load: {{into: sqlite:wh.db, table: t}}
params: {{who: {{sql: SELECT 'me'}}}}
""")
    done = t.run("run", "job.yaml", env={"TOKEN": "sesame"})
    t.equal([(10, 10, "/echo/a%20b", "me", "1", "5$", "application/json", 13),
             (20, 20, "/echo/%C3%A4%26%3F", "me", "1", "5$", "application/json", 13)],
            t.rows("wh.db", "SELECT * FROM t"), "rows")
    journal = b"".join(open(os.path.join(at, f), "rb").read() for at, _, names in os.walk(t.path(".tranche"))
                       for f in names)
    t.true(b"Bearer $TOKEN" in journal, "the journal has the header as it is written")
    t.true(b"sesame" not in journal, "the journal does not have the secret")
    t.true("sesame" not in done.err + done.out, "nobody says the secret")


@scenario("http")
def a_column_may_be_the_whole_address(t):
    w = web(t)
    t.write("urls.txt", f"{w.url}/list?n=1\n{w.url}/list?n=2\nfile:///etc/passwd\n\n")
    t.run("run", "--lines", "urls.txt", "--http", "{line}", *ITEMS, "--http-fields", "id",
          "--into", "sqlite:wh.db", "--table", "t", want=4)
    t.equal([(f"{w.url}/list?n=1", 0), (f"{w.url}/list?n=2", 0), (f"{w.url}/list?n=2", 1)],
            t.rows("wh.db", "SELECT * FROM t"), "rows")
    t.equal([(3, "no address that begins with http:// or https://", "file:///etc/passwd"),
             (4, "no address that begins with http:// or https://", "")],
            t.rows("wh.db", "SELECT line, reason, CAST(raw AS TEXT) FROM t_rejects"), "rejects")


@scenario("http")
def the_rows_of_an_aggregate_may_come_from_answers(t):
    w = web(t)
    column(t, 2, 0, 3)
    t.run("run", "--csv", "in.csv", "--http", w.url + "/list?n={x}", *PLAIN, "--http-fields", "id",
          "--by", "n", "--compute", "items=count(*)", "--into", "sqlite:wh.db", "--table", "t")
    t.equal([(0, 2), (2, 3)], t.rows("wh.db", "SELECT * FROM t"), "rows")


# ---- pages ----

@scenario("http")
def pages_are_followed_by_a_member_and_by_a_link(t):
    w = web(t)
    column(t, 3, 1)
    for how in ("$.next", "link"):
        run(t, w.url + "/pages/{x}", *PLAIN, "--http-next", how, "--fresh")
        t.equal([(0, 1), (0, 2), (0, 3), (1, 1)], t.rows("wh.db", "SELECT * FROM t"), f"rows by {how}")
        t.write("wh.db", b"")


@scenario("http")
def pages_in_a_circle_reject_the_row(t):
    w = web(t)
    column(t, 1)
    rejected(t, w, "/round", "/round: the pages go in a circle", args=ITEMS + ("--http-next", "$.next"))


@scenario("http")
def more_pages_than_allowed_reject_the_row(t):
    w = web(t)
    column(t, 1)
    rejected(t, w, "/pages/5", "there are more than 3 pages (pages)",
             args=ITEMS + ("--http-next", "$.next", "--http-pages", "3"))
    t.equal(3, len(w.asked), "requests")


# ---- what fails once ----

@scenario("http")
def what_fails_for_a_while_is_tried_again(t):
    w = web(t)
    column(t, 0, 1, 2)
    for kind in ("flaky", "cut"):
        w.asked.clear()
        run(t, f"{w.url}/{kind}/k{{x}}/2", *PLAIN, "--fresh")
        t.equal([(0, 1), (1, 1), (2, 1)], t.rows("wh.db", "SELECT * FROM t"), "rows")
        t.equal(9, len(w.asked), "requests: two failures a row")
        t.write("wh.db", b"")


@scenario("http")
def a_server_that_asks_for_time_gets_it(t):
    w = web(t)
    column(t, 1)
    for when in ("1", "date"):
        w.begun.clear()
        run(t, f"{w.url}/later/{when}/{when}", *PLAIN, "--fresh")
        t.true(w.begun[1] - w.begun[0] >= 0.9, f"it waited {w.begun[1] - w.begun[0]:.2f} s")
        t.write("wh.db", b"")


@scenario("http")
def a_server_that_asks_for_too_much_time_rejects_the_row(t):
    w = web(t)
    column(t, 1)
    rejected(t, w, "/later/k/86400", "status 429 (Too Many Requests): 'slow down'",
             "it asks to wait for 86400 s, longer than limits.timeout leaves", args=PLAIN)


# ---- what fails for good ----

@scenario("http", "smoke")
def a_status_that_says_no_rejects_the_row_at_once(t):
    w = web(t)
    column(t, 1)
    rejected(t, w, "/status/404", "/status/404: status 404 (Not Found): 'sorry, no'", args=PLAIN)
    t.equal(1, len(w.asked), "requests")


@scenario("http")
def a_status_that_stays_bad_rejects_the_row_after_its_retries(t):
    w = web(t)
    column(t, 1)
    rejected(t, w, "/status/500", "status 500 (Internal Server Error): 'sorry, no' (tried 3 times)",
             args=PLAIN + ("--http-retries", "2"))
    t.equal(3, len(w.asked), "requests")


@scenario("http")
def a_server_that_is_not_there_rejects_the_row(t):
    w = web(t)
    column(t, 1)
    w.close()
    w.server.close()
    w.server.sockets and [s.close() for s in w.server.sockets]
    w.url = "http://127.0.0.1:1"
    rejected(t, w, "/x", "(tried 2 times)", args=PLAIN + ("--http-retries", "1"))


@scenario("http")
def bad_rows_stand_where_they_were_read(t):
    w = web(t)
    t.write("in.csv", "n,x\n0,200\n\n\"1\",\"404\"\n2,\n3,20\"0\n4,500\n")
    t.write("types.yaml", "source: {csv: in.csv, types: {x: integer}}\n"
            f"transform: {{http: {{url: '{w.url}/status/{{x}}', retries: 0}}}}\n"
            "load: {into: 'sqlite:wh.db', table: t}\n")
    t.run("run", "types.yaml", "--bad-rows", "10", want=3)
    t.equal([(4, 11, '"1","404"'), (5, 21, "2,"), (6, 24, '3,20"0'), (7, 31, "4,500")],
            t.rows("wh.db", "SELECT line, byte_offset, CAST(raw AS TEXT) FROM t_rejects ORDER BY 1"), "rejects")
    t.equal(1, t.one("wh.db", "SELECT count(*) FROM t"), "rows")


@scenario("http")
def rows_of_a_query_are_rejected_as_they_came(t):
    w = web(t)
    column(t, 200, 404)
    t.run("run", "--csv", "in.csv", "--sql", "SELECT x, 'a,b' AS y FROM batch", "--http", w.url + "/status/{x}",
          "--into", "sqlite:wh.db", "--table", "t", "--bad-rows", "1", want=3)
    t.equal([(None, None, '404,"a,b"')], t.rows("wh.db", "SELECT line, byte_offset, CAST(raw AS TEXT) FROM t_rejects"), "rejects")


@scenario("http")
def rows_of_a_table_are_rejected_with_their_rowids(t):
    w = web(t)
    con = sqlite3.connect(t.path("s.db"))
    con.execute("CREATE TABLE s(x, y)")
    con.executemany("INSERT INTO s(rowid, x, y) VALUES(?, ?, ?)",
                    ((2, 404, "a"), (5, 200, "b"), (6, 200, "c"), (7, 404, "d,e"), (10**12, 404, None)))
    con.execute("UPDATE s SET y = CAST(x'ff' AS TEXT) WHERE rowid = 6")
    con.commit()
    con.close()
    t.run("run", "--sqlite", "s.db", "--sqlite-table", "s", "--http", w.url + "/status/{x}?y={y}", "--http-retries", "0",
          "--into", "sqlite:wh.db", "--table", "t", "--bad-rows", "4", want=3)
    t.equal([(None, 2, "404,a"), (None, 6, "200,\ufffd"), (None, 7, '404,"d,e"'), (None, 10**12, "404,")],
            [(n, at, raw.decode(errors="replace")) for n, at, raw in
             t.rows("wh.db", "SELECT line, byte_offset, CAST(raw AS BLOB) FROM t_rejects ORDER BY 2")], "rejects")
    t.equal([(200, "b")], t.rows("wh.db", "SELECT x, y FROM t"), "rows")


BAD = [
    ("/short", ["(tried 2 times)"], ["--http-retries", "1"]),
    ("/big/1073741824", ["the answer is larger than max_body"], []),
    ("/said/9000000", ["the answer is larger than max_body"], []),
    ("/said/18446744073709551615", ["/said/"], ["--http-retries", "0", "--http-timeout", "1s"]),
    ("/gzip", ["the answer is larger than max_body"], []),
    ("/heads", ["headers of more than 64 KiB"], []),
    ("/drip", ["no whole answer within http.timeout (0.4 s) (tried 1 time)"], ["--http-retries", "0", "--http-timeout", "400ms"]),
    ("/never", ["no whole answer within http.timeout (0.4 s) (tried 1 time)"], ["--http-retries", "0", "--http-timeout", "400ms"]),
    ("/circle", ["redirected more than 2 times (redirects)"], ["--http-redirects", "2"]),
    ("/go?to=file:///etc/passwd", ["a redirect leads to file:///etc/passwd, which is neither http nor https"], []),
    ("/text/3c68746d6c3e", ["not JSON: lexical error"], []),
    ("/text/", ["not JSON"], []),
    ("/text/7b7d", ["at $.items the answer has nothing, not a list"], []),
    ("/text/ff", ["not UTF-8 after 0 bytes"], []),
    ("/text/" + ("5b" * 600), ["nested too deep"], []),
]


@scenario("http")
def answers_that_lie_or_never_end_reject_the_row(t):
    w = web(t)
    column(t, 1)
    for url, reasons, args in BAD:
        rejected(t, w, url, *reasons, args=PLAIN + tuple(args))
        for name in ("wh.db",):
            t.write(name, b"")
    t.leaves_nothing()


@scenario("http")
def headers_are_not_told_to_other_servers(t):
    a, b = web(t), web(t)
    column(t, 1)
    run(t, f"{a.url}/go?to={b.url}/list%3Fn=1", *PLAIN, "--http-header", "X-Key=$KEY", env={"KEY": "sesame"})
    t.equal("sesame", a.asked[0][2].get("x-key"), "the first server's header")
    t.equal(None, b.asked[0][2].get("x-key"), "the other server's header")
    t.equal(1, t.one("wh.db", "SELECT count(*) FROM t"), "rows")


@scenario("http")
def a_certificate_that_nobody_signed_is_not_trusted(t):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
                    "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
                   cwd=t.dir, check=True, capture_output=True)
    with open(t.path("cert.pem")) as cert, open(t.path("key.pem")) as key:
        both = t.write("both.pem", cert.read() + key.read())
    w = WebServer(both)
    t.cleanups.append(w.close)
    column(t, 1)
    rejected(t, w, "/list?n=1", "SSL peer certificate or SSH remote key was not OK", args=PLAIN)
    t.true("tried" not in t.one("wh.db", "SELECT reason FROM t_rejects"), "it is not tried again")
    t.equal([], w.asked, "requests")


# ---- how many at a time ----

@scenario("http")
def all_runners_together_keep_to_the_limit(t):
    w = web(t)
    column(t, *range(200))
    run(t, w.url + "/list?n=1&ms=10", *PLAIN, "--http-concurrency", "5", "--batch-rows", "7",
        "-j", "4", "--concurrency", "3")
    t.equal(200, t.one("wh.db", "SELECT count(*) FROM t"), "rows")
    t.equal(5, w.most, "requests at a time at most")


@scenario("http")
def fewer_requests_than_slots_still_get_through(t):
    w = web(t)
    column(t, *range(30))
    run(t, w.url + "/list?n=1&ms=5", *PLAIN, "--http-concurrency", "1", "--batch-rows", "3", "-j", "4")
    t.equal(30, t.one("wh.db", "SELECT count(*) FROM t"), "rows")
    t.equal(1, w.most, "requests at a time at most")


@scenario("http")
def requests_begin_no_sooner_than_the_rate_allows(t):
    w = web(t)
    column(t, *range(20))
    run(t, w.url + "/list?n=1", *PLAIN, "--http-rate", "50", "--batch-rows", "3", "-j", "2")
    t.true(w.begun[-1] - w.begun[0] >= 19 * 0.02 * 0.9, f"it took {w.begun[-1] - w.begun[0]:.2f} s")


@scenario("http")
def a_batch_that_has_no_end_is_ended_and_split(t):
    w = web(t)
    column(t, *range(4))
    done = run(t, w.url + "/never?x={x}", *PLAIN, "--timeout", "300ms", "--retries", "0", want=4)
    t.equal(4, t.one("wh.db", "SELECT count(*) FROM t_rejects WHERE reason LIKE '%limits.timeout%'"), "rejects")
    t.equal(0, done.json["rows_loaded"], "rows")


@scenario("http")
def a_runner_that_dies_leaves_its_requests_to_others(t):
    w = web(t)
    column(t, *range(40))
    w.left = 6
    p = t.start("run", "--csv", "in.csv", "--http", w.url + "/list?n=1", *PLAIN, "--http-concurrency",
                "2", "--batch-rows", "4", "-j", "2", "--into", "sqlite:wh.db", "--table", "t")
    t.wait_until(lambda: len(w.asked) == 8, "the first requests")
    runners = []
    for pid in t.children(p.pid):
        try:
            with open(f"/proc/{pid}/comm") as f:
                runners += [pid] if f.read().strip() == "tranche-runner" else []
        except OSError:
            pass
    os.kill(runners[0], signal.SIGKILL)
    w.left = None
    done = t.finish(p)
    t.equal(0, done.code, "exit code")
    t.equal(40, t.one("wh.db", "SELECT count(*) FROM t"), "rows")
    t.equal(40, t.one("wh.db", "SELECT count(DISTINCT n) FROM t"), "distinct rows")


# ---- more hosts ----

def coordinator(t, url, *args):
    c = Program(t, [t.tranche, "run", "--csv", "in.csv", "--http", url, *PLAIN, "--into", "sqlite:wh.db",
                    "--table", "t", "--listen", "tcp://127.0.0.1:0", "--insecure", *args])
    c.says("listening on ")
    c.endpoint = re.search(r"listening on (\S+)", c.text).group(1)
    return c


def host(t, c, name):
    return Program(t, [os.path.join(t.build, "tranche-worker"), "--insecure", "--name", name, "--slots", "2", c.endpoint])


def who_worked(t):
    return {w for (w,) in t.rows("wh.db", "SELECT DISTINCT worker FROM tranche_ledger WHERE worker <> ''")}


@scenario("http", "hosts")
def all_hosts_together_keep_to_the_limit(t):
    w = web(t)
    column(t, *range(400))
    c = coordinator(t, w.url + "/list?n=1&ms=20", "--http-concurrency", "5", "--batch-rows", "4", "-j", "1",
                    "--min-workers", "3")
    hosts = [host(t, c, name) for name in ("anna", "bert")]
    c.ends(0)
    for h in hosts:
        h.ends(0)
    t.equal(400, t.one("wh.db", "SELECT count(DISTINCT n) FROM t"), "rows")
    t.equal({"local", "anna", "bert"}, who_worked(t), "who worked")
    t.true(w.most <= 5, f"{w.most} requests at a time, 5 allowed")


@scenario("http", "hosts")
def a_host_that_comes_in_the_middle_gets_its_part(t):
    w = web(t)
    column(t, *range(120))
    w.hold = True  # the requests under way are all there are, until the other host is known
    c = coordinator(t, w.url + "/list?n=1", "--http-concurrency", "4", "--batch-rows", "4", "-j", "1")
    t.wait_until(lambda: w.now == 4, "all requests are under way on the first host")
    h = host(t, c, "anna")
    c.says("worker anna is here")
    w.hold = False
    c.ends(0)
    h.ends(0)
    t.equal(120, t.one("wh.db", "SELECT count(DISTINCT n) FROM t"), "rows")
    t.true(w.most <= 4, f"{w.most} requests at a time, 4 allowed")


@scenario("http", "hosts")
def a_host_too_many_gets_no_batches_until_another_leaves(t):
    w = web(t)
    column(t, *range(60))
    w.left = 0
    c = coordinator(t, w.url + "/list?n=1", "--http-concurrency", "1", "--batch-rows", "3", "-j", "0")
    first = host(t, c, "anna")
    t.wait_until(lambda: w.now == 1, "the one request is under way")
    second = host(t, c, "bert")
    c.says("worker bert gets no batches: there are more workers than requests at a time (http.concurrency)")
    w.left = 6
    t.wait_until(lambda: len(w.asked) == 7, "the first host gets on")
    first.kill()
    w.left = None
    c.ends(0)
    second.ends(0)
    t.equal(60, t.one("wh.db", "SELECT count(DISTINCT n) FROM t"), "rows")
    t.true("bert" in who_worked(t), "the second host worked")


@scenario("http", "kills")
def a_load_that_was_killed_goes_on_where_it_stopped(t):
    w = web(t)
    column(t, *range(40))
    w.left = 20
    args = ("run", "--csv", "in.csv", "--http", w.url + "/list?n=1&x={x}", *PLAIN, "--batch-rows", "4", "--into",
            "sqlite:wh.db", "--table", "t")
    p = t.start(*args)

    def commits():
        try:
            return t.one("wh.db", "SELECT count(*) FROM tranche_ledger")
        except Exception:
            return 0
    t.wait_until(lambda: commits() >= 2, "some batches are committed")
    os.killpg(p.pid, signal.SIGKILL)
    p.wait()
    loaded = {n for (n,) in t.rows("wh.db", "SELECT n FROM t")}
    w.left = None
    w.asked.clear()
    t.run(*args)
    t.equal(list(range(40)), [n for (n,) in t.rows("wh.db", "SELECT n FROM t ORDER BY n")], "rows")
    again = {int(q["x"]) for _, q, _ in w.asked} & loaded
    t.equal(set(), again, "rows that were loaded and asked for again")


# ---- mistakes ----

@scenario("http", "bad")
def mistakes_in_a_request_are_said_before_anything_is_asked(t):
    w = web(t)
    column(t, 1, name="city")
    for args, sentence in [
        (("--http", w.url + "/{ciy}"), "url: there is no column 'ciy'; did you mean 'city'?"),
        (("--http", w.url + "/{zip}"), "url: there is no column and no param 'zip'"),
        (("--http", w.url + "/{city"), "a '{' without its '}'; write {{ for the character itself"),
        (("--http", w.url, "--http-keep", "n,town"), "keep: there is no column 'town'"),
        (("--http", w.url, "--http-rows", "$", "--http-fields", "n"),
         "the column 'n' is one of the row's and one of the answer's: leave it out of keep, or give the "
         "answer's another name, as in fields: {other: n}"),
        (("--http", w.url, "--http-header", "A=$NO_SUCH_THING"),
         "header A: the environment variable NO_SUCH_THING is not set"),
        (("--http", w.url, "--http-header", "A=$LINES_IN_IT"), "header A: its value holds a control character"),
    ]:
        for command in ("check", "run"):
            done = t.run(command, "--csv", "in.csv", *args, "--into", "sqlite:wh.db", "--table", "t",
                         want=2, env={"LINES_IN_IT": "a\nB: c"})
            t.says(done, sentence)
    t.equal([], w.asked, "requests")


@scenario("http")
def what_is_null_stands_in_no_address(t):
    w = web(t)
    t.write("in.csv", "n,x\n0,1\n1,\n")
    t.write("job.yaml", f"""
source: {{csv: in.csv}}
transform: {{http: {{url: '{w.url}/list?n={{x}}&who={{who}}', rows: '$.items[*]', keep: [n]}}}}
load: {{into: sqlite:wh.db, table: t}}
params: {{who: {{sql: SELECT NULL}}}}
limits: {{bad_rows: 2}}
""")
    t.run("check", "job.yaml")
    t.run("run", "job.yaml", want=3)
    t.equal([(2, "who stands in the address, and is NULL or a blob"), (3, "x stands in the address, and is NULL or a blob")],
            t.rows("wh.db", "SELECT line, reason FROM t_rejects"), "rejects")


@scenario("http")
def a_check_asks_no_server(t):
    w = web(t)
    column(t, 1)
    t.run("check", "--csv", "in.csv", "--http", w.url + "/list?n={x}", *PLAIN, "--into", "sqlite:wh.db",
          "--table", "t")
    t.equal([], w.asked, "requests")
