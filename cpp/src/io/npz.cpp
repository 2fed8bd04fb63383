// Reader of NumPy's .npz archives: a zip file (PKWARE APPNOTE 6.3) of .npy entries, stored or deflated, also in the
// zip64 form NumPy writes. The central directory is what counts; nothing is extracted to disk.
#include <algorithm>
#include <cstring>

#include "chainrule/data.hpp"
#include "io/inflate.hpp"
#include "io/npy.hpp"

namespace chainrule::data {
namespace {

using namespace io;
constexpr const char* reader = "read_npz";

struct Archive {
  ByteSpan bytes;
  const std::string& name;

  [[noreturn]] void damaged(const std::string& what) const {
    file_fail(reader, name, "is damaged", what, "save it again with numpy.savez");
  }
  // `size` bytes at `at`, checked.
  ByteSpan part(std::uint64_t at, std::uint64_t size, const char* what) const {
    if (at > bytes.size() || size > bytes.size() - at)
      damaged(std::string(what) + " reaches beyond the end of the file");
    return bytes.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(size));
  }
};

std::uint64_t number(ByteSpan bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value |= std::uint64_t{bytes[at + i]} << (8 * i);
  return value;
}

struct Entry {
  std::string name;
  unsigned flags = 0, method = 0;
  std::uint32_t checksum = 0;
  std::uint64_t packed = 0, size = 0, offset = 0;
};

struct Directory {
  std::uint64_t entries = 0, size = 0, offset = 0;
};

Directory find_directory(const Archive& archive) {
  constexpr std::size_t end_size = 22, longest_comment = 65535;
  const ByteSpan bytes = archive.bytes;
  if (bytes.empty()) file_fail(reader, archive.name, "is empty");
  if (bytes.size() < end_size || bytes[0] != 'P' || bytes[1] != 'K')
    file_fail(reader, archive.name, "is no .npz archive", "",
              bytes[0] == 0x93 ? "it is a single array: use read_npy" : "write it with numpy.savez");
  const std::size_t first = bytes.size() - std::min(bytes.size(), end_size + longest_comment);
  std::size_t end = bytes.size() - end_size;
  while (std::memcmp(bytes.data() + end, "PK\5\6", 4) != 0) {
    if (end == first) archive.damaged("its directory is missing: the file is cut short");
    --end;
  }
  Directory directory{number(bytes, end + 10, 2), number(bytes, end + 12, 4), number(bytes, end + 16, 4)};
  const bool large = directory.entries == 0xFFFF || directory.size == 0xFFFFFFFF || directory.offset == 0xFFFFFFFF;
  if (large && end >= 20 && std::memcmp(bytes.data() + end - 20, "PK\6\7", 4) == 0) {
    const ByteSpan record = archive.part(number(bytes, end - 12, 8), 56, "the directory");
    if (std::memcmp(record.data(), "PK\6\6", 4) != 0) archive.damaged("its directory is missing");
    directory = {number(record, 32, 8), number(record, 40, 8), number(record, 48, 8)};
  }
  return directory;
}

// One entry of the directory at `at`, which moves on.
Entry read_entry(const Archive& archive, ByteSpan directory, std::size_t& at) {
  if (directory.size() - at < 46 || std::memcmp(directory.data() + at, "PK\1\2", 4) != 0)
    archive.damaged("its directory is damaged");
  const ByteSpan fixed = directory.subspan(at, 46);
  Entry entry;
  entry.flags = static_cast<unsigned>(number(fixed, 8, 2));
  entry.method = static_cast<unsigned>(number(fixed, 10, 2));
  entry.checksum = static_cast<std::uint32_t>(number(fixed, 16, 4));
  entry.packed = number(fixed, 20, 4);
  entry.size = number(fixed, 24, 4);
  entry.offset = number(fixed, 42, 4);
  const std::size_t name = static_cast<std::size_t>(number(fixed, 28, 2)),
                    extra = static_cast<std::size_t>(number(fixed, 30, 2)),
                    comment = static_cast<std::size_t>(number(fixed, 32, 2));
  at += 46;
  if (directory.size() - at < name + extra + comment) archive.damaged("its directory is damaged");
  entry.name.assign(reinterpret_cast<const char*>(directory.data()) + at, name);
  ByteSpan fields = directory.subspan(at + name, extra);
  at += name + extra + comment;
  // Extra field 1: the 64-bit values of what is all ones above, in this order.
  while (fields.size() >= 4) {
    const std::size_t id = static_cast<std::size_t>(number(fields, 0, 2)),
                      size = static_cast<std::size_t>(number(fields, 2, 2));
    if (fields.size() - 4 < size) archive.damaged("its directory is damaged");
    if (id == 1) {
      std::size_t next = 4;
      for (std::uint64_t* value : {&entry.size, &entry.packed, &entry.offset}) {
        if (*value != 0xFFFFFFFF) continue;
        if (next + 8 > 4 + size) archive.damaged("its directory is damaged");
        *value = number(fields, next, 8);
        next += 8;
      }
    }
    fields = fields.subspan(4 + size);
  }
  return entry;
}

Tensor read_array(const Archive& archive, const Entry& entry) {
  const std::string name = archive.name + " (" + in_quotes(entry.name) + ")";
  const ByteSpan local = archive.part(entry.offset, 30, "an entry");
  if (std::memcmp(local.data(), "PK\3\4", 4) != 0) archive.damaged("an entry is not where the directory tells");
  if ((entry.flags & 1) != 0) file_fail(reader, name, "is encrypted", "", "save it without a password");
  const std::uint64_t data = entry.offset + 30 + number(local, 26, 2) + number(local, 28, 2);
  const ByteSpan packed = archive.part(data, entry.packed, "an entry");
  Bytes unpacked;
  ByteSpan bytes = packed;
  if (entry.method == 8) {
    try {
      Inflated result = inflate(packed, static_cast<std::size_t>(entry.size));
      if (!result.finished) archive.damaged("an entry is longer than the directory tells");
      unpacked = std::move(result.bytes);
    } catch (const InflateError& error) {
      file_fail(reader, name, "cannot be unpacked", error.what(), "save it again with numpy.savez");
    }
    bytes = unpacked;
  } else if (entry.method != 0) {
    file_fail(reader, name, "is packed by an unknown method", std::to_string(entry.method),
              "save it with numpy.savez or savez_compressed");
  }
  if (bytes.size() != entry.size || crc32(bytes) != entry.checksum)
    file_fail(reader, name, "its checksum does not match", "the data are damaged", "save or download it again");
  return parse_npy(bytes, name, reader);
}

}  // namespace

std::vector<std::pair<std::string, Tensor>> read_npz(const std::string& path) {
  const Bytes bytes = read_file(path, reader);
  const Archive archive{bytes, path};
  const Directory directory = find_directory(archive);
  const ByteSpan listing = archive.part(directory.offset, directory.size, "the directory");
  std::vector<std::pair<std::string, Tensor>> arrays;
  std::size_t at = 0;
  std::uint64_t total = 0;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    const Entry entry = read_entry(archive, listing, at);
    if (!entry.name.ends_with(".npy"))
      file_fail(reader, path, "holds something that is no array", in_quotes(entry.name), "write it with numpy.savez");
    // Entries that share their bytes would let a small file fill the memory.
    total += entry.packed;
    if (total > bytes.size()) archive.damaged("its entries overlap");
    const std::string name = entry.name.substr(0, entry.name.size() - 4);
    if (std::any_of(arrays.begin(), arrays.end(), [&](const auto& array) { return array.first == name; }))
      file_fail(reader, path, "holds two arrays of one name", in_quotes(name), "give each its own");
    arrays.emplace_back(name, read_array(archive, entry));
  }
  if (arrays.empty()) file_fail(reader, path, "holds no arrays");
  return arrays;
}

}  // namespace chainrule::data
