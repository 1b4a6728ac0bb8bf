// Sample jobs on the library: a group of them as one request, and the result as records.
#pragma once

#include "server/jobs.h"

namespace diffit::server {

/// Throws HttpError 400 for a specification that the library refuses, before it is queued.
void check_sample_job(const SampleJob& job, Store& store);

/// Samples the images of all jobs in one request; jobs of a group differ in seeds and classes only.
SampleResult run_sample(const std::vector<std::shared_ptr<LiveJob>>& group, Store& store,
                        const RuntimeOptions& runtime, SampleMonitor& monitor);

/// The images of a job, which begin at number `first` of the result.
std::vector<ImageRecord> image_records(const LiveJob& job, const ServedModel& model,
                                       const SampleResult& result, std::int64_t first);

/// The images of a batch that belong to a job (numbers first .. first + count - 1) as one PNG; "" if none
/// does. At most 16 of them.
std::string preview_png(const SampleStep& step, std::int64_t first, std::int64_t count);

/// An intermediate state as records, one per image of the batch.
std::vector<StepRecord> step_records(const SampleStep& step);

}  // namespace diffit::server
