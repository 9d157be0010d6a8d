#include "src/device/buffer.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "src/core/error.h"
#include "src/core/text/readable_bytes.h"
#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep {

namespace {

constexpr size_t kAlignment = 256;

/// Bytes in buffers of one kind, of all threads.
class Count {
 public:
  void add(size_t bytes) {
    const int64_t sum = now_ += static_cast<int64_t>(bytes);
    int64_t peak = peak_;
    while (sum > peak && !peak_.compare_exchange_weak(peak, sum)) {
    }
  }
  void remove(size_t bytes) { now_ -= static_cast<int64_t>(bytes); }
  void restart_peak() { peak_ = now_.load(); }
  int64_t now() const { return now_; }
  int64_t peak() const { return peak_; }

 private:
  std::atomic<int64_t> now_ = 0, peak_ = 0;
};

constinit Count host_count, device_count;

/// Linux overcommits memory and kills the process that then uses it, so the available memory is checked
/// first. True if it is unknown.
bool host_has(size_t bytes) {
  constexpr size_t kSmall = size_t{64} << 20;
  if (bytes < kSmall) return true;
  std::ifstream facts("/proc/meminfo");
  for (std::string name; facts >> name;) {
    size_t kibibytes = 0;
    if (name == "MemAvailable:" && facts >> kibibytes) return bytes / 1024 < kibibytes;
  }
  return true;
}

std::byte* allocate_host(size_t bytes) {
  const size_t padded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* data = host_has(padded) ? std::aligned_alloc(kAlignment, padded) : nullptr;
  if (data == nullptr)
    fail(ExitCode::memory,
         "out of host memory: {} more were needed. Use a smaller model, train.micro_batch or "
         "data.memory_budget.",
         readable_bytes(static_cast<int64_t>(bytes)));
  std::memset(data, 0, padded);
  return static_cast<std::byte*>(data);
}

}  // namespace

Buffer::Buffer(Exec exec, Memory memory, size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda() && memory != Memory::host) {
    // Each thread has its own current GPU, and a thread that has not chosen one would allocate on the first.
    CHECK(cudaSetDevice(exec.cuda->device()));
    void* data = nullptr;
    const bool device = memory == Memory::device;
    const cudaError_t status = device ? cudaMalloc(&data, bytes) : cudaMallocHost(&data, bytes);
    if (status == cudaErrorMemoryAllocation) {
      static_cast<void>(cudaGetLastError());  // clears the error, which the next call would report again
      fail(ExitCode::memory, "out of {} memory: {} more were needed. Use a smaller train.micro_batch.",
           device ? "GPU" : "page-locked host", readable_bytes(static_cast<int64_t>(bytes)));
    }
    CHECK(status);
    data_ = static_cast<std::byte*>(data);
    kind_ = device ? Kind::cuda_device : Kind::cuda_pinned;
    if (device) {
      fill_zero(exec, data, bytes);
      synchronize(exec);  // otherwise the zeros could overwrite data that another stream copies there
    } else {
      std::memset(data, 0, bytes);
    }
    (device ? device_count : host_count).add(bytes);
    return;
  }
#endif
  static_cast<void>(exec);
  static_cast<void>(memory);
  data_ = allocate_host(bytes);
  kind_ = Kind::host;
  host_count.add(bytes);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      kind_(std::exchange(other.kind_, Kind::none)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(kind_, other.kind_);
  return *this;
}

Buffer::~Buffer() {
  if (kind_ != Kind::none) (kind_ == Kind::cuda_device ? device_count : host_count).remove(bytes_);
  if (kind_ == Kind::host) std::free(data_);
#ifdef LOCKSTEP_HAVE_CUDA
  if (kind_ == Kind::cuda_device) static_cast<void>(cudaFree(data_));
  if (kind_ == Kind::cuda_pinned) static_cast<void>(cudaFreeHost(data_));
#endif
}

BufferBytes buffer_bytes() { return {host_count.now(), device_count.now()}; }

BufferBytes peak_buffer_bytes() { return {host_count.peak(), device_count.peak()}; }

void restart_buffer_peak() {
  host_count.restart_peak();
  device_count.restart_peak();
}

void copy([[maybe_unused]] Exec exec, void* destination, const void* source, size_t bytes) {
  if (bytes == 0) return;
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda()) {
    CHECK(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDefault, exec.cuda->compute_stream()));
    return;
  }
#endif
  std::memcpy(destination, source, bytes);
}

void fill_zero([[maybe_unused]] Exec exec, void* destination, size_t bytes) {
  if (bytes == 0) return;
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda()) {
    CHECK(cudaMemsetAsync(destination, 0, bytes, exec.cuda->compute_stream()));
    return;
  }
#endif
  std::memset(destination, 0, bytes);
}

}  // namespace lockstep
