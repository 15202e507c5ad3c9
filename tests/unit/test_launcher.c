// The launchers with engines that are scripts: what the real ones say seldom.

#include "coordinator/launcher.h"
#include "tests/folder.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[TEST_FOLDER], logs[96], old_path[4096];
static struct err e;
static struct launcher_opts opts;

static const char *at(const char *name)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

// In PATH, before the real ones. $D is the test's folder; each call is written to `calls`.
static void script(const char *name, const char *body)
{
    char text[1000];
    snprintf(text, sizeof text, "#!/bin/sh\nD=%s\necho \"%s $*\" >>$D/calls\n%s\n", dir,
             name, body);
    put(name, text);
    assert_int_equal(0, chmod(at(name), 0755));
}

static char *calls(void)
{
    static char text[8192];
    FILE *f = fopen(at("calls"), "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = 0;
    if (f) fclose(f);
    unlink(at("calls"));
    return text;
}

static int fresh(void **state)
{
    char path[4300];
    (void)state;
    if (folder_make(dir, "test_launcher") != 0) return -1;
    snprintf(logs, sizeof logs, "%s/logs", dir);
    snprintf(old_path, sizeof old_path, "%s", getenv("PATH"));
    snprintf(path, sizeof path, "%s:%s", dir, old_path);
    setenv("PATH", path, 1);
    opts = (struct launcher_opts){ .worker = "worker",
                                   .access = "a.access",
                                   .idle_timeout_ms = 60000,
                                   .service = "worker",
                                   .logs = logs };
    return 0;
}

static int finish(void **state)
{
    (void)state;
    setenv("PATH", old_path, 1);
    return folder_remove(dir);
}

static struct launcher *launch(const struct launcher_ops *ops)
{
    struct launcher *l = NULL;
    PASS(&e, ops->open(&l, &opts, &e));
    return l;
}

static struct launcher_count count(const struct launcher_ops *ops, struct launcher *l)
{
    struct launcher_count c;
    PASS(&e, ops->count(l, &c, &e));
    return c;
}

// ---- ssh ----

static void no_hosts(const char *text, const char *says)
{
    struct launcher *l = NULL;
    put("hosts", text);
    opts.hosts = at("hosts");
    char hosts[200], want[400];
    snprintf(hosts, sizeof hosts, "%s", opts.hosts);
    opts.hosts = hosts;
    EXPECT(ERR_INVALID, &e, launcher_ssh.open(&l, &opts, &e));
    snprintf(want, sizeof want, "%s%s", hosts, says);
    assert_string_equal(want, e.text);
    assert_null(l);
}

static void mistakes_in_a_hosts_file_have_their_line(void **state)
{
    (void)state;
    no_hosts("", " names no host: write one a line, with its slots behind it");
    no_hosts("# nobody\n\n  \n",
             " names no host: write one a line, with its slots behind it");
    no_hosts("anna\n-oProxyCommand=x\n",
             ":2: '-oProxyCommand=x' is no host: it begins with a dash");
    no_hosts("anna 0\n",
             ":1: '0': behind the host stands how many slots it has, 1 to 1024, "
             "and nothing else");
    no_hosts("anna many\n",
             ":1: 'many': behind the host stands how many slots it has, 1 to "
             "1024, and nothing else");
    no_hosts("anna 4 bob\n",
             ":1: 'bob': behind the host stands how many slots it has, 1 to "
             "1024, and nothing else");
}

static struct launcher *ssh_to(const char *hosts)
{
    static char path[160];
    put("hosts", hosts);
    snprintf(path, sizeof path, "%s", at("hosts"));
    opts.hosts = path;
    return launch(&launcher_ssh);
}

static void wait_for(const struct launcher_ops *ops, struct launcher *l, uint32_t up,
                     struct launcher_count *sum)
{
    *sum = (struct launcher_count){ 0 };
    for (ns_t until = clock_ns() + 60 * NS_S; clock_ns() < until;) {
        struct launcher_count c = count(ops, l);
        sum->failed += c.failed;
        sum->ended_well += c.ended_well;
        if (c.why[0]) memcpy(sum->why, c.why, sizeof c.why);
        sum->up = c.up;
        if (c.up == up) return;
        usleep(1000);
    }
    fail_msg("%u workers are up, not %u", sum->up, up);
}

static void each_host_gets_one_worker_with_its_slots(void **state)
{
    (void)state;
    struct launcher_count c;
    script("ssh", "cat >/dev/null");
    opts.slots = 2;
    struct launcher *l = ssh_to("anna 4 # big\r\nuser@bob\nssh://carl:2222 slots=8\n");
    EQ_I64(3, launcher_ssh.room(l));
    PASS(&e, launcher_ssh.start(l, 1, true, &e));
    PASS(&e, launcher_ssh.start(l, 9, false, &e));
    wait_for(&launcher_ssh, l, 3, &c);
    PASS(&e, launcher_ssh.stop(l, 3, &e)); // they leave by themselves
    EQ_I64(3, count(&launcher_ssh, l).up);
    PASS(&e, launcher_ssh.close(&l, false, &e));
    assert_null(l);
    const char *said = calls();
    assert_non_null(strstr(said, "-- anna exec /bin/sh -c"));
    assert_non_null(strstr(said, " worker --access a.access --slots 4\n"));
    assert_non_null(strstr(said, "worker --access a.access --slots 2 --idle-timeout 1m\n"));
    assert_non_null(strstr(said, "-- ssh://carl:2222 exec"));
    assert_non_null(strstr(said, "--slots 8 --idle-timeout 1m\n"));
}

static void a_host_that_failed_is_the_last_to_be_tried_again(void **state)
{
    (void)state;
    struct launcher_count c;
    script("ssh",
           "case \"$*\" in *anna*) echo 'no route' >&2; exit 255;; esac; cat >/dev/null");
    struct launcher *l = ssh_to("anna\nbob\ncarl\n");
    PASS(&e, launcher_ssh.start(l, 1, false, &e));
    wait_for(&launcher_ssh, l, 0, &c);
    while (c.failed == 0)
        wait_for(&launcher_ssh, l, 0, &c);
    assert_string_equal("anna: ssh ended with code 255: no route", c.why);
    PASS(&e, launcher_ssh.start(l, 2, false, &e));
    calls();
    EQ_I64(2, count(&launcher_ssh, l).up);
    PASS(&e, launcher_ssh.start(l, 1, false, &e));
    wait_for(&launcher_ssh, l, 2, &c);
    PASS(&e, launcher_ssh.close(&l, false, &e));
}

// ---- Slurm ----

static void what_squeue_says_is_counted_and_each_end_once(void **state)
{
    (void)state;
    script("sbatch", "echo 77");
    script("squeue", "cat $D/queue");
    script("scancel", "");
    put("queue", "77 0 R\n77 1 PD\n77 2 CF\n77 3 CG\n77 4 F\n77 5 CD\n77 6 TO\n77 N/A "
                 "CA\nnonsense\n");
    struct launcher *l = launch(&launcher_slurm);
    put("logs/77_4.log", "cannot read a.access\n");
    EQ_I64(0, count(&launcher_slurm, l).up); // nothing was started yet: nobody is asked
    assert_string_equal("", calls());
    PASS(&e, launcher_slurm.start(l, 6, false, &e));
    struct launcher_count c = count(&launcher_slurm, l);
    EQ_I64(2, c.up);
    EQ_I64(2, c.pending);
    EQ_I64(1, c.failed);
    EQ_I64(1, c.ended_well);
    assert_string_equal("task 77_4 ended as F: cannot read a.access", c.why);
    c = count(&launcher_slurm, l);
    EQ_I64(0, c.failed + c.ended_well);
    put("queue", "77 0 OOM\n");
    c = count(&launcher_slurm, l);
    EQ_I64(1, c.failed);
    assert_non_null(
        strstr(c.why, "task 77_0 ended as OOM: what it said cannot be read here: /"));
    put("queue", "");
    EQ_I64(0, count(&launcher_slurm, l).up);
    PASS(&e, launcher_slurm.close(&l, false, &e));
    assert_non_null(strstr(calls(), "scancel --name=tranche-"));
}

static void only_tasks_that_have_not_begun_are_cancelled(void **state)
{
    (void)state;
    script("sbatch", "echo 77");
    script("squeue", "cat $D/queue");
    script("scancel", "");
    put("queue", "77 0 R\n77 1 PD\n77 2 PD\n77 3 PD\n");
    struct launcher *l = launch(&launcher_slurm);
    PASS(&e, launcher_slurm.start(l, 4, false, &e));
    EQ_I64(3, count(&launcher_slurm, l).pending);
    calls();
    PASS(&e, launcher_slurm.stop(l, 2, &e));
    assert_string_equal("scancel --state=PENDING 77_3 77_2\n", calls());
    count(&launcher_slurm, l);
    calls();
    PASS(&e, launcher_slurm.stop(l, 4, &e));
    assert_string_equal("scancel --state=PENDING 77_3 77_2 77_1\n", calls());
    PASS(&e, launcher_slurm.close(&l, true, &e));
    assert_string_equal("", calls()); // they are kept
}

static void many_tasks_are_several_arrays(void **state)
{
    (void)state;
    script("sbatch", "case $* in *array=0-499*) exit 1;; esac");
    script("scancel", "");
    struct launcher *l = launch(&launcher_slurm);
    EXPECT(ERR_IO, &e, launcher_slurm.start(l, 2500, false, &e));
    char *said = calls();
    char *first = strstr(said, "--array=0-999 ");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "--array=0-999 "));
    assert_non_null(strstr(said, "--array=0-499 "));
    PASS(&e, launcher_slurm.close(&l, false, &e)); // those that came in are cancelled
    assert_non_null(strstr(calls(), "scancel --name="));
}

static void what_an_sbatch_left_that_was_killed_is_found_and_cancelled(void **state)
{
    (void)state;
    script("sbatch", "kill -9 $$"); // it had submitted, and did not come to say so
    script("squeue", "echo '77 0 R'");
    script("scancel", "");
    struct launcher *l = launch(&launcher_slurm);
    EXPECT(ERR_IO, &e, launcher_slurm.start(l, 1, false, &e));
    EQ_I64(1, count(&launcher_slurm, l).up);
    calls();
    PASS(&e, launcher_slurm.close(&l, false, &e));
    assert_non_null(strstr(calls(), "scancel --name=tranche-"));
}

static void what_slurm_refuses_is_told(void **state)
{
    (void)state;
    script("scancel", "");
    script("sbatch", "echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1");
    struct launcher *l = launch(&launcher_slurm);
    EXPECT(ERR_IO, &e, launcher_slurm.start(l, 4, false, &e));
    assert_string_equal(
        "sbatch ended with code 1: sbatch: error: QOSMaxSubmitJobPerUserLimit", e.text);
    PASS(&e, launcher_slurm.close(&l, false, &e));
    script("sbatch", "");
    script("squeue",
           "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; "
           "exit 1");
    struct launcher_count c;
    l = launch(&launcher_slurm);
    PASS(&e, launcher_slurm.start(l, 1, false, &e));
    EXPECT(ERR_IO, &e, launcher_slurm.count(l, &c, &e));
    script("scancel", "echo gone >&2; exit 1");
    EXPECT(ERR_IO, &e, launcher_slurm.close(&l, false, &e));
    assert_null(l);
}

// ---- docker-compose ----

static void compose_is_told_how_many(void **state)
{
    (void)state;
    script("docker-compose", "case \"$*\" in *ps*) cut -d' ' -f1 $D/queue;; esac");
    script("docker",
           "case $1 in inspect) cat $D/queue;; logs) echo said; echo why >&2;; esac");
    put("queue", "aa running 0\nbb created 0\ncc exited 0\ndd exited 1\n");
    struct launcher *l = launch(&launcher_compose);
    struct launcher_count c = count(&launcher_compose, l);
    EQ_I64(1, c.up);
    EQ_I64(1, c.pending);
    EQ_I64(1, c.ended_well);
    EQ_I64(1, c.failed);
    assert_string_equal("container dd ended with code 1: why", c.why);
    EQ_I64(0, count(&launcher_compose, l).failed);
    calls();
    PASS(&e, launcher_compose.start(l, 3, false, &e));
    assert_non_null(strstr(calls(), " --scale worker=5 worker\n"));
    put("queue", "aa running 0\nbb running 0\ndd running 0\n");
    EQ_I64(3, count(&launcher_compose, l).up);
    put("queue", "aa running 0\nbb running 0\ndd exited 137\n");
    EQ_I64(1, count(&launcher_compose, l).failed); // again
    calls();
    PASS(&e, launcher_compose.stop(l, 1, &e));
    assert_non_null(strstr(calls(), " --scale worker=1 worker\n"));
    PASS(&e, launcher_compose.close(&l, false, &e));
    assert_non_null(strstr(calls(), " --scale worker=0 worker\n"));
}

static void two_starts_of_one_step_add_up(void **state)
{
    (void)state;
    script("docker-compose", "");
    struct launcher *l = launch(&launcher_compose);
    PASS(&e, launcher_compose.start(l, 3, true, &e));
    assert_non_null(strstr(calls(), " --scale worker=3 worker\n"));
    PASS(&e, launcher_compose.start(l, 1, false, &e));
    assert_non_null(strstr(calls(), " --scale worker=4 worker\n"));
    script("docker-compose", "exit 1");
    EXPECT(ERR_IO, &e, launcher_compose.start(l, 2, false, &e));
    script("docker-compose", "");
    calls();
    PASS(&e, launcher_compose.start(l, 1, false, &e));
    assert_non_null(strstr(calls(), " --scale worker=5 worker\n"));
    PASS(&e, launcher_compose.close(&l, true, &e));
}

static void containers_that_others_started_are_left_to_them(void **state)
{
    (void)state;
    script("docker-compose", "");
    struct launcher *l = launch(&launcher_compose);
    EQ_I64(0, count(&launcher_compose, l).up);
    calls();
    PASS(&e, launcher_compose.stop(l, 1, &e));
    PASS(&e, launcher_compose.close(&l, false, &e));
    assert_string_equal("", calls());
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(mistakes_in_a_hosts_file_have_their_line),
        T(each_host_gets_one_worker_with_its_slots),
        T(a_host_that_failed_is_the_last_to_be_tried_again),
        T(what_squeue_says_is_counted_and_each_end_once),
        T(only_tasks_that_have_not_begun_are_cancelled),
        T(many_tasks_are_several_arrays),
        T(what_an_sbatch_left_that_was_killed_is_found_and_cancelled),
        T(what_slurm_refuses_is_told),
        T(compose_is_told_how_many),
        T(two_starts_of_one_step_add_up),
        T(containers_that_others_started_are_left_to_them),
    };
    return test_main("launcher", tests, N_OF(tests), NULL, 0);
}
