"""A worker with a good key that lies: it is refused or worked around, and the run ends exactly."""

import base64
import os

from hosts import DEADLINE, Hosts
from kit import scenario

SCALE = 5


def told(t, lie, *said, sent_away=False, seconds=20, line=None, file_bytes=0, window=0):
    """Two honest hosts and the liar, which comes first."""
    job = {}
    if file_bytes:
        noise = base64.b64encode(t.random.randbytes(file_bytes)).decode()  # which does not pack well
        t.write("cat.sh", f"#!/bin/sh\nexec cat\n#{noise}\n")
        os.chmod(t.path("cat.sh"), 0o755)
        job = {"more": ["--exec", "./cat.sh"], "sql": None}
    n = Hosts(t, scale=SCALE)
    if line:
        n.narrow("w3", line)
    if window:
        n.inside("w3", "sh", "-c", f"echo 4096 {window} {window} > /proc/sys/net/ipv4/tcp_rmem")
    for w in n.names:
        n.key(w)
    n.coordinate(*job.pop("more", []), rate=20000, **job)
    stays = DEADLINE if sent_away else seconds
    liar = n.on_host("w3", [os.path.join(t.build, "tests", "net_liar"), t.path("w3.access"), lie, str(stays)])
    n.worker["w3"] = liar
    n.c.when("worker w3 is here")
    for w in ("w1", "w2"):
        n.work(w)
    n.commits(100)
    for text in said:
        n.c.when(text)
    if sent_away:
        liar.ends(0)
    n.commits(20)
    last = n.ends()
    t.equal(0, t.one("wh.db", "SELECT count(*) FROM tranche_ledger WHERE worker = 'w3'"), f"batches of the liar\n{n.c}\n")
    t.equal(0, last["rows_rejected"], f"rejected rows\n{n.c}\n")
    t.true(len(n.c.lines) < 80, f"{len(n.c.lines)} lines were said\n{n.c}")


def lies(name, *said, **how):
    def fn(t):
        told(t, name, *said, **{"sent_away": True, **how})
    fn.__name__ = "a_worker_lies_with_" + name.replace("-", "_")
    scenario("liars")(fn)


lies("forged-token", "a lease that was never given", "its key is refused")
lies("lease-of-its-neighbour", "a lease that was never given", "its key is refused")
lies("wrong-digest", "its key is refused")
lies("damaged-image", "its key is refused")
lies("image-with-a-good-head", "its key is refused")
lies("no-rows", "its key is refused")
lies("huge-counts", "its key is refused")
lies("huge-lengths", "its key is refused")
lies("rejects-of-junk", "its key is refused")
lies("plays-coordinator", "its key is refused")
lies("hello-flood", "its key is refused")
lies("two-programs", "its key is refused", sent_away=False)
lies("hoards-pieces", "its key is refused", sent_away=False, file_bytes=2 << 20, window=65536)
lies("asks-for-other-bytes", "its key is refused", file_bytes=2 << 20)
lies("takes-nothing", "it took nothing of what was sent to it", sent_away=False, file_bytes=2 << 20, window=65536)
lies("long-result", sent_away=False, line="64kbit")
lies("input-has-changed", sent_away=False)
lies("refuses-all", sent_away=False)
lies("never-answers", sent_away=False)
lies("always-busy", sent_away=False)
