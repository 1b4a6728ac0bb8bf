#include "dist/group.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/variable.h>

#include <filesystem>
#include <functional>
#include <thread>

#include "base/error.h"
#include "dist/gradient_sum.h"

namespace diffit::dist {
namespace {

using std::chrono::seconds;

/// A file at which the ranks of one test meet.
class Meeting {
 public:
  Meeting() {
    std::string name = std::filesystem::temp_directory_path() / "diffit-group-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
  }
  ~Meeting() { std::filesystem::remove_all(folder_); }
  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;

  Place place(int rank, int size) const {
    Place place;
    place.rank = place.local_rank = rank;
    place.size = place.local_size = size;
    place.store = "file:" + (folder_ / "store").string();
    place.session = "0";
    return place;
  }

 private:
  std::filesystem::path folder_;
};

/// Runs `work` for each rank in a thread of its own, and returns what it threw.
std::vector<std::string> on_ranks(int size, const std::function<void(Group&)>& work) {
  const Meeting meeting;
  std::vector<std::string> errors(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        work(*Group::open(meeting.place(rank, size), seconds(20), seconds(20)));
      } catch (const Error& error) {
        errors[static_cast<std::size_t>(rank)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

void expect_none(const std::vector<std::string>& errors) {
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

TEST(Group, GathersNumbersOfDifferentCounts) {
  expect_none(on_ranks(3, [](Group& group) {
    std::vector<double> own(static_cast<std::size_t>(group.rank()), 10.0 + group.rank());
    EXPECT_EQ(group.gather(own), (std::vector<std::vector<double>>{{}, {11}, {12, 12}}));
    EXPECT_EQ(group.gather({}), (std::vector<std::vector<double>>{{}, {}, {}}));
  }));
}

TEST(Group, MessagesOfOneTagArriveInOrder) {
  expect_none(on_ranks(2, [](Group& group) {
    const at::Tensor a = at::full({4}, 1.0F), b = at::full({4}, 2.0F);
    const auto first = group.rank() == 0 ? group.send(a, 1, 7) : group.receive(a.zero_(), 0, 7);
    const auto second = group.rank() == 0 ? group.send(b, 1, 7) : group.receive(b.zero_(), 0, 7);
    first->wait();
    second->wait();
    EXPECT_EQ(a[0].item<float>(), 1);
    EXPECT_EQ(b[0].item<float>(), 2);
  }));
}

TEST(Group, ARankThatIsGoneIsNamed) {
  const std::vector<std::string> errors = on_ranks(2, [](Group& group) {
    if (group.rank() == 1) return;
    const at::Tensor never = at::empty({4});
    group.receive(never, 1, 1)->wait();
  });
  EXPECT_EQ(errors[1], "");
  EXPECT_TRUE(errors[0].starts_with("lost the connection with rank 1: its process has ended")) << errors[0];
}

TEST(Group, MissingRanksAreNamedAfterABoundedWait) {
  const Meeting meeting;
  const auto start = std::chrono::steady_clock::now();
  try {
    Group::open(meeting.place(1, 3), seconds(1), seconds(1));
    FAIL() << "met nobody";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("rank 0, 2 did not come"), std::string::npos) << error.what();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(10));
}

TEST(Group, TwoProcessesOfOneRankAreRefused) {
  const Meeting meeting;
  std::vector<std::string> errors(2);
  std::vector<std::thread> threads;
  for (std::string& error : errors) {
    threads.emplace_back([&] {
      try {
        Group::open(meeting.place(0, 2), seconds(2), seconds(2));
      } catch (const Error& thrown) {
        error = thrown.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto refused = [](const std::string& text) {
    return text.starts_with("2 processes of this job have rank 0");
  };
  EXPECT_TRUE(refused(errors[0]) != refused(errors[1])) << errors[0] << "\n" << errors[1];
}

TEST(Group, AWrongMeetingPointIsAnError) {
  Place place;
  place.size = 2;
  place.store = "nowhere";
  EXPECT_THROW(Group::open(place, seconds(1), seconds(1)), Error);
  place.store = "host:99999";
  EXPECT_THROW(Group::open(place, seconds(1), seconds(1)), Error);
}

/// A model of three parameters, one of which is in channels-last layout and one of which gets no gradient.
std::vector<at::Tensor> small_model() {
  at::Tensor a =
      at::linspace(-1, 1, 3 * 4 * 2 * 2).reshape({3, 4, 2, 2}).contiguous(at::MemoryFormat::ChannelsLast);
  at::Tensor b = at::linspace(0.5, 3, 7);
  at::Tensor c = at::ones({5});
  return {a.set_requires_grad(true), b.set_requires_grad(true), c.set_requires_grad(true)};
}

/// Loss of shard `i`, in two passes whose gradients accumulate.
void backward(const std::vector<at::Tensor>& model, std::int64_t i, int pass) {
  const double x = 0.37 * static_cast<double>(i) + 0.11 * pass + 0.05;
  ((model[0] * x).sin().sum() + (model[1] * model[1] * x).cos().sum()).backward();
}

/// One step of `ranks` ranks: gradients of the owners, in the order of the parameters.
std::vector<at::Tensor> summed(int ranks, std::int64_t shards) {
  std::vector<at::Tensor> sums(3);
  std::vector<std::vector<at::Tensor>> shared(static_cast<std::size_t>(ranks));
  std::mutex mutex;
  expect_none(on_ranks(ranks, [&](Group& group) {
    const std::vector<at::Tensor> model = small_model();
    const std::shared_ptr<Group> borrowed(&group, [](Group*) {});
    GradientSum sum(borrowed, shards, model);
    for (int step = 0; step < 2; ++step) {  // the second step finds nothing of the first
      for (const at::Tensor& p : model) p.mutable_grad().reset();
      for (std::int64_t i = sum.range().first; i < sum.range().end(); ++i) {
        for (int pass = 0; pass < 2; ++pass) {
          if (i == sum.range().end() - 1 && pass == 1) sum.begin_last_pass();
          backward(model, i, pass);
        }
        sum.end_shard(i);
      }
      sum.finish();
    }
    const at::NoGradGuard no_grad;
    for (std::size_t k = 0; k < model.size(); ++k) {
      if (sum.owner(k) != group.rank()) continue;
      EXPECT_EQ(model[k].grad().strides(), model[k].strides());
      model[k].detach().sub_(model[k].grad(), 0.1);
      const std::lock_guard lock(mutex);
      sums[k] = model[k].grad().clone();
    }
    sum.share_parameters();
    const std::lock_guard lock(mutex);
    for (const at::Tensor& p : model)
      shared[static_cast<std::size_t>(group.rank())].push_back(p.detach().clone());
  }));
  for (const auto& model : shared) {
    for (std::size_t k = 0; k < model.size(); ++k) EXPECT_TRUE(at::equal(model[k], shared[0][k]));
  }
  return sums;
}

TEST(GradientSum, IsTheSameForAnyNumberOfRanksBitForBit) {
  const std::vector<at::Tensor> one = summed(1, 8);
  EXPECT_EQ(one[2].abs().sum().item<float>(), 0);
  for (const int ranks : {2, 3, 4, 8}) {
    const std::vector<at::Tensor> many = summed(ranks, 8);
    for (std::size_t k = 0; k < one.size(); ++k)
      EXPECT_TRUE(at::equal(one[k], many[k])) << ranks << " ranks, parameter " << k;
  }
}

TEST(GradientSum, IsNearTheSumOfAllGradients) {
  const std::vector<at::Tensor> model = small_model();
  for (std::int64_t i = 0; i < 8; ++i) {
    for (int pass = 0; pass < 2; ++pass) backward(model, i, pass);
  }
  const std::vector<at::Tensor> sums = summed(2, 8);
  // 16 terms of magnitude up to 4, each rounded to 2^-24 relative.
  for (std::size_t k = 0; k < 2; ++k)
    EXPECT_LT((sums[k] - model[k].grad()).abs().max().item<float>(), 16 * 16 * 4 * 6e-8F);
}

}  // namespace
}  // namespace diffit::dist
