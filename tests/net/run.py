#!/usr/bin/env python3
"""run - hosts in network namespaces: run.py [--build DIR] all|GROUP|NAME...

Groups: links (what goes wrong between hosts), liars (workers that lie), strangers (who should not get in). As root only. The build must have TEST_HOOKS.
"""

import os
import signal
import sys
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cluster"))

import hosts  # noqa: E402
import kit  # noqa: E402
import test_liars  # noqa: E402,F401
import test_links  # noqa: E402,F401
import test_strangers  # noqa: E402,F401

SECONDS = 480


def limited(fn):
    """A scenario that hangs must not hide the others, and says where it hung."""
    def too_long(*_):
        raise kit.Failed(f"not over after {SECONDS} s\n{traceback.format_stack()[-2]}")

    def run(t):
        signal.signal(signal.SIGALRM, too_long)
        signal.alarm(SECONDS)
        try:
            fn(t)
        finally:
            signal.alarm(0)
    return run


if os.geteuid() != 0:
    sys.exit("network namespaces are for root: run this as root")
signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # what was built is removed
hosts.remove_leftovers()
kit.SCENARIOS[:] = [(name, groups, limited(fn)) for name, groups, fn in kit.SCENARIOS]
sys.exit(kit.main(sys.argv[1:] or ["all"]))
