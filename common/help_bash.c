#include "common/help_shell_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// ---- what both shells want to know ----

const struct help_piece *help_next_flag(const struct help_text *h, size_t *at,
                                        struct help_flag *f)
{
    while (*at < help_n(h)) {
        const struct help_piece *x = help_at(h, (*at)++);
        if (x->kind == HELP_ITEM && help_flag(x->tag, f)) return x;
    }
    return NULL;
}

static bool is_in(const char *line, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = line; (p = strstr(p, word)); p += n) {
        bool before = p == line || strchr(" |", p[-1]);
        if (before && (!p[n] || strchr(" |", p[n]))) return true;
    }
    return false;
}

const char *help_next_verb(const struct help_text *h, size_t *at)
{
    while (*at < help_n(h)) {
        const struct help_piece *x = help_at(h, (*at)++);
        if (x->kind == HELP_HEADING) *at = help_n(h);
        if (x->kind != HELP_ITEM || !islower((unsigned char)x->tag[0])) continue;
        for (size_t i = 0; i < help_n_usages(h); i++)
            if (is_in(help_usage(h, i), x->tag)) return x->tag;
    }
    return NULL;
}

bool help_takes_job(const struct help_text *h)
{
    for (size_t i = 0; i < help_n_usages(h); i++)
        if (strstr(help_usage(h, i), "JOB.yaml")) return true;
    return false;
}

void help_function(const char *program, char out[80])
{
    snprintf(out, 80, "_%s", program);
    for (char *p = out; *p; p++)
        if (*p == '-') *p = '_';
}

// ---- bash ----

static err_t names(struct buf *out, const struct help_flag *f, const char *between,
                   struct err *e)
{
    const char *dashes = f->name[0] ? "--" : "";
    if (f->letter) TRY(buf_printf(out, e, "-%c%s", f->letter, f->name[0] ? between : ""));
    return buf_printf(out, e, "%s%s", dashes, f->name);
}

// What may stand behind a flag.
static err_t values(struct buf *out, const struct help_text *h, struct err *e)
{
    struct help_flag f;
    char words[128];
    TRY(buf_printf(out, e, "        case $prev in\n"));
    for (size_t at = 0; help_next_flag(h, &at, &f);) {
        if (!f.value[0]) continue;
        help_choices(f.value, words, sizeof words);
        TRY(buf_printf(out, e, "        "));
        TRY(names(out, &f, "|", e));
        if (words[0])
            TRY(buf_printf(out, e, ") words=\"%s\" kind=value ;;\n", words));
        else
            TRY(buf_printf(out, e, ") kind=%s ;;\n",
                           help_is_file(f.value) ? "file" : "value"));
    }
    return buf_printf(out, e, "        esac\n");
}

static err_t flags(struct buf *out, const struct help_text *h, struct err *e)
{
    struct help_flag f;
    const char *before = "";
    TRY(buf_printf(out, e, "        flags=\""));
    for (size_t at = 0; help_next_flag(h, &at, &f); before = " ") {
        TRY(buf_printf(out, e, "%s", before));
        TRY(names(out, &f, " ", e));
    }
    return buf_printf(out, e, "\"\n");
}

static err_t verbs(struct buf *out, const struct help_text *h, struct err *e)
{
    size_t at = 0;
    const char *verb = help_next_verb(h, &at);
    if (!verb) return ERR_OK;
    TRY(buf_printf(out, e, "        ((COMP_CWORD == 2)) && kind=verb words=\"%s", verb));
    while ((verb = help_next_verb(h, &at)))
        TRY(buf_printf(out, e, " %s", verb));
    return buf_printf(out, e, "\"\n");
}

static err_t begin(struct buf *out, const char *program, struct err *e)
{
    char function[80];
    help_function(program, function);
    return buf_printf(
        out, e,
        "# bash completion for %s, written from its --help\n"
        "%s() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
        "    local flags= words= kind=other\n"
        "    COMPREPLY=()\n"
        "    [[ $cur == \"=\" ]] && cur=\n"
        "    [[ $prev == \"=\" ]] && prev=${COMP_WORDS[COMP_CWORD-2]}\n",
        program, function);
}

// `kind`: value (one of the words, or nobody knows), file, verb, job, other.
static err_t end(struct buf *out, const char *program, struct err *e)
{
    char function[80];
    help_function(program, function);
    return buf_printf(
        out, e,
        "    if [[ $cur == -* && $kind != value && $kind != file ]]; then\n"
        "        mapfile -t COMPREPLY < <(compgen -W \"$flags\" -- \"$cur\")\n"
        "    elif [[ $kind == file ]]; then\n"
        "        compopt -o filenames 2>/dev/null\n"
        "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
        "    elif [[ $kind == job ]]; then\n"
        "        compopt -o filenames 2>/dev/null\n"
        "        mapfile -t COMPREPLY < <(compgen -f -X '!*.yaml' -- \"$cur\"\n"
        "                                 compgen -f -X '!*.yml' -- \"$cur\"\n"
        "                                 compgen -d -- \"$cur\")\n"
        "    else\n"
        "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
        "    fi\n"
        "}\n"
        "complete -F %s %s\n",
        function, program);
}

static err_t command(struct buf *out, const struct help_text *h, struct err *e)
{
    TRY(flags(out, h, e));
    if (help_takes_job(h)) TRY(buf_printf(out, e, "        kind=job\n"));
    TRY(verbs(out, h, e));
    return values(out, h, e);
}

err_t help_bash(struct buf *out, const char *program, const struct help_text *overview,
                const struct help_command *v, size_t n, struct err *e)
{
    (void)overview;
    TRY(begin(out, program, e));
    TRY(buf_printf(out, e,
                   "    if ((COMP_CWORD == 1)); then\n"
                   "        flags=\"--help --version\" words=\""));
    for (size_t i = 0; i < n; i++)
        TRY(buf_printf(out, e, "%s%s", i ? " " : "", v[i].name));
    TRY(buf_printf(out, e, "\"\n    else\n    case ${COMP_WORDS[1]} in\n"));
    for (size_t i = 0; i < n; i++) {
        TRY(buf_printf(out, e, "    %s)\n", v[i].name));
        TRY(command(out, &v[i].help, e));
        TRY(buf_printf(out, e, "        ;;\n"));
    }
    TRY(buf_printf(out, e, "    esac\n    fi\n"));
    return end(out, program, e);
}

err_t help_bash_plain(struct buf *out, const char *program, const struct help_text *help,
                      struct err *e)
{
    TRY(begin(out, program, e));
    TRY(command(out, help, e));
    return end(out, program, e);
}
