"""The example sales: its README as written, and what a day more costs."""

import collections
import csv
import datetime
import glob
import json
import math
import os
import re

from examples import Example
from html_page import Page
from kit import scenario

DAYS_AHEAD = 30


def orders_of(x):
    for name in sorted(glob.glob(x.path("orders-*.csv"))):
        with open(name, encoding="utf-8", newline="") as f:
            yield from csv.DictReader(f)


def sums(orders):
    """{(day, category): (sales, orders)}"""
    groups = collections.defaultdict(list)
    for o in orders:
        groups[o["Order Date"], o["Category"]].append(float(o["Sales"]))
    return {key: (math.fsum(v), len(v)) for key, v in groups.items()}


def exact(t, x):
    """Totals are those of the orders, forecasts begin the day after, the page shows both."""
    want = sums(orders_of(x))
    got = {(ds, c): (y, n) for ds, c, y, n in x.rows("sales.db", "SELECT ds, category, y, items FROM daily_sales")}
    t.equal(sorted(want), sorted(got), "days and categories")
    for key, (y, n) in want.items():
        t.true(abs(y - got[key][0]) < 0.0051 and n == got[key][1], f"{key}: wanted {(y, n)}, got {got[key]}")
    ahead = collections.Counter()
    for name in sorted({c for _, c in want}):
        last = datetime.date.fromisoformat(max(ds for ds, c in want if c == name))
        rows = x.rows("sales.db", "SELECT ds, yhat, yhat_lower, yhat_upper FROM outlook WHERE category = ? ORDER BY ds", name)
        t.equal([str(last + datetime.timedelta(i + 1)) for i in range(DAYS_AHEAD)], [r[0] for r in rows], f"days of {name}")
        usual = math.fsum(y for (ds, c), (y, _) in want.items() if c == name) / sum(c == name for _, c in want)
        for _, yhat, low, high in rows:
            t.true(low < yhat < high and abs(yhat) < 5 * usual, f"{name}: {(low, yhat, high)}, usually {usual}")
        ahead[name] = math.fsum(r[1] for r in rows)

    page = Page(x.read("report.html"))
    t.equal([], page.faults, "faults of the page")
    for text in ("Sales a day, and what is expected", "The next 30 days", f"to {last + datetime.timedelta(DAYS_AHEAD)}"):
        t.true(text in page.text, f"the page says {text!r}")
    # Three lines go on as three that are expected; these, each with its band, stand in the second figure, too.
    t.equal((6, 3), (len(re.findall(r'class="line k', page.source)), len(re.findall(r'class="line ahead k', page.source))), "lines")
    t.equal(6, len(re.findall(r'class="area k', page.source)), "bands")
    for name, y in x.rows("sales.db", "SELECT category, yhat FROM outlook WHERE ds = (SELECT max(ds) FROM outlook)"):
        t.true(page.text.count(f"{y:,.2f}"[:-1]) >= 2, f"{name}: {y} stands in both tables")


def lines_of(done):
    """The JSON lines of the steps that ran, and what came of each step."""
    all_lines = [json.loads(line) for line in done.out.strip().splitlines()]
    return ({line["step"]: line for line in all_lines if "step" in line},
            {s["step"]: s["status"] for s in all_lines[-1]["steps"]})


@scenario("examples", "pipelines", "forecast")
def a_day_more_of_sales_is_read_alone(t):
    x = Example(t, "sales")
    x.command("cp ../data/superstore.csv orders-2017.csv")
    ran, _ = lines_of(x.command("tranche run sales.yaml --output json"))
    before = sums(orders_of(x))
    t.equal((9994, len(before)), (ran["orders"]["rows_loaded"], ran["totals"]["rows_read"]), "orders, and their totals")
    t.equal(x.read("expected.txt"), x.command("sqlite3 sales.db < check.sql").out, "what is expected")
    x.command("tranche report last --html report.html")
    exact(t, x)

    x.command("python3 new_day.py")
    day = sorted(glob.glob(x.path("orders-*.csv")))[0]
    t.equal("orders-2017-12-31.csv", os.path.basename(day), "the new file")
    ran, states = lines_of(x.command("tranche run sales.yaml --output json"))
    now = sums(orders_of(x))
    new = len(now) - len(before)
    t.equal((7, 3), (sum(1 for _ in orders_of(x)) - 9994, new), "orders and totals of the day")
    t.equal(7, ran["orders"]["rows_loaded"], "orders that are loaded")
    t.equal((new, new, new), tuple(ran["totals"][k] for k in ("rows_read", "rows_emitted", "rows_loaded")), "of the totals")
    t.true(0 < ran["orders"]["bytes_read"] <= os.path.getsize(day), f"bytes read: {ran['orders']}")
    t.equal({"loaded"}, set(states.values()), "the forecast is made anew")
    x.command("tranche report last --html report.html")
    exact(t, x)

    ran, states = lines_of(x.command("tranche run sales.yaml --output json"))
    t.equal({"orders": "skipped", "totals": "loaded", "forecast": "skipped"}, states, "without new orders")
    t.equal(0, ran["totals"]["rows_read"], "totals that are read")
    x.command("tranche report last --html report.html")  # of the run of totals, which shows them all
    exact(t, x)
    t.leaves_nothing()


@scenario("examples", "pipelines", "forecast")
def the_readme_of_sales_does_what_it_says(t):
    x = Example(t, "sales")
    again, _, check, install = x.follow()[-4:]
    t.says(again, "orders: 7 rows into", "totals: 3 rows into", "rows read                 3 = parsed 3")
    t.says(check, "schedule weekly: due next at ")
    t.says(install, "0 0 * * 1 ", x.path("sales.yaml"))
    exact(t, x)
