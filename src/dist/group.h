// A group of processes that exchange tensors: transport only, no arithmetic.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <memory>
#include <vector>

#include "dist/place.h"

namespace diffit::dist {

/// A transfer that is under way.
class Transfer {
 public:
  virtual ~Transfer() = default;
  /// Returns when it is complete. Throws Error(failed) that names the other rank if that rank is gone or the
  /// group's timeout has passed.
  virtual void wait() = 0;
};

/// All ranks of a job. Every rank calls the collective functions (gather, broadcast, meet) in the same order.
/// Tensors are contiguous and on the CPU. Not thread-safe.
class Group {
 public:
  virtual ~Group() = default;

  /// A group of one, whose collective functions return at once.
  static std::shared_ptr<Group> alone();
  /// Meets the other ranks of a job at place.store and connects with them, over Gloo.
  ///
  /// Throws Error(failed) after `patience` if ranks are missing, and names them; Error(invalid) if two
  /// processes have the same rank. `timeout` bounds every later transfer. A rank whose process has ended is
  /// noticed at once.
  static std::shared_ptr<Group> open(const Place& place, std::chrono::seconds patience,
                                     std::chrono::seconds timeout);

  int rank() const { return place_.rank; }
  int size() const { return place_.size; }
  bool leads() const { return place_.leads(); }

  /// Starts to send a tensor, which must not change until wait(). Messages between two ranks with the same
  /// `tag` arrive in the order in which they were sent.
  virtual std::unique_ptr<Transfer> send(const at::Tensor& tensor, int to, int tag) = 0;
  /// Starts to receive into a tensor.
  virtual std::unique_ptr<Transfer> receive(const at::Tensor& tensor, int from, int tag) = 0;
  /// Starts to send the tensor of rank `from` to all others, which receive into theirs.
  virtual std::unique_ptr<Transfer> broadcast(const at::Tensor& tensor, int from) = 0;
  /// Returns the numbers of all ranks, those of rank r at position r. Ranks may give different counts.
  virtual std::vector<std::vector<double>> gather(const std::vector<double>& numbers) = 0;

 protected:
  explicit Group(Place place) : place_(std::move(place)) {}

 private:
  Place place_;
};

}  // namespace diffit::dist
