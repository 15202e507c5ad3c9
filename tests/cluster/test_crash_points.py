"""kill -9 at every named point, for every way to load: the next run of the same command completes it exactly."""

import glob
import os
import signal
from collections import Counter

from kit import dies_at_commit, scenario
from test_kills import named_points, points_without_a_test

ROWS = 1500


class Way:
    """A command; those before it, as (rows of the input, arguments, environment); and a look at what it leaves."""

    def __init__(self, args, look, *before):
        self.args, self.look, self.before = (*args, "--type", "v=integer"), look, before

    def command(self, args):
        return ("run", "--csv", "in.csv", "--batch-bytes", "4KiB", "--bad-rows", "9", "--output", "json", *args)


def table(t):
    rows = t.rows("wh.db", "SELECT * FROM k ORDER BY 1, 2")
    # A run that was complete reads its inputs again in some modes, and rejects the same rows again.
    rejects = t.rows("wh.db", "SELECT DISTINCT line, reason FROM k_rejects ORDER BY 1")
    indexes = t.rows("wh.db", "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'k' ORDER BY 1")
    left = t.rows("wh.db", "SELECT name FROM sqlite_schema WHERE name LIKE '%!_!_tranche%' ESCAPE '!'")
    t.intact("wh.db")
    return rows, rejects, indexes, left


def files(t):
    """All but ledgers; parts are numbered as it happened, so their rows count."""
    got, parts = {}, []
    for name in sorted(os.listdir(t.path("out"))):
        if ".ledger" in name:
            continue
        with open(t.path("out", name)) as f:
            text = f.read()
        if name.startswith("part-") and not name.endswith(".rejects"):
            lines = text.splitlines()
            parts += lines[1:]
            name, text = "parts", lines[:1]
        # Which number a load has depends on how often it began.
        got[name] = [line.split(",", 1)[1] for line in text.splitlines()] if name.endswith(".rejects") else text
    return got, sorted(parts)


SQLITE = ("--into", "sqlite:wh.db", "--table", "k")
BY = ("--by", "g", "--compute", "n=count(*)", "--compute", "m=median(v)", "--compute", "s=sum(v)")
BISECTED = ("--sql", "SELECT id, g, json_extract(iif(id = 300, '{', v), '$') AS v FROM batch")
MERGED = ("--merge-sql", "SELECT g, max(v) AS v FROM parts GROUP BY g")
CSV, JSONL, PARTS = (("--into", into) for into in ("csv:out/o.csv", "jsonl:out/o.jsonl", "csv:out/part-*.csv"))
REPLACE = ("--mode", "replace")
DIES = dies_at_commit()


def earlier(args, env=None):
    return ROWS // 2, (*args, "--type", "v=integer"), env


WAYS = {
    "append": Way(SQLITE, table),
    "bisected": Way((*SQLITE, *BISECTED), table),
    "append to what is there": Way(SQLITE, table, earlier(SQLITE)),
    "replace": Way((*SQLITE, *REPLACE, "--index", "g"), table, earlier(SQLITE)),
    "upsert": Way((*SQLITE, "--mode", "upsert", "--key", "g"), table,
                  earlier((*SQLITE, "--mode", "upsert", "--key", "g"))),
    "incremental": Way((*SQLITE, "--mode", "incremental", "--watermark", "id", "--index", "v"), table,
                       earlier((*SQLITE, "--mode", "incremental", "--watermark", "id"))),
    "aggregate": Way((*SQLITE, *BY), table),
    "merge": Way((*SQLITE, *MERGED, "--index", "v"), table),
    "csv": Way(CSV, files, earlier(CSV)),
    "new jsonl": Way(JSONL, files),
    "csv replaced": Way((*CSV, *REPLACE), files, earlier(CSV)),
    "parts": Way(PARTS, files),
    "csv aggregated": Way((*CSV, *BY), files, earlier(CSV)),
    "jsonl merged": Way((*JSONL, *MERGED), files),
    "csv after a load was dropped": Way((*CSV, *REPLACE, "--fresh"), files, earlier(CSV, DIES)),
    "csv after a staged file was dropped": Way((*CSV, "--fresh"), files, earlier((*CSV, *REPLACE), DIES)),
    "csv after a staged table was dropped": Way((*CSV, *REPLACE, "--fresh"), files, earlier((*CSV, *BY), DIES)),
}


def write_input(t, rows):
    t.write("in.csv", "id,g,v\n" + "".join(f"{i},{'abcde'[i % 5]},{'bad' if i in (7, ROWS - 3) else i * 7919 % 10007}\n"
                                           for i in range(rows)))


def same(t, want, got, what):
    for w, g in zip(want, got):
        if w != g:
            t.true(False, f"{what}: wanted {str(w)[:500]}, got {str(g)[:500]}")


def start_over(t, way):
    """An empty folder, and what stood there before."""
    for f in glob.glob(t.path("wh.db*")) + glob.glob(t.path("out", "*")):
        os.unlink(f)
    os.makedirs(t.path("out"), exist_ok=True)
    for rows, args, env in way.before:
        write_input(t, rows)
        t.run(*way.command(args), want=-signal.SIGKILL if env else 3, env=env)
    write_input(t, ROWS)


def points_of(t, way):
    """What a run passes, and how often; and what it leaves."""
    start_over(t, way)
    t.run(*way.command(way.args), want=3, env={"TRANCHE_CRASH_TRACE": t.path("trace")})
    with open(t.path("trace")) as f:
        trace = f.read().split()
    os.unlink(t.path("trace"))
    return Counter(trace), way.look(t)


def crash_everywhere(t, ways):
    seen = set()
    for name in ways:
        way = WAYS[name]
        points, want = points_of(t, way)
        seen |= set(points)
        for point, times in sorted(points.items()):
            for n in {1, times if point.startswith("commit") else 1}:
                start_over(t, way)
                r = t.run(*way.command(way.args), want=None, env={"TRANCHE_CRASH_AT": f"{point}:{n}"})
                if r.code != -signal.SIGKILL:  # results may come together, and pass it less often
                    t.true(n > 1 and r.code == 3, f"{name}: did not die at {point}:{n}, but ended with {r.code}")
                    continue
                again = t.run(*way.command(way.args), want=3).json
                t.true(again["load"]["balanced"], f"{name}: balanced after {point}:{n}")
                same(t, want, way.look(t), f"{name}, killed at {point}:{n}")
    return seen


@scenario("crashes")
def every_named_point_of_every_way_to_load(t):
    seen = crash_everywhere(t, WAYS)
    missed = set(named_points()) - seen
    t.equal(set(), missed, "points that nothing passes")
    t.equal(set(), points_without_a_test(), "points of servers and pipelines that no test names")


@scenario("kills")
def every_named_point_of_an_aggregate_into_a_file(t):
    seen = crash_everywhere(t, ["csv aggregated"])
    t.true({"stage-after-write", "stage-after-rename", "rejects-after-write"} <= seen, f"passed: {sorted(seen)}")
