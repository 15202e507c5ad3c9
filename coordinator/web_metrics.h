// web_metrics - /metrics: the snapshot for Prometheus.
// The format: https://prometheus.io/docs/instrumenting/exposition_formats/

#ifndef COORDINATOR_WEB_METRICS_H
#define COORDINATOR_WEB_METRICS_H

#include "coordinator/web_route.h"

web_handler web_metrics;

#endif
