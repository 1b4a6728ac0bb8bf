#include "server/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace diffit::server {

Connection*& Connection::current() {
  static thread_local Connection* connection = nullptr;
  return connection;
}

bool Connection::ready(short events, Clock::time_point until) const {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd poll{fd_, events, 0};
    const int found = ::poll(&poll, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (found > 0) return true;
    if (found == 0 || errno != EINTR) return false;
  }
}

bool Connection::wait_for_request(std::chrono::milliseconds idle) {
  return from_ < to_ || ready(POLLIN, Clock::now() + idle);
}

void Connection::begin_request(std::chrono::seconds limit) {
  deadline_ = Clock::now() + limit;
}

bool Connection::is_readable() const {
  return from_ < to_ || ready(POLLIN, deadline_);
}

bool Connection::is_writable() const {
  return ready(POLLOUT, Clock::now() + std::chrono::seconds(10));
}

ssize_t Connection::read(char* data, size_t size) {
  if (from_ == to_) {
    if (!ready(POLLIN, deadline_)) return -1;
    ssize_t got = 0;
    do {
      got = ::recv(fd_, buffer_, sizeof buffer_, 0);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) return got;
    from_ = 0;
    to_ = static_cast<std::size_t>(got);
  }
  const std::size_t count = std::min(size, to_ - from_);
  std::memcpy(data, buffer_ + from_, count);
  from_ += count;
  return static_cast<ssize_t>(count);
}

ssize_t Connection::write(const char* data, size_t size) {
  if (!is_writable()) return -1;
  ssize_t put = 0;
  do {
    put = ::send(fd_, data, size, MSG_NOSIGNAL);
  } while (put < 0 && errno == EINTR);
  return put;
}

void Pool::enqueue(std::function<void()> task) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return tasks_.size() < most_waiting_ || stopping_; });
  tasks_.push_back(std::move(task));
  if (tasks_.size() > idle_ && threads_.size() < most_threads_) {
    threads_.emplace_back([this] { work(); });
  }
  changed_.notify_all();
}

void Pool::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    changed_.wait(lock, [&] { return !tasks_.empty() || stopping_; });
    --idle_;
    if (tasks_.empty()) return;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    changed_.notify_all();
    lock.unlock();
    task();
    lock.lock();
  }
}

void Pool::shutdown() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace diffit::server
