#include "coordinator/cli_jobs.h"

#include "common/conf.h"
#include "common/opt.h"
#include "common/say.h"
#include "common/suggest.h"
#include "common/text.h"
#include "coordinator/backlog_json.h"
#include "coordinator/cli.h"
#include "coordinator/client.h"
#include "coordinator/report.h"
#include "coordinator/submission.h"
#include "coordinator/words.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { LIST_ALL = 1000, LIST_OVER = 20 };

struct asked {
    struct words words;
    struct client client;
    const char *state, *access, *output_text, *id_text;
    enum job_output output;
    uint64_t id;
    struct buf submission; // that is handed over: the client has borrowed it
    FILE *say, *complain;
    struct err e;
    err_t rc;
};

static int failed(struct asked *k)
{
    size_t n = strlen(k->e.text);
    while (n && k->e.text[n - 1] == '\n') // what the server found may be several lines
        k->e.text[--n] = 0;
    if (strncmp(k->e.text, "tranche: ", 9) == 0)
        say_to(k->complain, "%s\n", k->e.text);
    else
        say_to(k->complain, "tranche: %s: %s\n", k->words.command, k->e.text);
    return k->rc == ERR_INVALID || k->rc == ERR_TOOBIG || k->rc == ERR_PARSE
               ? CLI_USAGE
               : CLI_INFRASTRUCTURE;
}

static int open_client(struct asked *k)
{
    k->rc = client_open(&k->client, k->state, k->access, &k->e);
    return k->rc == ERR_OK ? -1 : failed(k);
}

static struct slice nothing(void)
{
    return (struct slice){ 0 };
}

static void text_of(struct msg_str s, char *out, size_t size)
{
    snprintf(out, size, "%.*s", (int)s.n, s.p);
}

// ---- one job ----

static void json_member(FILE *to, const char *key, struct msg_str s)
{
    char text[4200];
    text_of(s, text, sizeof text);
    fprintf(to, ",\"%s\":", key);
    json_string(text, to);
}

static void json_job(const struct msg_ENTRY *j, FILE *to)
{
    const struct msg_str from[] = {
        j->name, j->owner, j->folder, j->file, j->run, j->text
    };
    char text[6][4200];
    for (int i = 0; i < 6; i++)
        text_of(from[i], text[i], sizeof text[i]);
    const struct backlog_job job = { .id = (int64_t)j->job,
                                     .state = (enum backlog_state)j->state,
                                     .priority = (uint32_t)j->priority,
                                     .starts = (uint32_t)j->starts,
                                     .stopping = j->stopping,
                                     .exit_code = (int)j->exit_code,
                                     .submitted_ms = (int64_t)j->submitted_ms,
                                     .started_ms = (int64_t)j->started_ms,
                                     .ended_ms = (int64_t)j->ended_ms,
                                     .name = text[0],
                                     .owner = text[1],
                                     .folder = text[2],
                                     .file = text[3],
                                     .run = text[4],
                                     .error = text[5] };
    fputc('{', to);
    backlog_json(&job, to);
    fputs("}\n", to);
}

static void when(uint64_t ms, char out[32])
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm = { 0 };
    snprintf(out, 32, "-");
    localtime_r(&t, &tm); // of any number of milliseconds: its year has nine digits at most
    if (ms) strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

static void show_job(const struct msg_ENTRY *j, bool first, FILE *to)
{
    char submitted[32], ended[32], code[16] = "-", name[64], owner[64];
    when(j->submitted_ms, submitted);
    when(j->ended_ms, ended);
    text_of(j->name, name, sizeof name);
    text_of(j->owner, owner, sizeof owner);
    if (backlog_is_over(j->state)) snprintf(code, sizeof code, "%d", (int)j->exit_code);
    if (first)
        say_to(to, "%6s  %-10s %4s %4s  %-19s  %-19s  %-12s %s\n", "job", "state", "prio",
               "exit", "submitted", "ended", "owner", "name");
    say_to(to, "%6llu  %-10s %4llu %4s  %-19s  %-19s  %-12s %s\n",
           (unsigned long long)j->job,
           j->stopping ? "stopping" : backlog_state_text(j->state),
           (unsigned long long)j->priority, code, submitted, ended, owner, name);
}

static int flushed(struct asked *k, int code)
{
    if (fflush(k->say) == 0 && !ferror(k->say)) return code;
    say_to(k->complain, "tranche: cannot write to standard output\n");
    return CLI_INFRASTRUCTURE;
}

// ---- wait ----

struct waiting {
    struct asked *k;
    int code;
};

static void say_end(struct asked *k, const struct msg_ENTRY *j)
{
    char name[200], text[1024];
    text_of(j->name, name, sizeof name);
    text_of(j->text, text, sizeof text);
    if (k->output == OUTPUT_JSON) json_job(j, k->say);
    if (k->output != OUTPUT_HUMAN) return;
    say_to(k->say, "job %llu (%s) %s, exit code %d%s%s\n", (unsigned long long)j->job, name,
           j->state == BACKLOG_CANCELLED ? "was cancelled" : "has ended", (int)j->exit_code,
           text[0] ? ": " : "", text);
}

static enum client_next on_end(void *arg, const struct msg *m, struct slice payload)
{
    struct waiting *w = arg;
    (void)payload;
    if (!m || m->type != MSG_ENTRY || !backlog_is_over(m->ENTRY.state)) return CLIENT_MORE;
    say_end(w->k, &m->ENTRY);
    w->code = (int)(m->ENTRY.exit_code & 255);
    return CLIENT_DONE;
}

static int wait_for(struct asked *k, uint64_t id)
{
    struct waiting w = { .k = k };
    struct msg m = { .type = MSG_WATCH, .WATCH = { id } };
    k->rc = client_ask(&k->client, &m, nothing(), on_end, &w, &k->e);
    return k->rc == ERR_OK ? flushed(k, w.code) : failed(k);
}

static int do_wait(struct asked *k)
{
    return wait_for(k, k->id);
}

// ---- submit ----

static err_t name_folder(struct submission *s, struct err *e)
{
    s->folder = getcwd(NULL, 0);
    return s->folder ? ERR_OK : err_sys(e, "cannot find the current folder");
}

// What is wrong with the job is said here, every mistake of it.
static int read_job(struct asked *k, struct submission *s)
{
    struct cli c;
    static char listen_flag[] = "--listen", somewhere[] = "tcp://127.0.0.1:0";
    char *more[] = { listen_flag, somewhere, NULL }; // the server has a port, or says so
    int code = submission_read(s, more, &c, k->say, k->complain);
    if (code == CLI_INTERRUPTED) { // it has said nothing
        k->rc = err_set(&k->e, ERR_NOMEM, "out of memory");
        code = failed(k);
    }
    if (code < 0 && c.arg) {
        k->rc = conf_read_file(c.arg, &s->text, &k->e);
        if (k->rc == ERR_OK && !(s->file = strdup(c.arg)))
            k->rc = err_set(&k->e, ERR_NOMEM, "out of memory");
        if (k->rc != ERR_OK) code = failed(k);
    }
    cli_close(&c);
    return code;
}

struct taken {
    uint64_t job;
    bool again;
};

static enum client_next on_taken(void *arg, const struct msg *m, struct slice payload)
{
    struct taken *t = arg;
    (void)payload;
    if (!m || m->type != MSG_TAKEN) return CLIENT_MORE;
    *t = (struct taken){ m->TAKEN.job, m->TAKEN.again };
    return CLIENT_DONE;
}

static void say_taken(struct asked *k, const struct taken *t, bool wait)
{
    if (k->output == OUTPUT_JSON && !wait)
        fprintf(k->say, "{\"job\":%llu,\"again\":%s}\n", (unsigned long long)t->job,
                t->again ? "true" : "false");
    else if (k->output == OUTPUT_HUMAN)
        say_to(k->say, "job %llu%s\n", (unsigned long long)t->job,
               t->again ? ", as before: it was submitted already" : "");
    fflush(k->say);
}

static int hand_over(struct asked *k, const struct submission *s, const char *token,
                     uint64_t priority, struct taken *t)
{
    struct msg m = { .type = MSG_SUBMIT, .SUBMIT = { .priority = priority } };
    struct hash128 random = { 0 };
    if (token)
        random = hash_bytes(token, strlen(token));
    else if (getrandom(&random, sizeof random, 0) != sizeof random)
        random.lo = (uint64_t)getpid() ^ (uint64_t)clock_wall_ms() << 16;
    m.SUBMIT.token = random;
    k->rc = submission_encode(s, &k->submission, &k->e);
    int code = k->rc == ERR_OK ? open_client(k) : failed(k);
    if (code >= 0) return code;
    struct slice p = { k->submission.p, k->submission.n };
    k->rc = client_ask(&k->client, &m, p, on_taken, t, &k->e);
    // A token of our own was known because the first answer came too late.
    t->again &= token != NULL;
    return k->rc == ERR_OK ? -1 : failed(k);
}

static int submit(struct asked *k, struct submission *s, const char *token,
                  uint64_t priority, bool wait)
{
    struct taken t = { 0 };
    int code = read_job(k, s);
    if (code >= 0) return code ? code : CLI_USAGE;
    k->rc = name_folder(s, &k->e);
    code = k->rc == ERR_OK ? hand_over(k, s, token, priority, &t) : failed(k);
    if (code >= 0) return code;
    say_taken(k, &t, wait);
    return wait ? wait_for(k, t.job) : flushed(k, CLI_OK);
}

// Run's own flags are read later; one that is nobody's may be meant as one of these.
static int own_flags(const struct words *w, const struct strings *rest)
{
    for (size_t i = 0; i < rest->n; i++) {
        char name[64];
        struct suggest s = { .word = name + 2 };
        snprintf(name, sizeof name, "%.*s", (int)strcspn(rest->v[i], "="), rest->v[i]);
        if (strncmp(name, "--", 2) != 0 || opt_by_flag(name + 2)) continue;
        for (const struct word *x = w->all; x->flag; x++)
            suggest_offer(&s, x->flag + 2);
        size_t own = s.best ? s.distance : SIZE_MAX;
        for (size_t k = 0; k < opt_n; k++)
            if (opt_table[k].flag) suggest_offer(&s, opt_table[k].flag);
        if (s.best && s.distance == own)
            return words_wrong(w, "unknown flag %s; did you mean '--%s'?",
                               text_quoted(rest->v[i], (char[TEXT_QUOTED]){ 0 }), s.best);
    }
    return -1;
}

static int do_submit(struct asked *k, int argc, char **argv)
{
    const char *priority = NULL, *token = NULL;
    bool wait = false;
    uint64_t n = BACKLOG_PRIORITY;
    struct submission s = { 0 };
    const struct word all[] = {
        { "--priority", &priority, NULL },
        { "--wait", NULL, &wait },
        { "--token", &token, NULL },
        { "--output", &k->output_text, NULL },
        { "--state", &k->state, NULL },
        { "--access", &k->access, NULL },
        { NULL, NULL, NULL },
    };
    k->words.all = all;
    k->words.rest = &s.words;
    int code = words_read(&k->words, argc, argv);
    if (code < 0) code = own_flags(&k->words, &s.words);
    k->words.all = NULL;
    k->words.rest = NULL;
    if (code < 0 && !words_output(&k->words, k->output_text, &k->output)) code = CLI_USAGE;
    if (code < 0 && priority &&
        !words_number(&k->words, "--priority", priority, 0, BACKLOG_PRIORITY_MAX, &n))
        code = CLI_USAGE;
    if (code < 0) code = submit(k, &s, token, n, wait);
    submission_free(&s);
    return code;
}

// ---- jobs ----

struct listed { // the answers so far, encoded one behind the other
    enum msg_type what;
    struct buf rows;
    uint64_t n, over;
    bool no_memory;
};

static enum client_next on_listed(void *arg, const struct msg *m, struct slice payload)
{
    struct listed *l = arg;
    (void)payload;
    if (!m) l->n = l->over = 0, l->rows.n = 0;
    if (m && m->type == l->what) {
        if (msg_append(m, NULL, &l->rows, NULL) != ERR_OK) l->no_memory = true;
        l->n++;
        l->over += m->type == MSG_ENTRY && backlog_is_over(m->ENTRY.state);
    }
    if (!m || m->type != MSG_DONE) return CLIENT_MORE;
    // One that got lost is asked for again, in a while.
    return m->DONE.count == l->n ? CLIENT_DONE : CLIENT_MORE;
}

static void show_jobs(struct asked *k, const struct listed *l, bool all)
{
    uint64_t left = l->over, n = 0;
    size_t used = 0;
    for (size_t at = 0; at < l->rows.n; at += used) {
        struct msg m;
        struct slice none;
        if (msg_decode_next(l->rows.p + at, l->rows.n - at, &m, &none, &used, &k->e)) break;
        bool over = backlog_is_over(m.ENTRY.state);
        if (over && !all && left-- > LIST_OVER) continue;
        if (k->output == OUTPUT_JSON) json_job(&m.ENTRY, k->say);
        if (k->output == OUTPUT_HUMAN) show_job(&m.ENTRY, n == 0, k->say);
        n++;
    }
    if (!n && k->output == OUTPUT_HUMAN) say_to(k->say, "no jobs yet\n");
}

static int do_jobs(struct asked *k, bool all)
{
    struct listed l = { .what = MSG_ENTRY };
    struct msg m = { .type = MSG_LIST, .LIST = { k->id, LIST_ALL } };
    k->rc = client_ask(&k->client, &m, nothing(), on_listed, &l, &k->e);
    if (k->rc == ERR_OK && l.no_memory) k->rc = err_set(&k->e, ERR_NOMEM, "out of memory");
    if (k->rc == ERR_OK && k->id && !l.n)
        k->rc =
            err_set(&k->e, ERR_INVALID, "there is no job %llu", (unsigned long long)k->id);
    if (k->rc == ERR_OK) show_jobs(k, &l, all || k->id);
    buf_free(&l.rows);
    return k->rc == ERR_OK ? flushed(k, CLI_OK) : failed(k);
}

// ---- workers ----

static void json_worker(const struct msg_MEMBER *w, FILE *to)
{
    fprintf(to, "{\"job\":%llu,\"slots\":%llu,\"since_ms\":%llu,\"leaving\":%s",
            (unsigned long long)w->job, (unsigned long long)w->slots,
            (unsigned long long)w->since_ms, w->leaving ? "true" : "false");
    json_member(to, "worker", w->name);
    json_member(to, "host", w->host);
    json_member(to, "doing", w->doing);
    fputs("}\n", to);
}

static void show_worker(const struct msg_MEMBER *w, bool first, FILE *to)
{
    char since[32], name[65], host[65], doing[301];
    when(w->since_ms, since);
    text_of(w->name, name, sizeof name);
    text_of(w->host, host, sizeof host);
    text_of(w->doing, doing, sizeof doing);
    if (first)
        say_to(to, "%-20s %-20s %5s  %-19s %6s  %s\n", "worker", "host", "slots", "since",
               "job", "works on");
    say_to(to, "%-20s %-20s %5llu  %-19s %6llu  %s%s\n", name, host,
           (unsigned long long)w->slots, since, (unsigned long long)w->job, doing,
           w->leaving ? " (leaving)" : "");
}

static int do_workers(struct asked *k)
{
    struct listed l = { .what = MSG_MEMBER };
    struct msg m = { .type = MSG_CREW, .CREW = { LIST_ALL } }, row;
    struct slice none;
    size_t used = 0;
    k->rc = client_ask(&k->client, &m, nothing(), on_listed, &l, &k->e);
    if (k->rc == ERR_OK && l.no_memory) k->rc = err_set(&k->e, ERR_NOMEM, "out of memory");
    for (size_t at = 0; k->rc == ERR_OK && at < l.rows.n; at += used) {
        if (msg_decode_next(l.rows.p + at, l.rows.n - at, &row, &none, &used, &k->e)) break;
        if (k->output == OUTPUT_JSON) json_worker(&row.MEMBER, k->say);
        if (k->output == OUTPUT_HUMAN) show_worker(&row.MEMBER, at == 0, k->say);
    }
    if (k->rc == ERR_OK && !l.n && k->output == OUTPUT_HUMAN)
        say_to(k->say, "no job runs, or none has workers yet\n");
    buf_free(&l.rows);
    return k->rc == ERR_OK ? flushed(k, CLI_OK) : failed(k);
}

// ---- cancel ----

static enum client_next on_done(void *arg, const struct msg *m, struct slice payload)
{
    (void)payload;
    if (!m || m->type != MSG_DONE) return CLIENT_MORE;
    text_of(m->DONE.text, arg, 1025);
    return CLIENT_DONE;
}

static int do_cancel(struct asked *k)
{
    char text[1025] = "";
    struct msg m = { .type = MSG_ABORT, .ABORT = { k->id } };
    k->rc = client_ask(&k->client, &m, nothing(), on_done, text, &k->e);
    if (k->rc != ERR_OK) return failed(k);
    if (k->output == OUTPUT_HUMAN)
        say_to(k->say, "job %llu %s\n", (unsigned long long)k->id, text);
    if (k->output == OUTPUT_JSON)
        fprintf(k->say, "{\"job\":%llu,\"cancelled\":true}\n", (unsigned long long)k->id);
    return flushed(k, CLI_OK);
}

static int do_drain(struct asked *k)
{
    char text[1025] = "";
    struct msg m = { .type = MSG_RETIRE,
                     .RETIRE = { msg_str(k->id_text, strlen(k->id_text)) } };
    k->rc = client_ask(&k->client, &m, nothing(), on_done, text, &k->e);
    if (k->rc != ERR_OK) return failed(k);
    if (k->output == OUTPUT_HUMAN) say_to(k->say, "worker %s %s\n", k->id_text, text);
    if (k->output == OUTPUT_JSON) {
        fputs("{\"worker\":", k->say);
        json_string(k->id_text, k->say);
        fputs(",\"leaving\":true}\n", k->say);
    }
    return flushed(k, CLI_OK);
}

// ---- logs ----

struct reading {
    struct asked *k;
    struct msg *question;
    bool follow;
};

// What a job writes may come from anywhere: nothing of it reaches a terminal as it is.
static void show_piece(struct asked *k, struct slice p)
{
    say_bytes(k->say, p.p, p.n);
    fflush(k->say);
}

static enum client_next on_piece(void *arg, const struct msg *m, struct slice payload)
{
    struct reading *r = arg;
    uint64_t *at = &r->question->READ.at;
    if (!m || m->type != MSG_LOGGED) return CLIENT_MORE;
    if (m->LOGGED.at > *at)
        say_to(r->k->say, "... %llu bytes are not kept any more ...\n",
               (unsigned long long)(m->LOGGED.at - *at));
    show_piece(r->k, payload);
    *at = m->LOGGED.at + payload.n;
    if (*at < m->LOGGED.end) return payload.n ? CLIENT_AGAIN : CLIENT_MORE;
    if (m->LOGGED.over || !r->follow) return CLIENT_DONE;
    return payload.n ? CLIENT_AGAIN : CLIENT_MORE;
}

static int do_logs(struct asked *k, bool follow)
{
    struct msg m = { .type = MSG_READ, .READ = { .job = k->id, .follow = follow } };
    struct reading r = { .k = k, .question = &m, .follow = follow };
    k->rc = client_ask(&k->client, &m, nothing(), on_piece, &r, &k->e);
    return k->rc == ERR_OK ? flushed(k, CLI_OK) : failed(k);
}

// ---- the words ----

static int read_others(struct asked *k, bool *all, bool *follow, int argc, char **argv)
{
    const char *name = k->words.command;
    bool jobs = !strcmp(name, "jobs"), logs = !strcmp(name, "logs");
    const struct word words[] = {
        { "--state", &k->state, NULL },
        { "--access", &k->access, NULL },
        { logs ? "--follow" : "--output", logs ? NULL : &k->output_text,
          logs ? follow : NULL },
        { jobs ? "--all" : NULL, NULL, all },
        { NULL, NULL, NULL },
    };
    k->words.all = words;
    k->words.operand = &k->id_text;
    k->words.n_operands = strcmp(name, "workers") != 0;
    int code = words_read(&k->words, argc, argv);
    k->words.all = NULL;
    if (code >= 0) return code;
    if (!words_output(&k->words, k->output_text, &k->output)) return CLI_USAGE;
    if (!strcmp(name, "drain"))
        return k->id_text ? -1
                          : words_wrong(&k->words, "which worker? 'tranche workers' lists "
                                                   "them");
    if (!k->id_text && !jobs && strcmp(name, "workers") != 0)
        return words_wrong(&k->words, "which job? give its number");
    if (k->id_text && !words_number(&k->words, "a job", k->id_text, 1, INT64_MAX, &k->id))
        return CLI_USAGE;
    return -1;
}

static int do_other(struct asked *k, int argc, char **argv)
{
    bool all = false, follow = false;
    const char *name = k->words.command;
    int code = read_others(k, &all, &follow, argc, argv);
    if (code < 0) code = open_client(k);
    if (code >= 0) return code;
    if (!strcmp(name, "jobs")) return do_jobs(k, all);
    if (!strcmp(name, "cancel")) return do_cancel(k);
    if (!strcmp(name, "wait")) return do_wait(k);
    if (!strcmp(name, "workers")) return do_workers(k);
    return strcmp(name, "drain") == 0 ? do_drain(k) : do_logs(k, follow);
}

int cli_jobs(int argc, char **argv, FILE *say, FILE *complain)
{
    struct asked k = { .words = { .command = argv[0], .complain = complain },
                       .state = words_state(),
                       .say = say,
                       .complain = complain };
    const struct cli_jobs_command *c = cli_jobs_commands;
    while (strcmp(c->name, argv[0]) != 0)
        c++;
    if (words_want_help(argc, argv))
        return fputs(c->help, say) < 0 || fflush(say) ? CLI_INFRASTRUCTURE : CLI_OK;
    int code = strcmp(argv[0], "submit") == 0 ? do_submit(&k, argc, argv)
                                              : do_other(&k, argc, argv);
    client_close(&k.client);
    buf_free(&k.submission);
    return code;
}
