#include "coordinator/words.h"

#include "common/say.h"
#include "common/suggest.h"
#include "common/text.h"
#include "common/units.h"
#include "coordinator/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define QUOTED(s) text_quoted(s, (char[TEXT_QUOTED]){ 0 })

int words_wrong(const struct words *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(w->complain, "tranche: %s: ", w->command);
    say_to_v(w->complain, fmt, ap);
    fprintf(w->complain, "; see 'tranche %s --help'\n", w->command);
    va_end(ap);
    return CLI_USAGE;
}

bool words_want_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
    return false;
}

static const struct word *find(const struct words *w, const char *arg, size_t n)
{
    for (const struct word *x = w->all; x->flag; x++)
        if (strlen(x->flag) == n && memcmp(x->flag, arg, n) == 0) return x;
    return NULL;
}

static int unknown(const struct words *w, const char *arg, size_t n)
{
    char name[64];
    struct suggest s = { .word = name };
    snprintf(name, sizeof name, "%.*s", (int)n, arg);
    for (const struct word *x = w->all; x->flag; x++)
        suggest_offer(&s, x->flag);
    return s.best
               ? words_wrong(w, "unknown flag %s; did you mean '%s'?", QUOTED(arg), s.best)
               : words_wrong(w, "unknown flag %s", QUOTED(arg));
}

static int keep(const struct words *w, const char *arg)
{
    if (strings_add(w->rest, arg, strlen(arg), NULL) == ERR_OK) return -1;
    fputs("tranche: out of memory\n", w->complain);
    return CLI_INFRASTRUCTURE;
}

static int operand(const struct words *w, const char *arg, int *n)
{
    if (*n == w->n_operands) return words_wrong(w, "%s is one word too many", QUOTED(arg));
    w->operand[(*n)++] = arg;
    return -1;
}

static int flag(const struct words *w, const struct word *x, int argc, char **argv, int *i)
{
    const char *value = strchr(argv[*i], '=');
    if (!x->text) {
        if (value) return words_wrong(w, "%s takes no value", x->flag);
        *x->on = true;
        return -1;
    }
    if (!value && *i + 1 >= argc) return words_wrong(w, "%s needs a value", x->flag);
    *x->text = value ? value + 1 : argv[++*i];
    return -1;
}

int words_read(const struct words *w, int argc, char **argv)
{
    int n = 0, code = -1;
    for (int i = 1; i < argc && code < 0; i++) {
        size_t len = strcspn(argv[i], "=");
        const struct word *x = find(w, argv[i], len);
        if (x)
            code = flag(w, x, argc, argv, &i);
        else if (w->rest)
            code = keep(w, argv[i]);
        else if (argv[i][0] == '-')
            code = unknown(w, argv[i], len);
        else
            code = operand(w, argv[i], &n);
    }
    return code;
}

bool words_number(const struct words *w, const char *what, const char *text, uint64_t least,
                  uint64_t most, uint64_t *out)
{
    if (!units_count(text, out) && *out >= least && *out <= most) return true;
    words_wrong(w, "%s is a number from %llu to %llu, and not %s", what,
                (unsigned long long)least, (unsigned long long)most, QUOTED(text));
    return false;
}

bool words_output(const struct words *w, const char *text, enum job_output *out)
{
    static const char *const names[] = { "human", "json", "quiet" };
    for (int i = 0; i < 3; i++)
        if (!text || strcmp(text, names[i]) == 0) {
            *out = (enum job_output)i;
            return true;
        }
    words_wrong(w, "--output is human, json or quiet");
    return false;
}

const char *words_state(void)
{
    const char *home = getenv("TRANCHE_HOME");
    return home && *home ? home : ".tranche";
}
