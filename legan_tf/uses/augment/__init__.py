"""Adding a model's edits of train pictures to a training set."""
