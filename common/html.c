#include "common/html.h"

#include "common/text.h"

#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; // U+FFFD

static const char *reference(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

// U+202A to U+202E and U+2066 to U+2069: what follows would be shown in another order.
bool html_turns_text(const char *s, size_t n)
{
    if (n != 3 || (uint8_t)s[0] != 0xe2) return false;
    uint8_t b = (uint8_t)s[1], c = (uint8_t)s[2];
    return (b == 0x80 && c >= 0xaa && c <= 0xae) || (b == 0x81 && c >= 0xa6 && c <= 0xa9);
}

err_t html_text_n(struct buf *out, const char *s, size_t n, struct err *e)
{
    for (size_t i = 0, k; i < n; i += k) {
        const char *r = reference(s[i]);
        bool space = s[i] == '\t' || s[i] == '\n';
        size_t harmless = space ? 1 : text_harmless(s + i, n - i);
        k = harmless ? harmless : 1;
        if (!harmless || html_turns_text(s + i, k)) r = replacement;
        TRY(buf_add(out, r ? r : s + i, r ? strlen(r) : k, e));
    }
    return ERR_OK;
}

err_t html_text(struct buf *out, const char *s, struct err *e)
{
    return html_text_n(out, s, strlen(s), e);
}
