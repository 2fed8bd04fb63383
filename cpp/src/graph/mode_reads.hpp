// Which train/eval flags a trace has read: a program made from it is stale once one of them has changed.
#pragma once

#include <functional>
#include <vector>

namespace chainrule {

struct ModeRead {
  std::function<bool()> now;
  bool traced;
};

// While one lives, reads on this thread are noted in it (and in no outer one).
class ModeReads {
 public:
  ModeReads();
  ~ModeReads();
  ModeReads(const ModeReads&) = delete;
  ModeReads& operator=(const ModeReads&) = delete;

  static bool wanted() noexcept;
  static void note(ModeRead read);
  std::vector<ModeRead> take() { return std::move(reads_); }

 private:
  std::vector<ModeRead> reads_;
  ModeReads* outer_;
};

inline bool modes_changed(const std::vector<ModeRead>& reads) {
  for (const ModeRead& read : reads)
    if (read.now() != read.traced) return true;
  return false;
}

}  // namespace chainrule
