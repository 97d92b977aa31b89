"""What the published scripts do, plainly: the reference that the benchmark divides by.

Pillow decodes in a DataLoader of two workers, the network runs in contiguous float32, scikit-learn
takes a full SVD, all in one process. Prints the image AUROC.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from torch.utils.data import DataLoader, Dataset
from torchvision.models import get_model
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms import v2


class Images(Dataset):
    """Normalised images of a list of files."""

    def __init__(self, files: list[Path], side: int) -> None:
        self.files, self.side = files, side
        self.to_tensor = v2.Compose(
            [
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> torch.Tensor:
        image = Image.open(self.files[row]).convert("RGB")
        return self.to_tensor(image.resize((self.side, self.side), Image.Resampling.LANCZOS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("category", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--side", type=int, required=True)
    parser.add_argument("--batch", type=int, default=64)
    arguments = parser.parse_args()

    network = get_model(arguments.backbone, weights=None)
    network.load_state_dict(torch.load(arguments.weights, weights_only=True))
    network = create_feature_extractor(network.eval(), {arguments.layer: "feature"})

    def features(files: list[Path]) -> np.ndarray:
        loader = DataLoader(Images(files, arguments.side), arguments.batch, num_workers=2)
        found = []
        with torch.no_grad():
            for batch in loader:
                pooled = torch.nn.functional.avg_pool2d(network(batch)["feature"], 2)
                found.append(pooled.flatten(1).numpy())
        return np.concatenate(found)

    train = sorted(arguments.category.glob("train/good/*.png"))
    test = sorted(arguments.category.glob("test/*/*.png"))
    labels = [file.parent.name != "good" for file in test]
    pca = PCA(0.97, svd_solver="full").fit(features(train))
    X = features(test)
    error = ((X - pca.inverse_transform(pca.transform(X))) ** 2).sum(axis=1)
    print(f"image AUROC {roc_auc_score(labels, error):.4f}")


if __name__ == "__main__":
    main()
