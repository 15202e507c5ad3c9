#include "worker/transform.h"

#include <stddef.h>

const struct transform_ops *transform_find(enum step_kind kind)
{
    switch (kind) {
    case STEP_SQL: return &transform_sql;
    case STEP_PLUGIN: return &transform_plugin;
    case STEP_EXEC: return &transform_exec;
    case STEP_HTTP: return &transform_http;
    case STEP_FORECAST: return &transform_forecast;
    case STEP_NONE: break;
    }
    return NULL;
}

struct seen {
    bool integer, real, text, other;
};

static void look_at_cells(struct seen *seen, const struct cell *c, uint32_t rows)
{
    for (uint32_t r = 0; r < rows; r++) {
        switch ((enum cell_kind)c[r].kind) {
        case CELL_NULL: break;
        case CELL_INTEGER: seen->integer = true; break;
        case CELL_REAL: seen->real = true; break;
        case CELL_TEXT: seen->text = true; break;
        case CELL_BLOB: seen->other = true; break;
        }
    }
}

static enum type settled(const struct seen *s)
{
    bool number = s->integer || s->real;
    if (s->other || number == s->text) return TYPE_ANY; // mixed, or nothing at all
    if (s->text) return TYPE_TEXT;
    return s->real ? TYPE_REAL : TYPE_INTEGER;
}

void transform_settle(struct schema *s, const struct batch *sample)
{
    for (uint32_t i = 0; i < s->n && i < sample->n_cols; i++) {
        const struct vec *v = &sample->col[i];
        if (s->f[i].type != TYPE_ANY || v->absent) continue;
        s->f[i].given = false;
        if (v->type != TYPE_ANY) {
            if (!v->n_misfits) s->f[i].type = v->type;
            continue;
        }
        struct seen seen = { 0 };
        look_at_cells(&seen, v->any, sample->rows);
        s->f[i].type = settled(&seen);
    }
}
