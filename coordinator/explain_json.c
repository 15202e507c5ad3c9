#include "coordinator/explain.h"

#include "coordinator/past_json.h"

void explain_run_json(const struct past *p, FILE *out)
{
    fputc('{', out);
    past_json_run(p, out);
    fputs(",\"chunks\":[", out);
    for (uint32_t i = 0; i < p->n_troubled; i++) {
        if (i) fputc(',', out);
        past_json_chunk(p, &p->troubled[i], out);
    }
    fputs("],\"events\":[", out);
    past_json_events(p, out);
    fputs("]}\n", out);
}

void explain_chunk_json(const struct past *p, const struct past_chunk *c,
                        const struct past_rows *rows, FILE *out)
{
    fputs("{\"run\":", out);
    json_string(p->run.id, out);
    fputs(",\"chunk\":", out);
    past_json_chunk(p, c, out);
    fputs(",\"rows\":", out);
    past_json_rows(rows, out);
    fputs(",\"cache\":", out);
    past_json_cached(p, c->range, out);
    fputs("}\n", out);
}
