#include "coordinator/web_api.h"

#include "coordinator/report.h"
#include "coordinator/web_json.h"

err_t web_api_error(const char *text, struct buf *out, struct err *e)
{
    struct web_json j;
    TRY(web_json_begin(&j, e));
    fputs("{\"error\":", j.f);
    json_string(text, j.f);
    fputs("}\n", j.f);
    return web_json_end(&j, ERR_OK, out, e);
}

err_t web_api_health(struct web_view *v, const struct web_request *r, int *status,
                     struct buf *out, struct err *e)
{
    (void)v, (void)r, (void)status;
    return buf_printf(out, e, "ok\n");
}
