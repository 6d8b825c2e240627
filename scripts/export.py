"""Exports the network of a run as the next version of a served model.

The depth network of a run that trained one with its editor (depth.keras) is exported with it.

python scripts/export.py --workdir=runs/legan --serving_root=serving/models --name=legan
"""

from __future__ import annotations

from absl import flags

from legan_tf.command_line import cli
from legan_tf.graph_ops.target import TARGETS

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Run folder with its model.keras, or a .keras file.", required=True
)
_SERVING_ROOT = flags.DEFINE_string("serving_root", "serving/models", "Folder of served models.")
_NAME = flags.DEFINE_string("name", "legan", "Name to serve the model under.")
_KEEP = flags.DEFINE_integer(
    "keep", None, "Older versions to keep beside the new one; default is all.", lower_bound=0
)
_TARGET = flags.DEFINE_enum(
    "target",
    "any",
    TARGETS,
    "Where the version is to run: cpu takes the convolutions that are fastest on processors, gpu "
    "the library's, any those that suit both. Answers are the same up to rounding.",
)


def main(_) -> None:
    from legan_tf.serving import export, loading
    from legan_tf.training import devices
    from legan_tf.training.run_folder import load_network

    devices.claim(1)
    network, depth = load_network(_WORKDIR.value), loading.depth_beside(_WORKDIR.value)
    print(
        export.export(
            network,
            _SERVING_ROOT.value,
            _NAME.value,
            depth,
            source=_WORKDIR.value,
            keep=_KEEP.value,
            target=_TARGET.value,
        )
    )


if __name__ == "__main__":
    cli.run(main)
