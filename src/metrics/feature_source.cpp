#include "metrics/feature_source.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/cpu_count.h"
#include "base/error.h"
#include "base/printable.h"
#include "data/workers.h"
#include "runtime/pch.h"

namespace diffit::metrics {
namespace {

/// A batch that is being filled with images.
struct Slot {
  at::Tensor images;
  std::int64_t first = 0, left = 0;  // left: number of images not yet decoded
  std::int64_t failed = -1;          // index of the first image that could not be read
  std::exception_ptr error;
};

class Feeder {
 public:
  Feeder(const FeatureSource& source, std::int64_t batch, std::int64_t count, int threads)
      : source_(source), batch_(batch), count_(count), ahead_(threads + 2) {
    open_slots();  // no workers yet, so no notification is needed
    threads_ = start_threads(threads, [this] { work(); });
  }

  ~Feeder() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void run(const ImageBatchSink& sink) {
    for (std::int64_t first = 0; first < count_; first += batch_) {
      const std::shared_ptr<Slot> slot = next();
      if (slot->error) std::rethrow_exception(slot->error);
      sink(slot->images, slot->first);
    }
  }

 private:
  /// Waits for the oldest batch to be complete and removes it from the queue.
  std::shared_ptr<Slot> next() {
    std::unique_lock lock(mutex_);
    const std::shared_ptr<Slot> slot = slots_.front();
    while (threads_.empty() && slot->left > 0) take_one(lock);
    changed_.wait(lock, [&] { return slot->left == 0; });
    slots_.pop_front();
    open_slots();
    lock.unlock();
    changed_.notify_all();
    return slot;
  }

  /// Allocates the batches that may be decoded ahead. The caller holds the lock.
  void open_slots() {
    while (opened_ < count_ && static_cast<int>(slots_.size()) < ahead_) {
      const std::int64_t size = std::min(batch_, count_ - opened_);
      auto slot = std::make_shared<Slot>();
      slot->images = at::empty({size, source_.height(), source_.width(), source_.channels()}, at::kByte);
      slot->first = opened_;
      slot->left = size;
      slots_.push_back(std::move(slot));
      opened_ += size;
    }
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stop_ || taken_ < opened_; });
      if (stop_) return;
      take_one(lock);
    }
  }

  /// Reads the next image that no thread has taken. Releases the lock while reading.
  void take_one(std::unique_lock<std::mutex>& lock) {
    const std::int64_t index = taken_++;
    const auto holds = [&](const std::shared_ptr<Slot>& s) { return index < s->first + s->images.size(0); };
    const std::shared_ptr<Slot> slot = *std::find_if(slots_.begin(), slots_.end(), holds);
    lock.unlock();
    std::exception_ptr error;
    try {
      std::uint8_t* const out = slot->images.mutable_data_ptr<std::uint8_t>();
      source_.read(index, out + (index - slot->first) * slot->images[0].numel());
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error && (slot->failed < 0 || index < slot->failed)) {
      slot->failed = index;
      slot->error = error;
    }
    if (--slot->left == 0) changed_.notify_all();
  }

  const FeatureSource& source_;
  const std::int64_t batch_, count_;
  const int ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Slot>> slots_;
  std::int64_t opened_ = 0, taken_ = 0;  // images that have a slot; images taken by a thread
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

FeatureSource::FeatureSource(std::unique_ptr<const ImageSource> images) : images_(std::move(images)) {
  DIFFIT_CHECK(images_->size() > 0, "{} contains no image", images_->describe());
  scan_ = scan_images(*images_);
  DIFFIT_CHECK(!scan_.sizes.empty(), "{}: no image can be read, the first: {}", images_->describe(),
               scan_.broken.front().reason);
  const ImageInfo usual = scan_.usual();
  height_ = usual.height;
  width_ = usual.width;
  channels_ = usual.channels;
}

void FeatureSource::check_first(std::int64_t count) const {
  if (scan_.broken_count > 0 && scan_.broken.front().index < count) {
    reject("{} ({} of {} images cannot be read)", scan_.broken.front().reason, scan_.broken_count, size());
  }
  if (const std::int64_t odd = scan_.first_odd(); odd >= 0 && odd < count)
    check_size(odd, images_->info(odd));
}

void FeatureSource::check_size(std::int64_t index, const ImageInfo& image) const {
  DIFFIT_CHECK(image.height == height_ && image.width == width_,
               "{}: {} is {} x {}, but most images are {} x {} ({} are not); metrics need images of one "
               "size: resize them with diffit data convert --size",
               describe(), printable(images_->name(index)), image.width, image.height, width_, height_,
               scan_.odd_count());
}

void FeatureSource::read(std::int64_t index, std::uint8_t* out) const {
  const Image p = images_->read(index);
  check_size(index, info_of(p));
  DIFFIT_CHECK(p.channels <= channels_, "{}: {} is RGB, but its header states greyscale", describe(),
               printable(images_->name(index)));
  if (p.channels == channels_) {
    std::memcpy(out, p.pixels.data(), p.pixels.size());
  } else {
    for (const std::uint8_t grey : p.pixels) out = std::fill_n(out, channels_, grey);
  }
}

std::unique_ptr<FeatureSource> open_feature_source(const fs::path& path) {
  return std::make_unique<FeatureSource>(open_source(path, {.labels_needed = false}));
}

void for_each_batch(const FeatureSource& source, std::int64_t batch, std::int64_t count,
                    const ImageBatchSink& sink, int threads) {
  DIFFIT_CHECK(batch > 0 && count >= 0 && count <= source.size(),
               "{}: wanted batches of at least one image, and 0..{} images; got batches of {}, and {} images",
               source.describe(), source.size(), batch, count);
  source.check_first(count);
  if (threads < 0) threads = cpu_count();
  Feeder(source, batch, count, threads).run(sink);
}

}  // namespace diffit::metrics
