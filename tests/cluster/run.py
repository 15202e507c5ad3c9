#!/usr/bin/env python3
"""run - the real programs, end to end: run.py [--build DIR] GROUP|NAME...

Groups: all, smoke (a few, for sanitizer builds), threads (fewer, for TSan), load, types, sql, exec, aggregate, bad, kills,
hosts, http, sources, forecast, pipelines, cache, schedule, plugin, examples, small, ways, serve, pg (PostgreSQL), readme, valgrind,
browser (the server's page in Chromium; not among all),
crashes (kills at every named point of every way to load).
SEED=N replays the random ones; KEEP=1 keeps the folders of those that fail.
"""

import sys

import kit
import test_aggregate  # noqa: F401
import test_bad_input  # noqa: F401
import test_charts  # noqa: F401
import test_crash_points  # noqa: F401
import test_files  # noqa: F401
import test_forecast  # noqa: F401
import test_functions  # noqa: F401
import test_example_accounts  # noqa: F401
import test_example_sales  # noqa: F401
import test_exec  # noqa: F401
import test_examples  # noqa: F401
import test_hosts  # noqa: F401
import test_http  # noqa: F401
import test_install  # noqa: F401
import test_kills  # noqa: F401
import test_load  # noqa: F401
import test_pg_line  # noqa: F401
import test_pg_source  # noqa: F401
import test_pg_table  # noqa: F401
import test_pg_load  # noqa: F401
import test_pg_others  # noqa: F401
import test_pg_faults  # noqa: F401
import test_pg_same  # noqa: F401
import test_plan  # noqa: F401
import test_plugin  # noqa: F401
import test_misbehaviour  # noqa: F401
import test_python  # noqa: F401
import test_readme  # noqa: F401
import test_sandbox  # noqa: F401
import test_serve  # noqa: F401
import test_small_batches  # noqa: F401
import test_sources  # noqa: F401
import test_sql  # noqa: F401
import test_tables  # noqa: F401
import test_tutorial  # noqa: F401
import test_valgrind  # noqa: F401
import test_ways  # noqa: F401
import test_page  # noqa: F401
import test_pipelines  # noqa: F401
import test_cache  # noqa: F401
import test_report  # noqa: F401
import test_schedule  # noqa: F401
import test_web  # noqa: F401

sys.exit(kit.main(sys.argv[1:]))
