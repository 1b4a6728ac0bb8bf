// The files of templates/ as they were when the program was built; made by cmake/embed.cmake.
#pragma once

#include <span>
#include <string_view>

namespace diffit {

struct EmbeddedFile {
  std::string_view name, text;
};

std::span<const EmbeddedFile> embedded_templates();

}  // namespace diffit
