// Stands in for LLVM's header, which the wheel lacks: what the crate prints a StableHLO module into.
#pragma once
#include <string>

namespace llvm {

class raw_string_ostream {
 public:
  explicit raw_string_ostream(std::string &) {}
  void flush() {}
};

}  // namespace llvm
