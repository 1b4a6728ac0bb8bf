// Training: from a preset or a TOML file and a data set to a run folder with model files.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "diffit/monitor.h"
#include "diffit/runtime.h"

namespace diffit {

struct TrainSpec {
  std::string config;            // name of a preset, or a TOML file
  std::vector<std::string> set;  // "key=value": overrides of the configuration, in order
  std::string data;              // a data set instead of data.path: a folder, zip, npz, IDX, CIFAR, latents
  std::string out;               // run folder; empty: runs/CONFIG
  bool resume = false;           // continue from the newest complete checkpoint of the run folder
  bool strict = false;           // refuse data that would only be warned about
  /// Train together with the other processes that torchrun, mpirun, srun or `diffit train --ranks` started,
  /// as the environment says (docs/distributed.md). The process of rank 0 writes the run folder and reports
  /// to its monitor; the monitors of the others are only asked whether to stop.
  bool join = false;
  std::vector<std::string> preamble;  // first lines of log.txt in this session
};

/// State of a training after a step.
struct TrainStep {
  std::int64_t images = 0, total_images = 0;
  double loss = 0;           // mean since the last line of stats.jsonl
  double gradient_norm = 0;  // mean over the same steps, before clipping
  double lr = 0;
  double seconds = 0;  // of training, over all sessions
  double seconds_left = 0;
  double images_per_second = 0;    // in this session
  std::int64_t skipped = 0;        // steps whose loss or gradient was not finite
  std::uint64_t memory_bytes = 0;  // resident memory of the process
  /// Model FLOPs utilization on a GPU: multiply-adds of forward and backward by the layers' sizes, over the
  /// rate of bfloat16 or float32 matrix products that the GPU reached when training started; 0 on a CPU.
  double mfu = 0;
};

/// The files of a snapshot have been written.
struct SnapshotEvent {
  std::int64_t images = 0;
  std::vector<std::string> models;  // model files: the weights and every average of them
  std::string samples;              // the grid of samples; empty: none
};

/// Metrics of the EMA weights (train.eval_images), or on held-out data.
struct EvaluationEvent {
  std::int64_t images = 0;
  std::vector<std::pair<std::string, double>> metrics;
};

/// A step was skipped because its loss or gradient was not finite.
struct SkippedStepEvent {
  std::int64_t images = 0;
  double loss = 0, gradient_norm = 0;
};

/// Receives the events of a training, called between steps from the thread that trains.
class TrainMonitor : public Monitor {
 public:
  virtual void step(const TrainStep&) {}
  virtual void snapshot(const SnapshotEvent&) {}
  virtual void evaluated(const EvaluationEvent&) {}
  virtual void skipped(const SkippedStepEvent&) {}
};

struct TrainResult {
  std::string folder;
  std::string model;  // the newest model file for sampling: the EMA weights
  std::int64_t images = 0;
  bool nothing_left = false;  // the run was complete already; loss and images_per_second are not known
  double loss = 0, images_per_second = 0;
  std::int64_t skipped = 0;
};

/// Trains. The run folder gets config.toml, log.txt, stats.jsonl, TensorBoard events, sample grids, model
/// files and checkpoints. A resumed training continues bit for bit on the same kind of device.
///
/// Throws Error: invalid for a wrong configuration, data set or folder; failed if training cannot go on;
/// cancelled if the monitor asks for it. In the last two cases a checkpoint is saved if there is anything to
/// save, and the message says so.
TrainResult train(const TrainSpec& spec, const RuntimeOptions& runtime = {});
TrainResult train(const TrainSpec& spec, const RuntimeOptions& runtime, TrainMonitor& monitor);

}  // namespace diffit
