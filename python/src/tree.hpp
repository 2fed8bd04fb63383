// Arguments and results of functions: nested tuples, lists and dicts of tensors, and modules, taken apart into a flat
// list of tensors and put together again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common.hpp"

namespace chainrule::python {

// What a tree is taken apart for. values: numbers get a dtype of their own. primals: numbers take the other operand's;
// parameters of modules stand for their values, since a transform makes leaves of its own. arguments: the same, but
// parameters stay themselves, so that a call can be recorded.
enum class Use { values, primals, arguments };

class Tree {
 public:
  // Takes a value apart. A list of plain numbers is an array, as everywhere. A module's leaves are the values of its
  // parameters that want a gradient.
  static Tree take_apart(py::handle value, const char* op, std::vector<Tensor>& leaves, Use use = Use::values);
  static Tree tuple_of(std::vector<Tree> children);

  // The same structure with other leaves, as a result: modules become dicts by parameter name.
  py::object build(const std::vector<Tensor>& leaves) const;
  // The same as an argument: modules are themselves; their parameters and what stands in for them are appended.
  py::object build_argument(const std::vector<Tensor>& leaves, std::vector<Tensor>& parameters,
                            std::vector<Tensor>& stand_ins) const;
  // The leaves of a value that must have this structure (a dict by name for a module).
  std::vector<Tensor> leaves_of(py::handle value, const char* op, const char* what) const;

  std::size_t leaf_count() const;
  const std::vector<Tree>& children() const { return children_; }
  std::string str() const;  // equal for equal structures: ((*, *), {a: *})

 private:
  enum class Kind { leaf, none, tuple, list, dict, module };
  py::object build_from(const std::vector<Tensor>& leaves, std::size_t& at, std::vector<Tensor>* parameters,
                        std::vector<Tensor>* stand_ins) const;
  void collect(py::handle value, const char* op, const char* what, std::vector<Tensor>& leaves) const;

  Kind kind_ = Kind::leaf;
  std::vector<Tree> children_;
  std::vector<std::string> keys_;  // of a module's parameters
  std::vector<std::shared_ptr<PyObject>> dict_keys_;
  std::shared_ptr<PyObject> type_;  // of a tuple, for named ones
  nn::Module module_;
  std::shared_ptr<PyObject> object_;  // the module as Python knows it
};

}  // namespace chainrule::python
