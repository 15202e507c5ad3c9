"""charts: figures that a job asks for, in the page of its report."""

import re

from html_page import Page
from kit import scenario


def job(t, charts, load="into: sqlite:wh.db, table: t", rows="2024-01-01,1,a\n2024-01-02,2,a\n2024-01-02,3,b\n"):
    t.write("in.csv", "day,n,g\n" + rows)
    t.write("job.yaml", f"source: {{csv: in.csv}}\nload: {{{load}}}\ncharts: {charts}\n")


def page(t, *args):
    t.run("report", "last", "--html", "r.html", *args)
    with open(t.path("r.html"), encoding="utf-8") as f:
        p = Page(f.read())
    t.equal([], p.faults, "faults of the page")
    return p


@scenario("report", "smoke")
def a_job_has_its_charts_in_its_report(t):
    job(t, "[{title: '<b>Days</b>', x: day, y: n, by: g}, {table: \"t\", x: g, y: [n]}]")
    t.says(t.run("check", "job.yaml"), "job: ok")
    t.run("run", "job.yaml")
    p = page(t)
    t.true("<b>Days</b> 2024-01-01 to 2024-01-02" in p.text and "n of t" in p.text, "titles")
    t.equal(2, len(re.findall(r'class="line k', p.source)), "lines")
    t.equal(2, len(re.findall(r'class="area full" x=', p.source)), "bars")
    t.equal(0, p.tags.get("b", 0), "tags of titles")
    # Other charts are no other job; and they are those of the tables as they are now.
    job(t, "{x: n, y: n}")
    t.says(t.run("run", "job.yaml"), "nothing new")
    t.execute("wh.db", "INSERT INTO t VALUES('2024-01-03', 1000000, 'c')")
    p = page(t)
    t.true("n of t 1 to 1,000,000" in p.text, "title")
    t.equal(1, len(re.findall(r'class="line k', p.source)), "lines")
    t.equal(4, t.one("wh.db", "SELECT count(*) FROM t"), "rows")


@scenario("report")
def charts_that_cannot_be_are_refused_before_the_load(t):
    for charts, says in (
        ("{x: dya, y: n}", "charts.x: the result has no column 'dya'; did you mean 'day'?; it has day, n, g"),
        ("{x: day, y: [n, m]}", "charts.y: the result has no column 'm'"),
        ("{x: day, y: n, by: group}", "charts.by: the result has no column 'group'"),
        ("{x: day, y: n, band: [n, h]}", "charts.band: the result has no column 'h'"),
        ("{x: day, y: g}", "charts.y: 'g' is text, and what is drawn are numbers"),
        ("{x: day, y: n, forecast: t}", "charts.forecast: the result has no column 'ds'"),
        ("{x: day}", "job.yaml:3:1: charts: which column is drawn? e.g. y: sales"),
    ):
        job(t, charts)
        t.says(t.run("check", "job.yaml", want=2), says)
        t.says(t.run("run", "job.yaml", want=2), says)
    t.equal([], t.rows("wh.db", "SELECT name FROM sqlite_schema WHERE name = 't'"), "tables")


@scenario("report")
def what_only_the_warehouse_knows_is_said_in_the_report(t):
    job(t, "[{table: other, x: day, y: n}, {x: day, y: n}]")
    t.run("run", "job.yaml")
    t.true("there is no table other in " + t.path("wh.db") in page(t).text, "no table")
    t.execute("wh.db", "CREATE VIEW other AS SELECT day, g AS n FROM t")
    t.true("3 values are no numbers, and are not drawn; the first is 'a'" in page(t).text, "texts")
    t.execute("wh.db", "DROP TABLE t")
    p = page(t)
    t.true("there is no table t in " in p.text and "the table other cannot be drawn: no such table: main.t" in p.text, p.text[:2000])
