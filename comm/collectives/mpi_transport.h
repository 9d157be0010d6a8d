#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "comm/collectives/chunks.h"
#include "comm/collectives/group.h"
#include "comm/collectives/mpi_check.h"
#include "comm/collectives/wire.h"
#include "src/device/buffer.h"
#include "src/device/elementwise.h"

namespace lockstep {

/// The transport of Collectives over MPI, in host memory; every call blocks.
class MpiTransport {
 public:
  /// Collective. max_elements: per message, for tests.
  explicit MpiTransport(int64_t max_elements) : max_elements_(max_elements) {
    // A communicator of its own keeps collectives started by another thread apart from those of World.
    CHECK(MPI_Comm_dup(MPI_COMM_WORLD, &comm_));
    CHECK(MPI_Comm_rank(comm_, &rank_));
    CHECK(MPI_Comm_size(comm_, &size_));
  }
  ~MpiTransport() {
    // Freeing is nominally collective, but does not wait for other ranks in Open MPI.
    MPI_Comm_free(&comm_);
  }
  MpiTransport(const MpiTransport&) = delete;
  MpiTransport& operator=(const MpiTransport&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  std::span<float> scratch(int64_t elements) {
    const size_t bytes = static_cast<size_t>(elements) * sizeof(float);
    if (scratch_.size() < bytes) scratch_ = Buffer(Exec{}, Memory::host, bytes);
    return scratch_.as<float>().first(static_cast<size_t>(elements));
  }

  void all_reduce(std::span<float> data) {
    const auto n = static_cast<int64_t>(data.size());
    for (int64_t i = 0; i < chunk_count(n, max_elements_); ++i)
      CHECK(MPI_Allreduce(MPI_IN_PLACE, data.data() + i * max_elements_, chunk_size(n, max_elements_, i),
                          MPI_FLOAT, MPI_SUM, comm_));
  }

  // Exchanging whole vectors took 0.6 to 0.8 times as long for 2048 to 4096 floats on 2 and 4 ranks in shared
  // memory, and as long from 8192 on.
  static constexpr int64_t kWholeVectorElements = 4096;

  void exchange(std::span<const Exchange> exchanges) {
    for (const auto& [to, send, from, receive] : exchanges) exchange(to, send, from, receive);
  }

  void add(std::span<float> destination, std::span<const float> source) {
    add_in_place(Exec{}, destination.data(), source.data(), static_cast<int64_t>(source.size()));
  }
  void add_tree(std::span<float> destination, const float* others, int count, int position) {
    lockstep::add_tree(Exec{}, destination.data(), others, static_cast<int64_t>(destination.size()), count,
                       position);
  }
  void narrow(Wire wire, std::span<const float> source, uint16_t* destination) {
    cpu::narrow(dtype_of(wire), source.data(), destination, static_cast<int64_t>(source.size()));
  }
  void add_narrow(Wire wire, std::span<float> destination, const uint16_t* source) {
    cpu::add_narrow(dtype_of(wire), source, destination.data(), static_cast<int64_t>(destination.size()));
  }
  void widen(Wire wire, std::span<float> destination, const uint16_t* source) {
    cpu::widen(dtype_of(wire), source, destination.data(), static_cast<int64_t>(destination.size()));
  }

 private:
  void exchange(int to, std::span<const std::byte> send, int from, std::span<std::byte> receive) {
    const auto sent = static_cast<int64_t>(send.size()), received = static_cast<int64_t>(receive.size());
    const int64_t send_chunks = chunk_count(sent, max_elements_);
    const int64_t receive_chunks = chunk_count(received, max_elements_);
    for (int64_t i = 0; i < std::max(send_chunks, receive_chunks); ++i)
      CHECK(MPI_Sendrecv(send.data() + i * max_elements_, chunk_size(sent, max_elements_, i), MPI_BYTE,
                         i < send_chunks ? to : MPI_PROC_NULL, 0, receive.data() + i * max_elements_,
                         chunk_size(received, max_elements_, i), MPI_BYTE,
                         i < receive_chunks ? from : MPI_PROC_NULL, 0, comm_, MPI_STATUS_IGNORE));
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  int64_t max_elements_;
  Buffer scratch_;
};

}  // namespace lockstep
