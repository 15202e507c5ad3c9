#!/usr/bin/env python3
"""Writes visits.csv: 200,000 days of shops, with the postal code of each and its visitors that day.

The same file each time. A few codes have far more visitors than the rest, as towns do.
"""

import os

ROWS, CODES = 200_000, 2_000
state = 1


def number(below):
    """Of a generator that is the same everywhere (Park and Miller's)."""
    global state
    state = state * 48271 % 2147483647
    return state % below


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "visits.csv"), "w") as f:
    f.write("day,shop,postal_code,visitors\n")
    for i in range(ROWS):
        code = number(CODES)
        busy = 1 + 3000 // (1 + code)  # few are large
        f.write(f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d},{number(9000)},{(code * 4099 + 501) % 100000:05d},{number(40 * busy)}\n")
