// Nested arguments and results.
#include "tree.hpp"

namespace chainrule::python {
namespace {

bool only_numbers(py::handle value) {
  const Nesting level;
  if (PyList_Check(value.ptr()) || PyTuple_Check(value.ptr())) {
    for (py::handle item : value)
      if (!only_numbers(item)) return false;
    return true;
  }
  return PyFloat_Check(value.ptr()) || PyLong_Check(value.ptr());
}

std::vector<nn::NamedTensor> trained_parameters(const nn::Module& module) {
  std::vector<nn::NamedTensor> wanted;
  for (const nn::NamedTensor& p : module.named_parameters())
    if (p.tensor.requires_grad()) wanted.push_back(p);
  return wanted;
}

// A leaf as it is: a tensor, or an array or number as a new one.
Tensor leaf(py::handle value, const char* op, Use use) {
  if (is_tensor(value)) return value.cast<const Tensor&>();
  if (!is_operand(value))
    throw DTypeError(std::string(op) +
                     ": expected tensors, arrays, numbers or nested tuples, lists and dicts of them, got " +
                     type_name(value));
  if (use != Use::values && !is_sequence(value)) {
    const Tensor t = to_tensor(value, op);
    if (t.weak()) return t;
  }
  return new_tensor(value, py::none());
}

}  // namespace

Tree Tree::tuple_of(std::vector<Tree> children) {
  Tree tree;
  tree.kind_ = Kind::tuple;
  tree.children_ = std::move(children);
  return tree;
}

Tree Tree::take_apart(py::handle value, const char* op, std::vector<Tensor>& leaves, Use use) {
  const Nesting level;
  Tree tree;
  if (value.is_none()) {
    tree.kind_ = Kind::none;
  } else if (PyDict_Check(value.ptr())) {
    tree.kind_ = Kind::dict;
    for (auto [key, item] : py::reinterpret_borrow<py::dict>(value)) {
      tree.dict_keys_.push_back(hold(py::reinterpret_borrow<py::object>(key)));
      tree.children_.push_back(take_apart(item, op, leaves, use));
    }
  } else if (PyTuple_Check(value.ptr()) ||
             (PyList_Check(value.ptr()) && !(py::len(value) > 0 && only_numbers(value)))) {
    tree.kind_ = PyTuple_Check(value.ptr()) ? Kind::tuple : Kind::list;
    if (tree.kind_ == Kind::tuple && !PyTuple_CheckExact(value.ptr()))
      tree.type_ = hold(py::reinterpret_borrow<py::object>(py::type::of(value)));
    for (py::handle item : value) tree.children_.push_back(take_apart(item, op, leaves, use));
  } else if (py::isinstance<nn::ModuleImpl>(value)) {
    tree.kind_ = Kind::module;
    tree.module_ = unwrap_module(value, op);
    tree.object_ = hold(py::reinterpret_borrow<py::object>(value));
    for (const nn::NamedTensor& p : trained_parameters(tree.module_)) {
      tree.keys_.push_back(p.name);
      const Tensor& now = nn::ParameterScope::present(p.tensor);
      const bool own = now.data_handle() == p.tensor.data_handle() && use != Use::arguments;
      leaves.push_back(own ? p.tensor.detach() : now);
    }
  } else {
    leaves.push_back(leaf(value, op, use));
  }
  return tree;
}

py::object Tree::build_from(const std::vector<Tensor>& leaves, std::size_t& at, std::vector<Tensor>* parameters,
                            std::vector<Tensor>* stand_ins) const {
  const Nesting level;
  switch (kind_) {
    case Kind::none:
      return py::none();
    case Kind::leaf:
      return py::cast(leaves[at++]);
    case Kind::tuple: {
      py::tuple items(children_.size());
      for (std::size_t i = 0; i < children_.size(); ++i)
        items[i] = children_[i].build_from(leaves, at, parameters, stand_ins);
      if (!type_) return items;
      return held(type_)(*items);
    }
    case Kind::list: {
      py::list items;
      for (const Tree& child : children_) items.append(child.build_from(leaves, at, parameters, stand_ins));
      return items;
    }
    case Kind::dict: {
      py::dict items;
      for (std::size_t i = 0; i < children_.size(); ++i)
        items[held(dict_keys_[i])] = children_[i].build_from(leaves, at, parameters, stand_ins);
      return items;
    }
    case Kind::module:
      break;
  }
  if (parameters == nullptr) {
    py::dict by_name;
    for (const std::string& name : keys_) by_name[py::str(name)] = py::cast(leaves[at++]);
    return by_name;
  }
  for (const nn::NamedTensor& p : trained_parameters(module_)) {
    parameters->push_back(p.tensor);
    stand_ins->push_back(leaves[at++]);
  }
  return held(object_);
}

py::object Tree::build(const std::vector<Tensor>& leaves) const {
  std::size_t at = 0;
  return build_from(leaves, at, nullptr, nullptr);
}
py::object Tree::build_argument(const std::vector<Tensor>& leaves, std::vector<Tensor>& parameters,
                                std::vector<Tensor>& stand_ins) const {
  std::size_t at = 0;
  return build_from(leaves, at, &parameters, &stand_ins);
}

void Tree::collect(py::handle value, const char* op, const char* what, std::vector<Tensor>& leaves) const {
  const Nesting level;
  const auto mismatch = [&]() -> ValueError {
    return ValueError(std::string(op) + ": the " + what + " must have the structure " + str() + ", got " +
                      type_name(value));
  };
  switch (kind_) {
    case Kind::none:
      if (!value.is_none()) throw mismatch();
      return;
    case Kind::leaf:
      if (PyDict_Check(value.ptr()) || PyTuple_Check(value.ptr()) || value.is_none()) throw mismatch();
      leaves.push_back(to_tensor(value, op));
      return;
    case Kind::tuple:
    case Kind::list: {
      const bool several = PyTuple_Check(value.ptr()) || PyList_Check(value.ptr());
      if (!several && children_.size() == 1)
        return children_[0].collect(value, op, what, leaves);  // bare, not in a 1-tuple
      if (!several || py::len(value) != children_.size()) throw mismatch();
      std::size_t i = 0;
      for (py::handle item : value) children_[i++].collect(item, op, what, leaves);
      return;
    }
    case Kind::dict:
    case Kind::module: {
      const std::size_t count = kind_ == Kind::dict ? children_.size() : keys_.size();
      if (!PyDict_Check(value.ptr()) || py::len(value) != count) throw mismatch();
      const auto items = py::reinterpret_borrow<py::dict>(value);
      for (std::size_t i = 0; i < count; ++i) {
        const py::object key = kind_ == Kind::dict ? held(dict_keys_[i]) : py::object(py::str(keys_[i]));
        if (!items.contains(key)) throw mismatch();
        if (kind_ == Kind::dict)
          children_[i].collect(items[key], op, what, leaves);
        else
          leaves.push_back(to_tensor(items[key], op));
      }
      return;
    }
  }
}

std::vector<Tensor> Tree::leaves_of(py::handle value, const char* op, const char* what) const {
  std::vector<Tensor> leaves;
  collect(value, op, what, leaves);
  return leaves;
}

std::size_t Tree::leaf_count() const {
  if (kind_ == Kind::leaf) return 1;
  std::size_t count = keys_.size();
  for (const Tree& child : children_) count += child.leaf_count();
  return count;
}

std::string Tree::str() const {
  std::string text;
  const auto items = [&](const char* open, const char* close) {
    text = open;
    for (std::size_t i = 0; i < children_.size(); ++i) {
      if (i > 0) text += ", ";
      if (kind_ == Kind::dict) text += std::string(py::repr(held(dict_keys_[i]))) + ": ";
      text += children_[i].str();
    }
    return text + close;
  };
  switch (kind_) {
    case Kind::leaf:
      return "*";
    case Kind::none:
      return "None";
    case Kind::tuple:
      return items("(", children_.size() == 1 ? ",)" : ")");
    case Kind::list:
      return items("[", "]");
    case Kind::dict:
      return items("{", "}");
    case Kind::module:
      break;
  }
  text = module_.impl()->kind() + "{";
  for (std::size_t i = 0; i < keys_.size(); ++i) text += (i ? ", " : "") + keys_[i];
  return text + "}";
}

}  // namespace chainrule::python
