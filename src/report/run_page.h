// Page of one training run, or of several runs side by side.
#pragma once

#include "report/page.h"
#include "report/run_images.h"
#include "report/run_record.h"

namespace diffit::report {

/// A run with its generated images.
struct ReportedRun {
  RunRecord record;
  std::optional<RunImages> images;  // nothing if they were not requested
};

struct RunPageOptions {
  std::string title;           // empty: derived from the names of the runs
  std::string command;         // command line that created the page, as typed; may be empty
  std::size_t most_grids = 6;  // number of runs whose sample grids are shown
};

/// Requires at least one run. Images that cannot be read are named in their place.
Page run_page(const std::vector<ReportedRun>& runs, const RunPageOptions& options);

/// Table of config keys with different values, or missing in some runs: one row per key, one column per run.
Table differing_keys(const std::vector<RunRecord>& runs);

}  // namespace diffit::report
