#include "common/json_path.h"

#include <stdlib.h>
#include <string.h>

static bool is_name_byte(unsigned char c)
{
    return c > ' ' && c != 0x7f && !strchr(".[]'\"*$", c);
}

static err_t add(struct json_path *p, const char *name, size_t n, struct err *e)
{
    if (p->n == JSON_PATH_STEPS)
        return err_set(e, ERR_INVALID, "more than %d steps", JSON_PATH_STEPS);
    struct json_path_step *s = &p->step[p->n];
    s->member = name ? strndup(name, n) : NULL;
    if (name && !s->member) return err_set(e, ERR_NOMEM, "out of memory");
    p->many += !name;
    p->n++;
    return ERR_OK;
}

// One step; *at is moved past it. False: it is none.
static bool take(const char **at, const char **name, size_t *n)
{
    const char *p = *at;
    *name = NULL;
    if (*p == '.') {
        *name = ++p;
        while (is_name_byte((unsigned char)*p))
            p++;
        *n = (size_t)(p - *name);
        *at = p;
        return *n > 0;
    }
    if (strncmp(p, "[*]", 3) == 0) {
        *at = p + 3;
        return true;
    }
    if (strncmp(p, "['", 2) != 0) return false;
    const char *end = strstr(p + 2, "']");
    *name = p + 2;
    *n = end ? (size_t)(end - *name) : 0;
    *at = end ? end + 2 : p;
    return *n > 0;
}

err_t json_path_parse(struct json_path *p, const char *text, struct err *e)
{
    const char *at = text + 1, *name;
    size_t n = 0;
    *p = (struct json_path){ 0 };
    if (*text != '$')
        return err_set(e, ERR_INVALID, "it does not begin with $, as in $.items[*]");
    while (*at) {
        const char *from = at;
        if (!take(&at, &name, &n))
            return err_set(e, ERR_INVALID, "'%.40s' is none of .name, ['name'] and [*]",
                           from);
        TRY(add(p, name, n, e));
    }
    return ERR_OK;
}

void json_path_free(struct json_path *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->step[i].member);
    *p = (struct json_path){ 0 };
}
