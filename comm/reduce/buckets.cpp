#include <algorithm>

#include "comm/reduce/gradient_reducer.h"
#include "src/core/error.h"

namespace lockstep {

std::vector<Bucket> make_buckets(std::span<const int64_t> ready_ends, int64_t bucket_bytes) {
  constexpr int64_t kFirstBucketBytes = 1 << 20;
  std::vector<Bucket> buckets;
  int64_t start = 0;
  for (size_t i = 0; i < ready_ends.size(); ++i) {
    const int64_t end = ready_ends[i];
    INVARIANT(end >= start, "gradients end at {} before they start at {}", end, start);
    const int64_t limit = buckets.empty() ? std::min(kFirstBucketBytes, bucket_bytes) : bucket_bytes;
    const int64_t bytes = (end - start) * static_cast<int64_t>(sizeof(float));
    const bool last = i + 1 == ready_ends.size();
    if (end > start && (bytes >= limit || last)) {
      buckets.push_back({start, end - start});
      start = end;
    }
  }
  return buckets;
}

}  // namespace lockstep
