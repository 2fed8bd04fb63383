// Reads a source window by window, one ahead.
#include "train/window_reader.hpp"

#include <algorithm>

#include "core/fail.hpp"
#include "train/batched_run.hpp"
#include "train/shuffle.hpp"

namespace chainrule {
namespace {

constexpr std::size_t window_bytes = std::size_t{64} << 20;
constexpr std::chrono::milliseconds between_questions{50};

}  // namespace

// The thread lets the source go before anyone hears of the result: who has that may end the program.
Reading::Reading(std::shared_ptr<data::Source> source, Work work) {
  std::promise<data::SourceRows> promise;
  rows_ = promise.get_future();
  thread_ = std::thread(
      [left = left_, promise = std::move(promise), source = std::move(source), work = std::move(work)]() mutable {
        try {
          data::SourceRows rows = work(*source);
          source.reset();
          promise.set_value(std::move(rows));
        } catch (...) {
          source.reset();
          const std::exception_ptr error = std::current_exception();
          // Nobody hears of it, and what its destructor needs, such as Python, may be gone by now.
          if (*left) new std::exception_ptr(error);
          promise.set_exception(error);
        }
      });
}

Reading::~Reading() {
  if (thread_.joinable()) thread_.join();
}

bool Reading::ready_within(std::chrono::milliseconds time) const {
  return rows_.wait_for(time) == std::future_status::ready;
}

data::SourceRows Reading::get() {
  thread_.join();
  return rows_.get();
}

void Reading::leave() {
  *left_ = true;
  thread_.detach();
}

namespace {

data::SourceRows wait_for(std::unique_ptr<Reading> reading, const std::function<bool()>& on_wait, const char* who,
                          const data::Source& source) {
  while (on_wait && !reading->ready_within(between_questions)) {
    if (on_wait()) continue;
    reading->leave();
    throw ReadStopped(std::string(who) + ": stopped while it waited for " + source.str());
  }
  return reading->get();
}

data::SourceRows read_by(const std::shared_ptr<data::Source>& source, const Reading::Work& work,
                         const std::function<bool()>& on_wait, const char* who) {
  return on_wait ? wait_for(std::make_unique<Reading>(source, work), on_wait, who, *source) : work(*source);
}

std::int64_t count_by(const std::shared_ptr<data::Source>& source, const std::function<bool()>& on_wait,
                      const char* who) {
  const auto counted = std::make_shared<std::int64_t>(0);
  const auto count = [counted](data::Source& s) {
    *counted = s.rows();
    return data::SourceRows();
  };
  read_by(source, count, on_wait, who);
  return *counted;
}

}  // namespace

std::int64_t data::count_rows(const std::shared_ptr<Source>& source, const std::function<bool()>& on_wait) {
  return count_by(source, on_wait, "rows");
}

data::SourceRows data::read_rows(const std::shared_ptr<Source>& source, std::int64_t first, std::int64_t count,
                                 const std::function<bool()>& on_wait) {
  return read_by(source, [=](Source& s) { return s.window(first, count); }, on_wait, "read");
}

WindowReader::WindowReader(const char* who, std::shared_ptr<data::Source> source, std::int64_t batch_size,
                           WindowReaderOptions options)
    : who_(who), source_(std::move(source)), options_(std::move(options)) {
  if (!source_) fail<StateError>(who, "the source is null", "", "make one first");
  if (batch_size < 1) fail<ValueError>(who, "batch_size must be at least 1", std::to_string(batch_size));
  rows_ = count_by(source_, options_.on_wait, who);  // which may take a whole pass
  if (rows_ < 1) fail<ValueError>(who, "the source has no rows", source_->str());
  window_rows_ = source_->window_rows();
  if (window_rows_ < 1) {
    const data::SourceRows row = read([](data::Source& s) { return s.window(0, 1); });
    std::size_t bytes = sizeof(std::int64_t);  // in the order of rows
    for (const Tensor& t : row.x) bytes += row_bytes(t);
    if (row.y.defined()) bytes += row_bytes(row.y);
    window_rows_ = static_cast<std::int64_t>(window_bytes / bytes);
  }
  std::int64_t batch = std::min(batch_size, rows_);
  if (!options_.whole_batches) batch = std::clamp<std::int64_t>(window_rows_, 1, batch);
  window_rows_ = window_rows_ < rows_ ? std::max<std::int64_t>(1, window_rows_ / batch) * batch : rows_;
}

WindowReader::~WindowReader() {
  if (next_) try {
      wait(std::move(next_));
    } catch (...) {  // what was read for nothing may fail without a word
    }
}

// Whoever gave no on_wait need not know that a read may go on behind its back.
void WindowReader::stop() {
  if (next_ && options_.on_wait && !next_->ready_within(2 * between_questions)) next_->leave();
  next_ = {};  // waits where it was not left
}

std::string WindowReader::kind() const {
  const std::string text = str();
  return text.substr(0, text.find('('));
}

// Holds nothing of this reader, which a read that was left behind outlives.
Reading::Work WindowReader::work(std::int64_t window) const {
  return [first = first_row(window), count = rows_in(window)](data::Source& s) { return s.window(first, count); };
}

data::SourceRows WindowReader::wait(std::unique_ptr<Reading> reading) const {
  return wait_for(std::move(reading), options_.on_wait, who_, *source_);
}

data::SourceRows WindowReader::read(const Reading::Work& work) const {
  return read_by(source_, work, options_.on_wait, who_);
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
    if (next_ && ahead_ != window) try {  // somebody went elsewhere: what was read for nothing may fail without a word
        wait(std::move(next_));
      } catch (const ReadStopped&) { throw; } catch (...) {
      }
    rows = next_ ? wait(std::move(next_)) : read(work(window));
    check(rows);
    present_ = std::move(rows);
    window_ = window;
  }
  if (next >= 0 && next != window_ && !next_) {
    ahead_ = next;
    next_ = std::make_unique<Reading>(source_, work(next));
  }
  return present_;
}

void WindowReader::drop() {
  if (windows() == 1) return;
  window_ = -1;
  present_ = {};
}

}  // namespace chainrule
