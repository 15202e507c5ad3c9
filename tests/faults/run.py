#!/usr/bin/env python3
"""run - the real programs, and everything that can break under them: run.py [--build DIR] all|GROUP|NAME...

Groups: calls (the n-th call of libc fails), power (the power is cut), limits (full disks, few descriptors, little memory, clocks,
two coordinators), oracle (does it find what is wrong), proxy (messages that are lost, doubled, late, damaged), storm (random faults).
SEED=N replays the random ones; KEEP=1 keeps the folders of those that fail. The build must have TEST_HOOKS.
Long versions by hand: sweep.py, power_cut.py, kill_points and storm, each with --help.
"""

import glob
import importlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "cluster")]

import kit  # noqa: E402
import roomy  # noqa: E402,F401

for path in sorted(glob.glob(os.path.join(HERE, "test_*.py"))):
    importlib.import_module(os.path.basename(path)[:-3])
# Those whose helpers they use came along; tests/cluster runs them.
kit.SCENARIOS[:] = [s for s in kit.SCENARIOS if os.path.dirname(os.path.abspath(s[2].__code__.co_filename)) == HERE]

if __name__ == "__main__":
    sys.exit(kit.main(sys.argv[1:] or ["all"]))
