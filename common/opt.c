#include "common/opt.h"

#include "common/job.h"
#include "common/opt_set.h"

#include <stddef.h>

#define RUN_CHECK (OPT_RUN | OPT_CHECK | OPT_PLAN)
#define EVERY     (OPT_RUN | OPT_CHECK | OPT_RUNS | OPT_PLAN)
#define MEMBER(m) .at = offsetof(struct job, m)
#define CHART(m)  .at = offsetof(struct chart, m)
#define KEY(k, f) .key = k, .flag = f, .commands = RUN_CHECK

static const char *const modes[] = { "append", "replace", "upsert", "incremental", NULL };
static const char *const formats[] = { "csv", "jsonl", NULL };
static const char *const sandboxes[] = { "default", "strict", "none", NULL };
static const char *const outputs[] = { "human", "json", "quiet", NULL };
static const char *const progresses[] = { "auto", "json", "none", NULL };

static const char *const periods[] = { "day", "week", "month", NULL };
static const char *const holidays[] = { "us", "none", NULL };

// Sections in order; inside a section the order of help and reference.
const struct opt opt_table[] = {
    { KEY("name", "name"), .section = OPT_JOB, .form = OPT_ONE, .metavar = "NAME",
      .takes = "text", .initial = "the job file's name, or the table's",
      .help = "What the run is called in reports and in the list of runs", .set = set_name,
      MEMBER(name) },

    { KEY("steps", NULL), .section = OPT_JOB, .takes = "list of jobs, each with a name",
      .help = "Makes the file a pipeline, see docs/PIPELINES.md: each step is a job with "
              "the keys of this page. Beside it stand only name, "
              "schedule and charts",
      .set = set_steps },
    { KEY("needs", NULL), .section = OPT_JOB, .takes = "name of a step, or list of them",
      .help = "Of a step: those that must have ended well before it begins",
      .set = set_needs },

    { KEY("schedule", NULL), .section = OPT_JOB,
      .takes = "hourly, daily, weekly, monthly, yearly or a cron line",
      .help =
          "When 'tranche schedule install' has the host run it, in local time: '0 3 * * "
          "1' is every Monday at three, see docs/SCHEDULE.md. Of a pipeline it stands "
          "beside steps",
      .set = set_schedule },

    { KEY("cache", "cache"), .section = OPT_JOB, .form = OPT_ONE,
      .metavar = "true|false|SIZE", .takes = "size, 1MiB to 16TiB, or true or false",
      .initial = "false",
      .help = "Keep the results of batches, and reuse them wherever the same bytes go "
              "through the same transforms, see docs/CACHE.md. A size is the most that "
              ".tranche/cache may hold, true is 10GiB",
      .set = set_cache, MEMBER(cache_bytes), .min = 1 << 20, .max = (uint64_t)16 << 40 },

    { KEY("source.csv", "csv"), .section = OPT_SOURCE, .form = OPT_LIST, .metavar = "FILE",
      .takes = "path, glob, list of them, or -",
      .help =
          "CSV files to read: a path, a glob, or - for standard input; .gz and .zst are "
          "read through. Repeatable, and further paths may follow it",
      .one_of = "source", .set = set_files },
    { KEY("source.delimiter", "delimiter"), .section = OPT_SOURCE, .form = OPT_ONE,
      .metavar = "CHAR", .takes = "one ASCII character", .initial = ",",
      .help = "What stands between fields; \\t or tab is a TAB", .set = set_delimiter },
    { KEY("source.quote", "quote"), .section = OPT_SOURCE, .form = OPT_ONE,
      .metavar = "CHAR", .takes = "one ASCII character, or none", .initial = "\"",
      .help = "What stands around fields that hold delimiters or line ends; none: every "
              "quote is data",
      .set = set_quote },
    { KEY("source.header", "header"), .section = OPT_SOURCE, .form = OPT_ONE,
      .metavar = "true|false|NAMES", .takes = "true, false, or a list of names",
      .initial = "true",
      .help =
          "true: the first record of each file names the columns; false: they are called "
          "column_1, column_2, ...; names: the files have no header, and these are the "
          "columns (a flag takes them with commas between)",
      .set = set_header },
    { KEY("source.encoding", "encoding"), .section = OPT_SOURCE, .form = OPT_ONE,
      .metavar = "NAME", .takes = "utf-8", .initial = "utf-8",
      .help = "How the text is encoded; only utf-8 is read", .set = set_encoding },
    { KEY("source.types", "type"), .section = OPT_SOURCE, .form = OPT_MAP_LAST,
      .metavar = "COL=TYPE", .takes = "mapping of column to type",
      .initial = "inferred from a sample",
      .help =
          "The type of a column: integer, real, text, boolean, date or timestamp. A value "
          "that does not fit a type given here rejects its row. Repeatable",
      .set = set_types },
    { KEY("source.null", "null"), .section = OPT_SOURCE, .form = OPT_LIST,
      .metavar = "TEXT", .takes = "text or list of texts",
      .initial = "the unquoted empty field",
      .help =
          "Unquoted fields with this text are NULL, and only they; '' is the empty field. "
          "Repeatable",
      .set = set_nulls },
    { KEY("source.lines", "lines"), .section = OPT_SOURCE, .form = OPT_LIST,
      .metavar = "FILE", .takes = "path, glob, list of them, or -",
      .help = "Text files to read, each line one row of the text column line; otherwise as "
              "--csv",
      .one_of = "source", .set = set_files },
    { KEY("source.jsonl", "jsonl"), .section = OPT_SOURCE, .form = OPT_LIST,
      .metavar = "FILE", .takes = "path, glob, list of them, or -",
      .help =
          "JSON lines to read: one JSON value a line, whole in the text column line, or "
          "objects whose members --fields names; otherwise as --csv",
      .one_of = "source", .set = set_files },
    { KEY("source.fields", "fields"), .section = OPT_SOURCE, .form = OPT_ONE,
      .metavar = "NAMES", .takes = "list of names",
      .initial = "the whole line in the column line",
      .help = "The members of the JSON objects that become columns; address.city is a "
              "member of a member (a flag takes them with commas between)",
      .set = set_fields },
    { KEY("source.rows", "rows"), .section = OPT_SOURCE, .form = OPT_ONE, .metavar = "LIST",
      .takes = "name of a list and [*], e.g. emails[*]", .initial = "each line is a row",
      .help = "A list in the JSON objects, of which each element is a row: with emails[*] "
              "the field emails.address is a member of the element, emails the element "
              "itself, and all others are the same in each of the line's rows",
      .set = set_rows },
    { KEY("source.range", "range"), .section = OPT_SOURCE, .metavar = "N", .form = OPT_ONE,
      .takes = "count, 0 to 2^62",
      .help = "The rows 0 to N-1, in the integer column i: for tests and simulations",
      .one_of = "source", .set = set_range, .max = 1ull << 62 },
    { KEY("source.sqlite", "sqlite"), .section = OPT_SOURCE, .form = OPT_ONE,
      .metavar = "FILE", .takes = "path",
      .help = "An SQLite database to read, with --query or --sqlite-table",
      .one_of = "source", .set = set_sqlite_file },
    { KEY("source.query", "query"), .section = OPT_SOURCE, .form = OPT_ONE,
      .metavar = "SQL", .takes = "one SELECT",
      .help = "The rows to read of a database; ORDER BY makes a resume possible",
      .set = set_any_text, MEMBER(query) },
    { KEY("source.sqlite_table", "sqlite-table"), .section = OPT_SOURCE, .form = OPT_ONE,
      .metavar = "NAME", .takes = "name of a table or view",
      .help = "A whole table of the database, in place of --query", .set = set_any_text,
      MEMBER(sqlite_table) },
    { KEY("source.postgres", "postgres"), .section = OPT_SOURCE, .metavar = "URL",
      .form = OPT_ONE, .takes = "URL, words as libpq takes them, or name of a database",
      .help =
          "A PostgreSQL database to read, with --query or --postgres-table, e.g. "
          "postgresql://me@db.example/sales; a password belongs into ~/.pgpass, PGPASSFILE "
          "or PGPASSWORD",
      .one_of = "source", .set = set_postgres },
    { KEY("source.postgres_table", "postgres-table"), .section = OPT_SOURCE,
      .form = OPT_ONE, .metavar = "NAME", .takes = "name of a table or view",
      .help = "A whole table of the database, in place of --query, e.g. public.orders",
      .set = set_any_text, MEMBER(postgres_table) },

    { KEY("batch.bytes", "batch-bytes"), .section = OPT_BATCH, .form = OPT_ONE,
      .metavar = "SIZE", .takes = "size, 1 to 1GiB, or auto", .initial = "auto",
      .help =
          "Input bytes of a batch; auto: 256KiB to 8MiB, less when a batch takes longer "
          "than 2 s",
      .one_of = "batch", .set = set_batch_bytes, .min = 1, .max = 1 << 30 },
    { KEY("batch.rows", "batch-rows"), .section = OPT_BATCH, .form = OPT_ONE,
      .metavar = "N", .takes = "count, 1 to 1000000000",
      .initial =
          "batches are cut by batch.bytes; with an http step they have 64 rows, or 2 x "
          "http.concurrency if that is more, and 256 with an aggregate, unless "
          "batch.bytes is given",
      .help = "Rows of a batch, exactly; the last one of an input has the rest",
      .one_of = "batch", .set = set_big_count, MEMBER(batch_rows), .min = 1,
      .max = 1000000000 },
    { KEY("batch.by", "batch-by"), .section = OPT_BATCH, .form = OPT_ONE, .metavar = "COL",
      .takes = "name of a column",
      .help = "Whole groups stay in one batch: rows with the same value of this column, by "
              "which a database source must be ordered",
      .set = set_any_text, MEMBER(batch_by) },

    { KEY("transform.sql", "sql"), .section = OPT_TRANSFORM, .form = OPT_LIST,
      .metavar = "SQL", .takes = "one SELECT", .initial = "rows are loaded as they are",
      .help =
          "A SELECT over the table batch, run by SQLite on every batch. Repeatable: each "
          "one reads the result of the one before as batch; reject('why') rejects a row",
      .one_of = "transform", .set = set_sql },
    { KEY("transform.exec", "exec"), .section = OPT_TRANSFORM, .form = OPT_LIST,
      .metavar = "COMMAND", .takes = "program and arguments, as a list or one text",
      .help = "A program that gets every batch on its standard input and writes the "
              "result, see "
              "docs/EXEC.md. No shell: one text is split at spaces, quotes keep words "
              "together. "
              "Repeatable",
      .one_of = "transform", .set = set_exec },
    { KEY("transform.format", "exec-format"), .section = OPT_TRANSFORM, .form = OPT_ONE,
      .metavar = "csv|jsonl", .takes = "csv or jsonl", .initial = "csv",
      .help =
          "What the program reads and writes: CSV with a header, or JSON lines. The flag "
          "stands behind --exec",
      .set = set_choice, .at = offsetof(struct step, format), .choices = formats },
    { KEY("transform.persistent", "persistent"), .section = OPT_TRANSFORM,
      .form = OPT_SWITCH, .takes = "true or false", .initial = "false",
      .help =
          "Keep the program running for many batches, a line 'tranche-batch BYTES ROWS' "
          "before each. The flag stands behind --exec",
      .set = set_bool, .at = offsetof(struct step, persistent) },
    { KEY("transform.env", "env"), .section = OPT_TRANSFORM, .form = OPT_MAP,
      .metavar = "NAME=VALUE", .takes = "mapping of name to text",
      .help = "Variables that the program gets beside the usual ones; a value $NAME is "
              "taken from the environment of this command and stored nowhere. The flag is "
              "repeatable, behind --exec",
      .set = set_env },
    { KEY("transform.files", "exec-file"), .section = OPT_TRANSFORM, .form = OPT_LIST,
      .metavar = "FILE", .takes = "path, glob, folder, or list of them",
      .help = "Files that the program needs, below the job's folder: they travel with it "
              "to workers on other hosts and stand beside it there. The flag is "
              "repeatable, behind --exec",
      .set = set_beside },
    { KEY("transform.sandbox", "sandbox"), .section = OPT_TRANSFORM, .form = OPT_ONE,
      .metavar = "default|strict|none", .takes = "default, strict or none",
      .initial = "default",
      .help = "What the program may do; default: write its scratch folder and /dev/shm "
              "only; strict: no "
              "network, read the system and the job's folder only; none: all that the user "
              "may. The flag stands behind --exec",
      .set = set_choice, .at = offsetof(struct step, sandbox), .choices = sandboxes },
    { KEY("transform.plugin", "plugin"), .section = OPT_TRANSFORM, .form = OPT_LIST,
      .metavar = "FILE", .takes = "path of a shared library",
      .help =
          "A shared library that exports tranche_plugin(): batches in and out as Arrow C "
          "Data, see docs/PLUGIN.md. Repeatable",
      .one_of = "transform", .set = set_plugin },
    { KEY("transform.args", "plugin-arg"), .section = OPT_TRANSFORM, .form = OPT_MAP,
      .metavar = "NAME=VALUE", .takes = "mapping of name to text",
      .help = "What a plugin is opened with. The flag is repeatable, behind --plugin",
      .set = set_args },
    { KEY("transform.http", "http"), .section = OPT_TRANSFORM, .metavar = "URL",
      .form = OPT_LIST, .takes = "mapping, or an address",
      .help = "One HTTP request a row, many at a time, see docs/HTTP.md. {column} in the "
              "address stands for the row's value. Repeatable",
      .one_of = "transform", .set = set_http },
    { KEY("transform.http.url", NULL), .section = OPT_TRANSFORM, .takes = "address",
      .help = "The address, with {column} for a value of the row; {{ is the character",
      .set = set_http_url },
    { KEY("transform.http.rows", "http-rows"), .section = OPT_TRANSFORM, .form = OPT_ONE,
      .metavar = "PATH", .takes = "path: $, .name, ['name'], [*]",
      .initial = "the answer is one text, in the columns status and body",
      .help = "Where the rows stand in the answer, which is JSON: $.items[*]. The flags "
              "--http-... stand behind --http",
      .set = set_http_rows },
    { KEY("transform.http.fields", "http-fields"), .section = OPT_TRANSFORM,
      .form = OPT_ONE, .metavar = "NAMES",
      .takes = "list of members, or mapping of column to member",
      .initial = "the whole row in the column item",
      .help = "The members of these rows that become columns; address.city is a member of "
              "a member (a flag takes them with commas between)",
      .set = set_http_fields },
    { KEY("transform.http.keep", "http-keep"), .section = OPT_TRANSFORM, .form = OPT_ONE,
      .metavar = "COLS", .takes = "column or list of columns", .initial = "all columns",
      .help = "Columns of the row that stand beside what its answer gives; [] are none (a "
              "flag takes them with commas between)",
      .set = set_http_keep },
    { KEY("transform.http.next", "http-next"), .section = OPT_TRANSFORM, .form = OPT_ONE,
      .metavar = "PATH|link", .takes = "path, or link", .initial = "an answer is one page",
      .help = "Where the address of the next page stands: a path into the answer, or link "
              "for the header Link with rel=next",
      .set = set_http_next },
    { KEY("transform.http.pages", "http-pages"), .section = OPT_TRANSFORM, .form = OPT_ONE,
      .metavar = "N", .takes = "count, 1 to 100000", .initial = "100",
      .help = "Pages of one row at most; a row with more is rejected", .set = set_count,
      .at = offsetof(struct step, http.pages), .min = 1, .max = 100000 },
    { KEY("transform.http.headers", "http-header"), .section = OPT_TRANSFORM,
      .form = OPT_MAP, .metavar = "NAME=VALUE", .takes = "mapping of name to text",
      .help = "Headers of the request. $NAME is a variable of the worker's environment, "
              "which stands nowhere but there. The flag is repeatable",
      .set = set_http_headers },
    { KEY("transform.http.concurrency", "http-concurrency"), .section = OPT_TRANSFORM,
      .form = OPT_ONE, .metavar = "N", .takes = "count, 1 to 1000", .initial = "8",
      .help = "Requests at a time, all workers together", .set = set_count,
      .at = offsetof(struct step, http.concurrency), .min = 1, .max = 1000 },
    { KEY("transform.http.rate", "http-rate"), .section = OPT_TRANSFORM, .form = OPT_ONE,
      .metavar = "N", .takes = "count a second, or N/s, N/m, N/h", .initial = "no limit",
      .help = "Requests that may begin in a second, all workers together; 100/m: in a "
              "minute",
      .set = set_http_rate, .at = offsetof(struct step, http.gap_ns) },
    { KEY("transform.http.retries", "http-retries"), .section = OPT_TRANSFORM,
      .form = OPT_ONE, .metavar = "N", .takes = "count, 0 to 100", .initial = "4",
      .help = "Further tries of a request that got no answer, or one of the status 408, "
              "425, 429 or 5xx",
      .set = set_count, .at = offsetof(struct step, http.retries), .max = 100 },
    { KEY("transform.http.timeout", "http-timeout"), .section = OPT_TRANSFORM,
      .form = OPT_ONE, .metavar = "TIME", .takes = "duration, 1ms to 1d", .initial = "30s",
      .help = "How long one try may take from begin to end", .set = set_duration,
      .at = offsetof(struct step, http.timeout_ms), .min = 1, .max = 86400000 },
    { KEY("transform.http.connect_timeout", "http-connect-timeout"),
      .section = OPT_TRANSFORM, .form = OPT_ONE, .metavar = "TIME",
      .takes = "duration, 1ms to 1d", .initial = "10s",
      .help = "How long a connection may take to come about", .set = set_duration,
      .at = offsetof(struct step, http.connect_ms), .min = 1, .max = 86400000 },
    { KEY("transform.http.max_body", "http-max-body"), .section = OPT_TRANSFORM,
      .form = OPT_ONE, .metavar = "SIZE", .takes = "size, 1 to 128MiB", .initial = "8MiB",
      .help = "Bytes of one answer; a row whose answer is larger is rejected",
      .set = set_size, .at = offsetof(struct step, http.body_bytes), .min = 1,
      .max = 128 << 20 },
    { KEY("transform.http.redirects", "http-redirects"), .section = OPT_TRANSFORM,
      .form = OPT_ONE, .metavar = "N", .takes = "count, 0 to 50", .initial = "5",
      .help = "Redirects of one request that are followed", .set = set_count,
      .at = offsetof(struct step, http.redirects), .max = 50 },
    { KEY("transform.forecast", "forecast"), .section = OPT_TRANSFORM, .metavar = "N",
      .form = OPT_LIST, .takes = "count of periods, 1 to 10000, or a mapping",
      .help =
          "What comes next in each series: ds, yhat, yhat_lower and yhat_upper for N "
          "periods after its last, see docs/FORECAST.md. Whole series stay in one batch "
          "by batch.by. Repeatable",
      .one_of = "transform", .set = set_forecast,
      .at = offsetof(struct step, forecast.periods), .min = 1, .max = STEP_PERIODS_MAX },
    { KEY("transform.forecast.periods", NULL), .section = OPT_TRANSFORM,
      .takes = "count, 1 to 10000", .help = "How many periods ahead",
      .set = set_forecast_periods, .at = offsetof(struct step, forecast.periods), .min = 1,
      .max = STEP_PERIODS_MAX },
    { KEY("transform.forecast.by", "forecast-by"), .section = OPT_TRANSFORM,
      .form = OPT_ONE, .metavar = "COLS", .takes = "column or list of columns",
      .initial = "the column of batch.by",
      .help = "The columns that name a series, and stand before what is said of it; rows "
              "come ordered by them, then by date (a flag takes them with commas between). "
              "The flags --forecast-... stand behind --forecast",
      .set = set_forecast_by },
    { KEY("transform.forecast.ds", "forecast-ds"), .section = OPT_TRANSFORM,
      .form = OPT_ONE, .metavar = "COL", .takes = "name of a column", .initial = "ds",
      .help = "The column of the dates", .set = set_any_text,
      .at = offsetof(struct step, forecast.ds) },
    { KEY("transform.forecast.y", "forecast-y"), .section = OPT_TRANSFORM, .form = OPT_ONE,
      .metavar = "COL", .takes = "name of a column", .initial = "y",
      .help = "The column of the values; NULL is a date without one", .set = set_any_text,
      .at = offsetof(struct step, forecast.y) },
    { KEY("transform.forecast.every", "forecast-every"), .section = OPT_TRANSFORM,
      .form = OPT_ONE, .metavar = "day|week|month", .takes = "day, week or month",
      .initial = "day", .help = "What a period is: a series has one row for each at most",
      .set = set_choice, .at = offsetof(struct step, forecast.every), .choices = periods },
    { KEY("transform.forecast.holidays", "forecast-holidays"), .section = OPT_TRANSFORM,
      .form = OPT_ONE, .metavar = "us|none", .takes = "us or none", .initial = "us",
      .help = "Whose holidays are days of their own: the federal ones of the United "
              "States, or nobody's. Months have none",
      .set = set_choice, .at = offsetof(struct step, forecast.holidays),
      .choices = holidays },
    { KEY("transform.forecast.interval", "forecast-interval"), .section = OPT_TRANSFORM,
      .form = OPT_ONE, .metavar = "SHARE", .takes = "share, 1% to 99.9%, or 0.01 to 0.999",
      .initial = "80%",
      .help = "How many of the values to come lie between yhat_lower and yhat_upper",
      .set = set_forecast_share },
    { KEY("aggregate.by", "by"), .section = OPT_TRANSFORM, .form = OPT_ONE,
      .metavar = "COLS", .takes = "column or list of columns",
      .initial = "all rows are one group",
      .help =
          "Columns to group the rows by, after the transforms. The result is one row a "
          "group, in the order of these columns (a flag takes them with commas between)",
      .set = set_by },
    { KEY("aggregate.compute", "compute"), .section = OPT_TRANSFORM, .form = OPT_MAP,
      .metavar = "NAME=FUNCTION", .takes = "mapping of name to function",
      .help = "What to compute of each group: count(*), count(x), sum(x), avg(x), min(x), "
              "max(x), stddev(x), variance(x), median(x), quantile(x, 0.95), "
              "count_distinct(x), max_by(x, y), min_by(x, y); all are exact. Repeatable",
      .set = set_compute },
    { KEY("merge.sql", "merge-sql"), .section = OPT_TRANSFORM, .form = OPT_ONE,
      .metavar = "SQL", .takes = "one SELECT",
      .help =
          "A SELECT over the table parts, which has all rows that the batches gave (with "
          "an aggregate, its result). It is run in the warehouse at the end; what it "
          "gives becomes the table",
      .set = set_merge },

    { KEY("load.into", "into"), .section = OPT_LOAD, .form = OPT_ONE, .metavar = "URL",
      .takes = "sqlite:PATH, postgres:URL, csv:PATH, jsonl:PATH, stdout: or null:",
      .help =
          "Where the rows go: sqlite:PATH, a database file that is created when missing; "
          "postgres:URL (postgres://user@host/database), a PostgreSQL database that is "
          "there; csv:PATH and jsonl:PATH, a text file, or files of about 64 MiB when its "
          "name "
          "has "
          "a *; stdout: (or stdout:jsonl), which cannot be resumed; null: runs everything "
          "and keeps nothing",
      .set = set_into },
    { KEY("load.table", "table"), .section = OPT_LOAD, .form = OPT_ONE, .metavar = "NAME",
      .takes = "text", .initial = "made from the job's name, or from the first file's",
      .help = "The table that takes the rows; created when missing. Rejected rows go to "
              "NAME_rejects",
      .set = set_table, MEMBER(table) },
    { KEY("load.mode", "mode"), .section = OPT_LOAD, .form = OPT_ONE,
      .metavar = "append|replace|upsert|incremental",
      .takes = "append, replace, upsert or incremental", .initial = "append",
      .help =
          "append: add rows to the table, and only new files or the tail of a grown file "
          "when run again; replace: swap in a new table at the end; upsert: a row takes "
          "the place of the one with the same key; incremental: only rows above the "
          "greatest watermark that is loaded already. With aggregate or merge it is "
          "replace",
      .set = set_choice, MEMBER(mode), .choices = modes },
    { KEY("load.key", "key"), .section = OPT_LOAD, .form = OPT_ONE, .metavar = "COLS",
      .takes = "column, or list of columns",
      .help = "The columns of the result that say which row an upsert replaces; as a "
              "flag: a,b",
      .set = set_key },
    { KEY("load.watermark", "watermark"), .section = OPT_LOAD, .form = OPT_ONE,
      .metavar = "COL", .takes = "column",
      .help = "The column of the result by which an incremental load knows what it has",
      .set = set_watermark },
    { KEY("load.indexes", "index"), .section = OPT_LOAD, .form = OPT_LIST,
      .metavar = "COLS", .takes = "list of lists of columns",
      .help = "Indexes that are built after the load; as a flag: a,b. Repeatable",
      .set = set_indexes },
    { KEY("load.ordered", "ordered"), .section = OPT_LOAD, .form = OPT_ONE,
      .metavar = "true|false", .takes = "true or false", .initial = "true",
      .help = "true: rows arrive in the order of the input; false is a little faster",
      .set = set_bool, MEMBER(ordered) },
    { .flag = "unordered",
      .commands = RUN_CHECK,
      .section = OPT_LOAD,
      .form = OPT_SWITCH,
      .help = "The same as --ordered false",
      .set = set_unordered },

    { KEY("params", "param"), .section = OPT_LOOKUP, .form = OPT_MAP, .metavar = "NAME=SQL",
      .takes = "mapping of name to {sql: SELECT ...}",
      .help = "A value read once from the warehouse before the run, and bound as :NAME in "
              "every sql. Repeatable",
      .set = set_params },
    { KEY("tables", "lookup"), .section = OPT_LOOKUP, .form = OPT_MAP,
      .metavar = "NAME=FILE", .takes = "mapping of name to CSV file",
      .help =
          "A small CSV file that is sent with the job and can be joined in sql as table "
          "NAME. Repeatable",
      .set = set_tables },

    { KEY("charts", NULL), .section = OPT_CHARTS, .takes = "list of charts",
      .help = "Figures of what the warehouse has, which 'tranche report --html' and the "
              "pages of 'tranche serve' show, see docs/CHARTS.md. Of a pipeline they stand "
              "beside steps or in one",
      .set = set_charts },
    { KEY("charts.title", NULL), .section = OPT_CHARTS, .takes = "text",
      .initial = "made from y and table", .help = "What stands above it",
      .set = set_chart_title },
    { KEY("charts.table", NULL), .section = OPT_CHARTS, .takes = "table or view",
      .initial = "load.table",
      .help = "Where its rows are: in the warehouse of this job. Beside steps: a table "
              "that one of them loads",
      .set = set_chart_name, CHART(table) },
    { KEY("charts.x", NULL), .section = OPT_CHARTS, .takes = "column",
      .help = "What goes along the bottom: dates, timestamps or numbers; of other texts "
              "each gets bars",
      .set = set_chart_name, CHART(x) },
    { KEY("charts.y", NULL), .section = OPT_CHARTS, .takes = "column, or list of up to 12",
      .help = "Numbers that are drawn over x, a line for each column",
      .set = set_chart_names, CHART(y), .min = 1, .max = CHART_LINES },
    { KEY("charts.by", NULL), .section = OPT_CHARTS, .takes = "column",
      .help = "A line for each of its values, 12 at most: those with most in y",
      .set = set_chart_name, CHART(by) },
    { KEY("charts.band", NULL), .section = OPT_CHARTS,
      .takes = "list of two columns, the lower and the upper edge",
      .help = "An area around the line, such as an interval", .set = set_chart_names,
      CHART(band), .min = 2, .max = 2 },
    { KEY("charts.forecast", NULL), .section = OPT_CHARTS, .takes = "table",
      .help = "Goes on with each line from a table that the transform forecast has made "
              "(ds, yhat, yhat_lower, yhat_upper), dashed and with its band",
      .set = set_chart_name, CHART(forecast) },
    { KEY("charts.last", NULL), .section = OPT_CHARTS, .takes = "count, 1 to 1000000000",
      .initial = "all",
      .help = "Only the rows with the so many greatest values of x: 90 are the last 90 "
              "days that there are",
      .set = set_chart_last, .min = 1, .max = CHART_LAST_MAX },

    { KEY("limits.bad_rows", "bad-rows"), .section = OPT_LIMITS, .form = OPT_ONE,
      .metavar = "N|P%", .takes = "count or percentage", .initial = "0",
      .help = "How many rejected rows the run may have and still be a success; more end it "
              "with exit code 4",
      .set = set_bad_rows },
    { KEY("limits.retries", "retries"), .section = OPT_LIMITS, .form = OPT_ONE,
      .metavar = "N", .takes = "count, 0 to 100", .initial = "3",
      .help =
          "How often a row may fail, alone on its worker, before it is rejected; 0 is as "
          "1. A batch that fails beside others is tried again alone, and halved down to "
          "single rows",
      .set = set_count, MEMBER(retries), .max = 100 },
    { KEY("limits.timeout", "timeout"), .section = OPT_LIMITS, .form = OPT_ONE,
      .metavar = "TIME", .takes = "duration, 1ms to 30d", .initial = "10m",
      .help = "How long the transforms may work on one batch", .set = set_duration,
      MEMBER(timeout_ms), .min = 1, .max = (uint64_t)30 * 86400000 },
    { KEY("limits.memory", "memory"), .section = OPT_LIMITS, .form = OPT_ONE,
      .metavar = "SIZE", .takes = "size, 16MiB to 16TiB", .initial = "128MiB",
      .help =
          "Bytes of batches that the coordinator may hold, out with workers or waiting to "
          "be loaded",
      .set = set_size, MEMBER(memory_bytes), .min = 16 << 20, .max = (uint64_t)16 << 40 },
    { KEY("limits.worker_memory", "worker-memory"), .section = OPT_LIMITS, .form = OPT_ONE,
      .metavar = "SIZE", .takes = "size, 64MiB to 16TiB", .initial = "1GiB",
      .help = "Memory of one worker, all its slots together; hosts that have less get no "
              "batches",
      .set = set_size, MEMBER(worker_memory_bytes), .min = 64 << 20,
      .max = (uint64_t)16 << 40 },

    { KEY("workers.local", "workers"), .letter = 'j', .section = OPT_WORKERS,
      .form = OPT_ONE, .metavar = "N", .takes = "count, 0 to 1024", .initial = "the cores",
      .help = "Batches that are worked on at a time on this machine; 0: only workers of "
              "other hosts work, see --listen",
      .set = set_workers, MEMBER(workers_local), .max = 1024 },
    { KEY("workers.concurrency", "concurrency"), .section = OPT_WORKERS, .form = OPT_ONE,
      .metavar = "N", .takes = "count, 1 to 1000", .initial = "1",
      .help =
          "Batches at a time in each of those, for transforms that mostly wait: exec and "
          "plugin run at the same time, the rest one after another",
      .set = set_count, MEMBER(workers_concurrency), .min = 1, .max = 1000 },
    { KEY("workers.min", "min-workers"), .section = OPT_WORKERS, .metavar = "N",
      .form = OPT_ONE, .takes = "count, 0 to 10000", .initial = "0",
      .help = "Begin when so many workers are there, the one of this machine counted",
      .set = set_count, MEMBER(workers_min), .max = 10000 },
    { KEY("workers.wait", "wait"), .section = OPT_WORKERS, .metavar = "TIME",
      .form = OPT_ONE, .takes = "duration, 1ms to 30d", .initial = "60s",
      .help = "How long to wait for workers.min; then the run fails", .set = set_duration,
      MEMBER(workers_wait_ms), .min = 1, .max = (uint64_t)30 * 86400000 },
    { KEY("workers.labels", "label"), .section = OPT_WORKERS, .metavar = "NAME",
      .form = OPT_LIST, .takes = "name or list of names",
      .help = "Only workers that were started with --label NAME get batches. Repeatable: a "
              "worker needs all of them",
      .set = set_labels },
    { .flag = "listen",
      .commands = RUN_CHECK,
      .section = OPT_WORKERS,
      .metavar = "ENDPOINT",
      .form = OPT_ONE,
      .help = "Take workers from other hosts: tcp://0.0.0.0:5555 (port 0: any free one). "
              "They need keys: see tranche keys --help",
      .set = set_listen },
    { .flag = "insecure",
      .commands = RUN_CHECK,
      .section = OPT_WORKERS,
      .form = OPT_SWITCH,
      .help = "Talk to them in plaintext: everybody on the way can read and forge it all",
      .set = set_switch,
      MEMBER(insecure) },

    { .flag = "from",
      .commands = OPT_RUN,
      .section = OPT_THIS_RUN,
      .metavar = "STEP",
      .form = OPT_ONE,
      .takes = "name of a step",
      .help = "Of a pipeline: run this step and all that need it, changed or not, and no "
              "other",
      .set = set_any_text,
      MEMBER(from) },
    { .flag = "scheduled",
      .commands = OPT_RUN,
      .section = OPT_THIS_RUN,
      .form = OPT_SWITCH,
      .help = "What the host's scheduler says: tell which times of the job's schedule were "
              "missed, and be refused while an earlier scheduled run goes on",
      .set = set_switch,
      MEMBER(scheduled) },
    { .flag = "state",
      .commands = OPT_RUNS,
      .section = OPT_THIS_RUN,
      .metavar = "FOLDER",
      .form = OPT_ONE,
      .help = "The folder of the history (default: .tranche beside the job file, or "
              "$TRANCHE_HOME)",
      .set = set_any_text,
      MEMBER(state) },
    { .flag = "write",
      .commands = OPT_PLAN,
      .section = OPT_THIS_RUN,
      .metavar = "FILE",
      .form = OPT_ONE,
      .help = "Write the job, with what was found as comments, into this job file",
      .set = set_any_text,
      MEMBER(write) },
    { .flag = "force",
      .commands = OPT_PLAN,
      .section = OPT_THIS_RUN,
      .form = OPT_SWITCH,
      .help = "Let --write replace a file that is there",
      .set = set_switch,
      MEMBER(force) },
    { .flag = "fresh",
      .commands = RUN_CHECK,
      .section = OPT_THIS_RUN,
      .form = OPT_SWITCH,
      .help = "Start over: drop what an unfinished or earlier load of this table left",
      .set = set_switch,
      MEMBER(fresh) },
    { .flag = "output",
      .commands = EVERY,
      .section = OPT_THIS_RUN,
      .form = OPT_ONE,
      .metavar = "human|json|quiet",
      .initial = "human",
      .help = "What is written to standard output: text, JSON, or nothing",
      .set = set_choice,
      MEMBER(output),
      .choices = outputs },
    { .flag = "progress",
      .commands = RUN_CHECK,
      .section = OPT_THIS_RUN,
      .form = OPT_ONE,
      .metavar = "auto|json|none",
      .initial = "auto",
      .help =
          "Progress on standard error; auto: a bar on a terminal, else a line every 10 s",
      .set = set_choice,
      MEMBER(progress),
      .choices = progresses },
    { .flag = "help",
      .letter = 'h',
      .commands = EVERY,
      .section = OPT_THIS_RUN,
      .form = OPT_SWITCH,
      .help = "Show this help" },
    { .flag = "version",
      .commands = EVERY,
      .section = OPT_THIS_RUN,
      .form = OPT_SWITCH,
      .help = "Show the version" },
};

const size_t opt_n = sizeof opt_table / sizeof *opt_table;
_Static_assert(sizeof opt_table / sizeof *opt_table <= OPT_MAX, "raise OPT_MAX");
