// The exceptions chainrule throws. Every message reads "op: what is wrong: what was given; what to do".
#pragma once

#include <stdexcept>
#include <string>

#include "chainrule/export.hpp"

namespace chainrule {

class CHAINRULE_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
class CHAINRULE_API ShapeError : public Error {
  using Error::Error;
};  // shapes that do not fit
class CHAINRULE_API ValueError : public Error {
  using Error::Error;
};  // a value out of its domain
class CHAINRULE_API DTypeError : public Error {
  using Error::Error;
};  // dtypes that do not fit
class CHAINRULE_API IndexError : public Error {
  using Error::Error;
};  // an index or a name not there
class CHAINRULE_API StateError : public Error {
  using Error::Error;
};  // called at the wrong time
class CHAINRULE_API FileError : public Error {
  using Error::Error;
};  // unreadable, damaged, hostile

}  // namespace chainrule
