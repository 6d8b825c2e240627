"""Adam as one fused operation per variable."""

from __future__ import annotations

import keras
import tensorflow as tf

from legan_tf.models.layers import PACKAGE
from legan_tf.runtime.compat import tensorflow_variable, variable_index


@keras.saving.register_keras_serializable(package=PACKAGE)
class Adam(keras.optimizers.Adam):
    """Keras' Adam, with each variable's update as TensorFlow's own operation.

    Keras writes the same formula as a dozen operations, each of which reads and writes as many
    numbers as the variable has: of a discriminator with 45 million weights that is several times
    what its convolutions read. Takes dense gradients only.
    """

    def __init__(self, *args, **options) -> None:
        """Takes the arguments of Keras' Adam.

        Raises:
            ValueError: ``amsgrad`` is true, which TensorFlow's operation does not offer.
        """
        super().__init__(*args, **options)
        if self.amsgrad:
            raise ValueError("amsgrad=True: use keras.optimizers.Adam, this one does not offer it")
        # Keras 2 would compile each update for a GPU, which is one operation.
        self.jit_compile = False

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor | None = None
    ) -> None:
        """Updates one variable; Keras 2 gives no learning rate, which is then the optimizer's."""
        kind = variable.dtype
        rate = self.learning_rate if learning_rate is None else learning_rate
        step = tf.cast(self.iterations + 1, kind)
        index = variable_index(self, variable)
        tf.raw_ops.ResourceApplyAdam(
            var=tensorflow_variable(variable).handle,
            m=tensorflow_variable(self._momentums[index]).handle,
            v=tensorflow_variable(self._velocities[index]).handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, kind), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, kind), step),
            lr=tf.cast(rate, kind),
            beta1=tf.cast(self.beta_1, kind),
            beta2=tf.cast(self.beta_2, kind),
            epsilon=tf.cast(self.epsilon, kind),
            grad=gradient,
        )
