#include "data/listing.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "base/test_folder.h"

namespace diffit::data::detail {
namespace {

using testing::expect_rejected;
using testing::TemporaryFolder;
using Names = std::vector<std::string>;

struct Arranged {
  Names images, classes;
  std::vector<std::int64_t> labels;
  SourceFacts facts;
};

/// Names that end in '/' are folders.
Arranged arranged(const Names& names, LabelMode mode = LabelMode::automatic, const std::string& json = "") {
  Listing listing;
  for (const std::string& name : names) {
    if (name.ends_with('/')) {
      listing.folders.push_back(name.substr(0, name.size() - 1));
    } else {
      listing.files.push_back(name);
    }
  }
  const Layout layout =
      arrange(listing, {.labels = mode}, "set", [&](std::size_t, std::uint64_t) { return json; });
  Arranged out{{}, layout.facts.class_names, layout.labels.values, layout.facts};
  for (const std::size_t i : layout.images) out.images.push_back(listing.files[i]);
  return out;
}

bool says(const Names& list, const std::string& part) {
  return std::any_of(list.begin(), list.end(),
                     [&](const auto& s) { return s.find(part) != std::string::npos; });
}

TEST(Arrange, SkipsAndCountsOtherFiles) {
  const Arranged a =
      arranged({"ant/0.png", "bee/0.png", ".git/x.png", "ant/.ipynb_checkpoints/0.png",
                "__MACOSX/ant/._0.png", "@eaDir/0.png/THUMB.jpg", "#recycle/0.png", "lost+found/",
                ".thumbnails/large/a.png", ".0.png", "bee/Thumbs.db", "readme.txt", "$RECYCLE.BIN/a.png"});
  EXPECT_EQ(a.images, (Names{"ant/0.png", "bee/0.png"}));
  EXPECT_EQ(a.classes, (Names{"ant", "bee"}));
  EXPECT_EQ(a.labels, (std::vector<std::int64_t>{0, 1}));
  EXPECT_TRUE(a.facts.warnings.empty());
  std::int64_t skipped = 0;
  for (const Skipped& s : a.facts.skipped) skipped += s.count;
  EXPECT_EQ(skipped, 10);
}

TEST(Arrange, SingleOuterFolderIsTheTopLevel) {
  for (const std::string wrapper : {"", "mydata/", "a/b c/d/"}) {
    const Arranged a = arranged({wrapper + "cat/0.png", wrapper + "dog/0.png", "__MACOSX/._x", "README.md"});
    EXPECT_EQ(a.classes, (Names{"cat", "dog"})) << wrapper;
    EXPECT_EQ(says(a.facts.notes, "treated as the top level"), !wrapper.empty());
  }
  const Arranged labelled = arranged({"w/00000/a.png", "w/Dataset.JSON"}, LabelMode::automatic,
                                     R"({"labels": [["00000\\a.png", 4]]})");
  EXPECT_EQ(labelled.labels, std::vector<std::int64_t>{4});
  EXPECT_TRUE(arranged({"all/1.png", "all/2.png"}).labels.empty());
}

TEST(Arrange, SplitsAreNoClasses) {
  const Names names{"Train/a/0.png", "Train/b/0.png", "validation/a/0.png"};
  const Arranged a = arranged(names);
  EXPECT_EQ(a.images.size(), 3u);
  EXPECT_TRUE(a.labels.empty());
  EXPECT_TRUE(says(a.facts.warnings, "splits"));
  EXPECT_EQ(arranged(names, LabelMode::folders).classes, (Names{"Train", "validation"}));
  EXPECT_TRUE(says(arranged({"test/0.png", "train/0.png", "x/0.png"}).facts.warnings, "splits"));
  for (const auto& [one, other] : {std::pair("training_set", "test_set"), std::pair("train2017", "val2017"),
                                   std::pair("Training Data", "valid"), std::pair("trainA", "testB"),
                                   std::pair("seg_train", "seg_pred"), std::pair("train", "unlabeled")}) {
    const Arranged split = arranged({std::string(one) + "/a/0.png", std::string(other) + "/a/1.png"});
    EXPECT_TRUE(split.labels.empty()) << one << other;
    EXPECT_TRUE(says(split.facts.warnings, "splits")) << one;
  }
  // Annotations next to them are not a class either.
  EXPECT_TRUE(arranged({"train/a/0.png", "test/a/0.png", "labels/a.xml"}).labels.empty());
  for (const char* only_one : {"pets", "trains", "extra"})
    EXPECT_EQ(arranged({"train/0.png", std::string(only_one) + "/0.png"}).labels.size(),
              only_one == std::string("extra") ? 0u : 2u)
        << only_one;
}

TEST(Arrange, FolderWithOnlyHiddenFilesIsAnEmptyClass) {
  const Arranged a =
      arranged({"ant/.DS_Store", "bee/0.png", "cat/0.png", ".git/x", "__MACOSX/._a", ".DS_Store"});
  EXPECT_EQ(a.classes, (Names{"ant", "bee", "cat"}));
  EXPECT_EQ(a.labels, (std::vector<std::int64_t>{1, 2}));
  const Arranged deeper = arranged({"ant/.ipynb_checkpoints/0.png", "bee/x/@eaDir/a/b.jpg", "cat/0.png"});
  EXPECT_EQ(deeper.classes, (Names{"ant", "bee", "cat"}));
  EXPECT_EQ(deeper.labels, std::vector<std::int64_t>{2});
}

TEST(Arrange, NumberedPiecesAreNotClasses) {
  const Names names{"images_001/images/0.png", "images_002/images/1.png", "README"};
  EXPECT_TRUE(arranged(names).labels.empty());
  EXPECT_TRUE(says(arranged(names).facts.warnings, "pieces"));
  EXPECT_EQ(arranged(names, LabelMode::folders).classes, (Names{"images_001", "images_002"}));
  EXPECT_EQ(arranged({"part_1/0.png", "part_b/0.png"}).classes, (Names{"part_1", "part_b"}));
}

TEST(Arrange, WarnsAboutMasksAsClasses) {
  EXPECT_TRUE(says(arranged({"images/0.png", "masks/0.png"}).facts.warnings, "masks"));
  EXPECT_TRUE(arranged({"cats/0.png", "dogs/0.png"}).facts.warnings.empty());
}

TEST(Arrange, DatasetJsonMayHaveClassNamesAndRealLabels) {
  const auto read = [](const std::string& more) {
    return arranged({"a.png", "b.png", "dataset.json"}, LabelMode::automatic,
                    R"({"labels": [["./a.png", 1.0], ["b.png", 0]], )" + more + "}");
  };
  const Arranged named = read(R"("class_names": ["cat", "dog", "\u001b[31m"])");
  EXPECT_EQ(named.labels, (std::vector<std::int64_t>{1, 0}));
  EXPECT_EQ(named.classes, (Names{"cat", "dog", "\\x1b[31m"}));
  for (const char* other : {R"("class_names": ["cat"])", R"("class_names": {"cat": 0, "dog": 1})",
                            R"("more": 1)", R"("class_names": ["cat", 2])"}) {
    EXPECT_EQ(read(other).labels.size(), 2u) << other;
    EXPECT_TRUE(read(other).classes.empty()) << other;
  }
  expect_rejected(
      [] {
        arranged({"a.png", "dataset.json"}, LabelMode::automatic, R"({"labels": [["a.png", 1.5]]})");
      },
      {"1.5"});
}

TEST(Arrange, NumberedShardsAreNotClasses) {
  for (const Names& names : {Names{"00000/00003.png", "01000/01000.png", "02000/02999.png"},
                             Names{"00000/img00000000.png", "00001/img00001999.png"},
                             Names{"images/000000/000000.png", "images/001000/001001.png"},
                             Names{"0001/2001.png", "0001/7001.jpg", "0950/12950.png"},
                             Names{"00000/000000007.jpg", "00012/000120003.jpg"},
                             Names{"0a/0a1b2c3d4e5f6071.png", "FF/ff1b2c3d4e5f6071.jpg"},
                             Names{"0a/1b/0a1b2c3d-4e5f-6071.png", "ff/1b/ff1b2c3d-4e5f-6071.jpg"}}) {
    const Arranged a = arranged(names);
    EXPECT_TRUE(a.labels.empty()) << names[0];
    EXPECT_TRUE(says(a.facts.notes, "shards"));
    EXPECT_EQ(arranged(names, LabelMode::folders).labels.size(), names.size());
  }
}

TEST(Arrange, NumberedClassesAreNotShards) {
  for (const Names& names : {Names{"000/000_0001.png", "001/001_0001.png"}, Names{"001/1.png", "002/2.png"},
                             Names{"ab/ab1.png", "cd/cd1.png"}, Names{"0001/2001.png", "0002/2001.png"}})
    EXPECT_EQ(arranged(names).labels, (std::vector<std::int64_t>{0, 1})) << names[0];
}

TEST(Arrange, NumericFolderNamesAreSortedNumerically) {
  const Arranged digits = arranged({"0/a.png", "1/a.png", "10/a.png", "2/a.png", "3/a.png", "4/a.png",
                                    "5/a.png", "6/a.png", "7/a.png", "8/a.png", "9/a.png"});
  EXPECT_EQ(digits.classes, (Names{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}));
  EXPECT_EQ(digits.labels, (std::vector<std::int64_t>{0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_TRUE(digits.facts.warnings.empty());
  EXPECT_TRUE(says(digits.facts.notes, "the label is the number"));
  const Arranged from_one = arranged({"1/a.png", "2/a.png"});
  EXPECT_EQ(from_one.labels, (std::vector<std::int64_t>{0, 1}));
  EXPECT_TRUE(says(from_one.facts.warnings, "'1' is label 0"));
}

TEST(Arrange, EmptyClassesKeepTheirLabels) {
  for (const Names& empty : {Names{"ant/"}, Names{"ant/0.gif"}, Names{"ant/notes.txt", "ant/"}}) {
    Names names{"bee/0.png", "cat/0.png", "bee/", "cat/"};
    names.insert(names.end(), empty.begin(), empty.end());
    const Arranged a = arranged(names);
    EXPECT_EQ(a.classes, (Names{"ant", "bee", "cat"})) << empty[0];
    EXPECT_EQ(a.labels, (std::vector<std::int64_t>{1, 2}));
  }
  EXPECT_TRUE(says(arranged({"bee/0.png", "cat/0.png", "ant/0.gif"}).facts.warnings, "ant/0.gif"));
  EXPECT_EQ(arranged({"ant/", "bee/0.png"}).classes, (Names{"ant", "bee"}));
}

TEST(Arrange, ImagesOutsideClassFoldersAreReported) {
  const Arranged few = arranged({"a/0.png", "a/1.png", "b/0.png", "c.png"});
  EXPECT_EQ(few.images, (Names{"a/0.png", "a/1.png", "b/0.png"}));
  EXPECT_EQ(few.classes, (Names{"a", "b"}));
  EXPECT_TRUE(says(few.facts.warnings, "c.png"));
  const Arranged many = arranged({"a/0.png", "b/0.png", "c.png", "d.png", "e.png"});
  EXPECT_EQ(many.images.size(), 5u);
  EXPECT_TRUE(many.labels.empty());
  EXPECT_TRUE(says(many.facts.warnings, "3 images are"));
}

TEST(Arrange, LabelsCanBeDisabled) {
  EXPECT_TRUE(arranged({"a/0.png", "b/0.png"}, LabelMode::none).labels.empty());
  EXPECT_TRUE(arranged({"0.png", "dataset.json"}, LabelMode::none, "no json").labels.empty());
  EXPECT_EQ(arranged({"a/0.png", "b/0.png", "dataset.json"}, LabelMode::folders, "no json").classes,
            (Names{"a", "b"}));
  EXPECT_EQ(arranged({"a/0.png"}, LabelMode::folders).classes, (Names{"a"}));
}

TEST(Arrange, ErrorListsSkippedFilesIfThereIsNoImage) {
  expect_rejected(
      [] {
        arranged({"a.gif", "b.gif", ".c.png"});
      },
      {"set", "image in an unsupported format (convert it to PNG): 2", "a.gif", ".c.png"});
}

TEST(ListFolder, ReadsEachFolderOnceAndReportsBrokenLinks) {
  const TemporaryFolder folder;
  folder.write("set/b/0.png", "x");
  folder.write("elsewhere/1.png", "x");
  fs::create_directory_symlink(folder / "set", folder / "set/b/again");  // a circle
  fs::create_directory_symlink(folder / "set/b", folder / "set/a");      // a second name
  fs::create_directory_symlink(folder / "elsewhere", folder / "set/c");  // from elsewhere
  fs::create_symlink("nowhere.png", folder / "set/b/gone.png");          // dangling
  fs::create_symlink("../b/0.png", folder / "set/b/link.png");           // a linked file
  fs::create_symlink("loop.png", folder / "set/b/loop.png");             // a link to itself
  ASSERT_EQ(::mkfifo((folder / "set/b/pipe.png").c_str(), 0600), 0);
  const Listing listing = list_folder(folder / "set");
  Names files = listing.files;
  std::sort(files.begin(), files.end());
  EXPECT_EQ(files, (Names{"b/0.png", "b/link.png", "c/1.png"}));
  std::map<std::string, std::int64_t> counts;
  for (const Skipped& s : listing.skipped) counts[s.reason.substr(0, 16)] += s.count;
  EXPECT_EQ(counts["link to a folder"], 2);
  EXPECT_EQ(counts["broken link"] + counts["file or folder t"], 2);
  EXPECT_EQ(counts["neither a file n"], 1);
}

}  // namespace
}  // namespace diffit::data::detail
