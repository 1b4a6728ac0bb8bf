// The job behind diffit/ema.h.
#include "diffit/ema.h"

#include "base/error.h"
#include "base/output_check.h"
#include "jobs/guard.h"
#include "train/post_hoc.h"

namespace diffit::jobs {

namespace {

constexpr double kLeastWidth = 0.001, kMostWidth = 0.28;

EmaResult run_reconstruct_ema(const EmaSpec& spec) {
  DIFFIT_CHECK(spec.std >= kLeastWidth && spec.std <= kMostWidth, "`std`: wanted {} to {}, got {}",
               kLeastWidth, kMostWidth, spec.std);
  check_output_file(spec.out, "`out`");
  const PostHocResult result = training::reconstruct_ema(spec.run, spec.std, spec.images, spec.out);
  return {result.images, result.snapshots, result.profile_error};
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

EmaResult reconstruct_ema(const EmaSpec& spec) {
  return jobs::guarded([&] { return jobs::run_reconstruct_ema(spec); });
}

}  // namespace diffit
