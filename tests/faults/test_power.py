"""The power is cut at any moment of a run (tests/faults/power_cut.py): what was synced is there, of the rest any part. The same
command completes it exactly, and a load that was told to be complete is."""

from kit import scenario
from power_cut import power_cuts


@scenario("power")
def a_power_cut_leaves_a_database_that_the_next_run_completes(t):
    t.true(power_cuts(t, "append", 16, t.seed) > 20, "enough cuts")


@scenario("power")
def a_power_cut_leaves_a_database_in_wal_mode_that_the_next_run_completes(t):
    t.true(power_cuts(t, "append", 24, t.seed, wal=True) > 15, "enough cuts")


@scenario("power")
def a_power_cut_leaves_a_csv_file_that_the_next_run_completes(t):
    t.true(power_cuts(t, "csv", 16, t.seed) > 20, "enough cuts")


@scenario("power")
def a_power_cut_leaves_a_jsonl_file_that_the_next_run_completes(t):
    t.true(power_cuts(t, "new jsonl", 16, t.seed) > 20, "enough cuts")


@scenario("power")
def a_power_cut_leaves_parts_that_the_next_run_completes(t):
    t.true(power_cuts(t, "parts", 16, t.seed) > 20, "enough cuts")


@scenario("power")
def a_power_cut_in_a_replace_leaves_the_old_table_or_the_new_one(t):
    t.true(power_cuts(t, "csv replaced", 20, t.seed) > 20, "enough cuts")
