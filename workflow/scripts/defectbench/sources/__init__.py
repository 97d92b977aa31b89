"""Where images and weights come from: networks, archives, folders, Python packages."""
