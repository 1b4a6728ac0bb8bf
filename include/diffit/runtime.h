// Where work runs: device, number type, threads.
#pragma once

#include <string>

namespace diffit {

/// Options of every job. The defaults suit most machines.
struct RuntimeOptions {
  std::string device = "auto";  // "cpu", "cuda", "cuda:1"; "auto": the first usable GPU, else the CPU
  std::string dtype = "auto";   // of matrix products and convolutions: "f32", "bf16"
  int threads = 0;              // 0: one per processor that this process may use, or OMP_NUM_THREADS
};

/// The folder that holds presets/ and models/. By default it is DIFFIT_HOME if that is set, else it is found
/// from the place of this library: `share/diffit` of its installation, or the source tree it was built in.
/// An empty path restores the default. Not to be called while a job runs.
void set_resource_folder(const std::string& path);

/// The version of the library, such as "0.2.0".
const char* version();

}  // namespace diffit
