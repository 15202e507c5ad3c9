#!/usr/bin/env python3
"""lines - what packing gains on slow lines: lines.py [--build DIR] CSV...

One coordinator, one worker host, a line of so many bits a second in each direction (tbf); each file is
loaded as it is, first with plain payloads, then as measured. As root; the build must have TEST_HOOKS.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cluster"))

import hosts  # noqa: E402
import kit  # noqa: E402


def load(build, rate, path, mode):
    t = kit.Case("lines", build, 1)
    n = hosts.Hosts(t, workers=1)
    try:
        if mode:
            n.env["TRANCHE_PACK"] = mode
        n.env["TRANCHE_TIME_SCALE"] = "1"
        os.link(path, t.path("data/in.csv")) if os.stat(path).st_dev == os.stat(t.path("data")).st_dev \
            else shutil.copy(path, t.path("data/in.csv"))
        n.key("w1")
        if rate:
            n.narrow("w1", rate, burst="256kb")
        n.coordinate(csv="data/in.csv", batch="1MiB", sql=None)
        w = n.work("w1")
        n.c.when("worker w1 is here")
        began = time.monotonic()
        n.c.p.wait(600)
        took = time.monotonic() - began
        n.c.ends(0)
        down, up = n.carried("w1")
        w.ends(0)
        return took, down, up
    finally:
        t.close()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default="build/dev")
    p.add_argument("--rates", default="100mbit,1gbit,")
    p.add_argument("csv", nargs="+")
    a = p.parse_args()
    print(f"{'file':20} {'line':8} {'payloads':9} {'seconds':>8} {'MB down':>8} {'MB up':>8}")
    for path in a.csv:
        for rate in a.rates.split(","):
            for mode in ("never", None):
                took, down, up = load(os.path.abspath(a.build), rate, path, mode)
                print(f"{os.path.basename(path):20} {rate or 'veth':8} {'plain' if mode else 'measured':9} {took:8.2f} "
                      f"{down / 1e6:8.1f} {up / 1e6:8.1f}", flush=True)


main()
