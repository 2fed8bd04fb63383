// The callbacks that a fit has for itself as long as it runs.
#pragma once

#include <memory>
#include <vector>

#include "chainrule/callbacks.hpp"

namespace chainrule {

// StateError where an EMA, SWA, EarlyStopping or Checkpoint, which keep what belongs to one fit, is given twice, or is
// in another fit: in another thread, or around this one.
class CallbackClaims {
 public:
  explicit CallbackClaims(const std::vector<std::shared_ptr<Callback>>& callbacks);
  CallbackClaims(const CallbackClaims&) = delete;
  CallbackClaims& operator=(const CallbackClaims&) = delete;
  ~CallbackClaims();

 private:
  std::vector<const Callback*> own_{};
};

}  // namespace chainrule
