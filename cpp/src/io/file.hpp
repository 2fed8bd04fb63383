// Whole files in and out: reading with errors that name the file, and writing that leaves the old file or the new one,
// never half of one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/fail.hpp"

namespace chainrule::io {

using Bytes = std::vector<unsigned char>;
using ByteSpan = std::span<const unsigned char>;

// "reader: file: wrong: given; todo"
template <class E = FileError>
[[noreturn]] void file_fail(std::string_view reader, std::string_view file, std::string_view wrong,
                            std::string_view given = {}, std::string_view todo = {}) {
  fail<E>(reader, std::string(file) + ": " + std::string(wrong), given, todo);
}

Bytes read_file(const std::string& path, std::string_view reader);

// Temporary file in the same folder, fsync, rename, fsync of the folder. On an error the old file stays as it was and
// the temporary one is removed. A symbolic link is followed; what is no regular file is refused.
void write_file(const std::string& path, std::span<const std::string_view> parts, std::string_view writer);
// Makes `path` another name of a file in the same folder, as atomically; false, and nothing is changed, where that
// cannot be done.
bool link_file(const std::string& file, const std::string& path);
// Removes what write_file has left in a folder when its process was killed, of files whose names begin so.
void remove_temporaries(const std::string& folder, std::string_view begin);

// The text as an error message can show it: at most 40 bytes of it, control bytes and broken UTF-8 as '?'.
std::string in_quotes(std::string_view text);

// Offset of the first byte that is no valid UTF-8, or npos.
std::size_t find_invalid_utf8(std::string_view text) noexcept;

}  // namespace chainrule::io
