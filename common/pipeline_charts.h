// pipeline_charts - the charts that stand beside the steps of a pipeline: each belongs to
// the step that loads its table, and every step's run can show all of them.

#ifndef COMMON_PIPELINE_CHARTS_H
#define COMMON_PIPELINE_CHARTS_H

#include "common/pipeline.h"

// Finds the warehouses of p->charts by their tables, and gives each step copies. `top` says
// what is wrong.
void pipeline_charts(struct pipeline *p, struct conf *top);

#endif
