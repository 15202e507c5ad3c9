"""For each customer the first day of an order, and the most days between two of them."""

import csv
import datetime
import itertools
import sys

out = csv.writer(sys.stdout, lineterminator="\n")
out.writerow(["customer", "first_day", "longest_gap"])
for customer, rows in itertools.groupby(csv.DictReader(sys.stdin), lambda row: row["customer"]):
    days = [datetime.date.fromisoformat(row["day"]) for row in rows]
    gaps = [(b - a).days for a, b in zip(days, days[1:])]
    out.writerow([customer, days[0], max(gaps, default=None)])
