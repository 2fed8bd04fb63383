// Sources of tensors in memory and of pieces that a function gives. NpySource is in io/npy_source.cpp.
#include "chainrule/data_sources.hpp"

#include <algorithm>
#include <cstring>

#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "train/batched_run.hpp"

namespace chainrule::data {
namespace {

// Every tensor of these rows: inputs, targets, weights.
std::vector<Tensor> tensors_of(const SourceRows& rows) {
  std::vector<Tensor> all = rows.x;
  if (rows.y.defined()) all.push_back(rows.y);
  if (rows.weight.defined()) all.push_back(rows.weight);
  return all;
}

template <class Change> SourceRows changed(const SourceRows& rows, const Change& change) {
  SourceRows result;
  for (const Tensor& t : rows.x) result.x.push_back(change(t));
  if (rows.y.defined()) result.y = change(rows.y);
  if (rows.weight.defined()) result.weight = change(rows.weight);
  return result;
}

SourceRows part(const SourceRows& rows, std::int64_t first, std::int64_t count) {
  return changed(rows, [&](const Tensor& t) {
    if (first == 0 && count == t.shape(0)) return t;
    const auto* begin = static_cast<const std::byte*>(t.raw_data()) + static_cast<std::size_t>(first) * row_bytes(t);
    const TensorType type = batch_type(t, count);
    return Tensor::view_raw(begin, type.shape, type.dtype, std::make_shared<Tensor>(t));
  });
}

std::int64_t rows_in(const char* who, const SourceRows& rows) {
  const std::int64_t count = common_rows(who, rows.x, rows.y);
  if (rows.weight.defined()) common_rows(who, {rows.x[0], rows.weight});
  return count;
}

void copy_rows(const SourceRows& from, const SourceRows& to, std::int64_t at) {
  const std::vector<Tensor> sources = tensors_of(from), targets = tensors_of(to);
  bool same = sources.size() == targets.size();
  for (std::size_t i = 0; same && i < sources.size(); ++i)
    same = batch_type(sources[i], 1) == batch_type(targets[i], 1);
  if (!same) fail<ValueError>("GeneratorSource", "two pieces differ in more than the number of rows");
  for (std::size_t i = 0; i < sources.size(); ++i)
    std::memcpy(bytes_of(targets[i]) + static_cast<std::size_t>(at) * row_bytes(targets[i]), sources[i].raw_data(),
                static_cast<std::size_t>(sources[i].shape(0)) * row_bytes(sources[i]));
}

void check_window_rows(const char* who, std::int64_t window_rows) {
  if (window_rows < 0) fail<ValueError>(who, "window_rows must be at least 1", std::to_string(window_rows));
}

}  // namespace

SourceRows Source::window(std::int64_t first, std::int64_t count) {
  const std::lock_guard lock(mutex_);
  const std::int64_t all = rows();
  if (first < 0 || count < 1 || first + count > all)
    fail<IndexError>(
        "read", "rows are out of range",
        std::to_string(first) + " ... " + std::to_string(first + count - 1) + " of " + std::to_string(all));
  SourceRows got = read(first, count);
  if (const std::int64_t given = rows_in("read", got); given != count)
    fail<ShapeError>("read", "the source gave another number of rows than it was asked for",
                     std::to_string(given) + " for " + std::to_string(count) + " of " + str());
  return got;
}

ArraySource::ArraySource(SourceRows rows, const SourceOptions& options)
    : all_(std::move(rows)), window_rows_(options.window_rows) {
  const std::int64_t count = rows_in("ArraySource", all_);
  check_window_rows("ArraySource", window_rows_);
  if (window_rows_ == 0) window_rows_ = count;
}
std::int64_t ArraySource::rows() { return all_.x[0].shape(0); }
SourceRows ArraySource::read(std::int64_t first, std::int64_t count) { return part(all_, first, count); }
std::string ArraySource::str() const { return "ArraySource(" + std::to_string(all_.x[0].shape(0)) + " rows)"; }

GeneratorSource::GeneratorSource(std::function<Next()> start, const GeneratorSourceOptions& options)
    : start_(std::move(start)), options_(options), rows_(options.rows) {
  if (!start_) fail<StateError>("GeneratorSource", "the function is empty", "", "give one that starts a pass");
  if (options.rows < 0) fail<ValueError>("GeneratorSource", "rows must be at least 1", std::to_string(options.rows));
  check_window_rows("GeneratorSource", options.window_rows);
}

// Pieces without rows are passed over.
bool GeneratorSource::next_piece() {
  for (;;) {
    piece_ = {};
    used_ = 0;
    if (!next_(piece_)) return false;
    if (piece_.x.empty() || piece_.x[0].rank() == 0 || piece_.x[0].shape(0) > 0) break;
  }
  rows_in("GeneratorSource", piece_);
  return true;
}

// A pass that has failed is over.
template <class Work> auto GeneratorSource::in_pass(const Work& work) {
  const std::lock_guard one_thread(pass_);
  try {
    return work();
  } catch (...) {
    next_ = {};
    throw;
  }
}

std::int64_t GeneratorSource::rows() {
  if (rows_ > 0) return rows_;
  return in_pass([&]() -> std::int64_t {
    if (rows_ > 0) return rows_;  // another thread has counted meanwhile
    next_ = start_();
    std::int64_t count = 0;
    while (next_piece()) count += piece_.x[0].shape(0);
    next_ = {};
    piece_ = {};
    if (count == 0)
      fail<ValueError>("GeneratorSource", "a pass gave no rows", "",
                       "give a function that makes a new generator in each call");
    return rows_ = count;
  });
}

// Rows are copied: who makes pieces may use their memory again.
SourceRows GeneratorSource::read(std::int64_t first, std::int64_t count) {
  return in_pass([&] {
    if (!next_ || first < at_) {
      next_ = {};
      next_ = start_();
      piece_ = {};
      used_ = at_ = 0;
    }
    SourceRows window;
    for (std::int64_t filled = 0; filled < count;) {
      std::int64_t left = piece_.x.empty() ? 0 : piece_.x[0].shape(0) - used_;
      if (left == 0) {
        if (!next_piece())
          fail<ValueError>("GeneratorSource", "a pass ended early",
                           "after " + std::to_string(at_) + " of " + std::to_string(rows_) + " rows",
                           "every pass must give the same rows");
        left = piece_.x[0].shape(0);
      }
      const std::int64_t skipped = std::clamp<std::int64_t>(first - at_, 0, left);
      at_ += skipped, used_ += skipped, left -= skipped;
      if (at_ < first) continue;
      const std::int64_t taken = std::min(left, count - filled);
      const SourceRows piece = part(piece_, used_, taken);
      if (filled == 0) window = changed(piece, [&](const Tensor& t) { return make_tensor(batch_type(t, count)); });
      copy_rows(piece, window, filled);
      at_ += taken, used_ += taken, filled += taken;
    }
    return window;
  });
}

std::string GeneratorSource::str() const {
  return "GeneratorSource(" + (rows_ > 0 ? std::to_string(rows_) + " rows)" : std::string("rows not counted yet)"));
}

}  // namespace chainrule::data
