// Predictor: what its copies share (the program of the samples, the weights and where they come from), and what each
// has for itself. How a prediction is split is in prediction_plan.cpp.
#include "chainrule/predictor.hpp"

#include <atomic>
#include <cstring>

#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "io/input_shapes.hpp"
#include "program/profile.hpp"
#include "program/workspace.hpp"
#include "train/batched_run.hpp"
#include "train/model_parts.hpp"
#include "train/prediction_plan.hpp"
#include "train/step_program.hpp"

namespace chainrule {
namespace {

constexpr const char* who = "Predictor";

std::string text_of(const TensorType& type) { return std::string(name_of(type.dtype)) + type.shape.str(); }
std::string numbered(const char* what, std::size_t i, std::size_t count) {
  return count == 1 ? std::string("the ") + what : std::string(what) + " " + std::to_string(i);
}
TensorType without_batch(TensorType type) {
  type.shape.erase(0);
  return type;
}

Types input_types(const nn::Module& model, std::int64_t batch, const PredictorOptions& options, bool& guessed) {
  std::vector<Shape> shapes = options.input_shapes;
  if (shapes.empty() && !options.input_shape.empty()) shapes = {options.input_shape};
  if (shapes.empty()) {
    io::InputShapes known = io::input_shapes(model);
    guessed = known.guessed;
    shapes = std::move(known.shapes);
  }
  if (shapes.empty())
    fail<StateError>(
        who, "the shape of a sample is not known: no layer tells its number of inputs", model.impl()->kind(),
        "give it: Predictor(model, input_shape=(28, 28)); in C++ PredictorOptions{.input_shape = {28, 28}}");
  if (!options.input_dtypes.empty() && options.input_dtypes.size() != shapes.size())
    fail<ValueError>(who, "input_dtypes does not fit",
                     std::to_string(options.input_dtypes.size()) + " dtypes for " + std::to_string(shapes.size()) +
                         (shapes.size() == 1 ? " input" : " inputs"),
                     "give one per input, or none: the model's");
  Types types;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    Shape shape = shapes[i];
    if (shape.rank() == Shape::max_rank)
      fail<ShapeError>(who, "input_shape has no axis left for the batch", shape.str());
    shape.insert(0, batch);
    shape.checked_size(who);
    types.push_back({options.input_dtypes.empty() ? model.dtype() : options.input_dtypes[i], shape});
  }
  return types;
}

GraphData traced(const nn::Module& model, const Types& types, const std::string& output, bool guessed) {
  if (output != "raw" && output != "proba" && output != "class")
    fail<ValueError>(who, "unknown output", "'" + output + "'", "use \"raw\", \"proba\" or \"class\"");
  const NoGrad nothing;
  try {
    return trace_prediction(model, types, output);
  } catch (const ShapeError& error) {
    if (!guessed) throw;
    fail<StateError>(
        who, "the model does not take samples of the shape its layers tell, " + without_batch(types[0]).shape.str(),
        error.what(), "give the shape of a sample: Predictor(model, input_shape=(28, 28))");
  }
}

// What to do about a wrong size or shape.
std::string advice(std::int64_t given, const TensorType& type) {
  const std::int64_t sample = without_batch(type).shape.size(), batch = type.shape[0];
  if (sample != 0 && given != 0 && given % sample == 0)
    return "it is compiled for " + std::to_string(batch) + (batch == 1 ? " sample" : " samples") +
           ": make a Predictor with batch=" + std::to_string(given / sample) + ", or use model.predict for any number";
  return "give " + std::to_string(batch) + (batch == 1 ? " sample" : " samples") + " of shape " +
         without_batch(type).shape.str();
}

}  // namespace

struct Predictor::Shared {
  nn::Module model;
  ModelParts parts;
  PredictionPlan plan;
  std::unique_ptr<Workspace> weights;
  std::shared_ptr<const Program> program;
  std::int64_t batch;
  Types inputs, outputs;

  Shared(const nn::Module& m, std::int64_t samples, const Types& types, const GraphData& graph)
      : model(m), parts(m), plan(split_weights(graph)), batch(samples), inputs(types) {
    for (ValueId id : graph.outputs) {
      const TensorType& type = graph.types[static_cast<std::size_t>(id)];
      if (type.shape.rank() == 0 || type.shape[0] != batch)
        fail<ShapeError>(who, "the model's output does not have one row per sample",
                         "it is " + type.shape.str() + " for " + std::to_string(batch) + " samples",
                         "keep the batch as the first axis");
      outputs.push_back(type);
    }
    weights = std::make_unique<Workspace>(compile_program(plan.weights), available_threads());
    program = compile_program(plan.samples);
    snapshot();
  }

  void snapshot() {
    const Program& source = weights->program();
    for (std::size_t i = 0; i < source.bound.size(); ++i)  // also those that are in no layer
      if (!(type_of(source.bound[i]) == source.bound_types[i]))
        fail<StateError>(who, "a tensor the model reads has another type than before",
                         text_of(type_of(source.bound[i])) + " in place of " + text_of(source.bound_types[i]),
                         "make a new Predictor of the model");
    weights->refresh();
    run_team(std::min(weights->threads(), available_threads()),
             [&](int thread, Team& team) { weights->run_as(thread, team); });
    if (weights->failed()) weights->throw_failure();
    for (std::size_t i = 0; i < plan.slots.size(); ++i) fill_slot(plan.slots[i], weights->output(i));
  }
};

struct Predictor::Own {
  explicit Own(const Shared& shared) : workspace(shared.program, shared.batch == 1 ? 1 : available_threads()) {}
  Workspace workspace;
  std::atomic<bool> running{false};
};

Predictor::Predictor(const nn::Module& model, std::int64_t batch, const PredictorOptions& options) {
  if (!model.impl()) fail<StateError>(who, "there is no layer in the module", "", "assign one first");
  if (batch < 1) fail<ValueError>(who, "batch must be at least 1", std::to_string(batch));
  bool guessed = false;
  const Types types = input_types(model, batch, options, guessed);
  shared_ = std::make_shared<Shared>(model, batch, types, traced(model, types, options.output, guessed));
  own_ = std::make_unique<Own>(*shared_);
}

Predictor::Predictor(const Predictor& other) : shared_(other.shared_) {
  if (shared_) own_ = std::make_unique<Own>(*shared_);
}
Predictor& Predictor::operator=(const Predictor& other) {
  if (this != &other) *this = Predictor(other);
  return *this;
}
Predictor::Predictor(Predictor&&) noexcept = default;
Predictor& Predictor::operator=(Predictor&&) noexcept = default;
Predictor::~Predictor() = default;

void Predictor::check_alive() const {
  if (!own_) fail<StateError>(who, "it was moved from", "", "use the one it was moved to");
}

// source(i) and target(i) give the memory of input and output i, checked before.
template <class Source, class Target> void Predictor::execute(const Source& source, const Target& target) {
  Workspace& workspace = own_->workspace;
  if (own_->running.exchange(true, std::memory_order_acquire))
    fail<StateError>(who, "two threads use it at the same time", "", "give each thread a copy of its own");
  struct Done {
    std::atomic<bool>& running;
    ~Done() { running.store(false, std::memory_order_release); }
  } const done{own_->running};
  for (std::size_t i = 0; i < shared_->inputs.size(); ++i) workspace.bind_input(i, source(i));
  const int threads = workspace.threads() == 1 ? 1 : std::min(workspace.threads(), available_threads());
  run_team(threads, [&](int thread, Team& team) { workspace.run_as(thread, team); });
  if (workspace.failed()) workspace.throw_failure();
  for (std::size_t i = 0; i < shared_->outputs.size(); ++i)
    if (const std::size_t bytes = bytes_of_type(shared_->outputs[i]))
      std::memmove(target(i), workspace.output(i), bytes);
}

void Predictor::run(std::span<const In> in, std::span<const Out> out) {
  check_alive();
  const auto check = [](const char* what, const auto& given, const Types& types) {
    if (given.size() != types.size())
      fail<ValueError>(who, std::string("the number of ") + what + "s differs",
                       std::to_string(given.size()) + " given, the model has " + std::to_string(types.size()),
                       "give a span for each");
    for (std::size_t i = 0; i < types.size(); ++i) {
      const std::int64_t size = static_cast<std::int64_t>(given[i].size);
      if (given[i].dtype != types[i].dtype)
        fail<DTypeError>(who, numbered(what, i, types.size()) + " has another dtype",
                         std::string(name_of(given[i].dtype)) + " was given, the program has " +
                             std::string(name_of(types[i].dtype)),
                         "convert the values, or pass Tensors, whose inputs are converted");
      if (size != types[i].shape.size())
        fail<ShapeError>(who, numbered(what, i, types.size()) + " has the wrong size",
                         std::to_string(size) + " values were given for " + types[i].shape.str(),
                         advice(size, types[i]));
    }
  };
  check("input", in, shared_->inputs);
  check("output", out, shared_->outputs);
  execute([&](std::size_t i) { return in[i].data; }, [&](std::size_t i) { return out[i].data; });
}

// Checks the inputs and converts their dtypes. True where they are one sample without a batch axis.
bool Predictor::arrange(const std::vector<Tensor>& x, std::vector<Tensor>& in) const {
  check_alive();
  const Types& types = shared_->inputs;
  if (x.size() != types.size())
    fail<ValueError>(who, "the number of inputs differs",
                     std::to_string(x.size()) + " given, the model has " + std::to_string(types.size()),
                     types.size() == 1 ? "give one array" : "give a tuple of arrays, one per input");
  bool single = false;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (!x[i].defined())
      fail<StateError>(who, numbered("input", i, types.size()) + " is undefined", "", "give it a value");
    if (x[i].symbolic())
      fail<StateError>(who, "called in a traced function", "input is " + x[i].shape().str(),
                       "call the model itself, whose weights are then read when the function runs");
    const bool sample = shared_->batch == 1 && x[i].shape() == without_batch(types[i]).shape;
    if ((!sample && !(x[i].shape() == types[i].shape)) || (i > 0 && sample != single))
      fail<ShapeError>(
          who, numbered("input", i, types.size()) + " has the wrong shape",
          x[i].shape().str() + " was given for " + types[i].shape.str() +
              (shared_->batch == 1 ? " or " + without_batch(types[i]).shape.str() : ""),
          i > 0 && sample != single ? "give all inputs with a batch axis, or none" : advice(x[i].size(), types[i]));
    single = sample;
  }
  const NoGrad nothing;
  for (std::size_t i = 0; i < types.size(); ++i)
    if (x[i].dtype() != types[i].dtype) {
      if (in.empty()) in = x;
      in[i] = x[i].detach().astype(types[i].dtype);
    }
  return single;
}

std::vector<Tensor> Predictor::operator()(const std::vector<Tensor>& x) {
  std::vector<Tensor> converted, results;
  const bool single = arrange(x, converted);
  const std::vector<Tensor>& in = converted.empty() ? x : converted;
  for (const TensorType& type : shared_->outputs) results.push_back(make_tensor(single ? without_batch(type) : type));
  execute([&](std::size_t i) { return in[i].raw_data(); }, [&](std::size_t i) { return bytes_of(results[i]); });
  return results;
}

Tensor Predictor::operator()(const Tensor& x) {
  std::vector<Tensor> results = (*this)(std::vector<Tensor>{x});
  if (results.size() != 1)
    fail<ValueError>(who, "the model does not have one output", std::to_string(results.size()) + " outputs",
                     "call it with a list of inputs to get a list of outputs");
  return std::move(results[0]);
}

void Predictor::operator()(const std::vector<Tensor>& x, const std::vector<OutputView>& out) {
  std::vector<Tensor> converted;
  const bool single = arrange(x, converted);
  const std::vector<Tensor>& in = converted.empty() ? x : converted;
  const Types& types = shared_->outputs;
  if (out.size() != types.size())
    fail<ValueError>(who, "out= does not fit",
                     std::to_string(out.size()) + " arrays for " + std::to_string(types.size()) +
                         (types.size() == 1 ? " output" : " outputs"),
                     "give one array per output");
  for (std::size_t i = 0; i < types.size(); ++i) {
    const TensorType wanted = single ? without_batch(types[i]) : types[i], given{out[i].dtype, out[i].shape};
    if (wanted == given) continue;
    const std::string what = "out= does not fit", shown = text_of(given) + " for " + text_of(wanted),
                      todo = "give an array of the output's shape and dtype";
    if (given.dtype != wanted.dtype) fail<DTypeError>(who, what, shown, todo);
    fail<ShapeError>(who, what, shown, todo);
  }
  execute([&](std::size_t i) { return in[i].raw_data(); }, [&](std::size_t i) { return out[i].data; });
}

void Predictor::refresh() {
  check_alive();
  shared_->parts.check(shared_->model, "Predictor.refresh");
  shared_->snapshot();
}

std::int64_t Predictor::batch() const {
  check_alive();
  return shared_->batch;
}

namespace {
template <class T> std::vector<T> list_of(const Types& types, T TensorType::* member) {
  std::vector<T> list;
  for (const TensorType& type : types) list.push_back(type.*member);
  return list;
}
}  // namespace

std::vector<Shape> Predictor::input_shapes() const {
  check_alive();
  return list_of(shared_->inputs, &TensorType::shape);
}
std::vector<Shape> Predictor::output_shapes() const {
  check_alive();
  return list_of(shared_->outputs, &TensorType::shape);
}
std::vector<DType> Predictor::input_dtypes() const {
  check_alive();
  return list_of(shared_->inputs, &TensorType::dtype);
}
std::vector<DType> Predictor::output_dtypes() const {
  check_alive();
  return list_of(shared_->outputs, &TensorType::dtype);
}
double Predictor::estimated_microseconds() const {
  check_alive();
  return shared_->program->cost / 1e3;
}

Profile Predictor::profile(int runs) {
  check_alive();
  std::vector<Tensor> zeros;
  for (const TensorType& type : shared_->inputs) zeros.push_back(Tensor::zeros(type.shape, type.dtype));
  for (std::size_t i = 0; i < zeros.size(); ++i) own_->workspace.bind_input(i, zeros[i].raw_data());
  return chainrule::profile(own_->workspace, runs, [](int) {});
}

std::string Predictor::str() const {
  check_alive();
  std::string text = "Predictor(" + shared_->model.impl()->kind() + ": ";
  for (std::size_t i = 0; i < shared_->inputs.size(); ++i) text += (i == 0 ? "" : ", ") + text_of(shared_->inputs[i]);
  text += " -> ";
  for (std::size_t i = 0; i < shared_->outputs.size(); ++i) text += (i == 0 ? "" : ", ") + text_of(shared_->outputs[i]);
  return text + ")";
}

}  // namespace chainrule
