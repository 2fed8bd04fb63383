// Saving and loading models, and what their files tell beside the weights.
#include "path.hpp"
#include "py_module.hpp"

namespace chainrule::python {
namespace {

Model model_of(const py::object& module) { return Model(unwrap_module(module, "model").impl()); }

SaveOptions options_of(const py::object& schema, const std::string& training, const py::object& input_shape,
                       const py::object& input_shapes) {
  SaveOptions options;
  if (!schema.is_none()) options.schema = &schema.cast<const data::Schema&>();
  options.training_json = training;
  if (!input_shape.is_none()) options.input_shape = to_shape(input_shape, "save");
  if (!input_shape.is_none() && !input_shapes.is_none())
    throw ValueError("save: input_shape and input_shapes were both given; give input_shapes for several inputs");
  if (!input_shapes.is_none()) options.input_shapes = to_shapes(input_shapes, "save");
  return options;
}

}  // namespace

void bind_model(py::module_& m) {
  const SaveOptions d;
  m.def(
      "save",
      [](const py::object& model, const py::object& path, const py::object& schema, const std::string& training,
         const py::object& input_shape, const py::object& input_shapes) {
        const nn::Module module = unwrap_module(model, "save");
        const SaveOptions options = options_of(schema, training, input_shape, input_shapes);
        const std::string name = path_of(path);
        const Unlocked unlocked;
        save(module, name, options);
      },
      "model"_a, "path"_a, py::kw_only(), "schema"_a = py::none(), "training"_a = d.training_json,
      "input_shape"_a = py::none(), "input_shapes"_a = py::none(),
      "Write a model file. schema: the columns it was trained on; training: a JSON object on how; input_shape and\n"
      "input_shapes: as in Module.save.");
  m.def(
      "load",
      [](const py::object& path) {
        const std::string name = path_of(path);
        return wrap_module(load(name));
      },
      "path"_a, "Read a model file, written by Python or C++. The model is in eval mode and can be trained on.");
  m.def(
      "loads",
      [](const py::bytes& bytes) {
        const std::string_view view = bytes;
        return wrap_module(loads({reinterpret_cast<const unsigned char*>(view.data()), view.size()}));
      },
      "data"_a, "Read a model from the bytes of a model file.");

  py::object module = m.attr("Module");
  const auto method = [&](const char* name, auto f, const char* doc, auto... arguments) {
    module.attr(name) = py::cpp_function(f, py::name(name), py::is_method(module), arguments..., py::doc(doc));
  };
  method(
      "save",
      [](const py::object& self, const py::object& path, const py::object& input_shape,
         const py::object& input_shapes) {
        save(unwrap_module(self, "save"), path_of(path),
             options_of(py::none(), SaveOptions{}.training_json, input_shape, input_shapes));
      },
      "Write the model to a file that Python and C++ load. An existing file is replaced only once the new one is "
      "whole. input_shape: of\none sample, where neither training nor a layer tells it; input_shapes: of several "
      "inputs.",
      "path"_a, py::kw_only(), "input_shape"_a = py::none(), "input_shapes"_a = py::none());
  method(
      "to_bytes",
      [](const py::object& self, const py::object& input_shape, const py::object& input_shapes) {
        return py::bytes(to_bytes(unwrap_module(self, "to_bytes"),
                                  options_of(py::none(), SaveOptions{}.training_json, input_shape, input_shapes)));
      },
      "The bytes of the model file. input_shape and input_shapes: as in save.", py::kw_only(),
      "input_shape"_a = py::none(), "input_shapes"_a = py::none());
  const auto property = [&](const char* name, auto f, const char* doc) {
    const py::object getter = py::cpp_function(f, py::is_method(module));
    module.attr(name) = py::module_::import("builtins").attr("property")(getter, py::none(), py::none(), doc);
  };
  property(
      "schema",
      [](const py::object& self) -> py::object {
        const data::Schema* schema = model_of(self).schema();
        return schema == nullptr ? py::none() : py::cast(*schema);
      },
      "The columns of the table a loaded model was trained on, or None.");
  property(
      "training_json", [](const py::object& self) { return model_of(self).training_json(); },
      "How a loaded model was trained, as JSON; \"{}\" if unknown.");
}

}  // namespace chainrule::python
