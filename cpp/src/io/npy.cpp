// Reader of NumPy's .npy files, versions 1 to 3: a magic string, a version, the header's length, the header (a Python
// dict literal of three entries), then the elements. Object arrays need pickle, which runs code: refused.
#include "io/npy.hpp"

#include <bit>
#include <charconv>
#include <cstring>
#include <optional>

#include "chainrule/data.hpp"
#include "io/elements.hpp"

namespace chainrule::io {
namespace {

struct Header {
  std::string descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::uint64_t>> shape;
};

// The dict literal: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name, std::string_view reader)
      : text_(text), name_(name), reader_(reader) {}

  Header parse() {
    Header header;
    expect('{');
    bool has_descr = false;
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !has_descr) {
        has_descr = true;
        skip_space();
        if (!text_.starts_with('\'') && !text_.starts_with('"'))
          file_fail(reader_, name_, "holds records with named fields", "", "save each field as an array of its own");
        header.descr = string();
      } else if (key == "fortran_order" && !header.fortran_order) {
        header.fortran_order = boolean();
      } else if (key == "shape" && !header.shape) {
        header.shape = sizes();
      } else {
        damaged();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!text_.empty() || !has_descr || !header.fortran_order || !header.shape) damaged();
    return header;
  }

 private:
  [[noreturn]] void damaged() {
    file_fail(reader_, name_, "its header is damaged", "", "save it again with numpy.save");
  }
  void skip_space() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n' || text_.front() == '\t'))
      text_.remove_prefix(1);
  }
  bool accept(char c) {
    skip_space();
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) damaged();
  }
  std::string string() {
    skip_space();
    if (text_.empty() || (text_.front() != '\'' && text_.front() != '"')) damaged();
    const std::size_t end = text_.find(text_.front(), 1);
    if (end == std::string_view::npos) damaged();
    std::string value(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return value;
  }
  bool boolean() {
    skip_space();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(word.size());
      return value;
    }
    damaged();
  }
  std::vector<std::uint64_t> sizes() {
    std::vector<std::uint64_t> list;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::uint64_t size = 0;
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), size);
      if (error != std::errc{}) damaged();
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      if (text_.starts_with('L')) text_.remove_prefix(1);  // written by Python 2
      list.push_back(size);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return list;
  }

  std::string_view text_;
  const std::string& name_;
  std::string_view reader_;
};

Element element_of(const std::string& descr, const std::string& name, std::string_view reader) {
  const std::string_view type = std::string_view(descr).substr(descr.empty() ? 0 : 1);
  constexpr std::pair<std::string_view, Element> known[] = {
      {"u1", Element::u8},  {"i1", Element::i8},  {"i2", Element::i16}, {"u2", Element::u16}, {"i4", Element::i32},
      {"u4", Element::u32}, {"i8", Element::i64}, {"f4", Element::f32}, {"f8", Element::f64}, {"b1", Element::boolean}};
  for (const auto& [word, element] : known)
    if (type == word && std::strchr("<>|=", descr.front()) != nullptr) return element;
  if (type.starts_with('O'))
    file_fail(reader, name, "holds Python objects, which only pickle can read", "dtype " + in_quotes(descr),
              "save numbers: numpy.save(path, array.astype(\"float32\"))");
  file_fail(reader, name, "holds a dtype that cannot be read", in_quotes(descr),
            type.starts_with('U') || type.starts_with('S')
                ? "encode texts as integers first"
                : "convert it before saving: array.astype(\"float32\") or astype(\"int64\")");
}

}  // namespace

NpyLayout npy_layout(ByteSpan bytes, const std::string& name, std::string_view reader) {
  constexpr std::string_view magic = "\x93NUMPY";
  if (bytes.empty()) file_fail(reader, name, "is empty");
  if (bytes.size() < 10 || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0)
    file_fail(reader, name, "is no .npy file", "",
              bytes.size() > 2 && bytes[0] == 'P' && bytes[1] == 'K' ? "it is a zip archive: use read_npz"
                                                                     : "write it with numpy.save");
  const unsigned version = bytes[6];
  if (version < 1 || version > 3)
    file_fail(reader, name, "is of an unknown version", std::to_string(version) + "." + std::to_string(bytes[7]),
              "versions 1 to 3 can be read");
  std::size_t at = version == 1 ? 10 : 12;
  if (bytes.size() < at) file_fail(reader, name, "cut short", "it ends within its header");
  std::size_t length = bytes[8] | static_cast<std::size_t>(bytes[9]) << 8;
  if (version > 1) length |= static_cast<std::size_t>(bytes[10]) << 16 | static_cast<std::size_t>(bytes[11]) << 24;
  constexpr std::size_t longest = 1 << 16;  // ours need 128 bytes; records with many fields are refused anyway
  if (length > longest)
    file_fail(reader, name, "its header is damaged", std::to_string(length) + " bytes long",
              "save it again with numpy.save");
  if (bytes.size() - at < length) file_fail(reader, name, "cut short", "it ends within its header");
  const Header header = HeaderParser({reinterpret_cast<const char*>(bytes.data()) + at, length}, name, reader).parse();
  at += length;

  const Element element = element_of(header.descr, name, reader);
  if (header.shape->size() > Dims::max_rank)
    file_fail(reader, name, "has too many axes", std::to_string(header.shape->size()),
              "at most 8 can be read; reshape it before saving");
  const auto count = byte_count(*header.shape, element);
  if (!count)
    file_fail(reader, name, "its header is damaged", "sizes too large for any file", "save it again with numpy.save");
  if (bytes.size() - at != *count)
    file_fail(
        reader, name, bytes.size() - at < *count ? "cut short" : "longer than its header tells",
        "the header tells of " + std::to_string(*count) + " bytes, " + std::to_string(bytes.size() - at) + " follow",
        "save or download it again");
  bool big_endian = header.descr.front() == '>';
  if (header.descr.front() == '=') big_endian = std::endian::native == std::endian::big;
  return {element, big_endian, *header.fortran_order, *header.shape, at, *count};
}

Tensor npy_elements(ByteSpan elements, const NpyLayout& layout, const std::vector<std::uint64_t>& shape) {
  if (layout.element != Element::boolean)
    return tensor_from_elements(elements, shape, layout.element, layout.big_endian, layout.fortran_order);
  // Bytes of a bool may only be 0 or 1; what else a file holds counts as true.
  Bytes clean(elements.begin(), elements.end());
  for (unsigned char& b : clean) b = b != 0;
  return tensor_from_elements(clean, shape, layout.element, false, layout.fortran_order);
}

Tensor parse_npy(ByteSpan bytes, const std::string& name, std::string_view reader) {
  const NpyLayout layout = npy_layout(bytes, name, reader);
  return npy_elements(bytes.subspan(layout.offset), layout, layout.shape);
}

}  // namespace chainrule::io

namespace chainrule::data {

Tensor read_npy(const std::string& path) { return io::parse_npy(io::read_file(path, "read_npy"), path, "read_npy"); }

}  // namespace chainrule::data
