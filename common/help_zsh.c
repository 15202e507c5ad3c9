#include "common/help_shell_impl.h"

#include <string.h>

// Between single quotes and in brackets, as _arguments takes a description: one sentence.
static err_t description(struct buf *out, const char *text, struct err *e)
{
    for (const char *p = text; *p && strncmp(p, ". ", 2) != 0; p++) {
        if (strchr("[]:\\", *p)) TRY(buf_add(out, "\\", 1, e));
        TRY(*p == '\'' ? buf_add(out, "'\\''", 4, e) : buf_add(out, p, 1, e));
    }
    return ERR_OK;
}

static err_t value(struct buf *out, const struct help_flag *f, struct err *e)
{
    char words[128];
    if (!f->value[0]) return ERR_OK;
    help_choices(f->value, words, sizeof words);
    TRY(buf_printf(out, e, ":"));
    TRY(description(out, f->value, e));
    if (words[0]) return buf_printf(out, e, ":(%s)", words);
    return buf_printf(out, e, help_is_file(f->value) ? ":_files" : ": ");
}

static err_t flag(struct buf *out, const struct help_piece *x, const struct help_flag *f,
                  struct err *e)
{
    const char *again = strstr(x->text, "epeatable") ? "*" : "";
    TRY(buf_printf(out, e, " \\\n      "));
    if (f->letter && f->name[0])
        TRY(buf_printf(out, e, "'(-%c --%s)'{-%c,--%s}'[", f->letter, f->name, f->letter,
                       f->name));
    else if (f->letter)
        TRY(buf_printf(out, e, "'%s-%c[", again, f->letter));
    else
        TRY(buf_printf(out, e, "'%s--%s[", again, f->name));
    TRY(description(out, x->text, e));
    TRY(buf_printf(out, e, "]"));
    TRY(value(out, f, e));
    return buf_printf(out, e, "'");
}

static err_t command(struct buf *out, const struct help_text *h, struct err *e)
{
    struct help_flag f;
    const struct help_piece *x;
    const char *verb;
    TRY(buf_printf(out, e, "    _arguments"));
    for (size_t at = 0; (x = help_next_flag(h, &at, &f));)
        TRY(flag(out, x, &f, e));
    size_t at = 0;
    bool any = false;
    while ((verb = help_next_verb(h, &at))) {
        TRY(buf_printf(out, e, any ? " %s" : " \\\n      '1:what to do:(%s", verb));
        any = true;
    }
    if (any) TRY(buf_printf(out, e, ")'"));
    if (help_takes_job(h))
        TRY(buf_printf(out, e, " \\\n      '*:job file:_files -g \"*.(yaml|yml)\"'"));
    return buf_printf(out, e, "\n");
}

static err_t begin(struct buf *out, const char *program, struct err *e)
{
    char function[80];
    help_function(program, function);
    return buf_printf(out, e,
                      "#compdef %s\n# zsh completion for %s, written from its --help\n"
                      "%s() {\n",
                      program, program, function);
}

static err_t end(struct buf *out, const char *program, struct err *e)
{
    char function[80];
    help_function(program, function);
    return buf_printf(out, e, "}\n%s \"$@\"\n", function);
}

static const char *summary(const struct help_text *overview, const char *name)
{
    for (size_t i = help_below(overview, "Commands"); i < help_n(overview); i++)
        if (strcmp(help_at(overview, i)->tag, name) == 0) return help_at(overview, i)->text;
    return "";
}

err_t help_zsh(struct buf *out, const char *program, const struct help_text *overview,
               const struct help_command *v, size_t n, struct err *e)
{
    TRY(begin(out, program, e));
    TRY(buf_printf(out, e, "  if (( CURRENT == 2 )); then\n    local -a commands=("));
    for (size_t i = 0; i < n; i++) {
        TRY(buf_printf(out, e, "\n      '%s:", v[i].name));
        TRY(description(out, summary(overview, v[i].name), e));
        TRY(buf_printf(out, e, "'"));
    }
    TRY(buf_printf(out, e,
                   ")\n    _describe command commands\n    return\n  fi\n"
                   "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n"
                   "  case $command in\n"));
    for (size_t i = 0; i < n; i++) {
        TRY(buf_printf(out, e, "  %s)\n", v[i].name));
        TRY(command(out, &v[i].help, e));
        TRY(buf_printf(out, e, "    ;;\n"));
    }
    TRY(buf_printf(out, e, "  esac\n"));
    return end(out, program, e);
}

err_t help_zsh_plain(struct buf *out, const char *program, const struct help_text *help,
                     struct err *e)
{
    TRY(begin(out, program, e));
    TRY(command(out, help, e));
    return end(out, program, e);
}
