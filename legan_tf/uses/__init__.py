"""Applications: photographs edited by a head; scoring, augmentation and studies of networks."""
