// Groups over c10d's Gloo backend, which LibTorch contains.
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <charconv>
#include <optional>
#include <thread>

#include "base/error.h"
#include "dist/group.h"

namespace diffit::dist {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// The first line of what c10d or Gloo say, without the stack that follows.
std::string first_line(const char* text) {
  const std::string line(text);
  return line.substr(0, line.find('\n'));
}

class GlooTransfer : public Transfer {
 public:
  GlooTransfer(c10::intrusive_ptr<c10d::Work> work, std::vector<at::Tensor> tensors, std::string with)
      : work_(std::move(work)), tensors_(std::move(tensors)), with_(std::move(with)) {}

  void wait() override {
    try {
      work_->wait();
    } catch (const std::exception& error) {
      fail("lost the connection with {}: its process has ended, or did not answer in time ({})", with_,
           first_line(error.what()));
    }
  }

 private:
  c10::intrusive_ptr<c10d::Work> work_;
  std::vector<at::Tensor> tensors_;  // keeps the memory until the transfer is complete
  std::string with_;
};

class GlooGroup : public Group {
 public:
  GlooGroup(const Place& place, c10::intrusive_ptr<c10d::Store> store,
            c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo)
      : Group(place), store_(std::move(store)), gloo_(std::move(gloo)) {}

  std::unique_ptr<Transfer> send(const at::Tensor& tensor, int to, int tag) override {
    std::vector<at::Tensor> one{tensor};
    return started(one, fmt::format("rank {}", to), [&] { return gloo_->send(one, to, tag); });
  }

  std::unique_ptr<Transfer> receive(const at::Tensor& tensor, int from, int tag) override {
    std::vector<at::Tensor> one{tensor};
    return started(one, fmt::format("rank {}", from), [&] { return gloo_->recv(one, from, tag); });
  }

  std::unique_ptr<Transfer> broadcast(const at::Tensor& tensor, int from) override {
    std::vector<at::Tensor> one{tensor};
    c10d::BroadcastOptions options;
    options.rootRank = from;
    return started(one, "another rank", [&] { return gloo_->broadcast(one, options); });
  }

  std::vector<std::vector<double>> gather(const std::vector<double>& numbers) override {
    // All counts first, since Gloo gathers tensors of one size.
    const at::Tensor count = at::full({1}, static_cast<double>(numbers.size()), at::kDouble);
    const std::vector<at::Tensor> counts = gather(count);
    std::int64_t most = 0;
    for (const at::Tensor& c : counts) most = std::max(most, static_cast<std::int64_t>(c.item<double>()));
    std::vector<std::vector<double>> all(counts.size());
    if (most == 0) return all;
    const at::Tensor own = at::zeros({most}, at::kDouble);
    std::copy(numbers.begin(), numbers.end(), own.mutable_data_ptr<double>());
    const std::vector<at::Tensor> values = gather(own);
    for (std::size_t r = 0; r < all.size(); ++r) {
      const double* first = values[r].const_data_ptr<double>();
      all[r].assign(first, first + static_cast<std::ptrdiff_t>(counts[r].item<double>()));
    }
    return all;
  }

 private:
  template <class Start>
  std::unique_ptr<Transfer> started(const std::vector<at::Tensor>& tensors, std::string with,
                                    const Start& start) {
    try {
      return std::make_unique<GlooTransfer>(start(), tensors, std::move(with));
    } catch (const c10::Error& error) {
      fail("lost the connection with {}: its process has ended ({})", with,
           first_line(error.what_without_backtrace()));
    }
  }

  std::vector<at::Tensor> gather(const at::Tensor& own) {
    std::vector<at::Tensor> inputs{own}, outputs;
    for (int r = 0; r < size(); ++r) outputs.push_back(at::empty_like(own));
    std::vector<std::vector<at::Tensor>> lists{outputs};
    started(outputs, "another rank", [&] { return gloo_->allgather(lists, inputs); })->wait();
    return outputs;
  }

  c10::intrusive_ptr<c10d::Store> store_;  // the leader's serves the others
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo_;
};

c10::intrusive_ptr<c10d::Store> open_store(const Place& place, seconds patience) {
  if (place.store.starts_with("file:")) {
    auto store = c10::make_intrusive<c10d::FileStore>(place.store.substr(5), place.size);
    store->setTimeout(patience);
    return store;
  }
  const std::size_t colon = place.store.rfind(':');
  unsigned port = 0;
  const char* const end = place.store.data() + place.store.size();
  const bool number = colon != std::string::npos && colon > 0 &&
                      std::from_chars(place.store.data() + colon + 1, end, port).ptr == end && port >= 1 &&
                      port <= 65535;
  DIFFIT_CHECK(number, "DIFFIT_STORE is '{}': wanted HOST:PORT or file:PATH", place.store);
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(port);
  options.isServer = place.serves;
  options.numWorkers = std::nullopt;
  options.waitWorkers = false;
  options.timeout = patience;
  return c10::make_intrusive<c10d::TCPStore>(place.store.substr(0, colon), options);
}

/// Announces this rank, and waits for all others.
void meet(c10d::Store& store, const Place& place, seconds patience) {
  const auto key = [](int rank) { return fmt::format("rank/{}", rank); };
  const std::int64_t same = store.add(key(place.rank), 1);
  DIFFIT_CHECK(
      same == 1,
      "{} processes of this job have rank {}: give each a rank of its own (RANK, or a new DIFFIT_STORE)",
      same, place.rank);
  const auto end = std::chrono::steady_clock::now() + patience;
  for (int next = 0; next < place.size;) {
    if (store.check({key(next)})) {
      ++next;
      continue;
    }
    if (std::chrono::steady_clock::now() > end) {
      std::vector<int> missing;
      for (int r = next; r < place.size; ++r) {
        if (!store.check({key(r)})) missing.push_back(r);
      }
      fail("rank {}: waited {} s at {} for {} of {} processes: rank {} did not come", place.rank,
           patience.count(), place.store, missing.size(), place.size, fmt::join(missing, ", "));
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
}

}  // namespace

std::shared_ptr<Group> Group::open(const Place& place, seconds patience, seconds timeout) {
  if (place.alone()) return alone();
  try {
    const auto base = open_store(place, patience);
    const auto store = c10::make_intrusive<c10d::PrefixStore>("diffit/" + place.session, base);
    meet(*store, place, patience);
    auto options = c10d::ProcessGroupGloo::Options::create(timeout);
    const bool here = place.local_size == place.size;
    options->devices.push_back(here ? c10d::ProcessGroupGloo::createDeviceForInterface("lo")
                                    : c10d::ProcessGroupGloo::createDefaultDevice());
    auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(store, place.rank, place.size, options);
    return std::make_shared<GlooGroup>(place, store, std::move(gloo));
  } catch (const c10::Error& error) {
    fail("rank {} of {}: cannot meet the other processes at {}: {}", place.rank, place.size, place.store,
         first_line(error.what_without_backtrace()));
  }
}

}  // namespace diffit::dist
