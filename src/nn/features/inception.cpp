#include "nn/features/inception.h"

#include <algorithm>

#include "base/error.h"
#include "nn/features/inception_input.h"
#include "nn/layers/weights_fingerprint.h"
#include "nn/layers/weights_io.h"
#include "runtime/pch.h"

namespace diffit::nn {
namespace {

using at::Tensor;
using Block = InceptionBlock;
using Branch = InceptionBranch;
using Convolution = InceptionConvolution;
using Pool = InceptionPool;

constexpr double kNormEps = 1e-3;

// ---- architecture

/// Builds a chain of convolutions of the block named `prefix`; each one takes the output of the previous one.
class Chain {
 public:
  Chain(std::string prefix, std::int64_t in, std::int64_t side)
      : prefix_(std::move(prefix)), in_(in), side_(side) {}

  Chain& add(const std::string& name, std::int64_t out, std::int64_t kernel_height, std::int64_t kernel_width,
             std::int64_t stride = 1) {
    return add(name, out, kernel_height, kernel_width, stride, stride == 1);
  }
  Chain& add(const std::string& name, std::int64_t out, std::int64_t kernel_height, std::int64_t kernel_width,
             std::int64_t stride, bool padded) {
    chain_.push_back({prefix_ + name, in_, out, kernel_height, kernel_width, stride, padded, side_});
    side_ = (side_ - (padded ? 1 : kernel_height)) / stride + 1;
    in_ = out;
    return *this;
  }
  /// Returns two parallel convolutions, 1 x 3 and 3 x 1, on the output of the chain.
  std::vector<Convolution> fork(const std::string& a, const std::string& b, std::int64_t out) const {
    return {{prefix_ + a, in_, out, 1, 3, 1, true, side_}, {prefix_ + b, in_, out, 3, 1, 1, true, side_}};
  }
  operator std::vector<Convolution>() const { return chain_; }

 private:
  std::string prefix_;
  std::int64_t in_, side_;
  std::vector<Convolution> chain_;
};

std::vector<Convolution> stem_before_first_pool() {
  return Chain("Conv2d_", 3, kInceptionSide)
      .add("1a_3x3", 32, 3, 3, 2)
      .add("2a_3x3", 32, 3, 3, 1, false)
      .add("2b_3x3", 64, 3, 3);
}

std::vector<Convolution> stem_before_second_pool() {
  return Chain("Conv2d_", 64, 73).add("3b_1x1", 80, 1, 1).add("4a_3x3", 192, 3, 3, 1, false);
}

/// Resolution 35 x 35.
Block block_a(const std::string& name, std::int64_t in, std::int64_t pool_width) {
  const Chain from(name + ".branch", in, 35);
  return {{{Pool::none, Chain(from).add("1x1", 64, 1, 1)},
           {Pool::none, Chain(from).add("5x5_1", 48, 1, 1).add("5x5_2", 64, 5, 5)},
           {Pool::none,
            Chain(from).add("3x3dbl_1", 64, 1, 1).add("3x3dbl_2", 96, 3, 3).add("3x3dbl_3", 96, 3, 3)},
           {Pool::average, Chain(from).add("_pool", pool_width, 1, 1)}}};
}

/// Reduces 35 x 35 to 17 x 17.
Block block_b(const std::string& name, std::int64_t in) {
  const Chain from(name + ".branch", in, 35);
  return {{{Pool::none, Chain(from).add("3x3", 384, 3, 3, 2)},
           {Pool::none,
            Chain(from).add("3x3dbl_1", 64, 1, 1).add("3x3dbl_2", 96, 3, 3).add("3x3dbl_3", 96, 3, 3, 2)},
           {Pool::maximum_halving, {}}}};
}

/// Resolution 17 x 17; 7 x 7 convolutions of width `c7`, factored into 1 x 7 and 7 x 1.
Block block_c(const std::string& name, std::int64_t in, std::int64_t c7) {
  const Chain from(name + ".branch", in, 17);
  return {{{Pool::none, Chain(from).add("1x1", 192, 1, 1)},
           {Pool::none, Chain(from).add("7x7_1", c7, 1, 1).add("7x7_2", c7, 1, 7).add("7x7_3", 192, 7, 1)},
           {Pool::none, Chain(from)
                            .add("7x7dbl_1", c7, 1, 1)
                            .add("7x7dbl_2", c7, 7, 1)
                            .add("7x7dbl_3", c7, 1, 7)
                            .add("7x7dbl_4", c7, 7, 1)
                            .add("7x7dbl_5", 192, 1, 7)},
           {Pool::average, Chain(from).add("_pool", 192, 1, 1)}}};
}

/// Reduces 17 x 17 to 8 x 8.
Block block_d(const std::string& name, std::int64_t in) {
  const Chain from(name + ".branch", in, 17);
  return {{{Pool::none, Chain(from).add("3x3_1", 192, 1, 1).add("3x3_2", 320, 3, 3, 2)},
           {Pool::none, Chain(from)
                            .add("7x7x3_1", 192, 1, 1)
                            .add("7x7x3_2", 192, 1, 7)
                            .add("7x7x3_3", 192, 7, 1)
                            .add("7x7x3_4", 192, 3, 3, 2)},
           {Pool::maximum_halving, {}}}};
}

/// Resolution 8 x 8.
Block block_e(const std::string& name, std::int64_t in, Pool pool) {
  const Chain from(name + ".branch", in, 8);
  const Chain single = Chain(from).add("3x3_1", 384, 1, 1);
  const Chain doubled = Chain(from).add("3x3dbl_1", 448, 1, 1).add("3x3dbl_2", 384, 3, 3);
  return {{{Pool::none, Chain(from).add("1x1", 320, 1, 1)},
           {Pool::none, single, single.fork("3x3_2a", "3x3_2b", 384)},
           {Pool::none, doubled, doubled.fork("3x3dbl_3a", "3x3dbl_3b", 384)},
           {pool, Chain(from).add("_pool", 192, 1, 1)}}};
}

std::vector<Block> make_blocks() {
  return {block_a("Mixed_5b", 192, 32),
          block_a("Mixed_5c", 256, 64),
          block_a("Mixed_5d", 288, 64),
          block_b("Mixed_6a", 288),
          block_c("Mixed_6b", 768, 128),
          block_c("Mixed_6c", 768, 160),
          block_c("Mixed_6d", 768, 160),
          block_c("Mixed_6e", 768, 192),
          block_d("Mixed_7a", 768),
          block_e("Mixed_7b", 1280, Pool::average),
          block_e("Mixed_7c", 2048, Pool::maximum)};
}

/// TensorFlow's mixed_6/conv; sFID uses its first channels.
constexpr std::size_t kSpatialBlock = 6;
constexpr std::size_t kFirstPoolAfter = 3;  // counted in convolutions of the stem

template <class Visit>
void for_each_convolution(std::vector<Convolution>& stem, std::vector<Block>& blocks, const Visit& visit) {
  for (Convolution& c : stem) visit(c);
  for (Block& block : blocks) {
    for (Branch& branch : block.branches) {
      for (Convolution& c : branch.chain) visit(c);
      for (Convolution& c : branch.fork) visit(c);
    }
  }
}

// ---- reading weights

/// Tensors of one convolution as stored in the file.
struct Weights {
  Tensor weight, norm_weight, norm_bias, mean, variance;

  explicit Weights(const Convolution& c)
      : weight(at::empty({c.out, c.in, c.kernel_height, c.kernel_width}, at::kFloat)),
        norm_weight(at::empty({c.out}, at::kFloat)),
        norm_bias(at::empty({c.out}, at::kFloat)),
        mean(at::empty({c.out}, at::kFloat)),
        variance(at::empty({c.out}, at::kFloat)) {}

  void add_to(ParameterList& list, const std::string& name) const {
    list.add(name + ".conv.weight", weight, Initializer::fixed);
    list.add(name + ".bn.weight", norm_weight, Initializer::fixed);
    list.add(name + ".bn.bias", norm_bias, Initializer::fixed);
    list.add(name + ".bn.running_mean", mean, Initializer::fixed);
    list.add(name + ".bn.running_var", variance, Initializer::fixed);
  }
};

/// norm(conv(x)) = conv(x) s + (bias - mean s) with s = weight / sqrt(variance + eps), folded in float64.
PackedConvolution fold(const Convolution& c, const Weights& w, at::Device device, at::ScalarType dtype,
                       const std::string& where) {
  DIFFIT_CHECK((w.variance >= 0).all().item<bool>(),
               "{}: {}.bn.running_var: wanted variances, some are below 0", where, c.name);
  const Tensor s = w.norm_weight.to(at::kDouble) * (w.variance.to(at::kDouble) + kNormEps).rsqrt();
  const Tensor weight = w.weight.to(at::kDouble) * s.view({-1, 1, 1, 1});
  const Tensor bias = w.norm_bias.to(at::kDouble) - w.mean.to(at::kDouble) * s;
  constexpr std::int64_t kUsualBatch = 32;
  const auto padding = [&](std::int64_t kernel) { return c.padded ? kernel / 2 : 0; };
  return {weight.to(device, dtype),
          bias.to(device, dtype),
          {padding(c.kernel_height), padding(c.kernel_width)},
          c.stride,
          {kUsualBatch, c.in, c.side, c.side}};
}

/// Whether a tensor of torchvision's file format is not part of this network.
bool is_beside_the_network(const std::string& name) {
  return name.ends_with(".num_batches_tracked") || name.starts_with("AuxLogits.");
}

// ---- computation

Tensor maximum(const Tensor& x, std::int64_t stride, std::int64_t padding) {
  return at::max_pool2d(x.permute({0, 3, 1, 2}), {3, 3}, {stride, stride}, {padding, padding})
      .permute({0, 2, 3, 1});
}

Tensor pooled(const Tensor& x, Pool pool) {
  switch (pool) {
    case Pool::none:
      return x;
    case Pool::average:
      return at::avg_pool2d(x.permute({0, 3, 1, 2}), {3, 3}, {1, 1}, {1, 1}, /*ceil_mode=*/false,
                            /*count_include_pad=*/false)
          .permute({0, 2, 3, 1});
    case Pool::maximum:
      return maximum(x, 1, 1);
    case Pool::maximum_halving:
      return maximum(x, 2, 0);
  }
  fail("no such pool");
}

/// Returns the outputs of the branches; the next block takes them concatenated.
std::vector<Tensor> results(const Block& block, const Tensor& x) {
  std::vector<Tensor> parts;
  for (const Branch& branch : block.branches) {
    Tensor y = pooled(x, branch.pool);
    for (const Convolution& c : branch.chain) y = c.convolution(y, /*relu=*/true);
    for (const Convolution& c : branch.fork) parts.push_back(c.convolution(y, /*relu=*/true));
    if (branch.fork.empty()) parts.push_back(y);
  }
  return parts;
}

}  // namespace

Inception::Inception(std::span<const TensorView> tensors, const std::string& where, at::Device device,
                     at::ScalarType dtype, const std::function<void(const TensorView&)>& done_with)
    : stem_(stem_before_first_pool()), blocks_(make_blocks()), device_(device), dtype_(dtype) {
  const at::NoGradGuard no_grad;
  for (Convolution& c : stem_before_second_pool()) stem_.push_back(std::move(c));
  std::vector<Weights> weights;
  ParameterList list;
  for_each_convolution(stem_, blocks_,
                       [&](const Convolution& c) { weights.emplace_back(c).add_to(list, c.name); });
  const Tensor fc_weight = at::empty({kInceptionClasses, kInceptionWidth}, at::kFloat);
  const Tensor fc_bias = at::empty({kInceptionClasses}, at::kFloat);
  list.add("fc.weight", fc_weight, Initializer::fixed);
  list.add("fc.bias", fc_bias, Initializer::fixed);

  std::vector<TensorView> wanted;
  std::copy_if(tensors.begin(), tensors.end(), std::back_inserter(wanted),
               [](const TensorView& view) { return !is_beside_the_network(view.name); });
  load_parameters(list, wanted, "", where, done_with);
  identity_ = identity_of(list);
  logits_ = fc_weight.to(device);
  list = {};
  auto next = weights.begin();
  for_each_convolution(stem_, blocks_, [&](Convolution& c) {
    c.convolution = fold(c, *next, device, dtype, where);
    *next++ = Weights({});  // frees the unpacked weights
  });
}

bool Inception::is_named_so(std::span<const TensorView> tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const TensorView& view) {
    return view.name.starts_with("Mixed_5b.") || view.name.starts_with("Conv2d_1a_3x3.");
  });
}

InceptionFeatures Inception::operator()(const Tensor& images) const {
  const at::NoGradGuard no_grad;
  Tensor x = inception_input(images).to(device_, dtype_);
  for (std::size_t i = 0; i < stem_.size(); ++i) {
    if (i == kFirstPoolAfter) x = pooled(x, Pool::maximum_halving);
    x = stem_[i].convolution(x, /*relu=*/true);
  }
  x = pooled(x, Pool::maximum_halving);
  InceptionFeatures features;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const std::vector<Tensor> parts = results(blocks_[i], x);
    if (i == kSpatialBlock) {
      features.spatial =
          parts[0].narrow(3, 0, kInceptionSpatialChannels).reshape({x.size(0), -1}).to(at::kCPU, at::kFloat);
    }
    x = at::cat(parts, 3);
  }
  const Tensor mean = x.to(at::kFloat).mean({1, 2});
  features.pooled = mean.to(at::kCPU);
  features.probabilities = at::softmax(at::linear(mean, logits_), 1).to(at::kCPU);
  return features;
}

}  // namespace diffit::nn
