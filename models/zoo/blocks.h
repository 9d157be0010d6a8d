#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "models/registry.h"
#include "src/graph/layers/layers.h"

namespace lockstep::zoo {

// What several convolutional networks are made of.

/// A sample of float32 numbers, and data with so many classes (or numbers to predict).
ModelUse classes(std::initializer_list<int64_t> sample, int64_t count,
                 const std::map<std::string, ModelValue>& keys = {});
/// ImageNet: square RGB images of so many pixels a side, 1000 classes.
ModelUse imagenet(int64_t size = 224);

/// Throws Error(usage) unless the targets have an output at each position of a sample.
void check_output_positions(const ModelRequest& request);

// Layers along the spatial axes of a value: one for signals, two for images, three for volumes. Of other
// values they are layers of images, whose messages say what they work on.
NewLayer conv(const Shape& input, const ConvOptions& options);
NewLayer conv_transpose(const Shape& input, const ConvOptions& options);
NewLayer max_pool(const Shape& input, const PoolOptions& options = {});

/// Appends a convolution without bias and a batch norm; returns the norm's value. The filter starts as in
/// torchvision, with a variance of 2 / fan_out (He et al. 2015).
int add_conv_norm(Graph& graph, int input, const std::string& conv, const std::string& norm,
                  ConvOptions options, const BatchNormOptions& norm_options = {});

/// Appends NAME.conv, NAME.bn and NAME.relu: the unit of torchvision's Inception networks, with their epsilon
/// of 0.001.
int add_basic_conv(Graph& graph, int input, const std::string& name, const ConvOptions& options);

/// channels x factor as an integer, at least 1: the filters of a network that is made wider or narrower.
int64_t scaled(int64_t channels, double factor);
/// The same, rounded to a multiple of `divisor`, but not down by more than a tenth: the rule of the
/// MobileNets.
int64_t scaled_to_multiple(int64_t channels, double factor, int64_t divisor);

}  // namespace lockstep::zoo
