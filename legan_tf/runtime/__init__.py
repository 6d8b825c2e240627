"""Runtime: the two versions of Keras, and the hardware."""
