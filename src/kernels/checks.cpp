#include "kernels/checks.h"

#include <ATen/autocast_mode.h>

#include <cmath>

#include "base/error.h"
#include "runtime/pch.h"

namespace diffit::kernels::checks {
namespace {

using at::Tensor;

std::string shape_text(const Tensor& x) {
  return x.defined() ? fmt::format("[{}]", fmt::join(x.sizes(), ", ")) : "an undefined tensor";
}

/// The arguments of one operation, by name.
class Arguments {
 public:
  explicit Arguments(const char* operation) : operation_(operation) {}

  void is_defined(const char* name, const Tensor& x) const {
    DIFFIT_CHECK(x.defined(), "{}: {} is an undefined tensor", operation_, name);
  }

  void has_rank(const char* name, const Tensor& x, std::int64_t rank, const char* wanted) const {
    is_defined(name, x);
    DIFFIT_CHECK(x.dim() == rank, "{}: {}: wanted {}, got {}", operation_, name, wanted, shape_text(x));
  }

  void has_shape(const char* name, const Tensor& x, at::IntArrayRef shape) const {
    is_defined(name, x);
    DIFFIT_CHECK(x.sizes() == shape, "{}: {}: wanted [{}], got {}", operation_, name, fmt::join(shape, ", "),
                 shape_text(x));
  }

  void is_not_empty(const char* name, const Tensor& x) const {
    DIFFIT_CHECK(x.numel() > 0, "{}: {} has no elements: {}", operation_, name, shape_text(x));
  }

  /// float64 is the type of reference computations.
  void is_float(const char* name, const Tensor& x) const {
    const at::ScalarType type = x.scalar_type();
    DIFFIT_CHECK(type == at::kFloat || type == at::kBFloat16 || type == at::kDouble,
                 "{}: {}: wanted float32 or bfloat16, got {}", operation_, name, c10::toString(type));
  }

  void has_type(const char* name, const Tensor& x, at::ScalarType type) const {
    DIFFIT_CHECK(x.scalar_type() == type, "{}: {}: wanted {}, got {}", operation_, name, c10::toString(type),
                 c10::toString(x.scalar_type()));
  }

  void is_on(const char* name, const Tensor& x, at::Device device) const {
    DIFFIT_CHECK(x.device() == device, "{}: {}: wanted a tensor on {}, got one on {}", operation_, name,
                 device.str(), x.device().str());
  }

  void is_positive(const char* name, std::int64_t value) const {
    DIFFIT_CHECK(value >= 1, "{}: {}: wanted at least 1, got {}", operation_, name, value);
  }

  void is_epsilon(double eps) const {
    DIFFIT_CHECK(std::isfinite(eps) && eps >= 0, "{}: eps: wanted a finite number of at least 0, got {}",
                 operation_, eps);
  }

  void divides(const char* part, std::int64_t divisor, const char* whole, std::int64_t value) const {
    DIFFIT_CHECK(value % divisor == 0, "{}: {} {} does not divide {} {}", operation_, part, divisor, whole,
                 value);
  }

  /// x and a layer's parameters have one type, unless autocast brings them to one.
  void have_product_types(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
    is_float("x", x);
    is_float("weight", weight);
    if (bias.defined()) is_float("bias", bias);
    if (at::autocast::is_autocast_enabled(x.device().type())) return;
    has_type("weight", weight, x.scalar_type());
    if (bias.defined()) has_type("bias", bias, x.scalar_type());
  }

 private:
  const char* operation_;
};

}  // namespace

void tmsa_attention(const Tensor& qkv, const Tensor& qkv_t, const Tensor& table, std::int64_t heads,
                    std::int64_t window) {
  const Arguments are("tmsa_attention");
  are.is_positive("heads", heads);
  are.is_positive("window", window);
  are.has_rank("qkv", qkv, 4, "[B, H, W, 3C]");
  are.is_not_empty("qkv", qkv);
  are.divides("window", window, "the map's height", qkv.size(1));
  are.divides("window", window, "the map's width", qkv.size(2));
  are.divides("3 * heads =", 3 * heads, "the width of qkv,", qkv.size(3));
  are.has_shape("qkv_t", qkv_t, {qkv.size(0), qkv.size(3)});
  are.has_shape("table", table, {(2 * window - 1) * (2 * window - 1), heads});
  are.is_float("qkv", qkv);
  are.is_float("qkv_t", qkv_t);
  are.is_float("table", table);
  are.is_on("qkv_t", qkv_t, qkv.device());
  are.is_on("table", table, qkv.device());
}

void layer_norm(const Tensor& x, double eps) {
  const Arguments are("layer_norm");
  are.is_defined("x", x);
  DIFFIT_CHECK(x.dim() >= 1 && x.size(-1) >= 1, "layer_norm: x: wanted [..., C], got {}", shape_text(x));
  are.is_float("x", x);
  are.is_epsilon(eps);
}

void add_layer_norm(const Tensor& stream, const Tensor& added, double eps) {
  const Arguments are("add_layer_norm");
  are.is_defined("added", added);
  DIFFIT_CHECK(added.dim() >= 1 && added.size(-1) >= 1, "add_layer_norm: added: wanted [..., C], got {}",
               shape_text(added));
  are.has_shape("stream", stream, added.sizes());
  are.is_float("added", added);
  are.has_type("stream", stream, added.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  are.is_on("stream", stream, added.device());
  DIFFIT_CHECK(!at::GradMode::is_enabled() || !(stream.requires_grad() || added.requires_grad()),
               "add_layer_norm: not differentiable, but an argument requires a gradient");
  are.is_epsilon(eps);
}

void gelu_tanh(const Tensor& x) {
  const Arguments are("gelu_tanh");
  are.is_defined("x", x);
  are.is_float("x", x);
}

void group_norm(const Tensor& x, std::int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  const Arguments are("group_norm");
  are.is_positive("groups", groups);
  are.is_defined("x", x);
  DIFFIT_CHECK(x.dim() >= 2, "group_norm: x: wanted [B, ..., C], got {}", shape_text(x));
  are.is_not_empty("x", x);
  are.divides("groups", groups, "the channels,", x.size(-1));
  are.has_shape("weight", weight, {x.size(-1)});
  are.has_shape("bias", bias, {x.size(-1)});
  are.is_float("x", x);
  are.is_float("weight", weight);
  are.is_float("bias", bias);
  are.is_on("weight", weight, x.device());
  are.is_on("bias", bias, x.device());
  are.is_epsilon(eps);
}

void linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Arguments are("linear");
  are.is_defined("x", x);
  are.has_rank("weight", weight, 2, "[out, in]");
  DIFFIT_CHECK(x.dim() >= 1 && x.size(-1) == weight.size(1), "linear: x: wanted [..., {}], got {}",
               weight.size(1), shape_text(x));
  if (bias.defined()) are.has_shape("bias", bias, {weight.size(0)});
  are.have_product_types(x, weight, bias);
  are.is_on("weight", weight, x.device());
  if (bias.defined()) are.is_on("bias", bias, x.device());
}

void conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, std::int64_t stride) {
  const Arguments are("conv2d");
  are.is_positive("stride", stride);
  are.has_rank("x", x, 4, "[B, H, W, Cin]");
  are.has_rank("weight", weight, 4, "[Cout, Cin, k, k]");
  are.is_not_empty("weight", weight);
  DIFFIT_CHECK(weight.size(2) == weight.size(3), "conv2d: weight: wanted [Cout, Cin, k, k], got {}",
               shape_text(weight));
  DIFFIT_CHECK(x.size(3) == weight.size(1), "conv2d: x: wanted [B, H, W, {}], got {}", weight.size(1),
               shape_text(x));
  const std::int64_t kernel = weight.size(2), padded = kernel / 2 * 2;
  DIFFIT_CHECK(x.size(1) + padded >= kernel && x.size(2) + padded >= kernel,
               "conv2d: x: {} is smaller than a kernel of {} x {}", shape_text(x), kernel, kernel);
  if (bias.defined()) are.has_shape("bias", bias, {weight.size(0)});
  are.have_product_types(x, weight, bias);
  are.is_on("weight", weight, x.device());
  if (bias.defined()) are.is_on("bias", bias, x.device());
}

void upsample2(const Tensor& x) {
  const Arguments are("upsample2");
  are.has_rank("x", x, 4, "[B, H, W, C]");
  are.is_not_empty("x", x);
  are.is_float("x", x);
}

void packed_linear(const Tensor& weight, const Tensor& bias, std::int64_t rows) {
  const Arguments are("PackedLinear");
  are.has_rank("weight", weight, 2, "[out, in]");
  are.is_not_empty("weight", weight);
  are.is_positive("rows", rows);
  are.is_float("weight", weight);
  if (!bias.defined()) return;
  are.has_shape("bias", bias, {weight.size(0)});
  are.has_type("bias", bias, weight.scalar_type());
  are.is_on("bias", bias, weight.device());
}

void packed_linear_input(const char* operation, const Tensor& x, std::int64_t in, at::ScalarType type,
                         at::Device device) {
  const Arguments are(operation);
  are.is_defined("x", x);
  DIFFIT_CHECK(x.dim() >= 1 && x.size(-1) == in, "{}: x: wanted [..., {}], got {}", operation, in,
               shape_text(x));
  are.has_type("x", x, type);
  are.is_on("x", x, device);
}

void packed_linear_residual(const Tensor& residual, const Tensor& x, std::int64_t out) {
  const Arguments are("PackedLinear::add_to");
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = out;
  are.has_shape("residual", residual, shape);
  are.has_type("residual", residual, x.scalar_type());
  are.is_on("residual", residual, x.device());
}

void packed_convolution(const Tensor& weight, const Tensor& bias, const std::array<std::int64_t, 2>& padding,
                        std::int64_t stride, const std::array<std::int64_t, 4>& like) {
  const Arguments are("PackedConvolution");
  are.has_rank("weight", weight, 4, "[out, in, kh, kw]");
  are.is_not_empty("weight", weight);
  are.has_shape("bias", bias, {weight.size(0)});
  are.is_positive("stride", stride);
  DIFFIT_CHECK(padding[0] >= 0 && padding[1] >= 0,
               "PackedConvolution: padding: wanted at least 0, got {}, {}", padding[0], padding[1]);
  DIFFIT_CHECK(like[1] == weight.size(1) && like[0] >= 1 && like[2] + 2 * padding[0] >= weight.size(2) &&
                   like[3] + 2 * padding[1] >= weight.size(3),
               "PackedConvolution: like: wanted [B, {}, H, W] of at least the kernel's size, got [{}]",
               weight.size(1), fmt::join(like, ", "));
  are.is_float("weight", weight);
  are.has_type("bias", bias, weight.scalar_type());
  are.is_on("bias", bias, weight.device());
}

void packed_convolution_input(const Tensor& x, std::int64_t in, const std::array<std::int64_t, 2>& kernel,
                              const std::array<std::int64_t, 2>& padding, at::ScalarType type,
                              at::Device device) {
  const Arguments are("PackedConvolution");
  are.has_rank("x", x, 4, "[B, H, W, in]");
  DIFFIT_CHECK(x.size(3) == in, "PackedConvolution: x: wanted [B, H, W, {}], got {}", in, shape_text(x));
  DIFFIT_CHECK(x.size(1) + 2 * padding[0] >= kernel[0] && x.size(2) + 2 * padding[1] >= kernel[1],
               "PackedConvolution: x: {} is smaller than a kernel of {} x {}", shape_text(x), kernel[0],
               kernel[1]);
  are.has_type("x", x, type);
  are.is_on("x", x, device);
}

}  // namespace diffit::kernels::checks
