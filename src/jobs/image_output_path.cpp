#include "jobs/image_output_path.h"

#include "base/error.h"
#include "base/output_check.h"

namespace diffit::jobs {

bool is_folder_output(const fs::path& path) {
  std::error_code none;
  return !path.has_filename() || path.extension().empty() || fs::is_directory(path, none);
}

void check_image_output_path(const fs::path& path) {
  DIFFIT_CHECK(!path.empty(), "-o: wanted a path");
  if (is_folder_output(path)) return check_output_folder(path, "-o");
  const std::string extension = path.extension().string();
  DIFFIT_CHECK(extension == ".png" || extension == ".npz" || extension == ".safetensors",
               "-o {}: wanted .png, .npz, .safetensors or a folder (dir/), got {}", path.string(), extension);
  check_output_file(path, "-o");
}

}  // namespace diffit::jobs
