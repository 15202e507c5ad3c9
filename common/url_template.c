#include "common/url_template.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static err_t add(struct url_template *t, const struct buf *text, bool column, struct err *e)
{
    if (text->n == 0) return ERR_OK;
    if (t->n == URL_TEMPLATE_PIECES)
        return err_set(e, ERR_INVALID, "more than %d pieces", URL_TEMPLATE_PIECES);
    struct url_piece *v = realloc(t->v, (t->n + 1) * sizeof *v);
    if (!v) return err_set(e, ERR_NOMEM, "out of memory");
    t->v = v;
    v[t->n].text = strndup((const char *)text->p, text->n);
    v[t->n].column = column;
    if (!v[t->n].text) return err_set(e, ERR_NOMEM, "out of memory");
    t->n++;
    return ERR_OK;
}

// The name between braces; *p is moved past them.
static err_t take_name(const char **p, struct buf *name, struct err *e)
{
    const char *end = strchr(*p, '}');
    size_t n = end ? (size_t)(end - *p - 1) : 0;
    if (!end || memchr(*p + 1, '{', n))
        return err_set(e, ERR_INVALID,
                       "a '{' without its '}'; write {{ for the character itself");
    if (n == 0) return err_set(e, ERR_INVALID, "no name between the braces, e.g. {id}");
    name->n = 0;
    *p = end + 1;
    return buf_add(name, end - n, n, e);
}

static err_t split(struct url_template *t, const char *p, struct buf *literal,
                   struct buf *name, struct err *e)
{
    while (*p) {
        if (*p == '{' && p[1] != '{') {
            TRY(add(t, literal, false, e));
            literal->n = 0;
            TRY(take_name(&p, name, e));
            TRY(add(t, name, true, e));
            continue;
        }
        if (*p == '}' && p[1] != '}')
            return err_set(e, ERR_INVALID,
                           "a '}' without its '{'; write }} for the character itself");
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return err_set(e, ERR_INVALID,
                           "a space or control character; write %%20 for a space");
        TRY(buf_add(literal, p, 1, e));
        p += *p == '{' || *p == '}' ? 2 : 1;
    }
    return add(t, literal, false, e);
}

err_t url_template_parse(struct url_template *t, const char *text, struct err *e)
{
    struct buf literal = { 0 }, name = { 0 };
    *t = (struct url_template){ 0 };
    err_t rc = split(t, text, &literal, &name, e);
    buf_free(&literal);
    buf_free(&name);
    TRY(rc);
    if (t->n && (t->v[0].column || strncasecmp(t->v[0].text, "http://", 7) == 0 ||
                 strncasecmp(t->v[0].text, "https://", 8) == 0))
        return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "it begins with neither http:// nor https://, nor with a {column}");
}

void url_template_free(struct url_template *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->v[i].text);
    free(t->v);
    *t = (struct url_template){ 0 };
}

static bool is_plain(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

err_t url_escape(struct buf *out, const uint8_t *p, size_t n, struct err *e)
{
    static const char hex[] = "0123456789ABCDEF";
    if (n > SIZE_MAX / 4) return err_set(e, ERR_TOOBIG, "an address of %zu bytes", n);
    TRY(buf_reserve(out, 3 * n, e));
    for (size_t i = 0; i < n; i++) {
        if (is_plain(p[i])) {
            out->p[out->n++] = p[i];
            continue;
        }
        out->p[out->n++] = '%';
        out->p[out->n++] = (uint8_t)hex[p[i] >> 4];
        out->p[out->n++] = (uint8_t)hex[p[i] & 15];
    }
    return ERR_OK;
}
