// What `diffit explain --time` measures, as a table and as pictures.
#pragma once

#include <string>

#include "analysis/time_movement.h"
#include "base/file.h"

namespace diffit {

struct TimeExplanation {
  std::string model;     // as it was given
  std::string pictures;  // what was noised
  TimeMovement trained, untrained;
};

/// Layers by rows: movement of attention, q, k and v, trained and untrained, means over noise levels, and the
/// reach of attention at the lowest and the highest level. As Markdown.
std::string time_markdown(const TimeExplanation& explanation);

/// Error(invalid) unless write_time_picture() knows the extension; "" is fine.
void check_time_picture(const fs::path& path);

/// `path`: .html for a page with table and plots; .svg or .png for the plot of attention alone.
void write_time_picture(const TimeExplanation& explanation, const fs::path& path);

}  // namespace diffit
