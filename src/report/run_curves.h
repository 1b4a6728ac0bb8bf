// The curves of trainings as plots, all runs in each.
#pragma once

#include "report/plot.h"
#include "report/run_record.h"

namespace diffit {

/// Loss, learning rate, rate, memory, gradient norm, and whatever else stats.jsonl holds.
std::vector<LinePlot> training_plots(const std::vector<RunRecord>& runs);

/// One a figure of the evaluations.
std::vector<LinePlot> score_plots(const std::vector<RunRecord>& runs);

}  // namespace diffit
