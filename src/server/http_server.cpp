#include "server/http_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <cstring>

#include "base/error.h"
#include "server/connection.h"
#include "server/web.h"

namespace diffit::server {

namespace {

constexpr std::size_t kThreads = 256, kWaiting = 512;
constexpr int kRequestsPerConnection = 1000;
constexpr std::chrono::milliseconds kIdle{3000};
constexpr std::chrono::seconds kArrival{20};  // of a whole request

/// Pages use nothing from elsewhere, and no other site may show them.
constexpr const char* kPolicy =
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Pages and what they need to ask for the token.
bool is_open(const std::string& path) {
  if (path == "/" || path == "/healthz" || path == "/api/v1/session") return true;
  for (const auto& [name, text] : web_files()) {
    if (path.size() == name.size() + 1 && path.ends_with(name) && name != "openapi.json") return true;
  }
  return false;
}

Request converted(const httplib::Request& request) {
  Request out;
  out.method = request.method == "HEAD" ? "GET" : request.method;
  out.path = request.path;
  for (const auto& [name, value] : request.params) out.query.emplace(name, value);
  for (const auto& [name, value] : request.headers) {
    std::string lower = name;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    out.headers.emplace(lower, value);
  }
  return out;
}

void write_reply(const Reply& reply, httplib::Response& response) {
  response.status = reply.status;
  for (const auto& [name, value] : reply.headers) response.set_header(name, value);
  response.set_header("X-Content-Type-Options", "nosniff");
  response.set_header("Referrer-Policy", "no-referrer");
  response.set_header("Cross-Origin-Resource-Policy", "same-origin");
  response.set_header("Content-Security-Policy", kPolicy);
  if (!response.has_header("Cache-Control")) response.set_header("Cache-Control", "no-store");
  if (reply.stream) {
    response.set_chunked_content_provider(
        reply.type, [stream = reply.stream](std::size_t, httplib::DataSink& sink) {
          stream([&](std::string_view text) { return sink.write(text.data(), text.size()); });
          sink.done();
          return true;
        });
  } else if (reply.status != 204) {
    response.set_content(reply.body, reply.type);
  }
}

}  // namespace

class HttpServer::Impl : public httplib::Server {
 public:
  Impl(const Router& router, const HttpContext& context) : router_(router), context_(context) {
    new_task_queue = [] { return new Pool(kThreads, kWaiting); };
    set_tcp_nodelay(true);
    set_payload_max_length(static_cast<std::size_t>(context.body));
    set_socket_options([](int fd) {
      const int yes = 1;
      ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    const auto plain = [this](const httplib::Request& request, httplib::Response& response) {
      answer(converted(request), response);
    };
    const auto reading = [this](const httplib::Request& request, httplib::Response& response,
                                const httplib::ContentReader& reader) {
      Request out = converted(request);
      if (read_body(request, reader, out.body)) {
        answer(out, response);
      } else {
        count(413);
        write_reply(problem_reply(HttpError(413, fmt::format("the body: wanted at most {} bytes, all of them "
                                                             "within {} seconds",
                                                             context_.body, kArrival.count()))),
                    response);
      }
    };
    Get("[\\s\\S]*", plain);
    Options("[\\s\\S]*", plain);
    Post("[\\s\\S]*", reading);
    Put("[\\s\\S]*", reading);
    Patch("[\\s\\S]*", reading);
    Delete("[\\s\\S]*", reading);
    set_error_handler([this](const httplib::Request& request, httplib::Response& response) {
      if (!response.body.empty() || response.status == 204) return;
      count(response.status);
      write_reply(problem_reply(HttpError(response.status, "the request is not one that HTTP allows")),
                  response);
      (void)request;
    });
  }

  int bind(const std::string& host, int port) {
    errno = 0;
    const int bound = port == 0 ? bind_to_any_port(host) : bind_to_port(host, port) ? port : -1;
    if (bound < 0) {
      fail("{}:{}: cannot be listened on: {}; try another `port`", host, port,
           errno == 0 ? "the address is not of this machine" : std::strerror(errno));
    }
    // The library's own backlog of 5 would keep clients waiting that come at the same time.
    if (::listen(svr_sock_, static_cast<int>(kWaiting)) != 0) fail("listen: {}", std::strerror(errno));
    return bound;
  }

  void start() {
    thread_ = std::thread([this] { listen_after_bind(); });
    while (!is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  void halt() {
    stopping_ = true;
    httplib::Server::stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  /// All requests of a connection.
  bool process_and_close_socket(int fd) override {
    Connection connection(fd);
    Connection::current() = &connection;
    for (int left = kRequestsPerConnection; left > 0 && !stopping_; --left) {
      if (!connection.wait_for_request(kIdle)) break;
      connection.begin_request(kArrival);
      bool closed = false;
      if (!process_request(connection, left == 1, closed, nullptr) || closed || connection.spoiled()) break;
    }
    Connection::current() = nullptr;
    ::shutdown(fd, SHUT_RDWR);
    ::close(fd);
    return true;
  }

  /// false: too large, or it did not arrive. Then nothing after it on the connection is a request.
  bool read_body(const httplib::Request& request, const httplib::ContentReader& reader, std::string& body) {
    const std::string coding = request.get_header_value("Transfer-Encoding");
    if (!request.has_header("Content-Length") && coding.empty()) return true;
    const auto limit = static_cast<std::size_t>(context_.body);
    const bool several = request.get_header_value_count("Content-Length") + (coding.empty() ? 0 : 1) > 1;
    const std::string length = request.get_header_value("Content-Length");
    const bool digits = length.find_first_not_of("0123456789") == std::string::npos && length.size() < 16;
    if (several || !digits || (!length.empty() && std::stoull(length) > limit) ||
        request.is_multipart_form_data()) {
      Connection::current()->spoil();
      return request.is_multipart_form_data();  // the media type is what is wrong then
    }
    const bool whole = reader([&](const char* data, std::size_t size) {
      if (body.size() + size > limit) return false;
      body.append(data, size);
      return true;
    });
    if (!whole) Connection::current()->spoil();
    return whole;
  }

  void answer(const Request& request, httplib::Response& response) {
    Reply reply;
    try {
      check_access(context_.access, request, is_open(request.path));
      reply = router_.route(request);
    } catch (const HttpError& error) {
      reply = problem_reply(error);
    } catch (const Error& error) {
      reply = problem_reply(as_http_error(error));
    } catch (const std::exception& error) {
      reply = problem_reply(HttpError(500, error.what()));
    }
    count(reply.status);
    write_reply(reply, response);
  }

  void count(int status) {
    ++context_.requests;
    if (status >= 400) ++context_.errors;
  }

  const Router& router_;
  const HttpContext context_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

HttpServer::HttpServer(const Router& router, const HttpContext& context)
    : impl_(std::make_unique<Impl>(router, context)) {}

HttpServer::~HttpServer() {
  stop();
}

int HttpServer::bind(const std::string& host, int port) {
  return impl_->bind(host, port);
}

void HttpServer::start() {
  impl_->start();
}

void HttpServer::stop() {
  impl_->halt();
}

}  // namespace diffit::server
