"""Three worker hosts and what goes wrong between them and the coordinator.

Protocol time runs SCALE times as fast (a silence of 12 s is one of 2.4 s), but where a
scenario measures what users get.
"""

import glob
import os
import signal
import subprocess
import time

from hosts import DEADLINE, Hosts
from kit import Failed, scenario

SCALE = 5
SILENCE = 12.0


def all_work_again(n):
    for w in n.names:
        n.commits(3, worker=w)


@scenario("links")
def a_run_is_spread_over_three_hosts(t):
    n = Hosts(t)
    n.start()
    all_work_again(n)
    n.ends()
    t.equal(set(n.names), n.workers(), "who worked")
    for w in n.worker.values():
        w.ends(0)


@scenario("links")
def a_file_that_only_the_coordinator_sees_is_sent_to_three_hosts(t):
    n = Hosts(t)
    numbers(t, 60000)
    for w in n.names:
        n.key(w)
    n.coordinate("--min-workers", "3", csv="data/k.csv")  # else two may be done before the third is here
    for w in n.names:
        n.work(w)
    n.ends(60000)
    t.equal(set(n.names), n.workers(), "who worked")


def cut_and_heal(t, *hooks):
    n = Hosts(t, scale=SCALE)
    n.start()
    n.cut("w1", *hooks)
    began = time.monotonic()
    n.c.when("worker w1 has said nothing", after=began)
    n.commits(20)
    t.true(n.heal("w1") > 0, "nothing was dropped")
    n.c.when("worker w1 is here", after=began)
    all_work_again(n)
    n.ends()


@scenario("links")
def a_cable_is_cut_and_plugged_in_again(t):
    cut_and_heal(t, "input", "output")


@scenario("links")
def a_host_no_longer_hears_and_then_does(t):
    cut_and_heal(t, "input")


@scenario("links")
def a_host_is_no_longer_heard_and_then_is(t):
    cut_and_heal(t, "output")


@scenario("links")
def a_short_cut_of_all_hosts_costs_nothing_but_time(t):
    n = Hosts(t)
    n.start()
    for w in n.names:
        n.cut(w)
    time.sleep(1)  # far less than a silence, also when it takes long to heal, and TCP has begun to wait longer and longer
    for w in n.names:
        t.true(n.heal(w) > 0, "nothing was dropped")
    all_work_again(n)
    last = n.ends()
    t.equal(3, last["workers"], f"sessions\n{n.everything()}\n")


@scenario("links")
def all_hosts_are_cut_off_for_two_silences(t):
    n = Hosts(t, scale=SCALE)
    n.start()
    began = time.monotonic()
    for w in n.names:
        n.cut(w)
    time.sleep(2 * SILENCE / SCALE)
    for w in n.names:
        n.heal(w)
    for w in n.names:
        n.c.when(f"worker {w} is here", after=began)
    all_work_again(n)
    n.ends()


@scenario("links")
def a_cable_has_a_loose_contact(t):
    n = Hosts(t, scale=SCALE)
    n.start()
    for i in range(8):
        w = t.random.choice(n.names)
        hooks = t.random.choice([("input",), ("output",), ("input", "output")])
        n.cut(w, *hooks)
        time.sleep(t.random.uniform(0.1, 1.3 * SILENCE / SCALE))  # random moments are the point
        n.heal(w)
    all_work_again(n)
    n.ends()


@scenario("links")
def one_packet_in_ten_is_lost(t):
    n = Hosts(t, scale=SCALE)
    n.start()
    for w in n.names:
        n.lose(w, 10)
    all_work_again(n)
    time.sleep(SILENCE / SCALE)
    n.commits(100)
    n.ends()
    for w in n.names:
        t.true(n.dropped(w, "loss_input") > 5 and n.dropped(w, "loss_output") > 5, "no packet was lost")


@scenario("links")
def one_host_has_a_line_of_a_megabit(t):
    n = Hosts(t, scale=SCALE)
    n.start(rate=60000)
    n.narrow("w1", "1mbit")
    n.commits(200)
    time.sleep(2 * SILENCE / SCALE)
    t.true("has said nothing" not in n.c.text, f"a slow host was taken for a dead one\n{n.c}")
    t.true(max(n.delayed("w1")) > 0, f"nothing was held back: {n.delayed('w1')}")
    n.ends()


@scenario("links")
def the_only_host_has_a_line_of_a_megabit(t):
    n = Hosts(t, workers=1)
    rows = 30000
    t.write("data/k.csv", "id,h\n" + "".join(f"{i},{(i * 2654435761) % 4294967296}\n" for i in range(rows)))
    n.key("w1")
    n.narrow("w1", "1mbit")
    n.coordinate(csv="data/k.csv", batch="256KiB", sql="SELECT id, h FROM batch")
    n.work("w1")
    n.ends(rows)
    t.true(min(n.delayed("w1")) > 0, f"nothing was held back: {n.delayed('w1')}")


def compressible(t, rows):
    t.write("data/k.csv", "id,h,words\n" + "".join(
        f"{i},{(i * 2654435761) % 4294967296},\"the same words in each of them, or nearly: {i % 7}\"\n" for i in range(rows)))
    return os.path.getsize(t.path("data", "k.csv"))


@scenario("links")
def a_slow_line_carries_packed_batches_down_and_packed_results_up(t):
    n = Hosts(t, workers=1)
    rows = 200000
    size = compressible(t, rows)
    n.key("w1")
    n.narrow("w1", "20mbit")
    n.coordinate(csv="data/k.csv", batch="128KiB", sql="SELECT id, h, words FROM batch")
    n.work("w1")
    n.ends(rows)
    down, up = n.carried("w1")
    t.true(0 < down < size * 0.6, f"{down} bytes went down, of a file of {size}")
    t.true(0 < up < size * 0.6, f"{up} bytes came up, of a file of {size}")


@scenario("links")
def hosts_that_pack_and_hosts_that_do_not_share_a_run(t):
    n = Hosts(t)
    rows = 200000
    compressible(t, rows)
    for w in n.names:
        n.key(w)
    n.coordinate("--min-workers", "3", csv="data/k.csv", batch="16KiB", sql="SELECT id, h, words FROM batch")
    n.work("w1", env={"TRANCHE_PACK": "always"})
    n.work("w2", env={"TRANCHE_PACK": "never"})
    n.work("w3")
    n.ends(rows)
    t.equal(set(n.names), n.workers(), "who worked")


@scenario("links")
def messages_that_take_longer_than_a_silence_and_a_lease(t):
    """A silence is 2.4 s and a lease 6 s; a batch takes 4 s down, the next one as much, and a result 4 s up."""
    n = Hosts(t, workers=1, scale=SCALE)
    n.env["TRANCHE_PACK"] = "never"  # so that they stay long
    rows, wide = 27000, 40
    t.write("data/k.csv", "id,h,x\n" + "".join(
        f"{i},{(i * 2654435761) % 4294967296},{t.random.getrandbits(wide * 4):0{wide}x}\n" for i in range(rows)))
    n.key("w1")
    n.narrow("w1", "1mbit")
    n.coordinate(csv="data/k.csv", batch="512KiB", sql="SELECT id, h, x FROM batch")
    n.work("w1")
    last = n.ends(rows)
    t.true("has said nothing" not in n.c.text, f"a slow host was taken for a dead one\n{n.c}")
    t.equal(0, last["retries"], f"batches that were sent twice\n{n.everything()}\n")
    t.equal(1, last["workers"], f"sessions\n{n.everything()}\n")


def clock_off(by):
    """The environment of a program whose clock is off, for people; time passes as ever."""
    lib = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not lib:
        raise Failed("libfaketime is not there: see packages_net in packaging/packages.sh")
    return {"LD_PRELOAD": lib[0], "FAKETIME": by, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@scenario("links")
def the_clocks_of_the_hosts_are_years_apart(t):
    n = Hosts(t, scale=SCALE)
    for w in n.names:
        n.key(w)
    n.coordinate()
    for w, by in zip(n.names, ("+365d", "-365d", "+0d")):
        n.work(w, env=clock_off(by))
        n.c.when(f"worker {w} is here")
    now = subprocess.run(["date", "+%Y"], env=dict(os.environ, **clock_off("-365d")), capture_output=True, text=True)
    t.true(int(now.stdout) < time.localtime().tm_year, f"this clock is right: {now.stdout}{now.stderr}")
    n.commits(20)
    time.sleep(1.5 * SILENCE / SCALE)
    all_work_again(n)
    last = n.ends()
    t.equal(3, last["workers"], f"sessions\n{n.everything()}\n")


@scenario("links")
def the_coordinator_stands_still_for_a_minute(t):
    n = Hosts(t, scale=10)
    n.start()
    n.c.signal(signal.SIGSTOP)
    time.sleep(60 / 10)
    n.c.signal(signal.SIGCONT)
    all_work_again(n)
    n.ends()


@scenario("links")
def the_coordinators_host_is_cut_off_and_starts_again(t):
    """Its workers' connections are half open: nobody ever told them that the other end is gone."""
    n = Hosts(t, scale=SCALE)
    n.start()
    n.cut("c")
    n.c.kill()
    first = n.feed
    first.finish()
    time.sleep(0.5 * SILENCE / SCALE)  # not yet missed
    n.heal("c")
    n.coordinate()
    for w in n.names:
        n.c.when(f"worker {w} is here")
    t.wait_until(lambda: n.feed.rows > first.rows, "the input is as far as it was")
    all_work_again(n)
    n.ends()


def has_work(t, n, worker):
    """It stands still, so that it keeps what it was given."""
    n.worker[worker].signal(signal.SIGSTOP)
    t.wait_until(lambda: n.leased(worker), "it was given a batch")


@scenario("links")
def a_host_vanishes_without_a_word(t):
    n = Hosts(t)
    n.start()
    has_work(t, n, "w1")
    began = time.monotonic()
    n.cut("w1")
    n.worker["w1"].kill()  # its kernel says so, but nobody hears
    at = n.c.when("worker w1 has said nothing")
    lost = recovery(t, n, "w1", began, at)
    print(f"        a host vanishes: missed after {at - began:.1f} s; {lost}")
    n.ends()


@scenario("links")
def a_worker_is_killed(t):
    n = Hosts(t)
    n.start()
    has_work(t, n, "w1")
    began = time.monotonic()
    n.worker["w1"].kill()
    at = n.c.when("worker w1 is gone")
    lost = recovery(t, n, "w1", began, at)
    print(f"        a worker is killed: missed after {at - began:.2f} s; {lost}")
    n.ends()


def recovery(t, n, worker, began, missed):
    """All that the worker had is committed by others. How soon on a calm machine: bench/recovery."""
    had = n.leased(worker)
    while n.unfinished(had):
        t.true(time.monotonic() - began < DEADLINE, f"{DEADLINE} s later there is not yet {n.unfinished(had)}\n{n.everything()}")
        time.sleep(0.01)
    done = time.monotonic()
    batches = sum(x[2] for x in had)
    t.true(batches > 0, "it had nothing")
    return f"its {batches} batches are committed after {done - began:.1f} s"


def numbers(t, rows, path="data/k.csv"):
    t.write(path, "id,h\n" + "".join(f"{i},{(i * 2654435761) % 4294967296}\n" for i in range(rows)))
    return os.path.getsize(t.path(path))


def load_by_one_host(t, rows, *csv, **see):
    """One worker host, which sees of the data what it is told to. The bytes that went down."""
    n = Hosts(t, workers=1)
    n.key("w1")
    more = [x for c in csv[1:] for x in ("--csv", c)]
    n.coordinate(*more, csv=csv[0], batch="16KiB", sql="SELECT id, h FROM batch")
    n.work("w1", **see)
    last = n.ends(rows)
    t.equal(0, last["retries"], f"retries\n{n.everything()}\n")
    return n.carried("w1")[0]


@scenario("links")
def a_shared_file_system_is_read_by_path(t):
    size = numbers(t, 60000)
    down = load_by_one_host(t, 60000, "data/k.csv", hide=False)
    t.true(down < size / 4, f"{down} bytes went down, of a file of {size}")


@scenario("links")
def a_container_of_the_same_host_reads_what_is_mounted_there(t):
    size = numbers(t, 60000)
    down = load_by_one_host(t, 60000, "data/k.csv", hide=False, reboot=False)
    t.true(down < size / 4, f"{down} bytes went down, of a file of {size}")


@scenario("links")
def a_container_of_the_same_host_that_does_not_see_the_file_gets_bytes(t):
    size = numbers(t, 60000)
    down = load_by_one_host(t, 60000, "data/k.csv", reboot=False)
    t.true(down > size / 4, f"{down} bytes went down, of a file of {size}")


@scenario("links")
def a_file_that_only_looks_the_same_is_not_believed(t):
    """Same path, size and time, but every h is another one: digests tell, and nobody is blamed."""
    size = numbers(t, 60000)
    other = t.path("other.csv")
    with open(t.path("data/k.csv"), "rb") as f, open(other, "wb") as g:
        g.write(bytes(b ^ 1 if chr(b) in "0123456789" else b for b in f.read()))
    st = os.stat(t.path("data/k.csv"))
    os.utime(other, ns=(st.st_atime_ns, st.st_mtime_ns))
    t.equal(size, os.path.getsize(other), "bytes")
    down = load_by_one_host(t, 60000, "data/k.csv", hide=False, instead={"data/k.csv": other})
    t.true(down > size / 4, f"{down} bytes went down, of a file of {size}")


@scenario("links")
def one_of_two_files_is_not_there(t):
    numbers(t, 30000, "data/k.csv")
    t.write("data/l.csv", "id,h\n" + "".join(f"{i},{(i * 2654435761) % 4294967296}\n" for i in range(30000, 60000)))
    load_by_one_host(t, 60000, "data/k.csv", "data/l.csv", hide=False, instead={"data/l.csv": "/dev/null"})
