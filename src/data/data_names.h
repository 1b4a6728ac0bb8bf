// Which names in a folder or zip are data, which are splits, and which are numbered shards.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/layers.h"

namespace diffit::data::detail {

/// Why a file or folder of that name is not data: such as "hidden file"; empty if it may be data.
/// Hidden are names that begin with a dot; the others are those that macOS, Windows, NAS devices and tools
/// leave: __MACOSX, Thumbs.db, desktop.ini, @eaDir, #recycle, $RECYCLE.BIN, lost+found, ...
std::string_view why_no_data(std::string_view name);

/// Whether the name ends as an image in a format that is not read: .gif, .bmp, .tif, .heic, .avif, ...
bool is_unread_image_name(std::string_view name);

/// Whether the name is that of a split: train, val, test and similar, in any case, alone or with words that
/// do not name a class (training_set, train2017, test_images, "Test Data", seg_train, trainA).
bool is_split_name(std::string_view name);
/// Whether the name is one that folders next to splits have, which are not classes: unlabeled, extra, pred,
/// ...
bool is_beside_splits(std::string_view name);

/// Whether the name is that of a numbered piece of a set: images_001, part-2, batch_3, shard00004.
bool is_piece_name(std::string_view name);

/// Whether the folders look like those of images and of their masks or annotations (images, masks), not like
/// classes.
bool are_parts_of_images(std::span<const std::string> names);

/// The value of a name that is nothing but up to 18 digits.
std::optional<std::int64_t> number_of(std::string_view name);

/// The last number in the name of a file, without its ending: 12 of "img00000012.png".
std::optional<std::int64_t> last_number(std::string_view name);

std::string lower_case(std::string_view text);

/// A name from an archive or dataset.json as a path: '/' between the parts (some programs write '\'), and no
/// part "." (bsdtar writes "./cat/0.png").
std::string with_plain_slashes(std::string_view name);

/// For the name of a file of another kind of data set: the kind and what to do ("LMDB: export its images to a
/// folder or zip"). Empty if the name is not known.
std::string_view known_data_file(std::string_view name);

}  // namespace diffit::data::detail
