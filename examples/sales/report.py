"""Daily totals and what is expected, as JSON lines, into a page with a chart for each category.

Rows have page, category, ds, y, low and high; low and high are those of days to come.
"""

import collections
import datetime
import html
import json
import os
import sys

WIDTH, HEIGHT, LEFT, BOTTOM = 860, 220, 70, 24
DAYS_SHOWN = 90
STYLE = """body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse } td, th { padding: .2em 1em; text-align: right; border-bottom: 1px solid #ddd }
td:first-child, th:first-child { text-align: left; padding-left: 0 }
svg { width: 100%; height: auto } text { font-size: 12px; fill: #666 }
.day { fill: #9bb8d3 } .band { fill: #e8833a; opacity: .25 } .line { fill: none; stroke: #e8833a; stroke-width: 2 }
.axis { stroke: #ccc }"""


def money(x):
    return f"{x:,.0f}"


def step(top):
    """Between lines of the scale: 1, 2 or 5 and zeros, four lines at most."""
    size = 1
    while True:
        for n in (1, 2, 5):
            if n * size * 4 >= top:
                return n * size
        size *= 10


def chart(name, rows):
    """Bars for days that were, a line with its band for those that come."""
    last = max(r["day"] for r in rows if r["high"] is None)
    first = last - datetime.timedelta(DAYS_SHOWN - 1)
    rows = [r for r in rows if r["day"] >= first]
    past, ahead = [r for r in rows if r["high"] is None], [r for r in rows if r["high"] is not None]
    days = (max(r["day"] for r in rows) - first).days + 1
    top = max([r["y"] for r in rows] + [r["high"] for r in ahead] + [1])
    wide, tall = (WIDTH - LEFT) / days, HEIGHT - BOTTOM - 10

    def x(day):
        return LEFT + (day - first).days * wide

    def y(value):
        return 10 + tall * (1 - max(value, 0) / top)

    def points(pairs):
        return " ".join(f"{a + wide / 2:.1f},{b:.1f}" for a, b in pairs)

    out = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(name)}">']
    line = 0
    while line <= top:
        out.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH}" y1="{y(line):.1f}" y2="{y(line):.1f}"/>'
                   f'<text x="{LEFT - 8}" y="{y(line) + 4:.1f}" text-anchor="end">{money(line)}</text>')
        line += step(top)
    for day in (first + datetime.timedelta(n) for n in range(days)):
        if day.day == 1:
            out.append(f'<text x="{x(day):.1f}" y="{HEIGHT - 6}">{day:%Y-%m}</text>')
    for r in past:
        out.append(f'<rect class="day" x="{x(r["day"]):.1f}" y="{y(r["y"]):.1f}" width="{wide * 0.8:.1f}" '
                   f'height="{y(0) - y(r["y"]):.1f}"><title>{r["ds"]}: {money(r["y"])}</title></rect>')
    if ahead:
        edge = [(x(r["day"]), y(r["high"])) for r in ahead] + [(x(r["day"]), y(r["low"])) for r in reversed(ahead)]
        out.append(f'<polygon class="band" points="{points(edge)}"/>'
                   f'<polyline class="line" points="{points((x(r["day"]), y(r["y"])) for r in ahead)}"/>')
    return "\n".join([*out, "</svg>"])


def table(categories):
    """What each category sold a year, and what it will in the days ahead."""
    years = sorted({r["ds"][:4] for rows in categories.values() for r in rows if r["high"] is None})
    out = ["<table><tr><th>category</th>" + "".join(f"<th>{y}</th>" for y in years) + "<th>next 30 days</th></tr>"]
    for name, rows in categories.items():
        sums = collections.Counter()
        for r in rows:
            sums[r["ds"][:4] if r["high"] is None else "ahead"] += r["y"]
        cells = "".join(f"<td>{money(sums[y])}</td>" for y in [*years, "ahead"])
        out.append(f"<tr><td>{html.escape(name)}</td>{cells}</tr>")
    return "\n".join([*out, "</table>"])


def page(categories):
    last = max(r["ds"] for rows in categories.values() for r in rows if r["high"] is None)
    charts = "\n".join(f"<h2>{html.escape(name)}</h2>\n{chart(name, rows)}" for name, rows in categories.items())
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Sales until {last}</title>\n'
            f"<style>\n{STYLE}\n</style></head><body>\n<h1>Sales until {last}</h1>\n{table(categories)}\n{charts}\n"
            "<p>Bars: sales of a day. Line: what is expected. Eight of ten days should fall into the band around it.</p>\n"
            "</body></html>\n")


def main():
    categories, file = {}, "report.html"
    for row in map(json.loads, sys.stdin):
        row["day"], file = datetime.date.fromisoformat(row["ds"]), row["page"]
        categories.setdefault(row["category"], []).append(row)
    text = page(categories).encode()
    if "TRANCHE_SAMPLE" not in os.environ:  # while only the columns are asked for, part of the rows is there
        with open(file + ".new", "wb") as f:
            f.write(text)
        os.replace(file + ".new", file)
    print(json.dumps({"page": file, "bytes": len(text), "categories": len(categories)}))


if __name__ == "__main__":
    main()
