// Stands in for XLA's header: tensorflow-cpu has no GPU client.
#pragma once
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "xla/pjrt/pjrt_client.h"
#include "xla/pjrt/plugin/xla_gpu/xla_gpu_client_options.h"

namespace xla {

inline absl::StatusOr<std::unique_ptr<PjRtClient>> GetStreamExecutorGpuClient(const GpuClientOptions &) {
  return absl::UnimplementedError("this xla_extension has no GPU client");
}

}  // namespace xla
