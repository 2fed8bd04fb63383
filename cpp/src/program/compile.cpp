// From a Graph to a Program: passes, groups, in-place decisions, memory plan.
#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "core/fail.hpp"
#include "graph/call_rule.hpp"
#include "graph/tensor_data.hpp"
#include "program/bf16_products.hpp"
#include "program/memory_plan.hpp"
#include "program/passes.hpp"
#include "program/program.hpp"
#include "program/slabs.hpp"

namespace chainrule {
namespace {

constexpr double nanoseconds_worth_threads = 9'000;  // below it a group stays on one thread
constexpr std::int64_t elements_in_lines = 64;       // whole cache lines of every type
constexpr std::int64_t tile_bytes_elementwise = 32 * 1024, tile_bytes_product = 192 * 1024;

using Index = std::size_t;

class Compiler {
 public:
  Compiler(const GraphData& graph, Precision precision, const SlabLimits& limits)
      : program_(std::make_shared<Program>()) {
    program_->graph = optimize(inline_calls(graph));
    if (precision == Precision::bf16) program_->graph = products_in_bf16(program_->graph, bf16_ops());
    slabs_ = plan_slabs(program_->graph, limits);
    buffer_of_.assign(g().types.size(), -1);
    locate_outside_values();
    select_nodes();
    build_groups();
    bind_updates();
    build_buffers();
    emit();
  }
  std::shared_ptr<const Program> take() { return program_; }

 private:
  // A block of memory that one or more values share.
  struct Buffer {
    Location location;  // outside the arena: final
    std::int64_t bytes = 0;
    int born = -1, dies = -1;  // groups
    bool fixed = false;        // outside the arena
    std::int64_t step = 0;     // of a slab only: bytes for every 1024 rows; 0: of all
  };

  GraphData& g() { return program_->graph; }
  const TensorType& type(ValueId id) { return g().types[static_cast<Index>(id)]; }
  std::int64_t bytes(ValueId id) { return type(id).shape.size() * static_cast<std::int64_t>(size_of(type(id).dtype)); }
  int buffer(ValueId id) const { return buffer_of_[static_cast<Index>(id)]; }
  void put(ValueId id, int b) {
    buffer_of_[static_cast<Index>(id)] = b;
    values_in_[static_cast<Index>(b)].push_back(id);
  }

  int new_buffer(Buffer b) {
    buffers_.push_back(b);
    values_in_.emplace_back();
    return static_cast<int>(buffers_.size()) - 1;
  }
  void place_outside(ValueId id, Segment segment, Index at) {
    Buffer b;
    b.location = {segment, static_cast<std::int64_t>(at)};
    b.bytes = bytes(id);
    b.fixed = true;
    put(id, new_buffer(b));
  }

  // Tensors that share storage and offset are one bound tensor.
  int bound_index(const Tensor& tensor) {
    const TensorData& data = *tensor.data_handle();
    const auto [known, fresh] = bound_index_.try_emplace({data.storage.get(), data.offset}, program_->bound.size());
    if (fresh) program_->bound.push_back(tensor);
    return static_cast<int>(known->second);
  }

  void locate_outside_values() {
    for (Index i = 0; i < g().inputs.size(); ++i) place_outside(g().inputs[i], Segment::input, i);
    for (const BoundValue& capture : g().captures) {
      if (capture.tensor.symbolic())
        fail<StateError>("compile", "the function uses a tensor of an outer trace",
                         "shape is " + capture.tensor.shape().str(), "pass it as an argument");
      const int at = bound_index(capture.tensor);
      const auto known = bound_buffer_.find(at);
      if (known != bound_buffer_.end()) {
        put(capture.value, known->second);
      } else {
        place_outside(capture.value, Segment::bound, static_cast<Index>(at));
        bound_buffer_[at] = buffer(capture.value);
      }
    }
    for (Index i = 0; i < g().constants.size(); ++i) place_outside(g().constants[i].value, Segment::constant, i);
  }

  // Views are no instructions: their value is another name of the same memory.
  void select_nodes() {
    root_.resize(g().types.size());
    for (Index i = 0; i < root_.size(); ++i) root_[i] = static_cast<ValueId>(i);
    for (Index n = 0; n < g().nodes.size(); ++n) {
      const Node& node = g().nodes[n];
      if (node.op->view) {
        root_[static_cast<Index>(node.outputs[0])] = root_[static_cast<Index>(node.inputs[0])];
      } else {
        work_.push_back(n);
      }
    }
    position_.assign(g().types.size(), -1);
    for (Index w = 0; w < work_.size(); ++w)
      for (ValueId id : node(w).outputs) position_[static_cast<Index>(id)] = static_cast<int>(w);
  }
  ValueId root(ValueId id) const { return root_[static_cast<Index>(id)]; }
  int position(ValueId id) const { return position_[static_cast<Index>(root(id))]; }
  const Node& node(Index w) { return g().nodes[work_[w]]; }
  int stretch_of(Index w) const { return slabs_.stretch_of[work_[w]]; }

  // A node joins the group before it when it works element by element on what that group makes.
  bool joins(Index w, int first) {
    const Node& n = node(w);
    if (!n.op->elementwise || n.op->inplace_pairs || n.outputs.size() > 1) return false;
    const Node& leader = node(static_cast<Index>(first));
    if (!leader.op->epilogue || leader.outputs.size() != 1) return false;
    if (stretch_of(w) != stretch_of(static_cast<Index>(first))) return false;
    const std::int64_t size = type(n.outputs.empty() ? n.inputs[0] : n.outputs[0]).shape.size();
    if (size == 0 || type(leader.outputs[0]).shape.size() != size) return false;
    bool follows = false;
    for (ValueId id : n.inputs) {
      if (position(id) < first) continue;
      if (type(id).shape.size() != size) return false;
      follows = true;
    }
    return follows;
  }

  // An update beside others by the same rule, unless it reads what one of them makes.
  bool stands_beside(Index w, int first) {
    const Node& n = node(w);
    return same_rule(node(static_cast<Index>(first)), n) &&
           std::all_of(n.inputs.begin(), n.inputs.end(), [&](ValueId id) { return position(id) < first; });
  }

  void build_groups() {
    for (Index w = 0; w < work_.size(); ++w) {
      program_->plans.push_back(plan_of(g(), node(w)));
      if (!program_->groups.empty() && stands_beside(w, program_->groups.back().first)) {
        ++program_->groups.back().count;
        program_->groups.back().beside = true;
      } else if (!program_->groups.empty() && joins(w, program_->groups.back().first)) {
        ++program_->groups.back().count;
      } else {
        Group group;
        group.first = static_cast<std::int32_t>(w);
        program_->groups.push_back(group);
        if (stretch_of(w) >= 0) add_to_stretch(stretch_of(w));
      }
      group_of_.push_back(static_cast<int>(program_->groups.size()) - 1);
    }
    for (Group& group : program_->groups) {
      const Node& leader = node(static_cast<Index>(group.first));
      const kernels::Plan& plan = program_->plans[static_cast<Index>(group.first)];
      double cost = 0;
      group.rows = group.beside ? 0 : plan.units;
      for (int i = 0; i < group.count; ++i) {
        const kernels::Plan& each = program_->plans[static_cast<Index>(group.first) + static_cast<Index>(i)];
        cost += each.cost;
        if (group.beside) group.rows += each.units;
      }
      if (leader.op->elementwise) group.grain = elements_in_lines;
      const int stretch = stretch_of(static_cast<Index>(group.first));
      const double parts = stretch < 0 ? 1 : stretches_[static_cast<Index>(stretch)].slabs();
      group.parallel =
          cost >= parts * nanoseconds_worth_threads && (group.rows > 1 || plan.columns > plan.column_grain);
      program_->cost += cost;
      if (group.parallel) program_->parallel_cost += cost;
      group.tile_rows = std::max<std::int64_t>(1, group.rows);
      if (group.count > 1 && !group.beside && group.rows > 0) {
        const std::int64_t row_bytes = std::max<std::int64_t>(1, bytes(leader.outputs[0]) / group.rows);
        const std::int64_t target = leader.op->elementwise ? tile_bytes_elementwise : tile_bytes_product;
        const std::int64_t least = leader.op->elementwise ? 1024 : plan.least_units;
        group.tile_rows = std::max(least, target / row_bytes);
      }
    }
    // A team pays when most of the work can be shared.
    program_->use_team = program_->parallel_cost > 150'000 && program_->parallel_cost > 0.5 * program_->cost;
  }

  // The group just made is of a stretch's slabs.
  void add_to_stretch(int stretch) {
    const Stretch& nodes = slabs_.stretches[static_cast<Index>(stretch)];
    if (static_cast<int>(stretches_.size()) == stretch)
      stretches_.push_back({static_cast<std::int32_t>(program_->groups.size()) - 1, 0, nodes.batch, nodes.rows});
    ++stretches_.back().count;
  }

  // The new value of a state takes the state's own memory where every other reader has finished by then. Only for
  // optimizer updates, which come behind the checks of loss and gradients: a buffer must not change in a failing run.
  void bind_updates() {
    std::vector<std::vector<int>> readers(g().types.size());
    for (Index w = 0; w < work_.size(); ++w)
      for (ValueId id : node(w).inputs) readers[static_cast<Index>(root(id))].push_back(static_cast<int>(w));
    readers_ = std::move(readers);
    std::unordered_set<int> written;
    for (const StateUpdate& update : g().updates) {
      const int at = bound_index(update.target);
      if (written.insert(at).second) program_->written.push_back(at);
      const ValueId value = root(update.value);
      const int w = position_[static_cast<Index>(value)];
      if (w >= 0 && buffer(value) < 0 && update_in_place(at, value, static_cast<Index>(w))) continue;
      late_updates_.push_back({update.value, at});
    }
  }

  bool update_in_place(int at, ValueId value, Index w) {
    const Node& n = node(w);
    const auto known = bound_buffer_.find(at);
    if (known == bound_buffer_.end()) return false;
    const int state = known->second;
    const auto j = static_cast<Index>(std::find(n.outputs.begin(), n.outputs.end(), value) - n.outputs.begin());
    bool allowed = false;
    for (Index i = 0; i < n.inputs.size(); ++i) {
      if (buffer(root(n.inputs[i])) != state || !(type(n.inputs[i]) == type(value))) continue;
      allowed |= n.op->inplace_pairs && j < n.op->pair.size() && n.op->pair[j] == static_cast<int>(i);
    }
    if (!allowed) return false;
    for (ValueId id : g().outputs)
      if (buffer(root(id)) == state) return false;
    for (ValueId v : values_in_[static_cast<Index>(state)])
      for (int reader : readers_[static_cast<Index>(v)])
        if (reader > static_cast<int>(w) ||
            (reader < static_cast<int>(w) && group_of_[static_cast<Index>(reader)] == group_of_[w]))
          return false;
    put(value, state);
    return true;
  }

  // What holds more than a slab is there for all slabs of a stretch.
  void touch(int b, Index w) {
    const int stretch = stretch_of(w);
    if (stretch < 0 || buffers_[static_cast<Index>(b)].step > 0) return live(b, group_of_[w], group_of_[w]);
    const SlabGroups& slabs = stretches_[static_cast<Index>(stretch)];
    live(b, slabs.first, slabs.first + slabs.count - 1);
  }
  void live(int b, int from, int to) {
    Buffer& x = buffers_[static_cast<Index>(b)];
    if (x.born < 0) x.born = from;
    x.dies = std::max(x.dies, to);
  }
  bool is_local(ValueId id) const { return slabs_.local[static_cast<Index>(id)] != 0; }
  Buffer buffer_for(ValueId id, Index w) {
    Buffer b;
    b.bytes = bytes(id);
    if (!is_local(id)) return b;
    const SlabGroups& slabs = stretches_[static_cast<Index>(stretch_of(w))];
    b.step = in_block(b.bytes, slabs.batch);
    b.bytes = slabs.rows / rows_in_block * b.step + 64;  // kernels may read a packet that begins in the last row
    return b;
  }

  // The input whose memory output 0 of work item w takes, or -1.
  int inplace_input(Index w) {
    const Node& n = node(w);
    if (n.outputs.empty() || n.op->inplace == 0) return -1;
    for (Index i = 0; i < n.inputs.size() && i < 32; ++i) {
      if (!((n.op->inplace >> i) & 1u)) continue;
      const ValueId id = root(n.inputs[i]);
      const int b = buffer(id);
      if (b < 0 || buffers_[static_cast<Index>(b)].fixed || last_use_[static_cast<Index>(b)] > static_cast<int>(w))
        continue;
      // Of rows that come again nothing may be lost in the first slab; and all rows have no place in a slab's memory.
      if (stretch_of(w) >= 0 && (slabs_.whole[static_cast<Index>(id)] ||
                                 (buffers_[static_cast<Index>(b)].step > 0) != is_local(n.outputs[0])))
        continue;
      if (!(type(n.inputs[i]).dtype == type(n.outputs[0]).dtype &&
            type(n.inputs[i]).shape.size() == type(n.outputs[0]).shape.size()))
        continue;
      // Another reader in the same group is safe only where it reads the same elements as this one writes: the leader
      // alone may be no elementwise op.
      const auto leader = static_cast<Index>(program_->groups[static_cast<Index>(group_of_[w])].first);
      bool safe = true;
      if (leader != w && !node(leader).op->elementwise)
        for (ValueId read : node(leader).inputs) safe = safe && buffer(root(read)) != b;
      // The same value read by a broadcast operand as well would be overwritten while it is still read.
      for (Index k = 0; k < n.inputs.size() && safe; ++k)
        if (k != i && buffer(root(n.inputs[k])) == b &&
            type(n.inputs[k]).shape.size() != type(n.outputs[0]).shape.size())
          safe = false;
      if (safe) return static_cast<int>(i);
    }
    return -1;
  }

  void build_buffers() {
    const int end = static_cast<int>(program_->groups.size());
    // Last readers by value first: buffers form while walking, so uses are counted per value and joined per buffer.
    std::vector<int> last_value_use(g().types.size(), -1);
    for (Index v = 0; v < readers_.size(); ++v)
      for (int r : readers_[v]) last_value_use[v] = std::max(last_value_use[v], r);
    const auto keep_to_end = [&](ValueId id) { last_value_use[static_cast<Index>(root(id))] = 1 << 30; };
    for (ValueId id : g().outputs) keep_to_end(id);
    for (const auto& late : late_updates_) keep_to_end(late.first);
    last_use_.assign(buffers_.size(), 1 << 30);
    for (Index w = 0; w < work_.size(); ++w) {
      for (ValueId id : node(w).inputs) touch(buffer(root(id)), w);
      const int shared = inplace_input(w);
      for (Index j = 0; j < node(w).outputs.size(); ++j) {
        const ValueId id = node(w).outputs[j];
        if (buffer(id) < 0) {
          if (j == 0 && shared >= 0) {
            put(id, buffer(root(node(w).inputs[static_cast<Index>(shared)])));
          } else {
            put(id, new_buffer(buffer_for(id, w)));
            last_use_.push_back(-1);
          }
        }
        const auto b = static_cast<Index>(buffer(id));
        if (!buffers_[b].fixed) last_use_[b] = last_value_use[static_cast<Index>(id)];
        touch(buffer(id), w);
        if (last_value_use[static_cast<Index>(id)] == 1 << 30) live(buffer(id), end, end);
      }
    }
    std::vector<BufferLife> lives;
    std::vector<Index> which;
    for (Index b = 0; b < buffers_.size(); ++b) {
      if (buffers_[b].fixed || buffers_[b].born < 0) continue;
      lives.push_back({buffers_[b].bytes, buffers_[b].born, buffers_[b].dies});
      which.push_back(b);
    }
    program_->arena_bytes = plan_memory(lives);
    for (Index i = 0; i < lives.size(); ++i) buffers_[which[i]].location = {Segment::arena, lives[i].offset};
  }

  Location location(ValueId id) { return buffers_[static_cast<Index>(buffer(root(id)))].location; }

  // What an operand's address has to go for every 1024 rows before a slab. By rows the kernel counts from the first row
  // of all, so memory of a slab seems to begin that far before; a sum sees the rows of the slab alone.
  std::int64_t step(Index w, ValueId id, bool output) {
    if (stretch_of(w) < 0) return 0;
    const std::int64_t own = buffers_[static_cast<Index>(buffer(root(id)))].step;
    if (!slabs_.sums[work_[w]]) return -own;
    return output || own > 0 ? 0 : in_block(bytes(id), slabs_.stretches[static_cast<Index>(stretch_of(w))].batch);
  }

  void emit() {
    std::vector<std::int64_t> steps;
    for (Index w = 0; w < work_.size(); ++w) {
      const Node& n = node(w);
      const DType key = n.op->key < 0 ? type(n.outputs[0]).dtype : type(n.inputs[static_cast<Index>(n.op->key)]).dtype;
      Instruction instruction;
      instruction.kernel = n.op->kernel[static_cast<Index>(key)];
      if (instruction.kernel == nullptr)
        fail<DTypeError>(n.op->name, "not defined for this dtype", std::string(name_of(key)),
                         "use astype(\"float32\")");
      instruction.first_operand = static_cast<std::int32_t>(program_->operands.size());
      instruction.inputs = static_cast<std::int32_t>(n.inputs.size());
      instruction.outputs = static_cast<std::int32_t>(n.outputs.size());
      instruction.plan = static_cast<std::int32_t>(w);
      instruction.node = static_cast<std::int32_t>(work_[w]);
      const Group& group = program_->groups[static_cast<Index>(group_of_[w])];
      instruction.per_row = group.rows > 0 && !group.beside ? program_->plans[w].units / group.rows : 1;
      for (const std::vector<ValueId>* ids : {&n.inputs, &n.outputs})
        for (ValueId id : *ids) {
          program_->operands.push_back(location(id));
          steps.push_back(step(w, id, ids == &n.outputs));
        }
      program_->scratch_bytes = std::max(program_->scratch_bytes, program_->plans[w].scratch_bytes);
      program_->instructions.push_back(instruction);
    }
    unroll_slabs(*program_, stretches_, steps, slabs_.sums);
    for (ValueId id : g().outputs) program_->outputs.push_back(location(id));
    for (const Tensor& t : program_->bound) program_->bound_types.push_back(type_of(t));
    for (const auto& [value, at] : late_updates_)
      program_->write_backs.push_back({location(value), {Segment::bound, at}, static_cast<std::size_t>(bytes(value))});
  }

  std::shared_ptr<Program> program_;
  std::vector<Buffer> buffers_;
  SlabPlan slabs_;
  std::vector<SlabGroups> stretches_;  // of slabs_, as groups
  std::vector<int> buffer_of_, last_use_, position_, group_of_;
  std::vector<ValueId> root_;
  std::vector<Index> work_;
  std::unordered_map<int, int> bound_buffer_;
  std::vector<std::vector<int>> readers_;
  std::vector<std::pair<ValueId, int>> late_updates_;
  std::vector<std::vector<ValueId>> values_in_;  // of each buffer, in the order of their making
  std::map<std::pair<const Storage*, Index>, Index> bound_index_;
};

}  // namespace

std::shared_ptr<const Program> compile_program(const GraphData& graph, Precision precision, const SlabLimits& limits) {
  return Compiler(graph, precision, limits).take();
}

}  // namespace chainrule
