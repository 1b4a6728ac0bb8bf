// Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
// 1, 2, 3"). A number is a pure function of (seed, stream, index): the same for every device, thread
// count, batch size and order. Nothing is stored, so nothing has to be restored on resume.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/layers.h"

namespace diffit::base {

/// One block of Philox 4x32 with ten rounds.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// A sequence of random numbers named by a 64-bit seed and a 64-bit stream.
/// Streams of one seed are independent; stream numbers are given in one place for each use (see Stream).
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}

  /// Next 32 random bits.
  std::uint32_t bits();
  /// Uniform in (0, 1): 2^-33 <= u <= 1 - 2^-33, in double.
  double uniform();
  /// Standard normal, by Box-Muller in double.
  double normal();
  /// Uniform integer in [0, bound), bound >= 1, without bias.
  std::uint32_t below(std::uint32_t bound);
  /// Fills with standard normals rounded to float.
  void normal(std::span<float> out);

 private:
  std::uint64_t seed_, stream_;
  std::uint64_t block_ = 0;
  std::array<std::uint32_t, 4> words_{};
  int left_ = 0;
  double spare_ = 0;
  bool has_spare_ = false;
};

/// What a stream number is made of: a purpose in the high 16 bits and a counter below 2^48
/// (an image's running number while training, a step while sampling).
enum class Purpose : std::uint16_t {
  initial_noise = 1,    // the start of an image; counter 0, seed = the image's own
  step_noise = 2,       // noise added by sampling step `counter`, seed = the image's own
  data_order = 3,       // permutation of epoch `counter`
  training_noise = 4,   // sigma and noise of training image `counter`
  augmentation = 5,     // flips and the like of training image `counter`
  label_dropout = 6,    // of training image `counter`
  initial_weights = 7,  // of parameter `counter`
  classes = 8,          // random class of a sampled image, seed = the image's own
  test = 9,
  posterior = 10,         // of an autoencoder, of training image `counter`
  dropout = 11,           // of training image `counter` / 4096, place `counter` % 4096
  bootstrap = 20,         // resample `counter` of a set of images
  subset = 21,            // subset `counter` of a set of images
  evaluation_noise = 30,  // of evaluated image `counter`
  probe = 31,             // Hutchinson's, of evaluated image `counter`
  corruption = 32,        // of evaluated image `counter`
};

constexpr std::uint64_t stream_of(Purpose purpose, std::uint64_t counter = 0) {
  return (static_cast<std::uint64_t>(purpose) << 48) | counter;
}

/// Position `index` of a pseudo-random permutation of 0..size-1 named by (seed, stream): a Feistel network
/// over the next power of four, walked until it lands inside. No table: sets larger than memory are fine.
std::uint64_t permuted(std::uint64_t index, std::uint64_t size, std::uint64_t seed, std::uint64_t stream);

}  // namespace diffit::base
