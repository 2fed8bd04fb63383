// Where a program's time goes: every group is marked with the clock in each of many runs, and medians are taken.
#include "program/profile.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/fail.hpp"
#include "core/storage.hpp"
#include "dispatch/dispatch.hpp"
#include "graph/graph.hpp"
#include "graph/view_table.hpp"

namespace chainrule {
namespace {

using Index = std::size_t;

std::int64_t nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

template <class T> T median(std::vector<T> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The best of several tries: what the machine can do, not what it was disturbed to.
template <class F> double best_rate(double work, const F& run) {
  double best = 0;
  for (int attempt = 0; attempt < 7; ++attempt) {
    const std::int64_t start = nanoseconds();
    run();
    best = std::max(best, work / static_cast<double>(std::max<std::int64_t>(1, nanoseconds() - start)));
  }
  return best;
}

double measured_peak() {
  const kernels::Kernel kernel = dispatch::find_kernel("fma_peak", DType::float32);
  alignas(64) float sum[16];
  double flops = 0;
  void* out[] = {sum, &flops};
  const kernels::Args args{nullptr, out, nullptr};
  constexpr std::int64_t rounds = 20'000;
  kernel(args, {0, 1}, nullptr);
  return best_rate(flops * static_cast<double>(rounds), [&] { kernel(args, {0, rounds}, nullptr); });
}

double measured_bandwidth() {
  constexpr Index bytes = 128 * 1024;
  constexpr int copies = 32;
  auto* const memory = static_cast<std::byte*>(allocate_aligned(2 * bytes));
  std::memset(memory, 0, 2 * bytes);
  const double rate = best_rate(2.0 * static_cast<double>(bytes) * copies, [&] {
    for (int i = 0; i < copies; ++i) std::memcpy(memory + (i % 2 ? bytes : 0), memory + (i % 2 ? 0 : bytes), bytes);
  });
  free_aligned(memory);
  return rate;
}

// The fastest of many readings: what one mark adds to the group before it.
std::int64_t clock_cost() {
  std::int64_t least = 1 << 30;
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t start = nanoseconds();
    least = std::min(least, nanoseconds() - start);
  }
  return least;
}

ProfileRow describe(const Program& program, const Group& group) {
  ProfileRow row;
  row.shared = group.parallel;
  for (int i = 0; i < group.count; ++i) {
    const Instruction& instruction = program.instructions[static_cast<Index>(group.first) + static_cast<Index>(i)];
    const Node& node = program.graph.nodes[static_cast<Index>(instruction.node)];
    if (i == 0 || !group.beside) row.ops += (i == 0 ? "" : " ") + std::string(node.op->name);
    if (row.scope.empty()) row.scope = node.scope;
    row.flops += static_cast<double>(node_flops(program.graph, node));
    const auto add = [&](ValueId id) {
      const TensorType& type = program.graph.types[static_cast<Index>(id)];
      row.bytes += static_cast<double>(type.shape.size()) * static_cast<double>(size_of(type.dtype));
    };
    for (ValueId id : node.inputs) add(id);
    for (ValueId id : node.outputs) add(id);
  }
  return row;
}

// The row of every group: one for those that are the same but for the slab.
std::vector<Index> rows_of(const Program& program) {
  std::vector<Index> result(program.groups.size());
  Index group = 0, row = 0;
  for (const SlabGroups& slabs : program.slabs) {
    while (group < static_cast<Index>(slabs.first)) result[group++] = row++;
    const auto count = static_cast<Index>(slabs.count);
    for (Index i = 0; i < count * static_cast<Index>(slabs.slabs()); ++i) result[group++] = row + i % count;
    row += count;
  }
  while (group < result.size()) result[group++] = row++;
  return result;
}

std::string fixed(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

}  // namespace

Profile profile(Workspace& workspace, int runs, const std::function<void(int run)>& load) {
  if (runs < 1) fail<ValueError>("profile", "runs must be at least 1", std::to_string(runs));
  const Program& program = workspace.program();
  const std::vector<Index> row_of = rows_of(program);
  const Index rows = row_of.empty() ? 0 : row_of.back() + 1;
  std::vector<std::vector<std::int64_t>> times(rows);
  std::vector<std::int64_t> marks;
  const std::int64_t clock = clock_cost();
  for (int run = -2; run < runs; ++run) {  // the first runs touch the memory
    load(run + 2);
    workspace.run_marked(&nanoseconds, marks);
    if (run < 0) continue;
    for (std::vector<std::int64_t>& each : times) each.push_back(0);
    for (Index i = 0; i < row_of.size(); ++i)
      times[row_of[i]].back() += std::max<std::int64_t>(0, marks[i + 1] - marks[i] - clock);
  }
  Profile result;
  result.runs = runs;
  result.threads = workspace.threads();
  result.peak = measured_peak();
  result.bandwidth = measured_bandwidth();
  for (Index i = 0; i < row_of.size(); ++i) {
    if (row_of[i] != result.rows.size()) continue;  // another slab of a row that is there
    ProfileRow row = describe(program, program.groups[i]);
    row.microseconds = static_cast<double>(median(times[row_of[i]])) / 1e3;
    const double cores = row.shared ? result.threads : 1;
    row.limit = std::max(row.flops / result.peak, row.bytes / result.bandwidth) / cores / 1e3;
    result.microseconds += row.microseconds;
    result.rows.push_back(std::move(row));
  }
  return result;
}

std::string Profile::str() const {
  ViewTable table;
  const std::pair<const char*, bool> titles[] = {{"layer", false},   {"instruction", false}, {"us", true},
                                                 {"share", true},    {"MFLOP", true},        {"kB", true},
                                                 {"of limit", true}, {"threads", true}};
  for (const auto& [title, right] : titles) {
    table.header.emplace_back(title);
    table.right.push_back(right);
  }
  double limit = 0;
  for (const ProfileRow& row : rows) {
    limit += row.limit;
    table.rows.push_back({row.scope, row.ops, fixed(row.microseconds, 2),
                          fixed(100 * row.microseconds / microseconds, 1) + " %", fixed(row.flops / 1e6, 3),
                          fixed(row.bytes / 1e3, 1), fixed(100 * row.limit / row.microseconds, 0) + " %",
                          std::to_string(row.shared ? threads : 1)});
  }
  return table.text() + "sum " + fixed(microseconds, 1) + " us, " + fixed(100 * limit / microseconds, 0) +
         " % of the limit: " + fixed(peak, 0) + " GFLOP/s and " + fixed(bandwidth, 0) +
         " GB/s in cache on one core; medians of " + std::to_string(runs) + " runs\n";
}

}  // namespace chainrule
