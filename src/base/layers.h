// The layers of the library as namespaces, and whose names each of them sees (docs/architecture.md).
//
// Every layer has a namespace of its own, so that the library puts nothing but Error into namespace diffit.
// Within a layer, the names of the layers that it may depend on are used without qualification.
#pragma once

namespace diffit {
namespace base {}
namespace config {}
namespace io {}
namespace runtime {}
namespace kernels {}
namespace nn {}
namespace diffusion {}
namespace model {}
namespace data {}
namespace dist {}
namespace training {}
namespace metrics {}
namespace analysis {}
namespace plot {}
namespace report {}
namespace jobs {}
namespace cli {}

namespace config {
using namespace base;
}
namespace io {
using namespace config;
}
namespace runtime {
using namespace base;
}
namespace kernels {
using namespace runtime;
}
namespace nn {
using namespace io;
using namespace kernels;
}  // namespace nn
namespace diffusion {
using namespace nn;
}
namespace model {
using namespace diffusion;
}
namespace data {
using namespace io;
}
namespace dist {
using namespace runtime;
}
namespace training {
using namespace data;
using namespace model;
}  // namespace training
namespace metrics {
using namespace data;
using namespace model;
}  // namespace metrics
namespace analysis {
using namespace training;
using namespace metrics;
}  // namespace analysis
namespace plot {
using namespace io;
}
namespace report {
using namespace analysis;
using namespace plot;
}  // namespace report
namespace jobs {
using namespace report;
}
namespace cli {
using namespace jobs;
}
}  // namespace diffit
