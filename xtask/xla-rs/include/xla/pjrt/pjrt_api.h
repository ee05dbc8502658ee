// In place of XLA's header: the functions that load a PJRT plugin are not among the symbols that TensorFlow exports.
#pragma once
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "xla/pjrt/c/pjrt_c_api.h"

namespace pjrt {

inline absl::Status NoPlugins() {
  return absl::UnimplementedError("this xla_extension loads no PJRT plugins; preheat does");
}

inline absl::StatusOr<const PJRT_Api *> PjrtApi(absl::string_view) { return NoPlugins(); }
inline absl::StatusOr<const PJRT_Api *> LoadPjrtPlugin(absl::string_view, absl::string_view) { return NoPlugins(); }
inline absl::StatusOr<bool> IsPjrtPluginInitialized(absl::string_view) { return NoPlugins(); }
inline absl::Status InitializePjrtPlugin(absl::string_view) { return NoPlugins(); }

}  // namespace pjrt
