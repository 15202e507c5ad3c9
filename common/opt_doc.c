#include "common/opt_doc.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_COLUMN = 30 };

// Breaks text at spaces; the first line begins at `column`, the others at TEXT_COLUMN.
static err_t wrap(struct buf *out, size_t column, const char *text, struct err *e)
{
    if (column > TEXT_COLUMN - 2) {
        TRY(buf_printf(out, e, "\n"));
        column = 0;
    }
    TRY(buf_printf(out, e, "%*s", (int)(TEXT_COLUMN - column), ""));
    size_t room = OPT_HELP_WIDTH - TEXT_COLUMN;
    while (strlen(text) > room) {
        size_t n = room;
        while (n && text[n] != ' ')
            n--;
        if (!n) n = room;
        TRY(buf_printf(out, e, "%.*s\n%*s", (int)n, text, TEXT_COLUMN, ""));
        text += n + (text[n] == ' ');
    }
    return buf_printf(out, e, "%s\n", text);
}

static err_t flag_help(struct buf *out, const struct opt *o, struct err *e)
{
    char flag[96], text[600], letter[8] = "    ";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    int n = snprintf(flag, sizeof flag, "  %s--%s%s%s", letter, o->flag,
                     o->metavar ? " " : "", o->metavar ? o->metavar : "");
    const char *initial = o->initial ? o->initial : "";
    const char *tick = strlen(initial) == 1 && ispunct((unsigned char)*initial) ? "'" : "";
    snprintf(text, sizeof text, *initial ? "%s (default: %s%s%s)" : "%s", o->help, tick,
             initial, tick);
    TRY(buf_printf(out, e, "%s", flag));
    return wrap(out, (size_t)n, text, e);
}

err_t opt_help(struct buf *out, unsigned command, struct err *e)
{
    enum opt_section last = OPT_N_SECTIONS;
    for (const struct opt *o = opt_table; o < opt_table + opt_n; o++) {
        if (!o->flag || !(o->commands & command)) continue;
        if (o->section != last)
            TRY(buf_printf(out, e, "\n%s:\n", opt_section_title(o->section)));
        last = o->section;
        TRY(flag_help(out, o, e));
    }
    return ERR_OK;
}

// ---- the reference ----

const char opt_preamble[] =
    "# The job file\n"
    "\n"
    "One YAML file says what to read, what to do with it and where the rows go. `tranche "
    "run\n"
    "JOB.yaml` runs it, `tranche check JOB.yaml` only checks it. This page is written "
    "from\n"
    "the program's own table of options; `tranche run --help` shows the same flags.\n"
    "\n"
    "```yaml\n"
    "name: late-flights\n"
    "source:\n"
    "  csv: [data/flights-*.csv, data/extra.csv.gz]\n"
    "  types: {tail_num: text}\n"
    "  null: [\"\", NA]\n"
    "transform:\n"
    "  - sql: SELECT origin, delay, c.name AS carrier\n"
    "         FROM batch JOIN carriers AS c ON c.code = carrier_code\n"
    "         WHERE delay > :typical\n"
    "params:\n"
    "  typical: {sql: SELECT avg(delay) FROM flights}\n"
    "tables: {carriers: carriers.csv}\n"
    "load:\n"
    "  into: sqlite:warehouse.db\n"
    "  table: late_flights\n"
    "limits: {bad_rows: 1%, timeout: 5m}\n"
    "```\n"
    "\n"
    "Only a source and `load.into` are needed; [SOURCES.md](SOURCES.md) says what each\n"
    "source does. Without a file the same job is a line of flags:\n"
    "`tranche run --csv 'data/*.csv' --into sqlite:late.db --table late`.\n"
    "\n"
    "- **Flags win** over the file. A flag replaces the file's value; `--type`, `--param` "
    "and\n"
    "  `--lookup` replace or add the one that they name. A flag that is given twice "
    "counts\n"
    "  the last time, unless it is repeatable.\n"
    "- **Relative paths** in a job file (of the source, in `tables` and `load.into`) are\n"
    "  seen from the job file's folder, those in flags from the current folder.\n"
    "- **Sizes** are bytes, or numbers with B, KiB, MiB, GiB or TiB (1024 each): `64KiB`,\n"
    "  `1.5GiB`. **Durations** have a unit: `250ms`, `90s`, `5m`, `1h`, `2d`. **Truth** "
    "is\n"
    "  `true`, `false`, `yes` or `no`.\n"
    "- **Mistakes** are one line each: file, line, column, key, what is wrong and what "
    "would\n"
    "  be right. Unknown keys and keys given twice are mistakes; nothing is ignored. All "
    "that can be found at once are shown, up to 20, and the "
    "exit\n"
    "  code is 2.\n"
    "- **YAML**: one document in UTF-8, at most 1 MiB, nested at most 16 deep; anchors,\n"
    "  aliases and tags are refused. Values are taken as they are written: `NULL` in a "
    "list\n"
    "  of `source.null` is the text NULL.\n"
    "- **Names**: a table's name has at most 63 bytes, no control characters, points or\n"
    "  double quotes, and does not begin with `sqlite_` or `tranche_`. Without "
    "`load.table`\n"
    "  it is made from `name`, else from the job file's name, else from the first source\n"
    "  (of `data/*.csv` from the folder; `*.csv` wants a name, since a load would be "
    "another "
    "one\n"
    "  in a folder that is renamed): endings such as `.csv.gz` are dropped, and what is no "
    "ASCII\n"
    "  letter or digit becomes `_`.\n"
    "  Names of `params` and `tables` are letters, digits and `_`.\n"
    "- **The same job**: a load is continued, and `append` loads only what is new, when "
    "all\n"
    "  of this is unchanged: source as written, fields, query, batch.by, delimiter, "
    "quote,\n"
    "  header, types, null, transforms, params, tables, destination, table and mode. "
    "Limits,\n"
    "  workers, the size of batches and the name may change.\n";

// A cell of a Markdown table; code when it is one word.
static err_t cell(struct buf *out, const char *text, bool code, struct err *e)
{
    const char *tick = code && *text ? "`" : "";
    TRY(buf_printf(out, e, " %s", tick));
    for (; *text; text++)
        TRY(buf_printf(out, e, *text == '|' ? "\\|" : "%c", *text));
    return buf_printf(out, e, "%s |", tick);
}

static err_t flag_cell(struct buf *out, const struct opt *o, bool with_letter,
                       struct err *e)
{
    char flag[96] = "";
    if (o->flag)
        snprintf(flag, sizeof flag, "--%s%s%s", o->flag, o->metavar ? " " : "",
                 o->metavar ? o->metavar : "");
    if (with_letter && o->letter) TRY(buf_printf(out, e, " `-%c`,", o->letter));
    return cell(out, flag, true, e);
}

static err_t row(struct buf *out, const struct opt *o, struct err *e)
{
    const char *initial = o->initial ? o->initial : "";
    TRY(buf_printf(out, e, "|"));
    if (o->section != OPT_THIS_RUN) TRY(cell(out, o->key ? o->key : "", true, e));
    TRY(flag_cell(out, o, true, e));
    if (o->section != OPT_THIS_RUN) TRY(cell(out, o->takes ? o->takes : "", false, e));
    TRY(cell(out, initial, !strchr(initial, ' '), e));
    TRY(cell(out, o->help, false, e));
    return buf_printf(out, e, "\n");
}

static err_t section(struct buf *out, enum opt_section s, struct err *e)
{
    TRY(buf_printf(out, e, "\n## %s\n\n", opt_section_title(s)));
    TRY(buf_printf(out, e, "%s",
                   s == OPT_THIS_RUN ? "Flags that no job file has.\n\n"
                                       "| flag | default | meaning |\n| --- | --- | --- |\n"
                                     : "| key | flag | takes | default | meaning |\n"
                                       "| --- | --- | --- | --- | --- |\n"));
    for (const struct opt *o = opt_table; o < opt_table + opt_n; o++)
        if (o->section == s) TRY(row(out, o, e));
    return ERR_OK;
}

err_t opt_reference(struct buf *out, struct err *e)
{
    TRY(buf_printf(out, e, "%s", opt_preamble));
    for (enum opt_section s = 0; s < OPT_N_SECTIONS; s++)
        TRY(section(out, s, e));
    return ERR_OK;
}
