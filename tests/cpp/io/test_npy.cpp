// .npy and .npz, byte by byte.
#include <cstdint>

#include "bytes.hpp"
#include "chainrule/data.hpp"
#include "io/inflate.hpp"
#include "io/npy.hpp"

using namespace chainrule;
using namespace chainrule::test;

namespace {

Bytes npy(const std::string& header, const Bytes& data, unsigned char version = 1) {
  Bytes bytes = bytes_from("\x93NUMPY");
  append(bytes, version);
  append(bytes, static_cast<unsigned char>(0));
  if (version == 1)
    append(bytes, static_cast<std::uint16_t>(header.size()));
  else
    append(bytes, static_cast<std::uint32_t>(header.size()));
  append(bytes, std::string_view(header));
  append(bytes, data);
  return bytes;
}
std::string dict(const std::string& descr, const std::string& shape, const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }          \n";
}
template <class T> Bytes numbers(std::initializer_list<T> values, bool big_endian = false) {
  Bytes bytes;
  for (const T v : values) append(bytes, v, big_endian);
  return bytes;
}
Tensor parse(const Bytes& bytes) { return io::parse_npy(bytes, "a.npy", "read_npy"); }
template <class T> std::vector<T> values(const Tensor& t) {
  const auto span = t.span<T>();
  return {span.begin(), span.end()};
}

// A zip archive of stored or deflated entries, as NumPy writes it.
struct Zip {
  struct Entry {
    std::string name;
    Bytes data;   // as stored
    Bytes plain;  // what it unpacks to
    unsigned short method = 0, flags = 0;
  };
  std::vector<Entry> entries;
  Bytes bytes() const {
    Bytes file, directory;
    for (const Entry& e : entries) {
      const auto offset = static_cast<std::uint32_t>(file.size());
      append(file, std::string_view("PK\3\4"));
      append(file, from_hex("2d00"));
      append(file, e.flags);
      append(file, e.method);
      append(file, std::uint32_t{0});
      append(file, io::crc32(e.plain));
      append(file, static_cast<std::uint32_t>(e.data.size()));
      append(file, static_cast<std::uint32_t>(e.plain.size()));
      append(file, static_cast<std::uint16_t>(e.name.size()));
      append(file, std::uint16_t{4});
      append(file, std::string_view(e.name));
      append(file, from_hex("efbe0000"));  // an extra field
      append(file, e.data);
      append(directory, std::string_view("PK\1\2"));
      append(directory, from_hex("2d032d00"));
      append(directory, e.flags);
      append(directory, e.method);
      append(directory, std::uint32_t{0});
      append(directory, io::crc32(e.plain));
      append(directory, static_cast<std::uint32_t>(e.data.size()));
      append(directory, static_cast<std::uint32_t>(e.plain.size()));
      append(directory, static_cast<std::uint16_t>(e.name.size()));
      append(directory, Bytes(12, 0));
      append(directory, offset);
      append(directory, std::string_view(e.name));
    }
    const auto start = static_cast<std::uint32_t>(file.size());
    append(file, directory);
    append(file, std::string_view("PK\5\6"));
    append(file, std::uint32_t{0});
    append(file, static_cast<std::uint16_t>(entries.size()));
    append(file, static_cast<std::uint16_t>(entries.size()));
    append(file, static_cast<std::uint32_t>(directory.size()));
    append(file, start);
    append(file, std::uint16_t{0});
    return file;
  }
};

}  // namespace

TEST_CASE("npy: every dtype, both byte orders, all versions") {
  CHECK(values<float>(parse(npy(dict("<f4", "(2,)"), numbers<float>({1.5f, -2.0f})))) ==
        std::vector<float>{1.5f, -2.0f});
  CHECK(values<double>(parse(npy(dict("<f8", "(1,)"), numbers<double>({0.1}), 2))) == std::vector<double>{0.1});
  CHECK(values<double>(parse(npy(dict(">f8", "(1,)"), numbers<double>({0.1}, true), 3))) == std::vector<double>{0.1});
  CHECK(values<std::int64_t>(parse(npy(dict("<i8", "(1,)"), numbers<std::int64_t>({INT64_MIN})))) ==
        std::vector<std::int64_t>{INT64_MIN});
  CHECK(values<std::int32_t>(parse(npy(dict(">i4", "(2,)"), numbers<std::int32_t>({-5, 6}, true)))) ==
        std::vector<std::int32_t>{-5, 6});
  CHECK(values<std::int32_t>(parse(npy(dict("<i2", "(1,)"), numbers<std::int16_t>({-300})))) ==
        std::vector<std::int32_t>{-300});
  CHECK(values<std::int64_t>(parse(npy(dict("<u4", "(1,)"), numbers<std::uint32_t>({4000000000u})))) ==
        std::vector<std::int64_t>{4000000000});
  CHECK(values<std::uint8_t>(parse(npy(dict("|u1", "(2,)"), {7, 255}))) == std::vector<std::uint8_t>{7, 255});
  CHECK(values<bool>(parse(npy(dict("|b1", "(3,)"), {0, 1, 77}))) == std::vector<bool>{false, true, true});
}

TEST_CASE("npy: shapes and orders") {
  CHECK(parse(npy(dict("<f4", "()"), numbers<float>({3.0f}))).item() == 3.0);
  CHECK(parse(npy(dict("<f4", "(0, 4)"), {})).shape() == Shape{0, 4});
  const Tensor t = parse(npy(dict("<i4", "(2, 3)", "True"), numbers<std::int32_t>({0, 3, 1, 4, 2, 5})));
  CHECK(t.shape() == Shape{2, 3});
  CHECK(values<std::int32_t>(t) == std::vector<std::int32_t>{0, 1, 2, 3, 4, 5});
  const Tensor cube = parse(npy(dict("|u1", "(2, 2, 2)", "True"), {0, 4, 2, 6, 1, 5, 3, 7}));
  CHECK(values<std::uint8_t>(cube) == std::vector<std::uint8_t>{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(parse(npy("{\"shape\": (3L,), \"descr\": \"|u1\", \"fortran_order\": False}", {1, 2, 3})).shape() == Shape{3});
}

TEST_CASE("npy: what is refused") {
  const Bytes one = numbers<float>({1.0f});
  CHECK_REFUSED(data::read_npy("/nowhere/a.npy"), "read_npy: /nowhere/a.npy: cannot be opened");
  CHECK_REFUSED(parse({}), "a.npy: is empty");
  CHECK_REFUSED(parse(bytes_from("hello world")), "is no .npy file");
  CHECK_REFUSED(parse(bytes_from("PK\3\4......")), "read_npz");
  CHECK_REFUSED(parse(npy(dict("<f4", "(1,)"), one, 9)), "unknown version: 9.0");
  CHECK_REFUSED(parse(npy(dict("<f4", "(2,)"), one)), "cut short", "8 bytes, 4 follow");
  CHECK_REFUSED(parse(npy(dict("<f4", "()"), numbers<float>({1, 2}))), "longer than its header tells");
  CHECK_REFUSED(parse(npy(dict("|O", "(1,)"), one)), "Python objects", "pickle", "astype");
  CHECK_REFUSED(parse(npy(dict("<U8", "(1,)"), one)), "cannot be read: '<U8'", "integers");
  CHECK_REFUSED(parse(npy(dict("<f2", "(1,)"), one)), "'<f2'", "astype(\"float32\")");
  CHECK_REFUSED(parse(npy(dict("<u8", "(1,)"), one)), "'<u8'");
  CHECK_REFUSED(parse(npy(dict("", "(1,)"), one)), "cannot be read");
  CHECK_REFUSED(parse(npy(dict("xf4", "(1,)"), one)), "cannot be read");
  CHECK_REFUSED(parse(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", one)),
                "records with named fields");
  CHECK_REFUSED(parse(npy(dict("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), one)), "too many axes: 9");
  CHECK_REFUSED(parse(npy(dict("<f4", "(18446744073709551615, 2)"), one)), "header is damaged");
  CHECK_REFUSED(parse(npy(dict("<f4", "(99999999999999999999,)"), one)), "header is damaged");
  CHECK_REFUSED(parse(npy(dict("<f4", "(-1,)"), one)), "header is damaged");
  CHECK_REFUSED(parse(npy(dict("<f4", "(0, 9223372036854775807, 9223372036854775807)"), {})), "header is damaged");
  for (const char* header : {"", "{", "{}", "[1]", "{'descr': '<f4'", "{'descr': '<f4', 'shape': (1,)}",
                             "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
                             "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
                             "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "{'descr: "})
    CHECK_REFUSED(parse(npy(header, one)), "header is damaged");
  Bytes long_header = npy(dict("<f4", "(1,)"), one, 2);
  long_header[11] = 0x7F;
  CHECK_REFUSED(parse(long_header), "header is damaged");
  Bytes cut = npy(dict("<f4", "(1,)"), one);
  cut.resize(40);
  CHECK_REFUSED(parse(cut), "ends within its header");
}

TEST_CASE("npz: stored and deflated entries") {
  const Bytes x = npy(dict("<f4", "(2,)"), numbers<float>({1.0f, 2.0f})), y = npy(dict("|u1", "(3,)"), {1, 2, 3});
  const Folder folder;
  const auto read = [&](const Zip& zip) { return data::read_npz(write(folder / "a.npz", zip.bytes())); };
  const auto arrays = read({{{"x.npy", x, x}, {"y.npy", y, y}}});
  REQUIRE(arrays.size() == 2);
  CHECK(arrays[0].first == "x");
  CHECK(values<float>(arrays[0].second) == std::vector<float>{1.0f, 2.0f});
  CHECK(arrays[1].first == "y");
  // A stored block is a deflated stream, too.
  Bytes deflated{1};
  append(deflated, static_cast<std::uint16_t>(y.size()));
  append(deflated, static_cast<std::uint16_t>(~y.size()));
  append(deflated, y);
  CHECK(values<std::uint8_t>(read({{{"y.npy", deflated, y, 8}}})[0].second) == std::vector<std::uint8_t>{1, 2, 3});
}

TEST_CASE("npz: what is refused") {
  const Bytes y = npy(dict("|u1", "(3,)"), {1, 2, 3});
  const Folder folder;
  const auto read = [&](const Bytes& bytes) { return data::read_npz(write(folder / "a.npz", bytes)); };
  const Bytes good = Zip{{{"y.npy", y, y}}}.bytes();
  CHECK_REFUSED(read({}), "a.npz: is empty");
  CHECK_REFUSED(read(y), "single array: use read_npy");
  CHECK_REFUSED(read(Bytes(good.begin(), good.end() - 30)), "cut short");
  CHECK_REFUSED(read(Zip{}.bytes()), "holds no arrays");
  CHECK_REFUSED(read(Zip{{{"y.npy", y, y}, {"y.npy", y, y}}}.bytes()), "two arrays of one name: 'y'");
  CHECK_REFUSED(read(Zip{{{"y.txt", y, y}}}.bytes()), "no array: 'y.txt'");
  CHECK_REFUSED(read(Zip{{{"y.npy", y, y, 0, 1}}}.bytes()), "encrypted");
  CHECK_REFUSED(read(Zip{{{"y.npy", y, y, 12}}}.bytes()), "unknown method: 12");
  CHECK_REFUSED(read(Zip{{{"y.npy", y, Bytes(y.rbegin(), y.rend())}}}.bytes()), "checksum");
  CHECK_REFUSED(read(Zip{{{"y.npy", from_hex("07"), y, 8}}}.bytes()), "cannot be unpacked");
  // Every byte of the directory changed: an error or the same array, never anything else.
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes wrong = good;
    wrong[i] ^= 0xFF;
    try {
      const std::vector<std::uint8_t> got = values<std::uint8_t>(read(wrong).at(0).second);
      CHECK(got == std::vector<std::uint8_t>{1, 2, 3});
    } catch (const FileError&) {}
  }
}
