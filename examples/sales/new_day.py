#!/usr/bin/env python3
"""The orders of one more day: those of the last day that is there, once more, a day later.

    new_day.py       writes orders-DAY.csv
"""

import csv
import datetime
import glob


def main():
    orders = []
    for name in glob.glob("orders-*.csv"):
        with open(name, encoding="utf-8", newline="") as f:
            orders += csv.DictReader(f)
    last = max(o["Order Date"] for o in orders)
    day = str(datetime.date.fromisoformat(last) + datetime.timedelta(1))
    number = max(int(o["Row ID"]) for o in orders)
    with open(f"orders-{day}.csv", "w", encoding="utf-8", newline="") as f:
        out = csv.DictWriter(f, list(orders[0]), lineterminator="\n")
        out.writeheader()
        for n, o in enumerate((o for o in orders if o["Order Date"] == last), number + 1):
            out.writerow({**o, "Row ID": n, "Order Date": day})


if __name__ == "__main__":
    main()
