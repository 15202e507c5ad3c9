#include "coordinator/charts.h"

err_t charts_html(struct past *p, struct buf *out, struct err *e)
{
    (void)p, (void)out, (void)e;
    return ERR_OK;
}
