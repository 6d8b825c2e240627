"""Applications of trained networks: scoring, augmentation, rating studies, Keras layers."""
