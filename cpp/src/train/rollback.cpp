// Copies of parameters, optimizer states and buffers, and the way back to them.
#include "train/rollback.hpp"

#include <cstring>

#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {
std::size_t bytes_in(const Tensor& t) { return static_cast<std::size_t>(t.size()) * size_of(t.dtype()); }
}  // namespace

Rollback::Rollback(const Program& step) {
  for (const std::int32_t at : step.written) {
    written_.push_back(step.bound[static_cast<std::size_t>(at)]);
    total_ += bytes_in(written_.back());
  }
}

void Rollback::save(const Place& place, bool keep_start) {
  Saved& older = keep_start && place.batch > 0                    ? saved_[1]
                 : saved_[0].place.batch <= saved_[1].place.batch ? saved_[0]
                                                                  : saved_[1];
  older.place = place;
  older.bytes.resize(total_);
  std::byte* to = older.bytes.data();
  for (const Tensor& t : written_) {
    std::memcpy(to, bytes_of(t), bytes_in(t));
    to += bytes_in(t);
  }
}

const Rollback::Place* Rollback::place_before(std::int64_t batch) const {
  const Place* newest = nullptr;
  for (const Saved& saved : saved_)
    if (saved.place.batch >= 0 && saved.place.batch <= batch &&
        (newest == nullptr || saved.place.batch > newest->batch))
      newest = &saved.place;
  return newest;
}

void Rollback::restore(const Place& place) const {
  for (const Saved& saved : saved_) {
    if (&saved.place != &place) continue;
    const std::byte* from = saved.bytes.data();
    for (const Tensor& t : written_) {
      std::memcpy(bytes_of(t), from, bytes_in(t));
      ++t.data_handle()->storage->version;
      from += bytes_in(t);
    }
  }
}

}  // namespace chainrule
