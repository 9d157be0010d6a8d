// Parameter counts and names of published networks. Only graphs are built: no weights are allocated.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "launch/report/model_list.h"
#include "models/registry.h"
#include "src/graph/parameters.h"
#include "tests/models/zoo/parameter_count.h"

namespace lockstep {
namespace {

using testing::IsSupersetOf;
using testing::Pair;

Graph standard(const std::string& name, const std::map<std::string, ModelValue>& keys = {}) {
  const ModelUse& use = find_model(name)->standard;
  return build_model({.name = name, .keys = keys}, use.input, use.output, 1);
}

/// The shapes of parameters and statistics under their names in files, in PyTorch's order of axes.
std::map<std::string, Shape> tensors(const Graph& graph) {
  const ParameterLayout layout(graph);
  std::map<std::string, Shape> result;
  for (const ParameterLayout::Slot& slot : layout.parameters) result[slot.name] = logical_shape(slot);
  for (const ParameterLayout::Slot& slot : layout.states)
    for (const std::string& row : slot.rows) result[row] = slot.shape.sample();
  return result;
}

// As torchvision counts them: sum(p.numel() for p in model.parameters()).
TEST(ParameterCounts, AreThoseOfTorchvision) {
  const std::map<std::string, int64_t> published = {
      {"alexnet", 61'100'840},         {"vgg11", 132'863'336},     {"vgg13", 133'047'848},
      {"vgg16", 138'357'544},          {"vgg19", 143'667'240},     {"vgg11_bn", 132'868'840},
      {"vgg13_bn", 133'053'736},       {"vgg16_bn", 138'365'992},  {"vgg19_bn", 143'678'248},
      {"resnet18", 11'689'512},        {"resnet34", 21'797'672},   {"resnet50", 25'557'032},
      {"resnet101", 44'549'160},       {"resnet152", 60'192'808},  {"resnext50_32x4d", 25'028'904},
      {"wide_resnet50_2", 68'883'240}, {"googlenet", 13'004'888},  {"inception_v3", 27'161'264},
      {"mobilenet_v2", 3'504'872},     {"densenet121", 7'978'856}, {"densenet161", 28'681'000},
      {"densenet169", 14'149'480},     {"densenet201", 20'013'928}};
  for (const auto& [name, parameters] : published) {
    ASSERT_NE(find_model(name), nullptr) << name;
    EXPECT_EQ(parameter_count(standard(name)), parameters) << name;
  }
}

TEST(ParameterCounts, WithoutAuxiliaryHeadsAreThoseOfTorchvision) {
  EXPECT_EQ(parameter_count(standard("googlenet", {{"aux_weight", 0.0}})), 6'624'904);
  EXPECT_EQ(parameter_count(standard("inception_v3", {{"aux_weight", 0.0}})), 23'834'568);
}

// keras.applications.MobileNet(): 4,253,864 in total, of which 21,888 are running statistics.
TEST(ParameterCounts, MobileNetV1AreTheTrainableOnesOfKeras) {
  EXPECT_EQ(parameter_count(standard("mobilenet_v1")), 4'231'976);
  // MobileNet(alpha=0.5) has 1,342,536 - 10,944 of them.
  EXPECT_EQ(parameter_count(standard("mobilenet_v1", {{"width", 0.5}})), 1'331'592);
}

// Conv3D, MaxPool3D and Dense of MLPerf HPC's reference, counted by hand.
TEST(ParameterCounts, CosmoFlowAreThoseOfItsReference) {
  const int64_t convolutions =
      (8 * 4 + 1) * 32 + (8 * 32 + 1) * 64 + (8 * 64 + 1) * 128 + (8 * 128 + 1) * 256 + (8 * 256 + 1) * 512;
  const int64_t dense = (64 * 512 + 1) * 128 + (128 + 1) * 64 + (64 + 1) * 4;
  EXPECT_EQ(parameter_count(standard("cosmoflow")), convolutions + dense);
}

// He et al. 2016, table 6: 0.27 M and 0.85 M, with shortcuts that have no parameters.
TEST(ParameterCounts, CifarResNetsAreThoseOfThePaper) {
  EXPECT_EQ(parameter_count(standard("resnet20")), 269'722);
  EXPECT_EQ(parameter_count(standard("resnet56")), 853'018);
}

// docs/models.md has a row for each model: | `NAME` ... | COUNT | ...
TEST(ParameterCounts, AreThoseOfTheDocumentation) {
  std::map<std::string, std::string> rows;
  std::ifstream file(LOCKSTEP_SOURCE_DIR "/docs/models.md");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `")) continue;
    const size_t name = 3, name_end = line.find('`', name), cell = line.find('|', name_end) + 2;
    rows[line.substr(name, name_end - name)] = line.substr(cell, line.find(" |", cell) - cell);
  }
  for (const ModelEntry& model : model_registry()) {
    EXPECT_EQ(rows[model.name], readable_count(standard_parameters(model))) << model.name;
    rows.erase(model.name);
  }
  EXPECT_THAT(rows, testing::IsEmpty()) << "models that do not exist";
}

// github.com/milesial/Pytorch-UNet, for three channels and two classes, counted by hand as well.
TEST(ParameterCounts, OfUNetAreThoseOfItsImplementationInPyTorch) {
  EXPECT_EQ(parameter_count(standard("unet")), 31'037'698);
  EXPECT_EQ(parameter_count(standard("unet", {{"up", "linear"}})), 17'263'042);
}

// sum(p.numel() for p in module.parameters()) of DeepCam(16, 3, (768, 1152)) in
// tests/golden/cases_deepcam.py.
TEST(ParameterCounts, DeepCamAreThoseOfItsReference) {
  EXPECT_EQ(parameter_count(standard("deepcam")), 56'454'720);
  // Dilations take the place of strides, without another parameter.
  EXPECT_EQ(parameter_count(standard("deepcam", {{"output_stride", int64_t{8}}})), 56'454'720);
}

TEST(ParameterNames, OfExampleFilesAreThoseOfTheBuiltInModels) {
  for (const std::string name : {"resnet50", "unet", "vit_base", "gpt2"}) {
    const ModelUse& use = find_model(name)->standard;
    const ModelSpec file{.name = "", .file = fmt::format("{}/examples/{}.toml", LOCKSTEP_SOURCE_DIR, name)};
    EXPECT_EQ(tensors(build_model(file, use.input, use.output, 1)), tensors(standard(name))) << name;
  }
}

TEST(ParameterNames, OfDeepCamAreThoseOfItsReference) {
  EXPECT_THAT(tensors(standard("deepcam")),
              IsSupersetOf({Pair("xception_features.conv1.weight", Shape{32, 16, 3, 3}),
                            Pair("xception_features.block1.rep.0.conv1.weight", Shape{64, 1, 3, 3}),
                            Pair("xception_features.block1.rep.5.pointwise.weight", Shape{128, 128, 1, 1}),
                            Pair("xception_features.block3.skipbn.running_mean", Shape{728}),
                            Pair("xception_features.block19.rep.7.pointwise.weight", Shape{728, 728, 1, 1}),
                            Pair("xception_features.block20.rep.4.pointwise.weight", Shape{1024, 728, 1, 1}),
                            Pair("xception_features.conv5.pointwise.weight", Shape{2048, 1536, 1, 1}),
                            Pair("aspp4.atrous_convolution.weight", Shape{256, 2048, 3, 3}),
                            Pair("global_avg_pool.global_average_pool.1.weight", Shape{256, 2048, 1, 1}),
                            Pair("global_avg_pool.global_average_pool.2.bias", Shape{256}),
                            Pair("conv1.weight", Shape{256, 1280, 1, 1}), Pair("bn2.bias", Shape{48}),
                            Pair("upsample.deconv1.3.weight", Shape{256, 256, 3, 3}),
                            Pair("upsample.conv1.0.weight", Shape{256, 304, 3, 3}),
                            Pair("upsample.conv1.6.bias", Shape{256}),
                            Pair("upsample.last_deconv.0.weight", Shape{256, 3, 3, 3})}));
}

TEST(ParameterNames, AreThoseOfTorchvision) {
  EXPECT_THAT(tensors(standard("resnet50")),
              IsSupersetOf({Pair("conv1.weight", Shape{64, 3, 7, 7}), Pair("bn1.running_var", Shape{64}),
                            Pair("layer1.0.conv1.weight", Shape{64, 64, 1, 1}),
                            Pair("layer1.0.downsample.0.weight", Shape{256, 64, 1, 1}),
                            Pair("layer1.0.downsample.1.bias", Shape{256}),
                            Pair("layer4.2.conv2.weight", Shape{512, 512, 3, 3}),
                            Pair("layer4.2.bn3.running_mean", Shape{2048}),
                            Pair("fc.weight", Shape{1000, 2048}), Pair("fc.bias", Shape{1000})}));
  EXPECT_THAT(tensors(standard("resnext50_32x4d")),
              IsSupersetOf({Pair("layer1.0.conv2.weight", Shape{128, 4, 3, 3})}));
  EXPECT_THAT(tensors(standard("alexnet")), IsSupersetOf({Pair("features.0.weight", Shape{64, 3, 11, 11}),
                                                          Pair("features.10.bias", Shape{256}),
                                                          Pair("classifier.1.weight", Shape{4096, 9216}),
                                                          Pair("classifier.6.weight", Shape{1000, 4096})}));
  EXPECT_THAT(tensors(standard("vgg16")), IsSupersetOf({Pair("features.28.weight", Shape{512, 512, 3, 3}),
                                                        Pair("classifier.0.weight", Shape{4096, 25088}),
                                                        Pair("classifier.6.bias", Shape{1000})}));
  EXPECT_THAT(tensors(standard("vgg16_bn")), IsSupersetOf({Pair("features.40.weight", Shape{512, 512, 3, 3}),
                                                           Pair("features.41.running_mean", Shape{512})}));
  EXPECT_THAT(tensors(standard("densenet121")),
              IsSupersetOf({Pair("features.conv0.weight", Shape{64, 3, 7, 7}),
                            Pair("features.denseblock1.denselayer2.norm1.weight", Shape{96}),
                            Pair("features.denseblock4.denselayer16.conv2.weight", Shape{32, 128, 3, 3}),
                            Pair("features.transition3.conv.weight", Shape{512, 1024, 1, 1}),
                            Pair("features.norm5.running_var", Shape{1024}),
                            Pair("classifier.weight", Shape{1000, 1024})}));
  EXPECT_THAT(tensors(standard("mobilenet_v2")),
              IsSupersetOf({Pair("features.0.0.weight", Shape{32, 3, 3, 3}),
                            Pair("features.1.conv.0.0.weight", Shape{32, 1, 3, 3}),
                            Pair("features.1.conv.1.weight", Shape{16, 32, 1, 1}),
                            Pair("features.2.conv.1.1.running_var", Shape{96}),
                            Pair("features.17.conv.3.bias", Shape{320}),
                            Pair("features.18.0.weight", Shape{1280, 320, 1, 1}),
                            Pair("classifier.1.weight", Shape{1000, 1280})}));
  EXPECT_THAT(tensors(standard("unet")),
              IsSupersetOf({Pair("inc.double_conv.0.weight", Shape{64, 3, 3, 3}),
                            Pair("down4.maxpool_conv.1.double_conv.4.running_var", Shape{1024}),
                            Pair("up1.up.weight", Shape{1024, 512, 2, 2}),
                            Pair("up4.conv.double_conv.3.weight", Shape{64, 64, 3, 3}),
                            Pair("outc.conv.bias", Shape{2})}));
  EXPECT_THAT(tensors(standard("googlenet")),
              IsSupersetOf({Pair("conv1.conv.weight", Shape{64, 3, 7, 7}),
                            Pair("inception3a.branch3.1.conv.weight", Shape{32, 16, 3, 3}),
                            Pair("inception5b.branch4.1.bn.running_mean", Shape{128}),
                            Pair("aux1.conv.conv.weight", Shape{128, 512, 1, 1}),
                            Pair("aux2.fc1.weight", Shape{1024, 2048}), Pair("aux2.fc2.bias", Shape{1000})}));
  EXPECT_THAT(tensors(standard("inception_v3")),
              IsSupersetOf({Pair("Conv2d_1a_3x3.conv.weight", Shape{32, 3, 3, 3}),
                            Pair("Mixed_6e.branch7x7dbl_2.conv.weight", Shape{192, 192, 7, 1}),
                            Pair("Mixed_7c.branch3x3dbl_3b.bn.weight", Shape{384}),
                            Pair("AuxLogits.conv1.conv.weight", Shape{768, 128, 5, 5}),
                            Pair("AuxLogits.fc.weight", Shape{1000, 768})}));
}

}  // namespace
}  // namespace lockstep
