"""From arrays of images to features, the only part that needs PyTorch."""
