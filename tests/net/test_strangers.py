"""Who should not get in, at the port while a run goes on: it ends exactly, and says whom it refused."""

import os
import signal
import time

from hosts import DEADLINE, PORT, Hosts
from kit import Failed, scenario

TOGETHER = 5  # so many strangers at a time
HERE = os.path.dirname(os.path.abspath(__file__))


def stranger(n, host, kind, access="", seconds=4):
    return n.on_host(host, ["/usr/bin/python3", os.path.join(HERE, "stranger.py"), kind,
                            f"tcp://{n.address('c')}:{PORT}", access, str(seconds), f"{n.t.random.getrandbits(32)}"])


def resident_kb(p):
    """Of the coordinator, which `ip netns exec` has become."""
    with open(f"/proc/{p.p.pid}/status") as f:
        return int(next(line.split()[1] for line in f if line.startswith("VmHWM")))


def visited(t, n, kinds, access=lambda kind: "", seconds=3, insecure=False, most_kb=400 * 1024, until=()):
    """A run with two workers; the third host is where strangers come from, who stay for so long, and until this was said."""
    for w in ("w1", "w2", "w3"):
        n.key(w)
    n.coordinate(insecure=insecure)
    for w in ("w1", "w2"):
        if insecure:
            n.work(w, "--insecure", "--name", w, f"tcp://{n.address('c')}:{PORT}", access=False)
        else:
            n.work(w)
        n.c.when(f"worker {w} is here")
    n.commits(10)
    for i in range(0, len(kinds), TOGETHER):
        come = [stranger(n, "w3", kind, access(kind), DEADLINE if until else seconds) for kind in kinds[i:i + TOGETHER]]
        end = time.monotonic() + seconds
        while any(s.p.poll() is None for s in come):
            n.commits(1)
            if until and time.monotonic() > end and all(text in n.c.text for text in until):
                for s in come:
                    s.kill()
        for text in until:
            n.c.when(text)
        for s in come:
            s.ends(-signal.SIGKILL if until else 0)
    n.commits(10)
    kb = resident_kb(n.c)
    last = n.ends()
    lines = [line for _, line in n.c.lines]
    t.true(len(lines) < 60 + 10 * len(kinds), f"{len(lines)} lines were said\n{n.c}")
    t.true(kb < most_kb, f"the coordinator took {kb} kB\n{n.c}")
    t.equal(2, last["workers"], f"workers\n{n.everything()}\n")
    return n


PLAIN = ["no_key", "plain", "wrong_server_key", "zmtp_1", "zmtp_2", "zmtp_9", "cut_greeting", "garbage_after_greeting",
         "garbage", "http"]


@scenario("strangers")
def those_who_do_not_speak_curve_are_refused(t):
    n = visited(t, Hosts(t), PLAIN, seconds=2)
    n.c.when("that did not speak CURVE with our key")


@scenario("strangers")
def those_with_a_key_of_their_own_are_refused(t):
    n = visited(t, Hosts(t), ["unknown_key", "request"], access=lambda kind: t.path("w3.access"))
    n.c.when("with a key that is not allowed")
    n.c.when(f"the last one from {n.address('w3')}")


@scenario("strangers")
def two_hundred_silent_connections_do_no_harm(t):
    visited(t, Hosts(t), ["idle"], seconds=6)


@scenario("strangers")
def a_worker_is_revoked_while_it_works(t):
    n = Hosts(t)
    n.start()
    t.run("keys", "revoke", "w3")
    n.c.when("worker w3 was revoked")
    n.worker["w3"].ends(1)
    t.true("revoked" in n.worker["w3"].text, f"it was told\n{n.worker['w3']}")
    again = n.work("w3")
    again.ends(1)
    t.true("does not allow this worker's key" in again.text, f"it is told\n{again}")
    n.commits(10)
    n.ends()
    n.c.when("with a key that is not allowed")


ENROLLED = {
    "many_frames": "message of 1000 frames",
    "endless_frames": "",
    "claimed_id": "chose its own routing id",
    "huge_frame": "",
    "garbage_messages": "the peer speaks protocol version",
}
BANNED = "worker w3 broke the rules 3 times"


def enrolled(kind, said):
    def fn(t):
        visited(t, Hosts(t), [kind], access=lambda _: t.path("w3.access"), until=(said, BANNED) if said else ())
    fn.__name__ = f"a_worker_with_a_key_sends_{kind}"
    scenario("strangers")(fn)


for item in ENROLLED.items():
    enrolled(*item)


@scenario("strangers")
def a_worker_of_another_protocol_is_told_both_versions(t):
    n = Hosts(t, workers=2)
    for w in n.names:
        n.key(w)
    n.coordinate()
    n.work("w1")
    n.commits(10)
    s = stranger(n, "w2", "other_protocol", t.path("w2.access"), DEADLINE)
    both = "the peer speaks protocol version 9, this program version "
    s.when(both)
    n.c.when(both)
    n.ends()


@scenario("strangers")
def without_keys_an_endless_message_does_not_fill_the_memory(t):
    # Up to the largest message there may be, and what comes between two looks at this speed.
    visited(t, Hosts(t), ["endless_plain_frames"], insecure=True, seconds=4, most_kb=1 << 20)


@scenario("strangers")
def without_keys_nobody_can_end_a_run_either(t):
    visited(t, Hosts(t), [*ENROLLED, "no_key", "garbage", "idle"], insecure=True, seconds=3)
