// Random ops: dropout and the draws of initial values. Each takes its counter {seed, step} as an explicit input.
#include "chainrule/random.hpp"

#include <atomic>
#include <cmath>
#include <functional>
#include <utility>

#include "ops/operands.hpp"
#include "ops/random_scope.hpp"
#include "ops/seed_scope.hpp"

namespace chainrule {
namespace {

std::atomic<std::uint64_t> seed_now{0}, layers_made{0};
std::atomic<std::uint32_t> loose_calls{0};  // dropout called outside any module
thread_local RandomScope* innermost = nullptr;

// The counter's step for initial values: no dropout mask gets there, even where seeds are equal.
constexpr std::uint64_t draw_step = 0xFFFFFFFFu;

constexpr AttributeField p_field{AttributeField::Kind::real, 0, "p"};
constexpr AttributeField stream_field{AttributeField::Kind::integer, 0, "stream"};

void check_counter(const Op& op, const TensorType& counter) {
  if (counter.dtype != DType::int64 || !(counter.shape == Shape{2}))
    fail<ShapeError>(op.name, "the counter must be int64 of shape (2,)", counter.shape.str());
}
Types infer_dropout(const Op& op, std::span<const TensorType> in, const Attrs&) {
  check_counter(op, in[1]);
  return {in[0], {DType::uint8, Shape{(in[0].shape.size() + 7) / 8}}};
}
Types infer_apply(const Op& op, std::span<const TensorType> in, const Attrs&) {
  if (in[1].shape.size() != (in[0].shape.size() + 7) / 8)
    fail<ShapeError>(op.name, "the mask does not fit", in[0].shape.str());
  return {in[0]};
}
void plan_dropout(const Op& op, std::span<const TensorType> in, std::span<const TensorType>, const Attrs& attrs,
                  kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::RowPlan>(plan);
  body.rows = in[0].shape.size();
  body.n = 1;
  body.i[0] = attrs.ints[0];
  body.r[0] = attrs.reals[0];
  plan.units = (body.rows + 7) / 8;
  plan.cost = static_cast<double>(body.rows) * (op.outputs == 2 ? 0.7 : 0.15);
}
// Eight elements of the mask are a byte and a unit: 1024 rows of anything are whole bytes.
template <std::uint32_t rows> RowInputs row_inputs_dropout(std::span<const TensorType> in, std::span<const TensorType>,
                                                           const Attrs&) {
  return in[0].shape.rank() == 0 ? RowInputs() : rows;
}
Tensor apply_mask(const Tensor& g, const Tensor& mask, const Attrs& attrs) {
  static const Op& op = find_op("dropout_apply");
  const Tensor in[] = {g, mask};
  return apply1(op, in, attrs);
}

// Per sample the mask begins with a byte of its own, so samples are padded to full bytes and drawn as one array.
Tensors on_batch(const BatchContext& c, Tensor x, const std::function<Tensors(const Tensor&, std::int64_t)>& run) {
  if (!c.batched[0]) {
    Dims shape = x.shape();
    shape.insert(0, c.size);
    x = broadcast_to(x, Shape(shape));
  }
  const Shape shape = x.shape();
  const std::int64_t n = product(shape, 1, shape.rank()), bytes = (n + 7) / 8;
  const Tensor rows = reshape(x, {c.size, n});
  const bool full = n % 8 == 0;
  Tensors y = run(full ? rows : pad(rows, {{0, 0}, {0, 8 * bytes - n}}), bytes);
  y[0] = reshape(full ? y[0] : slice(y[0], {{}, {0, n}}), shape);
  return y;
}
Tensors batch_dropout(const BatchContext& c) {
  return on_batch(c, c.x[0], [&](const Tensor& rows, std::int64_t bytes) {
    const Tensor in[] = {rows, c.x[1]};
    Tensors y = apply(c.op, in, c.attrs);
    y[1] = reshape(y[1], {c.size, bytes});
    return y;
  });
}
Tensors batch_apply(const BatchContext& c) {
  return on_batch(c, c.x[0], [&](const Tensor& rows, std::int64_t bytes) {
    return Tensors{apply_mask(rows, c.batched[1] ? c.x[1] : broadcast_to(c.x[1], {c.size, bytes}), c.attrs)};
  });
}

template <int dtype> Types infer_draw(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  check_counter(op, in[0]);
  return {{static_cast<DType>(dtype), Shape(attrs.lists[0])}};
}
void plan_draw(const Op&, std::span<const TensorType>, std::span<const TensorType> out, const Attrs& attrs,
               kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::RowPlan>(plan);
  body.rows = out[0].shape.size();
  body.n = 1;
  body.i[0] = attrs.ints[0];
  body.r[0] = attrs.reals[0];
  body.r[1] = attrs.reals[1];
  const std::int64_t per_block = out[0].dtype == DType::float32 ? 4 : 2;
  plan.units = (body.rows + per_block - 1) / per_block;
  plan.cost = static_cast<double>(body.rows) * 8;
}
void add_draw(std::vector<Op>& ops, const char* name, const char* kernel, const char* doc, const char* first,
              const char* second, bool twice) {
  Op op;
  op.name = name;
  op.doc = doc;
  op.attributes = {{AttributeField::Kind::list, 0, "shape"},
                   stream_field,
                   {AttributeField::Kind::real, 0, first},
                   {AttributeField::Kind::real, 1, second}};
  op.infer = twice ? infer_draw<static_cast<int>(DType::float64)> : infer_draw<static_cast<int>(DType::float32)>;
  op.plan = plan_draw;
  op.key = -1;
  op.draws = true;
  op.batch = Batch::rule;
  op.batch_rule = [](const BatchContext& c) {
    Attrs attrs = c.attrs;
    attrs.lists[0].insert(0, c.size);
    return apply(c.op, c.x, attrs);
  };
  op.internal = true;
  op.flops_per_output = 30;
  attach_kernels(op, kernel);
  ops.push_back(op);
}
Tensor draw(const std::string& kind, const Shape& shape, const Tensor& counter, std::uint32_t stream, double first,
            double second, DType dtype) {
  const std::string name = "random." + kind;
  if (dtype != DType::float32 && dtype != DType::float64)
    fail<DTypeError>(name, "draws are float32 or float64", std::string(name_of(dtype)), "cast afterwards");
  (void)shape.checked_size(name.c_str());
  Attrs attrs;
  attrs.lists[0] = shape;
  attrs.ints[0] = stream;
  attrs.reals[0] = first;
  attrs.reals[1] = second;
  return apply1(find_op("random_" + kind + (dtype == DType::float64 ? "_float64" : "")), std::span(&counter, 1), attrs);
}

// The counter of a random op called without a key, and its stream.
std::pair<Tensor, std::uint32_t> next_draw() {
  if (RandomScope* scope = RandomScope::current()) {
    const std::uint32_t stream = scope->next_stream();
    return {scope->counter(), stream};
  }
  return {make_counter(global_seed(), loose_calls.fetch_add(1) | 0x80000000u), 0};
}

}  // namespace

Tensor make_counter(std::uint64_t seed, std::uint64_t step) {
  const std::int64_t values[] = {static_cast<std::int64_t>(seed), static_cast<std::int64_t>(step)};
  return Tensor::from_raw(values, 2, Shape{2}, DType::int64);
}

std::uint64_t global_seed() noexcept { return seed_now.load(); }
void manual_seed(std::uint64_t seed) {
  seed_now.store(seed);
  layers_made.store(0);
  loose_calls.store(0);
}
std::uint64_t next_layer_key() {
  // The seed's layers are numbered; the golden-ratio step keeps the keys of neighbouring seeds apart.
  return (seed_now.load() + 1) * 0x9E3779B97F4A7C15u + layers_made.fetch_add(1);
}

SeedScope::SeedScope(std::uint64_t seed)
    : seed_(seed_now.load()), layers_(layers_made.load()), calls_(loose_calls.load()) {
  manual_seed(seed);
}
SeedScope::~SeedScope() {
  seed_now.store(seed_);
  layers_made.store(layers_);
  loose_calls.store(calls_);
}

RandomScope::RandomScope(Tensor counter) : counter_(std::move(counter)), outer_(innermost) { innermost = this; }
RandomScope::RandomScope(std::uint64_t seed, std::uint32_t* calls) : seed_(seed), calls_(calls), outer_(innermost) {
  innermost = this;
}
RandomScope::~RandomScope() { innermost = outer_; }
RandomScope* RandomScope::current() noexcept { return innermost; }
const Tensor& RandomScope::counter() {
  if (!counter_.defined()) counter_ = make_counter(seed_, (*calls_)++);
  return counter_;
}

void add_random_ops(std::vector<Op>& ops) {
  Op op;
  op.name = "dropout";
  op.doc = "Zeroes elements with probability p, divides the others by 1 - p (Srivastava et al., 2014).";
  op.min_inputs = op.max_inputs = 2;
  op.outputs = 2;
  op.attributes = {p_field, stream_field};
  op.infer = infer_dropout;
  op.plan = plan_dropout;
  op.saves = save_output << 1;
  op.derivative = Derivative::linear;
  op.vjp = [](const RuleContext& c) {
    return Tensors{c.g[0].defined() ? apply_mask(c.g[0], c.y[1], c.attrs) : Tensor(), Tensor()};
  };
  op.jvp = [](const RuleContext& c) {
    return Tensors{c.g[0].defined() ? apply_mask(c.g[0], c.y[1], c.attrs) : Tensor(), Tensor()};
  };
  op.draws = true;
  op.batch = Batch::rule;
  op.batch_rule = batch_dropout;
  op.rowwise = true;
  op.row_inputs = row_inputs_dropout<1u>;  // the counter is read whole
  op.inplace = 1;
  op.flops_per_output = 10;
  attach_kernels(op, "dropout");
  ops.push_back(op);

  op = Op{};
  op.name = "dropout_apply";
  op.doc = "x under a dropout mask: the derivative of dropout.";
  op.min_inputs = op.max_inputs = 2;
  op.attributes = {p_field, stream_field};
  op.infer = infer_apply;
  op.plan = plan_dropout;
  op.saves = save_input(1);
  op.derivative = Derivative::linear;
  op.vjp = [](const RuleContext& c) { return Tensors{apply_mask(c.g[0], c.x[1], c.attrs), Tensor()}; };
  op.jvp = [](const RuleContext& c) {
    return Tensors{c.g[0].defined() ? apply_mask(c.g[0], c.x[1], c.attrs) : Tensor()};
  };
  op.batch = Batch::rule;
  op.batch_rule = batch_apply;
  op.rowwise = true;
  op.row_inputs = row_inputs_dropout<3u>;
  op.inplace = 1;
  op.internal = true;
  attach_kernels(op, "dropout_apply");
  ops.push_back(op);

  for (const bool twice : {false, true}) {
    add_draw(ops, twice ? "random_normal_float64" : "random_normal", "random_normal",
             "Normal draws keyed by a counter.", "mean", "std", twice);
    add_draw(ops, twice ? "random_uniform_float64" : "random_uniform", "random_uniform",
             "Uniform draws in [low, high) keyed by a counter.", "low", "high", twice);
  }

  op = Op{};
  op.name = "check_finite";
  op.doc = "Ends the run with an error where a value is inf or NaN.";
  op.outputs = 0;
  op.infer = [](const Op&, std::span<const TensorType>, const Attrs&) { return Types{}; };
  op.plan = [](const Op&, std::span<const TensorType> in, std::span<const TensorType>, const Attrs&,
               kernels::Plan& plan) {
    auto& body = new_plan_body<kernels::RowPlan>(plan);
    body.rows = plan.units = in[0].shape.size();
    body.n = 1;
    plan.cost = static_cast<double>(plan.units) * 0.05;
  };
  op.pure = false;
  op.elementwise = true;
  op.batch = Batch::elementwise;
  op.internal = true;
  attach_kernels(op, "check_finite");
  ops.push_back(op);
}

Tensor dropout(const Tensor& x, double p) {
  static const Op& op = find_op("dropout");
  if (!(p >= 0.0 && p <= 1.0))
    fail<ValueError>("dropout", "p is outside [0, 1]", std::to_string(p), "p is the probability of dropping");
  const Tensor in_floats = floating(x, "dropout");
  if (p == 0.0) return in_floats;
  const auto [counter, stream] = next_draw();
  Attrs attrs;
  attrs.reals[0] = p;
  attrs.ints[0] = stream;
  const Tensor in[] = {in_floats, counter};
  return apply1(op, in, attrs);
}

namespace random {
Tensor normal(const Shape& shape, std::uint64_t key, std::uint32_t stream, double mean, double std, DType dtype) {
  return draw("normal", shape, make_counter(key, draw_step), stream, mean, std, dtype);
}
Tensor uniform(const Shape& shape, std::uint64_t key, std::uint32_t stream, double low, double high, DType dtype) {
  return draw("uniform", shape, make_counter(key, draw_step), stream, low, high, dtype);
}
Tensor normal(const Shape& shape, const NormalOptions& options) {
  if (!(options.std >= 0.0) || !std::isfinite(options.mean) || !std::isfinite(options.std))
    fail<ValueError>("random.normal", "mean and std must be finite, std 0 or more",
                     "mean is " + std::to_string(options.mean) + ", std is " + std::to_string(options.std));
  const auto [counter, stream] = next_draw();
  return draw("normal", shape, counter, stream, options.mean, options.std, options.dtype);
}
Tensor uniform(const Shape& shape, const UniformOptions& options) {
  if (!(options.low <= options.high) || !std::isfinite(options.low) || !std::isfinite(options.high))
    fail<ValueError>("random.uniform", "low and high must be finite, low at most high",
                     "low is " + std::to_string(options.low) + ", high is " + std::to_string(options.high));
  const auto [counter, stream] = next_draw();
  return draw("uniform", shape, counter, stream, options.low, options.high, options.dtype);
}
}  // namespace random

}  // namespace chainrule
