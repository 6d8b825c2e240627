"""What people do with trained networks: filter, augment, study with raters, build on them."""
