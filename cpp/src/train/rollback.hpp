// What a training can go back to: everything its steps write, and its counters, as they were before two earlier
// batches.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
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
  // Where copies lie. It outlives the fit, so that the next one finds memory whose pages are there.
  struct Block {
    std::shared_ptr<std::byte> data;
    std::size_t bytes = 0;
  };
  using Blocks = std::array<Block, 2>;

  // A step's program: all steps of a trainer write the same tensors. also: what is written outside of it.
  Rollback(const Program& step, Blocks& blocks, const std::vector<Tensor>& also = {});
  void save(const Place& place, bool keep_first);  // over the older place; keep_first: never over the first one
  // The newest place at or before a batch; null where there is none.
  const Place* place_before(std::int64_t batch) const;
  void restore(const Place& place) const;
  std::uint64_t versions() const;  // another number once somebody has written into what the steps read or write

 private:
  template <class Copy> void copy_all(const Copy& copy) const;

  std::vector<Tensor> written_, read_;
  std::size_t total_ = 0;
  std::array<Place, 2> places_;
  Blocks& blocks_;
};

}  // namespace chainrule
