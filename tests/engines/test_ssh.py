"""Workers through a real sshd on loopback, with host keys and users' keys of its own."""

import os
import re
import shlex
import signal
import socket
import subprocess

from kit import ROOT, Failed, scenario
from test_hosts import Program, coordinator, exact, make
from scale_kit import Daemon, Run, command_lines, free_port, processes, scale


class Sshd:
    """Hosts are addresses of the loopback interface. `ssh` are the options that reach them."""

    def __init__(self, t, hosts=2):
        self.t, self.hosts = t, [f"127.0.0.{i + 1}" for i in range(hosts)]
        os.makedirs(t.path("sshd"), mode=0o700)
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", t.path("sshd", key)], check=True)
        os.rename(t.path("sshd", "user.pub"), t.path("sshd", "authorized"))
        if os.getuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        self.port = free_port()
        t.write("sshd/config", f"Port {self.port}\n" + "".join(f"ListenAddress {h}\n" for h in self.hosts) +
                f"HostKey {t.path('sshd', 'host')}\nAuthorizedKeysFile {t.path('sshd', 'authorized')}\n"
                "StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\n"
                "PermitRootLogin prohibit-password\nMaxStartups 100\n")
        self.daemon = Daemon(t, "sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", t.path("sshd", "config")])
        t.wait_until(self.answers, "sshd answers")
        with open(t.path("sshd", "host.pub")) as f:
            key = " ".join(f.read().split()[:2])
        self.known = t.write("sshd/known", "".join(f"[{h}]:{self.port} {key}\n" for h in self.hosts))
        self.file = t.write("hosts.txt", "# all are this machine\n" + "".join(f"{h} 1\n" for h in self.hosts))

    def answers(self):
        self.daemon.lives()
        with socket.socket() as s:
            return s.connect_ex((self.hosts[-1], self.port)) == 0

    def options(self, known=None):
        return ("--", "-F", "none", "-p", str(self.port), "-i", self.t.path("sshd", "user"), "-o",
                f"UserKnownHostsFile={known or self.known}", "-o", "GlobalKnownHostsFile=none")


def workers(r):
    """The command lines of those that are up."""
    return [line for line in command_lines() if line.startswith(f"{r.t.build}/tranche-worker ") and r.access in line]


def finishes(t, s, r):
    """The run goes on with others that are started as they should be."""
    p = scale(t, "ssh", "--hosts", s.file, *s.options(), run=r)
    r.ends()
    p.ends(0)


@scenario("engines", "ssh")
def workers_come_through_ssh_and_leave_with_the_run(t):
    s, r = Sshd(t, 3), Run(t)
    p = scale(t, "ssh", "--hosts", s.file, "--output", "json", *s.options(), run=r)
    r.workers(lambda n: n == 3)
    r.commits()
    r.ends()
    p.ends(0)
    t.true('"status":"the run is over"' in p.text and '"started":3,"failed":0,"most":3' in p.text, p.text)
    t.equal([], processes(r.access), "processes left")


@scenario("engines", "ssh")
def what_is_idle_leaves_and_comes_back(t):
    s, r = Sshd(t, 2), Run(t)
    p = scale(t, "ssh", "--hosts", s.file, "--idle-timeout", "2s", *s.options(), run=r)
    r.workers(lambda n: n == 2)
    r.feed.flows.clear()
    r.workers(lambda n: n == 0)
    t.wait_until(lambda: not workers(r), "the workers are gone")
    r.feed.flows.set()
    r.workers(lambda n: n > 0)
    r.ends()
    p.ends(0)


@scenario("engines", "ssh")
def the_least_stay_though_they_are_idle(t):
    s, r = Sshd(t, 2), Run(t)
    p = scale(t, "ssh", "--hosts", s.file, "--idle-timeout", "2s", "--min", "1", *s.options(), run=r)
    r.workers(lambda n: n == 2)
    r.feed.flows.clear()
    r.workers(lambda n: n == 1)
    t.wait_until(lambda: len(workers(r)) == 1, "one is gone")
    t.true("--idle-timeout" not in workers(r)[0], workers(r))
    r.ends()
    p.ends(0)


@scenario("engines", "ssh")
def ctrl_c_takes_the_workers_along(t):
    s, r = Sshd(t, 2), Run(t)
    p = scale(t, "ssh", "--hosts", s.file, *s.options(), run=r)
    r.workers(lambda n: n == 2)
    os.killpg(p.p.pid, signal.SIGINT)
    p.ends(130)
    t.wait_until(lambda: not processes(r.access), "the workers are gone")
    r.workers(lambda n: n == 0)
    finishes(t, s, r)


@scenario("engines", "ssh")
def a_scaler_that_is_killed_leaves_no_worker_behind(t):
    s, r = Sshd(t, 2), Run(t)
    p = scale(t, "ssh", "--hosts", s.file, *s.options(), run=r)
    r.workers(lambda n: n == 2)
    os.kill(p.p.pid, signal.SIGKILL)
    t.wait_until(lambda: not processes(r.access), "the workers are gone")
    finishes(t, s, r)


@scenario("engines", "ssh")
def kept_workers_end_the_run_alone(t):
    s, r = Sshd(t, 2), Run(t)
    p = scale(t, "ssh", "--hosts", s.file, "--keep", *s.options(), run=r)
    r.workers(lambda n: n == 2)
    os.killpg(p.p.pid, signal.SIGTERM)
    p.ends(130)
    t.true("the workers are kept" in p.text, p.text)
    r.commits()
    t.equal(2, r.live()["workers"], "workers")
    r.ends()
    t.wait_until(lambda: not processes(r.access), "they leave with the run")


@scenario("engines", "ssh")
def an_unknown_host_key_is_a_sentence_and_a_pause(t):
    s, r = Sshd(t, 3), Run(t)
    p = scale(t, "ssh", "--hosts", s.file, *s.options(known="/dev/null"), run=r)
    p.says("3 workers in a row failed to start, no more are started for 1m. The last: 127.0.0.")
    t.true("ssh ended with code 255" in p.text and "Host key verification failed." in p.text, p.text)
    p.kill()
    finishes(t, s, r)


@scenario("engines", "ssh")
def a_worker_that_cannot_start_three_times_is_left_alone(t):
    s, r = Sshd(t, 1), Run(t)
    p = scale(t, "ssh", "--hosts", s.file, "--worker", "/nowhere/tranche-worker", "--pause", "300ms", *s.options(), run=r)
    p.says("3 workers in a row failed to start, no more are started for 300ms. The last: 127.0.0.1: the worker ended with code 127")
    p.says("4 workers in a row failed to start, no more are started for 600ms.")
    t.true("/nowhere/tranche-worker: not found" in p.text, p.text)
    t.equal(True, r.c.p.poll() is None, "the run goes on")
    p.kill()
    finishes(t, s, r)


@scenario("engines", "ssh")
def a_host_that_is_away_leaves_the_work_to_the_others(t):
    s, r = Sshd(t, 2), Run(t)
    with open(s.file, "a") as f:
        f.write("127.0.0.99 1\n")
    with open(s.known, "a") as f, open(t.path("sshd", "host.pub")) as k:
        f.write(f"[127.0.0.99]:{s.port} {k.read()}")
    p = scale(t, "ssh", "--hosts", s.file, *s.options(), run=r)
    p.says("127.0.0.99: ssh ended with code 255: ssh: connect to host 127.0.0.99 port")
    r.workers(lambda n: n == 2)
    r.ends()
    p.ends(0)


@scenario("engines", "ssh")
def the_path_of_a_worker_may_hold_what_shells_take_for_theirs(t):
    s, r = Sshd(t, 1), Run(t)
    odd = t.path("it's $(a) `path`;", "worker dir")
    os.makedirs(odd)
    os.symlink(os.path.join(t.build, "tranche-worker"), os.path.join(odd, "w & x"))
    p = scale(t, "ssh", "--hosts", s.file, "--worker", os.path.join(odd, "w & x"), "--label", "a'b$c", *s.options(), run=r)
    r.workers(lambda n: n == 1)
    r.ends()
    p.ends(0)


@scenario("engines", "ssh", "docs")
def the_commands_of_the_docs_are_understood(t):
    t.write("hosts.txt", "anna 16\nbob@10.0.0.7 8\nssh://carl:2222\n")
    t.run("keys", "new", "--worker", "fleet", "--address", "tcp://10.0.0.1:5555", "-o", "fleet.access")
    with open(os.path.join(ROOT, "docs", "SCALING.md")) as f:
        lines = [line for block in re.findall(r"```sh\n(.*?)```", f.read(), re.S) for line in block.splitlines()]
    lines += re.findall(r"^  (tranche scale .*)$", t.run("scale", "--help").out, re.M)
    lines = [line for line in lines if line.startswith("tranche scale --")]
    t.true(len(lines) >= 8, lines)
    for line in lines:
        words = shlex.split(line.replace("$PWD", t.dir))
        shown = t.run("scale", "--dry-run", *words[2:]).out
        engine = {"ssh": "ssh ", "slurm": "sbatch ", "compose": "docker-compose "}[words[words.index("--launcher") + 1]]
        t.true(shown.startswith(engine), f"{line}\n{shown}")
        for word in words[words.index("--") + 1:] if "--" in words else []:
            t.true(word in shown, f"{word} of {line}\n{shown}")


@scenario("engines", "ssh")
def the_commands_that_are_shown_are_commands(t):
    s, r = Sshd(t, 1), Run(t)
    shown = t.run("scale", "--launcher", "ssh", "--hosts", s.file, "--dry-run", "--access", r.access, "--worker",
                  os.path.join(t.build, "tranche-worker"), *s.options()).out
    t.equal(1, shown.count("\n"), shown)
    p = subprocess.Popen(["sh", "-c", shown], stdin=subprocess.PIPE, env=t.env(), start_new_session=True)
    t.cleanups.append(lambda: p.poll() is None and os.killpg(p.pid, signal.SIGKILL))
    r.workers(lambda n: n == 1)
    p.stdin.close()
    try:
        t.equal(0, p.wait(240), "exit code of a worker that was let go")
    except subprocess.TimeoutExpired:
        raise Failed("the worker did not leave when its ssh lost its input")
    finishes(t, s, r)


@scenario("engines", "ssh")
def nobody_starts_workers_for_no_run(t):
    t.write("hosts.txt", "127.0.0.1\n")
    os.makedirs(t.path(".tranche"))
    r = t.run("scale", "--launcher", "ssh", "--hosts", "hosts.txt", "--access", "a", "--wait", "300ms", "--output", "json", want=1)
    t.says(r, "no run takes workers in .tranche yet; waiting for one",
           "no run that takes workers began in .tranche within 300ms: start one with tranche run --listen")
    t.equal(("failed", "", 0), (r.json["status"], r.json["run"], r.json["started"]), "report")
    t.write(".tranche/runs.db", "no database at all, though it has its name" * 100)
    t.says(t.run("scale", "--launcher", "ssh", "--hosts", "hosts.txt", "--access", "a", want=1), "runs.db")


@scenario("engines", "ssh")
def workers_outlive_a_coordinator_that_is_continued(t):
    s, port = Sshd(t, 2), free_port()
    make(t)
    keys = t.path("fleet.access")
    t.run("keys", "new", "--worker", "fleet", "--address", f"tcp://127.0.0.1:{port}", "-o", keys)
    c = coordinator(t, "-j", "0", endpoint=f"tcp://127.0.0.1:{port}")
    p = Program(t, [t.tranche, "scale", "--launcher", "ssh", "--interval", "200ms", "--hosts", s.file, "--access", keys,
                    "--worker", os.path.join(t.build, "tranche-worker"), *s.options()])
    c.says("worker fleet is here")
    before = set(processes("--slots 1"))
    os.kill(c.p.pid, signal.SIGKILL)
    c.p.wait()
    p.says("is gone; waiting for the run to be continued")
    t.true(before & set(processes("--slots 1")), "the workers stay")
    c = coordinator(t, "-j", "0", endpoint=f"tcp://127.0.0.1:{port}")
    c.ends(0, 120)
    p.ends(0)
    exact(t)
    t.equal([], processes(keys), "processes left")
