"""How many primes there are in each thousand of numbers from a hundred million on, found the slow way."""

import csv
import os
import sys

START, WIDTH = 100_000_000, 1_000


def is_prime(n):
    return n % 2 == 1 and all(n % d for d in range(3, int(n ** 0.5) + 1, 2))


rows = list(csv.DictReader(sys.stdin))
if os.environ.get("TRANCHE_SAMPLE"):  # it is only asked for its columns
    rows = rows[:1]
out = csv.writer(sys.stdout, lineterminator="\n")
out.writerow(["i", "primes"])
for row in rows:
    begin = START + WIDTH * int(row["i"])
    out.writerow([row["i"], sum(map(is_prime, range(begin, begin + WIDTH)))])
