// EMA and SWA: a copy of the model whose weights are averages of those that training goes through.
#include "train/weight_average.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "chainrule/drivers.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/trainer.hpp"
#include "core/arguments.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "core/parallel.hpp"
#include "core/storage.hpp"
#include "graph/tensor_data.hpp"
#include "io/number_text.hpp"
#include "nn/mode_override.hpp"
#include "nn/module_tree.hpp"
#include "ops/random_scope.hpp"
#include "train/group_rates.hpp"

namespace chainrule {
namespace {

constexpr std::int64_t values_worth_threads = std::int64_t{1} << 18;

// Out of line, so that its arithmetic stays inside the floating-point environment around the call.
template <class T>
[[gnu::noinline]] void move_values(const T* from, T* to, std::int64_t begin, std::int64_t end, double weight) {
  const T w = static_cast<T>(weight);
  for (std::int64_t i = begin; i < end; ++i) to[i] += w * (from[i] - to[i]);
}

void move_part(const Tensor& from, const Tensor& to, std::int64_t begin, std::int64_t end, double weight) {
  const FloatEnvironment environment;
  if (weight != 1.0 && to.dtype() == DType::float32)
    return move_values(reinterpret_cast<const float*>(bytes_of(from)), reinterpret_cast<float*>(bytes_of(to)), begin,
                       end, weight);
  if (weight != 1.0 && to.dtype() == DType::float64)
    return move_values(reinterpret_cast<const double*>(bytes_of(from)), reinterpret_cast<double*>(bytes_of(to)), begin,
                       end, weight);
  const auto width = static_cast<std::int64_t>(size_of(to.dtype()));
  std::memcpy(bytes_of(to) + begin * width, bytes_of(from) + begin * width,
              static_cast<std::size_t>((end - begin) * width));
}

}  // namespace

void move_towards(const std::vector<nn::NamedTensor>& from, const std::vector<nn::NamedTensor>& to, double weight) {
  std::int64_t values = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const Tensor &a = from[i].tensor, &b = to[i].tensor;
    if (!(a.shape() == b.shape()) || a.dtype() != b.dtype())
      fail<StateError>("fit", "the model has changed since its weights are averaged", from[i].name,
                       "do not change its dtype or layers from a callback");
    values += b.size();
  }
  run_team(values < values_worth_threads ? 1 : available_threads(), [&](int thread, Team& team) {
    for (std::size_t i = 0; i < to.size(); ++i) {
      const std::int64_t n = to[i].tensor.size();
      move_part(from[i].tensor, to[i].tensor, n * thread / team.size, n * (thread + 1) / team.size, weight);
    }
  });
  for (const nn::NamedTensor& t : to) ++t.tensor.data_handle()->storage->version;
}

namespace {

struct Statistics {
  double momentum = 0;
  Tensor buffers[2], sums[2], count;
};

double momentum_of(const nn::ModuleImpl& module) {
  if (module.kind() != "BatchNorm1d") return 0;
  for (const auto& [name, value] : module.arguments())
    if (const auto* number = std::get_if<double>(&value); name == "momentum" && number != nullptr) return *number;
  return 0;
}

std::vector<Statistics> statistics_of(const nn::Module& model) {
  std::vector<Statistics> all;
  nn::each_module(*model.impl(), [&](const std::string&, nn::ModuleImpl& module) {
    Statistics own;
    own.momentum = momentum_of(module);  // at momentum 0 they never move
    if (own.momentum == 0) return;
    for (const nn::NamedTensor& buffer : module.own_buffers()) {
      if (buffer.name == "running_mean") own.buffers[0] = buffer.tensor;
      if (buffer.name == "running_var") own.buffers[1] = buffer.tensor;
      if (buffer.name == "num_batches_tracked") own.count = buffer.tensor;
    }
    if (own.buffers[0].defined() && own.buffers[1].defined()) all.push_back(std::move(own));
  });
  return all;
}

}  // namespace

bool has_batch_statistics(const nn::Module& model) { return !statistics_of(model).empty(); }

// In train mode a buffer becomes (1 - momentum) buffer + momentum fresh: of a buffer that was 0, momentum fresh.
void set_batch_statistics(const nn::Module& model, std::int64_t batches,
                          const std::function<std::vector<Tensor>(std::int64_t)>& inputs_of_batch) {
  const NoGrad nothing;
  const nn::ModeOverride mode(true);
  const FloatEnvironment environment;
  std::vector<Statistics> all = statistics_of(model);
  for (Statistics& own : all) {
    for (int i = 0; i < 2; ++i) own.sums[i] = Tensor::zeros(own.buffers[i].shape(), DType::float64);
    if (own.count.defined()) own.count.copy_(Tensor::zeros({}, own.count.dtype()));
  }
  for (std::int64_t b = 0; b < batches; ++b) {
    for (Statistics& own : all)
      for (Tensor& buffer : own.buffers) buffer.copy_(Tensor::zeros(buffer.shape(), buffer.dtype()));
    RandomScope random(make_counter(0, static_cast<std::uint64_t>(b)));  // the same draws whenever this is done
    model(inputs_of_batch(b));
    for (Statistics& own : all)
      for (int i = 0; i < 2; ++i) own.sums[i] = own.sums[i] + cast(own.buffers[i], DType::float64);
  }
  for (Statistics& own : all)
    for (int i = 0; i < 2; ++i)
      own.buffers[i].copy_(cast(own.sums[i] / (own.momentum * static_cast<double>(batches)), own.buffers[i].dtype()));
}

namespace callbacks {

void WeightAverage::on_fit_begin(FitState& fit) {
  fit_ = fit.weak_from_this();
  updates_ = 0;
  const nn::Module trained = fit.trainer().model();
  copy_ = trained.clone();
  copy_.eval();
  source_ = {trained.named_parameters(), {}};
  average_ = {copy_.named_parameters(), {}};
  const std::vector<nn::NamedTensor> from = trained.named_buffers(), to = copy_.named_buffers();
  for (std::size_t i = 0; i < from.size(); ++i) {
    const bool averaged = average_buffers_ && is_floating(from[i].tensor.dtype());
    (averaged ? source_.averaged : source_.copied).push_back(from[i]);
    (averaged ? average_.averaged : average_.copied).push_back(to[i]);
  }
}

void WeightAverage::on_fit_end(FitState&) { source_ = {}; }

void WeightAverage::update(double weight) {
  move_towards(source_.averaged, average_.averaged, updates_ == 0 ? 1.0 : weight);
  move_towards(source_.copied, average_.copied, 1.0);
  ++updates_;
}

nn::Module WeightAverage::model() const { return updates_ > 0 ? copy_ : nn::Module(); }

std::vector<nn::NamedTensor> WeightAverage::state_dict() const {
  std::vector<nn::NamedTensor> state{{"updates", Tensor::from(std::vector{updates_}, {})}};
  if (updates_ > 0)
    for (const nn::NamedTensor& own : copy_.state_dict()) state.push_back({"model." + own.name, own.tensor});
  return state;
}

void WeightAverage::load_state_dict(const std::vector<nn::NamedTensor>& state) {
  std::vector<nn::NamedTensor> of_model;
  std::int64_t updates = -1;
  for (const nn::NamedTensor& given : state) {
    if (given.name.starts_with("model.")) of_model.push_back({given.name.substr(6), given.tensor});
    if (given.name == "updates" && given.tensor.dtype() == DType::int64 && given.tensor.size() == 1)
      updates = given.tensor.data<std::int64_t>()[0];
  }
  if (updates < 0 || (updates > 0) == of_model.empty())
    fail<ValueError>("load_state_dict", "the state is not that of a weight average", "updates or the model is missing",
                     "give what state_dict() of the same callback returned");
  if (!copy_.impl())
    fail<StateError>("load_state_dict", "there is no model to average yet", "", "resume a fit with this callback");
  if (updates > 0) copy_.load_state_dict(of_model);
  updates_ = updates;
}

EMA::EMA(const EMAOptions& options) : WeightAverage(options.average_buffers, options.replace), options_(options) {
  if (!(options.decay >= 0 && options.decay < 1))
    fail<ValueError>("EMA", "decay must lie in [0, 1)", std::to_string(options.decay),
                     "it is the share that the average keeps in an update");
  if (options.every < 1)
    fail<ValueError>("EMA", "every must be at least 1", std::to_string(options.every),
                     "it is the number of batches between updates");
}
std::int64_t EMA::every() const { return options_.every; }
void EMA::on_batch_end(FitState&) { update(1 - options_.decay); }
std::shared_ptr<Callback> EMA::clone() const { return std::make_shared<EMA>(options_); }
std::string EMA::str() const {
  const auto word = [](bool value) { return value ? "true" : "false"; };
  return "EMA(decay=" + io::number_text(options_.decay) + ", every=" + std::to_string(options_.every) +
         ", average_buffers=" + word(options_.average_buffers) + ", replace=" + word(options_.replace) + ")";
}

SWA::SWA(const SWAOptions& options) : WeightAverage(false, options.replace), options_(options) {
  if (!(options.start >= 0) || std::isinf(options.start) ||
      (options.start > 1 && options.start != std::floor(options.start)))
    fail<ValueError>("SWA", "start must be an epoch, from 1, or a fraction of the epochs, below 1",
                     std::to_string(options.start));
  if (options.lr && (!(*options.lr > 0) || std::isinf(*options.lr)))
    fail<ValueError>("SWA", "lr must be a finite number above 0", std::to_string(*options.lr));
}

void SWA::on_fit_begin(FitState& fit) {
  const optim::Optimizer& optimizer = fit.trainer().optimizer();
  if (options_.lr && optimizer.driver() && !optimizer.driver()->has_rate())
    fail<ValueError>("SWA", "lr does not go with " + optimizer.method().name() + ", which has no learning rate",
                     "lr=" + nn::text_of(*options_.lr), "leave lr away");
  if (const std::string own = options_.lr ? own_rate_text(optimizer) : ""; !own.empty())
    fail<ValueError>("SWA", "lr does not reach a group of parameters with an lr of its own",
                     "lr=" + nn::text_of(*options_.lr) + ", and " + own,
                     "leave lr away, or give the optimizer its group with an lr_scale in place of an lr");
  WeightAverage::on_fit_begin(fit);
  begun_ = false;
  first_ = options_.start >= 1 ? static_cast<std::int64_t>(options_.start)
                               : static_cast<std::int64_t>(options_.start * static_cast<double>(fit.epochs)) + 1;
  if (first_ == 1 && fit.resumed_from.empty()) begin(fit);
}

void SWA::begin(FitState& fit) {
  if (!begun_ && options_.lr) fit.trainer().optimizer().set_lr(*options_.lr);
  begun_ = true;
}

// It may begin here, without a state: in a fit that was begun without it.
void SWA::on_taken_up(FitState& fit) {
  if (fit.epoch + 1 >= first_) begin(fit);
}

void SWA::on_epoch_trained(FitState& fit) {
  if (fit.epoch >= first_) update(1 / static_cast<double>(updates() + 1));
}

void SWA::on_epoch_end(FitState& fit) {
  if (fit.epoch + 1 >= first_) begin(fit);
}

std::shared_ptr<Callback> SWA::clone() const { return std::make_shared<SWA>(options_); }
std::string SWA::str() const {
  return "SWA(start=" + io::number_text(options_.start) +
         ", lr=" + (options_.lr ? io::number_text(*options_.lr) : "none") +
         ", replace=" + (options_.replace ? "true" : "false") + ")";
}

std::vector<nn::NamedTensor> SWA::state_dict() const {
  std::vector<nn::NamedTensor> state = WeightAverage::state_dict();
  state.push_back({"begun", Tensor::from(std::vector<std::int64_t>{begun_ ? 1 : 0}, {})});
  state.push_back({"first_epoch", Tensor::from(std::vector{first_}, {})});
  return state;
}

void SWA::load_state_dict(const std::vector<nn::NamedTensor>& state) {
  WeightAverage::load_state_dict(state);
  for (const nn::NamedTensor& given : state) {
    if (given.name == "first_epoch") first_ = static_cast<std::int64_t>(given.tensor.item());
    if (given.name == "begun" && given.tensor.item() != 0)
      if (const auto fit = fit_state()) begin(*fit);
  }
}

}  // namespace callbacks
}  // namespace chainrule
