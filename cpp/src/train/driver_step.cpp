// A compiled step as the objective of a driver.
#include "train/driver_step.hpp"

#include <cmath>
#include <limits>

#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "train/normal_equations.hpp"

namespace chainrule {
namespace {

constexpr double not_finite = std::numeric_limits<double>::quiet_NaN();

class StepObjective final : public optim::Objective {
 public:
  StepObjective(optim::Optimizer& optimizer, CompiledStep& step)
      : Objective(optimizer.parameters()), optimizer_(optimizer), step_(step) {}
  ~StepObjective() override = default;

  double gradient(std::span<double> g) override {
    if (!run()) return not_finite;
    std::size_t at = 0, output = step_gradients;
    for (const Tensor& p : parameters()) {
      const void* from = step_.workspace().output(output++);
      for (std::size_t i = 0, n = static_cast<std::size_t>(p.size()); i < n; ++i, ++at)
        g[at] = p.dtype() == DType::float64 ? static_cast<const double*>(from)[i]
                                            : static_cast<double>(static_cast<const float*>(from)[i]);
    }
    return loss_;
  }

  double loss() override { return run() ? loss_ : not_finite; }

  bool normal_equations(std::span<double> jtj, std::span<double> jtr) override {
    std::shared_ptr<NormalEquations>& equations = step_.normal_equations();
    if (!equations || equations->stale())
      equations = std::make_shared<NormalEquations>(step_, parameters(), optimizer_.method().name());
    return equations->run(step_, loss_, jtj, jtr);
  }

 private:
  // The first run's failure is left for the caller of drive, as that of any step; those of later ones end a trial.
  bool run() {
    Workspace& workspace = step_.workspace();
    run_team(workspace.threads(), [&](int thread, Team& team) { workspace.run_as(thread, team); });
    if (workspace.failed()) {
      if (!first_) try {
          workspace.throw_failure();
        } catch (const ValueError&) {}
      return false;
    }
    workspace.count_versions(1);
    if (first_) step_.hold_outputs();
    first_ = false;
    loss_ = present_loss();
    return true;
  }
  double present_loss() {
    const GraphData& graph = step_.workspace().program().graph;
    const void* at = step_.workspace().output(step_loss);
    return graph.types[static_cast<std::size_t>(graph.outputs[step_loss])].dtype == DType::float64
               ? *static_cast<const double*>(at)
               : static_cast<double>(*static_cast<const float*>(at));
  }

  optim::Optimizer& optimizer_;
  CompiledStep& step_;
  bool first_ = true;
  double loss_ = 0;
};

}  // namespace

void check_driver(const optim::Optimizer& optimizer, const Loss& loss, const TrainerOptions& options) {
  const std::string name = optimizer.method().name();
  if (options.clip_norm)
    fail<ValueError>("Trainer", "clip_norm does not go with " + name, "it needs the gradients as they are",
                     "leave clip_norm away, or use Adam");
  if (options.clip_value)
    fail<ValueError>("Trainer", "clip_value does not go with " + name, "it needs the gradients as they are",
                     "leave clip_value away, or use Adam");
  if (options.accumulate != 1)
    fail<ValueError>("Trainer", "accumulate does not go with " + name, "it looks at a batch more than once",
                     "give larger batches, or use Adam");
  for (const auto& [option, given] :
       {std::pair("l1", options.l1 > 0), std::pair("max_norm", options.max_norm.has_value()),
        std::pair("mixup", options.mixup > 0)})
    if (given)
      fail<ValueError>("Trainer", std::string(option) + " does not go with " + name,
                       "it needs one smooth objective, the same at every look",
                       "leave " + std::string(option) + " away, or use Adam");
  if (options.precision != "float32")
    fail<ValueError>("Trainer", "precision does not go with " + name, "precision is \"" + options.precision + "\"",
                     "leave it away: differences of losses would drown in the rounding");
  if (optimizer.driver()->least_squares() && !loss.impl()->residuals())
    fail<ValueError>("Trainer", name + " needs a loss that is a sum of squares", loss.str(),
                     "use MSELoss, or another optimizer (LBFGS takes any loss)");
}

std::vector<Tensor> driven_parameters(const optim::Optimizer& optimizer) {
  return optimizer.driver() ? optimizer.parameters() : std::vector<Tensor>{};
}

void drive(optim::Optimizer& optimizer, CompiledStep& step, double lr) {
  step.release_outputs();
  step.workspace().refresh();
  StepObjective objective(optimizer, step);
  const FloatEnvironment environment;
  if (!std::isfinite(optimizer.driver()->step(objective, lr)) && !step.workspace().failed())
    fail<ValueError>(optimizer.method().name(), "the Jacobian of the residuals is not finite", "",
                     "no update was made; look for functions whose derivative is infinite, such as sqrt at 0");
}

}  // namespace chainrule
