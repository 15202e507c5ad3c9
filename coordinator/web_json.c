#include "coordinator/web_json.h"

#include <stdlib.h>

err_t web_json_begin(struct web_json *j, struct err *e)
{
    *j = (struct web_json){ 0 };
    j->f = open_memstream(&j->p, &j->n);
    return j->f ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

err_t web_json_end(struct web_json *j, err_t rc, struct buf *out, struct err *e)
{
    bool failed = ferror(j->f) != 0;
    failed |= fclose(j->f) != 0;
    if (rc == ERR_OK && failed) rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) rc = buf_add(out, j->p, j->n, e);
    free(j->p);
    *j = (struct web_json){ 0 };
    return rc;
}
