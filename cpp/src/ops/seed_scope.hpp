// manual_seed for a while: what was drawn before goes on afterwards as if nothing had been drawn in between.
#pragma once

#include <cstdint>

namespace chainrule {

class SeedScope {
 public:
  explicit SeedScope(std::uint64_t seed);
  ~SeedScope();
  SeedScope(const SeedScope&) = delete;
  SeedScope& operator=(const SeedScope&) = delete;

 private:
  std::uint64_t seed_, layers_;
  std::uint32_t calls_;
};

}  // namespace chainrule
