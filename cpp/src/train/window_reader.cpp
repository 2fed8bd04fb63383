// Reads a source window by window, one ahead.
#include "train/window_reader.hpp"

#include <algorithm>

#include "core/fail.hpp"
#include "train/batched_run.hpp"
#include "train/shuffle.hpp"

namespace chainrule {
namespace {

constexpr std::size_t window_bytes = std::size_t{64} << 20;

}  // namespace

WindowReader::WindowReader(const char* who, std::shared_ptr<data::Source> source, std::int64_t batch_size)
    : who_(who), source_(std::move(source)) {
  if (!source_) fail<StateError>(who, "the source is null", "", "make one first");
  if (batch_size < 1) fail<ValueError>(who, "batch_size must be at least 1", std::to_string(batch_size));
  rows_ = source_->rows();
  if (rows_ < 1) fail<ValueError>(who, "the source has no rows", source_->str());
  window_rows_ = source_->window_rows();
  if (window_rows_ < 1) {
    const data::SourceRows row = source_->window(0, 1);
    std::size_t bytes = sizeof(std::int64_t);  // in the order of rows
    for (const Tensor& t : row.x) bytes += row_bytes(t);
    if (row.y.defined()) bytes += row_bytes(row.y);
    window_rows_ = static_cast<std::int64_t>(window_bytes / bytes);
  }
  const std::int64_t batch = std::min(batch_size, rows_);
  window_rows_ = window_rows_ < rows_ ? std::max<std::int64_t>(1, window_rows_ / batch) * batch : rows_;
}

WindowReader::~WindowReader() {
  if (next_.valid()) next_.wait();
}

std::vector<std::int64_t> WindowReader::order(std::uint64_t seed, std::uint64_t epoch, bool shuffle) const {
  std::vector<std::int64_t> order = data::ascending(windows());
  if (!shuffle || !any_order()) return order;
  const bool shorter_last = rows_ % window_rows_ != 0;
  if (shorter_last) order.pop_back();
  data::Words words(seed, epoch, data::window_stream);
  data::shuffle(order, words);
  if (shorter_last) order.push_back(windows() - 1);
  return order;
}

data::SourceRows WindowReader::read(std::int64_t window) const {
  return source_->window(first_row(window), rows_in(window));
}

// Steps are compiled once: all windows are alike.
void WindowReader::check(const data::SourceRows& rows) {
  std::vector<TensorType> types;
  for (const Tensor& t : rows.x) types.push_back(batch_type(t, 1));
  if (rows.y.defined()) types.push_back(batch_type(rows.y, 1));
  if (rows.weight.defined()) types.push_back(batch_type(rows.weight, 1));
  if (types_.empty()) {
    types_ = types;
    has_target_ = rows.y.defined();
    has_weight_ = rows.weight.defined();
  }
  const auto text = [](const std::vector<TensorType>& all) {
    std::string s;
    for (const TensorType& type : all)
      s += (s.empty() ? "" : ", ") + std::string(name_of(type.dtype)) + type.shape.str();
    return s;
  };
  if (types != types_ || rows.y.defined() != has_target_ || rows.weight.defined() != has_weight_)
    fail<ValueError>(who_, "the source gave rows of another kind than before",
                     text(types) + " after " + text(types_) + " (one row each), " + source_->str());
}

const data::SourceRows& WindowReader::take(std::int64_t window, std::int64_t next) {
  if (window != window_) {
    window_ = -1;
    present_ = {};
    data::SourceRows rows;
    if (next_.valid() && ahead_ == window) {
      rows = next_.get();
    } else {
      if (next_.valid()) next_.wait();
      next_ = {};  // somebody went elsewhere: what was read for nothing may fail without a word
      rows = read(window);
    }
    check(rows);
    present_ = std::move(rows);
    window_ = window;
  }
  if (next >= 0 && next != window_ && !next_.valid()) {
    ahead_ = next;
    next_ = std::async(std::launch::async, [this, next] { return read(next); });
  }
  return present_;
}

void WindowReader::drop() {
  if (windows() == 1) return;
  window_ = -1;
  present_ = {};
}

}  // namespace chainrule
