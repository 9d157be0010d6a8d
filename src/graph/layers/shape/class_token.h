#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct ClassTokenOptions {
  Init init = Init::zeros;
  double deviation = 0.02;  ///< of init = normal
};

namespace layers {
/// x (T, C) -> (T + 1, C): a trained vector in front of each sequence, from which the class is read
/// (Dosovitskiy et al. 2021, section 3.1).
extern const Description<ClassTokenOptions> class_token;
}  // namespace layers

}  // namespace lockstep
