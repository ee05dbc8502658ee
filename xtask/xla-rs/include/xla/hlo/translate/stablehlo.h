// Stands in for XLA's header: the MLIR that a translation to StableHLO needs is not in the wheel.
#pragma once
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mlir/IR/BuiltinOps.h"
#include "xla/service/hlo.pb.h"

namespace xla {

inline absl::StatusOr<mlir::OwningOpRef<mlir::ModuleOp>> ConvertHloToStablehlo(mlir::MLIRContext &,
                                                                               const HloModuleProto *) {
  return absl::UnimplementedError("this xla_extension has no StableHLO text; take the HLO proto");
}

}  // namespace xla
