"""The files that a server is started with, written for the models that have been exported.

Free of TensorFlow.
"""

from __future__ import annotations

import dataclasses
import os
import textwrap
from collections.abc import Sequence

from legan_tf.data import local_files
from legan_tf.errors import UserError
from legan_tf.serving import publishing

GRPC_PORT, REST_PORT, PAGE_PORT = 8500, 8501, 8080
BATCH_SIZES = (1, 2, 4, 8, 16, 32)
"""Row counts that requests are merged to; the graph is planned once for each. Servers that batch
refuse a request of more than the last, so it is what clients send at most by default."""
VERSIONS = 2
"""Newest versions that a server keeps loaded, so that the one before answers at once when the
newest is rolled back."""
SERVER_IMAGE = "tensorflow/serving:2.19.1"
PAGE_IMAGE = "nginx:stable-alpine"
PAGE_FOLDER = "demo"

_FIRST_LINE = (
    "# Written by `python scripts/publish.py files`, which replaces this file. To edit it, delete "
    "this line."
)
_MARK = _FIRST_LINE[: _FIRST_LINE.index(",")]
_CONFIG = "/serving"
_ARGUMENTS = (
    f"--port={GRPC_PORT}",
    f"--rest_api_port={REST_PORT}",
    f"--model_config_file={_CONFIG}/models.config",
    "--model_config_file_poll_wait_seconds=30",
    f"--monitoring_config_file={_CONFIG}/monitoring.config",
)
_BATCHING = (
    "--enable_batching=true",
    f"--batching_parameters_file={_CONFIG}/batching_parameters.txt",
)


@dataclasses.dataclass(frozen=True)
class Written:
    """What became of the files.

    Attributes:
        files: Those that were written.
        kept: Those that a person has made their own, and that were left as they are.
    """

    files: tuple[str, ...]
    kept: tuple[str, ...]


def write(serving_root: str, output: str) -> Written:
    """Writes ``models.config`` and what else a server needs to serve every exported model.

    Files that a person has made their own are not replaced.

    Args:
        serving_root: Folder of the served models.
        output: Folder to write to. The demo page is served where its folder, ``demo``, lies there.

    Raises:
        UserError: There is no exported model, or a file cannot be read or written.
    """
    names = publishing.models(serving_root)
    if not names:
        raise UserError(
            f"{serving_root}: holds no exported model; scripts/export.py makes one from a run."
        )
    models = os.path.relpath(serving_root, output)
    page = os.path.isdir(os.path.join(output, PAGE_FOLDER))
    files: list[str] = []
    kept: list[str] = []
    for name, text in contents(names, models, page).items():
        path = os.path.join(output, name)
        if os.path.exists(path) and not local_files.read_bytes(path).startswith(_MARK.encode()):
            kept.append(path)
            continue
        local_files.write_bytes(path, text.encode())
        files.append(path)
    return Written(tuple(files), tuple(kept))


def contents(names: Sequence[str], models: str, page: bool = True) -> dict[str, str]:
    """Returns every file for the models of some names.

    Args:
        names: What the models are served under.
        models: Folder of the models as seen from that of the files.
        page: Whether to serve the demo page.
    """
    ready = _ready(names)
    config, monitoring = _models_config(names), _MONITORING
    made = {
        "models.config": config,
        "batching_parameters.txt": _batching(),
        "monitoring.config": monitoring,
        "ready.sh": ready,
        "compose.yaml": _compose(models) + (_PAGE if page else ""),
        "kubernetes.yaml": _kubernetes(
            {"models.config": config, "monitoring.config": monitoring, "ready.sh": ready}
        ),
    }
    if page:
        made["nginx.conf"] = _NGINX
    return {name: f"{_FIRST_LINE}\n{text}" for name, text in made.items()}


def _models_config(names: Sequence[str]) -> str:
    # No version labels: a label for a version that is not loaded makes the server refuse the file.
    entries = "".join(
        f"""  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: {VERSIONS} }} }}
  }}
"""
        for name in names
    )
    return f"model_config_list {{\n{entries}}}\n"


def _batching() -> str:
    sizes = "".join(f"allowed_batch_sizes: {size}\n" for size in BATCH_SIZES)
    return f"""\
# The last allowed size must be max_batch_size.
max_batch_size {{ value: {BATCH_SIZES[-1]} }}
{sizes}\
# Requests are merged while all threads are busy, and never wait for others.
batch_timeout_micros {{ value: 0 }}
num_batch_threads {{ value: 2 }}
# Beyond this queue, callers are told to come back later.
max_enqueued_batches {{ value: 64 }}
"""


_MONITORING = """\
prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }
"""


def _ready(names: Sequence[str]) -> str:
    return f"""\
# Succeeds once every model (all) or some model (any) has a version that answers.
# Usage: bash ready.sh [all|any] [PORT]. The server's image has bash and no curl.
missing=
for model in {" ".join(names)}; do
  exec 3<>"/dev/tcp/127.0.0.1/${{2:-{REST_PORT}}}" || exit 1
  printf 'GET /v1/models/%s HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' "$model" >&3
  if grep -q '"state": *"AVAILABLE"' <&3; then
    [ "$1" = any ] && exit 0
  else
    echo "$model is not available" >&2
    missing=yes
  fi
  exec 3>&-
done
[ -z "$missing" ]
"""


_NGINX = f"""\
# The demo page, and the server's REST interface on the same port, as browsers want it.
server {{
  listen 80;
  root /usr/share/nginx/html;
  client_max_body_size 64m;

  location /v1/ {{
    # A variable, so that nginx starts before the server and finds it when it comes anew.
    resolver 127.0.0.11 valid=10s;
    set $server http://server:{REST_PORT};
    proxy_pass $server;
    proxy_read_timeout 120s;
  }}
}}
"""


def _compose(models: str) -> str:
    # Folders are mounted and not files: a file that is replaced would stay the old one.
    server = f"""\
    restart: unless-stopped
    ports:
      - "${{LISTEN:-127.0.0.1}}:{GRPC_PORT}:{GRPC_PORT}"
      - "${{LISTEN:-127.0.0.1}}:{REST_PORT}:{REST_PORT}"
    volumes:
      - .:{_CONFIG}:ro
      - ./{models}:/models:ro
    networks:
      default:
        aliases: [server]
    healthcheck:
      test: ["CMD", "bash", "{_CONFIG}/ready.sh", "all"]
      interval: 10s
      timeout: 5s
      start_period: 120s
"""
    return f"""\
# docker compose --profile cpu up --detach     (or --profile gpu)
# LISTEN=0.0.0.0 in the environment lets other machines in: the server asks nobody who they are.
services:
  cpu:
    profiles: [cpu]
    image: {SERVER_IMAGE}
    command:
{_listed(_ARGUMENTS, 6)}
{server}
  gpu:
    profiles: [gpu]
    image: {SERVER_IMAGE}-gpu
    command:
{_listed(_ARGUMENTS, 6)}
      # Merging requests pays on a GPU alone, and fails all that were merged when one is wrong.
{_listed(_BATCHING, 6)}
    deploy:
      resources:
        reservations:
          devices:
            - driver: nvidia
              count: 1
              capabilities: [gpu]
{server}"""


_PAGE = f"""
  demo:
    image: {PAGE_IMAGE}
    restart: unless-stopped
    ports:
      - "${{LISTEN:-127.0.0.1}}:{PAGE_PORT}:80"
    volumes:
      - ./{PAGE_FOLDER}:/usr/share/nginx/html:ro
      # For nginx.conf, the one file here that nginx reads.
      - .:/etc/nginx/conf.d:ro
"""


def _listed(arguments: Sequence[str], indent: int) -> str:
    return "\n".join(f"{' ' * indent}- {argument}" for argument in arguments)


def _kubernetes(files: dict[str, str]) -> str:
    data = "".join(f"  {name}: |\n{textwrap.indent(text, '    ')}" for name, text in files.items())
    return f"""\
# First apply the claim alone (--selector=part=models) and fill it with the models; see README.md.
apiVersion: v1
kind: ConfigMap
metadata:
  name: legan-serving
data:
{data}---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: models
  labels:
    part: models
spec:
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      storage: 5Gi
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: legan-serving
spec:
  replicas: 1
  selector:
    matchLabels:
      app: legan-serving
  # One node at a time mounts the claim: a new pod on another would wait for the old one for ever.
  strategy:
    type: Recreate
  template:
    metadata:
      labels:
        app: legan-serving
    spec:
      terminationGracePeriodSeconds: 60
      containers:
        - name: server
          image: {SERVER_IMAGE}
          args:
{_listed(_ARGUMENTS, 12)}
          ports:
            - name: grpc
              containerPort: {GRPC_PORT}
            - name: rest
              containerPort: {REST_PORT}
          startupProbe:
            exec:
              command: [bash, {_CONFIG}/ready.sh, all]
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 120
          # Not all: a model that the server has just been told of must not take away the others.
          readinessProbe:
            exec:
              command: [bash, {_CONFIG}/ready.sh, any]
            periodSeconds: 5
            timeoutSeconds: 5
          livenessProbe:
            tcpSocket:
              port: grpc
            periodSeconds: 10
            failureThreshold: 6
          lifecycle:
            preStop:
              exec:
                # Until the service sends no more requests here.
                command: [sleep, "10"]
          resources:
            requests:
              cpu: "1"
              memory: 2Gi
            limits:
              memory: 4Gi
          securityContext:
            allowPrivilegeEscalation: false
          volumeMounts:
            - name: config
              mountPath: {_CONFIG}
              readOnly: true
            - name: models
              mountPath: /models
              readOnly: true
      volumes:
        - name: config
          configMap:
            name: legan-serving
        - name: models
          persistentVolumeClaim:
            claimName: models
---
apiVersion: v1
kind: Service
metadata:
  name: legan-serving
spec:
  selector:
    app: legan-serving
  ports:
    - name: grpc
      port: {GRPC_PORT}
      targetPort: grpc
    - name: rest
      port: {REST_PORT}
      targetPort: rest
"""
