// Stands in for MLIR's headers: the types that the crate names where it turns HLO into StableHLO. No module is ever made,
// because ConvertHloToStablehlo in xla/hlo/translate/stablehlo.h refuses.
#pragma once
#include "llvm/Support/raw_ostream.h"

namespace mlir {

class MLIRContext {};

class ModuleOp {
 public:
  template <class Stream>
  void print(Stream &) {}
  ModuleOp *operator->() { return this; }
};

template <class Op>
class OwningOpRef {
 public:
  Op operator*() const { return Op(); }
  Op get() const { return Op(); }
  Op *operator->() { return &op_; }

 private:
  Op op_;
};

}  // namespace mlir
