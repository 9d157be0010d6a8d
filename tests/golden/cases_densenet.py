"""torchvision's DenseNet, which takes all sizes as arguments."""

import golden
from golden import Case
from torchvision.models import DenseNet


@golden.file
def densenet():
    for depth, blocks in ((121, (2, 2)), (169, (1, 3)), (201, (2, 1, 2)), (161, (1, 2))):
        module = DenseNet(growth_rate=3, block_config=blocks, num_init_features=4, bn_size=2, num_classes=4)
        name = f"densenet{depth}"
        keys = {"blocks": list(blocks), "growth": 3, "bottleneck": 2, "stem_filters": 4, "dropout": 0.0}
        # torchvision calls the last norm norm5 for any number of blocks.
        yield name, Case({"name": name, "keys": keys}, module, input=(3, 34, 33), outputs=4, samples=8,
                         rename={"features.norm5.": f"features.norm{len(blocks) + 1}."})
