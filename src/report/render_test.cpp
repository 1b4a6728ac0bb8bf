#include "report/render.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "plot/base64.h"
#include "plot/embedded.h"

namespace diffit::report {
namespace {

constexpr const char* kHostile = "<script>alert(1)</script>\" onload='x' & </style></pre>";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Page page_of(std::vector<PageBlock> blocks) {
  Page page;
  page.title = "A page";
  page.sections.push_back({"Section", std::move(blocks)});
  return page;
}

LinePlot line_plot(const std::string& name) {
  LinePlot plot;
  plot.name = name;
  plot.title = "Loss";
  Series series;
  series.label = "run";
  series.points = {{1, 2, {}, {}}, {2, 1, {}, {}}};
  plot.series.push_back(series);
  return plot;
}

Shown grey(std::int64_t side) {
  return {{side, side, 1, std::vector<std::uint8_t>(static_cast<std::size_t>(side * side), 90)},
          "",
          "a grey square"};
}

TEST(RenderPage, EscapesHostileTextEverywhere) {
  Table table{kHostile, kHostile, {{kHostile}, {"n"}}, {{words(kHostile), number(1)}}};
  LinePlot plot = line_plot("loss");
  plot.title = plot.caption = plot.x.label = plot.y.label = plot.series[0].label = kHostile;
  plot.references.push_back({kHostile, 1});
  Shown shown = grey(2);
  shown.alt = shown.caption = kHostile;
  ImageGrid grid{kHostile, kHostile, {}, {{kHostile, {shown}}}, 1, false};
  ImageGrid heads{kHostile, kHostile, {kHostile}, {{kHostile, {shown}}}, 2, true};
  Page page = page_of({Text{{kHostile}}, Code{kHostile, kHostile, true}, Code{kHostile, kHostile, false},
                       table, plot, grid, heads});
  page.title = page.subtitle = page.footer = page.sections[0].title = kHostile;
  const std::string html = render_page(page);
  EXPECT_FALSE(has(html, "<script>alert"));
  EXPECT_FALSE(has(html, "\" onload"));
  EXPECT_FALSE(has(html, "</style></pre>"));
  EXPECT_TRUE(has(html, "&lt;script&gt;alert(1)&lt;/script&gt;"));
}

TEST(RenderPage, EscapesDirectionMarksAndControlCharacters) {
  Page page = page_of({Text{{"gpj\u202e.exe \xc2\x9b \x1b[31m caf\xe9"}}});
  page.title = "\u2066a\u200f";
  const std::string html = render_page(page);
  for (const char* raw : {"\u202e", "\xc2\x9b", "\x1b", "\xe9", "\u2066", "\u200f"})
    EXPECT_FALSE(has(html, raw)) << raw;
  EXPECT_TRUE(has(html, "gpj\\u202e.exe \\u009b"));
  EXPECT_TRUE(has(html, "caf\ufffd"));
}

TEST(RenderPage, KeepsLineBreaksOfCode) {
  EXPECT_TRUE(has(render_page(page_of({Code{"config", "[model]\n  depth = [1, 1]\n", false}})),
                  "[model]\n  depth = [1, 1]\n"));
}

TEST(RenderPage, EmbedsImagesAndLoadsNothingExternal) {
  const std::string html = render_page(page_of({ImageGrid{"Samples", "", {}, {{"", {grey(3)}}}, 4, false}}));
  EXPECT_TRUE(has(html, "src=\"data:image/png;base64," + base64(encode_png(grey(3).image, 9)) + "\""));
  EXPECT_TRUE(has(html, "width=\"12\" height=\"12\" alt=\"a grey square\""));
  for (const char* outside : {"http://cdn", "https://", "url(", "@import", "src=\"http"}) {
    EXPECT_FALSE(has(html, outside)) << outside;
  }
}

TEST(RenderPage, ShowsCaptionOfGridOnce) {
  for (const std::vector<std::string>& heads : {std::vector<std::string>{}, {"first"}}) {
    const std::string html =
        render_page(page_of({ImageGrid{"G", "said once", heads, {{"", {grey(1)}}}, 1, false}}));
    EXPECT_EQ(html.find("said once"), html.rfind("said once"));
  }
}

TEST(RenderPage, PutsConsecutivePlotsSideBySide) {
  const std::string html =
      render_page(page_of({line_plot("a"), line_plot("b"), Text{{"between"}}, line_plot("c")}));
  std::size_t groups = 0;
  for (std::size_t at = html.find("<div class=\"plots\">"); at != std::string::npos;
       at = html.find("<div class=\"plots\">", at + 1))
    ++groups;
  EXPECT_EQ(groups, 2);
}

TEST(RenderPage, RejectsDuplicatePlotNamesAndUnevenRows) {
  EXPECT_THROW(render_page(page_of({line_plot("a"), line_plot("a")})), Error);
  EXPECT_THROW(render_page(page_of({line_plot("../a")})), Error);
  EXPECT_THROW(render_page(page_of({Table{"t", "", {{"a"}, {"b"}}, {{words("x")}}}})), Error);
  EXPECT_THROW(render_page(page_of({ImageGrid{"g", "", {"a", "b"}, {{"", {grey(1)}}}, 1, false}})), Error);
}

TEST(Base64, MatchesRfc4648) {
  const auto encoded = [](const std::string& text) { return base64(std::as_bytes(std::span(text))); };
  EXPECT_EQ(encoded(""), "");
  EXPECT_EQ(encoded("f"), "Zg==");
  EXPECT_EQ(encoded("fo"), "Zm8=");
  EXPECT_EQ(encoded("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encoded("\xff\xfe\xfd\xfc"), "//79/A==");
}

TEST(WritePlots, WritesSvgAndPngForEachPlot) {
  std::string folder = (fs::temp_directory_path() / "diffit-plots-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::vector<fs::path> written =
      write_plots(page_of({line_plot("a"), line_plot("b")}), fs::path(folder) / "deep/er");
  EXPECT_EQ(written.size(), 4);
  for (const fs::path& path : written) EXPECT_GT(fs::file_size(path), 500) << path;
  EXPECT_EQ(read_image(fs::path(folder) / "deep/er/a.png").channels, 3);
  fs::remove_all(folder);
}

TEST(Templates, EachDeclaresItsAutoescapeContext) {
  EXPECT_GE(embedded_templates().size(), 10);
  for (const auto& [name, text] : embedded_templates())
    EXPECT_TRUE(text.starts_with("{{%AUTOESCAPE context=")) << name;
}

}  // namespace
}  // namespace diffit::report
