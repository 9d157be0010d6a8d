#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "io/import/digit_strokes.h"
#include "io/import/synth_digits.h"
#include "src/core/rng.h"

namespace lockstep {
namespace {

/// A point on the pen's path, and the width of the pen there, in pixels.
struct PenPoint {
  float x, y, radius;
};
/// One stroke, flattened to short straight pieces.
using PenPath = std::vector<PenPoint>;

float uniform_between(RandomStream& random, float low, float high) {
  return low + (high - low) * random.next_uniform();
}

/// Moves every point of a skeleton a little; the two halves of a corner stay together.
Skeleton perturbed(const Skeleton& skeleton, RandomStream& random) {
  constexpr float kWander = 0.035f;
  Skeleton result = skeleton;
  for (size_t s = 0; s < skeleton.size(); ++s)
    for (size_t p = 0; p < skeleton[s].size(); ++p) {
      const Point& original = skeleton[s][p];
      if (p > 0 && original.x == skeleton[s][p - 1].x && original.y == skeleton[s][p - 1].y) {
        result[s][p] = result[s][p - 1];
        continue;
      }
      result[s][p].x += kWander * random.next_normal();
      result[s][p].y += kWander * random.next_normal();
    }
  return result;
}

/// A uniform Catmull-Rom spline through the points (Catmull and Rom 1974), whose tangent vanishes at doubled
/// points.
PenPath flattened(const Stroke& stroke) {
  constexpr int kPieces = 6;
  PenPath path;
  const auto at = [&](size_t i) { return stroke[std::min(i, stroke.size() - 1)]; };
  for (size_t i = 0; i + 1 < stroke.size(); ++i) {
    const Point p0 = at(i == 0 ? 0 : i - 1), p1 = at(i), p2 = at(i + 1), p3 = at(i + 2);
    for (int piece = 0; piece < kPieces; ++piece) {
      const float t = static_cast<float>(piece) / kPieces;
      const auto blend = [t](float a, float b, float c, float d) {
        return b + 0.5f * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
      };
      path.push_back({blend(p0.x, p1.x, p2.x, p3.x), blend(p0.y, p1.y, p2.y, p3.y), 0});
    }
  }
  path.push_back({stroke.back().x, stroke.back().y, 0});
  return path;
}

/// The differences between writers: slant, rotation, proportions, and a slow bend of the whole sheet.
void distort(std::vector<PenPath>& paths, RandomStream& random) {
  const float slant = 0.10f + 0.20f * random.next_normal();
  const float angle = 0.10f * random.next_normal();
  const float aspect = std::exp(0.18f * random.next_normal());
  const float bend_x = 0.035f * random.next_normal(), bend_y = 0.035f * random.next_normal();
  const float phase_x = 6.28f * random.next_uniform(), phase_y = 6.28f * random.next_uniform();
  const float cosine = std::cos(angle), sine = std::sin(angle);
  for (PenPath& path : paths)
    for (PenPoint& point : path) {
      const float bent_x = point.x + bend_x * std::sin(5.0f * point.y + phase_x);
      const float bent_y = point.y + bend_y * std::sin(5.0f * point.x + phase_y);
      const float x = 0.78f * aspect * (bent_x - 0.5f) - slant * (bent_y - 0.5f), y = bent_y - 0.5f;
      point.x = cosine * x - sine * y;
      point.y = sine * x + cosine * y;
    }
}

/// A pen whose pressure changes along the stroke and sometimes fades where it lifts.
void set_radii(std::vector<PenPath>& paths, RandomStream& random) {
  const float base = std::clamp(1.28f * std::exp(0.30f * random.next_normal()), 0.6f, 2.3f);
  for (PenPath& path : paths) {
    const float swing = uniform_between(random, 0.0f, 0.28f);
    const float waves = uniform_between(random, 0.5f, 2.0f), phase = random.next_uniform();
    const float fade = random.next_uniform() < 0.4f ? uniform_between(random, 0.3f, 0.6f) : 0.0f;
    for (size_t i = 0; i < path.size(); ++i) {
      const float t = static_cast<float>(i) / static_cast<float>(path.size() - 1);
      const float pressure = 1 + swing * std::sin(2 * std::numbers::pi_v<float> * (waves * t + phase));
      path[i].radius = base * pressure * (1 - fade * std::pow(t, 6.0f));
    }
  }
}

/// Scales the ink to a box of about 20 pixels and centers it in the image.
void frame(std::vector<PenPath>& paths, RandomStream& random) {
  float left = 1e9f, right = -1e9f, top = 1e9f, bottom = -1e9f, radius = 0;
  for (const PenPath& path : paths)
    for (const PenPoint& point : path) {
      left = std::min(left, point.x);
      right = std::max(right, point.x);
      top = std::min(top, point.y);
      bottom = std::max(bottom, point.y);
      radius = std::max(radius, point.radius);
    }
  const float box = uniform_between(random, 18.0f, 20.5f) - 2 * radius;
  const float scale = box / std::max(right - left, bottom - top);
  const float x = kDigitSide / 2.0f + 0.7f * random.next_normal() - scale * (left + right) / 2;
  const float y = kDigitSide / 2.0f + 0.7f * random.next_normal() - scale * (top + bottom) / 2;
  for (PenPath& path : paths)
    for (PenPoint& point : path) {
      point.x = x + scale * point.x;
      point.y = y + scale * point.y;
    }
}

/// Raises every pixel near the piece a-b to the share of it that the pen covers: a ramp `softness` pixels
/// wide at the distance of the pen's radius, which is both the anti-aliasing and the blur of a scan.
void draw_piece(const PenPoint& a, const PenPoint& b, float softness, std::span<float> ink) {
  const float reach = std::max(a.radius, b.radius) + softness;
  const auto clamp_pixel = [](float v) {
    return std::clamp(static_cast<int>(std::floor(v)), 0, kDigitSide - 1);
  };
  const int x_first = clamp_pixel(std::min(a.x, b.x) - reach),
            x_last = clamp_pixel(std::max(a.x, b.x) + reach);
  const int y_first = clamp_pixel(std::min(a.y, b.y) - reach),
            y_last = clamp_pixel(std::max(a.y, b.y) + reach);
  const float dx = b.x - a.x, dy = b.y - a.y;
  const float length_squared = std::max(dx * dx + dy * dy, 1e-6f);
  for (int row = y_first; row <= y_last; ++row)
    for (int column = x_first; column <= x_last; ++column) {
      const float px = static_cast<float>(column) + 0.5f - a.x, py = static_cast<float>(row) + 0.5f - a.y;
      const float t = std::clamp((px * dx + py * dy) / length_squared, 0.0f, 1.0f);
      const float ex = px - t * dx, ey = py - t * dy;
      const float radius = a.radius + t * (b.radius - a.radius);
      const float cover = std::clamp((radius - std::sqrt(ex * ex + ey * ey)) / softness + 0.5f, 0.0f, 1.0f);
      float& pixel = ink[static_cast<size_t>(row * kDigitSide + column)];
      pixel = std::max(pixel, cover);
    }
}

}  // namespace

SynthDigit draw_digit(uint64_t seed, uint64_t index) {
  RandomStream random(seed, index);
  SynthDigit digit;
  digit.label = static_cast<uint8_t>(random.next_below(10));
  const std::span<const Skeleton> ways = digit_skeletons(digit.label);
  const Skeleton skeleton = perturbed(ways[random.next_below(static_cast<uint32_t>(ways.size()))], random);

  std::vector<PenPath> paths;
  for (const Stroke& stroke : skeleton) paths.push_back(flattened(stroke));
  distort(paths, random);
  set_radii(paths, random);
  frame(paths, random);

  std::array<float, kDigitSide * kDigitSide> ink{};
  const float softness = uniform_between(random, 1.2f, 2.0f);
  for (const PenPath& path : paths)
    for (size_t i = 0; i + 1 < path.size(); ++i) draw_piece(path[i], path[i + 1], softness, ink);

  const float grain = uniform_between(random, 0.0f, 0.25f);
  const float haze = uniform_between(random, 0.0f, 0.06f);
  for (size_t i = 0; i < ink.size(); ++i) {
    const float noise = 2 * random.next_uniform() - 1;
    const float value = 1.08f * ink[i] * (1 + grain * noise) + haze * noise;
    digit.pixels[i] = static_cast<uint8_t>(std::lround(255 * std::clamp(value, 0.0f, 1.0f)));
  }
  return digit;
}

}  // namespace lockstep
