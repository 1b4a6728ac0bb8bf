// What a connection may cost: time, bytes, threads.
#pragma once

#include <httplib.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "server/names.h"

namespace diffit::server {

/// Bytes of one connection, with deadlines. A request that takes longer, however it spreads its bytes, ends.
class Connection : public httplib::Stream {
 public:
  explicit Connection(int fd) : fd_(fd) {}

  /// Waits for the first byte of the next request.
  bool wait_for_request(std::chrono::milliseconds idle);
  /// From now on a request may take this long to arrive.
  void begin_request(std::chrono::seconds limit);
  /// The rest of this request cannot be told from a next one: close after the reply.
  void spoil() { spoiled_ = true; }
  bool spoiled() const { return spoiled_; }
  /// The connection that this thread works on, or null.
  static Connection*& current();

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* data, size_t size) override;
  ssize_t write(const char* data, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  void get_local_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  int socket() const override { return fd_; }

 private:
  using Clock = std::chrono::steady_clock;
  /// Waits for an event of poll(2) until the time.
  bool ready(short events, Clock::time_point until) const;

  int fd_;
  Clock::time_point deadline_ = Clock::now();
  bool spoiled_ = false;
  std::size_t from_ = 0, to_ = 0;
  char buffer_[8192];
};

/// Threads for connections: made when needed, up to a number. More connections wait, and when too many wait,
/// no further ones are accepted.
class Pool : public httplib::TaskQueue {
 public:
  Pool(std::size_t threads, std::size_t waiting) : most_threads_(threads), most_waiting_(waiting) {}
  void enqueue(std::function<void()> task) override;
  void shutdown() override;

 private:
  void work();

  const std::size_t most_threads_, most_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace diffit::server
