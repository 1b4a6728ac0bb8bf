// Tables of what trainings cost and what they reached.
#pragma once

#include "report/page.h"
#include "report/run_record.h"

namespace diffit {

/// One run: a row a figure.
Table costs_of_run(const RunRecord& run);
/// A row a run: images, loss, parameters, work, time, rate, memory.
Table costs_of_runs(const std::vector<RunRecord>& runs);
/// The last evaluation of each run with its intervals, the best marked; no rows where there is none.
Table scores_of_runs(const std::vector<RunRecord>& runs);

/// Whether a lower or a higher value of a figure is better, by its key.
Better better_of(const std::string& key);
/// "FID", "FD-FashionNet", "precision": a figure's key for people.
std::string score_label(const std::string& key);

}  // namespace diffit
