// The Python module chainrule._core: only the list of what is bound. The package chainrule re-exports it by name.
#include "fast_calls.hpp"

PYBIND11_MODULE(_core, m) {
  using namespace chainrule::python;
  m.doc() = "The C++ core of chainrule.";
  bind_errors(m);
  bind_config(m);
  bind_tensor(m);
  bind_ops(m);
  bind_structure(m);
  bind_random(m);
  bind_registry(m);
  bind_graph_view(m);
  bind_nn(m);
  bind_transforms(m);
  bind_profile(m);
  bind_compile(m);
  bind_custom_gradient(m);
  bind_layers(m);
  bind_losses(m);
  bind_schedules(m);
  bind_optim(m);
  bind_metrics(m);
  bind_train(m);
  bind_callbacks(m);
  bind_training_step(m);
  bind_data(m);
  bind_splits(m);
  bind_ensemble(m);
  bind_selection(m);
  bind_model(m);
  bind_predictor(m);
  bind_argument_errors(m);
  bind_fast_calls(m);
}
