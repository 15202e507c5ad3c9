// Slots: attached databases c0, c1, ... whose bytes are the images that workers built. One
// INSERT ... SELECT a slot copies the raw records.
//
// Newer SQLite lets an image be put into a slot only outside a transaction, so all are put
// in before BEGIN. A slot is emptied afterwards, because SQLite may look at its image again
// whenever it reloads the schema. For that reason, too, a slot is attached when it is first
// used: a load of a few batches uses one.

#include "coordinator/warehouse_sqlite.h"

#include "common/csv_quote.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A slot that holds nothing still needs a database to look at.
static err_t make_empty_image(struct warehouse *w, struct err *e)
{
    if (w->empty_image) return ERR_OK;
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, (const char *)w->image_sql.p, NULL, NULL, NULL);
    if (rc == SQLITE_OK) w->empty_image = sqlite3_serialize(db, "main", &w->empty_bytes, 0);
    sqlite3_close(db);
    if (rc != SQLITE_OK) return wsq_fail(w, rc, e, "making an empty image");
    return w->empty_image ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

static err_t put(struct warehouse *w, unsigned slot, const uint8_t *p, size_t n,
                 struct err *e)
{
    char name[8];
    snprintf(name, sizeof name, "c%u", slot);
    sqlite3_int64 bytes = (sqlite3_int64)n;
    int rc = sqlite3_deserialize(w->db, name, (uint8_t *)(uintptr_t)p, bytes, bytes,
                                 SQLITE_DESERIALIZE_READONLY);
    if (rc == SQLITE_OK) return ERR_OK;
    int why = sqlite3_extended_errcode(w->db); // rc itself is SQLITE_ERROR in any case
    return wsq_fail(w, why == SQLITE_OK ? rc : why, e, "attaching an image");
}

err_t wsq_slot_attach(struct warehouse *w, unsigned slot, struct err *e)
{
    assert(slot < WAREHOUSE_GROUP && sqlite3_get_autocommit(w->db));
    if (w->attached & 1u << slot) return ERR_OK;
    TRY(wsq_exec(w, e, "attaching", "ATTACH ':memory:' AS c%u", slot));
    w->attached |= 1u << slot;
    return wsq_slot_clear(w, slot, e);
}

err_t wsq_slot_fill(struct warehouse *w, unsigned slot, const uint8_t *p, size_t n,
                    struct err *e)
{
    TRY(wsq_slot_attach(w, slot, e));
    return put(w, slot, p, n, e);
}

err_t wsq_slot_clear(struct warehouse *w, unsigned slot, struct err *e)
{
    if (!(w->attached & 1u << slot)) return ERR_OK;
    return put(w, slot, w->empty_image, (size_t)w->empty_bytes, e);
}

err_t wsq_slots_attach(struct warehouse *w, struct err *e)
{
    // A slot's pages are read where they stand instead of into the cache. Set for all,
    // which is what slots attached later follow, then back for the file: a mapped file that
    // is truncated by somebody kills its reader.
    TRY(wsq_exec(w, e, "attaching", "PRAGMA mmap_size=%lld; PRAGMA main.mmap_size=0",
                 (long long)INT32_MAX));
    TRY(make_empty_image(w, e));
    w->slots = true;
    w->attached = 0;
    return wsq_slot_attach(w, 0, e);
}

// ---- rows that the table refuses

static bool is_refusal(int rc)
{
    return (rc & 0xff) == SQLITE_CONSTRAINT || (rc & 0xff) == SQLITE_MISMATCH;
}

// The row as a line of CSV, NULL as the empty field: what a person can correct and load.
static err_t row_as_csv(sqlite3_stmt *row, struct buf *out, struct err *e)
{
    out->n = 0;
    for (int i = 0; i < sqlite3_column_count(row) && out->n < REJECT_RAW_MAX; i++) {
        if (i) TRY(buf_add(out, ",", 1, e));
        int type = sqlite3_column_type(row, i);
        if (type == SQLITE_NULL) continue;
        if (type == SQLITE_FLOAT) {
            TRY(buf_printf(out, e, "%.17g", sqlite3_column_double(row, i)));
            continue;
        }
        const char *p = (const char *)sqlite3_column_text(row, i);
        if (!p) return err_set(e, ERR_NOMEM, "out of memory");
        TRY(csv_quote(out, p, (size_t)sqlite3_column_bytes(row, i), e));
    }
    return ERR_OK;
}

// "UNIQUE constraint failed: t.a" names its column; with two of them it names none.
static struct slice column_of(const char *table, const char *message)
{
    const char *p = strstr(message, " constraint failed: ");
    size_t n = strlen(table);
    if (!p) return (struct slice){ NULL, 0 };
    p += strlen(" constraint failed: ");
    if (strncmp(p, table, n) != 0 || p[n] != '.' || strstr(p, ", "))
        return (struct slice){ NULL, 0 };
    return (struct slice){ (const uint8_t *)p + n + 1, strlen(p + n + 1) };
}

// column NULL: the one that SQLite's words name.
static err_t refuse(struct warehouse *w, const struct range *range, const char *why,
                    const char *column, sqlite3_stmt *row, struct buf *csv,
                    struct rejects *refused, struct err *e)
{
    char reason[REJECT_REASON_MAX];
    int n = snprintf(reason, sizeof reason,
                     "%.800s (in the batch from %" PRIu64 " to %" PRIu64 ")", why,
                     range->begin, range->end);
    struct slice named = column ? (struct slice){ (const uint8_t *)column, strlen(column) }
                                : column_of(w->target, why);
    struct reject r = { .byte = REJECT_NO_BYTE,
                        .column = named,
                        .reason = { (const uint8_t *)reason, (size_t)n } };
    TRY(row_as_csv(row, csv, e));
    r.raw = (struct slice){ csv->p, csv->n };
    return rejects_add(refused, &r, e);
}

static void start_rows(struct warehouse *w, struct ledger_row *row)
{
    row->rows_loaded = row->rows_refused = row->rows_replaced = row->rows_skipped = 0;
    w->replaced = 0;
    wsq_watermark_reset(&w->watermark);
}

// Whether the mode takes the row. *why: no, and that is the reason to refuse it, with the
// column that has it; else it is passed over.
static bool mode_takes(struct warehouse *w, sqlite3_stmt *from, const char **why,
                       const char **column)
{
    *why = NULL;
    for (size_t i = 0; i < w->key.n; i++) {
        if (sqlite3_column_type(from, (int)w->key.v[i]) != SQLITE_NULL) continue;
        *why = "the key is NULL: it can't be compared with those loaded";
        *column = w->schema.f[w->key.v[i]].name;
    }
    if (w->watermark.column < 0) return !*why;
    enum wsq_above is =
        wsq_watermark_judge(&w->watermark, sqlite3_column_value(from, w->watermark.column));
    if (is == WSQ_UNFIT) *why = wsq_watermark_unfit(w);
    *column = w->schema.f[w->watermark.column].name;
    return is == WSQ_ABOVE;
}

static err_t row_is_in(struct warehouse *w, sqlite3_stmt *from, struct ledger_row *row,
                       struct err *e)
{
    row->rows_loaded++;
    row->rows_replaced = w->replaced;
    if (w->watermark.column < 0) return ERR_OK;
    return wsq_watermark_raise(&w->watermark,
                               sqlite3_column_value(from, w->watermark.column), e);
}

static err_t insert_one(struct warehouse *w, sqlite3_stmt *from, sqlite3_stmt *into,
                        struct ledger_row *row, struct buf *csv, struct rejects *refused,
                        struct err *e)
{
    const char *why, *column = NULL;
    if (!mode_takes(w, from, &why, &column)) {
        row->rows_refused += why != NULL;
        row->rows_skipped += !why;
        return why ? refuse(w, &row->range, why, column, from, csv, refused, e) : ERR_OK;
    }
    for (int i = 0; i < sqlite3_column_count(from); i++) {
        int rc = sqlite3_bind_value(into, i + 1, sqlite3_column_value(from, i));
        if (rc != SQLITE_OK) return wsq_fail(w, rc, e, "binding a value");
    }
    int rc = sqlite3_step(into);
    if (rc == SQLITE_DONE && sqlite3_changes64(w->db) == 1) {
        sqlite3_reset(into);
        return row_is_in(w, from, row, e);
    }
    err_t out;
    w->replaced = row->rows_replaced;
    if (rc == SQLITE_DONE)
        out = refuse(w, &row->range, "a trigger of the table ignored the row", NULL, from,
                     csv, refused, e);
    else if (is_refusal(rc) && !sqlite3_get_autocommit(w->db))
        out = refuse(w, &row->range, sqlite3_errmsg(w->db), NULL, from, csv, refused, e);
    else
        out = wsq_fail(w, rc, e, "adding a row");
    sqlite3_reset(into);
    row->rows_refused++;
    return out;
}

static err_t insert_each(struct warehouse *w, unsigned slot, struct ledger_row *row,
                         struct rejects *refused, struct err *e)
{
    sqlite3_stmt *from = NULL, *into = NULL;
    struct buf csv = { 0 };
    start_rows(w, row);
    err_t rc = wsq_prepare(w, &from, e, "SELECT * FROM c%u.t", slot);
    if (rc == ERR_OK) rc = wsq_prepare(w, &into, e, "%s", w->insert_row);
    bool more = rc == ERR_OK;
    while (more) {
        rc = wsq_step(w, from, &more, e, "reading an image");
        if (more) rc = insert_one(w, from, into, row, &csv, refused, e);
        more = more && rc == ERR_OK;
    }
    sqlite3_finalize(from);
    sqlite3_finalize(into);
    buf_free(&csv);
    return rc;
}

// ---- all rows of a slot at once

// *refused: some row broke a rule of the table, and none of them is in.
static err_t insert_all(struct warehouse *w, unsigned slot, struct ledger_row *row,
                        bool *refused, struct err *e)
{
    // Prepared anew: a kept statement would not notice that the slot has another image.
    sqlite3_stmt *st;
    TRY(wsq_prepare(w, &st, e, "%sc%u.t%s", w->insert, slot, w->insert_rule));
    start_rows(w, row);
    int rc = sqlite3_step(st);
    uint64_t want = row->rows_emitted - w->watermark.skipped;
    bool all = rc == SQLITE_DONE && (uint64_t)sqlite3_changes64(w->db) == want;
    *refused = (rc == SQLITE_DONE && !all) || is_refusal(rc);
    err_t out = rc == SQLITE_DONE || *refused ? ERR_OK : wsq_fail(w, rc, e, "adding rows");
    sqlite3_finalize(st);
    if (*refused && sqlite3_get_autocommit(w->db))
        return err_set(e, ERR_DB, "%s: a trigger of %s rolled the transaction back",
                       w->shown, w->table);
    if (!all) return out;
    row->rows_loaded = want;
    row->rows_replaced = w->replaced;
    row->rows_skipped = w->watermark.skipped;
    return out;
}

static err_t insert_with_care(struct warehouse *w, unsigned slot, struct ledger_row *row,
                              struct rejects *list, struct err *e)
{
    bool refused;
    TRY(wsq_exec(w, e, "adding rows", "SAVEPOINT slot"));
    TRY(insert_all(w, slot, row, &refused, e));
    if (refused) {
        TRY(wsq_exec(w, e, "adding rows", "ROLLBACK TO slot"));
        TRY(insert_each(w, slot, row, list, e));
    }
    return wsq_exec(w, e, "adding rows", "RELEASE slot");
}

err_t wsq_max_rowid(struct warehouse *w, int64_t *out, struct err *e)
{
    sqlite3_stmt *st;
    bool row;
    *out = 0;
    if (!w->rowid) return ERR_OK;
    TRY(wsq_cached(w, WSQ_MAX_ROWID, &st, e));
    TRY(wsq_step(w, st, &row, e, "reading rowids"));
    *out = sqlite3_column_int64(st, 0); // NULL, an empty table, reads as 0
    sqlite3_reset(st);
    return ERR_OK;
}

bool wsq_in_a_row(const struct warehouse *w, int64_t before, uint64_t rows)
{
    return w->rowid && before >= 0 && before <= INT64_MAX - (1ll << 48) &&
           sqlite3_last_insert_rowid(w->db) == before + (int64_t)rows;
}

err_t wsq_slot_copy(struct warehouse *w, unsigned slot, struct ledger_row *row,
                    struct err *e)
{
    bool unexpected = false;
    TRY(insert_all(w, slot, row, &unexpected, e));
    return unexpected
               ? err_set(e, ERR_DB, "%s: the rules of %s changed while it was loaded",
                         w->shown, w->table)
               : ERR_OK;
}

err_t wsq_slot_insert(struct warehouse *w, unsigned slot, struct ledger_row *row,
                      struct rejects *refused, struct wsq_added *added, struct err *e)
{
    int64_t before;
    *added = (struct wsq_added){ 0 };
    TRY(wsq_max_rowid(w, &before, e));
    if (w->fast)
        TRY(wsq_slot_copy(w, slot, row, e));
    else
        TRY(insert_with_care(w, slot, row, refused, e));
    row->rows_emitted -= row->rows_skipped;
    assert(row->rows_loaded + row->rows_refused == row->rows_emitted);
    added->greatest = w->watermark.greatest;
    if (!wsq_in_a_row(w, before, row->rows_loaded))
        return ERR_OK; // its rowids are the table's affair
    return wsq_target_mark(w, before + 1, before + (int64_t)row->rows_loaded, added, e);
}
