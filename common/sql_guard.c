#include "common/sql_guard.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// Deterministic functions without a way out; a space before and after each.
static const char FUNCTIONS[] =
    " -> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char "
    "coalesce concat concat_ws cos cosh count count_distinct cume_dist date datetime "
    "degrees dense_rank exp first_value floor format glob group_concat hex if ifnull iif "
    "instr json json_array json_array_length json_extract json_group_array "
    "json_group_object json_insert json_object json_patch json_pretty json_quote "
    "json_remove json_replace json_set json_type json_valid julianday lag "
    "last_value lead length like likelihood likely ln log log10 log2 lower ltrim "
    "max median min mod nth_value ntile nullif octet_length percent_rank pi pow "
    "power printf quantile quote radians rank regexp reject replace round row_number "
    "rtrim sign sin sinh soundex sqrt stddev strftime string_agg strptime substr "
    "substring sum tan tanh time timediff total trim trunc typeof unhex unicode "
    "unixepoch unlikely upper variance zeroblob ";

static bool function_allowed(const struct sql_guard *g, const char *name)
{
    if (g->own_function && strcasecmp(name, g->own_function) == 0) return true;
    if (g->clock && strncasecmp(name, "current_", 8) == 0) return true;
    char word[64];
    int n = snprintf(word, sizeof word, " %s ", name);
    return n < (int)sizeof word && !strchr(name, ' ') && strcasestr(FUNCTIONS, word);
}

// X(authorizer code, what to call it; %s is the callback's first or second name)
#define ACTIONS(X)                                     \
    X(SQLITE_CREATE_INDEX, "CREATE INDEX %s")          \
    X(SQLITE_CREATE_TABLE, "CREATE TABLE %s")          \
    X(SQLITE_CREATE_TEMP_TABLE, "CREATE TABLE %s")     \
    X(SQLITE_CREATE_TRIGGER, "CREATE TRIGGER %s")      \
    X(SQLITE_CREATE_VIEW, "CREATE VIEW %s")            \
    X(SQLITE_CREATE_VTABLE, "CREATE VIRTUAL TABLE %s") \
    X(SQLITE_DELETE, "DELETE FROM %s")                 \
    X(SQLITE_DROP_TABLE, "DROP TABLE %s")              \
    X(SQLITE_DROP_VTABLE, "DROP TABLE %s")             \
    X(SQLITE_INSERT, "INSERT INTO %s")                 \
    X(SQLITE_PRAGMA, "PRAGMA %s")                      \
    X(SQLITE_TRANSACTION, "%s")                        \
    X(SQLITE_UPDATE, "UPDATE %s")                      \
    X(SQLITE_ATTACH, "ATTACH")                         \
    X(SQLITE_DETACH, "DETACH")                         \
    X(SQLITE_ALTER_TABLE, "ALTER TABLE")               \
    X(SQLITE_REINDEX, "REINDEX")                       \
    X(SQLITE_ANALYZE, "ANALYZE")                       \
    X(SQLITE_SAVEPOINT, "SAVEPOINT")

// The first thing refused while this thread prepared its statement.
static _Thread_local char denied[200];

static int deny(const char *fmt, const char *name)
{
    if (!denied[0]) snprintf(denied, sizeof denied, fmt, name ? name : "");
    return SQLITE_DENY;
}

static bool sqlites_own(const char *table)
{
    return strncasecmp(table, "sqlite_", 7) == 0 || strncasecmp(table, "pragma_", 7) == 0;
}

static int judge_read(const struct sql_guard *g, const char *table, const char *column)
{
    if (sqlites_own(table)) return deny("reading %s", table);
    const char *why = g->read ? g->read(g->arg, table, column) : NULL;
    return why ? deny("%s", why) : SQLITE_OK;
}

static int judge(void *arg, int action, const char *a, const char *b, const char *database,
                 const char *inner)
{
    (void)database;
    (void)inner;
    const struct sql_guard *g = arg;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_READ: return judge_read(g, a ? a : "", b ? b : "");
    case SQLITE_FUNCTION:
        if (b && function_allowed(g, b)) return SQLITE_OK;
        if (b && strncasecmp(b, "current_", 8) == 0)
            return deny("%s, it has no clock; pass the time as a param", b);
        return deny("%s()", b);
    case SQLITE_INSERT: // CREATE comes as a write to the schema first, DROP as a delete,
        if (a && sqlites_own(a)) return deny("CREATE", NULL);
        break;
    case SQLITE_DELETE:
        if (a && sqlites_own(a)) return deny("DROP", NULL);
        break;
    case SQLITE_UPDATE: // and the first use of a pragma's table as an update
        if (a && sqlites_own(a)) return deny("tables of SQLite's own", NULL);
        break;
    default: break;
    }
    switch (action) {
#define X(code, text) \
    case code: return deny(text, a);
        ACTIONS(X)
#undef X
    }
    return deny("this kind of statement", NULL);
}

void sql_guard_read_only(sqlite3 *db, bool on)
{
    static struct sql_guard reader = { .clock = true };
    sqlite3_set_authorizer(db, on ? judge : NULL, on ? &reader : NULL);
}

void sql_guard_judge(sqlite3 *db, struct sql_guard *g)
{
    sqlite3_set_authorizer(db, g ? judge : NULL, g);
}

struct setting {
    int op, value;
};

static err_t configure(sqlite3 *db, const struct setting *s, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        int now;
        int rc = sqlite3_db_config(db, s[i].op, s[i].value, &now);
        if (rc != SQLITE_OK || now != s[i].value)
            return err_set(e, ERR_DB, "SQLite %s refuses setting %d that guards it",
                           sqlite3_libversion(), s[i].op);
    }
    return ERR_OK;
}

err_t sql_guard_harden(sqlite3 *db, struct err *e)
{
    static const struct setting settings[] = {
        { SQLITE_DBCONFIG_DEFENSIVE, 1 },
        { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
        { SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0 },
        { SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
        { SQLITE_DBCONFIG_DQS_DML, 0 },
    };
    return configure(db, settings, sizeof settings / sizeof *settings, e);
}

static _Thread_local bool clock_asked;

static int no_time(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    (void)vfs;
    *out = 0;
    clock_asked = true;
    return SQLITE_ERROR;
}

static int no_time_real(sqlite3_vfs *vfs, double *out)
{
    (void)vfs;
    *out = 0;
    clock_asked = true;
    return SQLITE_ERROR;
}

bool sql_guard_clock_asked(void)
{
    bool asked = clock_asked;
    clock_asked = false;
    return asked;
}

static const char NO_CLOCK[] = "no-clock";

// The default VFS in everything but the time.
static int register_no_clock(void)
{
    static sqlite3_vfs vfs;
    int rc = sqlite3_initialize();
    if (rc != SQLITE_OK || vfs.zName) return rc;
    const sqlite3_vfs *usual = sqlite3_vfs_find(NULL);
    if (!usual || usual->iVersion < 2) return SQLITE_ERROR;
    sqlite3_vfs ours = *usual;
    ours.pNext = NULL;
    ours.zName = NO_CLOCK;
    ours.xCurrentTime = no_time_real;
    ours.xCurrentTimeInt64 = no_time;
    vfs = ours;
    rc = sqlite3_vfs_register(&vfs, 0);
    if (rc != SQLITE_OK) vfs.zName = NULL;
    sqlite3_test_control(SQLITE_TESTCTRL_LOCALTIME_FAULT, 1);
    return rc;
}

static err_t open_memory(sqlite3 *db, struct err *e)
{
    static const struct setting settings[] = {
        { SQLITE_DBCONFIG_DQS_DDL, 0 },
        { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
        { SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
    };
    TRY(sql_guard_harden(db, e));
    TRY(configure(db, settings, sizeof settings / sizeof *settings, e));
    sqlite3_extended_result_codes(db, 1);
    if (sqlite3_exec(db, "PRAGMA temp_store=2; PRAGMA mmap_size=0", NULL, NULL, NULL))
        return err_set(e, ERR_DB, "%s", sqlite3_errmsg(db));
    return ERR_OK;
}

err_t sql_guard_open(sqlite3 **out, struct err *e)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    *out = NULL;
    pthread_mutex_lock(&lock);
    int rc = register_no_clock();
    pthread_mutex_unlock(&lock);
    if (rc == SQLITE_NOMEM) return err_set(e, ERR_NOMEM, "out of memory: SQLite");
    if (rc != SQLITE_OK)
        return err_set(e, ERR_DB, "SQLite %s takes no VFS of ours", sqlite3_libversion());
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    rc = sqlite3_open_v2(":memory:", &db, flags, NO_CLOCK);
    err_t result = rc == SQLITE_OK ? open_memory(db, e)
                                   : err_set(e, ERR_NOMEM, "%s", sqlite3_errstr(rc));
    if (result != ERR_OK) {
        sqlite3_close(db);
        return result;
    }
    *out = db;
    return ERR_OK;
}

// Looser than the strictest where honest SQL would feel it: long OR chains, UNION ALLs of
// an unpivot, texts as long as a CSV field may be.
static const struct setting LIMITS[] = {
    { SQLITE_LIMIT_LENGTH, 32 << 20 },
    { SQLITE_LIMIT_SQL_LENGTH, 100000 },
    { SQLITE_LIMIT_COLUMN, 2000 },
    { SQLITE_LIMIT_EXPR_DEPTH, 200 },
    { SQLITE_LIMIT_COMPOUND_SELECT, 50 },
    { SQLITE_LIMIT_VDBE_OP, 50000 },
    { SQLITE_LIMIT_FUNCTION_ARG, 127 },
    { SQLITE_LIMIT_ATTACHED, 0 },
    { SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100 },
    { SQLITE_LIMIT_VARIABLE_NUMBER, 100 },
    { SQLITE_LIMIT_TRIGGER_DEPTH, 0 },
    { SQLITE_LIMIT_WORKER_THREADS, 0 },
};

// A module's table comes into being at its first use, by writing to the schema, which the
// authorizer would refuse.
static err_t connect_module(sqlite3 *db, const char *name, struct err *e)
{
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT 1 FROM \"%s\"", name);
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    sqlite3_finalize(stmt);
    if (rc == SQLITE_OK) return ERR_OK;
    return err_set(e, rc == SQLITE_NOMEM ? ERR_NOMEM : ERR_DB, "%s", sqlite3_errmsg(db));
}

err_t sql_guard_close_doors(struct sql_guard *g, sqlite3 *db, const char *keep,
                            struct err *e)
{
    for (size_t i = 0; i < sizeof LIMITS / sizeof *LIMITS; i++)
        sqlite3_limit(db, LIMITS[i].op, LIMITS[i].value);
    const char *modules[] = { "json_each", "json_tree", keep, NULL };
    if (sqlite3_drop_modules(db, modules) != SQLITE_OK)
        return err_set(e, ERR_DB, "%s", sqlite3_errmsg(db));
    for (size_t i = 0; modules[i]; i++)
        TRY(connect_module(db, modules[i], e));
    if (g->heap_bytes) sqlite3_hard_heap_limit64((sqlite3_int64)g->heap_bytes);
    if (sqlite3_set_authorizer(db, judge, g) != SQLITE_OK)
        return err_set(e, ERR_DB, "%s", sqlite3_errmsg(db));
    return ERR_OK;
}

static int past_deadline(void *arg)
{
    const ns_t *deadline = arg;
    return clock_ns() >= *deadline;
}

void sql_guard_deadline(sqlite3 *db, const ns_t *deadline)
{
    enum { OPCODES = 1000 };
    sqlite3_progress_handler(db, deadline ? OPCODES : 0, deadline ? past_deadline : NULL,
                             (void *)(uintptr_t)deadline);
}

struct place {
    unsigned line, column; // from 1; column in characters
};

static struct place place_of(const char *sql, size_t offset)
{
    struct place p = { 1, 1 };
    for (size_t i = 0; i < offset && sql[i]; i++) {
        if (sql[i] == '\n')
            p = (struct place){ p.line + 1, 1 };
        else if ((sql[i] & 0xc0) != 0x80)
            p.column++;
    }
    return p;
}

static err_t explain(sqlite3 *db, int rc, const char *sql, size_t begin, const char *where,
                     err_t code, struct err *e)
{
    if (denied[0]) return err_set(e, code, "not allowed in %s: %s", where, denied);
    if ((rc & 0xff) == SQLITE_NOMEM) return err_set(e, ERR_NOMEM, "out of memory: SQL");
    int at = sqlite3_error_offset(db);
    if (at < 0) return err_set(e, code, "%s", sqlite3_errmsg(db));
    struct place p = place_of(sql, begin + (size_t)at);
    return err_set(e, code, "line %u, column %u: %s", p.line, p.column, sqlite3_errmsg(db));
}

// Nothing but white space, comments and semicolons.
static err_t nothing_follows(sqlite3 *db, const char *sql, const char *tail,
                             const char *where, err_t code, struct err *e)
{
    while (*tail) {
        const char *begin = tail;
        sqlite3_stmt *second = NULL;
        int rc = sqlite3_prepare_v2(db, begin, -1, &second, &tail);
        sqlite3_finalize(second);
        if ((rc & 0xff) == SQLITE_NOMEM)
            return explain(db, rc, sql, 0, where, ERR_NOMEM, e);
        if (rc == SQLITE_OK && !second) continue;
        begin += strspn(begin, " \t\r\n");
        struct place p = place_of(sql, (size_t)(begin - sql));
        return err_set(e, code,
                       "one statement is wanted; a second begins at line %u, "
                       "column %u",
                       p.line, p.column);
    }
    return ERR_OK;
}

err_t sql_guard_prepare(sqlite3 *db, const char *sql, const char *where, err_t code,
                        sqlite3_stmt **out, struct err *e)
{
    *out = NULL;
    denied[0] = 0;
    sqlite3_stmt *stmt = NULL;
    const char *tail = sql, *begin = sql;
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && !stmt && *tail) { // a leading comment or ; is no statement
        begin = tail;
        rc = sqlite3_prepare_v2(db, begin, -1, &stmt, &tail);
    }
    if (rc != SQLITE_OK) return explain(db, rc, sql, (size_t)(begin - sql), where, code, e);
    if (!stmt) return err_set(e, code, "there is no SQL statement");
    err_t result = ERR_OK;
    if (sqlite3_stmt_isexplain(stmt))
        result = err_set(e, code, "not allowed in %s: EXPLAIN", where);
    else if (!sqlite3_stmt_readonly(stmt) || sqlite3_column_count(stmt) == 0)
        result = err_set(e, code, "%s is a SELECT; this statement returns no rows", where);
    else
        result = nothing_follows(db, sql, tail, where, code, e);
    if (result == ERR_OK)
        *out = stmt;
    else
        sqlite3_finalize(stmt);
    return result;
}
