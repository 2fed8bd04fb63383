// Which nodes run slab by slab, and their program. Nothing here knows what a batch is: that row r of a result needs but
// row r of an operand is a fact of the op, and what shares such rows through a chain of nodes runs by slabs of them.
#include "program/slabs.hpp"

#include <algorithm>
#include <map>

#include "kernels/matmul_blocking.hpp"
#include "program/passes.hpp"

namespace chainrule {
namespace {

using Index = std::size_t;

constexpr std::int64_t least_rows = 4 * rows_in_block, most_slabs = 1024;
static_assert(rows_in_block % kernels::matmul_block == 0);

bool leads(const TensorType& type, std::int64_t rows) { return type.shape.rank() > 0 && type.shape[0] == rows; }

// Whether an op that works along axes leaves the first one alone: its attributes are those of a sample's op, moved by
// OnBatch.
bool spares_first_axis(const Node& node, std::int64_t rows) {
  const auto fits = [&](const AttributeField& field) {
    const Dims& given = node.attrs.lists[static_cast<Index>(field.kind == AttributeField::Kind::list ? field.slot : 0)];
    const bool some = !given.empty();
    switch (field.on_batch) {
      case OnBatch::keep:
        return true;
      case OnBatch::axis:
        if (field.kind != AttributeField::Kind::list) return node.attrs.ints[static_cast<Index>(field.slot)] > 0;
        return std::all_of(given.begin(), given.end(), [](std::int64_t axis) { return axis > 0; });
      case OnBatch::permutation:
      case OnBatch::starts:
        return some && given[0] == 0;
      case OnBatch::sizes:
      case OnBatch::stops:
        return some && given[0] == rows;
      case OnBatch::steps:
        return some && given[0] == 1;
    }
    return false;
  };
  return std::all_of(node.op->attributes.begin(), node.op->attributes.end(), fits);
}

class Planner {
 public:
  Planner(GraphData& graph, const SlabLimits& limits) : graph_(graph), limits_(limits) {}

  SlabPlan plan() {
    plan_.stretch_of.assign(graph_.nodes.size(), -1);
    plan_.sums.assign(graph_.nodes.size(), 0);
    plan_.local.assign(graph_.types.size(), 0);
    plan_.whole.assign(graph_.types.size(), 0);
    if (!choose_batch()) return std::move(plan_);
    made_.resize(graph_.types.size());
    for (Index i = 0; i < made_.size(); ++i) root_.push_back(static_cast<ValueId>(i));
    places_.resize(graph_.nodes.size());
    for (Index n = 0; n < graph_.nodes.size(); ++n) place(n);
    find_local_values();
    find_stretches();
    if (!plan_.stretches.empty()) reorder();
    return std::move(plan_);
  }

 private:
  enum class How : std::uint8_t { other, by_rows, sum };
  // Stretches have odd times, what comes before and behind them even ones.
  struct Place {
    int time = 0;
    How how = How::other;
    std::uint32_t row_inputs = 0;
  };

  const TensorType& type(ValueId id) const { return graph_.types[static_cast<Index>(id)]; }
  std::int64_t bytes(ValueId id) const {
    return type(id).shape.size() * static_cast<std::int64_t>(size_of(type(id).dtype));
  }
  static bool reads_row(const Place& place, Index input) {
    return place.how == How::sum || ((place.row_inputs >> std::min<Index>(input, 31)) & 1u) != 0;
  }

  // The number of rows that most bytes are made of, be it once or several times per row.
  bool choose_batch() {
    std::map<std::int64_t, std::int64_t> bytes_of;
    for (const Node& node : graph_.nodes)
      for (ValueId id : node.outputs)
        if (!node.op->view && type(id).shape.rank() > 0 && type(id).shape[0] >= least_rows)
          bytes_of[type(id).shape[0]] += bytes(id);
    std::int64_t most = 0;
    for (const auto& [rows, unused] : bytes_of) {
      std::int64_t sum = 0;
      for (const auto& [others, part] : bytes_of) sum += others % rows == 0 ? part : 0;
      if (sum < most || sum < limits_.least_bytes) continue;
      most = sum;
      batch_ = rows;
    }
    return batch_ > 0;
  }

  // The inputs of which row r of the outputs needs row r only; none: the node does not go by rows.
  RowInputs row_inputs(const Node& node) const {
    const Op& op = *node.op;
    if (!(op.elementwise || op.rowwise) || op.inplace_pairs) return {};
    const TensorType& result = type(node.outputs.empty() ? node.inputs[0] : node.outputs[0]);
    if (result.shape.rank() == 0 || result.shape.size() == 0 || result.shape[0] % batch_ != 0) return {};
    const std::int64_t units = plan_of(graph_, node).units, each = in_block(units, batch_);
    if ((each * batch_ + rows_in_block - 1) / rows_in_block != units) return {};  // rows are none of its units
    const std::int64_t rows = result.shape[0];
    if (op.row_inputs != nullptr) {
      Types in, out;
      for (ValueId id : node.inputs) in.push_back(type(id));
      for (ValueId id : node.outputs) out.push_back(type(id));
      return op.row_inputs(in, out, node.attrs);
    }
    if (op.batch == Batch::elementwise) {
      std::uint32_t mask = 0;
      for (Index i = 0; i < node.inputs.size(); ++i)
        if (type(node.inputs[i]).shape.rank() == result.shape.rank() && leads(type(node.inputs[i]), rows))
          mask |= 1u << i;
      return mask;
    }
    const auto has_rows = [&](ValueId id) { return leads(type(id), rows); };
    if (op.batch == Batch::leading && spares_first_axis(node, rows) &&
        std::all_of(node.inputs.begin(), node.inputs.end(), has_rows))
      return ~0u;
    return {};
  }

  bool sums_rows(const Node& node) const {
    if (node.op->narrow == nullptr || node.outputs.size() != 1) return false;
    bool rows = false;
    for (ValueId id : node.inputs) {
      if (type(id).shape.rank() == 0 || type(id).shape[0] == 0 || type(id).shape[0] % batch_ != 0) return false;
      rows |= made_[static_cast<Index>(id)].how == How::by_rows;
    }
    kernels::Plan plan = plan_of(graph_, node);
    return rows && node.op->narrow(plan, batch_, 0, rows_in_block);
  }

  void place(Index n) {
    const Node& node = graph_.nodes[n];
    Place& here = places_[n];
    if (node.op->view) {
      made_[static_cast<Index>(node.outputs[0])] = here = made_[static_cast<Index>(node.inputs[0])];
      root_[static_cast<Index>(node.outputs[0])] = root_[static_cast<Index>(node.inputs[0])];
      return;
    }
    if (const RowInputs mask = row_inputs(node))
      here = {1, How::by_rows, *mask};
    else if (sums_rows(node))
      here = {1, How::sum, 0};
    for (Index i = 0; i < node.inputs.size(); ++i) {
      const Place& from = made_[static_cast<Index>(node.inputs[i])];
      int after = (from.time + 1) / 2 * 2;  // all of it is there
      if (here.how != How::other) after = from.how == How::by_rows && reads_row(here, i) ? from.time : after + 1;
      here.time = std::max(here.time, after);
    }
    // Checks keep their order: the first that fails says what went wrong.
    if (!node.op->pure) {
      here.time = std::max(here.time, here.how == How::other ? (checked_ + 1) / 2 * 2 : checked_ | 1);
      checked_ = here.time;
    }
    // What an update writes stays written: it waits for all that came before it, which may fail.
    if (node.op->inplace_pairs) here.time = std::max(here.time, (latest_ + 1) / 2 * 2);
    latest_ = std::max(latest_, here.time);
    for (ValueId id : node.outputs) made_[static_cast<Index>(id)] = here;
  }

  void find_local_values() {
    const auto root = [&](ValueId id) { return static_cast<Index>(root_[static_cast<Index>(id)]); };
    for (Index n = 0; n < graph_.nodes.size(); ++n)
      if (!graph_.nodes[n].op->view && places_[n].how == How::by_rows)
        for (ValueId id : graph_.nodes[n].outputs) plan_.local[static_cast<Index>(id)] = 1;
    for (Index n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (node.op->view) continue;
      const Place& here = places_[n];
      for (Index i = 0; i < node.inputs.size(); ++i) {
        const Index from = root(node.inputs[i]);
        const bool by_rows = here.how != How::other && reads_row(here, i);
        // The error of a kernel that met a wrong position looks for it in all of the input.
        if (here.how != How::other && (!by_rows || node.op->positions != nullptr)) plan_.whole[from] = 1;
        if (!by_rows || made_[from].time != here.time || node.op->positions != nullptr) plan_.local[from] = 0;
      }
    }
    for (ValueId id : graph_.outputs) plan_.local[root(id)] = 0;
    for (const StateUpdate& update : graph_.updates) plan_.local[root(update.value)] = 0;
  }

  void find_stretches() {
    std::map<int, std::int64_t> local_bytes;  // by time
    for (Index v = 0; v < graph_.types.size(); ++v)
      if (plan_.local[v]) local_bytes[made_[v].time] += bytes(static_cast<ValueId>(v));
    for (const auto& [time, all] : local_bytes) {
      if (all < limits_.least_bytes) continue;
      const std::int64_t block = std::max<std::int64_t>(1, in_block(all, batch_));
      const std::int64_t blocks = (batch_ + rows_in_block - 1) / rows_in_block;
      const std::int64_t slab = std::max({std::int64_t{1}, limits_.slab_bytes / block, blocks / most_slabs + 1});
      if (slab * 2 > blocks) continue;
      stretch_at_[time] = static_cast<int>(plan_.stretches.size());
      plan_.stretches.push_back({batch_, slab * rows_in_block});
    }
    for (Index v = 0; v < graph_.types.size(); ++v)
      if (!stretch_at_.contains(made_[v].time)) plan_.local[v] = 0;
  }

  void reorder() {
    std::vector<Index> order(graph_.nodes.size());
    for (Index n = 0; n < order.size(); ++n) order[n] = n;
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return places_[a].time < places_[b].time; });
    std::vector<Node> nodes;
    for (Index n : order) {
      if (const auto at = stretch_at_.find(places_[n].time); at != stretch_at_.end()) {
        plan_.stretch_of[nodes.size()] = at->second;
        plan_.sums[nodes.size()] = places_[n].how == How::sum;
      }
      nodes.push_back(std::move(graph_.nodes[n]));
    }
    graph_.nodes = std::move(nodes);
  }

  GraphData& graph_;
  const SlabLimits& limits_;
  SlabPlan plan_;
  std::int64_t batch_ = 0;
  int latest_ = 0, checked_ = 0;
  std::vector<Place> places_, made_;  // by node, by value
  std::vector<ValueId> root_;         // of views
  std::map<int, int> stretch_at_;     // time -> stretch
};

// The plans of a sum: over the first slab, a middle one and the last.
struct SumPlans {
  std::int32_t first, middle, last;
};
SumPlans narrow_plans(Program& program, const Instruction& sum, const SlabGroups& slabs) {
  const Op& op = *program.graph.nodes[static_cast<Index>(sum.node)].op;
  const auto narrowed = [&](std::int64_t first, std::int64_t rows) {
    kernels::Plan plan = program.plans[static_cast<Index>(sum.plan)];
    op.narrow(plan, slabs.batch, first, rows);
    const double share = static_cast<double>(rows) / static_cast<double>(slabs.batch);
    for (double* part : {&plan.cost, &plan.row_cost, &plan.column_cost}) *part *= share;
    program.plans.push_back(plan);
    return static_cast<std::int32_t>(program.plans.size()) - 1;
  };
  const std::int64_t last = (slabs.slabs() - 1) * slabs.rows;
  return {narrowed(0, slabs.rows), narrowed(slabs.rows, slabs.rows), narrowed(last, slabs.batch - last)};
}

}  // namespace

SlabPlan plan_slabs(GraphData& graph, const SlabLimits& limits) { return Planner(graph, limits).plan(); }

void unroll_slabs(Program& program, const std::vector<SlabGroups>& stretches, const std::vector<std::int64_t>& steps,
                  const std::vector<char>& sums) {
  if (stretches.empty()) return;
  const std::vector<Group> groups = std::move(program.groups);
  const std::vector<Instruction> instructions = std::move(program.instructions);
  const std::vector<Location> operands = std::move(program.operands);
  program.groups.clear();
  program.instructions.clear();
  program.operands.clear();
  const auto add = [&](const Group& group, std::int64_t blocks) {
    Group& copy = program.groups.emplace_back(group);
    copy.first = static_cast<std::int32_t>(program.instructions.size());
    const auto first = static_cast<Index>(group.first), count = static_cast<Index>(group.count);
    for (Index i = first; i < first + count; ++i) {
      Instruction& instruction = program.instructions.emplace_back(instructions[i]);
      const auto from = static_cast<Index>(instruction.first_operand);
      instruction.first_operand = static_cast<std::int32_t>(program.operands.size());
      for (Index k = from; k < from + static_cast<Index>(instruction.inputs + instruction.outputs); ++k) {
        program.operands.push_back(operands[k]);
        program.operands.back().offset += blocks * steps[k];
      }
    }
    return &copy;
  };
  std::int32_t next = 0;
  for (const SlabGroups& slabs : stretches) {
    for (; next < slabs.first; ++next) add(groups[static_cast<Index>(next)], 0);
    program.slabs.push_back(slabs);
    program.slabs.back().first = static_cast<std::int32_t>(program.groups.size());
    std::map<std::int32_t, SumPlans> plans;
    for (std::int64_t begin = 0; begin < slabs.batch; begin += slabs.rows) {
      const std::int64_t end = std::min(slabs.batch, begin + slabs.rows);
      for (std::int32_t g = slabs.first; g < slabs.first + slabs.count; ++g) {
        const Group& group = groups[static_cast<Index>(g)];
        Group& copy = *add(group, begin / rows_in_block);
        if (sums[static_cast<Index>(instructions[static_cast<Index>(group.first)].node)]) {
          Instruction& sum = program.instructions.back();
          if (!plans.contains(g)) plans[g] = narrow_plans(program, sum, slabs);
          sum.plan = begin == 0 ? plans[g].first : end < slabs.batch ? plans[g].middle : plans[g].last;
        } else {
          const std::int64_t each = in_block(group.rows, slabs.batch);
          copy.first_row = begin / rows_in_block * each;
          copy.rows = (end < slabs.batch ? end / rows_in_block * each : group.rows) - copy.first_row;
        }
      }
    }
    next = slabs.first + slabs.count;
  }
  for (; next < static_cast<std::int32_t>(groups.size()); ++next) add(groups[static_cast<Index>(next)], 0);
}

}  // namespace chainrule
