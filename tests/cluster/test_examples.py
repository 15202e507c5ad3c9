"""The examples: each does what its README says, and its result is what somebody else computes."""

import concurrent.futures
import json
import math
import subprocess
import sys
import urllib.error
import urllib.request

from examples import Example
from kit import scenario


def near(t, want, got, what, relative=1e-12):
    t.true(math.isclose(want, got, rel_tol=relative), f"{what}: wanted {want!r}, got {got!r}")


@scenario("examples", "plugin")
def pi_has_nine_digits_and_each_sum_is_that_of_its_terms(t):
    x = Example(t, "pi")
    x.follow()
    sums = dict(x.rows("pi.db", "SELECT i, sum FROM sums"))
    t.equal(list(range(1000)), sorted(sums), "the rows")
    for i in (0, 999, t.random.randrange(1000)):
        terms = range(i * 10**6, (i + 1) * 10**6)
        near(t, math.fsum((1 - k % 2 * 2) / (2 * k + 1) for k in terms), sums[i], f"sum {i}", 1e-7)
    # What is left of the series after n terms is close to 1 / n.
    near(t, math.pi, 4 * math.fsum(sums.values()) + 1e-9, "pi", 1e-11)


@scenario("examples", "plugin")
def a_million_numbers_fizz_and_buzz(t):
    x = Example(t, "fizzbuzz")
    x.follow()
    want = [(i, "fizz" * (i % 3 == 0) + "buzz" * (i % 5 == 0) or str(i)) for i in range(10**6)]
    t.true(want == x.rows("fizzbuzz.db", "SELECT i, says FROM fizzbuzz ORDER BY rowid"), "all rows, in order")


@scenario("examples", "plugin")
def slow_doubles_wait_together(t):
    x = Example(t, "slow-double")
    x.change("slow-double.yaml", "ms_per_row: 10}", "ms_per_row: 0.01}")
    x.follow()
    n = 2611892
    t.equal([(n, n, 0, 2 * (n - 1), 0)],
            x.rows("doubled.db", "SELECT count(*), count(DISTINCT doubled), min(doubled), max(doubled), sum(doubled % 2) "
                   "FROM doubled"), "so many different even numbers, from 0 on")


def fetched(url):
    while True:
        try:
            with urllib.request.urlopen(url, timeout=60) as r:
                return json.load(r)
        except urllib.error.HTTPError as e:
            if e.code != 503:
                raise


def known_by(server, person):
    page, known = f"/people/{person}/connections", []
    while page:
        answer = fetched(server + page)
        known += [(min(person, c["id"]), max(person, c["id"]), c["since"]) for c in answer["connections"]]
        page = answer["next"]
    return known


@scenario("examples", "http")
def connections_are_those_that_somebody_else_fetches(t):
    x = Example(t, "connections")
    server = subprocess.Popen([sys.executable, "server.py", "0"], cwd=x.dir, stdout=subprocess.PIPE, text=True)
    t.cleanups.append(server.kill)
    url = server.stdout.readline().strip()
    x.change("connections.yaml", "http://127.0.0.1:8123", url)
    x.follow(but=["python3 server.py &"])
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        lists = list(pool.map(lambda person: known_by(url, person), range(1, 201)))
    both = [c for known in lists for c in known]
    t.equal([(*c, 2) for c in sorted(set(both))], x.rows("connections.db", "SELECT * FROM connections ORDER BY a, b"), "all")
    t.equal(2 * len(set(both)), len(both), "each is named by two")
