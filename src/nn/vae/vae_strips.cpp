// Decoder in strips of rows. A convolution needs one more row on each side of a strip, and GroupNorm needs
// the moments of the whole map. Each layer is therefore a pass over the strips of a map that is stored in
// full, and collects the moments of its output for the following norm. A strip of a channels-last map is
// contiguous, so it is a view.
#include <algorithm>

#include "base/error.h"
#include "nn/vae/vae.h"
#include "runtime/pch.h"

namespace diffit::nn {

namespace {

using at::Tensor;

/// Moments of each channel, accumulated over strips in float64 (Chan et al. 1979), and the GroupNorm that
/// uses them.
class Moments {
 public:
  void add(const Tensor& strip) {
    const Tensor x = strip.scalar_type() == at::kBFloat16 ? strip.to(at::kFloat) : strip;
    const auto count = static_cast<double>(x.numel() / x.size(-1));
    const Tensor mean = x.mean({0, 1, 2});
    const Tensor squares = (x - mean).square_().sum({0, 1, 2}).to(at::kDouble);
    merge(count, mean.to(at::kDouble), squares);
  }

  /// Returns SiLU(GroupNorm(strip)). All strips of the map must have been added before.
  Tensor normalize(const GroupNorm& norm, const Tensor& strip) {
    if (!shift_.defined()) finish(norm);
    const Tensor x = strip.scalar_type() == at::kBFloat16 ? strip.to(at::kFloat) : strip;
    return at::silu_((x - shift_).mul_(scale_).add_(norm.bias)).to(strip.scalar_type());
  }

 private:
  void merge(double count, const Tensor& mean, const Tensor& squares) {
    if (count_ == 0) {
      mean_ = mean;
      squares_ = squares;
    } else {
      const Tensor delta = mean - mean_;
      squares_ += squares + delta.square() * (count_ * count / (count_ + count));
      mean_ += delta * (count / (count_ + count));
    }
    count_ += count;
  }

  /// Combines the moments of channels into moments of groups, and computes shift and scale.
  void finish(const GroupNorm& norm) {
    const Tensor means = mean_.reshape({norm.groups, -1}), mean = means.mean(1, true);
    const Tensor variance =
        squares_.reshape({norm.groups, -1}).mean(1, true) / count_ + (means - mean).square().mean(1, true);
    const Tensor inverse = (variance + kVaeNormEps).rsqrt();
    const auto per_channel = [&](const Tensor& x) { return x.expand_as(means).reshape({-1}); };
    shift_ = per_channel(mean).to(norm.weight.scalar_type());
    scale_ = (per_channel(inverse) * norm.weight).to(norm.weight.scalar_type());
  }

  double count_ = 0;
  Tensor mean_, squares_;  // [C] float64
  Tensor shift_, scale_;   // [C]
};

/// Row access to a map [1, H, W, C] that is either stored in full or computed on demand. `get` returns rows
/// first to last - 1.
struct Rows {
  std::int64_t height;
  std::function<Tensor(std::int64_t first, std::int64_t last)> get;
};

Rows rows_of(const Tensor& map) {
  return {map.size(1),
          [map](std::int64_t first, std::int64_t last) { return map.narrow(1, first, last - first); }};
}

/// Returns rows first to last - 1 of conv(transform(map)), with zeros beyond the edges of the map.
Tensor convolve(const Conv2d& conv, const Rows& map, const std::function<Tensor(const Tensor&)>& transform,
                std::int64_t first, std::int64_t last) {
  const std::int64_t above = std::max<std::int64_t>(first - 1, 0), below = std::min(last + 1, map.height);
  return conv(transform(map.get(above, below))).narrow(1, first - above, last - first);
}

/// Rows of upsample(conv, map), computed on demand. Row y needs rows y - 1 to y + 1 of the upsampled map,
/// which are rows (y - 1) / 2 to (y + 1) / 2 of `map`.
Rows upsampled_rows(const Conv2d& conv, const Tensor& map) {
  return {
      2 * map.size(1), [&conv, map](std::int64_t first, std::int64_t last) {
        const std::int64_t above = first == 0 ? 0 : (first - 1) / 2;
        const std::int64_t below = std::min(last / 2 + 1, map.size(1));
        return upsample(conv, map.narrow(1, above, below - above)).narrow(1, first - 2 * above, last - first);
      }};
}

void for_strips(std::int64_t height, std::int64_t rows,
                const std::function<void(std::int64_t first, std::int64_t last)>& visit) {
  for (std::int64_t first = 0; first < height; first += rows) visit(first, std::min(first + rows, height));
}

/// Writes rows to `map`, starting at row `first`. Allocates the map on the first call.
void store(Tensor& map, std::int64_t height, std::int64_t first, const Tensor& rows) {
  if (!map.defined()) map = at::empty({1, height, rows.size(2), rows.size(3)}, rows.options());
  map.narrow(1, first, rows.size(1)).copy_(rows);
}

/// Returns the whole map, computed strip by strip.
Tensor compute_whole(const Rows& rows, std::int64_t strip) {
  Tensor map;
  for_strips(rows.height, strip, [&](std::int64_t first, std::int64_t last) {
    store(map, rows.height, first, rows.get(first, last));
  });
  return map;
}

/// Computes block(x). Writes in place to `stored` if x is stored in full and the shortcut is the identity,
/// otherwise to a new map.
Tensor residual_block(const VaeResBlock& block, const Rows& x, const Tensor& stored, std::int64_t strip) {
  const bool narrows = block.conv_shortcut.has_value();
  Tensor out = narrows ? Tensor() : stored, inner;
  Moments moments1, moments2;
  for_strips(x.height, strip, [&](std::int64_t first, std::int64_t last) {
    const Tensor rows = x.get(first, last);
    moments1.add(rows);
    if (narrows || !stored.defined()) store(out, x.height, first, block.shortcut(rows));
  });
  const Rows source = narrows ? x : rows_of(out);
  for_strips(x.height, strip, [&](std::int64_t first, std::int64_t last) {
    const Tensor rows = convolve(
        block.conv1, source, [&](const Tensor& r) { return moments1.normalize(block.norm1, r); }, first,
        last);
    moments2.add(rows);
    store(inner, x.height, first, rows);
  });
  for_strips(x.height, strip, [&](std::int64_t first, std::int64_t last) {
    out.narrow(1, first, last - first) += convolve(
        block.conv2, rows_of(inner), [&](const Tensor& r) { return moments2.normalize(block.norm2, r); },
        first, last);
  });
  return out;
}

}  // namespace

at::Tensor Vae::decode_in_strips(const at::Tensor& z, std::int64_t latent_rows) const {
  DIFFIT_CHECK(latent_rows >= 1, "a strip of the decoder has at least 1 latent row, got {}", latent_rows);
  const at::NoGradGuard no_grad;
  std::vector<Tensor> images;
  for (std::int64_t b = 0; b < z.size(0); ++b) {
    Tensor map = decode_lowest(z.narrow(0, b, 1));
    std::int64_t strip = latent_rows;
    for (std::size_t i = 0; i < up_.size(); ++i) {
      const VaeStage& stage = up_[i];
      Rows rows = rows_of(map);
      Tensor stored = map;
      if (i > 0) {
        strip *= 2;
        rows = upsampled_rows(*up_[i - 1].resample, map);
        // The largest map is read only by the first block of the last stage: computing it twice saves the
        // memory to store it.
        stored = i + 1 < up_.size() ? compute_whole(rows, strip) : Tensor();
        if (stored.defined()) rows = rows_of(stored);
      }
      for (const VaeResBlock& block : stage.blocks) {
        map = residual_block(block, rows, stored, strip);
        rows = rows_of(map);
        stored = map;
      }
    }
    Moments moments;
    for_strips(map.size(1), strip, [&](std::int64_t first, std::int64_t last) {
      moments.add(map.narrow(1, first, last - first));
    });
    Tensor image = at::empty({1, config_.in_channels, map.size(1), map.size(2)}, z.options());
    for_strips(map.size(1), strip, [&](std::int64_t first, std::int64_t last) {
      const Tensor rows = convolve(
          decoder_out_, rows_of(map), [&](const Tensor& r) { return moments.normalize(decoder_norm_, r); },
          first, last);
      image.narrow(2, first, last - first).copy_(rows.permute({0, 3, 1, 2}));
    });
    images.push_back(image);
  }
  return images.size() == 1 ? images.front() : at::cat(images);
}

}  // namespace diffit::nn
