#include "nn/inference/latent_evaluator.h"

#include <bit>

#include "base/error.h"
#include "kernels/ops.h"
#include "nn/diffit/windows.h"
#include "nn/layers/weights_io.h"

namespace diffit::nn {

namespace {

/// Key of a time: the bits of the float32 that the network receives.
std::int64_t key_of_time(double t) {
  return std::bit_cast<std::int32_t>(static_cast<float>(t));
}

std::vector<std::int64_t> numbers_of(const at::Tensor& labels) {
  const at::Tensor whole = labels.to(at::kCPU, at::kLong).contiguous();
  const auto* from = whole.const_data_ptr<std::int64_t>();
  return {from, from + whole.numel()};
}

}  // namespace

struct LatentEvaluator::Layer {
  PackedLinear qkv_temb, qkv, proj, fc1, fc2;
  at::Tensor qkv_temb_bias;  // [3C] f32, added once to the contribution of time
  at::Tensor table;          // [(2w-1)^2, heads] f32
};

struct LatentEvaluator::Weights {
  at::Tensor patch, patch_bias;  // [hidden, C * p * p], [hidden]
  at::Tensor position;           // [N, hidden]
  TimeEmbedder t_embedder;       // float32
  LabelEmbedder y_embedder;      // float32
  at::Tensor final, final_bias;  // [p * p * 2C, hidden], [p * p * 2C]
  std::vector<Layer> layers;

  /// Returns the names and shapes of the parameters of LatentDiffiT, each with the destination of its values.
  ParameterList expected(const LatentConfig& c, at::ScalarType dtype, at::Device device) {
    ParameterList list;
    const auto keep = [&](const std::string& name, at::IntArrayRef shape, at::Tensor& to) {
      list.add(name, shape, [&to, device](const at::Tensor& values) {
        to = values.to(at::TensorOptions(device).dtype(at::kFloat), false, /*copy=*/true);
      });
    };
    const auto keep_linear = [&](const std::string& name, std::int64_t in, std::int64_t out,
                                 at::Tensor& weight, at::Tensor& bias) {
      keep(name + ".weight", {out, in}, weight);
      keep(name + ".bias", {out}, bias);
    };
    // The bias is read first, so that the weight can be packed as soon as it is read.
    const auto pack = [&](const std::string& name, std::int64_t in, std::int64_t out, std::int64_t rows,
                          PackedLinear& to, at::Tensor* apart) {
      const auto bias = std::make_shared<at::Tensor>();
      list.add(name + ".bias", {out}, [bias, apart, dtype, device](const at::Tensor& values) {
        const at::ScalarType type = apart ? at::kFloat : dtype;
        (apart ? *apart : *bias) = values.to(at::TensorOptions(device).dtype(type), false, /*copy=*/true);
      });
      list.add(name + ".weight", {out, in}, [bias, rows, &to, dtype, device](const at::Tensor& values) {
        to = PackedLinear(values.to(at::TensorOptions(device).dtype(dtype)), *bias, rows);
      });
    };

    const std::int64_t grid = c.grid(), tokens = grid * grid, span = 2 * grid - 1, hidden = c.hidden;
    const auto mlp = static_cast<std::int64_t>(static_cast<double>(hidden) * c.mlp_ratio);
    keep("pos_embed", {1, tokens, hidden}, position);
    keep("x_embedder.proj.weight", {hidden, c.in_channels, c.patch, c.patch}, patch);
    keep("x_embedder.proj.bias", {hidden}, patch_bias);
    keep_linear("t_embedder.mlp.0", 256, hidden, t_embedder.first.weight, t_embedder.first.bias);
    keep_linear("t_embedder.mlp.2", hidden, hidden, t_embedder.second.weight, t_embedder.second.bias);
    keep("y_embedder.embedding_table.weight", {c.classes + 1, hidden}, y_embedder.table);
    const at::Tensor index = relative_position_index(grid);
    layers.resize(static_cast<std::size_t>(c.depth));
    for (std::int64_t i = 0; i < c.depth; ++i) {
      Layer& layer = layers[static_cast<std::size_t>(i)];
      const std::string block = fmt::format("blocks.{}.", i);
      keep(block + "attn.relative_position_bias_table", {span * span, c.heads}, layer.table);
      list.add(block + "attn.relative_position_index", index, Initializer::buffer);
      pack(block + "attn.qkv_temb", hidden, 3 * hidden, 1, layer.qkv_temb, &layer.qkv_temb_bias);
      pack(block + "attn.qkv", hidden, 3 * hidden, 2 * tokens, layer.qkv, nullptr);
      pack(block + "attn.proj", hidden, hidden, 2 * tokens, layer.proj, nullptr);
      pack(block + "mlp.fc1", hidden, mlp, 2 * tokens, layer.fc1, nullptr);
      pack(block + "mlp.fc2", mlp, hidden, 2 * tokens, layer.fc2, nullptr);
    }
    keep_linear("final_layer.linear", hidden, c.patch * c.patch * c.out_channels(), final, final_bias);
    return list;
  }

  /// embedding [K, C] -> projection by each layer's qkv_temb, [K, depth, 3C], with its bias if `with_bias`.
  /// The number of rows of each product is a multiple of kRows, padded with zeros. Each row is therefore
  /// bitwise independent of the rest of the batch, and a resumed run reproduces the same values.
  at::Tensor project(const at::Tensor& embedding, at::ScalarType dtype, bool with_bias) const {
    constexpr std::int64_t kRows = 8;
    const std::int64_t count = embedding.size(0), depth = static_cast<std::int64_t>(layers.size());
    const at::Tensor x = at::constant_pad_nd(embedding.to(dtype), {0, 0, 0, (kRows - count % kRows) % kRows});
    at::Tensor rows = at::empty({count, depth, 3 * x.size(1)}, x.options());
    for (std::int64_t i = 0; i < depth; ++i) {
      const Layer& layer = layers[static_cast<std::size_t>(i)];
      for (std::int64_t first = 0; first < count; first += kRows) {
        const std::int64_t taken = std::min(kRows, count - first);
        at::Tensor product = layer.qkv_temb(x.narrow(0, first, kRows)).narrow(0, 0, taken);
        if (with_bias) product = product + layer.qkv_temb_bias;
        rows.narrow(0, first, taken).select(1, i).copy_(product);
      }
    }
    return rows;
  }
};

LatentEvaluator::LatentEvaluator(const LatentConfig& config, std::span<const TensorView> tensors,
                                 const std::string& where, at::ScalarType dtype, at::Device device,
                                 const std::function<void(const TensorView&)>& done_with)
    : config_(config), dtype_(dtype), device_(device), weights_(std::make_unique<Weights>()) {
  check_config(config_, where);
  const at::NoGradGuard no_grad;
  load_parameters(weights_->expected(config_, dtype, device), tensors, "", where, done_with);
  weights_->patch = weights_->patch.flatten(1);
  weights_->position = weights_->position.squeeze(0);

  const Weights* weights = weights_.get();
  network_ = std::make_unique<runtime::Replayed>(
      device,
      [config, dtype, weights](const runtime::Replayed::Tensors& inputs) -> runtime::Replayed::Tensors {
        return {network(config, dtype, *weights, inputs[0], inputs[1])};
      });
  const auto row_bytes =
      config_.depth * 3 * config_.hidden * static_cast<std::int64_t>(c10::elementSize(dtype));
  times_ = ConditionCache(row_bytes, kConditionBytes, [=](std::span<const std::int64_t> keys) {
    std::vector<float> t;
    for (const std::int64_t key : keys) t.push_back(std::bit_cast<float>(static_cast<std::int32_t>(key)));
    return weights->project(weights->t_embedder(at::tensor(t).to(device)), dtype, /*with_bias=*/true);
  });
  labels_ = ConditionCache(row_bytes, kConditionBytes, [=](std::span<const std::int64_t> keys) {
    const at::Tensor y = at::tensor(at::ArrayRef<std::int64_t>(keys.data(), keys.size())).to(device);
    return weights->project(weights->y_embedder(y), dtype, /*with_bias=*/false);
  });
}

LatentEvaluator::~LatentEvaluator() = default;
LatentEvaluator::LatentEvaluator(LatentEvaluator&&) noexcept = default;
LatentEvaluator& LatentEvaluator::operator=(LatentEvaluator&&) noexcept = default;

const std::vector<std::int64_t>& LatentEvaluator::keys_of(const at::Tensor& labels) {
  const bool same = last_labels_.defined() && last_labels_.is_same(labels) &&
                    static_cast<std::int64_t>(labels._version()) == last_version_;
  if (!same) {
    last_keys_ = numbers_of(labels);
    last_labels_ = labels;
    last_version_ = static_cast<std::int64_t>(labels._version());
  }
  return last_keys_;
}

at::Tensor LatentEvaluator::projections(std::span<const std::int64_t> times, const at::Tensor& labels) {
  const at::Tensor sum = times_.rows(times) + labels_.rows(keys_of(labels));  // [B, depth, 3C]
  return sum.transpose(0, 1).contiguous();
}

at::Tensor LatentEvaluator::operator()(const at::Tensor& x, double t, const at::Tensor& labels) {
  const std::int64_t key = key_of_time(t);
  return evaluate(x, {&key, 1}, labels);
}

at::Tensor LatentEvaluator::operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
  const at::Tensor times = t.to(at::kCPU, at::kFloat);
  std::vector<std::int64_t> keys;
  for (std::int64_t i = 0; i < times.numel(); ++i) keys.push_back(key_of_time(times[i].item<float>()));
  return evaluate(x, keys, labels);
}

at::Tensor LatentEvaluator::evaluate(const at::Tensor& x, std::span<const std::int64_t> times,
                                     const at::Tensor& labels) {
  const at::NoGradGuard no_grad;
  return (*network_)({x.to(at::TensorOptions(device_).dtype(at::kFloat)), projections(times, labels)})[0];
}

/// x [B, C, S, S] float32 and qkv_t [depth, B, 3C] -> [B, 2C, S, S].
at::Tensor LatentEvaluator::network(const LatentConfig& config, at::ScalarType dtype, const Weights& w,
                                    const at::Tensor& x, const at::Tensor& qkv_t) {
  const std::int64_t batch = x.size(0), grid = config.grid(), p = config.patch, out = config.out_channels();

  // A patch is a row of p * p * C numbers, so that the patch embedding is one matrix product.
  const at::Tensor patches = x.reshape({batch, config.in_channels, grid, p, grid, p})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({batch, grid * grid, -1});
  at::Tensor stream = (linear(patches, w.patch, w.patch_bias) + w.position).reshape({batch, grid, grid, -1});
  const bool narrow = dtype != at::kFloat;
  at::Tensor normal = layer_norm(stream, kLayerNormEps).to(dtype);
  /// stream += layer(from), followed by the LayerNorm for the next layer.
  const auto add = [&](const PackedLinear& layer, const at::Tensor& from) {
    if (narrow) {
      normal = add_layer_norm(stream, layer(from), kLayerNormEps);
    } else {
      stream = layer.add_to(stream, from);
      normal = layer_norm(stream, kLayerNormEps);
    }
  };
  for (std::size_t i = 0; i < w.layers.size(); ++i) {
    const Layer& layer = w.layers[i];
    const at::Tensor time = qkv_t.select(0, static_cast<std::int64_t>(i));
    add(layer.proj, tmsa_attention(layer.qkv(normal), time, layer.table, config.heads, grid));
    add(layer.fc2, layer.fc1.gelu_tanh(normal));
  }
  const at::Tensor last = narrow ? layer_norm(stream, kLayerNormEps) : normal;
  return linear(at::silu(last), w.final, w.final_bias)
      .reshape({batch, grid, grid, p, p, out})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape({batch, out, grid * p, grid * p});
}

}  // namespace diffit::nn
