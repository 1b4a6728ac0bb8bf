#include "kernels/packed_convolution.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include "kernels/checks.h"
#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

using at::Tensor;
using Scalars = c10::List<std::optional<at::Scalar>>;
using Reorder = Tensor(const Tensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, std::int64_t,
                       at::OptionalIntArrayRef);
using Pointwise = Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&, at::IntArrayRef,
                         at::IntArrayRef, at::IntArrayRef, std::int64_t, std::string_view, Scalars,
                         std::optional<std::string_view>);

/// oneDNN's convolution as LibTorch registers it.
struct Operators {
  c10::TypedOperatorHandle<Reorder> reorder;
  c10::TypedOperatorHandle<Pointwise> pointwise;
};

const Operators& operators() {
  static const Operators found = [] {
    auto& dispatcher = c10::Dispatcher::singleton();
    return Operators{
        dispatcher.findSchemaOrThrow("mkldnn::_reorder_convolution_weight", "").typed<Reorder>(),
        dispatcher.findSchemaOrThrow("mkldnn::_convolution_pointwise", "").typed<Pointwise>(),
    };
  }();
  return found;
}

constexpr std::array<std::int64_t, 2> kNoDilation{1, 1};

}  // namespace

PackedConvolution::PackedConvolution(const Tensor& weight, const Tensor& bias,
                                     std::array<std::int64_t, 2> padding, std::int64_t stride,
                                     std::array<std::int64_t, 4> like)
    : bias_(bias), padding_(padding), stride_(stride) {
  checks::packed_convolution(weight, bias, padding, stride, like);
  in_ = weight.size(1);
  kernel_ = {weight.size(2), weight.size(3)};
  type_ = weight.scalar_type();
  device_ = weight.device();
  packed_ = fast_kernels() && weight.is_cpu() && onednn_takes(type_);
  const std::array<std::int64_t, 2> strides{stride, stride};
  weight_ = packed_ ? operators().reorder.call(weight.contiguous(), padding_, strides, kNoDilation, 1,
                                               at::OptionalIntArrayRef(like))
                    : weight.contiguous(at::MemoryFormat::ChannelsLast);
}

Tensor PackedConvolution::operator()(const Tensor& x, bool relu) const {
  checks::packed_convolution_input(x, in_, kernel_, padding_, type_, device_);
  const std::array<std::int64_t, 2> strides{stride_, stride_};
  const Tensor map = x.permute({0, 3, 1, 2});
  if (packed_) {
    return operators()
        .pointwise
        .call(map, weight_, bias_, padding_, strides, kNoDilation, 1, relu ? "relu" : "none", Scalars(), "")
        .permute({0, 2, 3, 1})
        .contiguous();
  }
  Tensor y = at::conv2d(map, weight_, bias_, strides, padding_);
  if (relu) y.relu_();
  return y.permute({0, 2, 3, 1}).contiguous();
}

}  // namespace diffit::kernels
