#include "common/sql_functions.h"

#include "common/pattern.h"
#include "common/sql_distinct.h"
#include "common/utf8.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int year, int month) // month from 0
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return days[month] + (month == 1 && is_leap(year));
}

// Only conversions that depend on nothing but the text; NULL or the offending letter.
static const char *bad_conversion(const char *format)
{
    for (const char *p = format; (p = strchr(p, '%')); p++) {
        p++;
        if (*p == 'E' || *p == 'O') p++;
        if (!*p || !strchr("aAbBcCdDeFhHIjklmMnpPrRStTuUVwWxXyYzGg%", *p)) return p;
    }
    return NULL;
}

static bool parse_time(const char *text, const char *format, struct tm *tm)
{
    *tm = (struct tm){ .tm_year = 100, .tm_mday = 1 };
    const char *end = strptime(text, format, tm);
    if (!end || *end) return false;
    int year = tm->tm_year + 1900;
    if (year < 0 || year > 9999 || tm->tm_mon < 0 || tm->tm_mon > 11) return false;
    if (tm->tm_mday < 1 || tm->tm_mday > month_days(year, tm->tm_mon)) return false;
    if (tm->tm_sec > 59 || tm->tm_gmtoff == 0) return tm->tm_sec <= 59;
    struct tm utc = *tm;
    time_t t = timegm(&utc) - tm->tm_gmtoff;
    return gmtime_r(&t, tm) && tm->tm_year + 1900 >= 0 && tm->tm_year + 1900 <= 9999;
}

static void sql_strptime(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    const char *text = (const char *)sqlite3_value_text(v[0]);
    const char *format = (const char *)sqlite3_value_text(v[1]);
    if (!text || !format) return;
    const char *bad = bad_conversion(format);
    if (bad) {
        char what[80];
        snprintf(what, sizeof what, "strptime: '%%%.1s' is not a conversion it knows", bad);
        sqlite3_result_error(ctx, what, -1);
        return;
    }
    struct tm tm;
    if (!parse_time(text, format, &tm)) return;
    char out[64];
    int len = snprintf(out, sizeof out, "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    sqlite3_result_text(ctx, out, len, SQLITE_TRANSIENT);
}

static void free_pattern(void *p)
{
    struct pattern *x = p;
    pattern_free(&x);
}

static void fail_regexp(sqlite3_context *ctx, err_t rc, const struct err *e)
{
    if (rc == ERR_NOMEM) return sqlite3_result_error_nomem(ctx);
    char what[sizeof e->text + 16];
    snprintf(what, sizeof what, "regexp %s", e->text);
    sqlite3_result_error(ctx, what, -1);
}

// `x REGEXP p` is regexp(p, x). A constant pattern is compiled once a statement.
static void sql_regexp(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    struct err e;
    bool matches = false;
    const char *text = (const char *)sqlite3_value_text(v[1]);
    const char *wanted = (const char *)sqlite3_value_text(v[0]);
    if (!wanted || !text) return;
    struct pattern *kept = sqlite3_get_auxdata(ctx, 0), *p = kept;
    err_t rc =
        kept ? ERR_OK : pattern_new(&p, wanted, (size_t)sqlite3_value_bytes(v[0]), &e);
    if (rc == ERR_OK)
        rc = pattern_matches(p, text, (size_t)sqlite3_value_bytes(v[1]), &matches, &e);
    if (rc == ERR_OK)
        sqlite3_result_int(ctx, matches);
    else
        fail_regexp(ctx, rc, &e);
    if (p && !kept) sqlite3_set_auxdata(ctx, 0, p, free_pattern);
}

// The value as a number; false for NULL and what is none.
static bool number(sqlite3_value *v, double *out)
{
    int type = sqlite3_value_numeric_type(v);
    if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) return false;
    *out = sqlite3_value_double(v);
    return true;
}

struct spread {
    int64_t n;
    double mean, m2; // m2: sum of squared distances from the mean
};

static void spread_step(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    double x;
    if (!number(v[0], &x)) return;
    struct spread *s = sqlite3_aggregate_context(ctx, sizeof *s);
    if (!s) {
        sqlite3_result_error_nomem(ctx);
        return;
    }
    double delta = x - s->mean;
    s->n++;
    s->mean += delta / (double)s->n;
    s->m2 += delta * (x - s->mean);
}

static void variance_final(sqlite3_context *ctx)
{
    const struct spread *s = sqlite3_aggregate_context(ctx, 0);
    if (s && s->n > 1) sqlite3_result_double(ctx, s->m2 / (double)(s->n - 1));
}

static void stddev_final(sqlite3_context *ctx)
{
    const struct spread *s = sqlite3_aggregate_context(ctx, 0);
    if (s && s->n > 1) sqlite3_result_double(ctx, sqrt(s->m2 / (double)(s->n - 1)));
}

struct sample { // kept in SQLite's heap, so that its limit holds
    double *v;
    uint64_t n, cap;
    double q;
    bool failed;
};

static void sample_add(sqlite3_context *ctx, struct sample *s, double x)
{
    if (s->n == s->cap) {
        uint64_t cap = s->cap ? s->cap * 2 : 64;
        double *v = sqlite3_realloc64(s->v, cap * sizeof *v);
        if (!v) {
            s->failed = true;
            sqlite3_result_error_nomem(ctx);
            return;
        }
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = x;
}

static void quantile_step(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct sample *s = sqlite3_aggregate_context(ctx, sizeof *s);
    double q = 0.5, x;
    if (!s) {
        sqlite3_result_error_nomem(ctx);
        return;
    }
    if (s->failed) return;
    if (n == 2 && (!number(v[1], &q) || !(q >= 0 && q <= 1))) {
        s->failed = true;
        sqlite3_result_error(ctx, "quantile: q must be a number from 0 to 1", -1);
        return;
    }
    if (s->n && q != s->q) {
        s->failed = true;
        sqlite3_result_error(ctx, "quantile: q must be the same for all rows", -1);
        return;
    }
    s->q = q;
    if (number(v[0], &x)) sample_add(ctx, s, x);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void quantile_final(sqlite3_context *ctx)
{
    struct sample *s = sqlite3_aggregate_context(ctx, 0);
    if (!s) return;
    if (s->n && !s->failed) {
        qsort(s->v, s->n, sizeof *s->v, by_value);
        double at = s->q * (double)(s->n - 1);
        uint64_t below = (uint64_t)at;
        double lo = s->v[below], hi = s->v[below + 1 < s->n ? below + 1 : below];
        double part = at - (double)below;
        sqlite3_result_double(ctx, part == 0 ? lo : lo + part * (hi - lo));
    }
    sqlite3_free(s->v);
    s->v = NULL;
}

static void sql_reject(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    enum { MOST = 400 };
    (void)n;
    const char *why = (const char *)sqlite3_value_text(v[0]);
    size_t bytes = why ? (size_t)sqlite3_value_bytes(v[0]) : 0;
    if (bytes > MOST) bytes = utf8_cut((const uint8_t *)why, bytes, MOST);
    if (bytes)
        sqlite3_result_error(ctx, why, (int)bytes);
    else
        sqlite3_result_error(ctx, "reject: no reason was given", -1);
}

err_t sql_functions_add(sqlite3 *db, struct err *e)
{
    enum { SAME = SQLITE_DETERMINISTIC };
    static const struct {
        const char *name;
        int args;
        void (*call)(sqlite3_context *, int, sqlite3_value **);
        void (*step)(sqlite3_context *, int, sqlite3_value **);
        void (*final)(sqlite3_context *);
        int more; // flags
    } functions[] = {
        { "strptime", 2, sql_strptime, NULL, NULL, SAME },
        { "regexp", 2, sql_regexp, NULL, NULL, SAME },
        { "variance", 1, NULL, spread_step, variance_final, SAME },
        { "stddev", 1, NULL, spread_step, stddev_final, SAME },
        { "median", 1, NULL, quantile_step, quantile_final, SAME },
        { "quantile", 2, NULL, quantile_step, quantile_final, SAME },
        { "count_distinct", 1, NULL, sql_distinct_step, sql_distinct_final, SAME },
        // Otherwise a reason that is a constant would be given before the first row.
        { "reject", 1, sql_reject, NULL, NULL, 0 },
    };
    enum { FLAGS = SQLITE_UTF8 | SQLITE_INNOCUOUS };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        int rc = sqlite3_create_function_v2(
            db, functions[i].name, functions[i].args, FLAGS | functions[i].more, NULL,
            functions[i].call, functions[i].step, functions[i].final, NULL);
        if (rc != SQLITE_OK)
            return err_set(e, rc == SQLITE_NOMEM ? ERR_NOMEM : ERR_DB, "%s: %s",
                           functions[i].name, sqlite3_errmsg(db));
    }
    return ERR_OK;
}
