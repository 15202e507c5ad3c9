"""Calls into the C library that fail: what the next run of the same command leaves is exact. tests/faults/sweep.py tries all of
them; here it is every so many, another part each time."""

from fault import Fault
from kit import scenario
from sweep import DONE, WAYS, same, start_over, sweep

DISK = ("pread", "pwrite", "fsync", "fdatasync", "ftruncate", "open", "rename", "unlink")


def disk_fails(t, way, error, step):
    fired = sum(sweep(t, way, "coordinator", call, error, step) for call in DISK)
    t.true(fired > 0, "something failed")


@scenario("calls")
def a_disk_that_fails_at_any_call_leaves_a_database_that_the_next_run_completes(t):
    disk_fails(t, "append", "EIO", 10)


@scenario("calls")
def a_disk_that_fails_at_any_call_leaves_a_csv_file_that_the_next_run_completes(t):
    disk_fails(t, "csv replaced", "EIO", 25)


@scenario("calls")
def a_disk_that_fails_at_any_call_leaves_a_jsonl_file_that_the_next_run_completes(t):
    disk_fails(t, "new jsonl", "EIO", 50)


@scenario("calls")
def a_disk_that_fails_at_any_call_leaves_parts_that_the_next_run_completes(t):
    disk_fails(t, "parts", "EIO", 40)


@scenario("calls")
def a_disk_that_is_full_at_any_call_is_waited_for_or_ends_the_run(t):
    fired = sum(sweep(t, "append", "coordinator", call, "ENOSPC", 25) for call in ("pwrite", "open", "fdatasync", "ftruncate"))
    t.true(fired > 0, "something failed")


@scenario("calls")
def whatever_memory_the_coordinator_lacks_it_ends_with_a_sentence(t):
    t.true(sweep(t, "append", "coordinator", "malloc", "ENOMEM", 30) > 0, "something failed")
    t.true(sweep(t, "csv aggregated", "coordinator", "malloc", "ENOMEM", 120) > 0, "something failed")


@scenario("calls")
def whatever_memory_a_worker_lacks_the_run_is_exact(t):
    t.true(sweep(t, "append", "worker", "malloc", "ENOMEM", 4) > 0, "something failed")


@scenario("calls")
def whatever_memory_a_runner_lacks_the_run_is_exact(t):
    t.true(sweep(t, "aggregate", "runner", "malloc", "ENOMEM", 3) > 0, "something failed")


@scenario("calls")
def a_worker_or_runner_whose_files_and_mappings_fail_spoils_nothing(t):
    fired = sum(sweep(t, "append", role, call, error) for role, call, error in (
        ("worker", "mmap", "ENOMEM"), ("worker", "ftruncate", "ENOSPC"), ("runner", "pread", "EIO"), ("runner", "mmap", "ENOMEM"),
        ("runner", "open", "EIO")))
    t.true(fired > 5, f"calls failed: {fired}")


def goes_on(t, way, role, what, **how):
    """These faults nobody notices."""
    way = WAYS[way]
    start_over(t, way)
    t.run(*way.command(way.args), want=DONE)
    want = way.look(t)
    start_over(t, way)
    f = Fault(t, role=role, **how)
    t.run(*way.command(way.args), want=DONE, env=f.env)
    same(t, want, way.look(t), what)
    t.true("died" not in f.text, f.text)
    return f


@scenario("calls")
def writes_and_reads_that_do_half_are_continued(t):
    for way in ("append", "csv", "parts"):
        for role, call in [("coordinator", c) for c in ("read", "pread", "pwrite")] + [("runner", "pread"), ("worker", "write")]:
            f = goes_on(t, way, role, f"half of each {call}", call=call, every=1, error="SHORT")
            t.true(f.fired > 0, f"{call} of the {role} was called")


@scenario("calls")
def every_second_call_is_interrupted(t):
    for way in ("append", "csv"):
        for role, call in [("coordinator", c) for c in ("read", "pread", "write", "pwrite")] + [("worker", "read"), ("runner", "pread")]:
            goes_on(t, way, role, f"{call} interrupted", call=call, every=2, error="EINTR")


@scenario("calls")
def a_storm_of_signals_disturbs_nobody(t):
    for way in ("append", "csv"):
        for role in ("coordinator", "worker", "runner"):
            goes_on(t, way, role, f"signals to the {role}", storm=200)


@scenario("calls")
def a_clock_that_is_a_year_off_changes_nothing(t):
    for year in (-1, 1):
        for role in ("coordinator", "worker", "runner"):
            goes_on(t, "append", role, f"clock of the {role} {year} year off", clock=year * 365 * 86400)


@scenario("calls", "pg")
def whatever_fails_on_the_way_into_postgresql_the_next_run_completes_it(t):
    fired = sum(sweep(t, "postgres", "coordinator", call, error, step) for call, error, step in (
        ("malloc", "ENOMEM", 70), ("read", "EIO", 1), ("pread", "EIO", 4), ("pwrite", "EIO", 12), ("open", "EIO", 6)))
    t.true(fired > 0, "something failed")
