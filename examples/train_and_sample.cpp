// Trains a model, stops half-way, resumes, and samples from the result.
//
//   train_and_sample IMAGES RUN_FOLDER
#include <diffit/diffit.h>

#include <cstdio>

/// Prints each step and stops the first session after 64 images.
class Display : public diffit::TrainMonitor {
 public:
  explicit Display(bool stop_early) : stop_early_(stop_early) {}
  void step(const diffit::TrainStep& s) override {
    images_ = s.images;
    std::printf("%lld of %lld images, loss %.4f\n", static_cast<long long>(s.images),
                static_cast<long long>(s.total_images), s.loss);
  }
  bool cancelled() override { return stop_early_ && images_ >= 64; }

 private:
  bool stop_early_;
  long long images_ = 0;
};

int main(int argc, char** argv) {
  if (argc != 3) return std::fputs("usage: train_and_sample IMAGES RUN_FOLDER\n", stderr), 2;
  diffit::TrainSpec spec{.config = "smoke", .set = {"train.images=128"}, .data = argv[1], .out = argv[2]};
  try {
    try {
      Display display(/*stop_early=*/true);
      diffit::train(spec, {}, display);
    } catch (const diffit::Error& error) {
      if (error.kind() != diffit::ErrorKind::cancelled) throw;
      std::printf("stopped: %s\n", error.what());
    }
    spec.resume = true;
    Display display(/*stop_early=*/false);
    const diffit::TrainResult trained = diffit::train(spec, {}, display);
    std::printf("trained for %lld images in %s\n", static_cast<long long>(trained.images),
                trained.folder.c_str());

    const diffit::SampleResult samples = diffit::sample({.model = trained.model, .count = 4, .steps = 4});
    for (const diffit::Image& image : samples.images) {
      std::printf("a sample of %lld x %lld pixels\n", static_cast<long long>(image.width),
                  static_cast<long long>(image.height));
    }
  } catch (const diffit::Error& error) {
    return std::fprintf(stderr, "error: %s\n", error.what()), 1;
  }
}
