#include "common/sql_functions.h"

#include <math.h>
#include <regex.h>
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

enum {
    PATTERN_MAX = 1000,       // bytes
    PATTERN_NODES_MAX = 5000, // after {n,m} is written out
    PATTERN_DEPTH_MAX = 50,
};

// The largest number of an interval "{2,30}" at p, or 1 when there is none; *end after it.
static long interval(const char *p, const char **end)
{
    long max = 1, n = 0;
    for (p++; *p && *p != '}'; p++) {
        if (*p == ',') n = 0;
        if (*p >= '0' && *p <= '9' && n < PATTERN_NODES_MAX) n = n * 10 + (*p - '0');
        if (n > max) max = n;
    }
    *end = *p ? p + 1 : p;
    return max;
}

static const char *bracket_end(const char *p) // p at '['; at its ']' or the end
{
    p++;
    if (*p == '^') p++;
    if (*p == ']') p++;
    for (; *p && *p != ']'; p++) {
        if (p[0] == '[' && p[1] && strchr(".:=", p[1])) {
            const char close[] = { p[1], ']', 0 };
            const char *q = strstr(p + 2, close);
            if (q) p = q + 1;
        }
    }
    return p;
}

// regcomp writes repetitions out, so a short pattern can ask for gigabytes, and going back
// to a group makes matching exponential. Counts what it would become; NULL: acceptable.
static const char *pattern_cost(const char *pattern)
{
    long size[PATTERN_DEPTH_MAX + 1] = { 0 }; // of the groups that are open
    long atom = 0;                            // the last atom, part of size[depth]
    int depth = 0;
    if (strlen(pattern) > PATTERN_MAX) return "longer than 1000 bytes";
    for (const char *p = pattern; *p;) {
        if (*p == '(') {
            if (depth == PATTERN_DEPTH_MAX) return "nested deeper than 50";
            size[++depth] = 1;
            atom = 0;
            p++;
        } else if (*p == ')' && depth > 0) {
            atom = size[depth--];
            size[depth] += atom;
            p++;
        } else if (*p == '{') {
            long times = interval(p, &p);
            size[depth] += atom * (times - 1);
            atom *= times;
        } else if (*p == '*' || *p == '+' || *p == '?' || *p == '|') {
            p++;
        } else {
            if (*p == '\\' && p[1] >= '1' && p[1] <= '9')
                return "a reference back to a group";
            if (*p == '\\' && p[1]) p++;
            if (*p == '[') p = bracket_end(p);
            if (*p) p++;
            atom = 1;
            size[depth]++;
        }
        if (size[depth] > PATTERN_NODES_MAX) return "too many repetitions";
    }
    return NULL;
}

static void regex_free(void *p)
{
    regfree(p);
    sqlite3_free(p);
}

static regex_t *regex_compile(sqlite3_context *ctx, const char *pattern)
{
    char what[300];
    const char *why = pattern_cost(pattern);
    if (why) {
        snprintf(what, sizeof what, "regexp '%.100s': %s", pattern, why);
        sqlite3_result_error(ctx, what, -1);
        return NULL;
    }
    regex_t *re = sqlite3_malloc(sizeof *re);
    if (!re) return sqlite3_result_error_nomem(ctx), NULL;
    int rc = regcomp(re, pattern, REG_EXTENDED | REG_NOSUB);
    if (rc == 0) return re;
    char reason[100];
    regerror(rc, re, reason, sizeof reason);
    snprintf(what, sizeof what, "regexp '%.100s': %s", pattern, reason);
    sqlite3_result_error(ctx, what, -1);
    sqlite3_free(re);
    return NULL;
}

// `x REGEXP p` is regexp(p, x). A constant pattern is compiled once a statement.
static void sql_regexp(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    const char *pattern = (const char *)sqlite3_value_text(v[0]);
    const char *text = (const char *)sqlite3_value_text(v[1]);
    if (!pattern || !text) return;
    regex_t *cached = sqlite3_get_auxdata(ctx, 0);
    regex_t *re = cached ? cached : regex_compile(ctx, pattern);
    if (!re) return;
    int rc = regexec(re, text, 0, NULL, 0);
    if (rc == REG_ESPACE)
        sqlite3_result_error_nomem(ctx);
    else
        sqlite3_result_int(ctx, rc == 0);
    if (!cached) sqlite3_set_auxdata(ctx, 0, re, regex_free);
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

err_t sql_functions_add(sqlite3 *db, struct err *e)
{
    static const struct {
        const char *name;
        int args;
        void (*call)(sqlite3_context *, int, sqlite3_value **);
        void (*step)(sqlite3_context *, int, sqlite3_value **);
        void (*final)(sqlite3_context *);
    } functions[] = {
        { "strptime", 2, sql_strptime, NULL, NULL },
        { "regexp", 2, sql_regexp, NULL, NULL },
        { "variance", 1, NULL, spread_step, variance_final },
        { "stddev", 1, NULL, spread_step, stddev_final },
        { "median", 1, NULL, quantile_step, quantile_final },
        { "quantile", 2, NULL, quantile_step, quantile_final },
    };
    enum { FLAGS = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        int rc = sqlite3_create_function_v2(db, functions[i].name, functions[i].args, FLAGS,
                                            NULL, functions[i].call, functions[i].step,
                                            functions[i].final, NULL);
        if (rc != SQLITE_OK)
            return err_set(e, rc == SQLITE_NOMEM ? ERR_NOMEM : ERR_DB, "%s: %s",
                           functions[i].name, sqlite3_errmsg(db));
    }
    return ERR_OK;
}
