// diffit serve: the studio in a browser, and its HTTP interface.
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "server/serve.h"
#include "tools/diffit/command_serve.h"
#include "tools/diffit/progress.h"
#include "tools/diffit/terminal.h"

namespace diffit::cli {

namespace {

void run_serve(server::ServeSpec spec, const CommonOptions& common) {
  if (const char* token = std::getenv("DIFFIT_TOKEN"); spec.token.empty() && token != nullptr) {
    spec.token = token;
  }
  DIFFIT_CHECK(spec.token.find_first_of(" \t\r\n;,\"") == std::string::npos,
               "`token`: wanted a text without white space, commas, semicolons and quotes");
  TerminalMonitor monitor(common);
  server::Server server(spec, common);
  if (!server.warning().empty()) monitor.warning(server.warning());
  watch_for_stop();
  print_result(common, {{"address", server.address()}, {"data", spec.data}}, server.address());
  monitor.note("The studio runs at this address; press Ctrl-C to stop.");
  while (!stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  server.stop();
  monitor.note(
      "Stopped. Jobs that were not finished are continued by the next server with this `data` folder.");
}

}  // namespace

void add_serve_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<server::ServeSpec>();
  CLI::App* command =
      add_command(app, common, "serve", "Serve the studio: a page for the browser, and an HTTP interface");
  command->add_option("--host", o->host, "address to listen on; others than this machine's own need a token")
      ->capture_default_str();
  command->add_option("--port", o->port, "port; 0: any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command->add_option("--data", o->data, "folder of the gallery and of unfinished jobs; created if needed")
      ->capture_default_str();
  command->add_option("--runs", o->runs, "folder of trainings to show")->capture_default_str();
  command->add_option(
      "--token", o->token,
      "secret that requests must carry; default the variable DIFFIT_TOKEN, else none for this "
      "machine's own addresses and a random one for others");
  command->add_option("-m,--model", o->models,
                      "model to serve, a file or the name of a bundled model; may be given several times; "
                      "default all bundled models");
  command->add_option("--queue", o->queue, "jobs that may wait; more are refused")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_option("--images", o->images, "images that a job may make")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->footer(
      "\n"
      "Examples:\n"
      "  diffit serve\n"
      "  diffit serve -m runs/mine/ema-000500000.safetensors --port 8080\n"
      "  DIFFIT_TOKEN=secret diffit serve --host 0.0.0.0\n"
      "The address is printed when the server listens. SIGINT and SIGTERM stop it; unfinished jobs are kept "
      "in "
      "the --data\n"
      "folder and continue when it is served again. The interface is described by /api/v1/openapi.json.");
  command->callback([o, &common] { run_serve(*o, common); });
}

}  // namespace diffit::cli
