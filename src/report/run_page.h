// The page of one training, or of several side by side.
#pragma once

#include "report/page.h"
#include "report/run_pictures.h"
#include "report/run_record.h"

namespace diffit {

struct ReportedRun {
  RunRecord record;
  std::optional<RunPictures> pictures;  // nothing where none were asked for
};

struct RunPageOptions {
  std::string title;           // empty: made of the runs' names
  std::string command;         // that made the page, as it was typed; may be empty
  std::size_t most_grids = 6;  // runs whose sample grids are shown
};

/// At least one run. Pictures that cannot be read are named where they would stand.
Page run_page(const std::vector<ReportedRun>& runs, const RunPageOptions& options);

/// The keys of the runs' configs that differ, or that some lack: a row a key, a column a run.
Table differing_keys(const std::vector<RunRecord>& runs);

}  // namespace diffit
