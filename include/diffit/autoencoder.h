// Encoding images into latents and decoding latents with an autoencoder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diffit/monitor.h"
#include "diffit/runtime.h"

namespace diffit {

/// A data set into a folder of latents, on which latent models are trained.
struct EncodeDataSpec {
  std::string data;         // zip, IDX, CIFAR or a folder of images
  std::string dest;         // the folder to write; complete shards already in it are kept
  std::string vae;          // the autoencoder: a file, a diffusers folder, or a bundled one
  std::int64_t batch = 32;  // images at a time
  std::int64_t size = 0;    // side to which smaller images are padded with zeros; 0: none
  bool restart = false;     // remove all shards in `dest` first
};

/// What a folder of latents holds.
struct LatentData {
  std::string source;                                // what was encoded
  std::int64_t images = 0;                           // each with its mirror image
  std::int64_t width = 0, height = 0, channels = 0;  // of a latent
  std::int64_t classes = 0;                          // 0: no labels
  std::int64_t shards = 0;
  std::string vae_identity;        // fingerprint of the autoencoder
  double scale = 0;                // by which latents are multiplied
  double mean = 0, deviation = 0;  // of the latents' numbers, scaled; deviation: standard deviation
};

/// Encodes moments and mirrored moments, shard by shard. An interrupted call is continued by the next one.
/// Progress is reported in images. Throws Error: invalid for a wrong field or file and for a folder with
/// other latents, failed, or cancelled.
LatentData encode_data(const EncodeDataSpec& spec, const RuntimeOptions& runtime = {});
LatentData encode_data(const EncodeDataSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

/// Images into one file of latents.
struct EncodeSpec {
  std::string vae;  // as EncodeDataSpec::vae
  /// An image, a folder or zip of images, .npz (arr_0 uint8 [N, H, W, C]) or .safetensors (`images` [N, C, H,
  /// W] F32 in [-1, 1]); all of one size, with sides that are multiples of the autoencoder's factor.
  std::string in;
  std::string
      out;  // the .safetensors file to write: `latents` [N, L, h, w] F32, posterior means times the scale
  std::int64_t batch = 0;  // images at a time; does not change the result; 0: about 512 x 512 pixels
  double scale = 0;        // of the latents; 0: the one stated in the file, or 0.18215
};

struct EncodeResult {
  std::vector<std::int64_t> shape;  // of `latents`
  double scale = 0;
  std::string scale_from;          // "option", "stated", "config.json", "assumed"
  std::string vae_identity;        // fingerprint of the autoencoder
  double mean = 0, deviation = 0;  // of the latents' numbers; deviation: standard deviation
  double seconds = 0;
};

/// Progress is reported in images. Throws Error: invalid for a wrong field or file, failed, or cancelled;
/// then no file is written.
EncodeResult encode(const EncodeSpec& spec, const RuntimeOptions& runtime = {});
EncodeResult encode(const EncodeSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

/// Latents into images.
struct DecodeSpec {
  std::string vae;  // as EncodeDataSpec::vae
  std::string in;   // .safetensors with `latents` (or `samples`) [N, L, h, w], scaled
  /// x.png (one image, or a grid), x.npz (arr_0 uint8), x.safetensors (`images` F32, not clamped to [-1, 1]),
  /// or a folder (one PNG per image).
  std::string out;
  std::int64_t batch = 0;            // as EncodeSpec::batch
  double scale = 0;                  // as EncodeSpec::scale
  std::string rounding = "nearest";  // to bytes: "nearest", "truncate"
  /// Latent rows decoded at a time, "0" for all; saves memory without changing the image. "auto": 4 above 64
  /// x 64.
  std::string tile = "auto";
};

struct DecodeResult {
  std::vector<std::int64_t> shape;  // of the images, [N, C, H, W]
  double scale = 0;
  std::string scale_from;
  std::int64_t tile = 0;  // latent rows at a time; 0: all
  double seconds = 0;
};

/// As encode().
DecodeResult decode(const DecodeSpec& spec, const RuntimeOptions& runtime = {});
DecodeResult decode(const DecodeSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

}  // namespace diffit
