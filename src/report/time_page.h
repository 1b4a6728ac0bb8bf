// Results of `diffit explain --time` as a table and as plots.
#pragma once

#include <string>

#include "analysis/time_movement.h"
#include "base/file.h"

namespace diffit::report {

/// Measurements for one model, with trained and with untrained weights.
struct TimeExplanation {
  std::string model;   // as given on the command line
  std::string images;  // the images to which noise was added
  TimeMovement trained, untrained;
};

/// Markdown table with one row per layer: change of attention, q, k and v for trained and untrained weights,
/// averaged over noise levels, and the attention distance at the lowest and the highest level.
std::string time_markdown(const TimeExplanation& explanation);

/// Throws Error(invalid) unless write_time_image() supports the extension; an empty path is valid.
void check_time_image(const fs::path& path);

/// `path`: .html for a page with table and plots; .svg or .png for the plot of attention only.
void write_time_image(const TimeExplanation& explanation, const fs::path& path);

}  // namespace diffit::report
