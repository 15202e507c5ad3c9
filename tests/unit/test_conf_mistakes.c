// Job files that are wrong, and every line that is said about them.

#include "common/conf.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *name;
    const char *yaml;
    const char *lines; // without "job.yaml:" before and "\n" after each
};

#define GOOD "source: {csv: a.csv}\nload: {into: 'sqlite:w.db'}\n"

static const struct row rows[] = {
    { "misspelt_section", "name: x\n\nsorce: {csv: a.csv}\nload: {into: 'null:'}\n",
      "3:1: unknown key 'sorce'; did you mean 'source'?" },
    { "misspelt_key", "source:\n  cvs: a.csv\nload: {into: 'null:'}\n",
      "2:3: unknown key 'source.cvs'; did you mean 'source.csv'?" },
    { "key_in_the_wrong_place", "into: sqlite:x.db\n" GOOD,
      "1:1: unknown key 'into'; did you mean 'load.into'?" },
    { "flag_as_key", "fresh: true\n" GOOD,
      "1:1: unknown key 'fresh'; it is a flag: --fresh" },
    { "flag_of_pipelines_as_key", "from: x\n" GOOD,
      "1:1: unknown key 'from'; it is a flag: --from" },
    { "strange_key", "zebra: 1\n" GOOD, "1:1: unknown key 'zebra'" },
    { "misspelt_key_of_another_section", "retrys: 1\n" GOOD,
      "1:1: unknown key 'retrys'; did you mean 'limits.retries'?" },
    { "a_step_of_no_kind", GOOD "transform: [{join: x}]\n",
      "3:14: unknown key 'transform.join'" },
    { "dotted_key", "limits.retries: 1\n" GOOD, "1:1: unknown key 'limits.retries'" },
    { "empty_key", "'': 1\n" GOOD, "1:1: unknown key ''" },
    { "key_with_control_characters", "\"a\\e[2J\": 1\n" GOOD,
      "1:1: unknown key 'a\\x1b[2J'" },
    { "key_given_twice", "name: a\n" GOOD "name: b\n",
      "4:1: 'name' is given twice, first on line 1" },
    { "section_given_twice", GOOD "load: {table: x}\n",
      "3:1: 'load' is given twice, first on line 2" },
    { "nested_key_given_twice", GOOD "limits:\n  retries: 1\n  retries: 2\n",
      "5:3: 'retries' is given twice, first on line 4" },
    { "bad_rows_is_a_word",
      GOOD "batch: {bytes: auto}\nlimits:\n  retries: 2\n\n  bad_rows: abc\n",
      "7:3: limits.bad_rows: 'abc' is neither a count nor a percentage; e.g. 100 or 1%" },
    { "several_at_once",
      GOOD "limits: {retries: many, timeout: 5, memory: 64MB}\nmoed: x\n",
      "3:10: limits.retries: 'many' is no count; it takes a count, 0 to 100\n"
      "3:25: limits.timeout: '5' is no duration; write 5s\n"
      "3:37: limits.memory: '64MB' is no size; write 64MiB\n"
      "4:1: unknown key 'moed'; did you mean 'load.mode'?" },
    { "out_of_range",
      GOOD "limits: {retries: 101, timeout: 0s, memory: 1MiB, worker_memory: 1}\n"
           "workers: {local: 2000}\nbatch: {bytes: 0}\n",
      "3:10: limits.retries: '101' is out of range; it takes a count, 0 to 100\n"
      "3:24: limits.timeout: '0s' is out of range; it takes a duration, 1ms to 30d\n"
      "3:37: limits.memory: '1MiB' is out of range; it takes a size, 16MiB to 16TiB\n"
      "3:51: limits.worker_memory: '1' is out of range; it takes a size, 64MiB to 16TiB\n"
      "4:11: workers.local: '2000' is out of range; it takes a count, 0 to 1024\n"
      "5:9: batch.bytes: '0' is out of range; it takes a size, 1 to 1GiB, or auto" },
    { "percentage_over_100", GOOD "limits: {bad_rows: 101%}\n",
      "3:10: limits.bad_rows: '101%' is neither a count nor a percentage; e.g. 100 or 1%" },
    { "no_local_workers", GOOD "workers: {local: 0}\n",
      "3:11: workers.local: 0, only workers of other hosts: they come in through "
      "--listen" },

    // Kinds of values.
    { "document_is_a_list", "- a\n",
      "1:1: a job file is a mapping, e.g. source: {csv: data.csv}" },
    { "document_is_a_text", "hello\n",
      "1:1: a job file is a mapping, e.g. source: {csv: data.csv}" },
    { "section_is_a_text", "source: a.csv\nload: {into: 'null:'}\n",
      "1:1: source: wants keys below it, each on a line of its own" },
    { "list_for_a_single_value", GOOD "limits: {retries: [1]}\n",
      "3:10: limits.retries: wants a single value: count, 0 to 100" },
    { "no_value", GOOD "name:\nlimits: {retries: ~, timeout: null}\n",
      "3:1: name: has no value\n"
      "4:10: limits.retries: has no value\n"
      "4:22: limits.timeout: has no value" },
    { "csv_is_a_mapping", "source: {csv: {a: b}}\nload: {into: 'null:'}\n",
      "1:10: source.csv: wants a path, a glob, '-', or a list of them" },
    { "csv_list_with_holes",
      "source:\n  csv:\n    - a.csv\n    -\n    - [b]\n    - ''\n"
      "load: {into: 'null:'}\n",
      "4:6: source.csv: wants a path, a glob, '-', or a list of them\n"
      "5:7: source.csv: wants a path, a glob, '-', or a list of them\n"
      "6:7: source.csv: an empty path" },
    { "csv_list_is_empty", "source: {csv: []}\nload: {into: 'null:'}\n",
      "1:10: source.csv: an empty list; give a path or a glob" },
    { "stdin_twice", "source: {csv: ['-', a.csv, '-']}\nload: {into: 'null:'}\n",
      "1:10: source.csv: standard input ('-') can be read only once" },

    // Missing and contradictory.
    { "nothing", "", "1:1: the job file is empty; e.g. source: {csv: data.csv}" },
    { "only_a_comment", "# later\n",
      "1:1: the job file is empty; e.g. source: {csv: data.csv}" },
    { "no_source_and_no_destination", "name: x\n",
      "1:1: no source; give source: {csv: FILE}, or --csv FILE\n"
      "1:1: nowhere to load into; give load: {into: sqlite:FILE}, or --into sqlite:FILE" },
    { "two_sources", "source:\n  csv: a.csv\n  jsonl: b.json\nload: {into: 'null:'}\n",
      "3:3: source.jsonl: 'csv' is given already, on line 2; only one of them can be" },
    { "two_kinds_in_a_step",
      GOOD "transform:\n  - sql: SELECT 1 FROM batch\n    exec: [x]\n",
      "5:5: transform.exec: 'sql' is given already, on line 4; only one of them can be" },
    { "forecast_without_periods", GOOD "transform: {forecast: {y: sales}}\n",
      "3:13: transform.forecast: how many periods ahead? e.g. periods: 30" },
    { "forecast_of_no_groups", GOOD "transform: {forecast: 30}\n",
      "3:13: transform.forecast: each series must stand in one batch: order the rows of an "
      "sqlite or postgres source by a column that names it, and give batch.by" },
    { "forecast_of_other_groups",
      "source: {sqlite: a.db, query: SELECT 1}\nload: {into: 'null:'}\nbatch: {by: g}\n"
      "transform: {forecast: {periods: 3, by: [a, b]}}\n",
      "4:36: transform.forecast.by: the column of batch.by is not among them: series would "
      "be "
      "cut by batches" },
    { "forecast_of_one_column", GOOD "transform: {forecast: {periods: 3, ds: a, y: A}}\n",
      "3:13: transform.forecast: 'a' cannot be the date and the value" },
    { "bad_values_of_forecast",
      GOOD "transform:\n  forecast:\n    periods: 0\n    by: [g, G, yhat, '']\n    ds: ''\n"
           "    every: year\n    holidays: de\n    interval: 100%\n",
      "5:5: transform.forecast.periods: '0' is out of range; it takes a count, 1 to 10000\n"
      "6:13: transform.forecast.by: 'G' is given twice\n"
      "6:16: transform.forecast.by: 'yhat' is a column of the result; call it otherwise in "
      "the query\n"
      "6:22: transform.forecast.by: '' is no name\n"
      "7:5: transform.forecast.ds: an empty text; it takes a name of a column\n"
      "8:5: transform.forecast.every: 'year' is none of day, week and month\n"
      "9:5: transform.forecast.holidays: 'de' is none of us and none\n"
      "10:5: transform.forecast.interval: '100%' is no share; it takes a share, 1% to "
      "99.9%, "
      "or 0.01 to 0.999" },
    { "periods_that_nobody_needs", GOOD "transform: {forecast: 10001}\n",
      "3:13: transform.forecast: '10001' is out of range; it takes a count of periods, 1 "
      "to "
      "10000, or a mapping" },
    { "http_and_another_kind",
      GOOD "transform:\n  - http: {url: 'http://h/'}\n    sql: SELECT 1\n",
      "5:5: transform.sql: 'http' is given already, on line 4; only one of them can be" },
    { "http_and_a_key_of_exec",
      GOOD "transform:\n  - http: {url: 'http://h/'}\n    format: csv\n",
      "5:5: transform.format: is for exec, and this step is http" },
    { "http_without_an_address", GOOD "transform: {http: {rows: $}}\n",
      "3:13: transform.http: no url; e.g. url: 'https://host/api?x={id}'" },
    { "http_with_an_unknown_key",
      GOOD "transform: {http: {url: 'http://h/', concurency: 3}}\n",
      "3:38: unknown key 'transform.http.concurency'; did you mean "
      "'transform.http.concurrency'?" },
    { "bad_values_of_http",
      GOOD "transform:\n  http:\n    url: ftp://h/{id}\n    rows: items\n"
           "    next: $.a[*]\n    concurrency: 0\n    rate: 0\n"
           "    headers: {Host: x, A: $, 'B C': d}\n    fields: [a, A]\n"
           "    keep: {a: b}\n    max_body: 1GiB\n",
      "5:5: transform.http.url: 'ftp://h/{id}': it begins with neither http:// nor "
      "https://, "
      "nor with a {column}\n"
      "6:5: transform.http.rows: 'items' is no path: it does not begin with $, as in "
      "$.items[*]\n"
      "7:5: transform.http.next: '$.a[*]' names many places, and there is one next page\n"
      "8:5: transform.http.concurrency: '0' is out of range; it takes a count, 1 to 1000\n"
      "9:5: transform.http.rate: '0' is no rate; e.g. 10 (a second), 100/m or 5000/h\n"
      "10:15: transform.http.headers: 'Host' follows from the request and cannot be given\n"
      "10:24: transform.http.headers: 'A': a $ without the name of an environment "
      "variable; "
      "write $$ for the character itself\n"
      "10:30: transform.http.headers: 'B C' is no name of a header\n"
      "11:17: transform.http.fields: the column 'A' is given twice\n"
      "12:5: transform.http.keep: wants a column or list of columns\n"
      "13:5: transform.http.max_body: '1GiB' is out of range; it takes a size, 1 to "
      "128MiB" },
    { "fields_of_a_text", GOOD "transform: {http: {url: 'http://h/', fields: [a]}}\n",
      "3:13: transform.http.fields: they are members of what rows finds, which is not "
      "given; "
      "e.g. rows: $.items[*], or rows: $" },
    { "delimiter_is_the_quote", "source: {csv: a, quote: ','}\nload: {into: 'null:'}\n",
      "1:18: source.quote: the delimiter and the quote are the same character" },
    { "type_of_a_column_that_is_not_there",
      "source: {csv: a, header: [x, y], types: {X: text, z: real}}\nload: {into: "
      "'null:'}\n",
      "1:34: source.types: the column 'z' is not among those of source.header" },
    { "batches_cut_in_two_ways", GOOD "batch: {bytes: 1MiB, rows: 5}\n",
      "3:22: batch.rows: 'bytes' is given already, on line 3; only one of them can be" },
    { "a_dialect_without_csv", "source: {lines: a, quote: none}\nload: {into: 'null:'}\n",
      "1:20: source.quote: it is about csv, which is not the source" },
    { "types_of_a_range", "source: {range: 5, types: {i: text}}\nload: {into: 'null:'}\n",
      "1:20: source.types: it is about csv, jsonl, sqlite and postgres, which is not "
      "the source" },
    { "no_fields", "source: {jsonl: a, fields: []}\nload: {into: 'null:'}\n",
      "1:20: source.fields: wants a list of names, e.g. [id, address.city]" },
    { "fields_without_json", "source: {csv: a, fields: [b]}\nload: {into: 'null:'}\n",
      "1:18: source.fields: it is about jsonl, which is not the source" },
    { "a_list_without_fields", "source: {jsonl: a, rows: 'e[*]'}\nload: {into: 'null:'}\n",
      "1:20: source.rows: which members are the columns of its elements? give "
      "source.fields, such as [id, e.name]" },
    { "a_list_without_brackets",
      "source: {jsonl: a, fields: [e], rows: e}\nload: {into: 'null:'}\n",
      "1:33: source.rows: 'e': wants the name of a list and [*] behind it, e.g. emails[*] "
      "or customer.orders[*]" },
    { "a_list_of_no_name",
      "source: {jsonl: a, fields: [e], rows: '[*]'}\nload: {into: 'null:'}\n",
      "1:33: source.rows: '[*]': wants the name of a list and [*] behind it, e.g. "
      "emails[*] or customer.orders[*]" },
    { "a_list_in_a_list",
      "source: {jsonl: a, fields: [e], rows: 'a[*].b[*]'}\nload: {into: 'null:'}\n",
      "1:33: source.rows: 'a[*].b[*]': only one list can be taken apart; take apart the "
      "other in a transform, with json_each" },
    { "a_list_of_csv", "source: {csv: a, rows: 'b[*]'}\nload: {into: 'null:'}\n",
      "1:18: source.rows: it is about jsonl, which is not the source" },
    { "groups_of_a_file", GOOD "batch: {by: region}\n",
      "3:9: batch.by: only a source that comes in rows keeps groups together: sqlite "
      "and postgres" },
    { "a_database_and_nothing_of_it", "source: {sqlite: a.db}\nload: {into: 'null:'}\n",
      "1:10: source.sqlite: what shall be read of it? give source.query or "
      "source.sqlite_table" },
    { "a_server_and_nothing_of_it", "source: {postgres: a}\nload: {into: 'null:'}\n",
      "1:10: source.postgres: what shall be read of it? give source.query or "
      "source.postgres_table" },
    { "a_server_and_too_much_of_it",
      "source: {postgres: a, query: b, postgres_table: c}\nload: {into: 'null:'}\n",
      "1:33: source.postgres_table: source.query is given too; only one of them can be" },
    { "a_table_of_another_database",
      "source: {sqlite: a, postgres_table: c}\nload: {into: 'null:'}\n",
      "1:21: source.postgres_table: it is about postgres, which is not the source\n"
      "1:10: source.sqlite: what shall be read of it? give source.query or "
      "source.sqlite_table" },
    { "two_databases",
      "source: {sqlite: a, postgres: b, query: c}\nload: {into: 'null:'}\n",
      "1:21: source.postgres: 'sqlite' is given already, on line 1; only one of them can "
      "be" },
    { "no_such_setting_of_a_server",
      "source: {postgres: 'hots=a', query: c}\nload: {into: 'null:'}\n",
      "1:10: source.postgres: 'hots=a' is no connection to PostgreSQL: invalid connection "
      "option \"hots\"; e.g. postgresql://user@host:5432/database, where special "
      "characters "
      "are written as %XX" },
    { "no_secret_in_a_mistake",
      "source: {postgres: 'postgresql://me:s3cret@[db', query: c}\nload: {into: 'null:'}\n",
      "1:10: source.postgres: this is no connection to PostgreSQL; e.g. "
      "postgresql://user@host:5432/database, where special characters are written as %XX" },
    { "range_of_less_than_nothing", "source: {range: -1}\nload: {into: 'null:'}\n",
      "1:10: source.range: '-1' is no count; it takes a count, 0 to 2^62" },
    { "range_of_too_much",
      "source: {range: 4611686018427387905}\nload: {into: "
      "'null:'}\n",
      "1:10: source.range: '4611686018427387905' is out of range; it takes a count, 0 to "
      "2^62" },
    { "batch_of_no_rows", GOOD "batch: {rows: 0}\n",
      "3:9: batch.rows: '0' is out of range; it takes a count, 1 to 1000000000" },
    { "batch_larger_than_memory", GOOD "batch:\n  bytes: 100MiB\n",
      "4:3: batch.bytes: 100MiB is more than half of limits.memory (128MiB)" },

    // Not in this version.
    { "a_cache_of_no_size", GOOD "cache: much\n",
      "3:1: cache: 'much' is neither true, false nor a size; e.g. 4GiB" },
    { "later_values", "source: {csv: a, encoding: latin-1}\nload: {into: 'null:'}\n",
      "1:18: source.encoding: 'latin-1': not in this version of tranche (" TRANCHE_VERSION
      "); it reads utf-8: convert the file first, iconv -f WINDOWS-1252 -t UTF-8 FILE > "
      "NEW.csv" },
    { "into_no_server", "source: {csv: a}\nload: {into: 'postgres:'}\n",
      "2:8: load.into: no address; e.g. postgres://user@host/database" },
    { "into_no_address_of_a_server_and_its_password",
      "source: {csv: a}\nload: {into: 'postgres://u:s3cret@h:x@/d?nothing=1'}\n",
      "2:8: load.into: this is no connection to PostgreSQL; e.g. "
      "postgresql://user@host:5432/database, where special characters are written as %XX" },

    // Ways to load.
    { "upsert_into_text",
      "source: {csv: a}\nload: {into: 'csv:o.csv', mode: upsert, key: id}\n",
      "2:27: load.mode: upsert needs a database to look rows up in; into csv:o.csv rows "
      "are "
      "appended, or replace it" },
    { "incremental_into_text",
      "source: {csv: a}\nload: {into: 'jsonl:o', mode: incremental, watermark: d}\n",
      "2:25: load.mode: incremental needs a database to look rows up in; into jsonl:o rows "
      "are appended, or replace it" },
    { "replace_of_parts",
      "source: {csv: a}\nload: {into: 'csv:o/p-*.csv', mode: replace}\n",
      "2:31: load.mode: several files cannot be swapped in at one moment; give load.into "
      "one file, or use append" },
    { "replace_of_standard_output",
      "source: {csv: a}\nload: {into: 'stdout:', mode: replace}\n",
      "2:25: load.mode: there is nothing on standard output to replace" },
    { "indexes_of_text", "source: {csv: a}\nload: {into: 'csv:o', indexes: [[a]]}\n",
      "2:23: load.indexes: a text file has no indexes; into sqlite:PATH there are some" },
    { "table_of_text", "source: {csv: a}\nload: {into: 'csv:o', table: t}\n",
      "2:23: load.table: a text file has no tables" },
    { "two_stars", "source: {csv: a}\nload: {into: 'csv:o/*-*.csv'}\n",
      "2:8: load.into: 'csv:o/*-*.csv': one '*', in the name of the file, stands for the "
      "numbers of the parts; e.g. csv:out/part-*.csv" },
    { "star_in_a_folder", "source: {csv: a}\nload: {into: 'csv:*/o.csv'}\n",
      "2:8: load.into: 'csv:*/o.csv': one '*', in the name of the file, stands for the "
      "numbers of the parts; e.g. csv:out/part-*.csv" },
    { "text_without_a_path", "source: {csv: a}\nload: {into: 'csv:'}\n",
      "2:8: load.into: no path; e.g. csv:out.csv" },
    { "dash_for_standard_output", "source: {csv: a}\nload: {into: 'csv:-'}\n",
      "2:8: load.into: for standard output write stdout:" },
    { "standard_output_of_another_kind", "source: {csv: a}\nload: {into: 'stdout:xml'}\n",
      "2:8: load.into: 'stdout:xml': it is stdout:csv or stdout:jsonl" },
    { "upsert_without_key", "source: {csv: a}\nload: {into: 'null:', mode: upsert}\n",
      "2:23: load.mode: upsert replaces rows by their key, and there is none; give "
      "load.key, or --key id" },
    { "key_without_upsert", "source: {csv: a}\nload: {into: 'null:', key: [id]}\n",
      "2:23: load.key: only the mode upsert has a key" },
    { "upsert_without_order",
      "source: {csv: a}\nload: {into: 'null:', mode: upsert, key: id, ordered: false}\n",
      "2:46: load.ordered: of rows with the same key the last one stays, so an upsert "
      "takes them in the order of the input" },
    { "incremental_without_watermark",
      "source: {csv: a}\nload: {into: 'null:', mode: incremental}\n",
      "2:23: load.mode: incremental knows by a column what it has, and none is named; give "
      "load.watermark, or --watermark updated_at" },
    { "watermark_without_incremental",
      "source: {csv: a}\nload: {into: 'null:', watermark: ds}\n",
      "2:23: load.watermark: only the mode incremental has a watermark" },
    { "watermark_of_two_columns",
      "source: {csv: a}\nload: {into: 'null:', mode: incremental, watermark: [a, b]}\n",
      "2:42: load.watermark: wants a single value: column" },
    { "key_with_a_column_twice",
      "source: {csv: a}\nload: {into: 'null:', mode: upsert, key: [id, ID]}\n",
      "2:47: load.key: the column 'ID' is named twice" },
    { "key_of_nothing", "source: {csv: a}\nload: {into: 'null:', mode: upsert, key: []}\n",
      "2:37: load.key: wants a column or a list of columns, e.g. [id]" },
    { "indexes_that_are_no_list",
      "source: {csv: a}\nload: {into: 'null:', indexes: {a: b}}\n",
      "2:23: load.indexes: wants a list of at most 64 lists of columns, e.g. [[a], [b, "
      "c]]" },
    { "index_twice", "source: {csv: a}\nload: {into: 'null:', indexes: [[a, b], [A, b]]}\n",
      "2:41: load.indexes: the same index twice" },
    { "index_of_nothing", "source: {csv: a}\nload: {into: 'null:', indexes: [[]]}\n",
      "2:33: load.indexes: wants a column or a list of columns, e.g. [id]" },
    { "index_of_a_list", "source: {csv: a}\nload: {into: 'null:', indexes: [[[a]]]}\n",
      "2:34: load.indexes: wants the name of a column" },

    // Charts.
    { "charts_that_are_a_text", "charts: all\n" GOOD,
      "1:1: charts: wants a list of charts, e.g. - {x: day, y: sales}" },
    { "a_chart_that_is_a_text", "charts: [sales]\n" GOOD,
      "1:10: charts: wants mappings, e.g. - {x: day, y: sales}" },
    { "a_chart_without_x", "charts: [{y: a}]\n" GOOD,
      "1:10: charts: which column goes along the bottom? e.g. x: day" },
    { "a_chart_without_y", "charts:\n  - {x: a}\n" GOOD,
      "2:5: charts: which column is drawn? e.g. y: sales" },
    { "a_chart_with_half_a_band", "charts: [{x: a, y: b, band: l}]\n" GOOD,
      "1:23: charts.band: 1 columns; it takes a list of two columns, the lower and the "
      "upper edge" },
    { "a_band_around_two", "charts: [{x: a, y: [b, c], band: [l, u]}]\n" GOOD,
      "1:10: charts: a band is drawn around one column, and y has 2: make a chart for "
      "each" },
    { "a_forecast_of_two", "charts: [{x: a, y: [b, c], forecast: f}]\n" GOOD,
      "1:10: charts: a forecast goes on with one column, and y has 2: make a chart for "
      "each" },
    { "a_forecast_with_a_band", "charts: [{x: a, y: b, forecast: f, band: [l, u]}]\n" GOOD,
      "1:10: charts: forecast has a band of its own, that of its table; leave band out" },
    { "a_column_twice", "charts: [{x: a, y: [b, B]}]\n" GOOD,
      "1:24: charts.y: the column 'B' is named twice" },
    { "a_column_without_a_name", "charts: [{x: '', y: b}]\n" GOOD,
      "1:11: charts.x: '' is no name; it takes a column" },
    { "the_last_none", "charts: [{x: a, y: b, last: 0}]\n" GOOD,
      "1:23: charts.last: '0' is out of range; it takes a count, 1 to 1000000000" },
    { "a_title_of_two_lines", "charts: [{x: a, y: b, title: \"a\\nb\"}]\n" GOOD,
      "1:23: charts.title: 'a\\x0ab' is no title; give 1 to 200 bytes on one line" },
    { "an_unknown_key_of_a_chart", "charts: [{x: a, y: b, colour: red}]\n" GOOD,
      "1:23: unknown key 'charts.colour'" },
    { "charts_of_text", "charts: [{x: a, y: b}]\nsource: {csv: a}\nload: {into: 'csv:o'}\n",
      "1:1: charts: they are drawn from the database that rows go into, and csv:o has no "
      "tables" },

    // Dialect.
    { "delimiter_of_two_characters",
      "source: {csv: a, delimiter: '||'}\nload: {into: 'null:'}\n",
      "1:18: source.delimiter: '||' is not one ASCII character; e.g. ',', ';' or tab" },
    { "delimiter_is_a_line_end",
      "source: {csv: a, delimiter: \"\\n\"}\nload: {into: 'null:'}\n",
      "1:18: source.delimiter: '\\x0a' is not one ASCII character; e.g. ',', ';' or tab" },
    { "delimiter_is_not_ascii",
      "source: {csv: a, delimiter: '\xc2\xa7'}\nload: {into: 'null:'}\n",
      "1:18: source.delimiter: '\xc2\xa7' is not one ASCII character; e.g. ',', ';' or "
      "tab" },
    { "header_is_a_word", "source: {csv: a, header: maybe}\nload: {into: 'null:'}\n",
      "1:18: source.header: wants true, false, or a list of column names" },
    { "header_names_twice",
      "source: {csv: a, header: [x, Y, y, '', [z]]}\nload: {into: 'null:'}\n",
      "1:33: source.header: the column 'y' is named twice\n"
      "1:36: source.header: '' is no column name\n"
      "1:40: source.header: a column name must be a text" },
    { "types_that_do_not_exist",
      "source:\n  csv: a\n  types: {a: txt, b: int, c: any, d: [x], '': text, e: text, E: "
      "real}\n"
      "load: {into: 'null:'}\n",
      "3:11: source.types: column 'a': 'txt' is no type; did you mean 'text'?\n"
      "3:19: source.types: column 'b': 'int' is no type; did you mean 'integer'?\n"
      "3:27: source.types: column 'c': 'any' is no type; it is integer, real, text, "
      "boolean, "
      "date or timestamp\n"
      "3:35: source.types: column 'd': '' is no type; it is integer, real, text, boolean, "
      "date or timestamp\n"
      "3:43: source.types: '' is no column name\n"
      "3:62: source.types: 'e' and 'E' are the same name" },
    { "types_are_a_list", "source: {csv: a, types: [text]}\nload: {into: 'null:'}\n",
      "1:18: source.types: wants a mapping of column to type" },
    { "column_typed_twice",
      "source: {csv: a, types: {x: text, x: real}}\nload: {into: 'null:'}\n",
      "1:35: source.types: 'x' is given twice, first on line 1" },
    { "null_is_a_mapping", "source: {csv: a, null: {a: b}}\nload: {into: 'null:'}\n",
      "1:18: source.null: wants a text or a list of texts" },
    { "null_is_not_said",
      "source:\n  csv: a\n  null:\n    -\n    - [x]\nload: {into: 'null:'}\n",
      "4:6: source.null: wants a text in quotes, e.g. \"\" or \"NA\"\n"
      "5:7: source.null: wants a text in quotes, e.g. \"\" or \"NA\"" },

    // Transform, destination, names.
    { "transform_is_a_text", GOOD "transform: SELECT 1\n",
      "3:1: transform: wants a mapping, e.g. sql: SELECT a FROM batch" },
    { "steps_that_are_none",
      GOOD "transform:\n  - SELECT 1\n  - {}\n  - sql: ' '\n  - sql: [a]\n"
           "  - sqll: x\n",
      "4:5: transform: wants a mapping, e.g. sql: SELECT a FROM batch\n"
      "5:5: transform: wants a mapping, e.g. sql: SELECT a FROM batch\n"
      "6:5: transform.sql: an empty statement\n"
      "7:5: transform.sql: wants a single value: one SELECT\n"
      "8:5: unknown key 'transform.sqll'; did you mean 'transform.sql'?" },
    { "destination_without_a_scheme", "source: {csv: a}\nload: {into: warehouse.db}\n",
      "2:8: load.into: 'warehouse.db' has no scheme; did you mean "
      "sqlite:warehouse.db?" },
    { "name_of_a_result_that_a_terminal_might_obey",
      "source: {csv: a}\naggregate: {by: [a], compute: {\"x\\ty\": nosum(a)}}\nload: "
      "{into: 'sqlite:x'}\n",
      "2:40: aggregate.compute: x?y: no function 'nosum'; did you mean 'sum'?" },
    { "destination_that_a_terminal_might_obey",
      "source: {csv: a}\nload: {into: \"a\\e[2J.db\"}\n",
      "2:8: load.into: 'a\\x1b[2J.db' is no destination; it is sqlite:PATH, "
      "postgres:URL, csv:PATH, jsonl:PATH, stdout: or null:" },
    { "destination_misspelt", "source: {csv: a}\nload: {into: 'sqllite:x.db'}\n",
      "2:8: load.into: 'sqllite:x.db' is no destination; did you mean 'sqlite:'?" },
    { "destination_unknown", "source: {csv: a}\nload: {into: 'mysql:x'}\n",
      "2:8: load.into: 'mysql:x' is no destination; it is sqlite:PATH, "
      "postgres:URL, csv:PATH, jsonl:PATH, stdout: or null:" },
    { "destination_without_a_path", "source: {csv: a}\nload: {into: 'sqlite:'}\n",
      "2:8: load.into: no path; e.g. sqlite:warehouse.db" },
    { "destination_in_memory", "source: {csv: a}\nload: {into: 'sqlite::memory:'}\n",
      "2:8: load.into: a database in memory is gone at the end; give it a path" },
    { "destination_as_a_url", "source: {csv: a}\nload: {into: 'sqlite:///x.db'}\n",
      "2:8: load.into: 'sqlite:///x.db': write sqlite:PATH, without the slashes of a URL" },
    { "unknown_key_after_empty_sections",
      GOOD "name: x\n"
           "params: {}\n"
           "tables: {}\n"
           "limits: {}\n"
           "x: 1\n",
      "7:1: unknown key 'x'" },
    { "table_of_sqlite", "source: {csv: a}\nload: {into: 'null:', table: SQLite_x}\n",
      "2:23: load.table: 'SQLite_x': names with sqlite_ belong to SQLite" },
    { "table_of_ours", "source: {csv: a}\nload: {into: 'null:', table: tranche_runs}\n",
      "2:23: load.table: 'tranche_runs': names with tranche_ belong to tranche's own "
      "tables" },
    { "table_too_long",
      "source: {csv: a}\nload:\n  into: 'null:'\n  table: "
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
      "4:3: load.table: "
      "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa': "
      "longer than 63 bytes" },
    { "table_without_a_name", "source: {csv: a}\nload: {into: 'null:', table: ''}\n",
      "2:23: load.table: '': a table needs a name" },
    { "table_with_a_point", "source: {csv: a}\nload: {into: 'null:', table: main.x}\n",
      "2:23: load.table: 'main.x': a table's name holds no control characters, points or "
      "double quotes" },
    { "mode_misspelt",
      "source: {csv: a}\nload: {into: 'null:', mode: replac, ordered: maybe}\n",
      "2:23: load.mode: 'replac' is none of append, replace, upsert and incremental; did "
      "you mean 'replace'?\n"
      "2:37: load.ordered: 'maybe' is neither true nor false" },
    { "params_that_are_none",
      GOOD "params:\n  a: SELECT 1\n  b: {sqll: x}\n  c: {sql: x, y: z}\n  d-e: {sql: x}\n"
           "  f: {sql: ''}\n  g: {}\n",
      "4:3: params: 'a' wants a mapping, e.g. {sql: SELECT avg(x) FROM t}\n"
      "5:7: params: unknown key 'sqll' in 'b'; it has only 'sql'\n"
      "6:15: params: unknown key 'y' in 'c'; it has only 'sql'\n"
      "7:3: params: 'd-e' is no name for SQL; letters, digits and _ make one\n"
      "8:3: params: an empty statement\n"
      "9:3: params: 'g' wants a mapping, e.g. {sql: SELECT avg(x) FROM t}" },
    { "param_given_twice", GOOD "params: {a: {sql: x}, a: {sql: y}}\n",
      "3:23: params: 'a' is given twice, first on line 3" },
    { "tables_that_are_none",
      GOOD "tables:\n  batch: x.csv\n  sqlite_x: x.csv\n  a b: x.csv\n  c: [x]\n  d: '-'\n"
           "  e: x.csv\n  E: x.csv\n  f:\n",
      "4:3: tables: 'batch' is what sql calls the rows it works on\n"
      "5:3: tables: 'sqlite_x': names with sqlite_ belong to SQLite\n"
      "6:3: tables: 'a b' is no name for SQL; letters, digits and _ make one\n"
      "7:3: tables: 'c' wants the path of a CSV file\n"
      "8:3: tables: 'd' cannot come from standard input\n"
      "10:3: tables: 'e' and 'E' are the same name\n"
      "11:3: tables: 'f' wants the path of a CSV file" },
    { "name_on_two_lines", GOOD "name: \"a\\nb\"\n",
      "3:1: name: 'a\\x0ab' is no name; give 1 to 200 characters on one line" },
    { "no_table_can_be_made", "name: '***'\n" GOOD,
      "1:1: no name for the table can be made from '***'; give load: {table: NAME}" },

    // YAML itself.
    { "tab_as_indent", "source:\n\tcsv: a\n",
      "2:1: not valid YAML: a TAB; indent with spaces" },
    { "unclosed_bracket", "source: {csv: [a, b\nload: x\n",
      "2:5: not valid YAML: did not find expected ',' or ']', while parsing a flow "
      "sequence "
      "that begins on line 1" },
    { "wrong_indent", "source:\n  csv: a\n null: x\n",
      "3:2: not valid YAML: did not find expected key, while parsing a block mapping that "
      "begins on line 1" },
    { "two_documents", GOOD "---\nname: x\n",
      "3:1: a second document begins; a job file holds one" },
    { "comma_in_braces",
      GOOD "transform: {sql: SELECT a, b FROM batch}\n"
           "params: {p: {sql: SELECT a, b FROM t}}\n",
      "3:28: unknown key 'transform.b FROM batch'; the comma before it ended a text: put "
      "that "
      "in quotes\n"
      "4:29: params: unknown key 'b FROM t' in 'p'; the comma before it ended a text: put "
      "that "
      "in quotes" },
    { "colon_without_quotes", "source: {csv: a}\nload:\n  into: null:\n",
      "3:13: not valid YAML: a colon where none can be; a text with a colon wants quotes" },
    { "into_null", "source: {csv: a}\nload: {into: null}\n",
      "2:8: load.into: 'null' is no destination; did you mean 'null:'?" },
    { "anchor", "name: &a x\n" GOOD,
      "1:7: anchors (&name) are not supported; write the value out where it is used" },
    { "alias", "name: *a\n" GOOD,
      "1:7: aliases (*name) are not supported; write the value out" },
    { "tag", "name: !!str x\n" GOOD, "1:7: tags (!name) are not supported; leave it out" },
    { "key_is_a_list", "? [a]\n: b\n" GOOD, "1:3: a key must be a plain text" },
    { "deep", "a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n",
      "1:19: nested more than 16 levels deep" },
    { "nul_in_a_text", "name: \"a\\0b\"\n" GOOD, "1:7: a text holds a NUL character" },
    { "control_byte", "name: x\nname: \x01\n",
      "2:7: byte 0x01 is no text; is this a job file?" },
    { "not_utf8",
      "name: x\n# gr\xfc\xdf"
      "e\n",
      "2:5: byte 0xfc is not UTF-8; save the file as UTF-8" },
    { "utf8_cut_at_the_end", "name: x\n\xc3",
      "2:1: byte 0xc3 is not UTF-8; save the file as UTF-8" },
};

static char *expected_text(const char *lines)
{
    char *out = NULL;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    char *copy = strdup(lines), *rest = copy;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (*line) fprintf(f, "job.yaml:%s\n", line);
    fclose(f);
    free(copy);
    return out;
}

static char *said_text(const struct strings *s)
{
    char *out = NULL;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    for (size_t i = 0; i < s->n; i++)
        fprintf(f, "%s\n", s->v[i]);
    fclose(f);
    return out;
}

static err_t read_text(struct job *j, const char *yaml, size_t n, struct strings *mistakes,
                       struct err *e)
{
    struct conf c;
    job_init(j);
    conf_init(&c, j, mistakes);
    TRY(conf_text(&c, "job.yaml", yaml, n, e));
    return conf_finish(&c, e);
}

static void every_line_is_said(void **state)
{
    const struct row *row = *state;
    struct err e;
    struct job j;
    struct strings mistakes = { 0 };
    EXPECT(ERR_INVALID, &e, read_text(&j, row->yaml, strlen(row->yaml), &mistakes, &e));
    char *want = expected_text(row->lines), *got = said_text(&mistakes);
    if (strcmp(want, got) != 0) fail_msg("wanted:\n%sgot:\n%s", want, got);
    assert_string_equal(mistakes.v[0], e.text);
    free(want);
    free(got);
    strings_free(&mistakes);
    job_free(&j);
}

static void at_most_twenty_mistakes_are_said(void **state)
{
    (void)state;
    struct err e;
    struct job j;
    struct strings mistakes = { 0 };
    struct buf text = { 0 };
    for (int i = 0; i < 25; i++)
        PASS(&e, buf_printf(&text, &e, "zebra%d: x\n", i));
    EXPECT(ERR_INVALID, &e, read_text(&j, (char *)text.p, text.n, &mistakes, &e));
    EQ_I64(CONF_MAX_MISTAKES + 1, mistakes.n);
    assert_string_equal("job.yaml:20:1: unknown key 'zebra19'", mistakes.v[19]);
    assert_string_equal("there are more mistakes", mistakes.v[20]);
    strings_free(&mistakes);
    buf_free(&text);
    job_free(&j);
}

static void expect_line(const struct buf *text, const char *line)
{
    struct err e;
    struct job j;
    struct strings mistakes = { 0 };
    EXPECT(ERR_INVALID, &e, read_text(&j, (char *)text->p, text->n, &mistakes, &e));
    assert_string_equal(line, mistakes.v[0]);
    strings_free(&mistakes);
    job_free(&j);
}

static void a_file_over_a_mebibyte_is_refused(void **state)
{
    (void)state;
    struct err e;
    struct buf text = { 0 };
    PASS(&e, buf_reserve(&text, VALUE_MAX_BYTES + 1, &e));
    memset(text.p, ' ', VALUE_MAX_BYTES + 1);
    text.n = VALUE_MAX_BYTES + 1;
    expect_line(&text, "job.yaml:1:1: larger than 1 MiB");
    buf_free(&text);
}

static void a_file_of_too_many_values_is_refused(void **state)
{
    (void)state;
    struct err e;
    struct buf list = { 0 }, map = { 0 };
    PASS(&e, buf_printf(&list, &e, "a: ["));
    for (int i = 0; i < 100000; i++)
        PASS(&e, buf_printf(&list, &e, "x,"));
    for (int i = 0; i < 2001; i++)
        PASS(&e, buf_printf(&map, &e, "k%d: x\n", i));
    expect_line(&list, "job.yaml:1:100001: more than 50000 values");
    expect_line(&map, "job.yaml:2001:8: more than 2000 keys in one mapping");
    buf_free(&list);
    buf_free(&map);
}

static void a_nul_byte_is_refused(void **state)
{
    (void)state;
    struct buf text = { (uint8_t *)(uintptr_t) "name: x\0y\n", 10, 0 };
    expect_line(&text, "job.yaml:1:8: byte 0x00 is no text; is this a job file?");
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct err e;
    struct job j;
    EXPECT(ERR_IO, &e, job_from_file(&j, "/nowhere/job.yaml", NULL, &e));
    assert_string_equal(
        "/nowhere/job.yaml: cannot open the job file: No such file or directory", e.text);
    job_free(&j);
    EXPECT(ERR_IO, &e, job_from_file(&j, "/", NULL, &e));
    assert_string_equal("/ is a folder: name the job file in it", e.text);
    job_free(&j);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_most_twenty_mistakes_are_said),
        cmocka_unit_test(a_file_over_a_mebibyte_is_refused),
        cmocka_unit_test(a_file_of_too_many_values_is_refused),
        cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
    };
    return test_main("conf_mistakes", tests, N_OF(tests), TABLE(rows, every_line_is_said),
                     N_OF(rows));
}
