"""fault - a program with tests/faults/shim.c before its C library, and what the shim then tells.

    f = Fault(case, role="coordinator", call="pwrite", at=3, error="ENOSPC")
    done = case.run(..., want=None, env=f.env)
    f.fired, f.text, f.seen["pwrite"]
"""

import os
import struct

CALLS = "read pread write pwrite fsync fdatasync ftruncate open rename unlink mmap malloc".split()
TEXT, PLACES = 16384, 16384
HEAD = struct.Struct("<16Q3Q")
BYTES = HEAD.size + TEXT + PLACES * 16


class Fault:
    def __init__(self, case, role="coordinator", error="EIO", clock=None, **how):
        """call, at, count, every, stack, survey, under, storm: the variables of shim.h."""
        self.path = case.path("fault-state")
        with open(self.path, "wb") as f:
            f.truncate(BYTES)
        shim = os.path.join(case.build, "tests", "fault_shim.so")
        self.how = f"{role}: {error} " + " ".join(f"{k}={v}" for k, v in how.items())
        self.env = {"LD_PRELOAD": shim, "FAULT_STATE": self.path, "FAULT_ROLE": role, "FAULT_ERROR": error}
        self.env.update({f"FAULT_{k.upper()}": str(v) for k, v in how.items()})
        if clock:
            self.env["FAULT_CLOCK"] = str(clock)
        if "asan" in os.path.basename(case.build):
            self.env["ASAN_OPTIONS"] = "verify_asan_link_order=0:detect_leaks=0:allocator_may_return_null=1"

    def state(self):
        with open(self.path, "rb") as f:
            return f.read()

    def head(self):
        return HEAD.unpack_from(self.state())

    @property
    def seen(self):
        return dict(zip(CALLS, self.head()))

    @property
    def fired(self):
        return self.head()[17]

    @property
    def text(self):
        """Where it fired, and how processes died."""
        state = self.state()
        return state[HEAD.size:HEAD.size + min(TEXT, self.head()[18])].decode(errors="replace")

    @property
    def places(self):
        """{hash: number of its first call} of a survey."""
        state = self.state()
        found = (struct.unpack_from("<2Q", state, HEAD.size + TEXT + 16 * i) for i in range(PLACES))
        return {h: n for h, n in found if h}
