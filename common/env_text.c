#include "common/env_text.h"

#include <stdbool.h>
#include <string.h>

enum { NAME_MAX_BYTES = 200 };

static bool is_name_byte(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

// The name behind a $; *p is moved past it. False: there is none.
static bool take_name(const char **p, char name[NAME_MAX_BYTES + 1])
{
    const char *at = *p + 1;
    bool braces = *at == '{';
    size_t n = 0;
    at += braces;
    while (n < NAME_MAX_BYTES && is_name_byte(at[n], n == 0))
        n++;
    if (n == 0 || (braces && at[n] != '}')) return false;
    memcpy(name, at, n);
    name[n] = 0;
    *p = at + n + braces;
    return true;
}

static err_t put_variable(const char *name, env_text_get *get, struct buf *out,
                          struct err *e)
{
    const char *value = get(name);
    if (!value)
        return err_set(e, ERR_INVALID, "the environment variable %s is not set", name);
    return buf_add(out, value, strlen(value), e);
}

err_t env_text_expand(const char *text, env_text_get *get, struct buf *out, struct err *e)
{
    char name[NAME_MAX_BYTES + 1];
    for (const char *p = text; *p;) {
        if (*p != '$' || p[1] == '$') {
            TRY(buf_add(out, p, 1, e));
            p += *p == '$' ? 2 : 1;
        } else if (take_name(&p, name)) {
            TRY(put_variable(name, get, out, e));
        } else {
            return err_set(e, ERR_INVALID,
                           "a $ without the name of an environment variable; write $$ for "
                           "the character itself");
        }
    }
    return ERR_OK;
}

static const char *always_set(const char *name)
{
    (void)name;
    return "";
}

err_t env_text_check(const char *text, struct err *e)
{
    struct buf ignored = { 0 };
    err_t rc = env_text_expand(text, always_set, &ignored, e);
    buf_free(&ignored);
    return rc;
}
