#include "metrics/feature_source.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "data/source.h"
#include "io/npz.h"

namespace diffit {

namespace {

class NpzPictures : public FeatureSource {
 public:
  explicit NpzPictures(const fs::path& path) : file_(path) {
    DIFFIT_CHECK(file_.has("arr_0"), "{}: wanted pictures in an array arr_0, it holds {}", path.string(),
                 file_.names().empty() ? "none" : fmt::format("{}", fmt::join(file_.names(), ", ")));
    const NpyHeader header = file_.header("arr_0");
    shape_ = header.shape;
    const bool fits = header.dtype == Dtype::u8 && shape_.size() == 4 && shape_[1] > 0 && shape_[2] > 0 &&
                      (shape_[3] == 1 || shape_[3] == 3);
    DIFFIT_CHECK(
        fits, "{}: array 'arr_0': wanted pictures, uint8 [N, H, W, C] with 1 or 3 channels, got {} [{}]",
        path.string(), header.dtype == Dtype::u8 ? "uint8" : "another type", fmt::join(shape_, ", "));
    DIFFIT_CHECK(shape_[0] > 0, "{}: array 'arr_0' holds no picture", path.string());
  }
  std::int64_t size() const override { return shape_[0]; }
  std::int64_t height() const override { return shape_[1]; }
  std::int64_t width() const override { return shape_[2]; }
  std::int64_t channels() const override { return shape_[3]; }
  std::string describe() const override { return "npz " + file_.path().string(); }

  void read(std::int64_t batch, std::int64_t count, const PictureBatchSink& sink) const override {
    const auto row = static_cast<std::size_t>(shape_[1] * shape_[2] * shape_[3]);
    std::int64_t left = count, filled = 0;
    at::Tensor pictures;
    struct Enough {};  // pictures beyond `count` need not be read
    try {
      file_.stream_rows("arr_0", [&](std::int64_t, std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
          if (left == 0) throw Enough();
          if (filled == 0)
            pictures = at::empty({std::min(batch, left), shape_[1], shape_[2], shape_[3]}, at::kByte);
          const std::int64_t taken =
              std::min(pictures.size(0) - filled, static_cast<std::int64_t>(bytes.size() / row));
          const std::size_t size = static_cast<std::size_t>(taken) * row;
          std::memcpy(pictures.mutable_data_ptr<std::uint8_t>() + static_cast<std::size_t>(filled) * row,
                      bytes.data(), size);
          bytes = bytes.subspan(size);
          filled += taken;
          if (filled < pictures.size(0)) continue;
          left -= filled;
          filled = 0;
          sink(pictures);
        }
      });
    } catch (const Enough&) {
    }
  }

 private:
  NpzReader file_;
  std::vector<std::int64_t> shape_;
};

class SourcePictures : public FeatureSource {
 public:
  explicit SourcePictures(std::unique_ptr<PictureSource> source) : source_(std::move(source)) {
    DIFFIT_CHECK(source_->size() > 0, "{} holds no picture", source_->describe());
    const Picture first = source_->read(0);
    height_ = first.height;
    width_ = first.width;
    channels_ = first.channels;
  }
  std::int64_t size() const override { return source_->size(); }
  std::int64_t height() const override { return height_; }
  std::int64_t width() const override { return width_; }
  std::int64_t channels() const override { return channels_; }
  std::string describe() const override { return source_->describe(); }

  void read(std::int64_t batch, std::int64_t count, const PictureBatchSink& sink) const override {
    for (std::int64_t first = 0; first < count; first += batch) {
      const at::Tensor pictures =
          at::empty({std::min(batch, count - first), height_, width_, channels_}, at::kByte);
      decode(first, pictures);
      sink(pictures);
    }
  }

 private:
  /// Pictures first .. first + b - 1, by as many threads as the machine has cores.
  void decode(std::int64_t first, const at::Tensor& pictures) const {
    const std::int64_t size = pictures.size(0);
    std::atomic<std::int64_t> next = 0;
    std::exception_ptr error;
    std::mutex mutex;
    const auto work = [&] {
      try {
        for (std::int64_t i = next++; i < size; i = next++)
          put(source_->read(first + i), first + i, pictures, i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
        next = size;
      }
    };
    const std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
    std::vector<std::thread> others;
    for (std::size_t t = 1; t < threads && size > 8; ++t) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
    if (error) std::rethrow_exception(error);
  }

  void put(const Picture& p, std::int64_t index, const at::Tensor& pictures, std::int64_t place) const {
    DIFFIT_CHECK(
        p.height == height_ && p.width == width_,
        "{}: {} is {} x {}, the first picture is {} x {}; figures take pictures of one size: diffit data "
        "convert --size makes them so",
        source_->describe(), source_->name(index), p.width, p.height, width_, height_);
    DIFFIT_CHECK(p.channels == channels_ || p.channels == 1,
                 "{}: {} is RGB, the first picture is grey; figures take pictures of one kind",
                 source_->describe(), source_->name(index));
    const auto bytes = static_cast<std::size_t>(height_ * width_ * channels_);
    std::uint8_t* out = pictures.data_ptr<std::uint8_t>() + static_cast<std::size_t>(place) * bytes;
    if (p.channels == channels_) {
      std::memcpy(out, p.pixels.data(), bytes);
      return;
    }
    for (const std::uint8_t grey : p.pixels) out = std::fill_n(out, channels_, grey);
  }

  std::unique_ptr<PictureSource> source_;
  std::int64_t height_ = 0, width_ = 0, channels_ = 0;
};

}  // namespace

std::unique_ptr<FeatureSource> open_feature_source(const fs::path& path) {
  if (path.extension() == ".npz") return std::make_unique<NpzPictures>(path);
  return std::make_unique<SourcePictures>(open_source(path));
}

void for_each_batch(const FeatureSource& source, std::int64_t batch, std::int64_t count,
                    const PictureBatchSink& sink) {
  constexpr std::size_t kAhead = 2;
  std::deque<at::Tensor> ready;
  bool ended = false, stopped = false;
  std::exception_ptr error;
  std::mutex mutex;
  std::condition_variable changed;
  struct Stopped {};
  std::thread reader([&] {
    try {
      source.read(batch, count, [&](const at::Tensor& pictures) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return ready.size() < kAhead || stopped; });
        if (stopped) throw Stopped();
        ready.push_back(pictures);
        changed.notify_all();
      });
    } catch (const Stopped&) {
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    ended = true;
    changed.notify_all();
  });
  const auto stop = [&] {
    {
      const std::lock_guard lock(mutex);
      stopped = true;
      changed.notify_all();
    }
    reader.join();
  };
  try {
    while (true) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return !ready.empty() || ended; });
      if (ready.empty()) break;
      const at::Tensor pictures = ready.front();
      ready.pop_front();
      changed.notify_all();
      lock.unlock();
      sink(pictures);
    }
  } catch (...) {
    stop();
    throw;
  }
  stop();
  if (error) std::rethrow_exception(error);
}

}  // namespace diffit
