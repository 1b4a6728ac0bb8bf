// Ctrl-C and SIGTERM as a wish that long work asks for between its steps.
#pragma once

#include <atomic>

namespace diffit {

/// From now on the first signal sets the flag that is returned, and a second one ends the program at once.
const std::atomic<bool>& watch_for_stop();

}  // namespace diffit
