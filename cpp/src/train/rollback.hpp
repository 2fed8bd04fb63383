// What a training can go back to: everything its steps write, and its counters, as they were before two earlier
// batches.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "program/program.hpp"

namespace chainrule {

class Rollback {
 public:
  struct Place {
    std::int64_t batch = -1;  // counted over all epochs of the fit; -1: nothing saved
    std::uint64_t global_step = 0, epochs = 0;
    std::int64_t optimizer_steps = 0;
  };

  // A step's program: all steps of a trainer write the same tensors.
  explicit Rollback(const Program& step);
  void save(const Place& place, bool keep_start);  // over the older place; keep_start: never over batch 0
  // The newest place at or before a batch; null where there is none.
  const Place* place_before(std::int64_t batch) const;
  void restore(const Place& place) const;

 private:
  struct Saved {
    Place place;
    std::vector<std::byte> bytes;
  };
  std::vector<Tensor> written_;
  std::size_t total_ = 0;
  std::array<Saved, 2> saved_;
};

}  // namespace chainrule
