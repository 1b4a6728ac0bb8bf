// Opens a model, describes it, and denoises an image of pure noise at a few noise levels: the result goes
// from the mean of the training images to detail.
//
//   open_model fashion-mnist
#include <diffit/diffit.h>

#include <algorithm>
#include <cstdio>
#include <random>

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: open_model MODEL\n", stderr), 2;
  try {
    const diffit::Model model = diffit::open_model(argv[1]);
    const diffit::ModelInfo& info = model.info();
    std::printf("%s: %lld x %lld x %lld, %lld classes, %lld parameters, predicts %s\n", info.path.c_str(),
                static_cast<long long>(info.channels), static_cast<long long>(info.resolution),
                static_cast<long long>(info.resolution), static_cast<long long>(info.classes),
                static_cast<long long>(info.parameters), info.prediction.c_str());
    std::mt19937 generator(0);
    std::normal_distribution<float> normal;
    std::vector<float> noise(static_cast<std::size_t>(info.channels * info.resolution * info.resolution));
    std::generate(noise.begin(), noise.end(), [&] { return normal(generator); });
    for (const float sigma : {40.0F, 10.0F, 2.0F, 0.5F}) {
      std::vector<float> x = noise;
      for (float& value : x) value *= sigma;
      const std::vector<float> clean = model.denoise(x, std::vector<float>{sigma});
      const auto [low, high] = std::minmax_element(clean.begin(), clean.end());
      std::printf("sigma %5.1f: values from %.2f to %.2f\n", sigma, *low, *high);
    }
  } catch (const diffit::Error& error) {
    return std::fprintf(stderr, "error: %s\n", error.what()), 1;
  }
}
