"""The examples: each does what its README says, and its result is what somebody else computes."""

import concurrent.futures
import csv
import datetime
import glob
import json
import math
import statistics
import subprocess
import sys
import urllib.error
import urllib.request

from examples import Example
from kit import scenario


def records(pattern):
    for path in sorted(glob.glob(pattern)):
        with open(path, newline="") as f:
            yield from csv.DictReader(f)


def grouped(rows, key):
    groups = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups


def quantile(values, q):
    """Linear between the neighbours."""
    values, at = sorted(values), q * (len(values) - 1)
    low = math.floor(at)
    return values[low] + (at - low) * (values[min(low + 1, len(values) - 1)] - values[low])


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


@scenario("examples", "aggregate")
def flights_have_the_mean_and_the_spread_that_the_statistics_module_finds(t):
    x = Example(t, "flights")
    x.follow()
    flights = list(records(x.path("flights-?.csv")))
    t.equal((49999, 10), (len(flights), len(glob.glob(x.path("flights-?.csv")))), "flights and files")
    known = [int(f["delay"]) for f in flights if f["delay"]]
    t.equal(1250, len(flights) - len(known), "flights without a delay")

    want = [(f["date"], int(f["delay"]) if f["delay"] else None, int(f["distance"]), f["origin"], f["destination"]) for f in flights]
    t.true(want == x.rows("flights.db", "SELECT date, delay, distance, origin, destination FROM flights ORDER BY rowid"),
           "all columns of all flights, in order")

    groups = grouped(flights, "origin")
    got = x.rows("flights.db", "SELECT origin, flights, mean, sd, p95 FROM delays")
    t.equal(sorted(groups), [row[0] for row in got], "airports")
    for origin, n, mean, sd, p95 in got:
        delays = [int(f["delay"]) for f in groups[origin] if f["delay"]]
        t.equal(len(groups[origin]), n, f"flights from {origin}")
        t.equal((len(delays) > 0, len(delays) > 1), (mean is not None, sd is not None), f"what there is of {origin}")
        if delays:
            near(t, statistics.fmean(delays), mean, f"mean of {origin}")
            near(t, quantile(delays, 0.95), p95, f"p95 of {origin}")
        if len(delays) > 1:
            near(t, statistics.stdev(delays), sd, f"deviation of {origin}")

    mean = statistics.fmean(known)
    for f, (delay, doubled) in zip(flights, x.rows("flights.db", "SELECT delay, doubled FROM imputed ORDER BY rowid")):
        value = float(f["delay"] or mean)
        t.equal((round(value), "int"), (delay, type(delay).__name__), f"the delay of {f}")
        near(t, 2 * value, doubled, f"twice the delay of {f}")


@scenario("examples", "aggregate")
def visits_have_the_top_that_a_plain_loop_finds(t):
    x = Example(t, "visits")
    x.follow()
    codes = grouped(records(x.path("visits.csv")), "postal_code")
    sums = {code: sum(int(row["visitors"]) for row in rows) for code, rows in codes.items()}
    least = quantile(sums.values(), 0.995)
    top = sorted(((code, n, len(codes[code])) for code, n in sums.items() if n > least), key=lambda row: (-row[1], row[0]))
    t.equal((2000, 10, True), (len(codes), len(top), "00501" in sums), "codes, those at the top, and a zero in front")
    t.equal(top, x.rows("visits.db", "SELECT postal_code, visitors, days FROM busiest ORDER BY rowid"), "the top")


@scenario("examples", "pipelines")
def features_are_those_of_each_customers_own_rows(t):
    x = Example(t, "features")
    _, again, _ = x.follow()
    t.says(again, "rhythm                   skipped", "features                 skipped")
    want = []
    for customer, rows in sorted(grouped(records(x.path("..", "data", "superstore.csv")), "Customer ID").items()):
        days = sorted({datetime.date.fromisoformat(row["Order Date"]) for row in rows})
        sales, quantity = [float(row["Sales"]) for row in rows], sum(int(row["Quantity"]) for row in rows)
        technology = sum(int(row["Quantity"]) for row in rows if row["Category"] == "Technology")
        want.append((customer, len({row["Order ID"] for row in rows}), math.fsum(sales), max(sales), technology / quantity,
                     days[0].isoformat(), max(((b - a).days for a, b in zip(days, days[1:])), default=None)))
    t.equal(want, x.rows("features.db", "SELECT customer, orders, spent, largest, technology, first_day, longest_gap "
                         "FROM features ORDER BY customer"), "features")
    with open(x.path("rhythm.py"), "a") as f:
        f.write("# another program\n")
    t.says(x.command("tranche run features.yaml"), "orders                   skipped", "spending                 skipped",
           "taste                    skipped", "rhythm                   loaded", "features                 loaded")


def primes_between(begin, end):
    """By striking out multiples, where the example divides."""
    small = [True] * (math.isqrt(end) + 1)
    many = [True] * (end - begin)
    for d in range(2, len(small)):
        if not small[d]:
            continue
        small[d * d::d] = [False] * len(small[d * d::d])
        first = -begin % d
        many[first::d] = [False] * len(many[first::d])
    return many


@scenario("examples", "cache")
def a_slow_step_is_taken_once(t):
    x = Example(t, "cached")
    first, second, longer, _ = x.follow()
    t.true("the cache had" not in first.out, "the first run works on all")
    t.says(second, "the cache had the results of 20 of 20 batches")
    t.says(longer, "the cache had the results of 20 of 22 batches")
    (some,), (none,), (few,) = x.rows(".tranche/runs.db", "SELECT (SELECT total(chunks) FROM attempts WHERE run = r.seq) "
                                     "FROM runs r ORDER BY seq")
    t.true(some >= 20 and none == 0 and 2 <= few < 20,
           f"batches that a worker had, some perhaps twice: {some}, {none} and {few}")
    begin = 100_000_000
    is_prime = primes_between(begin, begin + 66_000)
    t.equal([(i, sum(is_prime[1000 * i:1000 * (i + 1)])) for i in range(66)],
            x.rows("primes.db", "SELECT i, primes FROM primes ORDER BY i"), "primes")
