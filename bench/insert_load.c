// insert_load - what a careful C programmer writes without us: one thread, one pass over
// the file, values bound with their types to one prepared INSERT, one durable transaction.
//
//   insert_load FILE.csv DATABASE TABLE [TEXT-OF-NULL]
//
// RFC 4180, a header, quoted fields with delimiters, quotes and line ends. A column is
// INTEGER or REAL when all its values in the first rows are; later values that are not are
// kept as text. The unquoted empty field is NULL, and so is TEXT-OF-NULL.

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COLUMNS_MAX = 2000, SAMPLE_ROWS = 1000 };
enum kind { INTEGER, REAL, TEXT };
static const char *const KIND[] = { "INTEGER", "REAL", "TEXT" };

struct field {
    const char *p;
    size_t n;
    bool quoted;
};

struct loader {
    const char *at, *end;
    struct field f[COLUMNS_MAX];
    char *unquoted; // of the fields of one record that have doubled quotes
    const char *null;
    enum kind kind[COLUMNS_MAX];
    int columns;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "insert_load: %s: %s\n", what, why);
    exit(1);
}

static void check(sqlite3 *db, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE) die("sqlite", sqlite3_errmsg(db));
}

// ---- CSV

// The field that starts with a quote at l->at; l->at is left behind its closing quote.
static void quoted_field(struct loader *l, struct field *f, char **room)
{
    const char *from = ++l->at;
    bool doubled = false;
    for (;; l->at++) {
        l->at = memchr(l->at, '"', (size_t)(l->end - l->at));
        if (!l->at) die("csv", "a quote is never closed");
        if (l->at + 1 == l->end || l->at[1] != '"') break;
        doubled = true;
        l->at++;
    }
    *f = (struct field){ from, (size_t)(l->at++ - from), true };
    if (!doubled) return;
    char *out = *room;
    for (size_t i = 0; i < f->n; i++) {
        *out++ = f->p[i];
        if (f->p[i] == '"') i++;
    }
    *f = (struct field){ *room, (size_t)(out - *room), true };
    *room = out;
}

static void plain_field(struct loader *l, struct field *f)
{
    const char *from = l->at;
    while (l->at < l->end && *l->at != ',' && *l->at != '\n')
        l->at++;
    size_t n = (size_t)(l->at - from);
    if (n && from[n - 1] == '\r' && (l->at == l->end || *l->at == '\n')) n--;
    *f = (struct field){ from, n, false };
}

// The number of fields of the next record; 0: the end.
static int next_record(struct loader *l)
{
    char *room = l->unquoted;
    if (l->at == l->end) return 0;
    for (int n = 0; n < COLUMNS_MAX;) {
        if (l->at < l->end && *l->at == '"')
            quoted_field(l, &l->f[n++], &room);
        else
            plain_field(l, &l->f[n++]);
        if (l->at < l->end && *l->at == '\r') l->at++;
        if (l->at == l->end) return n;
        if (*l->at++ == '\n') return n;
    }
    die("csv", "too many columns");
    return 0;
}

// ---- values

static bool is_null(const struct loader *l, const struct field *f)
{
    if (f->quoted) return false;
    return f->n == 0 ||
           (l->null && strlen(l->null) == f->n && memcmp(l->null, f->p, f->n) == 0);
}

static bool to_integer(const struct field *f, sqlite3_int64 *out)
{
    size_t i = f->n && f->p[0] == '-';
    sqlite3_int64 v = 0;
    if (i == f->n || f->n - i > 18) return false;
    if (f->p[i] == '0' && f->n > i + 1) return false; // 00501 is a code
    for (; i < f->n; i++) {
        unsigned digit = (unsigned)(f->p[i] - '0');
        if (digit > 9) return false;
        v = v * 10 + (int)digit;
    }
    *out = f->p[0] == '-' ? -v : v;
    return true;
}

static bool to_real(const struct field *f, double *out)
{
    char text[64], *end;
    if (f->n == 0 || f->n >= sizeof text) return false;
    memcpy(text, f->p, f->n);
    text[f->n] = 0;
    *out = strtod(text, &end);
    return end == text + f->n;
}

static void guess_kinds(struct loader *l)
{
    const char *start = l->at;
    sqlite3_int64 i;
    double d;
    for (int row = 0; row < SAMPLE_ROWS && next_record(l) == l->columns; row++)
        for (int c = 0; c < l->columns; c++) {
            const struct field *f = &l->f[c];
            if (is_null(l, f)) continue;
            if (l->kind[c] == INTEGER && !to_integer(f, &i)) l->kind[c] = REAL;
            if (l->kind[c] == REAL && !to_real(f, &d)) l->kind[c] = TEXT;
        }
    l->at = start;
}

static int bind(const struct loader *l, sqlite3_stmt *st, int c)
{
    const struct field *f = &l->f[c];
    sqlite3_int64 i;
    double d;
    if (is_null(l, f)) return sqlite3_bind_null(st, c + 1);
    if (l->kind[c] == INTEGER && to_integer(f, &i)) return sqlite3_bind_int64(st, c + 1, i);
    if (l->kind[c] == REAL && to_real(f, &d)) return sqlite3_bind_double(st, c + 1, d);
    return sqlite3_bind_text(st, c + 1, f->p, (int)f->n, SQLITE_STATIC);
}

// ---- the database

static void map_file(struct loader *l, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st)) die(path, strerror(errno));
    l->at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (l->at == MAP_FAILED) die(path, strerror(errno));
    madvise((void *)(uintptr_t)l->at, (size_t)st.st_size, MADV_SEQUENTIAL);
    l->end = l->at + st.st_size;
    l->unquoted = malloc((size_t)st.st_size);
    if (!l->unquoted) die(path, "out of memory");
    close(fd);
}

static void create(sqlite3 *db, const struct loader *l, const struct field *name,
                   const char *table)
{
    sqlite3_str *s = sqlite3_str_new(db);
    for (int c = 0; c < l->columns; c++)
        sqlite3_str_appendf(s, "%s\"%.*s\" %s", c ? ", " : "", (int)name[c].n, name[c].p,
                            KIND[l->kind[c]]);
    char *columns = sqlite3_str_finish(s);
    char *sql = sqlite3_mprintf("CREATE TABLE \"%w\"(%s)", table, columns);
    check(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
    sqlite3_free(sql);
    sqlite3_free(columns);
}

static sqlite3_stmt *prepare(sqlite3 *db, const struct loader *l, const char *table)
{
    sqlite3_stmt *st;
    sqlite3_str *s = sqlite3_str_new(db);
    sqlite3_str_appendf(s, "INSERT INTO \"%w\" VALUES(?", table);
    for (int c = 1; c < l->columns; c++)
        sqlite3_str_appendall(s, ",?");
    sqlite3_str_appendall(s, ")");
    char *sql = sqlite3_str_finish(s);
    check(db, sqlite3_prepare_v2(db, sql, -1, &st, NULL));
    sqlite3_free(sql);
    return st;
}

int main(int argc, char **argv)
{
    static struct loader l;
    static struct field name[COLUMNS_MAX];
    sqlite3 *db;
    if (argc < 4 || argc > 5) {
        fputs("usage: insert_load FILE.csv DATABASE TABLE [TEXT-OF-NULL]\n", stderr);
        return 2;
    }
    l.null = argc > 4 ? argv[4] : NULL;
    map_file(&l, argv[1]);
    l.columns = next_record(&l);
    memcpy(name, l.f, sizeof name);
    guess_kinds(&l);
    check(NULL, sqlite3_open(argv[2], &db));
    check(db, sqlite3_exec(db, "PRAGMA synchronous=FULL; BEGIN", NULL, NULL, NULL));
    create(db, &l, name, argv[3]);
    sqlite3_stmt *st = prepare(db, &l, argv[3]);
    long rows = 0;
    for (int n; (n = next_record(&l)) > 0; rows++) {
        if (n != l.columns) die("csv", "a record has another number of fields");
        for (int c = 0; c < n; c++)
            check(db, bind(&l, st, c));
        check(db, sqlite3_step(st));
        sqlite3_reset(st);
    }
    sqlite3_finalize(st);
    check(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    check(db, sqlite3_close(db));
    printf("%ld rows\n", rows);
    return 0;
}
