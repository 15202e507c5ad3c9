#include "proto/outbox.h"

#include <stdlib.h>
#include <string.h>

enum { KEEP_BYTES = 2 * OUTBOX_MAX }; // a spare one that grew larger gives them back

void outboxes_init(struct outboxes *o)
{
    *o = (struct outboxes){ 0 };
    list_init(&o->waiting);
    list_init(&o->spare);
}

static void box_free(struct outbox *x)
{
    list_take(&x->waiting);
    buf_free(&x->bytes);
    free(x);
}

void outboxes_free(struct outboxes *o)
{
    struct list *l;
    HASH_CLEAR(hh, o->by_id);
    while ((l = list_first(&o->waiting)) || (l = list_first(&o->spare)))
        box_free(LIST_OF(l, struct outbox, waiting));
}

struct outbox *outbox_find(const struct outboxes *o, const uint8_t *id, uint8_t id_n)
{
    struct outbox *x;
    HASH_FIND(hh, o->by_id, id, id_n, x);
    return x;
}

struct outbox *outbox_of(struct outboxes *o, const uint8_t *id, uint8_t id_n)
{
    struct outbox *x = outbox_find(o, id, id_n);
    if (x) return x;
    struct list *l = list_first(&o->spare);
    x = l ? LIST_OF(l, struct outbox, waiting) : calloc(1, sizeof *x);
    if (!x) return NULL;
    if (!l) list_init(&x->waiting);
    memcpy(x->id, id, id_n);
    x->id_n = id_n;
    HASH_ADD_KEYPTR(hh, o->by_id, x->id, id_n, x);
    if (!x->hh.tbl) {
        list_add(&o->spare, &x->waiting);
        return NULL;
    }
    list_add(&o->waiting, &x->waiting);
    return x;
}

struct outbox *outbox_first(const struct outboxes *o)
{
    struct list *l = list_first(&o->waiting);
    return l ? LIST_OF(l, struct outbox, waiting) : NULL;
}

void outbox_empty(struct outboxes *o, struct outbox **xx)
{
    struct outbox *x = *xx;
    *xx = NULL;
    HASH_DEL(o->by_id, x);
    x->bytes.n = 0;
    x->n = 0;
    list_add(&o->spare, &x->waiting);
    if (x->bytes.cap > KEEP_BYTES) buf_free(&x->bytes);
}
