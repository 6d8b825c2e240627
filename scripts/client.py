"""Edits expression, lighting or attributes of faces by a server, or maps or rates pictures.

Edits, of a picture or a folder:
  python scripts/client.py --server=localhost:8500 --input=faces --output=smiling --expression=smile
With their maps and ratings:
  python scripts/client.py --server=localhost:8500 --input=faces --output=lit --lighting=shot07 \
      --depth=lit_depth --score=lit.csv
Maps and ratings of the pictures as they are:
  python scripts/client.py --server=localhost:8500 --input=faces --depth=maps --score=faces.csv

While the server is away, each batch of pictures waits for it for --timeout seconds. Results of an
earlier run are replaced. This program needs no TensorFlow.
"""

from __future__ import annotations

import sys

from absl import flags

from legan_tf import optional
from legan_tf.command_line import cli
from legan_tf.data import storage
from legan_tf.errors import UserError

_SERVER = flags.DEFINE_string("server", None, "HOST:PORT of the server's gRPC.", required=True)
_INPUT = flags.DEFINE_string("input", None, "Picture, or folder of pictures.", required=True)
_OUTPUT = flags.DEFINE_string("output", "", "Picture or folder to write the edits to.")
_EXPRESSION = flags.DEFINE_string(
    "expression", "", "Target expression by name; leave out to keep it as it is."
)
_LIGHTING = flags.DEFINE_string(
    "lighting", "", "Target lighting by name; leave out to keep it as it is."
)
_ATTRIBUTES = flags.DEFINE_string(
    "attributes", "", "Attributes to change, as Smiling=1,Young=0; the others stay as they are."
)
_DEPTH = flags.DEFINE_string(
    "depth",
    "",
    "Picture or folder for depth (or normal) maps: of the edits, or of the pictures as they are "
    "where none are asked for.",
)
_SCORE = flags.DEFINE_string(
    "score", "", "CSV file for the ratings of the edits, or of the pictures as they are."
)
_MODEL = flags.DEFINE_string("model", "legan", "Name under which the editor is served.")
_SCORER = flags.DEFINE_string("scorer", "quality", "Name under which Q is served.")
_MAPPER = flags.DEFINE_string(
    "mapper", "", "Name under which a depth network is served; default is the one beside --model."
)
_TIMEOUT = flags.DEFINE_float("timeout", 60.0, "Seconds for a batch of pictures, retries included.")
_MAX_BATCH = flags.DEFINE_integer("max_batch", 32, "The most pictures in one request.")
_TLS = flags.DEFINE_bool("tls", False, "Encrypt, and trust the root certificates of gRPC.")
_TLS_ROOT = flags.DEFINE_string(
    "tls_root", "", "PEM file of the root certificates to trust instead; implies --tls."
)
_TLS_CERTIFICATE = flags.DEFINE_string(
    "tls_certificate", "", "PEM file of the client's certificate, if the server asks for one."
)
_TLS_KEY = flags.DEFINE_string("tls_key", "", "PEM file of the key of --tls_certificate.")
_METADATA = flags.DEFINE_multi_string(
    "metadata", [], "NAME=VALUE sent with every request; repeatable. Keep secrets in a --flagfile."
)


def _credentials():
    files = _TLS_ROOT.value, _TLS_KEY.value, _TLS_CERTIFICATE.value
    if not (_TLS.value or any(files)):
        return None
    if bool(_TLS_CERTIFICATE.value) != bool(_TLS_KEY.value):
        raise UserError("--tls_certificate and --tls_key belong together: give both files.")
    grpc = optional.require("grpc", "The client")
    return grpc.ssl_channel_credentials(*(storage.read_bytes(f) if f else None for f in files))


def main(_) -> int:
    metadata = []
    for given in _METADATA.value:
        name, equals, value = given.partition("=")
        if not equals:
            raise UserError("--metadata: write NAME=VALUE.")
        metadata.append((name, value))
    # Imported here so that a mistyped flag is reported at once.
    from legan_tf.serving.client import Client
    from legan_tf.serving.client.editing import FileJob, run_file_job

    targets = {
        flag.name: flag.value for flag in (_EXPRESSION, _LIGHTING, _ATTRIBUTES) if flag.value
    }
    job = FileJob(_INPUT.value, _OUTPUT.value, targets, _DEPTH.value, _SCORE.value)
    client = Client(
        _SERVER.value,
        editor=_MODEL.value,
        scorer=_SCORER.value,
        mapper=_MAPPER.value or None,
        timeout=_TIMEOUT.value,
        max_batch=_MAX_BATCH.value,
        credentials=_credentials(),
        metadata=metadata,
    )
    with client:
        report = run_file_job(client, job)
    for message in report.skipped:
        print(f"Skipped {message}", file=sys.stderr)
    for line in report.lines(job.output, job.map_output, job.scores):
        print(line)
    return 1 if report.skipped else 0


if __name__ == "__main__":
    cli.run(main)
