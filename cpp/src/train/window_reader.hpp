// The windows of a source: how many there are, their order in an epoch, and a thread that reads the next one while the
// present one is in use.
#pragma once

#include <future>
#include <vector>

#include "chainrule/data_sources.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {

class WindowReader {
 public:
  // Windows are whole batches, but for the last one. who: the call that errors name.
  WindowReader(const char* who, std::shared_ptr<data::Source> source, std::int64_t batch_size);
  ~WindowReader();
  WindowReader(const WindowReader&) = delete;
  WindowReader& operator=(const WindowReader&) = delete;

  std::int64_t rows() const { return rows_; }
  std::int64_t windows() const { return (rows_ + window_rows_ - 1) / window_rows_; }
  std::int64_t window_rows() const { return window_rows_; }
  std::int64_t first_row(std::int64_t window) const { return window * window_rows_; }
  std::int64_t rows_in(std::int64_t window) const { return std::min(window_rows_, rows_ - first_row(window)); }
  bool any_order() const { return windows() == 1 || source_->any_order(); }
  std::string str() const { return source_->str(); }

  // Of one epoch: a window that is shorter comes last.
  std::vector<std::int64_t> order(std::uint64_t seed, std::uint64_t epoch, bool shuffle) const;
  // Holds until the next call. next: what to read ahead; -1: nothing.
  const data::SourceRows& take(std::int64_t window, std::int64_t next);
  void drop();  // what was taken, where it would have to be read again anyway

 private:
  data::SourceRows read(std::int64_t window) const;
  void check(const data::SourceRows& rows);

  const char* who_;
  std::shared_ptr<data::Source> source_;
  std::int64_t rows_, window_rows_;
  std::vector<TensorType> types_{};  // of one row
  bool has_target_ = false, has_weight_ = false;
  std::int64_t window_ = -1, ahead_ = -1;
  data::SourceRows present_{};
  std::future<data::SourceRows> next_{};  // of window ahead_
};

}  // namespace chainrule
