// Train or eval mode for everything that runs on this thread, whatever the modules' own flags say. Changes no module,
// so that several threads may predict with one model.
#pragma once

namespace chainrule::nn {

class ModeOverride {
 public:
  explicit ModeOverride(bool training) noexcept;
  ~ModeOverride();
  ModeOverride(const ModeOverride&) = delete;
  ModeOverride& operator=(const ModeOverride&) = delete;

 private:
  int before_;
};

}  // namespace chainrule::nn
