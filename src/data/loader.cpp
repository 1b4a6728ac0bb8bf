#include <new>

#include "base/error.h"
#include "base/random.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "data/prefetcher.h"

namespace diffit::data {
namespace {

/// Buffers of one thread for making batches.
class BatchMaker {
 public:
  BatchMaker(const Dataset& dataset, const Augmentation& augmentation, std::uint64_t seed)
      : dataset_(dataset),
        augmentation_(augmentation),
        seed_(seed),
        bytes_(static_cast<std::size_t>(dataset.resolution() * dataset.resolution() * dataset.channels())),
        warp_(dataset.resolution(), dataset.channels()) {}

  void make(std::int64_t first, std::int64_t count, Batch& batch) {
    batch.first = first;
    batch.images.resize(static_cast<std::size_t>(count) * bytes_.size());
    batch.labels.resize(static_cast<std::size_t>(count));
    batch.augment_labels.resize(augmentation_.labelled() ? static_cast<std::size_t>(count * kAugmentLabel)
                                                         : 0);
    for (std::int64_t i = 0; i < count; ++i) make_image(first + i, static_cast<std::size_t>(i), batch);
  }

 private:
  void make_image(std::int64_t image, std::size_t slot, Batch& batch) {
    const auto size = static_cast<std::uint64_t>(dataset_.size());
    const auto number = static_cast<std::uint64_t>(image);
    const auto index = static_cast<std::int64_t>(
        permuted(number % size, size, seed_, stream_of(Purpose::data_order, number / size)));
    dataset_.read(index, bytes_);
    batch.labels[slot] = dataset_.label(index);

    const std::span<float> pixels(batch.images.data() + slot * bytes_.size(), bytes_.size());
    for (std::size_t i = 0; i < bytes_.size(); ++i) pixels[i] = static_cast<float>(bytes_[i]) / 127.5f - 1.0f;

    Random random(seed_, stream_of(Purpose::augmentation, number));
    if (random.uniform() < augmentation_.flip) {
      flip_horizontally(pixels, dataset_.resolution(), dataset_.channels());
    }
    if (augmentation_.labelled()) {
      const Geometry geometry = draw_geometry(random, augmentation_.probability);
      warp_.apply(geometry, pixels);
      const auto label = geometry.label();
      std::copy(label.begin(), label.end(),
                batch.augment_labels.begin() + static_cast<std::ptrdiff_t>(slot * label.size()));
    }
  }

  const Dataset& dataset_;
  Augmentation augmentation_;
  std::uint64_t seed_;
  std::vector<std::uint8_t> bytes_;
  Warp warp_;
};

}  // namespace

struct Loader::State {
  std::shared_ptr<const Dataset> dataset;
  std::int64_t batch_size = 0, first_image = 0;
  Portion portion;
  std::vector<std::unique_ptr<BatchMaker>> makers;  // one a thread; one where next() makes the batches
  std::vector<Batch> slots;                         // batch k lies in slot k % slots.size()
  std::int64_t to_hand_out = 0;
  std::unique_ptr<Prefetcher> prefetcher;  // last: its threads use all that is above

  Batch& slot(std::int64_t number) { return slots[static_cast<std::size_t>(number) % slots.size()]; }
};

Loader::Loader(std::shared_ptr<const Dataset> dataset, Augmentation augmentation, std::uint64_t seed,
               std::int64_t batch, std::int64_t first_image, int threads, Portion portion)
    : state_(std::make_unique<State>()) {
  DIFFIT_CHECK(batch >= 1 && first_image >= 0,
               "wanted a batch of at least 1 starting at image 0 or later, got {} starting at {}", batch,
               first_image);
  State& state = *state_;
  state.dataset = std::move(dataset);
  state.batch_size = batch;
  state.first_image = first_image;
  state.portion = portion;
  // All memory but that of the batches is taken here, so that a thread has nothing to fail at before its
  // first.
  do {
    try {
      state.makers.push_back(std::make_unique<BatchMaker>(*state.dataset, augmentation, seed));
    } catch (const std::bad_alloc&) {
      if (state.makers.empty()) throw;
      break;
    }
  } while (static_cast<int>(state.makers.size()) < threads);
  const int workers = threads <= 0 ? 0 : static_cast<int>(state.makers.size());
  state.slots.resize(static_cast<std::size_t>(workers) + 1);
  const auto make = [&state](std::int64_t number, std::int64_t /*part*/, std::size_t worker) {
    const std::int64_t first = state.portion.image(state.first_image, number * state.batch_size);
    state.makers[worker]->make(first, state.batch_size, state.slot(number));
  };
  state.prefetcher = std::make_unique<Prefetcher>(
      Prefetcher::Work{.open = [](std::int64_t) { return std::int64_t{1}; }, .make = make},
      static_cast<std::int64_t>(state.slots.size()), workers);
}

Loader::~Loader() = default;

Batch Loader::next() {
  Batch batch;
  next(batch);
  return batch;
}

void Loader::next(Batch& batch) {
  state_->prefetcher->wait();
  std::swap(batch, state_->slot(state_->to_hand_out));
  ++state_->to_hand_out;
  state_->prefetcher->release();
}

}  // namespace diffit::data
