#!/usr/bin/env python3
"""Accounts as they come out of several systems: 20 files of JSON lines, the same ones each time.

    generate.py [LINES] [FOLDER]      500,000 lines into data/

A line is an account, with the e-mail addresses that it had when it was written:

    {"id": 70, "name": "Emmy Noether", "emails": [{"address": "Emmy.7@example.org", "kind": "home"}, ...],
     "address": {"city": "Łódź", "zip": "00070"}, "updated": "2024-03-01 05:16:40"}

Three lines in ten are about somebody who was there before: older or newer, with capitals and spaces as people type them.
"""

import datetime
import json
import os
import sys

FILES = 20
FIRST = ("Ada", "Blaise", "Carl", "Dorothy", "Emmy", "Grace", "Hypatia", "Paul")
LAST = ("Lovelace", "Pascal", "Gauss", "Hodgkin", "Noether", "Hopper", "O\"Neill", "Erdős", "Turing")
CITIES = ("Berlin", "Łódź", "San José", "Kyoto", "Paris", "Zürich", "New York")
KINDS = ("home", "work", "old")
BEGAN = datetime.datetime(2024, 1, 1)


def mixed(i, salt):
    """A number that looks random and is the same everywhere."""
    x = (i * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03 + 1) & 0xFFFFFFFFFFFFFFFF
    x = (x ^ x >> 31) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    return x ^ x >> 29


def person_of(i):
    """Whom line i is about: somebody new, or whom one of the lines before is about."""
    while i and mixed(i, 2) % 10 < 3:
        i = mixed(i, 1) % i
    return i


def account(i):
    person = person_of(i)
    first, last = FIRST[person % len(FIRST)], LAST[mixed(person, 3) % len(LAST)]
    emails = []
    for n in range((1, 1, 2, 0, 1, 2, 1, 3)[mixed(person, 4) % 8]):
        address = f"{first.lower()}.{person}@{('example.org', 'example.com', 'example.net')[n]}"
        style = mixed(i, 5 + n) % 8
        address = address.title() if style == 0 else address + " " if style == 1 else address
        emails.append({"address": address, "kind": KINDS[mixed(i, 8 + n) % 3]})
    return {"id": i, "name": f"{first} {last}", "emails": emails,
            "address": {"city": CITIES[mixed(i, 11) % len(CITIES)], "zip": f"{i % 100000:05d}"},
            # No two at the same second, as long as there are fewer than this prime.
            "updated": str(BEGAN + datetime.timedelta(seconds=i * 7919 % 15485863))}


def main(lines=500000, folder="data"):
    os.makedirs(folder, exist_ok=True)
    lines = int(lines)
    for n in range(FILES):
        with open(os.path.join(folder, f"accounts-{n:02d}.jsonl"), "w", encoding="utf-8") as f:
            for i in range(lines * n // FILES, lines * (n + 1) // FILES):
                f.write(json.dumps(account(i), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
