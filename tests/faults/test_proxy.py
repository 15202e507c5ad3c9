"""Messages that are lost, doubled, late, in another order, damaged or cut off between workers and the coordinator.

The protocol's time runs SCALE times as fast: a lost message is waited for, and a minute of that need not take one.
"""

import os
import re

import oracle
import proxy
from kit import Failed, scenario
from test_hosts import Program, keys

SCALE = "10"
ROWS = 15000
SLOW = ("SELECT id, h, (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000) "
        "SELECT count(*) FROM c) AS burnt FROM batch")  # some ms a batch


class Line:
    """A run whose two workers are behind a proxy; with keys they have names. One that fails is started again."""

    def __init__(self, t, secret=False, batch="8KiB"):
        self.t, self.secret = t, secret
        t.env = lambda env=t.env, **more: env(**{"TRANCHE_TIME_SCALE": SCALE, **more})
        t.write("k.csv", "id,h\n" + "".join(f"{i},{(i * 2654435761) % 4294967296}\n" for i in range(ROWS)))
        self.ref = oracle.Reference(t.path("k.csv"), t.path("ref.db"), ["id", "h", "burnt"], lambda r: (int(r[0]), int(r[1]), 20000))
        if secret:
            keys(t, "anna", "boris")
        self.c = Program(t, [t.tranche, "run", "--csv", "k.csv", "--into", "sqlite:wh.db", "--table", "k", "--batch-bytes", batch, "-j",
                             "0", "--listen", "tcp://127.0.0.1:0", "--sql", SLOW, "--progress", "none", *([] if secret else ["--insecure"])])
        self.c.says("listening on ")
        self.line = proxy.Proxy("127.0.0.1", int(re.search(r"listening on tcp://\S+:(\d+)", self.c.text).group(1)), t.random.random())
        t.cleanups.append(self.line.close)
        self.workers = {name: None for name in ("anna", "boris")}

    def worker(self, name):
        exe = os.path.join(self.t.build, "tranche-worker")
        who = ["--access", f"{name}.access"] if self.secret else ["--insecure", "--name", name]
        return Program(self.t, [exe, *who, "--slots", "2", self.line.endpoint])

    def is_over(self):
        for name, w in self.workers.items():
            if self.c.p.poll() is None and (w is None or w.p.poll()):
                self.workers[name] = self.worker(name)
        return self.c.p.poll() is not None

    def ends(self, *faults, ways=("up", "down")):
        """The run is exact, and each of these faults has befallen messages of both directions."""
        try:
            self.t.wait_until(self.is_over, "the end of the run", 240)
        except Failed as e:
            raise Failed(f"{e}\nthe line did {self.line.told()}\n{self.c.text[-3000:]}\n" + "\n".join(w.text[-1500:] for w in self.workers.values()))
        self.c.ends(0)
        self.line.honest()
        for w in self.workers.values():  # one that was not told of the end looks for the coordinator
            w.p.terminate()
        for w in self.workers.values():
            w.p.wait(240)
        self.t.equal([], oracle.judge(self.ref, oracle.Sqlite(self.t.path("wh.db"), "k")), f"the oracle; the line did {self.line.told()}\n"
                     f"{self.c.text[-3000:]}\n")
        self.t.equal([], oracle.left_behind(self.t.dir), "what is left")
        for f in faults:
            for way in ways:
                self.t.true(self.line.total(f, way) > 0, f"{f} {way} happened: {self.line.told()}")


def suffers(t, secret=False, **rates):
    """Messages by chance; and of each kind of fault a few in any case."""
    run = Line(t, secret)
    for way, of_way in run.line.rates.items():
        of_way.update(rates)
        for fault in sorted(rates) * 3:
            run.line.order(way, fault)
    return run


@scenario("proxy")
def messages_that_are_lost_are_done_without(t):
    suffers(t, drop=0.08).ends("drop")


@scenario("proxy")
def messages_that_come_twice_late_or_in_another_order_count_once(t):
    run = suffers(t, double=0.4, swap=0.2, delay=0.05)
    run.ends("double")
    t.true(run.line.done["up", "double", "RESULT"] > 0, f"results came twice: {run.line.told()}")


@scenario("proxy")
def flipped_bits_are_found_in_plaintext(t):
    suffers(t, flip=0.05, **{"break": 0.01}).ends("flip")


@scenario("proxy")
def flipped_bits_are_found_by_the_keys(t):
    suffers(t, secret=True, flip=0.03).ends("flip")


@scenario("proxy")
def a_result_that_is_cut_in_its_middle_comes_again(t):
    run = Line(t)
    for _ in range(5):
        run.line.order("up", "reset", "RESULT")
    run.ends("reset", ways=("up",))
    t.equal(5, run.line.done["up", "reset", "RESULT"], "results that were cut")


@scenario("proxy")
def a_result_with_keys_that_is_cut_in_its_middle_comes_again(t):
    suffers(t, secret=True, reset=0.03).ends("reset")


# Each kind of message may be the one that is lost, or comes twice: nothing but the line knows which it was.
CONVERSATION = (("up", "HELLO"), ("down", "WELCOME"), ("down", "JOB"), ("up", "READY"), ("down", "ASSIGN"), ("up", "RESULT"))


@scenario("proxy")
def no_message_is_the_one_that_must_not_be_lost(t):
    run = Line(t)
    for fault in ("drop", "double", "drop"):
        for way, kind in CONVERSATION:
            run.line.order(way, fault, kind)
    run.ends()
    missed = [(fault, kind) for fault in ("drop", "double") for way, kind in CONVERSATION if not run.line.done[way, fault, kind]]
    t.equal([], missed, f"what was to happen, and did not: {run.line.told()}")
