#include "nn/diffit/variant.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "base/printable.h"

namespace diffit::nn {

namespace {

template <class E>
struct Names;

template <>
struct Names<TimePath> {
  static constexpr const char* field = "time";
  inline static const std::string all[] = {"tmsa",  "position_bias",   "mlp",         "tokens",
                                           "adaln", "adaln_zero",      "scale_shift", "concat",
                                           "add",   "cross_attention", "none"};
};

template <>
struct Names<TimeFeatures> {
  static constexpr const char* field = "time_embedding";
  inline static const std::string all[] = {"positional", "fourier"};
};

template <>
struct Names<Encoder> {
  static constexpr const char* field = "encoder";
  inline static const std::string all[] = {"vit", "multi_resolution", "diffit", "ddpmpp"};
};

template <>
struct Names<Decoder> {
  static constexpr const char* field = "decoder";
  inline static const std::string all[] = {"setr_mla", "multi_resolution", "diffit", "ddpmpp"};
};

template <>
struct Names<Sampling> {
  static constexpr const char* field = "sampling";
  inline static const std::string all[] = {"convolution", "patch"};
};

template <>
struct Names<Precondition> {
  static constexpr const char* field = "precondition";
  inline static const std::string all[] = {"edm", "vp", "ve"};
};

}  // namespace

template <class E>
E variant_named(const std::string& name, const std::string& where) {
  const auto& all = Names<E>::all;
  const auto found = std::find(std::begin(all), std::end(all), name);
  DIFFIT_CHECK(found != std::end(all), "{}: {}: wanted one of {}, got '{}'{}", where, Names<E>::field,
               fmt::join(all, ", "), printable(name), did_you_mean(name, all));
  return static_cast<E>(found - std::begin(all));
}

template <class E>
std::span<const std::string> variant_names() {
  return Names<E>::all;
}

template TimePath variant_named(const std::string&, const std::string&);
template TimeFeatures variant_named(const std::string&, const std::string&);
template Encoder variant_named(const std::string&, const std::string&);
template Decoder variant_named(const std::string&, const std::string&);
template Sampling variant_named(const std::string&, const std::string&);
template Precondition variant_named(const std::string&, const std::string&);
template std::span<const std::string> variant_names<TimePath>();
template std::span<const std::string> variant_names<TimeFeatures>();
template std::span<const std::string> variant_names<Encoder>();
template std::span<const std::string> variant_names<Decoder>();
template std::span<const std::string> variant_names<Sampling>();
template std::span<const std::string> variant_names<Precondition>();

}  // namespace diffit::nn
