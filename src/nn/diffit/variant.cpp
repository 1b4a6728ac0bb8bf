#include "nn/diffit/variant.h"

namespace diffit::nn {

std::span<const std::string_view> enum_names(TimeFeatures) {
  static constexpr std::string_view kNames[] = {"positional", "fourier"};
  return kNames;
}

std::span<const std::string_view> enum_names(Encoder) {
  static constexpr std::string_view kNames[] = {"vit", "multi_resolution", "diffit", "ddpmpp"};
  return kNames;
}

std::span<const std::string_view> enum_names(Decoder) {
  static constexpr std::string_view kNames[] = {"setr_mla", "multi_resolution", "diffit", "ddpmpp"};
  return kNames;
}

std::span<const std::string_view> enum_names(Sampling) {
  static constexpr std::string_view kNames[] = {"convolution", "patch"};
  return kNames;
}

}  // namespace diffit::nn
