// IDX files, byte by byte.
#include "bytes.hpp"
#include "chainrule/data.hpp"

using namespace chainrule;
using namespace chainrule::test;

namespace {

Bytes idx(unsigned char type, std::initializer_list<std::uint32_t> shape) {
  Bytes bytes{0, 0, type, static_cast<unsigned char>(shape.size())};
  for (const std::uint32_t size : shape) append(bytes, size, true);
  return bytes;
}

template <class T> Bytes idx_of(unsigned char type, std::initializer_list<T> values) {
  Bytes bytes = idx(type, {static_cast<std::uint32_t>(values.size())});
  for (const T value : values) append(bytes, value, true);
  return bytes;
}

template <class T> std::vector<T> values(const Tensor& t) {
  const auto span = t.span<T>();
  return {span.begin(), span.end()};
}

}  // namespace

TEST_CASE("idx: every element type") {
  using data::parse_idx;
  CHECK(values<std::uint8_t>(parse_idx(idx_of<std::uint8_t>(0x08, {0, 255}), "x")) ==
        std::vector<std::uint8_t>{0, 255});
  CHECK(values<std::int32_t>(parse_idx(idx_of<std::int8_t>(0x09, {-1, 127}), "x")) ==
        std::vector<std::int32_t>{-1, 127});
  CHECK(values<std::int32_t>(parse_idx(idx_of<std::int16_t>(0x0B, {-300, 300}), "x")) ==
        std::vector<std::int32_t>{-300, 300});
  CHECK(values<std::int32_t>(parse_idx(idx_of<std::int32_t>(0x0C, {-70000, 5}), "x")) ==
        std::vector<std::int32_t>{-70000, 5});
  CHECK(values<float>(parse_idx(idx_of<float>(0x0D, {1.5f, -0.25f}), "x")) == std::vector<float>{1.5f, -0.25f});
  CHECK(values<double>(parse_idx(idx_of<double>(0x0E, {0.1, 1e300}), "x")) == std::vector<double>{0.1, 1e300});
}

TEST_CASE("idx: axes and files") {
  Bytes images = idx(0x08, {2, 2, 3});
  for (unsigned char i = 0; i < 12; ++i) images.push_back(i);
  const Tensor t = data::parse_idx(images, "x");
  CHECK(t.shape() == Shape{2, 2, 3});
  CHECK(t.data<std::uint8_t>()[11] == 11);
  const Folder folder;
  CHECK(data::read_idx(write(folder / "images", images)).shape() == Shape{2, 2, 3});
  CHECK(data::parse_idx(idx(0x08, {0, 28}), "x").shape() == Shape{0, 28});
  // gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]), mtime=0)
  const Bytes packed = from_hex("1f8b08000000000002036360e0606460606066e7e00400ad980aba0b000000");
  CHECK(values<std::uint8_t>(data::parse_idx(packed, "x")) == std::vector<std::uint8_t>{7, 8, 9});
}

TEST_CASE("idx: what is refused") {
  using data::parse_idx;
  CHECK_REFUSED(data::read_idx("/nowhere/train.idx"), "read_idx: /nowhere/train.idx: cannot be opened", "No such file");
  CHECK_REFUSED(data::read_idx("/"), "is a folder");
  CHECK_REFUSED(parse_idx(Bytes{}, "a.idx"), "read_idx: a.idx: is empty");
  CHECK_REFUSED(parse_idx(Bytes{0, 0, 8}, "a.idx"), "cut short");
  CHECK_REFUSED(parse_idx(bytes_from("\x93NUMPY..."), "a.idx"), "is no IDX file", "read_npy");
  CHECK_REFUSED(parse_idx(idx(0x07, {1}), "a.idx"), "unknown type", "0x07");
  CHECK_REFUSED(parse_idx(idx(0x08, {}), "a.idx"), "number of axes: 0");
  CHECK_REFUSED(parse_idx(idx(0x08, {1, 1, 1, 1, 1, 1, 1, 1, 1}), "a.idx"), "number of axes: 9");
  CHECK_REFUSED(parse_idx(Bytes{0, 0, 8, 3, 0, 0, 0, 1}, "a.idx"), "ends within its header");
  CHECK_REFUSED(parse_idx(idx(0x08, {60000, 28, 28}), "a.idx"), "cut short",
                "(60000, 28, 28) uint8, 47040000 bytes; 0 follow");
  Bytes longer = idx_of<std::uint8_t>(0x08, {1, 2});
  longer.push_back(3);
  CHECK_REFUSED(parse_idx(longer, "a.idx"), "longer than its header tells");
  CHECK_REFUSED(parse_idx(idx(0x0E, {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}), "a.idx"), "its header is damaged");
  CHECK_REFUSED(parse_idx(idx(0x0E, {0, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}), "a.idx"),
                "its header is damaged");  // product 0
  CHECK_REFUSED(parse_idx(from_hex("1f8b08000000000002036360e0606460"), "a.idx.gz"), "a.idx.gz: cannot be unpacked",
                "end too early");
}
