// past_report - `tranche report`: a run at a glance, as text or JSON.

#ifndef COORDINATOR_PAST_REPORT_H
#define COORDINATOR_PAST_REPORT_H

#include "coordinator/past.h"

#include <stdio.h>

// All that a report shows is loaded: past_load_stats, _chunks, _events and _rejects.
void past_report(const struct past *p, FILE *out);
void past_report_json(const struct past *p, FILE *out); // one line

#endif
