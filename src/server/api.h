// The interfaces over HTTP: our own, and subsets of two others. Each adds its routes.
#pragma once

#include <mutex>

#include "server/access.h"
#include "server/jobs.h"

namespace diffit::server {

class AttentionRoom;

/// What the routes work on. It must outlive the router.
struct Studio {
  Store& store;
  const Models& models;
  JobQueue& queue;
  const Access& access;
  const Limits& limits;
  std::atomic<std::int64_t> requests = 0, errors = 0, streams = 0;  // counted by the server
  std::atomic<std::int64_t> waiting = 0;                            // requests that wait for images

  std::mutex mutex{};            // of what follows
  std::string a1111_model = {};  // chosen by /sdapi/v1/options; empty: the first
  std::string a1111_job = {};    // the newest job of /sdapi/v1/txt2img
};

void add_job_routes(Router& router, Studio& studio);
void add_image_routes(Router& router, Studio& studio);
void add_step_routes(Router& router, Studio& studio);
void add_status_routes(Router& router, Studio& studio);
void add_openai_routes(Router& router, Studio& studio);
void add_a1111_routes(Router& router, Studio& studio);
/// runs: the folder that holds run folders; need not exist
void add_run_routes(Router& router, const fs::path& runs);
/// `room` must outlive the router.
void add_attention_routes(Router& router, Studio& studio, AttentionRoom& room);
void add_page_routes(Router& router, Studio& studio);

/// Images that a request waits for: submits the job and waits. HttpError: of the queue, 504 after
/// Limits::wait seconds (the job is cancelled), 500 or 400 if it fails, 409 if it is cancelled.
struct MadeImages {
  std::string job;
  Json description;               // of the job
  std::vector<std::int64_t> ids;  // in the gallery
};
MadeImages make_images(Studio& studio, const Json& spec,
                       const std::function<void(const std::string&)>& started = {});

/// A number of a query, or `otherwise`. HttpError 400 that names it.
std::int64_t query_number(const Request& request, const std::string& name, std::int64_t otherwise,
                          std::int64_t low, std::int64_t high);
/// An image as the API shows it.
Json image_json(const ImageRecord& image);
Reply png_reply(const std::string& png, bool immutable);

}  // namespace diffit::server
