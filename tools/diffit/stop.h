// Signals (docs/formats.md). INT, TERM, HUP, USR1, USR2 and XCPU ask the program to end; it exits with 1.
#pragma once

#include <atomic>

namespace diffit::cli {

/// Once, at the start of main: from now on these signals remove temporary files, say so on stderr and exit
/// with 1. Those that the parent process ignores (nohup) stay ignored. PIPE and XFSZ are ignored, so that
/// writing reports EPIPE and EFBIG.
void install_signal_handlers();

/// For long work that ends by itself between two steps: from now on the first signal only sets the flag that
/// is returned. The next INT, TERM, USR1 or USR2 ends the program at once; HUP and XCPU, which systems repeat
/// by themselves, do not. Call it once everything is ready to be saved.
const std::atomic<bool>& watch_for_stop();

/// Whether such a signal has come since watch_for_stop().
bool stop_requested();

/// "SIGTERM", ...: the signal that set the flag.
const char* stop_signal_name();

}  // namespace diffit::cli
