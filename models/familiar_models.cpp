#include "models/registry.h"

namespace lockstep {

namespace {

constexpr Synonym kModels[] = {
    {"convnet", "cnn"},
    {"conv", "cnn"},
    {"lenet", "cnn"},
    {"lenet5", "cnn"},
    {"dnn", "mlp"},
    {"dense", "mlp"},
    {"perceptron", "mlp"},
    {"fully_connected", "mlp"},
    {"resnet", "resnet18"},
    {"resnet50_v1.5", "resnet50"},
    {"rn50", "resnet50"},
    {"resnext", "resnext50_32x4d"},
    {"resnext50", "resnext50_32x4d"},
    {"wide_resnet", "wide_resnet50_2"},
    {"wrn", "wide_resnet50_2"},
    {"vgg", "vgg16"},
    {"inception", "inception_v3"},
    {"inception3", "inception_v3"},
    {"inception_v1", "googlenet"},
    {"mobilenet", "mobilenet_v2"},
    {"mobilenetv1", "mobilenet_v1"},
    {"densenet", "densenet121"},
    {"unet2d", "unet"},
    {"3d_unet", "unet3d"},
    {"vnet", "unet3d"},
    {"linear", "", "an mlp with model.hidden = [] is one linear layer."},
};

// A synonym of several keys means the one that the model has.
constexpr Synonym kModelKeys[] = {
    {"hidden_size", "hidden"},
    {"hidden_sizes", "hidden"},
    {"hidden_units", "hidden"},
    {"hidden_layers", "hidden"},
    {"hidden_dim", "hidden"},
    {"layers", "hidden"},
    {"units", "hidden"},
    {"width", "hidden"},
    {"act", "activation"},
    {"nonlinearity", "activation"},
    {"dropout_rate", "dropout"},
    {"drop_rate", "dropout"},
    {"p", "dropout"},
    {"channels", "filters"},
    {"layers", "filters"},
    {"width", "filters"},
    {"num_filters", "filters"},
    {"features", "filters"},
    {"init_features", "filters"},
    {"base_filters", "filters"},
    {"depth", "blocks"},
    {"layers", "blocks"},
    {"block_config", "blocks"},
    {"num_blocks", "blocks"},
    {"stages", "blocks"},
    {"depth", "convolutions"},
    {"layers", "convolutions"},
    {"base_width", "group_width"},
    {"width_per_group", "group_width"},
    {"cardinality", "groups"},
    {"zero_init_residual", "zero_init"},
    {"downsample", "shortcut"},
    {"growth_rate", "growth"},
    {"num_init_features", "stem_filters"},
    {"bn_size", "bottleneck"},
    {"alpha", "width"},
    {"width_mult", "width"},
    {"width_multiplier", "width"},
    {"round_nearest", "round_to"},
    {"aux_logits", "aux_weight"},
    {"aux", "aux_weight"},
    {"bilinear", "up"},
    {"upsampling", "up"},
    {"bn", "batch_norm"},
    {"batchnorm", "batch_norm"},
    {"num_classes", "", "the data says how many classes there are (data.classes, if not counted)."},
    {"classes", "", "the data says how many classes there are (data.classes, if not counted)."},
};

}  // namespace

Synonyms model_synonyms() { return kModels; }
Synonyms model_key_synonyms() { return kModelKeys; }

}  // namespace lockstep
