// Tests every variant of each bundled experiment: a consistent configuration, comparable as declared, with a
// budget large enough to be scored. The data are a few images in the right format.
#include <gtest/gtest.h>
#include <unistd.h>

#include "analysis/experiment.h"
#include "base/bundled.h"
#include "base/error.h"

namespace diffit::analysis {
namespace {

class BundledExperiments : public ::testing::Test {
 protected:
  BundledExperiments() {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "cifar");
    // CIFAR-10: a label, then 3 x 32 x 32 pixels. IDX: magic number, count, rows, columns, pixels.
    std::string cifar, idx{"\0\0\x08\x03\0\0\0\x0a\0\0\0\x1c\0\0\0\x1c", 16},
        labels{"\0\0\x08\x01\0\0\0\x0a", 8};
    for (char label = 0; label < 10; ++label) {
      cifar += label + std::string(3072, static_cast<char>('a' + label));
      idx += std::string(784, static_cast<char>('a' + label));
      labels += label;
    }
    for (int i = 1; i <= 5; ++i) write_file(folder_ / fmt::format("cifar/data_batch_{}.bin", i), cifar);
    write_file(folder_ / "train-images-idx3-ubyte", idx);
    write_file(folder_ / "train-labels-idx1-ubyte", labels);
  }
  ~BundledExperiments() override { fs::remove_all(folder_); }

  Plan plan(const std::string& name) const {
    const std::string where = experiment_path(name).string();
    const fs::path data = folder_ / (name.starts_with("cifar10") ? "cifar" : "train-images-idx3-ubyte");
    return plan_experiment(read_experiment(parse_toml(read_text(where, 1 << 20), where), where),
                           data.string(), "f32", where);
  }

  fs::path folder_ = fs::temp_directory_path() / fmt::format("diffit-experiments-{}", getpid());
};

TEST_F(BundledExperiments, AreConsistentAndWithinBudget) {
  ::setenv("DIFFIT_HOME", DIFFIT_SOURCE_DIR, 1);
  const std::vector<std::string> names = experiment_names();
  EXPECT_GE(names.size(), 10U);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const Plan found = plan(name);
    EXPECT_GE(found.variants.size(), 2U);
    EXPECT_GE(found.experiment.seeds.size(), 3U);
    for (const PlannedVariant& variant : found.variants) EXPECT_GT(variant.recipe.train.images, 100000);
  }
}

// The paper's own model is the reference of each table, so that one training run serves all tables.
TEST_F(BundledExperiments, ShareTheirReference) {
  ::setenv("DIFFIT_HOME", DIFFIT_SOURCE_DIR, 1);
  for (const char* scale : {"cifar10", "fashion"}) {
    std::vector<Json> references;
    for (const char* table : {"time", "architecture", "window"}) {
      const Plan found = plan(fmt::format("{}-{}", scale, table));
      references.push_back(write_recipe(found.variants[found.experiment.reference_index()].recipe));
    }
    EXPECT_EQ(references[0], references[1]) << scale;
    EXPECT_EQ(references[0], references[2]) << scale;
  }
}

}  // namespace
}  // namespace diffit::analysis
