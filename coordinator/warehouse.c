#include "coordinator/warehouse.h"

#include <stdlib.h>
#include <string.h>

extern const struct warehouse_ops warehouse_sqlite, warehouse_csv, warehouse_jsonl,
    warehouse_stdout, warehouse_stdout_jsonl, warehouse_null, warehouse_pg;

const struct warehouse_ops *warehouse_find(const char *url)
{
    static const struct warehouse_ops *const all[] = {
        &warehouse_sqlite, &warehouse_csv,  &warehouse_jsonl,
        &warehouse_stdout, &warehouse_null, &warehouse_pg,
    };
    if (strcmp(url, "stdout:jsonl") == 0) return &warehouse_stdout_jsonl;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        size_t n = strlen(all[i]->scheme);
        if (strncmp(url, all[i]->scheme, n) == 0 && url[n] == ':') return all[i];
    }
    return NULL;
}

void load_state_free(struct load_state *s)
{
    for (size_t i = 0; i < s->n_inputs; i++)
        free(s->inputs[i].name);
    free(s->inputs);
    free(s->ledger);
    buf_free(&s->params);
    *s = (struct load_state){ 0 };
}
