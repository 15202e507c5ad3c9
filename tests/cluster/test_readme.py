"""The README's commands do what it says, as written."""

import csv
import os
import re
import shutil
import subprocess

import kit
from kit import ROOT, Failed, scenario


def sh_blocks():
    with open(os.path.join(ROOT, "README.md")) as f:
        return re.findall(r"```sh\n(.*?)```", f.read(), re.S)


@scenario("readme")
def every_tranche_command_of_the_readme_runs(t):
    shutil.copytree(os.path.join(ROOT, "examples"), t.path("examples"))
    lines = [x.split("  #")[0].strip() for b in sh_blocks() for x in b.splitlines()]
    commands = [x for x in lines if x.startswith("tranche ")]
    t.true(len(commands) >= 4, "the README has commands")
    env = t.env(PATH=f"{t.build}:{os.environ['PATH']}")
    for c in commands:
        r = subprocess.run(c, shell=True, cwd=t.dir, env=env, capture_output=True, text=True)
        if r.returncode:
            raise Failed(f"$ {c}\nexit code {r.returncode}\n{r.stdout}\n{r.stderr}")
    with open(os.path.join(ROOT, "examples/data/flights-slice.csv")) as f:
        want = [(r["origin"], int(r["delay"])) for r in csv.DictReader(f)]
    got = t.rows("examples/flights.db", "SELECT count(*), count(DISTINCT origin), sum(delay) FROM flights")
    t.equal([(len(want), len({o for o, _ in want}), sum(d for _, d in want))], got, "flights")
    t.equal(9994, t.one("examples/superstore.db", "SELECT count(*) FROM orders"), "orders")
    t.equal(10, t.one("stats.db", "SELECT count(*) FROM busiest"), "busiest airports")
    t.equal(3, t.one("stats.db", "SELECT count(*) FROM loud WHERE MEDIAN > 0"), "medians")


@scenario("readme", "load")
def the_readme_shows_what_its_example_prints(t):
    shutil.copytree(os.path.join(ROOT, "examples"), t.path("examples"))
    with open(os.path.join(ROOT, "README.md")) as f:
        shown = re.search(r"Of `tranche (.*)`:\n\n```\n(.*?)```", f.read(), re.S)
    figures = re.compile(r"in [0-9.]+ s, [0-9,]+ rows/s")
    printed = t.run(*shown[1].split()).out
    t.equal(*(figures.sub("", re.sub(r"CPU a row.*", "CPU a row", x)) for x in (shown[2], printed)), "the example's report")


@scenario("readme", "load")
def quickstart_shows_how_far_the_build_is(t):
    with open(os.path.join(ROOT, "quickstart")) as f:
        progress = re.search(r"^progress\(\) \{.*?^\}", f.read(), re.S | re.M)[0]
    lines = "-- configured\n" + "".join(f"[{i}/40] Building C object x.o\n" for i in range(1, 41)) + "[x/y] none\n"
    r = subprocess.run(["bash", "-euo", "pipefail", "-c", progress + "\nprogress"], input=lines, cwd=t.dir, capture_output=True, text=True,
                       timeout=240)
    t.equal([f"  {i} %" for i in range(10, 101, 10)], [x.split(",")[0] for x in r.stdout.splitlines()], r.stderr)
    t.true(all(re.search(", about [0-9]+ min left$", x) for x in r.stdout.splitlines()), r.stdout)


@scenario("readme")
def the_job_file_of_the_readme_is_valid(t):
    with open(os.path.join(ROOT, "README.md")) as f:
        text = re.search(r"```yaml\n(.*?)```", f.read(), re.S).group(1)
    os.mkdir(t.path("data"))
    t.write("data/flights-1.csv", "origin,delay,flight\nATL,70,0012\nORD,5,77\n")
    t.write("base.csv", "delay\n10\n20\n")
    t.run("run", "--csv", "base.csv", "--into", "sqlite:warehouse.db", "--table", "flights")
    t.write("job.yaml", text)
    t.run("check", "job.yaml")
    t.run("run", "job.yaml")
    t.equal([("ATL", 70, 1), ("ORD", 5, 0)], t.rows("warehouse.db", "SELECT * FROM late_flights"), "rows")


@scenario("readme")
def every_test_that_the_page_on_security_names_is_there(t):
    with open(os.path.join(ROOT, "docs", "SECURITY.md")) as f:
        text = f.read()
    named, there = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", text)), kit.names_of_tests()
    t.true(len(named) > 50, f"{len(named)} tests are named")
    t.equal([], sorted(named - there), "tests that are named and not there")
    for path in re.findall(r"\]\(([^)#:]+)", text):
        t.true(os.path.exists(os.path.join(ROOT, "docs", path)), f"{path} is linked and there")


@scenario("readme")
def quickstart_ends_with_the_right_figures(t):
    r = subprocess.run(["./quickstart"], cwd=ROOT, capture_output=True, text=True)
    if r.returncode:
        raise Failed(f"exit code {r.returncode}\n{r.stdout}\n{r.stderr}")
    for text in ("9,994 rows", "balanced", "Technology", "836154.03", "Try next",
                 "$ build/release/tranche run examples/superstore.yaml --into sqlite:build/quickstart/superstore.db\n",
                 f'export PATH="{ROOT}/build/release:$PATH"'):
        if text not in r.stdout:
            raise Failed(f"quickstart does not show {text!r}\n{r.stdout}\n{r.stderr}")
