"""Where images, features and weights come from: the network, archives, folders, packages."""
