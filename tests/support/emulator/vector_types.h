#pragma once

// CUDA's small vector types, with CUDA's alignments, so that a vector load from an address that is not a
// multiple of its size is seen by UndefinedBehaviorSanitizer.

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned vx = 1, unsigned vy = 1, unsigned vz = 1) : x(vx), y(vy), z(vz) {}
};

#if defined(LOCKSTEP_ACCOUNT)
// One access, also where the compiler would assign the members one by one.
#define EMULATOR_ASSIGNMENT(Type)                 \
  Type& operator=(const Type& other) {            \
    __builtin_memcpy(this, &other, sizeof *this); \
    return *this;                                 \
  }
#else
#define EMULATOR_ASSIGNMENT(Type)
#endif

#define EMULATOR_VECTOR_TYPES(Scalar, Name, alignment2, alignment4)       \
  struct alignas(alignment2) Name##2 {                                    \
    Scalar x, y;                                                          \
    EMULATOR_ASSIGNMENT(Name##2)                                          \
  };                                                                      \
  struct alignas(alignment4) Name##4 {                                    \
    Scalar x, y, z, w;                                                    \
    EMULATOR_ASSIGNMENT(Name##4)                                          \
  };                                                                      \
  constexpr Name##2 make_##Name##2(Scalar x, Scalar y) { return {x, y}; } \
  constexpr Name##4 make_##Name##4(Scalar x, Scalar y, Scalar z, Scalar w) { return {x, y, z, w}; }

EMULATOR_VECTOR_TYPES(float, float, 8, 16)
EMULATOR_VECTOR_TYPES(double, double, 16, 16)
EMULATOR_VECTOR_TYPES(int, int, 8, 16)
EMULATOR_VECTOR_TYPES(unsigned, uint, 8, 16)
EMULATOR_VECTOR_TYPES(unsigned char, uchar, 2, 4)

#undef EMULATOR_VECTOR_TYPES
#undef EMULATOR_ASSIGNMENT
