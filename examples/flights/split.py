#!/usr/bin/env python3
"""Makes ten files flights-0.csv to flights-9.csv of one: split.py [FLIGHTS.csv]

Without a name: of the 49,999 flights in ../data. The delay of every fortieth flight is left out, as if nobody had
written it down.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FILES, LOST = 10, 40


def without_delay(line, at):
    fields = line.rstrip("\r\n").split(",")
    fields[at] = ""
    return ",".join(fields) + "\n"


source = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", "data", "flights-slice.csv")
with open(source) as f:
    rows = sum(1 for _ in f) - 1
with open(source) as f:
    header = next(f)
    delay = header.rstrip("\r\n").split(",").index("delay")
    for k in range(FILES):
        with open(os.path.join(HERE, f"flights-{k}.csv"), "w") as out:
            out.write(header)
            for i in range(rows * k // FILES, rows * (k + 1) // FILES):
                line = next(f)
                out.write(without_delay(line, delay) if i % LOST == 0 else line)
