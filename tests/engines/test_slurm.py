"""Workers as jobs of a real Slurm: munged, slurmctld and several slurmd on this machine."""

import os
import random
import re
import signal
import socket
import subprocess

from kit import Failed, scenario
from scale_kit import Daemon, Run, free_port, processes, scale

NODES, CPUS = 4, 10


class Slurm:
    """A cluster of its own; nodes pretend to have CPUS processors each."""

    def __init__(self, t):
        self.t, self.dir = t, t.path("slurm")
        os.makedirs(os.path.join(self.dir, "state"))
        host, ports = socket.gethostname().split(".")[0], [free_port() for _ in range(NODES + 1)]
        t.write("slurm/munge.key", bytes(random.Random().randbytes(128)))
        os.chmod(f"{self.dir}/munge.key", 0o400)
        nodes = "".join(f"NodeName=n{i} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[i]} CPUs={CPUS} "
                        "RealMemory=1000 State=UNKNOWN\n" for i in range(1, NODES + 1))
        self.conf = t.write("slurm/slurm.conf", f"""ClusterName=tranche
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={self.dir}/munge.sock
StateSaveLocation={self.dir}/state
SlurmdSpoolDir={self.dir}/spool-%n
SlurmctldPidFile={self.dir}/slurmctld.pid
SlurmdPidFile={self.dir}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=10
{nodes}PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
""")
        self.env = {"SLURM_CONF": self.conf}
        munge = Daemon(t, "munged", ["/usr/sbin/munged", "--foreground", "--force", "--key-file", f"{self.dir}/munge.key",
                                     "--socket", f"{self.dir}/munge.sock", "--pid-file", f"{self.dir}/munge.pid",
                                     "--log-file", f"{self.dir}/munge.log", "--seed-file", f"{self.dir}/munge.seed"])
        t.wait_until(lambda: munge.lives() and os.path.exists(f"{self.dir}/munge.sock"), "munged listens")
        self.daemons = [Daemon(t, "slurmctld", ["/usr/sbin/slurmctld", "-D", "-i", "-f", self.conf], self.env)]
        self.daemons += [Daemon(t, f"slurmd-n{i}", ["/usr/sbin/slurmd", "-D", "-N", f"n{i}", "-f", self.conf], self.env)
                         for i in range(1, NODES + 1)]
        t.cleanups.insert(0, self.end)  # while they still answer
        t.wait_until(self.idle, "all nodes are idle")

    def call(self, *argv):
        try:
            p = subprocess.run(argv, env=self.t.env(**self.env), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
        except subprocess.TimeoutExpired:
            return ""
        return p.stdout

    def idle(self):
        for d in self.daemons:
            d.lives()
        return self.call("sinfo", "-h", "-N", "-o", "%t").split() == ["idle"] * NODES

    def jobs(self, states="all"):
        """Tasks by their state, as squeue names it."""
        return self.call("squeue", "-h", "-r", "-t", states, "-o", "%t").split()

    def end(self):
        self.call("scancel", "--signal=KILL", "--full", "--user=root")
        self.call("scancel", "--user=root")
        try:
            self.t.wait_until(lambda: not self.jobs("R,CG,PD"), "all jobs are gone")
        except Failed:
            pass  # what failed before says more
        for pid in processes(self.t.dir):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def slurm_scale(t, s, r, *args):
    os.environ.update(s.env)
    t.cleanups.append(lambda: os.environ.pop("SLURM_CONF", None))
    return scale(t, "slurm", *args, run=r)


def finishes(t, s, r):
    """The run goes on with others that are started as they should be."""
    p = slurm_scale(t, s, r, "--max", "4")
    r.ends()
    p.ends(0)


@scenario("engines", "slurm")
def forty_workers_come_work_and_go_when_idle(t):
    s, r = Slurm(t), Run(t)
    p = slurm_scale(t, s, r, "--max", "40", "--idle-timeout", "2s")
    r.workers(lambda n: n == 40, 180)
    r.commits(100)
    r.feed.flows.clear()
    r.workers(lambda n: n == 0)
    t.wait_until(lambda: not s.jobs("R,CG,PD"), "no task is left")
    r.feed.flows.set()
    r.workers(lambda n: n > 0)
    r.ends()
    p.ends(0)
    t.wait_until(lambda: not s.jobs("R,CG,PD"), "no task is left")
    t.true("0 failed" in p.text, p.text)


@scenario("engines", "slurm")
def what_slurm_refuses_is_told_in_its_words(t):
    s, r = Slurm(t), Run(t)
    p = slurm_scale(t, s, r, "--max", "4", "--", "--partition=nowhere")
    p.says("3 workers in a row failed to start, no more are started for 1m. The last: sbatch ended with code 1: sbatch: error: ")
    t.true("invalid partition specified: nowhere" in p.text, p.text)
    p.kill()
    finishes(t, s, r)


@scenario("engines", "slurm")
def a_job_that_cannot_start_shows_the_last_it_said(t):
    s, r = Slurm(t), Run(t)
    p = slurm_scale(t, s, r, "--max", "3", "--worker", "/nowhere/tranche-worker")
    p.says("workers in a row failed to start, no more are started for 1m. The last: task ")
    t.true(re.search(r"task \d+_\d ended as F: .*/nowhere/tranche-worker: not found", p.text), p.text)
    t.equal([], s.jobs("PD,R,CG"), "tasks left")
    p.kill()
    finishes(t, s, r)


@scenario("engines", "slurm")
def what_has_not_begun_is_given_back_when_nothing_waits(t):
    s, r = Slurm(t), Run(t)
    p = slurm_scale(t, s, r, "--max", "8", "--slots", str(CPUS), "--idle-timeout", "10m")
    t.wait_until(lambda: sorted(s.jobs()) == ["PD"] * (8 - NODES) + ["R"] * NODES, "all nodes are full, and four tasks wait")
    r.feed.flows.clear()
    t.wait_until(lambda: set(s.jobs()) == {"CA", "R"}, "those that waited were cancelled")
    t.equal(NODES, s.jobs().count("R"), "tasks that run")
    r.ends()
    p.ends(0)


@scenario("engines", "slurm")
def sigterm_takes_the_jobs_along(t):
    s, r = Slurm(t), Run(t)
    p = slurm_scale(t, s, r, "--max", "4")
    r.workers(lambda n: n == 4)
    os.killpg(p.p.pid, signal.SIGTERM)
    p.ends(130)
    t.wait_until(lambda: not s.jobs("PD,R,CG"), "no task is left")
    r.workers(lambda n: n == 0)
    finishes(t, s, r)
    t.wait_until(lambda: not processes(r.access), "no worker is left")


@scenario("engines", "slurm")
def the_batch_that_is_shown_is_a_batch(t):
    s, r = Slurm(t), Run(t)
    os.environ.update(s.env)
    shown = t.run("scale", "--launcher", "slurm", "--max", "2", "--dry-run", "--access", r.access, "--worker",
                  os.path.join(t.build, "tranche-worker"), "--", "--comment=a b $c").out.splitlines()
    t.equal(["sbatch", "squeue", "scancel"], [line.split()[0] for line in shown], "commands")
    os.makedirs(t.path(".tranche", "workers"), exist_ok=True)
    subprocess.run(["sh", "-c", shown[0]], env=t.env(**s.env), cwd=t.dir, check=True, stdout=subprocess.DEVNULL)
    r.workers(lambda n: n == 2)
    t.true(s.call("squeue", "-h", "-o", "%k").splitlines()[0] == "a b $c", "the comment")
    r.ends()
    t.wait_until(lambda: not s.jobs("PD,R,CG"), "they leave with the run")
