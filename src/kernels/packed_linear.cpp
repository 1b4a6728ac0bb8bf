#include "kernels/packed_linear.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include "kernels/checks.h"
#include "kernels/dispatch.h"
#include "kernels/linear_gelu.h"
#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

using at::Tensor;
using Scalars = c10::List<std::optional<at::Scalar>>;
using Reorder = Tensor(const Tensor&, std::optional<std::int64_t>);
using Pointwise = Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&, std::string_view,
                         Scalars, std::optional<std::string_view>);
using Binary = Tensor(const Tensor&, const Tensor&, const Tensor&, const std::optional<Tensor>&,
                      std::string_view);

/// oneDNN's products as LibTorch registers them.
struct Operators {
  c10::TypedOperatorHandle<Reorder> reorder;
  c10::TypedOperatorHandle<Pointwise> pointwise;
  c10::TypedOperatorHandle<Binary> binary;
};

const Operators& operators() {
  static const Operators found = [] {
    auto& dispatcher = c10::Dispatcher::singleton();
    return Operators{
        dispatcher.findSchemaOrThrow("mkldnn::_reorder_linear_weight", "").typed<Reorder>(),
        dispatcher.findSchemaOrThrow("mkldnn::_linear_pointwise", "").typed<Pointwise>(),
        dispatcher.findSchemaOrThrow("mkldnn::_linear_pointwise", "binary").typed<Binary>(),
    };
  }();
  return found;
}

}  // namespace

PackedLinear::PackedLinear(const Tensor& weight, const Tensor& bias, std::int64_t rows) : bias_(bias) {
  checks::packed_linear(weight, bias, rows);
  in_ = weight.size(1);
  out_ = weight.size(0);
  type_ = weight.scalar_type();
  device_ = weight.device();
  packed_ = fast_kernels() && weight.is_cpu() && onednn_takes(type_);
  weight_ = packed_ ? operators().reorder.call(weight.contiguous(), rows) : weight.clone();
}

Tensor PackedLinear::operator()(const Tensor& x) const {
  checks::packed_linear_input("PackedLinear", x, in_, type_, device_);
  if (!packed_) return definition::linear(x, weight_, bias_);
  return operators().pointwise.call(x, weight_, optional(bias_), "none", Scalars(), std::nullopt);
}

Tensor PackedLinear::gelu_tanh(const Tensor& x) const {
  checks::packed_linear_input("PackedLinear::gelu_tanh", x, in_, type_, device_);
  if (x.is_cuda() && fast_kernels() && bias_.defined() && x.numel() > 0)
    return linear_gelu_epilogue(x, weight_, bias_);
  if (!packed_) return definition::gelu_tanh(definition::linear(x, weight_, bias_));
  return operators().pointwise.call(x, weight_, optional(bias_), "gelu", Scalars(), "tanh");
}

Tensor PackedLinear::add_to(const Tensor& residual, const Tensor& x) const {
  checks::packed_linear_input("PackedLinear::add_to", x, in_, type_, device_);
  checks::packed_linear_residual(residual, x, out_);
  if (!packed_) return residual + definition::linear(x, weight_, bias_);
  return operators().binary.call(x, residual, weight_, optional(bias_), "add");
}

}  // namespace diffit::kernels
