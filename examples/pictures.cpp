// Uses the library without the command line: loads a model file and writes a grid of images.
//
//   build/release/examples/pictures models/fashion-mnist.safetensors shoes.png
#include <cstdio>
#include <exception>
#include <numeric>

#include "diffusion/generate.h"
#include "diffusion/pictures.h"
#include "io/picture.h"
#include "train/model_file.h"

int main(int argc, char** argv) {
  using namespace diffit;
  if (argc != 3) {
    std::fputs("usage: pictures MODEL.safetensors OUT.png\n", stderr);
    return 2;
  }
  try {
    const Model model = load_model(WeightsFile(argv[1]), at::kCPU);
    const auto& network = std::get<ImageDiffiT>(model);

    ImageRequest request;
    request.seeds.resize(16);
    std::iota(request.seeds.begin(), request.seeds.end(), 0);
    if (network.config().classes > 0) request.labels.assign(16, network.config().classes - 1);

    std::vector<Picture> pictures;
    generate(network, request, [&](std::int64_t, const at::Tensor& samples) {
      for (Picture& picture : to_pictures(samples)) pictures.push_back(std::move(picture));
    });
    write_png(argv[2], grid(pictures, 4));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
