#include "base/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace diffit::base {

namespace fs = std::filesystem;

namespace {

int affinity_count() {
  for (std::size_t processors = 1024; processors <= (1u << 20); processors *= 4) {
    cpu_set_t* set = CPU_ALLOC(processors);
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(processors);
    CPU_ZERO_S(bytes, set);
    const int result = sched_getaffinity(0, bytes, set);
    const int count = result == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (result == 0 && count > 0) return count;
    if (errno != EINVAL) break;  // EINVAL: the kernel knows more processors than the mask has bits
  }
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

std::string first_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

/// A number that takes the whole text.
std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> ratio(std::optional<double> quota, std::optional<double> period) {
  if (!quota || !period || !(*quota > 0) || !(*period > 0)) return std::nullopt;
  return *quota / *period;
}

/// cpu.max: "max 100000" or "150000 100000".
std::optional<double> quota_v2(const fs::path& group) {
  std::istringstream line(first_line(group / "cpu.max"));
  std::string quota, period;
  line >> quota >> period;
  return ratio(number(quota), number(period));
}

/// cpu.cfs_quota_us is -1 where there is none.
std::optional<double> quota_v1(const fs::path& group) {
  return ratio(number(first_line(group / "cpu.cfs_quota_us")),
               number(first_line(group / "cpu.cfs_period_us")));
}

bool lists(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    const std::size_t comma = std::min(options.find(','), options.size());
    if (options.substr(0, comma) == wanted) return true;
    options.remove_prefix(std::min(comma + 1, options.size()));
  }
  return false;
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
std::string unescaped(std::string_view text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) &&
        octal(text[i + 3])) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct Mount {
  fs::path root, point;  // the part of the hierarchy that is seen, and where
};

/// The mounted hierarchy that has the CPU controller, of version 2 or 1.
std::optional<Mount> find_mount(const fs::path& mountinfo, bool v2) {
  std::ifstream in(mountinfo);
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, point, word, type, source, options;
    fields >> id >> parent >> device >> root >> point;
    while (fields >> word && word != "-") {
    }
    fields >> type >> source >> options;
    if (v2 ? type == "cgroup2" : type == "cgroup" && lists(options, "cpu"))
      return Mount{unescaped(root), unescaped(point)};
  }
  return std::nullopt;
}

/// The process's group in /proc/self/cgroup: "0::/user.slice", "4:cpu,cpuacct:/docker/1f".
std::optional<fs::path> find_group(const fs::path& cgroup, bool v2) {
  std::ifstream in(cgroup);
  for (std::string line; std::getline(in, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    if (v2 ? line.starts_with("0:") && controllers.empty() : lists(controllers, "cpu"))
      return line.substr(second + 1);
  }
  return std::nullopt;
}

std::optional<double> smallest_quota(const fs::path& root, bool v2) {
  const std::optional<Mount> mount = find_mount(root / "proc/self/mountinfo", v2);
  const std::optional<fs::path> group = find_group(root / "proc/self/cgroup", v2);
  if (!mount || !group) return std::nullopt;
  // A container sees its own group as the root of what is mounted.
  fs::path inside = group->lexically_relative(mount->root);
  if (inside.empty() || *inside.begin() == "..") inside = ".";
  const fs::path top = root / mount->point.relative_path();
  std::optional<double> smallest;
  for (fs::path here = inside.lexically_normal();; here = here.parent_path()) {
    const std::optional<double> quota = v2 ? quota_v2(top / here) : quota_v1(top / here);
    if (quota && (!smallest || *quota < *smallest)) smallest = quota;
    if (here.empty() || here == ".") break;
  }
  return smallest;
}

}  // namespace

int CpuLimits::count() const {
  int count = std::max(1, affinity);
  if (quota && *quota < count) count = std::max(1, static_cast<int>(std::ceil(*quota)));
  return count;
}

std::optional<double> cgroup_quota(const fs::path& root) {
  const std::optional<double> v2 = smallest_quota(root, true), v1 = smallest_quota(root, false);
  if (v1 && v2) return std::min(*v1, *v2);
  return v2 ? v2 : v1;
}

CpuLimits cpu_limits() {
  return {affinity_count(), cgroup_quota()};
}

int startable_threads(int wanted) {
  std::mutex mutex;
  std::condition_variable_any released;
  std::vector<std::jthread> threads;
  threads.reserve(static_cast<std::size_t>(std::max(wanted, 0)));
  try {
    for (int i = 0; i < wanted; ++i) {
      threads.emplace_back([&](const std::stop_token& stop) {
        std::unique_lock lock(mutex);
        released.wait(lock, stop, [] { return false; });
      });
    }
  } catch (const std::system_error&) {
    // The system gives no more of them.
  }
  const auto started = static_cast<int>(threads.size());
  for (std::jthread& thread : threads) thread.request_stop();
  return started;
}

int cpu_count() {
  static const int count = cpu_limits().count();
  return count;
}

}  // namespace diffit::base
