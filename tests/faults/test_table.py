"""docs/RELIABILITY.md names a scenario for each fault. They exist."""

import os
import re

import kit
from kit import scenario

FAULTS = 34


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def rows():
    text = text_of(os.path.join(kit.ROOT, "docs", "RELIABILITY.md"))
    faults = text.split("\n## Faults\n")[1].split("\n## ")[0]
    return {int(n): (names, came) for n, names, came in re.findall(r"^\| (\d+) \| [^|]* \| ([^|]*) \| ([^|]*) \|$", faults, re.M)}


@scenario("oracle", "table")
def every_scenario_that_the_page_of_faults_names_exists(t):
    there, listed = kit.names_of_tests(), rows()
    t.equal(list(range(1, FAULTS + 1)), sorted(listed), "the rows of the table")
    for n, (names, came) in listed.items():
        named = re.findall(r"`(\w+)`", names)
        t.equal([], [x for x in named if x not in there], f"fault {n}: names of no scenario")
        t.true(named and came.strip() or "not injected here: " in names, f"fault {n} has a scenario and an outcome, or a reason")
