// The aggregate: the columns to group by, then name and expression of each function.

#include "proto/spec_codec.h"

err_t enc_aggregate(struct enc *x, const struct agg *a)
{
    PACK(msgpack_pack_array(&x->pk, 2));
    TRY(enc_array(x, a->by.n, AGG_MAX_KEYS, "columns to group by"));
    for (size_t i = 0; i < a->by.n; i++)
        TRY(enc_text(x, a->by.v[i], "a column to group by"));
    TRY(enc_array(x, 2 * a->n_fn, (size_t)2 * AGG_MAX_FUNCTIONS, "names and functions"));
    for (size_t i = 0; i < a->n_fn; i++) {
        TRY(enc_text(x, a->fn[i].name, "a column's name"));
        TRY(enc_text(x, a->fn[i].text, "a function"));
    }
    return ERR_OK;
}

err_t dec_aggregate(const obj *o, struct agg *a, struct err *e)
{
    TRY(dec_array(o, 2, 2, "aggregate", e));
    const obj *by = &o->via.array.ptr[0], *fn = &o->via.array.ptr[1];
    TRY(dec_texts(by, &a->by.v, &a->by.n, AGG_MAX_KEYS, "columns to group by", e));
    TRY(dec_array(fn, 0, (size_t)2 * AGG_MAX_FUNCTIONS, "functions", e));
    if (fn->via.array.size % 2) return err_set(e, ERR_PROTO, "functions: a name alone");
    for (uint32_t i = 0; i < fn->via.array.size; i += 2) {
        char *name = NULL, *text = NULL;
        err_t rc = dec_text(&fn->via.array.ptr[i], &name, "functions", e);
        if (rc == ERR_OK) rc = dec_text(&fn->via.array.ptr[i + 1], &text, "functions", e);
        if (rc == ERR_OK) rc = agg_add_fn(a, name, text, e);
        free(name);
        free(text);
        if (rc == ERR_PARSE) rc = err_wrap(e, ERR_PROTO, "functions");
        TRY(rc);
    }
    return ERR_OK;
}
