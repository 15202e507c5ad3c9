#!/usr/bin/env python3
"""check_pages TRANCHE TRANCHE-WORKER PAGES: whether the manual pages and completions say what the programs do,
are good for what reads them, and complete what a person types. What is not installed is not asked."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

tranche, worker, pages = map(os.path.abspath, sys.argv[1:])
wrong = []


def ask(*argv, **kw):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, **kw)


def page(name):
    with open(os.path.join(pages, name)) as f:
        return f.read()


def expect(what, want, got):
    if want != got:
        wrong.append(f"{what}: wanted {want!r}, got {got!r}")


# ---- every flag that a program has ----

overview = ask(tranche, "--help").stdout
commands = re.findall(r"^  ([a-z]+) ", overview.split("Commands:\n")[1].split("\n\n")[0], re.M)
helps = {c: ask(tranche, c, "--help").stdout for c in commands}
for text, man, bash, zsh in ((t, "tranche.1", "tranche.bash", "_tranche") for t in helps.values()):
    for flag in re.findall(r"^ +(?:-\w, )?--([a-z][a-z0-9-]+)(.*)", text, re.M):
        name, behind = flag
        if re.match(r" [A-Z]+ \S", behind):
            wrong.append(f"--{name}: one space before its text, where two or a line end say that it begins")
        for file, form in ((man, "\\-\\-" + name.replace("-", "\\-")), (bash, "--" + name), (zsh, "--" + name)):
            if form not in page(file):
                wrong.append(f"{file} does not know --{name}")
for name in re.findall(r"^ +--([a-z-]+)", ask(worker, "--help").stdout, re.M):
    for file, form in (("tranche-worker.1", "\\-\\-" + name.replace("-", "\\-")), ("tranche-worker.bash", "--" + name)):
        if form not in page(file):
            wrong.append(f"{file} does not know --{name}")

# ---- what reads them ----

for name in ("tranche.1", "tranche-worker.1", "tranche-job.5"):
    if shutil.which("mandoc"):
        said = [x for x in ask("mandoc", "-Tlint", os.path.join(pages, name)).stdout.splitlines()
                if "missing date" not in x and "line longer than 80" not in x]
        expect(f"mandoc -Tlint {name}", [], said)
    if shutil.which("man") and shutil.which("groff"):
        p = ask("man", "--warnings", "-E", "UTF-8", "-l", os.path.join(pages, name), env=dict(os.environ, LC_ALL="C.UTF-8"))
        expect(f"man --warnings {name}", (0, ""), (p.returncode, p.stderr))
for shell, names in (("bash", ("tranche.bash", "tranche-worker.bash")), ("zsh", ("_tranche", "_tranche-worker"))):
    for name in names if shutil.which(shell) else ():
        p = ask(shell, "-n", os.path.join(pages, name))
        expect(f"{shell} -n {name}", (0, ""), (p.returncode, p.stderr))

# ---- what a person types; the last word is to be completed ----


def completed(line, folder):
    words = re.findall(r"=|[^\s=]+", line) + ([""] if line.endswith((" ", "=")) and not line.endswith("==") else [])
    program = words[0]
    script = (f"source '{pages}/{program}.bash'; COMP_WORDS=({' '.join(repr(w) for w in words)}); "
              f"COMP_CWORD={len(words) - 1}; _{program.replace('-', '_')}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    p = ask("bash", "--norc", "-c", script, cwd=folder)
    if p.stderr:
        wrong.append(f"bash at '{line}': {p.stderr}")
    return [x for x in p.stdout.splitlines() if x]


with tempfile.TemporaryDirectory() as folder:
    for name in ("a job.yaml", "b.yml", "data.csv", "jobs/x"):
        os.makedirs(os.path.dirname(os.path.join(folder, name)) or folder, exist_ok=True)
        open(os.path.join(folder, name), "w").close()
    for line, want in (
        ("tranche ch", ["check"]),
        ("tranche --v", ["--version"]),
        ("tranche run --output ", ["human", "json", "quiet"]),
        ("tranche run --output=", ["human", "json", "quiet"]),
        ("tranche run --output=j", ["json"]),
        ("tranche run a.yaml --mode u", ["upsert"]),
        ("tranche run --bad", ["--bad-rows"]),
        ("tranche run -j", ["-j"]),
        ("tranche run -j ", []),
        ("tranche run ", ["a job.yaml", "b.yml", "jobs"]),
        ("tranche run --csv d", ["data.csv"]),
        ("tranche run --name ", []),
        ("tranche schedule ", ["install", "list", "remove"]),
        ("tranche schedule install ", ["a job.yaml", "b.yml", "jobs"]),
        ("tranche schedule install a --dr", ["--dry-run"]),
        ("tranche keys n", ["new"]),
        ("tranche cache list --output q", ["quiet"]),
        ("tranche nonsense ", []),
        ("tranche-worker --on-server-lost ", ["wait", "stop"]),
        ("tranche-worker --acc", ["--access"]),
        ("tranche-worker --access b", ["b.yml"]),
    ):
        expect(f"completions of '{line}'", want, completed(line, folder))
    got = completed("tranche ", folder)
    expect("commands", sorted(commands), sorted(got))

print("\n".join(wrong) or f"the pages of {len(commands)} commands are good")
sys.exit(bool(wrong))
