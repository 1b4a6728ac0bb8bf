// Tables of the costs and results of training runs.
#pragma once

#include "report/page.h"
#include "report/run_record.h"

namespace diffit::report {

/// Costs of one run, one row per quantity.
Table costs_of_run(const RunRecord& run);
/// One row per run: images, loss, parameters, compute, time, throughput, memory.
Table costs_of_runs(const std::vector<RunRecord>& runs);
/// Last evaluation of each run with its intervals; the best value of each metric is marked. No rows if there
/// is none.
Table scores_of_runs(const std::vector<RunRecord>& runs);

/// Whether lower or higher values of a metric are better, by its key.
Better better_of(const std::string& key);
/// Label of a metric key: "FID", "FD-FashionNet", "precision".
std::string score_label(const std::string& key);

}  // namespace diffit::report
