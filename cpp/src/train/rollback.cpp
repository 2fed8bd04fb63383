// Copies of parameters, optimizer states and buffers, and the way back to them.
#include "train/rollback.hpp"

#include <algorithm>
#include <cstring>

#include "core/parallel.hpp"
#include "core/storage.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {

constexpr std::size_t bytes_worth_threads = std::size_t{1} << 20;

std::size_t bytes_in(const Tensor& t) { return static_cast<std::size_t>(t.size()) * size_of(t.dtype()); }

}  // namespace

Rollback::Rollback(const Program& step, Blocks& blocks, const std::vector<Tensor>& also) : blocks_(blocks) {
  for (const std::int32_t at : step.written) written_.push_back(step.bound[static_cast<std::size_t>(at)]);
  written_.insert(written_.end(), also.begin(), also.end());
  for (const Tensor& t : written_) total_ += bytes_in(t);
  read_ = step.bound;
  read_.insert(read_.end(), also.begin(), also.end());
}

// copy(tensor's bytes, place in the block, how many), each thread its part of all bytes.
template <class Copy> void Rollback::copy_all(const Copy& copy) const {
  run_team(total_ < bytes_worth_threads ? 1 : available_threads(), [&](int thread, Team& team) {
    const auto edge = [&](int part) {
      return total_ * static_cast<std::size_t>(part) / static_cast<std::size_t>(team.size);
    };
    const std::size_t begin = edge(thread), end = edge(thread + 1);
    std::size_t at = 0;
    for (const Tensor& t : written_) {
      const std::size_t next = at + bytes_in(t), first = std::max(at, begin), last = std::min(next, end);
      if (first < last) copy(bytes_of(t) + (first - at), first, last - first);
      at = next;
    }
  });
}

void Rollback::save(const Place& place, bool keep_first) {
  const std::size_t older = keep_first && places_[0].batch >= 0 ? 1 : places_[0].batch <= places_[1].batch ? 0 : 1;
  Block& block = blocks_[older];
  if (block.bytes != total_) {
    block = {};
    block = {{static_cast<std::byte*>(allocate_aligned(total_)), free_aligned}, total_};
  }
  copy_all(
      [to = block.data.get()](const std::byte* from, std::size_t at, std::size_t n) { std::memcpy(to + at, from, n); });
  places_[older] = place;
}

const Rollback::Place* Rollback::place_before(std::int64_t batch) const {
  const Place* newest = nullptr;
  for (const Place& place : places_)
    if (place.batch >= 0 && place.batch <= batch && (newest == nullptr || place.batch > newest->batch)) newest = &place;
  return newest;
}

std::uint64_t Rollback::versions() const {
  std::uint64_t sum = 0;
  for (const Tensor& t : read_) sum += t.data_handle()->storage->version;
  return sum;
}

void Rollback::restore(const Place& place) const {
  const Block& block = blocks_[static_cast<std::size_t>(&place - places_.data())];
  copy_all([from = block.data.get()](std::byte* to, std::size_t at, std::size_t n) { std::memcpy(to, from + at, n); });
  for (const Tensor& t : written_) ++t.data_handle()->storage->version;
}

}  // namespace chainrule
