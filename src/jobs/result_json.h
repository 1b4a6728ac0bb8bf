// Results of jobs as JSON, for the command line and the C interface.
#pragma once

#include <initializer_list>
#include <utility>

#include "config/fields.h"
#include "diffit/autoencoder.h"
#include "diffit/data.h"
#include "diffit/sample.h"
#include "diffit/statistics.h"
#include "diffit/train.h"

namespace diffit::jobs {

/// Every field of a result by its name; `deviation` is "standard_deviation".
Json json_of(const SampleResult& result);
Json json_of(const TrainResult& result);
Json json_of(const StatisticsResult& result);
Json json_of(const EncodeResult& result);
Json json_of(const DecodeResult& result);
Json json_of(const LatentData& latents);
Json json_of(const ConvertDataResult& result);

/// The members of `object` in the order of `names`: each a new name, and the place in `object`,
/// "network/name".
Json selected(const Json& object, std::initializer_list<std::pair<const char*, const char*>> names);

}  // namespace diffit::jobs
