#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <thread>

#include "base/error.h"
#include "base/random.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "data/workers.h"

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
  struct Slot {
    Batch batch;
    std::exception_ptr error;
    bool full = false;
  };

  std::shared_ptr<const Dataset> dataset;
  Augmentation augmentation;
  std::uint64_t seed;
  std::int64_t batch_size, first_image;
  Portion portion;

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Slot> slots;   // batch k lies in slot k % slots.size()
  std::int64_t to_make = 0;  // the next batch that a thread takes
  std::int64_t to_hand_out = 0;
  bool stopping = false;
  std::vector<std::unique_ptr<BatchMaker>> makers;  // one a thread; one where next() makes the batches
  std::atomic<std::size_t> taken = 0;               // makers that a thread has
  std::vector<std::thread> threads;                 // empty: next() makes the batches

  void work() {
    BatchMaker& maker = *makers[taken++];
    const auto depth = static_cast<std::int64_t>(slots.size());
    while (true) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return stopping || to_make < to_hand_out + depth; });
      if (stopping) return;
      const std::int64_t number = to_make++;
      Slot& slot = slots[static_cast<std::size_t>(number % depth)];
      lock.unlock();
      std::exception_ptr error;
      try {
        maker.make(portion.image(first_image, number * batch_size), batch_size, slot.batch);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      slot.error = std::move(error);
      slot.full = true;
      changed.notify_all();
    }
  }
};

Loader::Loader(std::shared_ptr<const Dataset> dataset, Augmentation augmentation, std::uint64_t seed,
               std::int64_t batch, std::int64_t first_image, int threads, Portion portion)
    : state_(std::make_unique<State>()) {
  DIFFIT_CHECK(batch >= 1 && first_image >= 0,
               "wanted a batch of at least 1 starting at image 0 or later, got {} starting at {}", batch,
               first_image);
  state_->dataset = std::move(dataset);
  state_->augmentation = augmentation;
  state_->seed = seed;
  state_->batch_size = batch;
  state_->first_image = first_image;
  state_->portion = portion;
  // All memory but that of the batches is taken here, so that a thread has nothing to fail at before its
  // first.
  do {
    try {
      state_->makers.push_back(std::make_unique<BatchMaker>(*state_->dataset, augmentation, seed));
    } catch (const std::bad_alloc&) {
      if (state_->makers.empty()) throw;
      break;
    }
  } while (static_cast<int>(state_->makers.size()) < threads);
  if (threads <= 0) return;
  const auto count = state_->makers.size();
  state_->slots.resize(count + 1);
  state_->threads = start_threads(static_cast<int>(count), [state = state_.get()] { state->work(); });
}

Loader::~Loader() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

Batch Loader::next() {
  Batch batch;
  next(batch);
  return batch;
}

void Loader::next(Batch& batch) {
  State& state = *state_;
  if (state.threads.empty()) {
    const std::int64_t first = state.portion.image(state.first_image, state.to_hand_out * state.batch_size);
    state.makers.front()->make(first, state.batch_size, batch);
    ++state.to_hand_out;
    return;
  }
  std::unique_lock lock(state.mutex);
  State::Slot& slot = state.slots[static_cast<std::size_t>(state.to_hand_out) % state.slots.size()];
  state.changed.wait(lock, [&] { return slot.full; });
  if (slot.error) std::rethrow_exception(slot.error);  // and again, should next() be called again
  std::swap(batch, slot.batch);
  slot.full = false;
  ++state.to_hand_out;
  state.changed.notify_all();
}

}  // namespace diffit::data
