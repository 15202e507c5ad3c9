#!/usr/bin/env python3
"""run - hosts in network namespaces: run.py [--build DIR] all|GROUP|NAME...

Group: links (what goes wrong between hosts). As root only. The build must have TEST_HOOKS.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cluster"))

import hosts  # noqa: E402
import kit  # noqa: E402
import test_links  # noqa: E402,F401

if os.geteuid() != 0:
    sys.exit("network namespaces are for root: run this as root")
hosts.remove_leftovers()
sys.exit(kit.main(sys.argv[1:] or ["all"]))
