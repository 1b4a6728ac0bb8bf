// Writes a grid of samples of a bundled model or a model file.
//
//   sample fashion-mnist shoes.png
#include <diffit/diffit.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 3) return std::fputs("usage: sample MODEL OUT.png\n", stderr), 2;
  try {
    diffit::SampleSpec spec{.model = argv[1], .out = argv[2], .count = 16};
    spec.guidance.scale = 2;
    const diffit::SampleResult result = diffit::sample(spec);
    std::printf("%lld images in %.1f s, %lld evaluations each: %s\n", static_cast<long long>(result.count),
                result.seconds, static_cast<long long>(result.evaluations), result.made_by.c_str());
  } catch (const diffit::Error& error) {
    return std::fprintf(stderr, "error: %s\n", error.what()), 1;
  }
}
