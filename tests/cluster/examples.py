"""examples - does what the README of an example says, as written.

The commands are the indented lines. What follows two spaces and a # is said of the command before it:
"exit code N" is wanted of it, and "gives what FILE says" is compared with its output.
"""

import os
import re
import shutil
import subprocess

from kit import ROOT, Done, Failed

MADE = shutil.ignore_patterns("*.so", "*.db*", ".tranche", "__pycache__")


def commands_of(name):
    """(command, exit code, the file that says what it prints or None)"""
    with open(os.path.join(ROOT, "examples", name, "README.md")) as f:
        lines = re.findall(r"^    (\S.*)$", f.read(), re.M)
    for line in lines:
        command, _, said = re.match(r"(.*?)(\s\s+# (.*))?$", line).groups()
        code = re.search(r"exit code (\d+)", said or "")
        gives = re.search(r"gives what (\S+) says", said or "")
        yield command, int(code.group(1)) if code else 0, gives.group(1) if gives else None


class Example:
    """A copy of examples/, with the data, the Python helper and the plugin's header where they are."""

    def __init__(self, t, name):
        self.t, self.name, self.dir = t, name, t.path("examples", name)
        for part in (name, "data", "python"):
            shutil.copytree(os.path.join(ROOT, "examples", part), t.path("examples", part), ignore=MADE)
        os.makedirs(t.path("worker"))
        os.symlink(os.path.join(ROOT, "worker", "plugin.h"), t.path("worker", "plugin.h"))

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def read(self, file):
        with open(self.path(file)) as f:
            return f.read()

    def change(self, file, old, new):
        """For what a test cannot have as written: a fixed port, a wait of 40 s."""
        text = self.read(file)
        self.t.true(old in text, f"{file} of {self.name} says {old!r}")
        self.t.write(os.path.join("examples", self.name, file), text.replace(old, new))

    def command(self, command, want=0):
        env = self.t.env(PATH=f"{self.t.build}:{os.environ['PATH']}")
        p = subprocess.Popen(["bash", "-c", command], cwd=self.dir, env=env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        done = self.t.finish(p)
        if done.code != want:
            raise Failed(f"$ {command}\nwanted exit code {want}\n{done}")
        return done

    def follow(self, but=()):
        """Runs the README's commands but those that the test itself has seen to; the last of each."""
        ran = []
        for command, want, gives in commands_of(self.name):
            if command in but:
                continue
            done = self.command(command, want)
            if gives:
                self.t.equal(self.read(gives), done.out, f"what `{command}` gives")
            ran.append(Done([command], done.code, done.out, done.err, done.seconds))
        self.t.true(any(gives for _, _, gives in commands_of(self.name)), "the README compares a result")
        return ran

    def rows(self, db, sql, *params):
        return self.t.rows(self.path(db), sql, *params)
