#include "worker/http_retry.h"

bool http_retry_status(long status)
{
    return status == 408 || status == 425 || status == 429 ||
           (status >= 500 && status <= 599 && status != 501);
}

ns_t http_retry_wait(uint32_t n, ns_t asked, uint64_t random)
{
    ns_t most = HTTP_RETRY_MOST;
    if (n < 7 && HTTP_RETRY_FIRST << n < most) most = HTTP_RETRY_FIRST << n;
    ns_t wait = most / 2 + (ns_t)(random % (uint64_t)(most / 2 + 1));
    return wait > asked ? wait : asked;
}
