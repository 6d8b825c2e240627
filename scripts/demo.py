"""Shows a page in the browser of this computer, where one edits a photograph.

python scripts/demo.py
"""

from __future__ import annotations

from absl import flags

from legan_tf.command_line import cli

_PORT = flags.DEFINE_integer("port", 8000, "Port to listen at; 0 for any.", 0, 65535)
_FINDER = flags.DEFINE_string("finder", "tflite", "Finder of faces: tflite or mediapipe.")
_HEAD = flags.DEFINE_string("head", "", "Another head; a folder of ICT-FaceKit, or a file.")


def main(_) -> None:
    # Imported here so that a mistyped flag is reported at once.
    from legan_tf.uses.photographs.demo import server

    server.serve(_PORT.value, _FINDER.value, _HEAD.value)


if __name__ == "__main__":
    cli.run(main)
