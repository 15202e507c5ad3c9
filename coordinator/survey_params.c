#include "coordinator/survey_params.h"

#include "common/row_code.h"
#include "coordinator/source.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static err_t text_literal(const struct cell *c, struct buf *out, struct err *e)
{
    TRY(buf_add(out, "'", 1, e));
    for (uint32_t i = 0; i < c->len; i++) {
        if (c->p[i] == '\'') TRY(buf_add(out, "'", 1, e));
        TRY(buf_add(out, &c->p[i], 1, e));
    }
    return buf_add(out, "'", 1, e);
}

static err_t blob_literal(const struct cell *c, struct buf *out, struct err *e)
{
    TRY(buf_printf(out, e, "x'"));
    for (uint32_t i = 0; i < c->len; i++)
        TRY(buf_printf(out, e, "%02x", c->p[i]));
    return buf_printf(out, e, "'");
}

err_t survey_literal(const struct cell *c, struct buf *out, struct err *e)
{
    TRY(buf_printf(out, e, "SELECT "));
    switch ((enum cell_kind)c->kind) {
    case CELL_INTEGER:
        if (c->i == INT64_MIN) return buf_printf(out, e, "-9223372036854775807 - 1");
        return buf_printf(out, e, "%" PRId64, c->i);
    case CELL_REAL:
        if (isinf(c->r)) return buf_printf(out, e, c->r > 0 ? "9e999" : "-9e999");
        return buf_printf(out, e, "CAST(%.17g AS REAL)", c->r);
    case CELL_TEXT: return text_literal(c, out, e);
    case CELL_BLOB: return blob_literal(c, out, e);
    case CELL_NULL: break;
    }
    return buf_printf(out, e, "NULL");
}

static err_t add_param(struct job_pairs *out, const struct job_pair *param,
                       const struct job *j, const struct warehouse_ops *ops,
                       struct arena *mem, struct err *e)
{
    struct cell c = { .kind = CELL_NULL };
    struct buf sql = { 0 };
    bool tried = false;
    err_t rc = ERR_OK;
    if (ops->try_value) rc = ops->try_value(j->into, param->value, mem, &c, &tried, e);
    if (rc != ERR_OK) return err_wrap(e, rc, "params.%s", param->name);
    if (!tried) c = (struct cell){ .kind = CELL_NULL };
    rc = survey_literal(&c, &sql, e);
    if (rc == ERR_OK) rc = buf_add(&sql, "", 1, e);
    if (rc == ERR_OK) rc = job_pairs_set(out, param->name, (const char *)sql.p, e);
    buf_free(&sql);
    return rc;
}

err_t survey_params(struct job_pairs *out, const struct job *j,
                    const struct warehouse_ops *ops, struct err *e)
{
    struct arena mem = { 0 };
    err_t rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < j->params.n; i++)
        rc = add_param(out, &j->params.v[i], j, ops, &mem, e);
    arena_free(&mem);
    return rc;
}

// The number in a source of one row and one column.
static err_t read_count(const struct job *j, uint64_t *rows, struct err *e)
{
    struct source *s = NULL;
    struct schema schema = { 0 };
    struct buf row = { 0 };
    struct cell c = { 0 };
    uint64_t one;
    size_t at = 0;
    err_t rc = source_open(&s, j, e);
    if (rc == ERR_OK) rc = source_infer(s, j, &schema, &row, &one, e);
    if (rc == ERR_OK && row_code_next(row.p, row.n, &at, &c) && c.kind == CELL_INTEGER &&
        c.i >= 0)
        *rows = (uint64_t)c.i;
    source_close(&s);
    schema_free(&schema);
    buf_free(&row);
    return rc;
}

err_t survey_count(const struct job *j, uint64_t *rows, bool *counted, struct err *e)
{
    *counted = j->source == SOURCE_RANGE;
    if (j->source != SOURCE_SQLITE || !j->query) return ERR_OK;
    struct job count = *j;
    size_t n = strlen(j->query);
    while (n && strchr("; \t\r\n", j->query[n - 1]))
        n--;
    struct buf sql = { 0 };
    count.types = (struct job_pairs){ 0 };
    count.batch_by = NULL;
    err_t rc = buf_printf(&sql, e, "SELECT count(*) AS n FROM (%.*s\n)", (int)n, j->query);
    count.query = (char *)sql.p;
    if (rc == ERR_OK) rc = read_count(&count, rows, e);
    *counted = rc == ERR_OK;
    buf_free(&sql);
    return rc;
}
