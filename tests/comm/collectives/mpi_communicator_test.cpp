#include "comm/collectives/mpi_communicator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/core/hash.h"
#include "tests/support/gradient_tree.h"
#include "tests/support/mpi_world.h"
#ifdef LOCKSTEP_HAVE_CUDA
#include "comm/collectives/nccl_communicator.h"
#include "comm/collectives/staged_communicator.h"
#endif

namespace lockstep {
namespace {

using test::Guarded;

/// The backend's libraries, also where one rank would do without.
class LibraryCommunicator : public MpiBackendTest {
 protected:
  std::unique_ptr<Communicator> make(bool reproducible, int ranks_per_node = 0) {
#ifdef LOCKSTEP_HAVE_CUDA
    if (exec().on_cuda()) return make_nccl_communicator(world, *exec().cuda, reproducible, ranks_per_node);
#endif
    return make_mpi_communicator({.reproducible = reproducible, .ranks_per_node = ranks_per_node});
  }
  /// The backend's second implementation: MPI through host memory on a GPU, in a separate thread on the CPU.
  std::unique_ptr<Communicator> make_other(bool reproducible, int ranks_per_node = 0) {
#ifdef LOCKSTEP_HAVE_CUDA
    if (exec().on_cuda()) return make_staged_communicator(*exec().cuda, reproducible, ranks_per_node);
#endif
    return make_mpi_communicator(
        {.reproducible = reproducible, .ranks_per_node = ranks_per_node, .background = true});
  }
  std::vector<std::unique_ptr<Communicator>> make_all(bool reproducible, int ranks_per_node = 0) {
    std::vector<std::unique_ptr<Communicator>> all;
    all.push_back(make(reproducible, ranks_per_node));
    all.push_back(make_other(reproducible, ranks_per_node));
    return all;
  }

  /// For sums in a tree: without nodes, and with nodes of half of the ranks and of all.
  std::vector<std::unique_ptr<Communicator>> make_all_of_trees() {
    std::vector<std::unique_ptr<Communicator>> all;
    for (const int ranks_per_node : {0, std::max(1, world.size() / 2), world.size()})
      for (auto& communicator : make_all(true, ranks_per_node)) all.push_back(std::move(communicator));
    return all;
  }

  /// Its sum over the ranks in place, with guards around it.
  std::vector<float> sum(Communicator& communicator, const std::vector<float>& mine, Wire wire = Wire::fp32) {
    return run(communicator, {Collective::Kind::all_reduce, {}, wire}, mine);
  }
  /// The result of a collective on a copy of this rank's values.
  std::vector<float> run(Communicator& communicator, Collective collective, const std::vector<float>& mine) {
    const Guarded<float> data(exec(), {static_cast<int64_t>(mine.size())}, mine);
    collective.data = data.span();
    communicator.start(exec(), collective);
    communicator.wait(exec());
    return data.values();
  }
};
INSTANTIATE_FOR_BACKENDS(LibraryCommunicator);

std::vector<std::vector<float>> every_ranks_data(int size, size_t elements) {
  std::vector<std::vector<float>> data;
  for (int rank = 0; rank < size; ++rank) data.push_back(made_up_gradient(rank, elements));
  return data;
}

const size_t kLengths[] = {0, 1, 3, 100, 4097, 20487, 1000003};

TEST_P(LibraryCommunicator, ReproducibleSumHasTheBitsOfTheSequentialTree) {
  for (const auto& communicator : make_all_of_trees()) {
    EXPECT_EQ(communicator->rank(), world.rank());
    EXPECT_EQ(communicator->size(), world.size());
    for (const size_t elements : kLengths) {
      const auto data = every_ranks_data(world.size(), elements);
      const std::vector<float> expected = oracle_tree_sum(data);
      EXPECT_TRUE(same_bits(sum(*communicator, data[static_cast<size_t>(world.rank())]), expected))
          << elements << " elements";
    }
  }
}

TEST_P(LibraryCommunicator, SlicesThenGatheredAreTheSum) {
  for (const bool reproducible : {false, true}) {
    for (const auto& communicator : reproducible ? make_all_of_trees() : make_all(false)) {
      for (const size_t elements : kLengths) {
        const auto data = every_ranks_data(world.size(), elements);
        const std::vector<float> expected = oracle_tree_sum(data);
        const std::vector<float> slice =
            run(*communicator, {Collective::Kind::reduce_scatter, {}, Wire::fp32},
                data[static_cast<size_t>(world.rank())]);
        const Slice mine = communicator->slice(static_cast<int64_t>(elements));
        std::vector<float> gathered(elements, NAN);
        std::copy_n(slice.begin() + mine.offset, mine.size, gathered.begin() + mine.offset);
        gathered = run(*communicator, {Collective::Kind::all_gather, {}, Wire::fp32}, gathered);
        if (reproducible)
          EXPECT_TRUE(same_bits(gathered, expected)) << elements << " elements";
        else
          for (size_t i = 0; i < elements; ++i) ASSERT_NEAR(gathered[i], expected[i], 0.1f) << i;
      }
    }
  }
}

TEST_P(LibraryCommunicator, SlicesOfTwoBytesAreGathered) {
  for (const bool reproducible : {false, true}) {
    for (const auto& communicator : reproducible ? make_all_of_trees() : make_all(false)) {
      for (const int64_t elements : {0, 64, 192, 64 * 1001}) {
        std::vector<uint16_t> expected(static_cast<size_t>(elements)), mine(expected.size());
        std::iota(expected.begin(), expected.end(), 1);
        const Slice slice = communicator->slice(elements);
        std::copy_n(expected.begin() + slice.offset, slice.size, mine.begin() + slice.offset);
        const Guarded<uint16_t> data(exec(), {elements}, mine);
        communicator->start_all_gather(exec(), data.span());
        communicator->wait(exec());
        EXPECT_EQ(data.values(), expected) << elements << " elements";
      }
    }
  }
}

TEST_P(LibraryCommunicator, NarrowAndHierarchicalSumsAreCloseAndTheSameOnEveryRank) {
  const int per_node = world.size() % 2 == 0 ? world.size() / 2 : 1;
  for (const int ranks_per_node : {0, per_node, world.size()}) {
    for (const auto& communicator : make_all(false, ranks_per_node)) {
      for (const Wire wire : {Wire::fp32, Wire::bf16, Wire::fp16}) {
        for (const size_t elements : {size_t{1}, size_t{100}, size_t{20487}}) {
          const auto data = every_ranks_data(world.size(), elements);
          const std::vector<float> summed = sum(*communicator, data[static_cast<size_t>(world.rank())], wire);
          communicator->check();
          int wrong = 0;
          for (size_t i = 0; i < elements; ++i) {
            double exact = 0, magnitude = 0;
            for (const std::vector<float>& values : data) {
              exact += values[i];
              magnitude += std::abs(values[i]);
            }
            const double rounding = wire == Wire::fp32 ? 0x1p-22 : wire == Wire::fp16 ? 0x1p-10 : 0x1p-7;
            if (!(std::abs(summed[i] - exact) <= rounding * magnitude + 0x1p-20)) ++wrong;
          }
          EXPECT_EQ(wrong, 0) << "of " << elements << " elements";
          for (const uint64_t hash : world.gather(hash_bytes(std::as_bytes(std::span(summed)))))
            EXPECT_EQ(hash, hash_bytes(std::as_bytes(std::span(summed))));
        }
      }
    }
  }
}

TEST_P(LibraryCommunicator, DefaultSumIsCloseToTheExactOneAndTheSameOnEveryRank) {
  const auto communicator = make(false);
  for (const size_t elements : kLengths) {
    const auto data = every_ranks_data(world.size(), elements);
    const std::vector<float> summed = sum(*communicator, data[static_cast<size_t>(world.rank())]);
    communicator->check();
    int wrong = 0;
    for (size_t i = 0; i < elements; ++i) {
      double exact = 0, magnitude = 0;
      for (const std::vector<float>& values : data) {
        exact += values[i];
        magnitude += std::abs(values[i]);
      }
      // Each of the size - 1 additions rounds by at most half a unit of 2^-23 of a partial sum.
      if (!(std::abs(summed[i] - exact) <= 0x1p-23 * (world.size() - 1) * magnitude)) ++wrong;
    }
    EXPECT_EQ(wrong, 0) << "of " << elements << " elements";
    for (const uint64_t hash : world.gather(hash_bytes(std::as_bytes(std::span(summed)))))
      EXPECT_EQ(hash, hash_bytes(std::as_bytes(std::span(summed))));
  }
}

TEST_P(LibraryCommunicator, SeveralSumsAreInFlightBeforeOneWait) {
  for (const bool reproducible : {false, true}) {
    for (const auto& communicator : make_all(reproducible)) {
      const Guarded<float> data(exec(), {10000}, std::vector(10000, 1.0f));
      communicator->start_all_reduce(exec(), data.span().first(1));
      communicator->start_all_reduce(exec(), data.span().subspan(1, 9000));
      communicator->start_all_reduce(exec(), data.span().subspan(9001, 500));
      communicator->wait(exec());
      const std::vector<float> values = data.values();
      for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], i < 9501 ? world.size() : 1) << i;
    }
  }
}

TEST(MpiCommunicator, LongBuffersTravelInSeveralMessages) {
  World& world = test_world();
  for (const bool reproducible : {false, true}) {
    for (const int64_t most : {1, 7, 1000}) {
      const auto communicator = make_mpi_communicator({.reproducible = reproducible, .max_elements = most});
      for (const size_t elements : {0, 1, 13, 8195}) {
        if (most == 1 && elements > 100) continue;
        const auto data = every_ranks_data(world.size(), elements);
        const std::vector<float> expected = oracle_tree_sum(data);
        std::vector<float> sum = data[static_cast<size_t>(world.rank())];
        communicator->start_all_reduce(Exec{}, sum);
        communicator->wait(Exec{});
        for (size_t i = 0; i < elements; ++i) {
          if (reproducible)
            ASSERT_EQ(sum[i], expected[i]) << i;
          else
            ASSERT_NEAR(sum[i], expected[i], 0.1f) << i;
        }
      }
    }
  }
}

TEST_P(LibraryCommunicator, NotANumberReachesEveryRank) {
  for (const bool reproducible : {false, true}) {
    const auto communicator = make(reproducible);
    const std::vector<float> values =
        sum(*communicator, {world.rank() == 0 ? NAN : 1.0f, 1.0f, world.rank() == 0 ? INFINITY : 0.0f});
    EXPECT_TRUE(std::isnan(values[0]));
    EXPECT_EQ(values[1], world.size());
    EXPECT_EQ(values[2], INFINITY);
  }
}

}  // namespace
}  // namespace lockstep
