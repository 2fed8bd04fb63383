// The windows of a source: how many there are, their order in an epoch, and a thread that reads the next one while the
// present one is in use.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "chainrule/data_sources.hpp"
#include "chainrule/error.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {

// Whoever waited for a source wants no more of it.
class ReadStopped : public StateError {
  using StateError::StateError;
};

// A thread that reads. It owns the source, too, so that it may be left behind where it hangs.
class Reading {
 public:
  using Work = std::function<data::SourceRows(data::Source&)>;
  Reading(std::shared_ptr<data::Source> source, Work work);
  ~Reading();  // waits, unless it was left behind
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  bool ready_within(std::chrono::milliseconds time) const;
  data::SourceRows get();  // throws what the work has thrown
  void leave();

 private:
  std::shared_ptr<std::atomic<bool>> left_ = std::make_shared<std::atomic<bool>>(false);
  std::future<data::SourceRows> rows_;
  std::thread thread_;
};

struct WindowReaderOptions {
  bool whole_batches = true;        // windows are, but for the last one; else a batch may be cut to a window
  std::function<bool()> on_wait{};  // asked every 50 ms while a read is waited for; false: ReadStopped
};

class WindowReader {
 public:
  // who: the call that errors name.
  WindowReader(const char* who, std::shared_ptr<data::Source> source, std::int64_t batch_size,
               WindowReaderOptions options = {});
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
  std::string kind() const;  // that without arguments, such as a file's path

  // Of one epoch: a window that is shorter comes last.
  std::vector<std::int64_t> order(std::uint64_t seed, std::uint64_t epoch, bool shuffle) const;
  // Holds until the next call. next: what to read ahead; -1: nothing.
  const data::SourceRows& take(std::int64_t window, std::int64_t next);
  void drop();  // what was taken, where it would have to be read again anyway
  void stop();  // nobody waits any more for what is read ahead

 private:
  Reading::Work work(std::int64_t window) const;
  data::SourceRows wait(std::unique_ptr<Reading> reading) const;
  data::SourceRows read(const Reading::Work& work) const;
  void check(const data::SourceRows& rows);

  const char* who_;
  std::shared_ptr<data::Source> source_;
  WindowReaderOptions options_;
  std::int64_t rows_, window_rows_;
  std::vector<TensorType> types_{};  // of one row
  bool has_target_ = false, has_weight_ = false;
  std::int64_t window_ = -1, ahead_ = -1;
  data::SourceRows present_{};
  std::unique_ptr<Reading> next_{};  // of window ahead_
};

}  // namespace chainrule
