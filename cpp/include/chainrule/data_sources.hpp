// Sources: data that need not fit into memory, read in windows of rows which fit trains on one after the other.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "chainrule/data.hpp"

namespace chainrule::data {

struct SourceRows {
  std::vector<Tensor> x;  // the model's inputs
  Tensor y{};             // targets; undefined where there are none
  Tensor weight{};        // of samples; may be undefined
};

// What fit, evaluate and predict read windows from. Another thread reads ahead, but never two at a time. An epoch takes
// every row once: windows in random order, and the rows of each window in random order; the last window, if it is
// shorter, comes last. What is further apart than a window does not meet in a batch. A source of one window is trained
// on as its tensors would be, bit by bit.
class CHAINRULE_API Source {
 public:
  virtual ~Source();
  virtual std::int64_t rows() = 0;  // may read everything once to count
  // Rows first ... first + count - 1, the same whenever they are asked for.
  virtual SourceRows read(std::int64_t first, std::int64_t count) = 0;
  // Whether windows can be read in any order. Of other sources fit takes them as they come, shuffling only within.
  virtual bool any_order() const { return true; }
  virtual std::int64_t window_rows() const { return 0; }  // fit takes whole batches; 0: as many as 64 MB hold
  virtual std::string str() const = 0;
  // read, for any thread, its result checked.
  SourceRows window(std::int64_t first, std::int64_t count);

 private:
  std::mutex mutex_;
};

// rows() and window() by another thread. on_wait is asked every 50 ms while they take; false: StateError, and the read
// is left behind: it goes on by itself, so what the source uses must live. Whoever reads that source next waits for it.
CHAINRULE_API std::int64_t count_rows(const std::shared_ptr<Source>& source, const std::function<bool()>& on_wait);
CHAINRULE_API SourceRows read_rows(const std::shared_ptr<Source>& source, std::int64_t first, std::int64_t count,
                                   const std::function<bool()>& on_wait);

struct SourceOptions {
  std::int64_t window_rows = 0;  // 0: as many as 64 MB hold
};

// Tensors in memory. One window unless window_rows is given.
class CHAINRULE_API ArraySource : public Source {
 public:
  explicit ArraySource(SourceRows rows, const SourceOptions& options = {});
  std::int64_t rows() override;
  SourceRows read(std::int64_t first, std::int64_t count) override;
  std::int64_t window_rows() const override { return window_rows_; }
  std::string str() const override;

 private:
  SourceRows all_;
  std::int64_t window_rows_;
};

// NPY files, mapped: rows of float32, float64, int32, int64 and uint8 are read where they lie, in the system's cache of
// the file; others are converted window by window. The files must not change meanwhile. y may be empty: no targets.
class CHAINRULE_API NpySource : public Source {
 public:
  NpySource(const std::vector<std::string>& x, const std::string& y, const SourceOptions& options = {});
  NpySource(const std::string& x, const std::string& y, const SourceOptions& options = {})
      : NpySource(std::vector<std::string>{x}, y, options) {}
  ~NpySource() override;
  std::int64_t rows() override;
  SourceRows read(std::int64_t first, std::int64_t count) override;
  std::int64_t window_rows() const override { return window_rows_; }
  std::string str() const override;

 private:
  class File;
  std::vector<std::shared_ptr<File>> x_;
  std::shared_ptr<File> y_;
  std::int64_t window_rows_;
};

struct CsvSourceOptions {
  CsvOptions csv{};
  std::int64_t window_rows = 0;  // 0: as many as 64 MB hold, encoded
};
// A CSV file, encoded by a schema (which fit_schema learns from read_csv of some rows). One pass at the beginning
// counts rows, notes where they are, and finds which columns are numbers. The file must not change meanwhile.
class CHAINRULE_API CsvSource : public Source {
 public:
  CsvSource(const std::string& path, Schema schema, const CsvSourceOptions& options = {});
  ~CsvSource() override;
  std::int64_t rows() override;
  SourceRows read(std::int64_t first, std::int64_t count) override;
  std::int64_t window_rows() const override;
  std::string str() const override;

 private:
  class File;
  std::unique_ptr<File> file_;
};

struct GeneratorSourceOptions {
  std::int64_t rows = 0;         // of an epoch; 0: counted, by one pass before the first epoch
  std::int64_t window_rows = 0;  // 0: as many as 64 MB hold
};
// Pieces of any number of rows, one after the other. start() begins a pass, what it returns gives the next piece, whose
// memory it may use again for the one after it, or false at the end. Every pass must give the same rows.
class CHAINRULE_API GeneratorSource : public Source {
 public:
  using Next = std::function<bool(SourceRows& piece)>;
  explicit GeneratorSource(std::function<Next()> start, const GeneratorSourceOptions& options = {});
  std::int64_t rows() override;
  SourceRows read(std::int64_t first, std::int64_t count) override;
  bool any_order() const override { return false; }
  std::int64_t window_rows() const override { return options_.window_rows; }
  std::string str() const override;

 private:
  template <class Work> auto in_pass(const Work& work);
  bool next_piece();

  std::function<Next()> start_;
  GeneratorSourceOptions options_;
  std::recursive_mutex pass_;       // a pass is one thread's
  std::atomic<std::int64_t> rows_;  // 0: not counted yet
  Next next_;
  SourceRows piece_;                // the last one, of which rows from `used_` on are left
  std::int64_t at_ = 0, used_ = 0;  // at_: the row that comes next
};

}  // namespace chainrule::data
