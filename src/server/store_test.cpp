#include "server/store.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/test_folder.h"

namespace diffit::server {
namespace {

JobRecord job(const std::string& id, JobState state = JobState::queued) {
  return {.id = id, .kind = "sample", .spec = {{"seeds", {1, 2}}}, .state = state, .created = 10};
}

ImageRecord image(const std::string& job, std::int64_t seed, const std::string& model = "m") {
  ImageRecord record;
  record.job = job;
  record.model = model;
  record.seed = seed;
  record.label = seed % 2;
  record.class_name = "a 'class' <b>";
  record.settings = {{"steps", 3}};
  record.png = {std::byte{1}, std::byte{0}, std::byte{2}};
  return record;
}

class StoreTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  fs::path path() const { return folder_.path() / "studio"; }
};

TEST_F(StoreTest, KeepsJobsAndImagesAcrossProcesses) {
  {
    Store store(path());
    store.add_job(job("one"));
    store.add_job(job("two"));
    JobRecord done = job("one", JobState::done);
    done.result = {{"seconds", 2.5}};
    const auto ids =
        store.finish_job(done, {image("one", 4), image("one", 5)},
                         {{.step = 0, .position = 1, .sigma = 80, .state = {1, -2}, .shape = {1, 1, 2}}});
    EXPECT_EQ(ids.size(), 2u);
  }
  Store store(path());
  EXPECT_EQ(store.job("one")->state, JobState::done);
  EXPECT_EQ(store.job("one")->result["seconds"], 2.5);
  ASSERT_EQ(store.unfinished_jobs().size(), 1u);
  EXPECT_EQ(store.unfinished_jobs()[0].id, "two");
  EXPECT_FALSE(store.job("three"));
  const auto images = store.images({});
  ASSERT_EQ(images.size(), 2u);
  EXPECT_EQ(images[0].seed, 5);
  EXPECT_EQ(images[0].class_name, "a 'class' <b>");
  EXPECT_EQ(images[0].settings["steps"], 3);
  EXPECT_EQ(*store.png(images[0].id), std::string("\1\0\2", 3));
  ASSERT_EQ(store.steps("one").size(), 1u);
  EXPECT_EQ(store.step("one", 0, 1)->state, (std::vector<float>{1, -2}));
  EXPECT_FALSE(store.step("one", 0, 0));
}

TEST_F(StoreTest, OneProcessAtATime) {
  const Store store(path());
  EXPECT_THROW(Store{path()}, Error);
}

TEST_F(StoreTest, QueriesAndTags) {
  Store store(path());
  store.add_job(job("one"));
  const auto ids = store.finish_job(job("one", JobState::done),
                                    {image("one", 1), image("one", 2, "n"), image("x", 3)}, {});
  const auto seeds = [&](const ImageQuery& query) {
    std::vector<std::int64_t> found;
    for (const ImageRecord& i : store.images(query)) found.push_back(i.seed);
    return found;
  };
  using Seeds = std::vector<std::int64_t>;
  EXPECT_EQ(seeds({.limit = 2}), (Seeds{3, 2}));
  EXPECT_EQ(seeds({.before = ids[1]}), Seeds{1});
  EXPECT_EQ(seeds({.model = "n"}), Seeds{2});
  EXPECT_EQ(seeds({.job = "x"}), Seeds{3});
  EXPECT_EQ(seeds({.label = 1}), (Seeds{3, 1}));
  const std::string sql = "'; DROP TABLE images; --";
  EXPECT_TRUE(store.set_tags(ids[0], {sql, "good"}));
  EXPECT_FALSE(store.set_tags(12345, {"good"}));
  EXPECT_EQ(seeds({.tag = sql}), Seeds{1});
  EXPECT_EQ(seeds({.tag = "' OR 1 = 1 --"}), Seeds{});
  EXPECT_EQ(store.image(ids[0])->tags, (std::vector<std::string>{sql, "good"}));
  EXPECT_EQ(store.tags().size(), 2u);
  EXPECT_TRUE(store.remove_image(ids[0]));
  EXPECT_FALSE(store.remove_image(ids[0]));
  EXPECT_TRUE(store.tags().empty());  // with the image
  EXPECT_EQ(store.image_count(), 2);
}

}  // namespace
}  // namespace diffit::server
