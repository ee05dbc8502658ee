// Which functions of libtorch does tch lack? Those that say which memory a tensor is in, what a
// device's allocator holds, and when a device has finished its work. They are called through
// libtorch's common interface of all devices, so that this library works with CUDA and ROCm
// although it is built without their headers. No exception leaves a function: one that can fail
// returns true, or false with libtorch's error text in `message`.

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/core/Tensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <string>

namespace {

template <typename Work>
bool guarded(char* message, size_t size, Work work) {
  try {
    work();
    return true;
  } catch (const c10::Error& error) {
    std::snprintf(message, size, "%s", error.what_without_backtrace());
  } catch (const std::exception& error) {
    std::snprintf(message, size, "%s", error.what());
  } catch (...) {
    std::snprintf(message, size, "an exception of an unknown type");
  }
  return false;
}

// 1 is CUDA or ROCm, 2 is MPS.
c10::DeviceType type_of(int kind) {
  return kind == 2 ? c10::DeviceType::MPS : c10::DeviceType::CUDA;
}

// Keeps the warnings that libtorch would write to standard error.
class Warnings : public c10::WarningHandler {
 public:
  Warnings() : guard_(this) {}
  void process(const c10::Warning& warning) override { text = warning.msg(); }

  std::string text;

 private:
  c10::WarningUtils::WarningHandlerGuard guard_;
};

// A point in the sequence of work of a device. libtorch creates the underlying event when it is
// first recorded.
struct Moment {
  Moment(c10::DeviceType type, c10::DeviceIndex index) : event(type), device(type, index) {}

  c10::Event event;
  c10::Device device;
};

template <typename Function>
Function find(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

}  // namespace

extern "C" {

// Where the storage of a tensor begins, and its size.
bool preheat_storage(const at::Tensor* tensor, uintptr_t* address, uint64_t* bytes, char* message, size_t size) {
  return guarded(message, size, [&] {
    const auto& storage = tensor->storage();
    *address = reinterpret_cast<uintptr_t>(storage.data());
    *bytes = storage.nbytes();
  });
}

bool preheat_device_memory(int kind, int index, uint64_t* free_bytes, uint64_t* total_bytes, char* message, size_t size) {
  return guarded(message, size, [&] {
    auto [free, total] = at::getDeviceAllocator(type_of(kind))->getMemoryInfo(static_cast<c10::DeviceIndex>(index));
    *free_bytes = free;
    *total_bytes = total;
  });
}

// All zeros before the allocator has been used.
bool preheat_allocator(int kind, int index, uint64_t figures[3], char* message, size_t size) {
  return guarded(message, size, [&] {
    auto* allocator = at::getDeviceAllocator(type_of(kind));
    if (!allocator->initialized()) return;
    const auto stats = allocator->getDeviceStats(static_cast<c10::DeviceIndex>(index));
    const auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    figures[0] = stats.allocated_bytes[all].current;
    figures[1] = stats.allocated_bytes[all].peak;
    figures[2] = stats.reserved_bytes[all].current;
  });
}

bool preheat_reset_peak(int kind, int index, char* message, size_t size) {
  return guarded(message, size, [&] {
    auto* allocator = at::getDeviceAllocator(type_of(kind));
    if (allocator->initialized()) allocator->resetPeakStats(static_cast<c10::DeviceIndex>(index));
  });
}

bool preheat_empty_cache(int kind, char* message, size_t size) {
  return guarded(message, size, [&] {
    auto* allocator = at::getDeviceAllocator(type_of(kind));
    if (allocator->initialized()) allocator->emptyCache();
  });
}

bool preheat_synchronize(int index, char* message, size_t size) {
  return guarded(message, size, [&] { at::accelerator::synchronizeDevice(static_cast<c10::DeviceIndex>(index)); });
}

// Makes libtorch compute products and convolutions of float32 in float32; by default, it computes
// convolutions in TF32. The older functions are called first, because libtorch refuses to work if
// they and the newer function contradict each other.
bool preheat_keep_float32(char* message, size_t size) {
  return guarded(message, size, [] {
    const Warnings warnings;
    auto& context = at::globalContext();
    context.setFloat32MatmulPrecision("highest");
    context.setAllowTF32CuDNN(false);
    for (const auto op : {at::Float32Op::CONV, at::Float32Op::RNN, at::Float32Op::MATMUL}) {
      context.setFloat32Precision(at::Float32Backend::CUDA, op, at::Float32Precision::IEEE);
    }
  });
}

// A copy in pinned memory, which a card reads by itself.
bool preheat_pinned(const at::Tensor* from, at::Tensor** to, char* message, size_t size) {
  return guarded(message, size, [&] { *to = new at::Tensor(from->pin_memory()); });
}

bool preheat_record(int kind, int index, Moment** out, char* message, size_t size) {
  return guarded(message, size, [&] {
    auto moment = std::make_unique<Moment>(type_of(kind), static_cast<c10::DeviceIndex>(index));
    const c10::impl::VirtualGuardImpl guard(type_of(kind));
    moment->event.record(guard.getStream(moment->device));
    *out = moment.release();
  });
}

bool preheat_wait(const Moment* moment, char* message, size_t size) {
  return guarded(message, size, [&] { moment->event.synchronize(); });
}

void preheat_free_moment(Moment* moment) {
  delete moment;
}

// Counts the cards. If there are none, `why` is the reason that libtorch gives, or empty.
bool preheat_count_cards(int* count, char* why, size_t why_size, char* message, size_t size) {
  return guarded(message, size, [&] {
    const Warnings warnings;
    *count = at::detail::getCUDAHooks().deviceCount();
    std::snprintf(why, why_size, "%s", warnings.text.c_str());
  });
}

// libtorch's own text about the hardware that it was compiled for.
bool preheat_cuda_configuration(char* text, size_t text_size, char* message, size_t size) {
  return guarded(message, size, [&] {
    const Warnings warnings;
    std::snprintf(text, text_size, "%s", at::detail::getCUDAHooks().showConfig().c_str());
  });
}

// Gets the name and compute capability of an NVIDIA card from its driver, because libtorch offers
// them only to code that is built with CUDA's headers. Returns false, without a message, if there
// is no such driver.
bool preheat_card(int index, char* name, size_t name_size, int capability[2]) {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return false;
  const auto start = find<int (*)(unsigned)>(driver, "cuInit");
  const auto get = find<int (*)(int*, int)>(driver, "cuDeviceGet");
  const auto get_name = find<int (*)(char*, int, int)>(driver, "cuDeviceGetName");
  const auto get_attribute = find<int (*)(int*, int, int)>(driver, "cuDeviceGetAttribute");
  int card = 0;
  return start != nullptr && get != nullptr && get_name != nullptr && get_attribute != nullptr && start(0) == 0 &&
      get(&card, index) == 0 && get_name(name, static_cast<int>(name_size), card) == 0 &&
      // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
      get_attribute(&capability[0], 75, card) == 0 && get_attribute(&capability[1], 76, card) == 0;
}

}  // extern "C"
