// Precisions by name.
#include "train/precision.hpp"

#include "core/fail.hpp"
#include "dispatch/amx.hpp"

namespace chainrule {

Precision precision_named(const std::string& name, const std::vector<nn::NamedTensor>& parameters, const char* who) {
  if (name == "float32") return Precision::float32;
  if (name != "bf16") {
    const bool short_floats = name.find("16") != std::string::npos || name.starts_with("b") || name == "half";
    fail<ValueError>(who, "precision must be \"float32\" or \"bf16\"", '"' + name + '"',
                     short_floats ? "did you mean \"bf16\"?" : "did you mean \"float32\"?");
  }
  for (const nn::NamedTensor& p : parameters)
    if (p.tensor.dtype() != DType::float32)
      fail<DTypeError>(who, "precision=\"bf16\" needs a float32 model",
                       p.name + " is " + std::string(name_of(p.tensor.dtype())),
                       "use model.astype(\"float32\"), or leave precision out");
  if (!dispatch::ask_for_amx().empty())
    fail<StateError>(who, "precision=\"bf16\" cannot run here", dispatch::ask_for_amx(), "use precision=\"float32\"");
  return Precision::bf16;
}

}  // namespace chainrule
