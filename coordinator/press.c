#include "coordinator/press.h"

#include <string.h>

// What a value needs at most as text: see csv_write.h and jsonl_write.h.
enum { VALUE_MAX = 48, ESCAPED_MAX = 6 };

err_t press_open(struct press *p, const struct sink_ops *sink, const struct schema *schema,
                 press_put *put, void *arg, struct err *e)
{
    *p = (struct press){ .schema = schema, .sink = sink, .put = put, .arg = arg };
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->more, NULL);
    pthread_cond_init(&p->less, NULL);
    for (uint32_t i = 0; i < schema->n; i++)
        p->row_bytes += VALUE_MAX + ESCAPED_MAX * strlen(schema->f[i].name);
    return sink->open(&p->encoder, schema, e);
}

static err_t start_sheet(const struct press *p, struct sheet *s, struct err *e)
{
    TRY(batch_start(&s->batch, p->schema, e));
    s->text_bytes = 0;
    for (uint32_t i = 0; i < p->schema->n; i++) {
        struct vec *v = &s->batch.col[i];
        *v = (struct vec){ .type = TYPE_ANY };
        v->any = arena_alloc(&s->batch.mem, SHEET_ROWS * sizeof *v->any);
        if (!v->any) return err_set(e, ERR_NOMEM, "out of memory");
    }
    return ERR_OK;
}

static err_t print(struct press *p, const struct sheet *s, struct err *e)
{
    p->out.n = 0;
    TRY(buf_reserve(&p->out, s->batch.rows * p->row_bytes + ESCAPED_MAX * s->text_bytes,
                    e));
    struct region to = { p->out.p, p->out.cap, 0 };
    TRY(p->sink->encode(p->encoder, &s->batch, &to, e));
    return p->put(p->arg, to.p, to.n, e);
}

// ---- the thread

// Waits for a sheet; NULL: there is none, and none will come.
static const struct sheet *next_sheet(struct press *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->filled == p->printed && !p->ending)
        pthread_cond_wait(&p->more, &p->lock);
    bool any = p->filled > p->printed && p->rc == ERR_OK;
    const struct sheet *s = any ? &p->sheet[p->printed % SHEETS] : NULL;
    pthread_mutex_unlock(&p->lock);
    return s;
}

static void count_sheet(struct press *p, err_t rc, const struct err *e)
{
    pthread_mutex_lock(&p->lock);
    p->rc = rc;
    if (rc == ERR_OK)
        p->printed++;
    else
        p->e = *e;
    pthread_cond_signal(&p->less);
    pthread_mutex_unlock(&p->lock);
}

static void *press_main(void *arg)
{
    struct press *p = arg;
    const struct sheet *s;
    while ((s = next_sheet(p))) {
        struct err e = { 0 };
        count_sheet(p, print(p, s, &e), &e);
    }
    return NULL;
}

// ---- the caller

static err_t outcome(const struct press *p, struct err *e)
{
    if (p->rc != ERR_OK && e) *e = p->e;
    return p->rc;
}

// Until at most `left` sheets are still to be printed.
static err_t wait_for(struct press *p, uint64_t left, struct err *e)
{
    pthread_mutex_lock(&p->lock);
    while (p->filled - p->printed > left && p->rc == ERR_OK)
        pthread_cond_wait(&p->less, &p->lock);
    err_t rc = outcome(p, e);
    pthread_mutex_unlock(&p->lock);
    return rc;
}

err_t press_sheet(struct press *p, struct sheet **out, struct err *e)
{
    struct sheet *s = *out = &p->sheet[p->filled % SHEETS];
    if (p->running) TRY(wait_for(p, SHEETS - 1, e));
    return start_sheet(p, s, e);
}

static err_t print_here(struct press *p, struct err *e)
{
    TRY(print(p, &p->sheet[p->filled % SHEETS], e));
    p->printed++;
    p->filled++;
    return ERR_OK;
}

static void start_thread(struct press *p)
{
    p->running = pthread_create(&p->thread, NULL, press_main, p) == 0;
    if (p->running) pthread_setname_np(p->thread, "press");
}

err_t press_turn(struct press *p, struct err *e)
{
    if (p->filled == 1) start_thread(p);
    if (!p->running) return print_here(p, e);
    pthread_mutex_lock(&p->lock);
    p->filled++;
    pthread_cond_signal(&p->more);
    pthread_mutex_unlock(&p->lock);
    return ERR_OK;
}

static void stop_thread(struct press *p)
{
    if (!p->running) return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_signal(&p->more);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    p->running = false;
}

err_t press_end(struct press *p, struct err *e)
{
    stop_thread(p);
    return outcome(p, e);
}

void press_close(struct press *p)
{
    stop_thread(p);
    if (p->encoder) p->sink->close(&p->encoder);
    for (size_t i = 0; i < SHEETS; i++)
        batch_free(&p->sheet[i].batch);
    buf_free(&p->out);
    pthread_cond_destroy(&p->less);
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
}
