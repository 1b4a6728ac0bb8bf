// Names out of files, made fit for a message.
#pragma once

#include <string>
#include <string_view>

namespace diffit {

/// `text` on one line for a person: control characters and bytes that are not UTF-8 as \xNN, cut after
/// about 200 bytes.
std::string printable(std::string_view text);

}  // namespace diffit
