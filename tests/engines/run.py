#!/usr/bin/env python3
"""run - `tranche scale` with real engines: run.py [--build DIR] engines|ssh|slurm|NAME...

sshd and Slurm are Debian's, started here with folders, keys and ports of their own on the
loopback interface; no service of this machine is touched. As root: Slurm's daemons want it.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cluster"))

import kit  # noqa: E402
import test_scripts  # noqa: E402,F401
import test_slurm  # noqa: E402,F401
import test_ssh  # noqa: E402,F401

sys.exit(kit.main(sys.argv[1:]))
