#include "dist/group.h"

#include "base/error.h"

namespace diffit::dist {

namespace {

class Alone : public Group {
 public:
  Alone() : Group(Place{}) {}
  std::unique_ptr<Transfer> send(const at::Tensor&, int to, int) override { nobody(to); }
  std::unique_ptr<Transfer> receive(const at::Tensor&, int from, int) override { nobody(from); }
  std::unique_ptr<Transfer> broadcast(const at::Tensor&, int) override {
    struct Done : Transfer {
      void wait() override {}
    };
    return std::make_unique<Done>();
  }
  std::vector<std::vector<double>> gather(const std::vector<double>& numbers) override { return {numbers}; }

 private:
  [[noreturn]] static void nobody(int rank) { fail("a group of one process has no rank {}", rank); }
};

}  // namespace

std::shared_ptr<Group> Group::alone() {
  return std::make_shared<Alone>();
}

}  // namespace diffit::dist
