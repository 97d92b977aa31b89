"""In which unit each scorer's anomaly score is: pages and exported detectors say it."""

UNITS = {
    "kernel_pca_fre": "squared distance in the kernel's feature space, 0 to 1",
    "mahalanobis": "squared Mahalanobis distance, without unit",
    "nearest_neighbour": "units of the feature",
    "padim": "Mahalanobis distance, without unit",
    "patch_subspace": "squared units of the feature",
    "patchcore": "units of the feature",
    "pca_fre": "squared units of the feature",
    "pca_gaussian": "negative log likelihood, in nats",
    "pca_kde": "negative log density, in nats",
}


def score_unit(scorer: str, n_layers: int) -> str:
    """Unit of a scorer's score."""
    if scorer == "pca_fre" and n_layers > 1:
        return "without unit: a held-out good image's map is 1 on average"
    return UNITS.get(scorer, "of the scorer")
