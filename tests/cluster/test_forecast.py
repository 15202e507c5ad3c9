"""`forecast`: series of a database into their future, loaded like any other rows."""

import datetime
import math
import sqlite3

from kit import scenario

START, DAYS = datetime.date(2018, 1, 1), 800
ORDERED = "SELECT region, shop, ds, y FROM sales ORDER BY region, shop, ds"


def value(shop, day):
    """What a shop sells on the n-th day: a line, and a week that ends at half price."""
    weekday = (START + datetime.timedelta(day)).weekday()
    return 100 * shop + 0.5 * day + (20 if weekday < 5 else -50) + 0.5 * math.sin(day * 12.9898 + shop)


def database(t, shops=24):
    con = sqlite3.connect(t.path("s.db"))
    con.execute("CREATE TABLE sales(region TEXT, shop INT, ds DATE, y REAL)")
    con.executemany("INSERT INTO sales VALUES(?, ?, ?, ?)", (
        (f"region {shop // 4}", shop, str(START + datetime.timedelta(day)), value(shop, day))
        for shop in range(shops) for day in range(DAYS) if (day * 7 + shop) % 13 or day == DAYS - 1))
    con.commit()
    con.close()


def forecast(t, table, *more, query=ORDERED, periods=30, by="region,shop", want=0):
    return t.run("run", "--sqlite", "s.db", "--query", query, "--batch-by", "region", "--forecast", periods, "--forecast-by", by,
                 *more, "--into", "sqlite:wh.db", "--table", table, "--output", "json", want=want)


@scenario("forecast", "smoke", "threads")
def each_series_goes_on(t):
    database(t)
    r = forecast(t, "f").json
    t.equal((24 * 30, 24 * 30), (r["rows_emitted"], r["rows_loaded"]), "rows")
    rows = t.rows("wh.db", "SELECT region, shop, ds, yhat, yhat_lower, yhat_upper FROM f ORDER BY rowid")
    t.equal([(f"region {s // 4}", s, str(START + datetime.timedelta(DAYS + i))) for s in range(24) for i in range(30)],
            [row[:3] for row in rows], "series and dates")
    for i, (_, shop, _, yhat, lower, upper) in enumerate(rows):
        want = value(shop, DAYS + i % 30)
        t.true(abs(yhat - want) < 3 and lower < yhat < upper, f"{rows[i]}: wanted {want}")


@scenario("forecast")
def the_numbers_depend_on_nothing_but_the_series(t):
    database(t)
    forecast(t, "a", "-j", "1")
    forecast(t, "b", "-j", "4", "--batch-rows", "1")
    forecast(t, "c", "--batch-bytes", "1MiB", query=ORDERED.replace("BY region, shop", "BY region, shop DESC"))
    a = t.rows("wh.db", "SELECT * FROM a ORDER BY shop, ds")
    for other in "bc":
        t.equal(a, t.rows("wh.db", f"SELECT * FROM {other} ORDER BY shop, ds"), f"table {other}")


@scenario("forecast")
def what_sql_makes_of_a_batch_can_be_foretold(t):
    database(t)
    t.run("run", "--sqlite", "s.db", "--query", "SELECT * FROM sales ORDER BY region", "--batch-by", "region", "--sql",
          "SELECT region AS r, date(ds, 'start of month') AS month, sum(y) AS total FROM batch GROUP BY 1, 2 ORDER BY 1, 2",
          "--forecast", "3", "--forecast-by", "r", "--forecast-ds", "month", "--forecast-y", "total", "--forecast-every", "month",
          "--into", "sqlite:wh.db", "--table", "f")
    t.equal([(f"region {i}", f"2020-0{m}-01") for i in range(6) for m in (4, 5, 6)], t.rows("wh.db", "SELECT r, ds FROM f"), "rows")


@scenario("forecast")
def what_cannot_be_foretold_is_among_the_rejects(t):
    database(t, 8)
    con = sqlite3.connect(t.path("s.db"))
    con.executescript("INSERT INTO sales VALUES('region 0', 99, '2018-01-01', 1), ('region 0', 0, '2018-05-05', 'NaN'),"
                      "('region 1', 98, '2018-01-01', 1), ('region 1', 98, '2018-01-01', 2);")
    con.close()
    r = forecast(t, "f", "--bad-rows", "5", query=ORDERED + ", rowid", want=3).json
    t.equal(4, r["rows_rejected"], "rejected rows")
    t.equal([("ds", "2018-01-01 comes after 2018-01-01: a series has one row a date: sum them up first", 2),
             ("ds", "a series of 1 value: two are the least", 1), ("y", "'NaN' is no number", 1)],
            t.rows("wh.db", 'SELECT "column", reason, count(*) FROM f_rejects GROUP BY 1, 2 ORDER BY 1, 2'), "rejects")
    t.equal([(shop, 30) for shop in range(8)], t.rows("wh.db", "SELECT shop, count(*) FROM f GROUP BY 1 ORDER BY 1"), "series")
    r = t.run("run", "--sqlite", "s.db", "--query", ORDERED, "--batch-by", "region", "--forecast", "3", "--forecast-ds", "day",
              "--into", "null:", want=2)
    t.says(r, "--forecast: no column 'day'; there are region, shop, ds, y")
