#include "data/data_names.h"

#include <gtest/gtest.h>

namespace diffit::data::detail {
namespace {

TEST(DataNames, RecognizesSystemAndToolFiles) {
  for (const char* name : {".git", ".cache", ".thumbnails", ".ipynb_checkpoints", ".Trash-1000", ".DS_Store",
                           "._0.png", ".0.png", "__MACOSX", "Thumbs.db", "thumbs.DB", "desktop.ini", "@eaDir",
                           "#recycle", "lost+found", "$RECYCLE.BIN", "System Volume Information"}) {
    EXPECT_FALSE(why_no_data(name).empty()) << name;
  }
  for (const char* name : {"cat", "0", "a.png", "recycle", "eaDir", "_hidden", "Recycling bins"}) {
    EXPECT_TRUE(why_no_data(name).empty()) << name;
  }
}

TEST(DataNames, RecognizesUnsupportedImagesAndSplits) {
  EXPECT_TRUE(is_unread_image_name("a.GIF"));
  EXPECT_TRUE(is_unread_image_name("a.b.tiff"));
  EXPECT_FALSE(is_unread_image_name("a.png"));
  EXPECT_FALSE(is_unread_image_name("gif"));
  EXPECT_TRUE(is_split_name("Train"));
  EXPECT_TRUE(is_split_name("VALIDATION"));
  EXPECT_FALSE(is_split_name("trains"));
}

TEST(DataNames, RecognizesSplitsWithOtherWords) {
  for (const char* name :
       {"train", "Test", "training_set", "testset", "train2017", "val_images", "Test Data", "trainA",
        "seg_train", "images-val", "train_1", "TestImages", "dev-split", "holdout"})
    EXPECT_TRUE(is_split_name(name)) << name;
  for (const char* name :
       {"trains", "images", "data", "contest", "train station", "test_tube", "set", "2017", "eval_cat"})
    EXPECT_FALSE(is_split_name(name)) << name;
  EXPECT_TRUE(is_beside_splits("unlabeled"));
  EXPECT_TRUE(is_beside_splits("seg_pred"));
  EXPECT_FALSE(is_beside_splits("extraordinary"));
}

TEST(DataNames, RecognizesNumberedPieces) {
  for (const char* name : {"images_001", "part-2", "Batch_3", "shard00004", "img 7", "vol.1"})
    EXPECT_TRUE(is_piece_name(name)) << name;
  for (const char* name : {"images", "part", "class_1", "1", "party 2", "cat_part_1", "train_1"})
    EXPECT_FALSE(is_piece_name(name)) << name;
}

TEST(DataNames, RecognizesImagesWithMasks) {
  using Names = std::vector<std::string>;
  for (const Names& names :
       {Names{"images", "masks"}, Names{"Annotations", "JPEGImages", "SegmentationClass"},
        Names{"train_images", "train_masks"}, Names{"gt", "img"}})
    EXPECT_TRUE(are_parts_of_images(names)) << names[0];
  for (const Names& names : {Names{"images", "cats"}, Names{"mask", "no_mask"}, Names{"images", "photos"},
                             Names{"with_mask", "without_mask"}, Names{}})
    EXPECT_FALSE(are_parts_of_images(names));
}

TEST(DataNames, RemovesDotsAndBackslashesFromPaths) {
  EXPECT_EQ(with_plain_slashes("./cat/0.png"), "cat/0.png");
  EXPECT_EQ(with_plain_slashes("a\\b/./c.png"), "a/b/c.png");
  EXPECT_EQ(with_plain_slashes("./"), "");
  EXPECT_EQ(with_plain_slashes(".hidden/../x."), ".hidden/../x.");
}

TEST(DataNames, RecognizesOtherKindsOfDataSets) {
  EXPECT_NE(known_data_file("data/train-00000-of-00001.parquet").find("Parquet"), std::string_view::npos);
  EXPECT_NE(known_data_file("t10k-images-idx3-ubyte").find("IDX"), std::string_view::npos);
  EXPECT_TRUE(known_data_file("notes.txt").empty());
}

TEST(DataNames, ReadsNumbers) {
  EXPECT_EQ(number_of("007"), 7);
  EXPECT_FALSE(number_of("7a"));
  EXPECT_FALSE(number_of(""));
  EXPECT_FALSE(number_of("9999999999999999999"));
  EXPECT_EQ(last_number("img00000012.png"), 12);
  EXPECT_EQ(last_number("a3_b45c.png"), 45);
  EXPECT_FALSE(last_number("cat.png"));
}

}  // namespace
}  // namespace diffit::data::detail
