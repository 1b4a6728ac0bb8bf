#include "io/tensors/pickle_names.h"

#include <algorithm>
#include <array>
#include <utility>

namespace diffit::io {

namespace {

constexpr std::array kStorages{std::pair<std::string_view, Dtype>{"torch.FloatStorage", Dtype::f32},
                               std::pair<std::string_view, Dtype>{"torch.HalfStorage", Dtype::f16},
                               std::pair<std::string_view, Dtype>{"torch.BFloat16Storage", Dtype::bf16},
                               std::pair<std::string_view, Dtype>{"torch.DoubleStorage", Dtype::f64},
                               std::pair<std::string_view, Dtype>{"torch.LongStorage", Dtype::i64},
                               std::pair<std::string_view, Dtype>{"torch.IntStorage", Dtype::i32},
                               std::pair<std::string_view, Dtype>{"torch.ShortStorage", Dtype::i16},
                               std::pair<std::string_view, Dtype>{"torch.CharStorage", Dtype::i8},
                               std::pair<std::string_view, Dtype>{"torch.ByteStorage", Dtype::u8},
                               std::pair<std::string_view, Dtype>{"torch.BoolStorage", Dtype::boolean}};

}  // namespace

const Dtype* storage_dtype(std::string_view name) {
  const auto found =
      std::find_if(kStorages.begin(), kStorages.end(), [&](const auto& s) { return s.first == name; });
  return found == kStorages.end() ? nullptr : &found->second;
}

bool runs_programs(std::string_view module, std::string_view name) {
  constexpr std::string_view kModules[] = {"os",    "posix",  "nt",     "subprocess",
                                           "sys",   "shutil", "socket", "importlib",
                                           "runpy", "pty",    "ctypes", "webbrowser"};
  constexpr std::string_view kBuiltins[] = {"eval",  "exec",       "execfile", "compile", "open",
                                            "input", "__import__", "globals",  "apply",   "breakpoint"};
  const std::string_view top = module.substr(0, module.find('.'));
  if (std::find(std::begin(kModules), std::end(kModules), top) != std::end(kModules)) return true;
  return (top == "builtins" || top == "__builtin__" || top == "__builtins__") &&
         std::find(std::begin(kBuiltins), std::end(kBuiltins), name) != std::end(kBuiltins);
}

}  // namespace diffit::io
