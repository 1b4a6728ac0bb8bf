// Compares samples with a reference.
//
//   evaluate samples.npz reference.npz fashion-net
#include <diffit/diffit.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 4) return std::fputs("usage: evaluate SAMPLES REFERENCE FEATURES\n", stderr), 2;
  try {
    const diffit::EvaluateResult result =
        diffit::evaluate({.samples = argv[1], .reference = argv[2], .features = argv[3], .bootstrap = 200});
    for (const diffit::MetricValue& m : result.metrics) {
      std::printf("%-12s %.4f", m.label.c_str(), m.value);
      if (m.interval) std::printf("  [%.4f, %.4f]", m.interval->first, m.interval->second);
      std::printf("\n");
    }
  } catch (const diffit::Error& error) {
    return std::fprintf(stderr, "error: %s\n", error.what()), 1;
  }
}
