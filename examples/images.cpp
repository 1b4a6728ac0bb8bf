// Uses the library without the command line: loads a model file and writes a grid of images.
//
//   build/release/examples/images models/fashion-mnist.safetensors shoes.png
#include <cstdio>
#include <exception>
#include <numeric>

#include "diffusion/generate.h"
#include "diffusion/images.h"
#include "io/images/image.h"
#include "model/model_file.h"

int main(int argc, char** argv) {
  using namespace diffit::train;
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

    std::vector<Image> images;
    generate(network, request, [&](std::int64_t, const at::Tensor& samples) {
      for (Image& image : to_images(samples)) images.push_back(std::move(image));
    });
    write_png(argv[2], grid(images, 4));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
