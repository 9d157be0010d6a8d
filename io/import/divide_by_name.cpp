#include "io/import/divide_by_name.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "src/core/error.h"
#include "src/core/hash.h"
#include "src/core/rng.h"

namespace lockstep {

namespace {

constexpr uint64_t kNamesStream = 0x6E616D6573;  // "names": distinct from all other uses of the seed

uint64_t key_of(const std::string& name, uint64_t seed) {
  const Random4 words = philox(seed, kNamesStream, hash_name(name));
  return uint64_t{words.word[0]} << 32 | words.word[1];
}

void require_samples(const char* option, double share, const std::vector<size_t>& part, size_t all) {
  if (share == 0 || !part.empty()) return;
  fail(ExitCode::usage, "{} {}: of {} images, that is none. Give it at least {:.2g}.", option, share, all,
       1 / static_cast<double>(all));
}

}  // namespace

DividedSamples divide_by_name(std::span<const std::string> names, std::span<const int32_t> class_of,
                              double validation, double test, uint64_t seed) {
  std::vector<uint64_t> keys;
  for (const std::string& name : names) keys.push_back(key_of(name, seed));
  std::vector<size_t> order(names.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, [&](size_t a, size_t b) {
    return keys[a] != keys[b] ? keys[a] < keys[b] : names[a] < names[b];
  });
  std::map<int32_t, std::vector<size_t>> classes;
  for (const size_t i : order) classes[class_of.empty() ? 0 : class_of[i]].push_back(i);

  // What a part should have of all classes so far, less what it has: fair to classes of a few samples too.
  DividedSamples parts;
  size_t seen = 0;
  const auto due = [&](double share, const std::vector<size_t>& part) {
    return static_cast<size_t>(std::llround(share * static_cast<double>(seen))) - part.size();
  };
  for (const auto& [number, samples] : classes) {
    seen += samples.size();
    const size_t first = std::min(samples.size(), due(validation, parts.validation));
    const size_t second = std::min(samples.size(), first + due(test, parts.test));
    for (size_t i = 0; i < samples.size(); ++i)
      (i < first ? parts.validation : i < second ? parts.test : parts.train).push_back(samples[i]);
  }
  require_samples("--validation", validation, parts.validation, names.size());
  require_samples("--test", test, parts.test, names.size());
  if (parts.train.empty())
    fail(ExitCode::usage, "--validation {} and --test {} leave none of {} images to train on.", validation,
         test, names.size());
  const auto by_order = [&](std::vector<size_t>& part) {
    std::ranges::sort(part, [&](size_t a, size_t b) {
      return keys[a] != keys[b] ? keys[a] < keys[b] : names[a] < names[b];
    });
  };
  for (std::vector<size_t>* part : {&parts.train, &parts.validation, &parts.test}) by_order(*part);
  return parts;
}

}  // namespace lockstep
