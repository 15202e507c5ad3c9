#include "coordinator/source.h"

#include "coordinator/source_impl.h"
#include "coordinator/source_names.h"

#include <stdlib.h>
#include <unistd.h>

void chunk_data_free(struct chunk_data **c)
{
    if (!*c) return;
    free((*c)->block);
    free(*c);
    *c = NULL;
}

void cutter_close(struct cutter *c)
{
    stream_close(&c->stream);
    if (c->hash) hash_stream_free(&c->hash);
    free(c->block);
    chunk_data_free(&c->bad);
    *c = (struct cutter){ 0 };
}

void source_close(struct source **sp)
{
    struct source *s = *sp;
    if (!s) return;
    for (uint32_t i = 0; i < s->n; i++) {
        stream_close(&s->more[i].kept);
        free(s->more[i].done);
        free(s->in[i].name);
        free(s->in[i].path);
    }
    cutter_close(&s->cut);
    strings_free(&s->nulls);
    strings_free(&s->names);
    free(s->evidence);
    if (s->stop_fd >= 0) close(s->stop_fd);
    free(s->more);
    free(s->in);
    free(s);
    *sp = NULL;
}

void source_stop(struct source *s)
{
    uint64_t one = 1;
    if (write(s->stop_fd, &one, sizeof one) < 0) return; // it is full: it has been told
}

const struct source_input *source_inputs(const struct source *s, uint32_t *n)
{
    *n = s->n;
    return s->in;
}

const struct csv_dialect *source_dialect(const struct source *s)
{
    return &s->dialect;
}

const struct infer_column *source_evidence(const struct source *s, uint32_t *n)
{
    *n = s->n_evidence;
    return s->evidence;
}

err_t source_names(struct source *s, struct schema *names_as_text, struct strings *notes,
                   struct err *e)
{
    return names_mend(&s->names, s->header != HEADER_FALSE, names_as_text, notes, e);
}
