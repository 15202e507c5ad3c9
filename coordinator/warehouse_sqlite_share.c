// Small results that share a slot: an image attached, a statement prepared and a pass over
// the table's end cost more than their rows do. The records of all are joined in one image
// and copied at once; the ledger still has a row, with its rowids, for each of them.

#include "coordinator/warehouse_sqlite.h"

static err_t make_joiner(struct warehouse *w, struct err *e)
{
    enum { PAGE_BYTES = 8192 };
    return w->joiner ? ERR_OK : sqlite_image_new(&w->joiner, &w->schema, PAGE_BYTES, e);
}

// Pages are as full as before, nearly: twice the room is enough for any rows but odd ones.
static err_t make_room(struct buf *b, const struct slice *image, size_t n, struct err *e)
{
    enum { HEAD = 256 << 10 };
    size_t bytes = HEAD;
    for (size_t i = 0; i < n; i++)
        bytes += 2 * image[i].n;
    b->n = 0;
    return buf_reserve(b, bytes, e);
}

static err_t join(struct warehouse *w, unsigned slot, const struct slice *image, size_t n,
                  struct err *e)
{
    struct buf *b = &w->slot[slot].joined;
    TRY(make_joiner(w, e));
    TRY(make_room(b, image, n, e));
    struct region to = { b->p, b->cap, 0 };
    err_t rc = sqlite_image_join(w->joiner, image, n, &to, e);
    if (rc == ERR_TOOBIG) return err_wrap(e, ERR_DUP, "small results");
    TRY(rc);
    return wsq_slot_fill(w, slot, to.p, to.n, e);
}

err_t wsq_slot_share(struct warehouse *w, unsigned slot, struct result *const *r, size_t n,
                     struct err *e)
{
    struct slice image[WAREHOUSE_SMALL_GROUP];
    struct wsq_slot *s = &w->slot[slot];
    size_t k = 0;
    s->n = n;
    s->rows = 0;
    s->in = false;
    for (size_t i = 0; i < n; i++) {
        if (!r[i]->image) continue;
        image[k++] = (struct slice){ r[i]->image, r[i]->image_bytes };
        s->rows += r[i]->row.rows_emitted;
    }
    if (k == 0) return wsq_slot_attach(w, slot, e);
    return k == 1 ? wsq_slot_fill(w, slot, image[0].p, image[0].n, e)
                  : join(w, slot, image, k, e);
}

static err_t copy_all(struct warehouse *w, unsigned slot, const struct ledger_row *row,
                      struct err *e)
{
    struct wsq_slot *s = &w->slot[slot];
    struct ledger_row all = { .range = row->range, .rows_emitted = s->rows };
    int64_t before;
    TRY(wsq_max_rowid(w, &before, e));
    TRY(wsq_slot_copy(w, slot, &all, e));
    s->in = true;
    s->next = before + 1;
    s->numbered = wsq_in_a_row(w, before, s->rows);
    return ERR_OK;
}

err_t wsq_slot_add_shared(struct warehouse *w, unsigned slot, struct ledger_row *row,
                          struct wsq_added *added, struct err *e)
{
    struct wsq_slot *s = &w->slot[slot];
    *added = (struct wsq_added){ 0 };
    if (!s->in) TRY(copy_all(w, slot, row, e));
    row->rows_loaded = row->rows_emitted;
    row->rows_refused = row->rows_replaced = row->rows_skipped = 0;
    int64_t first = s->next;
    s->next += (int64_t)row->rows_loaded;
    return s->numbered ? wsq_target_mark(w, first, s->next - 1, added, e) : ERR_OK;
}

void wsq_slots_free(struct warehouse *w)
{
    sqlite_image_free(&w->joiner);
    for (unsigned i = 0; i < WAREHOUSE_GROUP; i++)
        buf_free(&w->slot[i].joined);
}
