// HTML reports of trainings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "diffit/monitor.h"
#include "diffit/runtime.h"

namespace diffit {

struct ReportSpec {
  std::vector<std::string> runs;  // run folders, or folders that contain run folders
  std::string out;                // x.html; the page is self-contained
  std::string plots;              // also write each plot to this folder as NAME.svg and NAME.png; empty: no
  std::string title;              // empty: derived from the names of the runs
  std::string features;           // feature network in which nearest neighbors are searched; empty: pixels
  bool no_samples = false;        // compute no trajectories and no nearest neighbors
  std::int64_t images = 10;       // sampling trajectories, one per class
  std::int64_t steps = 18;        // of Heun's method, at least 2
  std::int64_t neighbours = 4;    // nearest training images per sample; 0: the data are not opened
  std::uint64_t seed = 0;         // of the first trajectory
  std::string command;            // stated on the page as what made it
};

struct ReportResult {
  std::size_t bytes = 0;           // size of the page
  std::int64_t runs = 0;           // on the page
  std::vector<std::string> plots;  // files written
  std::vector<std::string> notes;  // what was skipped in a run folder or is missing
};

/// Writes a page about a training, or a comparison of several. Trajectories and neighbors are computed for at
/// most four runs. A run that is not finished is reported as far as it has come. Throws Error: invalid for a
/// wrong field or folder, failed, or cancelled; then no page is written.
ReportResult write_report(const ReportSpec& spec, const RuntimeOptions& runtime = {});
ReportResult write_report(const ReportSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

}  // namespace diffit
