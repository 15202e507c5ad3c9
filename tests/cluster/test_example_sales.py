"""The example sales: its README as written, and what a day more costs."""

import collections
import csv
import datetime
import glob
import html.parser
import importlib.util
import json
import math
import os
import shutil
import sys

from examples import Example
from kit import ROOT, scenario

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


class Page(html.parser.HTMLParser):
    """The cells of its table, how many of which element it has, and whether each is closed."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.count, self.open, self.text = [], collections.Counter(), [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.count[tag] += 1
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])

    def handle_startendtag(self, tag, attrs):
        self.count[tag] += 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1].append(data)


def page_of(t, text):
    page = Page(text)
    t.equal([], page.open, "elements that are not closed")
    return page


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

    text = x.read("report.html")
    page, years = page_of(t, text), sorted({ds[:4] for ds, _ in want})
    t.equal([["category", *years, "next 30 days"]] +
            [[name, *(f"{math.fsum(got[k][0] for k in got if k[1] == name and k[0][:4] == y):,.0f}" for y in years),
              f"{ahead[name]:,.0f}"] for name in sorted(ahead)], page.cells, "the table of the page")
    t.equal((3, 3, 3), (page.count["svg"], page.count["polygon"], page.count["polyline"]), "charts, bands and lines")
    t.equal([("report.html", len(text.encode()), 3)], x.rows("sales.db", "SELECT page, bytes, categories FROM report"),
            "what is said of the page")


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
    t.equal({"loaded"}, set(states.values()), "the forecast and the page are made anew")
    exact(t, x)

    was = os.stat(x.path("report.html")).st_mtime_ns
    ran, states = lines_of(x.command("tranche run sales.yaml --output json"))
    t.equal({"orders": "skipped", "totals": "loaded", "forecast": "skipped", "report": "skipped"}, states, "without new orders")
    t.equal(0, ran["totals"]["rows_read"], "totals that are read")
    t.equal(was, os.stat(x.path("report.html")).st_mtime_ns, "the page is left alone")
    t.leaves_nothing()


@scenario("examples", "pipelines", "forecast")
def the_readme_of_sales_does_what_it_says(t):
    x = Example(t, "sales")
    again, check, install = x.follow()[-3:]
    t.says(again, "orders: 7 rows into", "totals: 3 rows into", "rows read                 3 = parsed 3")
    t.says(check, "schedule weekly: due next at ")
    t.says(install, "0 0 * * 1 ", x.path("sales.yaml"))
    exact(t, x)


def report_module():
    spec = importlib.util.spec_from_file_location("report", os.path.join(ROOT, "examples", "sales", "report.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@scenario("examples")
def names_of_categories_cannot_write_into_the_page(t):
    x = Example(t, "sales")
    shutil.copy(x.path("report.py"), t.path("report.py"))
    evil = '"><script>alert(1)</script>&amp;\''
    rows = [{"page": "report.html", "category": evil, "ds": f"2024-01-{d:02d}", "y": v, "low": low, "high": high}
            for d, v, low, high in ((1, 10, None, None), (2, -5, None, None), (3, 7, -20, 30.5))]
    x.t.write("in.jsonl", "".join(json.dumps(r) + "\n" for r in rows))
    x.command(f"{sys.executable} report.py < {t.path('in.jsonl')}")
    text = x.read("report.html")
    page = page_of(t, text)
    t.equal(0, page.count["script"], "scripts")
    t.true(page.text.count(evil) == 2 and "<script" not in text, "the name stands there as it is")
    t.equal([evil, "5", "7"], page.cells[1], "its row of the table")
    x.command(f"rm report.html && TRANCHE_SAMPLE=1 {sys.executable} report.py < {t.path('in.jsonl')} && test ! -e report.html")


@scenario("examples")
def the_scale_of_a_chart_has_a_few_round_numbers(t):
    step = report_module().step
    for top in (1, 3, 4, 5, 7.5, 99, 1000, 12345.6, 8e9):
        t.true(1 <= top // step(top) <= 4 or step(top) == 1, f"{top}: {step(top)}")
