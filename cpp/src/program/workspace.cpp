// The executor: walks the groups, alone or as one of a team.
#include "program/workspace.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {

namespace {
// Not pointer arithmetic: the result may lie outside of what the pointer points into.
void* beyond(const void* from, std::int64_t bytes) {
  return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(from) + static_cast<std::uintptr_t>(bytes));
}
}  // namespace

Workspace::Workspace(std::shared_ptr<const Program> program, int threads)
    : program_(std::move(program)), requested_(threads), threads_(program_->use_team ? std::max(1, threads) : 1) {
  arena_ = static_cast<std::byte*>(allocate_aligned(static_cast<std::size_t>(program_->arena_bytes)));
  scratch_each_ = (static_cast<std::size_t>(program_->scratch_bytes) + 63) / 64 * 64;
  scratch_ = static_cast<std::byte*>(allocate_aligned(scratch_each_ * static_cast<std::size_t>(threads_)));
  inputs_.assign(program_->graph.inputs.size(), nullptr);
  pointers_.assign(program_->operands.size(), nullptr);
  bound_at_.assign(program_->bound.size(), nullptr);
  for (std::size_t i = 0; i < program_->operands.size(); ++i) {
    const Location& location = program_->operands[i];
    if (location.segment == Segment::input)
      patches_.emplace_back(static_cast<std::size_t>(location.at), i);
    else if (location.segment != Segment::bound)
      pointers_[i] = resolve(location);
  }
  for (const Group& group : program_->groups) {
    kernels::Plan leader = leader_of(group);
    if (leader.columns > 0 && group.rows != leader.units) {  // a slab
      leader.cost *= static_cast<double>(group.rows) / static_cast<double>(leader.units);
      leader.units = group.rows;
    }
    grids_.push_back(grid_for(leader, threads_, group.count - 1));
  }
  refresh();
}

Workspace::~Workspace() {
  free_aligned(arena_);
  free_aligned(scratch_);
}

void* Workspace::resolve(const Location& location) const {
  const auto at = static_cast<std::size_t>(location.at);
  switch (location.segment) {
    case Segment::arena:
      return beyond(arena_ + at, location.offset);
    case Segment::input:
      return beyond(inputs_[at], location.offset);
    case Segment::bound:
      return beyond(bytes_of(program_->bound[at]), location.offset);
    case Segment::constant:
      return beyond(bytes_of(program_->graph.constants[at].tensor), location.offset);
  }
  return nullptr;
}

bool Workspace::stale() const {
  if (program_->use_team && requested_ != available_threads()) return true;
  for (std::size_t i = 0; i < program_->bound.size(); ++i)
    if (!(type_of(program_->bound[i]) == program_->bound_types[i])) return true;
  return false;
}

void Workspace::refresh() {
  bool moved = false;
  for (std::size_t i = 0; i < bound_at_.size(); ++i) {
    std::byte* now = bytes_of(program_->bound[i]);
    moved |= now != bound_at_[i];
    bound_at_[i] = now;
  }
  if (!moved) return;
  for (std::size_t i = 0; i < program_->operands.size(); ++i)
    if (program_->operands[i].segment == Segment::bound) pointers_[i] = resolve(program_->operands[i]);
}

void Workspace::bind_input(std::size_t input, const void* data) {
  inputs_[input] = data;
  for (const auto& [which, operand] : patches_)
    if (which == input) pointers_[operand] = beyond(data, program_->operands[operand].offset);
}

const void* Workspace::output(std::size_t i) const { return resolve(program_->outputs[i]); }

// One of `parts` equal parts of a group.
void Workspace::execute(const Group& group, int part, int parts, void* scratch) noexcept {
  const auto share = [&](std::int64_t rows) {
    const auto cut = [&](int at) { return at == parts ? rows : rows * at / parts / group.grain * group.grain; };
    return Part{{group.first_row + cut(part), group.first_row + cut(part + 1)}, {0, 0}};
  };
  const kernels::Plan& leader = leader_of(group);
  if (parts > 1 && leader.columns > 0) {
    const kernels::Range group_rows{group.first_row, group.first_row + group.rows};
    const Grid grid = parts == threads_ ? grids_[static_cast<std::size_t>(&group - program_->groups.data())]
                                        : grid_for(leader, parts, group.count - 1);
    return execute_rows(group.first, group.count, part_of(leader, group_rows, grid, part), group.tile_rows, scratch);
  }
  if (!group.beside) return execute_rows(group.first, group.count, share(group.rows), group.tile_rows, scratch);
  for (std::int32_t i = group.first; i < group.first + group.count; ++i) {
    const std::int64_t rows = plan_of(program_->instructions[static_cast<std::size_t>(i)]).units;
    execute_rows(i, 1, share(rows), rows, scratch);
  }
}

void Workspace::execute_rows(std::int32_t first, int count, const Part& part, std::int64_t tile,
                             void* scratch) noexcept {
  for (std::int64_t row = part.rows.begin; row < part.rows.end; row += tile) {
    const std::int64_t stop = std::min(part.rows.end, row + tile);
    for (std::int32_t i = first; i < first + count; ++i) {
      const Instruction& instruction = program_->instructions[static_cast<std::size_t>(i)];
      void* const* operands = pointers_.data() + instruction.first_operand;
      const kernels::Args args{const_cast<const void* const*>(operands), operands + instruction.inputs,
                               &plan_of(instruction), part.columns};
      kernels::Status status = kernels::Status::ok;
      if (part.columns.end == 0 || i == first) {
        status = instruction.kernel(args, {row * instruction.per_row, stop * instruction.per_row}, scratch);
      } else {  // element by element, behind some columns of a product
        for (std::int64_t at = row * instruction.per_row;
             at < stop * instruction.per_row && status == kernels::Status::ok; at += instruction.per_row)
          status = instruction.kernel(args, {at + part.columns.begin, at + part.columns.end}, scratch);
      }
      if (status != kernels::Status::ok) [[unlikely]] {
        std::int64_t none = 0;
        failure_.compare_exchange_strong(none,
                                         (static_cast<std::int64_t>(i) + 1) << 8 | static_cast<std::int64_t>(status));
        return;
      }
    }
  }
}

void Workspace::write_back() noexcept {
  for (const WriteBack& w : program_->write_backs) std::memmove(resolve(w.to), resolve(w.from), w.bytes);
}

// mark() is called on thread 0 before the first group and behind each; then all threads wait behind a shared one, too.
template <class Mark> void Workspace::run_groups(int thread, Team& team, const Mark& mark) noexcept {
  constexpr bool marked = !std::is_same_v<Mark, std::nullptr_t>;
  const FloatEnvironment environment;
  if constexpr (marked)
    if (thread == 0) mark();
  if (team.size == 1) {
    for (const Group& group : program_->groups) {
      execute(group, 0, 1, scratch_);
      if (failed()) return;
      if constexpr (marked) mark();
    }
    write_back();
    return;
  }
  // Everyone meets before and after each shared group; between serial ones nobody waits.
  void* const scratch = scratch_ + scratch_each_ * static_cast<std::size_t>(thread);
  bool after_shared = true;
  for (const Group& group : program_->groups) {
    if (group.parallel || after_shared) team.barrier.wait();
    if (!failed()) {
      if (group.parallel) {
        execute(group, thread, team.size, scratch);
      } else if (thread == 0) {
        execute(group, 0, 1, scratch);
      }
    }
    after_shared = group.parallel;
    if constexpr (marked) {
      if (group.parallel) team.barrier.wait();
      if (thread == 0) mark();
    }
  }
  team.barrier.wait();
  if (thread == 0 && !failed()) write_back();
}

void Workspace::run_as(int thread, Team& team) noexcept { run_groups(thread, team, nullptr); }

void Workspace::run_marked(std::int64_t (*now)(), std::vector<std::int64_t>& marks) {
  refresh();
  marks.resize(program_->groups.size() + 1);
  run_team(threads_, [&](int thread, Team& team) {
    std::size_t at = 0;
    run_groups(thread, team, [&] { marks[at++] = now(); });
  });
  count_versions(1);
  throw_failure();
}

void Workspace::throw_failure() {
  const std::int64_t failure = failure_.exchange(0);
  if (failure == 0) return;
  const Instruction& instruction = program_->instructions[static_cast<std::size_t>((failure >> 8) - 1)];
  const Node& node = program_->graph.nodes[static_cast<std::size_t>(instruction.node)];
  Types in;
  for (ValueId id : node.inputs) in.push_back(program_->graph.types[static_cast<std::size_t>(id)]);
  try {
    check_status(static_cast<kernels::Status>(failure & 0xFF), *node.op, in,
                 pointers_.data() + instruction.first_operand, node.attrs);
  } catch (const IndexError& error) {
    throw IndexError((node.scope.empty() ? "" : "model." + node.scope + " ") + std::string(error.what()));
  }
}

void Workspace::count_versions(std::uint64_t runs) {
  for (std::int32_t at : program_->written)
    program_->bound[static_cast<std::size_t>(at)].data_handle()->storage->version += runs;
}

void Workspace::run() {
  if (stale())
    fail<StateError>("run", "a tensor the program reads has changed its dtype since it was compiled", "",
                     "compile again");
  refresh();
  run_team(threads_, [&](int thread, Team& team) { run_as(thread, team); });
  count_versions(1);
  throw_failure();
}

}  // namespace chainrule
