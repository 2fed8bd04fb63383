// How Python says how models are made and trained: shared by cross-validation, search and ensembles.
#pragma once

#include "callbacks.hpp"
#include "watcher.hpp"

namespace chainrule::python {

// The keyword arguments of all three.
struct TrainingArguments {
  py::object loss, optimizer;
  std::int64_t epochs, batch_size;
  py::object metrics;
  bool shuffle;
  py::object sample_weight, class_weight, sampler, clip_norm, clip_value;
  std::int64_t accumulate;
  double l1;
  py::object max_norm;
  double mixup;
  py::object callbacks;
  std::string precision;
};

// A recipe; parameters: what a search changes in it, by name.
Recipe to_recipe(const char* who, const py::object& make_model, const TrainingArguments& arguments,
                 const py::dict& parameters = {});

struct PythonSearch {
  Search search;
  py::list parameters;  // of the candidates, the best first
};
void bind_selection_results(py::module_& m);

}  // namespace chainrule::python
