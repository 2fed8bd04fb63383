// Reader of IDX files, the format of MNIST (LeCun, Cortes, Burges: the MNIST database): two zero bytes, a type, the
// number of axes, the sizes as big-endian 32-bit numbers, then the elements, big-endian. Compressed by gzip or not.
#include <array>
#include <optional>

#include "chainrule/data.hpp"
#include "io/elements.hpp"
#include "io/inflate.hpp"

namespace chainrule::data {
namespace {

using namespace io;
constexpr const char* reader = "read_idx";

struct Header {
  Element element = Element::u8;
  std::vector<std::uint64_t> shape;
  std::size_t data = 0;   // offset of the first element
  std::size_t bytes = 0;  // of all elements
};

std::optional<Element> element_of(unsigned char type) {
  switch (type) {
    case 0x08:
      return Element::u8;
    case 0x09:
      return Element::i8;
    case 0x0B:
      return Element::i16;
    case 0x0C:
      return Element::i32;
    case 0x0D:
      return Element::f32;
    case 0x0E:
      return Element::f64;
    default:
      return {};
  }
}

std::string hex(unsigned char byte) {
  constexpr const char* digits = "0123456789abcdef";
  return {'0', 'x', digits[byte >> 4], digits[byte & 15]};
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

Header read_header(ByteSpan bytes, const std::string& name) {
  if (bytes.empty()) file_fail(reader, name, "is empty", "", "download it again");
  if (bytes.size() < 4)
    file_fail(reader, name, "cut short", "only " + std::to_string(bytes.size()) + " bytes", "download it again");
  if (bytes[0] != 0 || bytes[1] != 0)
    file_fail(reader, name, "is no IDX file",
              "it begins with " + hex(bytes[0]) + " " + hex(bytes[1]) + ", not with two zero bytes",
              "NumPy files are read by read_npy, tables by read_csv");
  Header header;
  const auto element = element_of(bytes[2]);
  if (!element)
    file_fail(reader, name, "holds elements of an unknown type", hex(bytes[2]),
              "IDX knows 0x08 (uint8), 0x09 (int8), 0x0b (int16), 0x0c (int32), 0x0d (float32) and 0x0e (float64)");
  header.element = *element;
  const std::size_t rank = bytes[3];
  if (rank < 1 || rank > Dims::max_rank)
    file_fail(reader, name, "has an unusual number of axes", std::to_string(rank), "1 to 8 can be read");
  header.data = 4 + 4 * rank;
  if (bytes.size() < header.data)
    file_fail(reader, name, "cut short", "it ends within its header", "download it again");
  for (std::size_t i = 4; i < header.data; i += 4)
    header.shape.push_back(std::uint64_t{bytes[i]} << 24 | std::uint64_t{bytes[i + 1]} << 16 |
                           std::uint64_t{bytes[i + 2]} << 8 | bytes[i + 3]);
  const auto count = byte_count(header.shape, header.element);
  if (!count)
    file_fail(reader, name, "its header is damaged", "an array of shape " + shape_text(header.shape),
              "download it again");
  header.bytes = *count;
  return header;
}

}  // namespace

Tensor parse_idx(std::span<const unsigned char> bytes, const std::string& name) {
  Bytes unpacked;
  if (is_gzip(bytes)) {
    try {
      // First the header alone: it tells how much may come.
      const Header header = read_header(gunzip(bytes, 4 + 4 * Dims::max_rank).bytes, name);
      Inflated all = gunzip(bytes, header.data + header.bytes + 1);
      unpacked = std::move(all.bytes);
    } catch (const InflateError& error) {
      file_fail(reader, name, "cannot be unpacked", error.what(), "download it again");
    }
    bytes = unpacked;
  }
  const Header header = read_header(bytes, name);
  const std::size_t there = bytes.size() - header.data;
  if (there != header.bytes) {
    const std::string given = "the header tells of " + shape_text(header.shape) + " " + io::name_of(header.element) +
                              ", " + std::to_string(header.bytes) + " bytes; " +
                              (there > header.bytes ? "more" : std::to_string(there)) + " follow";
    file_fail(reader, name, there < header.bytes ? "cut short" : "longer than its header tells", given,
              "download it again");
  }
  return tensor_from_elements(bytes.subspan(header.data), header.shape, header.element, /*big_endian=*/true);
}

Tensor read_idx(const std::string& path) { return parse_idx(read_file(path, reader), path); }

}  // namespace chainrule::data
