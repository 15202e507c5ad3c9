#include "coordinator/cli.h"

#include "common/conf.h"
#include "common/long_flag.h"
#include "common/say.h"
#include "common/suggest.h"
#include "common/text.h"
#include "coordinator/cli_help.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define QUOTED(s) text_quoted(s, (char[TEXT_QUOTED]){ 0 })

const char *cli_commit = "";

enum { FIRST_LONG = 1000 }; // getopt_long's value of opt_table[i]: FIRST_LONG + i

struct parsing {
    const struct cli_command_row *command;
    struct cli *out;
    FILE *say, *complain;
    struct arena mem;
    struct value *given[OPT_MAX]; // of opt_table: all occurrences of a flag as one value
    int last[OPT_MAX];            // when it came last: --ordered and --unordered are rivals
    struct value *steps;          // what flags say of transforms: a list of mappings
    int last_step;
    int n_flags;
    const struct opt *files; // the flag whose file the argument before was; NULL: none was
    bool after_unknown;      // ... or an unknown flag, whose value this may be
    bool wrong, no_memory;
};

// ---- saying things ----

__attribute__((format(printf, 2, 3))) static void wrong(struct parsing *p, const char *fmt,
                                                        ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("tranche: ", p->complain);
    say_to_v(p->complain, fmt, ap);
    fputc('\n', p->complain);
    va_end(ap);
    p->wrong = true;
}

static int fault(struct parsing *p, const char *sentence)
{
    wrong(p, "%s", sentence);
    return CLI_INFRASTRUCTURE;
}

// `rc` is how the text was made.
static int show(struct parsing *p, struct buf *text, err_t rc)
{
    int code = CLI_OK;
    if (rc != ERR_OK)
        code = fault(p, "out of memory");
    else if (fwrite(text->p, 1, text->n, p->say) != text->n || fflush(p->say) != 0)
        code = fault(p, "cannot write to standard output");
    buf_free(text);
    return code;
}

static int show_help(struct parsing *p)
{
    struct buf text = { 0 };
    err_t rc = p->command ? cli_help_command(&text, p->command, NULL)
                          : cli_help_overview(&text, NULL);
    return show(p, &text, rc);
}

static int show_version(struct parsing *p)
{
    struct buf text = { 0 };
    const char *of = *cli_commit ? " (" : "", *end = *cli_commit ? ")" : "";
    return show(p, &text,
                buf_printf(&text, NULL, "tranche %s%s%s%s\n", TRANCHE_VERSION, of,
                           cli_commit, end));
}

// ---- flags ----

// "-:" first: operands come in their place, and a missing argument is told as ':'.
static void getopt_tables(unsigned command, struct option longs[OPT_MAX + 1],
                          char shorts[2 * OPT_MAX + 3])
{
    size_t n = 0;
    char *s = stpcpy(shorts, "-:");
    for (size_t i = 0; i < opt_n; i++) {
        const struct opt *o = &opt_table[i];
        bool is_switch = o->form == OPT_SWITCH;
        if (!o->flag || !(o->commands & command)) continue;
        longs[n++] = (struct option){ o->flag, is_switch ? no_argument : required_argument,
                                      NULL, FIRST_LONG + (int)i };
        if (!o->letter) continue;
        *s++ = o->letter;
        if (!is_switch) *s++ = ':';
    }
    *s = 0;
    longs[n] = (struct option){ 0 };
}

static const struct opt *by_value(int value)
{
    if (value >= FIRST_LONG) return &opt_table[value - FIRST_LONG];
    for (size_t i = 0; i < opt_n; i++)
        if (value && opt_table[i].letter == value) return &opt_table[i];
    return NULL;
}

// NAME=VALUE
static struct value *pair(struct parsing *p, const struct opt *o, const char *text)
{
    const char *at = o->form == OPT_MAP_LAST ? strrchr(text, '=') : strchr(text, '=');
    if (!at || at == text) {
        wrong(p, "--%s: %s is not %s", o->flag, QUOTED(text), o->metavar);
        return NULL;
    }
    struct value *v = value_new(&p->mem, VALUE_TEXT, at + 1);
    if (v) v->key = arena_strdup(&p->mem, text, (size_t)(at - text));
    if (!v || !v->key) p->no_memory = true;
    return v && v->key ? v : NULL;
}

// The member of a mapping with this key, made when it is missing; NULL: no memory.
static struct value *member(struct parsing *p, struct value *map, const char *key,
                            enum value_kind kind)
{
    for (struct value *m = map->first; m; m = m->next)
        if (strcmp(m->key, key) == 0) return m;
    struct value *m = value_new(&p->mem, kind, kind == VALUE_TEXT ? "" : NULL);
    if (!m) return NULL;
    m->key = key;
    value_add(map, m);
    return m;
}

// The mapping below `http:` or `forecast:`, and what is to be put into it; NULL: no memory,
// or said.
static struct value *nested(struct parsing *p, struct value *step, const struct opt *o,
                            const char **key)
{
    const char *dot = strchr(*key, '.');
    bool begins = o->one_of && opt_is_section(o->key);
    if (!begins && !dot) return step;
    const char *section = dot ? arena_strdup(&p->mem, *key, (size_t)(dot - *key)) : *key;
    *key = dot ? dot + 1 : strcmp(o->key, "transform.http") == 0 ? "url" : "periods";
    if (section && dot && !(step->first && strcmp(step->first->key, section) == 0)) {
        wrong(p, "--%s stands behind --%s", o->flag, section);
        return NULL;
    }
    struct value *m = section ? member(p, step, section, VALUE_MAP) : NULL;
    p->no_memory |= !m;
    return m;
}

// Flags of one step stand behind the one that begins it: --exec ./clean.py --persistent.
static void give_step(struct parsing *p, const struct opt *o, const char *text)
{
    bool is_pair = o->form == OPT_MAP;
    struct value *v = is_pair ? pair(p, o, text) : NULL, *m = NULL;
    p->last_step = ++p->n_flags;
    if (!p->steps) p->steps = value_new(&p->mem, VALUE_LIST, NULL);
    if (p->steps && o->one_of && (m = value_new(&p->mem, VALUE_MAP, NULL)))
        value_add(p->steps, m);
    else if (p->steps && !(m = p->steps->last)) {
        wrong(p, "--%s stands behind the transform that it is about", o->flag);
        return;
    }
    const char *key = strchr(o->key, '.') + 1;
    bool is_list = o->form == OPT_LIST && !o->one_of;
    if (is_list && !(v = value_new(&p->mem, VALUE_TEXT, text))) p->no_memory = true;
    if (m && !(m = nested(p, m, o, &key))) return;
    if (m) m = member(p, m, key, is_pair ? VALUE_MAP : is_list ? VALUE_LIST : VALUE_TEXT);
    if (!m)
        p->no_memory = true;
    else if (!is_pair && !is_list)
        m->text = text ? text : "true";
    else if (v)
        value_add(m, v);
}

static void give(struct parsing *p, const struct opt *o, const char *text)
{
    if (o->section == OPT_TRANSFORM && strncmp(o->key, "transform.", 10) == 0) {
        give_step(p, o, text);
        return;
    }
    size_t i = (size_t)(o - opt_table);
    struct value **all = &p->given[i], *v;
    bool is_pair = o->form == OPT_MAP || o->form == OPT_MAP_LAST;
    p->last[i] = ++p->n_flags;
    if (is_pair)
        v = pair(p, o, text);
    else if (!(v = value_new(&p->mem, VALUE_TEXT, text ? text : "")))
        p->no_memory = true;
    if (!is_pair && o->form != OPT_LIST) {
        *all = v;
        return;
    }
    if (!*all) *all = value_new(&p->mem, is_pair ? VALUE_MAP : VALUE_LIST, NULL);
    if (!*all) p->no_memory = true;
    if (*all && v) value_add(*all, v);
}

static void say_ambiguous(struct parsing *p, const char *word, size_t n)
{
    char all[256] = "";
    for (size_t i = 0; i < opt_n; i++) {
        const struct opt *o = &opt_table[i];
        size_t k = strlen(all);
        if (!o->flag || strncmp(o->flag, word, n) != 0) continue;
        snprintf(all + k, sizeof all - k, "%s--%s", k ? ", " : "", o->flag);
    }
    wrong(p, "--%.*s could be %s; write it out", (int)n, word, all);
}

// `arg` is the argument that getopt stumbled over. False: no use to go on.
static bool unknown_flag(struct parsing *p, const char *arg, const struct option *longs)
{
    char hint[160], word[64];
    const char *name = arg + strspn(arg, "-");
    size_t n = strcspn(name, "="), matches = 0;
    const struct opt *o = by_value(optopt);
    snprintf(word, sizeof word, "%.*s", (int)n, name);
    for (const struct option *l = longs; l->name && arg[1] == '-'; l++)
        matches += strncmp(l->name, name, n) == 0;
    opt_suggest_flag(word, hint, sizeof hint);
    p->after_unknown = !name[n];
    if (o)
        wrong(p, "--%s takes no value", o->flag);
    else if (arg[1] == '-' && opt_by_flag(word))
        wrong(p, "--%s is no flag of '%s'", word, p->command->name);
    else if (n && matches > 1)
        say_ambiguous(p, name, n);
    else
        wrong(p, "unknown flag %s%s", QUOTED(arg), hint);
    return arg[1] == '-'; // "-csv" would stumble over each of its letters
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n > k && strcasecmp(s + n - k, end) == 0;
}

static bool is_yaml(const char *path)
{
    return ends_with(path, ".yaml") || ends_with(path, ".yml");
}

static bool is_data(const char *path)
{
    return ends_with(path, ".csv") || ends_with(path, ".tsv") || ends_with(path, ".gz") ||
           ends_with(path, ".zst");
}

// The job file; or one more file, when the shell has expanded --csv data/*.csv.
static void operand(struct parsing *p, const char *text)
{
    if (p->after_unknown) return;
    if (p->files && !is_yaml(text))
        give(p, p->files, text);
    else if (is_data(text) && text_is_plain(text))
        wrong(p, "%s is no job file; did you mean --csv %s?", QUOTED(text), text);
    else if (p->out->arg)
        wrong(p, "one job file at a time: %s, and %s", QUOTED(p->out->arg), QUOTED(text));
    else
        p->out->arg = text;
}

static bool takes_files(const struct opt *o)
{
    static const char *const flags[] = { "csv", "jsonl", "lines" };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(o->flag, flags[i]) == 0) return true;
    return false;
}

static void missing_value(struct parsing *p)
{
    const struct opt *o = by_value(optopt);
    wrong(p, "--%s needs a value: --%s %s", o->flag, o->flag, o->metavar);
}

// "--delimiter --into sqlite:x.db": the value was forgotten.
static bool takes_a_flag(struct parsing *p, const struct opt *o, char **argv)
{
    if (!optarg || optarg != argv[optind - 1] || strncmp(optarg, "--", 2) != 0 ||
        !opt_by_flag(optarg + 2))
        return false;
    wrong(p, "--%s needs a value, and %s is a flag; if it is meant, write --%s=%s", o->flag,
          QUOTED(optarg), o->flag, optarg);
    optind--; // the flag is read as one
    return true;
}

static void read_flags(struct parsing *p, int argc, char **argv)
{
    struct option longs[OPT_MAX + 1];
    char shorts[2 * OPT_MAX + 3];
    getopt_tables(p->command->opts, longs, shorts);
    optind = 0; // glibc: start anew
    opterr = 0;
    for (;;) {
        int at = optind ? optind : 1;
        int v = getopt_long(argc, argv, shorts, longs, NULL);
        if (v == -1) break;
        if (v == 1) {
            operand(p, optarg);
            continue;
        }
        p->files = NULL;
        p->after_unknown = false;
        const char *whole = v < FIRST_LONG ? NULL : long_flag_cut_short(argv, longs, v);
        if (whole)
            wrong(p, LONG_FLAG_SENTENCE, QUOTED(argv[at]), whole);
        else if (v == ':')
            missing_value(p);
        else if (v == '?') {
            if (!unknown_flag(p, argv[at], longs)) return;
        } else {
            const struct opt *o = by_value(v);
            if (takes_a_flag(p, o, argv)) continue;
            give(p, o, optarg);
            p->files = takes_files(o) ? o : NULL;
        }
    }
    while (optind < argc) // after "--"
        operand(p, argv[optind++]);
}

static bool has_flag(const struct parsing *p, const char *flag)
{
    return p->given[opt_by_flag(flag) - opt_table] != NULL;
}

// ---- commands ----

// Lines of the job file begin with its name, as compilers' do.
static int complain_all(struct parsing *p, const struct strings *lines)
{
    const char *file = p->out->is_pipeline ? p->out->pipeline.file : p->out->job.file;
    for (size_t i = 0; i < lines->n; i++) {
        bool placed = file && strncmp(lines->v[i], file, strlen(file)) == 0;
        say_to(p->complain, "%s%s\n", placed ? "" : "tranche: ", lines->v[i]);
    }
    return CLI_USAGE;
}

static err_t apply_flags(struct parsing *p, struct conf *c, struct err *e)
{
    for (int k = 1; k <= p->n_flags; k++) {
        if (p->steps && p->last_step == k) TRY(conf_flag_steps(c, p->steps, e));
        for (size_t i = 0; i < opt_n; i++)
            if (p->last[i] == k && p->given[i])
                TRY(conf_flag(c, &opt_table[i], p->given[i], e));
    }
    return ERR_OK;
}

// What a job reads, does and writes stands in its step.
static bool is_for_all(const struct opt *o)
{
    return o->section == OPT_LIMITS || o->section == OPT_WORKERS ||
           o->section == OPT_THIS_RUN;
}

static err_t flags_of_step(void *arg, struct conf *c, struct err *e)
{
    return apply_flags(arg, c, e);
}

static err_t find_step(const struct pipeline *p, const char *name, struct err *e)
{
    struct suggest near = { .word = name };
    for (uint32_t i = 0; i < p->n; i++) {
        if (strcmp(p->steps[i].job.name, name) == 0) return ERR_OK;
        suggest_offer(&near, p->steps[i].job.name);
    }
    return err_set(e, ERR_INVALID, "--from: no step is called %s%s%s%s", QUOTED(name),
                   near.best ? "; did you mean " : "", near.best ? QUOTED(near.best) : "",
                   near.best ? "?" : "");
}

static err_t read_pipeline(struct parsing *p, const struct buf *text,
                           struct strings *mistakes, struct err *e)
{
    struct cli *out = p->out;
    if (p->steps) wrong(p, "a pipeline's transforms stand in its steps, not in flags");
    for (size_t i = 0; i < opt_n; i++)
        if (p->given[i] && !is_for_all(&opt_table[i]))
            wrong(p, "--%s is about one job; in a pipeline it stands in the step",
                  opt_table[i].flag);
    if (p->wrong) return err_set(e, ERR_INVALID, "%s", "flags that are about one job");
    TRY(pipeline_read(&out->pipeline, out->arg, text, flags_of_step, p, mistakes, e));
    const char *from = out->pipeline.steps[0].job.from;
    return from ? find_step(&out->pipeline, from, e) : ERR_OK;
}

// What is planned need not be told yet where it goes.
static err_t assume_warehouse(struct parsing *p, struct conf *c, struct err *e)
{
    const struct opt *o = opt_by_key("load.into");
    struct value *v = NULL;
    if (conf_given(c, o->key)) return ERR_OK;
    v = value_new(&p->mem, VALUE_TEXT, "sqlite:warehouse.db");
    return v ? conf_flag(c, o, v, e) : err_set(e, ERR_NOMEM, "out of memory");
}

// `text` is that of the job file, if there is one.
static err_t read_text(struct parsing *p, struct conf *c, const struct buf *text,
                       struct err *e)
{
    struct cli *out = p->out;
    if (out->arg) TRY(pipeline_is(text, &out->is_pipeline, e));
    if (out->is_pipeline && p->command->command == CLI_PLAN)
        return err_set(
            e, ERR_INVALID,
            "%s is a pipeline: plan takes one job; its steps read what others of "
            "them write",
            QUOTED(out->arg));
    if (out->is_pipeline) return read_pipeline(p, text, c->mistakes, e);
    if (out->arg) TRY(conf_text(c, out->arg, (const char *)text->p, text->n, e));
    TRY(apply_flags(p, c, e));
    if (p->command->command == CLI_PLAN) TRY(assume_warehouse(p, c, e));
    return conf_finish(c, e);
}

static err_t read_job(struct parsing *p, struct conf *c, struct err *e)
{
    if (p->command->command == CLI_RUNS) {
        struct cli *out = p->out; // needs no job, only the folder of one
        out->job.dir = conf_folder(out->arg ? out->arg : "");
        return out->job.dir ? apply_flags(p, c, e) : err_set(e, ERR_NOMEM, "out of memory");
    }
    struct buf text = { 0 };
    err_t rc = ERR_OK;
    if (p->out->arg) rc = conf_read_file(p->out->arg, &text, e); // once: it may be a pipe
    if (rc == ERR_OK) rc = read_text(p, c, &text, e);
    buf_free(&text);
    return rc;
}

static int run_command(struct parsing *p, int argc, char **argv)
{
    struct err e;
    struct conf c;
    struct strings mistakes = { 0 };
    read_flags(p, argc, argv);
    if (p->no_memory) return fault(p, "out of memory");
    if (has_flag(p, "help")) return show_help(p);
    if (has_flag(p, "version")) return show_version(p);
    if (p->wrong) {
        fprintf(p->complain, "'tranche %s --help' shows all flags\n", p->command->name);
        return CLI_USAGE;
    }
    conf_init(&c, &p->out->job, &mistakes);
    err_t rc = read_job(p, &c, &e);
    int code = -1;
    if (rc == ERR_NOMEM) // what seems to be a mistake may just not have been kept
        code = fault(p, "out of memory");
    else if (mistakes.n)
        code = complain_all(p, &mistakes);
    else if (p->wrong)
        code = CLI_USAGE;
    else if (rc != ERR_OK) {
        wrong(p, "%s", e.text);
        code = CLI_USAGE;
    }
    strings_free(&mistakes);
    return code;
}

static int unknown_command(struct parsing *p, const char *word)
{
    struct suggest s = { .word = word };
    for (size_t i = 0; i < cli_n_commands; i++)
        suggest_offer(&s, cli_commands[i].name);
    if (is_yaml(word))
        wrong(p, "unknown command %s; did you mean 'tranche run %s'?", QUOTED(word), word);
    else if (s.best)
        wrong(p, "unknown command %s; did you mean '%s'?", QUOTED(word), s.best);
    else
        wrong(p, "unknown command %s; 'tranche --help' lists them", QUOTED(word));
    return CLI_USAGE;
}

static int without_command(struct parsing *p, const char *flag)
{
    if (!strcmp(flag, "--help") || !strcmp(flag, "-h")) return show_help(p);
    if (!strcmp(flag, "--version")) return show_version(p);
    wrong(p, "%s: a command comes first, e.g. tranche run %s", QUOTED(flag),
          text_has_control(flag) ? "JOB.yaml" : flag);
    return CLI_USAGE;
}

int cli_parse_to(int argc, char **argv, struct cli *out, FILE *say, FILE *complain)
{
    struct parsing p = { .out = out, .say = say, .complain = complain };
    *out = (struct cli){ .command = CLI_RUN };
    job_init(&out->job);
    if (argc < 2) {
        fputs("Usage: tranche run [JOB.yaml] [FLAGS]\n"
              "       tranche plan [JOB.yaml] [FLAGS]\n"
              "       tranche check [JOB.yaml] [FLAGS]\n"
              "       tranche runs\n"
              "       tranche explain RUN [CHUNK]\n"
              "       tranche report RUN [--html FILE]\n"
              "       tranche cache list|clear\n"
              "       tranche schedule install|list|remove\n"
              "       tranche keys new|list|allow|revoke\n"
              "       tranche scale --launcher ssh|slurm|compose\n"
              "       tranche serve\n"
              "       tranche submit [JOB.yaml] [FLAGS]\n"
              "       tranche jobs|cancel|wait|logs [ID]\n"
              "       tranche workers|drain [WORKER]\n"
              "'tranche --help' explains them\n",
              complain);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "serve-job") == 0) { // which serve starts, and nobody else
        out->command = CLI_SERVE_JOB;
        out->argc = argc - 1;
        out->argv = argv + 1;
        return -1;
    }
    if (strcmp(argv[1], "help") == 0) { // help run: run --help
        static char flag[] = "--help";
        if (argc == 2) return show_help(&p);
        argv[1] = argv[2];
        argv[2] = flag;
        argc = 3;
    }
    if (argv[1][0] == '-') return without_command(&p, argv[1]);
    for (size_t i = 0; i < cli_n_commands; i++)
        if (strcmp(argv[1], cli_commands[i].name) == 0) p.command = &cli_commands[i];
    if (!p.command) return unknown_command(&p, argv[1]);
    out->command = p.command->command;
    out->argc = argc - 1;
    out->argv = argv + 1;
    if (!p.command->opts) return -1; // it reads its words itself
    int code = run_command(&p, argc - 1, argv + 1);
    arena_free(&p.mem);
    return code;
}

int cli_parse(int argc, char **argv, struct cli *out)
{
    return cli_parse_to(argc, argv, out, stdout, stderr);
}

void cli_close(struct cli *c)
{
    job_free(&c->job);
    pipeline_free(&c->pipeline);
}
