from __future__ import annotations

import contextlib
import http.server
import inspect
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import threading

import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from legan_tf.errors import UserError
from legan_tf.serving import Client, publishing, server_files
from legan_tf.serving.protobuf import message_classes

ROOT = pathlib.Path(__file__).parents[2]
NAMES = ["legan", "quality-2.x"]
FILES = {
    "batching_parameters.txt",
    "compose.yaml",
    "kubernetes.yaml",
    "models.config",
    "monitoring.config",
    "nginx.conf",
    "ready.sh",
}

# The package with the official messages lacks these.
MESSAGES = message_classes(
    "test_server_files",
    {
        "Int64Value": {"value": (1, "int64")},
        "BatchingParameters": {
            "max_batch_size": (1, "Int64Value"),
            "batch_timeout_micros": (2, "Int64Value"),
            "max_enqueued_batches": (3, "Int64Value"),
            "num_batch_threads": (4, "Int64Value"),
            "allowed_batch_sizes": (6, "*int64"),
            "pad_variable_length_inputs": (7, "bool"),
        },
        "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
        "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
    },
)


def publish(root: pathlib.Path, name: str) -> None:
    aside = pathlib.Path(publishing.begin(str(root / name)))
    (aside / "saved_model.pb").write_text("a model")
    publishing.publish(str(aside), str(root / name))


@pytest.fixture
def written(tmp_path):
    """The files for two models, in ``serving``, with the models in ``serving/models``."""
    folder = tmp_path / "serving"
    for name in NAMES:
        publish(folder / "models", name)
    (folder / "models" / "nothing").mkdir()
    (folder / "demo").mkdir()
    written = server_files.write(str(folder / "models"), str(folder))
    assert set(written.files) == {str(folder / name) for name in FILES} and not written.kept
    assert set(os.listdir(folder)) == {*FILES, "models", "demo"}
    return folder


def parsed(message, path: pathlib.Path):
    return text_format.Parse(path.read_text(), message)


def test_models_config_is_one_that_servers_read(written):
    config = parsed(model_server_config_pb2.ModelServerConfig(), written / "models.config")
    entries = config.model_config_list.config
    assert [entry.name for entry in entries] == NAMES
    for entry in entries:
        assert entry.base_path == f"/models/{entry.name}"
        assert entry.model_platform == "tensorflow"
        # With the one before loaded, a roll-back leaves no gap.
        assert entry.model_version_policy.latest.num_versions == 2
        assert not entry.version_labels


def test_batching_parameters_fit_together(written):
    batching = parsed(MESSAGES["BatchingParameters"](), written / "batching_parameters.txt")
    sizes = list(batching.allowed_batch_sizes)
    assert sizes == sorted(set(sizes)) and sizes[0] == 1
    assert sizes[-1] == batching.max_batch_size.value
    # A server that batches refuses a request of more rows.
    assert inspect.signature(Client).parameters["max_batch"].default <= sizes[-1]
    assert batching.batch_timeout_micros.value == 0 and batching.HasField("batch_timeout_micros")
    assert batching.max_enqueued_batches.value > 0
    assert not batching.pad_variable_length_inputs


def test_monitoring_config_is_one_that_servers_read(written):
    monitoring = parsed(MESSAGES["MonitoringConfig"](), written / "monitoring.config")
    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path == "/monitoring/prometheus/metrics"


def flags(arguments: list[str]) -> dict[str, str]:
    return dict(argument.removeprefix("--").split("=", 1) for argument in arguments)


def test_compose_starts_the_official_server_on_the_files_written(written):
    services = yaml.safe_load((written / "compose.yaml").read_text())["services"]
    assert {name: service.get("profiles") for name, service in services.items()} == {
        "cpu": ["cpu"],
        "gpu": ["gpu"],
        "demo": None,
    }
    cpu, gpu, demo = (services[name] for name in ("cpu", "gpu", "demo"))
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", cpu["image"])
    assert gpu["image"] == f"{cpu['image']}-gpu"
    assert gpu["deploy"]["resources"]["reservations"]["devices"][0]["driver"] == "nvidia"
    for service in (cpu, gpu):
        assert service["volumes"] == [".:/serving:ro", "./models:/models:ro"]
        assert service["ports"] == [
            "${LISTEN:-127.0.0.1}:8500:8500",
            "${LISTEN:-127.0.0.1}:8501:8501",
        ]
        assert service["networks"]["default"]["aliases"] == ["server"]
        given = flags(service["command"])
        assert (given["port"], given["rest_api_port"]) == ("8500", "8501")
        for flag, value in given.items():
            if flag.endswith("_file"):
                assert (written / pathlib.PurePosixPath(value).relative_to("/serving")).is_file()
        assert service["healthcheck"]["test"] == ["CMD", "bash", "/serving/ready.sh", "all"]
    assert "enable_batching" not in flags(cpu["command"])
    assert flags(gpu["command"])["enable_batching"] == "true"
    # Files would stay the old ones when they are written anew.
    for service in services.values():
        for volume in service["volumes"]:
            assert (written / volume.partition(":")[0]).is_dir()
    assert [name for name in FILES if name.endswith(".conf")] == ["nginx.conf"]
    assert demo["volumes"][1] == ".:/etc/nginx/conf.d:ro"
    nginx = (written / "nginx.conf").read_text()
    assert "location /v1/" in nginx and "set $server http://server:8501;" in nginx
    assert nginx.count("{") == nginx.count("}")


def test_the_manifest_holds_together(written):
    documents = yaml.safe_load_all((written / "kubernetes.yaml").read_text())
    by_kind = {document["kind"]: document for document in documents}
    assert set(by_kind) == {"ConfigMap", "PersistentVolumeClaim", "Deployment", "Service"}
    config, claim, deployment, service = by_kind.values()
    for name, text in config["data"].items():
        assert text == (written / name).read_text().partition("\n")[2]
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["labels"] == service["spec"]["selector"]
    assert pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]
    claimed = volumes["models"]["persistentVolumeClaim"]["claimName"]
    assert claimed == claim["metadata"]["name"]
    (server,) = pod["spec"]["containers"]
    mounts = {mount["name"]: mount for mount in server["volumeMounts"]}
    assert mounts["config"]["mountPath"] == "/serving" and mounts["models"]["readOnly"]
    for probe, wanted in (("startupProbe", "all"), ("readinessProbe", "any")):
        assert server[probe]["exec"]["command"] == ["bash", "/serving/ready.sh", wanted]
    # Pods beside each other could be on two nodes, and the claim is for one.
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    labelled = [kind for kind, document in by_kind.items() if "labels" in document["metadata"]]
    assert labelled == ["PersistentVolumeClaim"] and claim["metadata"]["labels"] == {
        "part": "models"
    }
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    given = flags(server["args"])
    assert ports == {"grpc": int(given["port"]), "rest": int(given["rest_api_port"])}
    for port in service["spec"]["ports"]:
        assert port["port"] == ports[port["targetPort"]]
    for flag, value in given.items():
        if flag.endswith("_file"):
            assert os.path.basename(value) in config["data"]
    assert server["livenessProbe"]["tcpSocket"]["port"] in ports
    assert server["resources"]["limits"]["memory"]


@contextlib.contextmanager
def status_server(states: dict[str, list[str]]):
    """Answers GET /v1/models/NAME as TensorFlow Serving does; yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.removeprefix("/v1/models/")
            answer = {
                "model_version_status": [
                    {
                        "version": str(version),
                        "state": state,
                        "status": {"error_code": "OK", "error_message": ""},
                    }
                    for version, state in enumerate(states.get(name, []), start=1)
                ]
            }
            self.send_response(200 if name in states else 404)
            self.end_headers()
            self.wfile.write(json.dumps(answer, indent=1).encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("states", "every", "some", "told"),
    [
        ({"legan": ["END", "AVAILABLE"], "quality-2.x": ["AVAILABLE"]}, True, True, []),
        ({"legan": ["AVAILABLE"], "quality-2.x": ["LOADING"]}, False, True, ["quality-2.x"]),
        ({"legan": ["UNAVAILABLE"], "quality-2.x": ["AVAILABLE"]}, False, True, ["legan"]),
        ({"legan": ["AVAILABLE"]}, False, True, ["quality-2.x"]),
        ({"legan": ["START"]}, False, False, NAMES),
    ],
)
def test_readiness_is_asked_of_every_model_or_of_any(written, states, every, some, told):
    def ready(which: str, port: int) -> subprocess.CompletedProcess:
        command = ["bash", written / "ready.sh", which, str(port)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    with status_server(states) as port:
        done = ready("all", port)
        assert done.returncode == (0 if every else 1)
        assert done.stderr == "".join(f"{name} is not available\n" for name in told)
        assert ready("any", port).returncode == (0 if some else 1)
    assert ready("all", port).returncode == ready("any", port).returncode == 1


def test_what_a_person_edited_is_kept_and_the_others_are_written(written):
    publish(written / "models", "depth")
    own = (written / "compose.yaml").read_text().partition("\n")[2]
    (written / "compose.yaml").write_text(own)
    again = server_files.write(str(written / "models"), str(written))
    assert again.kept == (str(written / "compose.yaml"),)
    assert set(again.files) == {str(written / name) for name in FILES - {"compose.yaml"}}
    assert (written / "compose.yaml").read_text() == own
    assert '"/models/depth"' in (written / "models.config").read_text()
    assert "for model in depth legan quality-2.x; do" in (written / "ready.sh").read_text()


def test_without_the_page_s_folder_no_page_is_served(written, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    server_files.write(str(written / "models"), str(elsewhere))
    assert set(os.listdir(elsewhere)) == FILES - {"nginx.conf"}
    services = yaml.safe_load((elsewhere / "compose.yaml").read_text())["services"]
    assert set(services) == {"cpu", "gpu"}
    assert "./../serving/models:/models:ro" in services["cpu"]["volumes"]


def test_files_for_no_model_are_refused(tmp_path):
    (tmp_path / "models" / "m").mkdir(parents=True)
    with pytest.raises(UserError, match=r"models: holds no exported model; scripts/export\.py"):
        server_files.write(str(tmp_path / "models"), str(tmp_path))
    assert os.listdir(tmp_path) == ["models"]


def test_the_files_in_the_repository_are_those_for_the_first_export():
    """An export named as export.py names it is served by them as they are."""
    for name, text in server_files.contents(["legan"], "models").items():
        assert (ROOT / "serving" / name).read_text() == text, f"run publish.py files: {name}"


def command(line: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *shlex.split(line)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_command_from_the_outside(tmp_path):
    root = tmp_path / "models"
    for name in ("a", "b", "a"):
        publish(root, name)
    given = f"--serving_root={root}"
    done = command(f"scripts/publish.py files {given} --output={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {str(tmp_path / name) for name in FILES - {"nginx.conf"}}
    (tmp_path / "ready.sh").write_text("exit 0")
    done = command(f"scripts/publish.py files {given} --output={tmp_path}")
    assert f"{tmp_path}/ready.sh: kept, for it has been edited; move it" in done.stdout
    done = command(f"scripts/publish.py roll_back {given} --name=a")
    assert done.stdout == f"Withdrawn: {root}/a/.withdrawn-2\nNewest now: {root}/a/1\n"
    done = command(f"scripts/publish.py list {given}")
    assert done.stdout.splitlines() == [
        "a\t1\tnewest",
        "a\t.withdrawn-2\twithdrawn",
        "b\t1\tnewest",
    ]
    for line, status, told in (
        (f"verify {given}", 1, "has no checksums"),
        (f"roll_back {given} --name=a", 2, "Error: .*version 1 is the only one"),
        (f"roll_back {given}", 2, "Error: --name: say which model"),
        (f"list {given} --output=x", 2, "Error: --output belongs to files"),
    ):
        done = command(f"scripts/publish.py {line}")
        assert done.returncode == status, done.stderr
        assert re.search(told, done.stdout + done.stderr) and "Traceback" not in done.stderr
