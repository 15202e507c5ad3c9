#include "common/job_lists.h"

#include <stdlib.h>
#include <string.h>

err_t strings_add(struct strings *s, const char *p, size_t n, struct err *e)
{
    char **v = realloc(s->v, (s->n + 1) * sizeof *v);
    if (v) s->v = v;
    char *copy = v ? strndup(p, n) : NULL;
    if (!copy) return err_set(e, ERR_NOMEM, "out of memory");
    s->v[s->n++] = copy;
    return ERR_OK;
}

err_t strings_copy(struct strings *to, const struct strings *from, struct err *e)
{
    for (size_t i = 0; i < from->n; i++)
        TRY(strings_add(to, from->v[i], strlen(from->v[i]), e));
    return ERR_OK;
}

void strings_free(struct strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->v[i]);
    free(s->v);
    *s = (struct strings){ 0 };
}

static struct job_pair *find(const struct job_pairs *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->v[i].name, name) == 0) return &p->v[i];
    return NULL;
}

const char *job_pairs_get(const struct job_pairs *p, const char *name)
{
    const struct job_pair *found = find(p, name);
    return found ? found->value : NULL;
}

err_t job_pairs_set(struct job_pairs *p, const char *name, const char *value, struct err *e)
{
    char *v = strdup(value);
    if (!v) return err_set(e, ERR_NOMEM, "out of memory");
    struct job_pair *old = find(p, name);
    if (old) {
        free(old->value);
        old->value = v;
        return ERR_OK;
    }
    struct job_pair *grown = realloc(p->v, (p->n + 1) * sizeof *grown);
    if (grown) p->v = grown;
    char *n = grown ? strdup(name) : NULL;
    if (!n) {
        free(v);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    p->v[p->n++] = (struct job_pair){ n, v };
    return ERR_OK;
}

err_t job_pairs_copy(struct job_pairs *to, const struct job_pairs *from, struct err *e)
{
    for (size_t i = 0; i < from->n; i++)
        TRY(job_pairs_set(to, from->v[i].name, from->v[i].value, e));
    return ERR_OK;
}

void job_pairs_free(struct job_pairs *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->v[i].name);
        free(p->v[i].value);
    }
    free(p->v);
    *p = (struct job_pairs){ 0 };
}

err_t job_items_add(struct job_items *s, const char *name, const char *text, int line,
                    int column, struct err *e)
{
    struct job_item *v = realloc(s->v, (s->n + 1) * sizeof *v);
    if (v) s->v = v;
    char *copy = v ? strdup(text) : NULL;
    char *name_copy = copy && name ? strdup(name) : NULL;
    if (!copy || (name && !name_copy)) {
        free(copy);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    s->v[s->n++] = (struct job_item){ name_copy, copy, line, column };
    return ERR_OK;
}

void job_items_free(struct job_items *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->v[i].name);
        free(s->v[i].text);
    }
    free(s->v);
    *s = (struct job_items){ 0 };
}
