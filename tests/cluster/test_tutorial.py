"""The tutorial's commands, in order, in an empty folder: they end as it says and print what it shows. And links of all pages."""

import glob
import os
import re
import shlex
import socket
import subprocess

from kit import ROOT, scenario

# What differs from run to run, and from one machine to the next.
VARIES = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}|[\d.]+ m?s\b|[\d,]+ rows/s|(?<= in )/\S+|(?<=here: )\d+|(?<=chunk )\d+|"
                    r"(?<=bytes )\d+-\d+|(?<=lines    )\d+ to \d+|(?<=rowids )\d+ to \d+|\d+(?= read, 0)|\d+(?= loaded, 0)")


def blocks():
    """(language, text) of each block of code."""
    with open(os.path.join(ROOT, "docs", "TUTORIAL.md")) as f:
        return re.findall(r"^```(\w*)\n(.*?)^```$", f.read(), re.M | re.S)


def script(commands):
    """The commands, each of which must end with the code that stands behind it, or with 0."""
    for command in commands.splitlines():
        code = re.search(r"  # exit code (\d+)$", command)
        if command.endswith("&"):
            yield command
        else:
            yield f"{command}\ngot=$?; [ $got = {code.group(1) if code else 0} ] || {{ echo exit code $got of {shlex.quote(command)}; exit 99; }}"


def missing(shown, printed):
    """The first line of what is shown that was not printed. One that ends in ... has more to it. How much a plan tries,
    and so what it foretells, depends on how fast the machine is."""
    lines = [VARIES.sub("#", line).strip() for line in printed.splitlines()]
    for line in shown.partition("\nprediction\n")[0].splitlines():
        want = VARIES.sub("#", line).strip()
        if not any(x.startswith(want[:-3]) if want.endswith("...") else x == want for x in lines):
            return line
    return None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@scenario("readme")
def the_tutorial_does_what_it_says(t):
    os.makedirs(t.path("home"))
    os.symlink(ROOT, t.path("home", "tranche"))
    folder = t.path("shop")
    os.makedirs(folder)
    env = t.env(PATH=f"{t.build}:{os.environ['PATH']}", HOME=t.path("home"))
    port, printed, ran, compared = str(free_port()), None, 0, 0
    for language, text in blocks():
        text = text.replace(":5555", ":" + port)
        if language == "sh":
            p = subprocess.Popen(["bash", "-c", "exec 2>&1\n" + "\n".join(script(text))], cwd=folder, env=env,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
            done = t.finish(p)
            t.equal(0, done.code, "the commands")
            printed = done.out
            ran += len(text.splitlines())
        elif language:
            t.write(os.path.join("shop", re.match(r"# (\S+)\n", text).group(1)), text)
        else:
            t.equal(None, missing(text, printed), f"what is shown and was not printed by\n{printed}")
            compared += len(text.splitlines())
    t.true(ran >= 20 and compared >= 50, f"{ran} commands, {compared} lines of what they print")
    with open(t.path("shop", "discounts.csv")) as f:
        t.equal("discount,orders,states,profit\nabove 20 %,1393,19,-135376.056\nup to 20 %,8601,49,421773.0777\n", f.read(), "the answer")
    for table, rows in (("raw", 9994), ("raw_rejects", 0), ("orders", 9994), ("states", 47)):
        t.equal(rows, t.one("shop/shop.db", f"SELECT count(*) FROM {table}"), table)
    with open(t.path("shop", "report.html")) as f:
        t.true("</html>" in f.read(), "the report is whole")


def anchors(path):
    with open(path) as f:
        titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", f.read(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@scenario("readme")
def every_link_of_the_documentation_leads_somewhere(t):
    links, lost = 0, []
    for page in [os.path.join(ROOT, "README.md"), *glob.glob(os.path.join(ROOT, "docs", "*.md"))]:
        with open(page) as f:
            found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", f.read(), flags=re.M | re.S))
        for link in (x for x in found if not re.match(r"\w+://", x)):
            path, _, anchor = link.partition("#")
            target = os.path.join(os.path.dirname(page), path) if path else page
            if not os.path.exists(target) or (anchor and anchor not in anchors(target)):
                lost.append(f"{os.path.relpath(page, ROOT)}: {link}")
            links += 1
    t.true(links > 100, f"{links} links")
    t.equal([], lost, "links that lead nowhere")
