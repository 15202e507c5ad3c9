"""Schedules: what stands with the host's scheduler, and what runs that it begins say. The programs
`crontab` and `systemctl` are scripts here; what they are given is checked as the real ones read it."""

import json
import os
import re
import stat
import subprocess
import time

from kit import Skipped, scenario

JOB = "name: {name}\nschedule: {when}\nsource: {{range: 10}}\nload: {{into: 'sqlite:wh.db', table: t, mode: replace}}\n"
CRONTAB = """#!/bin/sh
echo "$*" >>"$FAKE/calls"
[ ! -e "$FAKE/broken" ] || { echo "the spool is locked" >&2; exit 1; }
case "$1" in
-l) [ -e "$FAKE/crontab" ] || { echo "no crontab for $(id -un)" >&2; exit 1; }
    cat "$FAKE/crontab";;
-)  cat >"$FAKE/new" && mv "$FAKE/new" "$FAKE/crontab";;
esac
"""
SYSTEMCTL = """#!/bin/sh
echo "$*" >>"$FAKE/calls"
[ ! -e "$FAKE/broken" ] || { echo "Failed to connect to bus" >&2; exit 1; }
"""


class Host:
    def __init__(self, t):
        self.t = t
        for name, text in (("crontab", CRONTAB), ("systemctl", SYSTEMCTL)):
            os.chmod(t.write(f"bin/{name}", text), stat.S_IRWXU)
        self.env = {"PATH": f"{t.path('bin')}:{os.environ['PATH']}", "FAKE": t.dir, "XDG_CONFIG_HOME": t.path("config"),
                    "TZ": "UTC"}

    def do(self, *args, **kw):
        return self.t.run("schedule", *args, env=dict(self.env, **kw.pop("env", {})), **kw)

    def listed(self, **kw):
        return [json.loads(line) for line in self.do("list", "--output", "json", **kw).out.splitlines()]

    def one(self, name):
        return [x for x in self.listed() if x["name"] == name][0]

    def calls(self):
        path = self.t.path("calls")
        lines = open(path).read().splitlines() if os.path.exists(path) else []
        self.t.write("calls", "")
        return lines

    def crontab(self):
        with open(self.t.path("crontab"), "rb") as f:
            return f.read()

    def unit(self, name):
        with open(self.t.path("config", "systemd", "user", name)) as f:
            return f.read()


def job(t, file="job.yaml", name="sales", when="'0 3 * * 1'"):
    return t.write(file, JOB.format(name=name, when=when))


def as_cron_does(t, line, env):
    """Debian's cron: \\% is %, another % would begin standard input; the rest is sh's."""
    command = line.split(None, 5)[5]
    t.true(not re.search(r"(?<!\\)%", command), f"a bare % in {command}")
    p = subprocess.run(["/bin/sh", "-c", command.replace("\\%", "%")], cwd="/", env=dict(t.env(), **env), capture_output=True,
                       text=True, timeout=240)
    t.equal(0, p.returncode, f"exit code of {command}: {p.stderr}")
    return p


@scenario("schedule", "smoke")
def a_job_stands_in_the_crontab_and_is_taken_out_again(t):
    h = Host(t)
    job(t)
    mine = b"SHELL=/bin/bash\r\n# caf\xc3\xa9 \xff\n\n*/5 * * * * date +\\%s >> x\n@reboot y"
    t.write("crontab", mine)
    t.says(h.do("install", "job.yaml", "--cron"), "sales: installed (cron), 0 3 * * 1; due next at 20")
    t.equal(["-l", "-l", "-"], h.calls(), "calls")
    first = h.crontab()
    t.true(first.startswith(mine + b"\n# tranche-schedule 1 sales\n"), first)
    t.true(first.endswith(b"\n# tranche-schedule end sales\n"), first)
    line = [x for x in first.decode(errors="replace").splitlines() if x.startswith("0 3 * * 1 ")][0]
    t.equal(f"0 3 * * 1 {t.tranche} run {t.path('job.yaml')} --scheduled --progress none", line, "its line")
    t.says(h.do("install", "./job.yaml", "--cron"), "sales: unchanged")
    t.equal(["-l", "-l"], h.calls(), "calls that change nothing")
    t.equal(first, h.crontab(), "the crontab after the same again")
    job(t, when="daily")
    t.says(h.do("list"), "its job says 'daily' now: install it again")
    t.says(h.do("install", "job.yaml", "--cron"), "sales: updated (cron), daily")
    job(t, "b/job.yaml", "b", "hourly")
    h.do("install", "b/job.yaml", "--cron", "--output", "quiet")
    t.equal([("b", "hourly", "cron"), ("sales", "daily", "cron")],
            [(x["name"], x["schedule"], x["by"]) for x in h.listed()], "listed")
    t.says(h.do("remove", "job.yaml"), "sales: removed (cron)")
    t.says(h.do("remove", "b"), "b: removed (cron)")
    t.equal(mine + b"\n", h.crontab(), "the user's lines")
    t.says(h.do("list"), "nothing is scheduled here")


@scenario("schedule")
def the_first_line_of_a_crontab_is_ours_when_there_was_none(t):
    h = Host(t)
    job(t)
    r = h.do("install", "job.yaml", "--cron", "--output", "json").json
    t.equal(("sales", t.path("job.yaml"), "0 3 * * 1", "cron", "installed"),
            tuple(r[k] for k in ("name", "job", "schedule", "by", "status")), "told")
    due = time.gmtime(r["next_ms"] / 1000)
    t.equal((0, 3, 0), (due.tm_wday, due.tm_hour, due.tm_min), "a Monday, at three")
    h.do("remove", "sales")
    t.equal(b"", h.crontab(), "the crontab")


@scenario("schedule")
def installed_at_the_same_moment_none_is_lost(t):
    h = Host(t)
    names = [f"j{i}" for i in range(6)]
    for name in names:
        job(t, f"{name}.yaml", name)
    t.write("crontab", "# mine\n")
    env = dict(t.env(), **h.env)
    all_at_once = [subprocess.Popen([t.tranche, "schedule", "install", f"{name}.yaml", "--cron"], cwd=t.dir, env=env)
                   for name in names]
    t.equal([0] * len(names), [p.wait(240) for p in all_at_once], "exit codes")
    t.equal(names, [x["name"] for x in h.listed()], "listed")
    t.true(h.crontab().startswith(b"# mine\n"), "the user's line")
    all_at_once = [subprocess.Popen([t.tranche, "schedule", "remove", name], cwd=t.dir, env=env) for name in names[1:]]
    t.equal([0] * len(names[1:]), [p.wait(240) for p in all_at_once], "exit codes")
    t.equal(names[:1], [x["name"] for x in h.listed()], "listed")


@scenario("schedule")
def names_of_files_mean_nothing_to_cron_or_systemd(t):
    h = Host(t)
    folder = "a 100% $HOME 'q' \"d\" `x`; #&"
    file = f"{folder}/it's 5% $x.yaml"
    job(t, file)
    h.do("install", file, "--cron", env={"TRANCHE_HOME": "state 7%'s"})
    line = [x for x in h.crontab().decode().splitlines() if x.startswith("0 3 * * 1 ")][0]
    as_cron_does(t, line, h.env)
    t.equal(10, t.one(f"{folder}/wh.db", "SELECT count(*) FROM t"), "rows")
    t.equal(1, t.one("state 7%'s/runs.db", "SELECT count(*) FROM scheduled"), "scheduled runs")
    t.equal("loaded", h.listed()[0]["last_status"], "last_status")
    h.do("remove", file)
    h.do("install", file, "--systemd", "--user", env={"TRANCHE_HOME": "state 7%'s"})
    service = h.unit("tranche-sales.service")
    path = t.path(file).replace('"', '\\"').replace("%", "%%")
    t.true(f'\nExecStart=:"{t.tranche}" run "{path}" --scheduled --progress none\n' in service, service)
    t.true(f'\nEnvironment="TRANCHE_HOME={t.path("state 7%%")}\'s"\n' in service, service)
    t.equal(t.path(file), h.listed()[0]["job"], "job")


@scenario("schedule", "smoke")
def a_job_stands_with_systemd_and_is_taken_out_again(t):
    h = Host(t)
    job(t, when="'30 4 1 * fri'")
    t.says(h.do("install", "job.yaml", "--systemd", "--user"), "sales: installed (systemd --user), 30 4 1 * fri")
    t.equal(["--user daemon-reload", "--user stop tranche-sales.timer", "--user clean --what=state tranche-sales.timer",
             "--user enable --now tranche-sales.timer"], [c for c in h.calls() if c != "-l"], "calls")
    timer = h.unit("tranche-sales.timer")
    for line in ("OnCalendar=*-*-01 04:30:00", "OnCalendar=Fri *-*-* 04:30:00", "Persistent=true", "WantedBy=timers.target"):
        t.true(f"\n{line}\n" in timer, f"{line} in {timer}")
    t.equal(0o644, stat.S_IMODE(os.stat(t.path("config", "systemd", "user", "tranche-sales.timer")).st_mode), "mode")
    t.says(h.do("install", "job.yaml", "--systemd", "--user"), "sales: unchanged")
    t.equal(["--user daemon-reload", "--user enable --now tranche-sales.timer"], [c for c in h.calls() if c != "-l"], "calls")
    t.equal(timer, h.unit("tranche-sales.timer"), "the timer after the same again")
    t.says(h.do("install", "job.yaml", "--cron", want=2),
           "this job is scheduled already, as sales by systemd --user; take that out first")
    h.do("remove", "sales")
    t.equal(["--user disable --now tranche-sales.timer", "--user clean --what=state tranche-sales.timer",
             "--user daemon-reload"], [c for c in h.calls() if c != "-l"], "calls")
    t.equal([], os.listdir(t.path("config", "systemd", "user")), "units left")


@scenario("schedule")
def systemd_itself_is_content_with_the_units(t):
    h = Host(t)
    try:
        subprocess.run(["systemd-analyze", "--version"], capture_output=True, timeout=240, check=True)
    except (OSError, subprocess.SubprocessError):
        raise Skipped("there is no systemd-analyze")
    file = "a 100% $HOME 'q' \"d\"/it's.yaml"
    job(t, file, when="'*/7 1-5 */2 feb-nov mon'")
    h.do("install", file, "--systemd", "--user", env={"TRANCHE_HOME": "s t%"})
    units = [t.path("config", "systemd", "user", f"tranche-sales.{k}") for k in ("timer", "service")]
    p = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=240,
                       env=t.env())
    about = [line for line in p.stderr.splitlines() if "tranche-sales" in line]
    t.equal([], about, "what it says of them")


@scenario("schedule")
def what_cannot_be_done_is_said_and_done_when_it_can(t):
    h = Host(t)
    job(t)
    t.write("crontab", "1 1 1 1 1 mine\n")
    t.write("broken", "")
    t.says(h.do("install", "job.yaml", "--cron", want=1), "crontab ended with code 1: the spool is locked")
    t.says(h.do("list", want=1), "crontab ended with code 1: the spool is locked")
    os.unlink(t.path("broken"))
    t.equal(b"1 1 1 1 1 mine\n", h.crontab(), "the crontab")
    for text, line in (("a\n# tranche-schedule 1 x\nb\n", 2), ("# tranche-schedule end x\n", 1),
                       ("# tranche-schedule 1 x\n# tranche-schedule 1 y\n# tranche-schedule end y\n", 1),
                       ("# tranche-schedule 1 x\n# tranche-schedule end y\n", 1)):
        t.write("crontab", text)
        t.says(h.do("install", "job.yaml", "--cron", want=1), f"line {line} of the crontab is the", "crontab -e")
        t.equal(text.encode(), h.crontab(), "a crontab that nobody understands")
    t.write("crontab", "")
    t.write("bin/crontab", "#!/bin/sh\necho 'You (anna) are not allowed to use this program (crontab)' >&2; exit 1\n")
    t.says(h.do("install", "job.yaml", "--cron", want=1), "crontab ended with code 1: You (anna) are not allowed to use")
    t.says(h.do("list"), "nothing is scheduled here")
    t.write("config/systemd", "")
    t.says(h.do("install", "job.yaml", "--systemd", "--user", want=1), f"cannot read {t.path('config/systemd')}")
    os.unlink(t.path("config/systemd"))
    t.says(h.do("install", "job.yaml", "--systemd", "--user", want=1, env={"PATH": "/nowhere"}),
           "the units are written, but not enabled: cannot start systemctl: No such file or directory")
    t.write("broken", "")
    t.says(h.do("install", "job.yaml", "--systemd", "--user", want=1),
           "the units are written, but not enabled: systemctl ended with code 1: Failed to connect to bus")
    os.unlink(t.path("broken"))
    t.says(h.do("install", "job.yaml", "--systemd", "--user"), "sales: unchanged (systemd --user)")
    t.write("broken", "")
    t.says(h.do("remove", "sales", want=1), "systemctl ended with code 1: Failed to connect to bus")
    os.unlink(t.path("broken"))
    t.equal(["sales"], [x["name"] for x in h.listed()], "what could not be removed is still there")
    t.write("config/systemd/user/tranche-other.timer", "# tranche-schedule 1 other\n# half a file")
    t.equal(["sales"], [x["name"] for x in h.listed()], "a timer that says nothing is not ours")


@scenario("schedule")
def a_unit_of_somebody_else_is_neither_overwritten_nor_removed(t):
    h = Host(t)
    job(t)
    for kind in ("service", "timer"):
        path = t.write(f"config/systemd/user/tranche-sales.{kind}", "[Unit]\nDescription=mine\n")
        t.says(h.do("install", "job.yaml", "--systemd", "--user", want=2),
               f"tranche-sales.{kind} is not of tranche schedule: give the job another name, or remove that unit")
        t.equal("[Unit]\nDescription=mine\n", h.unit(f"tranche-sales.{kind}"), "the unit")
        t.equal([f"tranche-sales.{kind}"], os.listdir(os.path.dirname(path)), "units")
        os.unlink(path)
    h.do("install", "job.yaml", "--systemd", "--user")


@scenario("schedule")
def a_dry_run_shows_all_and_writes_nothing(t):
    h = Host(t)
    job(t)
    r = h.do("install", "job.yaml", "--dry-run", "--systemd", "--user")
    t.says(r, f"==> {t.path('config')}/systemd/user/tranche-sales.timer\n", "OnCalendar=Mon *-*-* 03:00:00\n",
           "systemctl --user enable --now tranche-sales.timer\n")
    t.says(h.do("install", "job.yaml", "--dry-run", "--cron"), "==> crontab\n# tranche-schedule 1 sales\n")
    t.true(not os.path.exists(t.path("config")) and not os.path.exists(t.path("crontab")), "nothing was written")
    t.equal({"-l"}, set(h.calls()), "calls")


@scenario("schedule", "smoke")
def mistakes_about_schedules_are_told(t):
    h = Host(t)
    job(t)
    t.write("none.yaml", "source: {range: 1}\nload: {into: 'null:'}\n")
    job(t, "wrong.yaml", when="dayly")
    job(t, "star.yaml", when="* * * * *")
    job(t, "nameless.yaml", name="'***'")
    job(t, "step.yaml")
    t.write("step.yaml", "steps:\n  - {name: a, schedule: daily, source: {range: 1}, load: {into: 'null:'}}\n")
    for args, says in (
        ((), "say what to do: install, list or remove"),
        (("instal", "job.yaml"), "it is install, list or remove, not 'instal'"),
        (("install",), "install what? Name the job file"),
        (("remove",), "remove what? Name the job file, or what list shows"),
        (("list", "job.yaml"), "list shows all, not 'job.yaml'"),
        (("install", "job.yaml", "none.yaml"), "one job at a time, not also 'none.yaml'"),
        (("install", "job.yaml", "--crno"), "unknown flag '--crno'; did you mean '--cron'?"),
        (("install", "job.yaml", "--output"), "--output needs a value"),
        (("install", "job.yaml", "--output", "xml"), "--output is human, json or quiet, not 'xml'"),
        (("install", "job.yaml", "--cron", "--systemd"), "--systemd and --cron exclude each other"),
        (("install", "job.yaml", "--cron", "--user"), "--user is for systemd"),
        (("list", "--cron"), "--systemd, --user, --cron and --dry-run are for install"),
        (("install", "gone.yaml", "--cron"), "gone.yaml"),
        (("install", "none.yaml", "--cron"), "'none.yaml' has no schedule; write e.g. schedule: weekly into it"),
        (("install", "wrong.yaml", "--cron"), "wrong.yaml:2:1: schedule: 'dayly' is no schedule; did you mean 'daily'?"),
        (("install", "star.yaml", "--cron"), "star.yaml:2:12: not valid YAML: a text that begins with * wants quotes"),
        (("install", "nameless.yaml", "--cron"), "has neither a letter nor a digit"),
        (("install", "step.yaml", "--cron"), "step.yaml:2:15: schedule: a step has none; it stands at the top, beside steps"),
        (("remove", "salse"), "'salse' is not scheduled"),
    ):
        t.says(h.do(*args, want=2), says)
    h.do("install", "job.yaml", "--cron")
    t.says(h.do("remove", "salse", want=2), "'salse' is not scheduled; did you mean 'sales'?")
    job(t, "other/job.yaml")
    t.says(h.do("install", "other/job.yaml", "--cron", want=2), "sales is the schedule of ", "give the job another name")
    job(t, "back\\slash.yaml", "back")
    t.says(h.do("install", "back\\slash.yaml", "--cron", want=2), "has a backslash, which crons read differently")
    job(t, "line\nend.yaml", "end")
    t.says(h.do("install", "line\nend.yaml", "--systemd", want=2), "has a character that no schedule can hold; rename it")
    t.says(h.do("install", "/dev/stdin", "--cron", want=2, input=open(t.path("job.yaml"), "rb").read()),
           "'/dev/stdin' is no plain file, and a schedule needs one that stays")
    deep = "/".join(["x" * 200] * 5) + "/job.yaml"
    job(t, deep, "deep")
    t.says(h.do("install", deep, "--cron", want=2), "and cron takes 990: shorten the path of the job")
    t.says(t.run("run", "--range", "1", "--into", "null:", "--scheduled", want=2), "only the job of a file has a schedule")
    t.says(h.do("--help"), "Usage: tranche schedule install JOB.yaml")
    if not os.path.isdir("/run/systemd/system"):
        t.says(h.do("install", "none.yaml", env={"PATH": "/nowhere"}, want=2), "has no schedule")
        h.do("remove", "sales")
        t.says(h.do("install", "job.yaml", env={"PATH": "/nowhere"}, want=2), "neither systemd nor cron runs here")
        t.says(h.do("install", "job.yaml"), "sales: installed (cron)")


def back(t, db, hours):
    """As if what is in the history had been earlier."""
    t.execute(db, f"UPDATE runs SET started_ms = started_ms - {hours} * 3600000")
    t.execute(db, f"UPDATE scheduled SET began_ms = began_ms - {hours} * 3600000, ended_ms = ended_ms - {hours} * 3600000")


@scenario("schedule", "smoke")
def a_missed_run_is_said_by_the_next_one_and_by_list(t):
    h = Host(t)
    job(t, when="hourly")
    h.do("install", "job.yaml", "--cron")
    x = h.one("sales")
    t.equal((0, None), (x["missed"], x.get("last_ms")), "missed, last run")
    r = t.run("run", "job.yaml", "--scheduled", env=h.env)
    t.true("missed" not in r.err and "late" not in r.err, r)
    t.equal("loaded", h.one("sales")["last_status"], "last_status")
    text = h.crontab().decode()
    t.write("crontab", re.sub(r"# since: \d+", "# since: 2020", text))
    back(t, ".tranche/runs.db", 72)
    missed = h.one("sales")["missed"]
    t.true(71 <= missed <= 72, f"missed: {missed}")
    t.says(h.do("list"), " runs were missed, due 20")
    r = t.run("run", "job.yaml", "--scheduled", env=h.env)
    n = int(re.search(r"tranche: sales: (\d+) runs were missed, due \S+ \S+ to ", r.err)[1])
    t.true(70 <= n <= 72, r)
    t.equal(0, h.one("sales")["missed"], "missed")
    r = t.run("run", "job.yaml", "--scheduled", "--output", "quiet", env=h.env)
    t.equal("", r.err, "what a quiet one says")
    # A run by hand counts too, and one that is late says so.
    back(t, ".tranche/runs.db", 72)
    t.run("run", "job.yaml", env=h.env)
    t.equal(0, h.one("sales")["missed"], "missed")
    now = time.gmtime()
    job(t, when=f"'{now.tm_min} {(now.tm_hour - 3) % 24} * * *'")
    back(t, ".tranche/runs.db", 23)
    r = t.run("run", "job.yaml", "--scheduled", env=h.env)
    t.true(re.search(r"sales: due at \S+ \S+, it begins [23] h \d+ min late", r.err), r)
    job(t, when="'* * * * *'")
    back(t, ".tranche/runs.db", 2000)
    r = t.run("run", "job.yaml", "--scheduled", env=h.env)
    t.says(r, "sales: more than 100000 runs were missed, due 20", " to now")


@scenario("schedule")
def overlapping_runs_are_refused(t):
    h = Host(t)
    t.write("wait.py", "import os, sys, time\nopen(os.environ['HERE'], 'w').close()\n"
            "while not os.path.exists(os.environ['GO']): time.sleep(0.01)\nsys.stdout.write(sys.stdin.read())\n")
    t.write("job.yaml", "name: slow\nschedule: hourly\nsource: {range: 10}\n"
            f"transform: {{exec: [python3, wait.py], sandbox: none, env: {{HERE: '{t.path('here')}', GO: '{t.path('go')}'}}}}\n"
            "load: {into: 'sqlite:wh.db', table: t, mode: replace}\n")
    h.do("install", "job.yaml", "--cron")
    p = t.start("run", t.path("job.yaml"), "--scheduled", env=h.env)
    t.wait_until(lambda: os.path.exists(t.path("here")), "the run works")
    t.equal("running", h.one("slow")["last_status"], "last_status")
    r = t.run("run", "job.yaml", "--scheduled", "--output", "json", env=h.env, want=1)
    t.says(r, "slow: the run before has not ended: another run of this load is going on: process ")
    t.equal("failed", r.json["status"], "status")
    t.equal("refused", h.one("slow")["last_status"], "last_status")
    t.write("go", "")
    t.equal(0, t.finish(p).code, "exit code of the first")
    t.run("run", "job.yaml", "--scheduled", env=h.env)
    t.equal(10, t.one("wh.db", "SELECT count(*) FROM t"), "rows")


@scenario("schedule")
def a_scheduled_run_that_is_killed_was_interrupted_and_goes_on(t):
    h = Host(t)
    job(t, when="hourly")
    h.do("install", "job.yaml", "--cron")
    t.run("run", "job.yaml", "--scheduled", env=h.env)
    t.execute(".tranche/runs.db", "UPDATE scheduled SET ended_ms = NULL, exit_code = NULL, holder = '999999999@' || "
              "substr(holder, instr(holder, '@') + 1)")
    t.execute(".tranche/runs.db", "DELETE FROM runs")
    t.equal("interrupted", h.one("sales")["last_status"], "last_status")
    t.run("run", "job.yaml", "--scheduled", env=h.env)
    t.equal("loaded", h.one("sales")["last_status"], "last_status")


@scenario("schedule")
def a_history_that_cannot_be_kept_is_said_and_stops_no_run(t):
    h = Host(t)
    job(t, when="hourly")
    os.makedirs(t.path(".tranche", "runs.db"))
    r = t.run("run", "job.yaml", "--scheduled", env=h.env)
    t.says(r, "sales: which runs were missed is not known: ", "sales: no history is kept of this scheduled run: ")
    t.equal(10, t.one("wh.db", "SELECT count(*) FROM t"), "rows")
    h.do("install", "job.yaml", "--cron")
    t.says(h.do("list", want=1), "runs.db")
    # A home that is no folder: there is no lock either, and so no run.
    t.write("file", "")
    r = t.run("run", "job.yaml", "--scheduled", env=dict(h.env, TRANCHE_HOME=t.path("file")), want=1)
    t.says(r, "is in the way: a folder is needed there")


@scenario("schedule")
def a_pipeline_has_a_schedule_and_a_run_that_skips_all_is_no_missed_one(t):
    h = Host(t)
    t.write("in.csv", "a\n1\n2\n")
    t.write("p.yaml", "name: nightly\nschedule: daily\nsteps:\n"
            "  - {name: one, source: {csv: in.csv}, load: {into: 'sqlite:wh.db', table: a, mode: replace}}\n"
            "  - {name: two, needs: one, source: {sqlite: wh.db, sqlite_table: a}, load: {into: csv:b.csv, mode: replace}}\n")
    t.says(t.run("check", "p.yaml", env=h.env), "schedule daily: due next at 20")
    h.do("install", "p.yaml", "--cron")
    for k in range(2):
        r = t.run("run", "p.yaml", "--scheduled", "--output", "json", env=h.env)
        t.equal({"skipped"} if k else {"loaded"}, {s["status"] for s in r.json["steps"]}, "steps")
        x = h.one("nightly")
        t.equal(("loaded", 0, 0), (x["last_status"], x["last_exit_code"], x["missed"]), "last run")
        back(t, ".tranche/runs.db", 50)
    t.says(h.do("list"), "nightly", "daily")
    r = t.run("run", "p.yaml", "--scheduled", env=h.env)
    t.true(re.search(r"tranche: nightly: (1 run was|2 runs were) missed, due ", r.err), r)


@scenario("schedule")
def check_says_when_a_job_is_due(t):
    h = Host(t)
    job(t, when="yearly")
    t.says(t.run("check", "job.yaml", env=h.env), "schedule yearly: due next at 20", "-01-01 00:00")
    r = t.run("check", "job.yaml", "--output", "json", env=h.env).json
    t.equal("yearly", r["schedule"], "schedule")
    t.true(r["next_ms"] > time.time() * 1000, r)
    # It is no part of the load's identity.
    t.write("in.csv", "a\n1\n")
    text = "name: x\nsource: {csv: in.csv}\nload: {into: 'sqlite:x.db', table: t}\n"
    t.write("job.yaml", text)
    t.run("run", "job.yaml")
    t.write("job.yaml", "schedule: weekly\n" + text)
    t.equal(0, t.run("run", "job.yaml", "--output", "json").json["rows_read"], "rows read again")
