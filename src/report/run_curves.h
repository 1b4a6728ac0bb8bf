// Training curves as plots, with all runs in each plot.
#pragma once

#include "plot/plot.h"
#include "report/run_record.h"

namespace diffit::report {

/// Plots of loss, learning rate, throughput, memory, gradient norm, and all other values in stats.jsonl.
std::vector<LinePlot> training_plots(const std::vector<RunRecord>& runs);

/// One plot for each metric of the evaluations.
std::vector<LinePlot> score_plots(const std::vector<RunRecord>& runs);

}  // namespace diffit::report
