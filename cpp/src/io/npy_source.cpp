// NPY files as a source: windows are views of the mapped files where the elements are as tensors have them.
#include <bit>

#include "chainrule/data_sources.hpp"
#include "io/mapped_file.hpp"
#include "io/npy.hpp"

namespace chainrule::data {
namespace {

constexpr const char* reader = "NpySource";

// The dtype of elements that can stay where they are.
std::optional<DType> same_dtype(io::Element element) {
  switch (element) {
    case io::Element::u8:
      return DType::uint8;
    case io::Element::i32:
      return DType::int32;
    case io::Element::i64:
      return DType::int64;
    case io::Element::f32:
      return DType::float32;
    case io::Element::f64:
      return DType::float64;
    default:
      return {};
  }
}

}  // namespace

class NpySource::File : public std::enable_shared_from_this<NpySource::File> {
 public:
  explicit File(const std::string& path) : file_(path, reader), layout_(io::npy_layout(file_.bytes(), path, reader)) {
    const auto& shape = layout_.shape;
    if (shape.empty() || shape[0] == 0)
      io::file_fail<ShapeError>(reader, path, "has no rows", shape.empty() ? "its shape is ()" : "",
                                "save an array of one row per sample");
    if (layout_.fortran_order && shape.size() > 1)
      io::file_fail(reader, path, "is in Fortran order, in which rows are not contiguous", "",
                    "save numpy.ascontiguousarray(array)");
    row_bytes_ = layout_.bytes / shape[0];
    const bool native = layout_.big_endian == (std::endian::native == std::endian::big);
    if (native || io::size_of(layout_.element) == 1) dtype_ = same_dtype(layout_.element);
    if (layout_.offset % io::size_of(layout_.element) != 0) dtype_.reset();
  }
  std::int64_t rows() const { return static_cast<std::int64_t>(layout_.shape[0]); }
  const std::string& path() const { return file_.path(); }

  Tensor read(std::int64_t first, std::int64_t count) const {
    const std::size_t bytes = static_cast<std::size_t>(count) * row_bytes_;
    const std::size_t begin = layout_.offset + static_cast<std::size_t>(first) * row_bytes_;
    file_.check_unchanged();
    file_.fetch(begin, bytes);
    std::vector<std::uint64_t> shape = layout_.shape;
    shape[0] = static_cast<std::uint64_t>(count);
    if (!dtype_) {
      const Tensor copy = io::npy_elements(file_.bytes().subspan(begin, bytes), layout_, shape);
      file_.release(begin, bytes);
      return copy;
    }
    Shape sizes;
    for (const std::uint64_t size : shape) sizes.push_back(static_cast<std::int64_t>(size));
    // The window's pages go with its tensor.
    const unsigned char* data = file_.bytes().data() + begin;
    const auto release = [file = shared_from_this(), begin, bytes](void*) { file->file_.release(begin, bytes); };
    return Tensor::view_raw(data, sizes, *dtype_, std::shared_ptr<void>(const_cast<unsigned char*>(data), release));
  }

 private:
  io::MappedFile file_;
  io::NpyLayout layout_;
  std::size_t row_bytes_ = 0;
  std::optional<DType> dtype_;  // where rows can be read in place
};

NpySource::NpySource(const std::vector<std::string>& x, const std::string& y, const SourceOptions& options)
    : window_rows_(options.window_rows) {
  if (x.empty()) fail<ValueError>(reader, "no file was given");
  for (const std::string& path : x) x_.push_back(std::make_shared<File>(path));
  if (!y.empty()) y_ = std::make_shared<File>(y);
  const auto check = [&](const File& file) {
    if (file.rows() != x_[0]->rows())
      io::file_fail<ShapeError>(
          reader, file.path(), "numbers of rows differ",
          std::to_string(file.rows()) + " where " + x_[0]->path() + " has " + std::to_string(x_[0]->rows()));
  };
  for (const auto& file : x_) check(*file);
  if (y_) check(*y_);
}

NpySource::~NpySource() = default;
std::int64_t NpySource::rows() { return x_[0]->rows(); }

SourceRows NpySource::read(std::int64_t first, std::int64_t count) {
  SourceRows rows;
  for (const auto& file : x_) rows.x.push_back(file->read(first, count));
  if (y_) rows.y = y_->read(first, count);
  return rows;
}

std::string NpySource::str() const {
  return "NpySource(" + x_[0]->path() + ": " + std::to_string(x_[0]->rows()) + " rows)";
}

}  // namespace chainrule::data
