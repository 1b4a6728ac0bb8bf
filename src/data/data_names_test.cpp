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
