"""From image files to an index and to arrays."""
