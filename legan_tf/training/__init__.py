"""Training: models with their own ``train_step``, schedules, checkpoints, callbacks."""
