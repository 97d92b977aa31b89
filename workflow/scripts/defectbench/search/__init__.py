"""The search for a set-up: resolution, shape, tiles, layers, detector and its parameters."""
