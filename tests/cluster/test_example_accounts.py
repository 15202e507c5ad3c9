"""The example accounts: its README for fewer lines, what its data are, and a file that is no JSON."""

import json
import subprocess
import sys

from examples import Example
from kit import scenario

HEAD = "head -n 3 accounts.jsonl"


def accounts(t, lines=4000):
    x = Example(t, "accounts")
    x.change("generate.py", "lines=500000", f"lines={lines}")
    return x


def tidy(address):
    return address.strip().lower()


@scenario("examples", "aggregate")
def accounts_are_the_newest_of_each_address(t):
    x = accounts(t)
    x.follow(but=[HEAD])  # the first of so few are others; the last command compares all with a plain loop
    rows = [json.loads(line) for line in x.read("accounts.jsonl").splitlines()]
    addresses = [r["email"] for r in rows]
    t.equal(sorted(set(addresses)), addresses, "addresses, each once and in order")
    t.equal(list(map(tidy, addresses)), addresses, "addresses are tidy")
    t.true(3000 < len(rows) < 5000, f"{len(rows)} rows")
    x.command("tranche run accounts.yaml")
    t.equal(rows, [json.loads(line) for line in x.read("accounts.jsonl").splitlines()], "rows after a second run")


def generator(x):
    sys.path.insert(0, x.dir)
    try:
        import generate
        return generate
    finally:
        sys.path.remove(x.dir)


@scenario("examples")
def the_first_accounts_of_the_readme_are_the_newest_of_all_500000(t):
    x = Example(t, "accounts")
    made, newest = generator(x), {}
    want = [json.loads(line) for line in x.read("expected.txt").splitlines()]
    people = {made.person_of(row["id"]) for row in want}
    for i in range(500000):
        if made.person_of(i) in people:
            account = made.account(i)
            for e in account["emails"]:
                newest[tidy(e["address"])] = max(newest.get(tidy(e["address"]), ("", 0)), (account["updated"], i))
    t.equal([(r["updated"], r["id"]) for r in want], [newest[r["email"]] for r in want], "time and id")


@scenario("examples")
def the_accounts_are_the_same_each_time_and_three_in_ten_are_known(t):
    x = accounts(t)
    x.command("python3 generate.py && python3 generate.py 4000 again && diff -r data again")
    lines = [json.loads(line) for line in subprocess.check_output("cat data/*", shell=True, cwd=x.dir, text=True).splitlines()]
    t.equal(list(range(4000)), [a["id"] for a in lines], "ids")
    t.equal(4000, len({a["updated"] for a in lines}), "times, no two the same")
    t.equal({0, 1, 2, 3}, {len(a["emails"]) for a in lines}, "addresses of an account")
    first = [tidy(a["emails"][0]["address"]) for a in lines if a["emails"]]
    share = 1 - len(set(first)) / len(first)
    t.true(0.27 < share < 0.33, f"share of addresses that were there before: {share}")


@scenario("examples")
def an_account_that_is_no_json_is_named_and_nothing_is_written(t):
    x = accounts(t)
    x.command("python3 generate.py")
    with open(x.path("data", "accounts-07.jsonl"), "a") as f:
        f.write('{"id": 1, "emails": [\n')
    done = x.command("tranche run accounts.yaml", want=4)
    t.says(done, "accounts-07.jsonl")
    x.command("test ! -e accounts.jsonl")
