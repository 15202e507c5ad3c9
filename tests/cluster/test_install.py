"""What is installed, with a prefix and in the packages, has what --help names."""

import os
import re
import shutil
import subprocess

from kit import Skipped, scenario

PYTHON = "/usr/bin/python3"
SQUARES = """import tranche

def square(x):
    return x * x

if __name__ == "__main__":
    print(list(tranche.map(square, range(3))))
"""


def install(t, *component):
    cmake = shutil.which("cmake")
    if not cmake:
        raise Skipped("there is no cmake")
    r = subprocess.run([cmake, "--install", os.path.dirname(t.tranche), *component, "--prefix", t.path("usr")],
                       cwd=t.dir, env=t.env(), capture_output=True, text=True, timeout=240)
    t.equal(0, r.returncode, r.stdout + r.stderr)


def stands_below(t, *names):
    for name in names:
        t.true(os.path.isfile(t.path("usr", name)), f"{name} is installed")


def has_what_help_names(t):
    program = t.path("usr", "bin", "tranche")
    helps = [("--help",)] + [(c, "--help") for c in ("run", "check", "plan", "explain", "report", "schedule", "serve", "scale", "cache")]
    text = "".join(subprocess.run([program, *a], env=t.env(), capture_output=True, text=True, timeout=240).stdout for a in helps)
    names = set(re.findall(r"\b(?:docs|examples)/[\w.-]+\.(?:md|yaml)", text))
    t.true({"docs/JOBFILE.md", "docs/EXEC.md", "examples/late-flights.yaml"} <= names, f"names in --help: {names}")
    t.true("share/doc/tranche" in text, "--help says where they are")
    stands_below(t, *(os.path.join("share", "doc", "tranche", n) for n in names))


def maps(t, folder):
    t.write("squares.py", SQUARES)
    env = t.env(PYTHONPATH=t.path("usr", folder), TRANCHE=t.path("usr", "bin", "tranche"))
    r = subprocess.run([PYTHON, "squares.py"], cwd=t.dir, env=env, capture_output=True, text=True, timeout=240)
    t.equal("[0, 1, 4]\n", r.stdout, r.stderr)


@scenario("install", "python")
def what_is_installed_has_what_its_help_names(t):
    install(t)
    has_what_help_names(t)
    maps(t, "lib/tranche/python")


@scenario("install", "python")
def a_package_has_what_its_help_names(t):
    for component in ("tranche", "tranche-worker"):
        install(t, "--component", component)
    has_what_help_names(t)
    maps(t, "lib/python3/dist-packages")
    stands_below(t, "share/doc/tranche/copyright", "share/doc/tranche/examples/data/superstore.csv")
