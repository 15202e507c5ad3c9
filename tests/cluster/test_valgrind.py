"""A load under valgrind. Its 3.19 knows no pidfd_open(2), so the coordinator is the one that starts no worker."""

import glob
import os

from kit import scenario
from test_hosts import Program, coordinator, exact, keys, make

SUPPRESSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools", "valgrind.supp")
ROWS = 2000


@scenario("valgrind")
def a_coordinator_reads_nothing_unset_and_leaks_nothing(t):
    make(t, ROWS)
    keys(t, "anna")
    c = coordinator(t, "-j", "0", "--csv", "k.csv", sql="SELECT id, h FROM batch WHERE h >= 0", under=(
        "valgrind", "-q", "--leak-check=full", "--show-leak-kinds=definite,indirect", "--error-exitcode=99",
        "--errors-for-leak-kinds=definite,indirect", f"--suppressions={SUPPRESSIONS}", f"--log-file={t.path('said.%p')}"))
    w = Program(t, [t.tranche + "-worker", "--access", "anna.access", "--slots", "1", c.endpoint])
    c.ends(0)
    w.kill()
    exact(t, ROWS)
    for path in glob.glob(t.path("said.*")):
        with open(path, encoding="utf-8", errors="replace") as f:
            t.equal("", f.read(4000), "what valgrind says")
