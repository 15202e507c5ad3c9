#!/usr/bin/env python3
"""The same as accounts.yaml, as the loop that one would write: plain.py [FOLDER] to standard output."""

import glob
import json
import sys


def main(folder="data"):
    newest = {}
    for name in sorted(glob.glob(f"{folder}/accounts-*.jsonl")):
        with open(name, encoding="utf-8") as f:
            for line in f:
                account = json.loads(line)
                for e in account["emails"]:
                    email = e["address"].strip().lower()
                    known = newest.get(email)
                    if known is None or account["updated"] > known["updated"]:
                        newest[email] = {
                            "email": email, "kind": e["kind"], "id": account["id"], "name": account["name"],
                            "city": account["address"]["city"], "zip": account["address"]["zip"],
                            "updated": account["updated"]}
    for row in newest.values():
        sys.stdout.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    main(*sys.argv[1:])
