// Workspace: the pointers, arena and scratch of one running Program. One per thread that runs it; the Program is
// shared.
#pragma once

#include <atomic>
#include <memory>

#include "core/parallel.hpp"
#include "graph/grid.hpp"
#include "program/program.hpp"

namespace chainrule {

class Workspace {
 public:
  explicit Workspace(std::shared_ptr<const Program> program, int threads);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  const Program& program() const { return *program_; }
  int threads() const { return threads_; }
  void bind_input(std::size_t input, const void* data);  // stays bound until bound again
  const void* output(std::size_t i) const;
  bool stale() const;  // a bound tensor changed its type, or another number of threads is wanted: compile again
  void refresh();      // reads the bound tensors' addresses anew, should they have moved
  void run();          // one run, on its own team if it uses one; throws what a kernel's status says

  // One run; marks[0] becomes its start and marks[i + 1] the time at which group i was done, by `now`.
  void run_marked(std::int64_t (*now)(), std::vector<std::int64_t>& marks);

  // For runs within a team that lives longer: every thread of the team calls it, none throws.
  void run_as(int thread, Team& team) noexcept;
  bool failed() const noexcept { return failure_.load(std::memory_order_relaxed) != 0; }
  void throw_failure();                     // as an exception, and forgets it
  void count_versions(std::uint64_t runs);  // bumps what the runs have written

 private:
  void* resolve(const Location& location) const;
  const kernels::Plan& plan_of(const Instruction& instruction) const {
    return program_->plans[static_cast<std::size_t>(instruction.plan)];
  }
  const kernels::Plan& leader_of(const Group& group) const {
    return plan_of(program_->instructions[static_cast<std::size_t>(group.first)]);
  }
  template <class Mark> void run_groups(int thread, Team& team, const Mark& mark) noexcept;
  void execute(const Group& group, int part, int parts, void* scratch) noexcept;
  void execute_rows(std::int32_t first, int count, const Part& part, std::int64_t tile, void* scratch) noexcept;
  void write_back() noexcept;

  std::shared_ptr<const Program> program_;
  int requested_, threads_;
  std::byte* arena_ = nullptr;
  std::byte* scratch_ = nullptr;
  std::size_t scratch_each_ = 0;
  std::vector<const void*> inputs_;
  std::vector<void*> pointers_;                               // one per operand
  std::vector<std::pair<std::size_t, std::size_t>> patches_;  // (input, operand)
  std::vector<std::byte*> bound_at_;
  std::vector<Grid> grids_;               // one per group, for threads_
  std::atomic<std::int64_t> failure_{0};  // (instruction + 1) << 8 | status
};

}  // namespace chainrule
