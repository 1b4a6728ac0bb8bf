#include "base/utf8.h"

#include <gtest/gtest.h>

namespace diffit::base {
namespace {

TEST(Utf8, InvalidBytesBecomeReplacementCharacters) {
  EXPECT_EQ(valid_utf8("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(valid_utf8("caf\xe9.png"), "caf\xef\xbf\xbd.png");
  EXPECT_EQ(valid_utf8("\xff\xfe"), "\xef\xbf\xbd\xef\xbf\xbd");
  // Maximal subparts: a character that is cut short is one mark, a surrogate three.
  EXPECT_EQ(valid_utf8("\xe2\x82|"), "\xef\xbf\xbd|");
  EXPECT_EQ(valid_utf8("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(valid_utf8("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(valid_utf8("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80");
  EXPECT_EQ(valid_utf8("\xf4\x90\x80\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(valid_utf8(""), "");
}

TEST(Utf8, EscapesTerminalControlCharacters) {
  EXPECT_EQ(escaped("a\x1b[31mb"), "a\\u001b[31mb");
  EXPECT_EQ(escaped("\x7f\xc2\x9b"), "\\u007f\\u009b");
  EXPECT_EQ(escaped("gpj\xe2\x80\xae.exe"), "gpj\\u202e.exe");
  for (const char* mark : {"\xe2\x80\xaa", "\xe2\x80\xad", "\xe2\x81\xa6", "\xe2\x81\xa9", "\xe2\x80\x8e",
                           "\xe2\x80\x8f", "\xd8\x9c", "\xe2\x80\xa8"}) {
    EXPECT_TRUE(escaped(mark).starts_with("\\u")) << mark;
  }
  EXPECT_EQ(escaped("caf\xe9"), "caf\\xe9");
  EXPECT_EQ(escaped("\xe6\x97\xa5\xe6\x9c\xac"), "\xe6\x97\xa5\xe6\x9c\xac");
  EXPECT_EQ(escaped("a\nb\tc"), "a\\u000ab\\u0009c");
  EXPECT_EQ(escaped_lines("a\nb\tc\r"), "a\nb\tc\\u000d");
}

TEST(Utf8, WidthCountsColumns) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("\xe6\x97\xa5\xe6\x9c\xac"), 4u);
  EXPECT_EQ(display_width("e\xcc\x81"), 1u);
  EXPECT_EQ(cut_to_width("abc", 2), "ab");
  EXPECT_EQ(cut_to_width("abc", 9), "abc");
  EXPECT_EQ(cut_to_width("\xe6\x97\xa5\xe6\x9c\xac", 3), "\xe6\x97\xa5");
  EXPECT_EQ(cut_to_width("e\xcc\x81x", 1), "e\xcc\x81");
}

}  // namespace
}  // namespace diffit::base
