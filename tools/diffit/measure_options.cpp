#include "tools/diffit/measure_options.h"

namespace diffit::cli {

CLI::Option* add_measure_options(CLI::App& command, const std::string& what, std::string& features,
                                 std::int64_t& limit, std::int64_t& batch) {
  CLI::Option* option = command.add_option("--features", features,
                                           "feature network: Inception-v3 of 2015-12-05 with pytorch-fid's "
                                           "tensor names (.safetensors, .pth), or the name of a bundled one");
  command.add_option("--limit", limit, "use only the first N " + what + "; 0: all")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1000000000}))
      ->capture_default_str();
  command.add_option("--batch", batch, "images per batch; 0: chosen by their size")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{65536}))
      ->capture_default_str();
  return option;
}

}  // namespace diffit::cli
