// The parts of a run, read as `tranche report` and `tranche explain` read them.

#include "coordinator/web_api.h"

#include "common/base64.h"
#include "common/rejects.h"
#include "common/utf8.h"
#include "coordinator/past_json.h"
#include "coordinator/web_json.h"

#include <stdlib.h>
#include <string.h>

enum {
    RAW_MAX = 16 << 10,
    FILE_MAX = 4096,
    REJECTS_BYTES = 1 << 20,
    PATIENCE_MS = 1000, // with a warehouse: others wait for the same thread
};

typedef err_t load_fn(struct past *p, struct err *e);
typedef void write_fn(struct past *p, FILE *out);

static err_t part_of(struct web_view *v, const struct web_request *r, load_fn *load,
                     write_fn *write, struct buf *out, struct err *e)
{
    struct past p;
    struct web_json j;
    err_t rc = past_open(&p, v->facts.state, r->name, e);
    p.patience_ms = PATIENCE_MS;
    if (rc == ERR_OK) rc = load(&p, e);
    if (rc == ERR_OK) rc = web_json_begin(&j, e);
    if (rc == ERR_OK) {
        fprintf(j.f, "{\"run\":\"%s\"", p.run.id);
        write(&p, j.f);
        fputs("}\n", j.f);
        rc = web_json_end(&j, rc, out, e);
    }
    past_close(&p);
    return rc;
}

// The handler that answers with one part.
#define PART(handler, load, write)                                              \
    err_t handler(struct web_view *v, const struct web_request *r, int *status, \
                  struct buf *out, struct err *e)                               \
    {                                                                           \
        (void)status;                                                           \
        return part_of(v, r, load, write, out, e);                              \
    }

static void write_samples(struct past *p, FILE *out)
{
    fputs(",\"samples\":[", out);
    past_json_samples(p, out);
    fputc(']', out);
}

PART(web_api_samples, past_load_stats, write_samples)

static void write_chunks(struct past *p, FILE *out)
{
    past_json_number("attempts", p->attempts, out);
    past_json_number("attempts_failed", p->failed, out);
    past_json_number("attempts_lost", p->lost, out);
    past_json_number("all_retried", p->all_troubled, out);
    fputs(",\"slowest\":[", out);
    past_json_chunks(p, p->slowest, p->n_slowest, out);
    fputs("],\"retried\":[", out);
    past_json_chunks(p, p->troubled, p->n_troubled, out);
    fputc(']', out);
}

PART(web_api_chunks, past_load_chunks, write_chunks)

static void write_events(struct past *p, FILE *out)
{
    past_json_number("all", p->all_events, out);
    fputs(",\"events\":[", out);
    past_json_events(p, out);
    fputc(']', out);
}

PART(web_api_events, past_load_events, write_events)

static void write_reasons(struct past *p, FILE *out)
{
    if (p->no_reasons) past_json_text("unknown", p->no_reasons, out);
    fputs(",\"reasons\":[", out);
    past_json_reasons(p, out);
    fputc(']', out);
}

PART(web_api_reasons, past_load_rejects, write_reasons)

// ---- lists ----

struct list {
    uint64_t after, limit, n, bytes;
    int64_t last;
    bool more;
    FILE *out;
};

static err_t list_of(const struct web_request *r, struct list *l, struct err *e)
{
    *l = (struct list){ 0 };
    TRY(web_param_number(r, "after", 0, INT64_MAX, 0, &l->after, e));
    return web_param_number(r, "limit", 1, WEB_API_LIMIT_MAX, WEB_API_LIMIT, &l->limit, e);
}

static void list_end(const struct list *l, FILE *out)
{
    if (l->more)
        fprintf(out, "],\"next\":%lld}\n", (long long)l->last);
    else
        fputs("],\"next\":null}\n", out);
}

static void write_crew(const struct past *p, struct list *l, FILE *out)
{
    uint64_t i = l->after;
    fprintf(out, "{\"run\":\"%s\",\"all\":%u,\"workers\":[", p->run.id, p->n_workers);
    for (; i < p->n_workers && i < l->after + l->limit; i++) {
        fputs(i > l->after ? ",{" : "{", out);
        past_json_worker(&p->workers[i], out);
        fputc('}', out);
    }
    l->more = i < p->n_workers;
    l->last = (int64_t)i;
    list_end(l, out);
}

err_t web_api_crew(struct web_view *v, const struct web_request *r, int *status,
                   struct buf *out, struct err *e)
{
    struct past p;
    struct list l;
    struct web_json j;
    (void)status;
    TRY(list_of(r, &l, e));
    err_t rc = past_open(&p, v->facts.state, r->name, e);
    if (rc == ERR_OK) rc = past_load_stats(&p, e);
    if (rc == ERR_OK) rc = web_json_begin(&j, e);
    if (rc == ERR_OK) {
        write_crew(&p, &l, j.f);
        rc = web_json_end(&j, rc, out, e);
    }
    past_close(&p);
    return rc;
}

// At most `most` bytes of it, none of them half a character.
static size_t text_of(const char *key, struct slice s, size_t most, FILE *out)
{
    size_t n = s.n ? utf8_cut(s.p, s.n, most) : 0;
    fprintf(out, ",\"%s\":", key);
    json_string_n(n ? s.p : (const uint8_t *)"", n, out);
    return n;
}

// Bytes that are no text lose something on their way through a string of JSON.
static size_t raw_of(struct slice raw, FILE *out)
{
    static _Thread_local char letters[BASE64_SIZE(RAW_MAX)];
    struct slice shown = { raw.p, raw.n < RAW_MAX ? raw.n : RAW_MAX };
    bool text = raw.n == 0 || utf8_bad(raw.p, raw.n) == raw.n;
    past_json_number("raw_bytes", raw.n, out);
    if (text) return text_of("raw", raw, RAW_MAX, out);
    fputs(",\"raw\":", out);
    json_string_n(shown.p, shown.n, out);
    base64_encode(shown.p, shown.n, letters);
    fprintf(out, ",\"raw_base64\":\"%s\"", letters);
    return shown.n;
}

static bool add_reject(void *arg, const struct past_reject *x)
{
    struct list *l = arg;
    l->more = l->n == l->limit || l->bytes > REJECTS_BYTES;
    if (l->more) return false;
    l->last = x->id;
    fprintf(l->out, "%s{\"number\":%lld", l->n++ ? "," : "", (long long)x->id);
    l->bytes += text_of("file", x->file, FILE_MAX, l->out);
    if (x->line)
        past_json_number("line", x->line, l->out);
    else
        fputs(",\"line\":null", l->out);
    if (x->byte != REJECT_NO_BYTE)
        past_json_number("byte", x->byte, l->out);
    else
        fputs(",\"byte\":null", l->out);
    l->bytes += text_of("column", x->column, REJECT_COLUMN_MAX, l->out);
    l->bytes += text_of("reason", x->reason, REJECT_REASON_MAX, l->out);
    l->bytes += raw_of(x->raw, l->out);
    fputc('}', l->out);
    return true;
}

static err_t write_rejects(struct past *p, struct list *l, struct err *e)
{
    const char *unknown = NULL;
    fprintf(l->out, "{\"run\":\"%s\",\"rejects\":[", p->run.id);
    TRY(past_each_reject(p, (int64_t)l->after, add_reject, l, &unknown, e));
    if (unknown) {
        fputs("],\"unknown\":", l->out);
        json_string(unknown, l->out);
        fputs(",\"next\":null}\n", l->out);
    } else {
        list_end(l, l->out);
    }
    return ERR_OK;
}

err_t web_api_rejects(struct web_view *v, const struct web_request *r, int *status,
                      struct buf *out, struct err *e)
{
    struct past p;
    struct list l;
    struct web_json j;
    (void)status;
    TRY(list_of(r, &l, e));
    err_t rc = past_open(&p, v->facts.state, r->name, e);
    p.patience_ms = PATIENCE_MS;
    if (rc == ERR_OK) rc = web_json_begin(&j, e);
    if (rc == ERR_OK) {
        l.out = j.f;
        rc = web_json_end(&j, write_rejects(&p, &l, e), out, e);
    }
    past_close(&p);
    return rc;
}
