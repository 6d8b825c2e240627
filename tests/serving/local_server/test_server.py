"""Starting, stopping, flags, limits and health."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import grpc
import numpy as np
import pytest
from absl import flags
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import prediction_service_pb2_grpc

from legan_tf.command_line import options
from legan_tf.errors import UserError
from legan_tf.serving.local_server import LocalServer, Options

ROWS = np.float32([[1, 2], [3, 4]])


def test_it_ends_at_once_and_its_requests_with_it(publish, serve, until, begun, refused, tmp_path):
    publish(1)
    running = serve(rest_api_port=-1)
    waiting = running.wait_for(tmp_path / "gate")
    until(lambda: begun(tmp_path / "gate"))
    began = time.monotonic()
    running.server.__exit__()
    assert time.monotonic() - began < 5
    assert refused(waiting.result)[0] in (
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAVAILABLE,
    )
    (tmp_path / "gate").touch()


def health(running, service=""):
    request = health_pb2.HealthCheckRequest(service=service)
    return health_pb2_grpc.HealthStub(running.channel).Check(request, timeout=60).status


def test_health_follows_the_models(publish, serve, until, tmp_path):
    publish(1)
    running = serve()
    status = health_pb2.HealthCheckResponse
    until(lambda: health(running) == status.SERVING)
    assert health(running, "tensorflow.serving.PredictionService") == status.SERVING
    (tmp_path / "models" / "tiny" / "1").rename(tmp_path / "models" / "tiny" / ".withdrawn-1")
    until(lambda: health(running) == status.NOT_SERVING)
    publish(2)
    until(lambda: health(running) == status.SERVING)


def test_requests_beyond_the_limit_are_refused(tiny_server, refused):
    call = tiny_server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    code, message = refused(call, bytes(2**26 + 1), timeout=60)
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and str(2**26) in message
    assert tiny_server.multiply(ROWS)[1] == 3


def test_more_requests_than_threads_and_backlog_are_refused(publish, serve, until, begun, tmp_path):
    publish(1)
    running = serve(grpc_max_threads=1)
    gate = tmp_path / "gate"
    calls = [running.wait_for(gate)]
    until(lambda: begun(gate))
    calls += [running.wait_for(gate) for _ in range(9)]
    until(lambda: sum(call.done() for call in calls) >= 5)
    gate.touch()
    codes = [call.code() for call in calls]
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 5
    assert codes.count(grpc.StatusCode.OK) == 5
    assert running.multiply(ROWS)[1] == 1


def test_what_waits_past_its_deadline_is_not_run(publish, serve, begun, until, refused, tmp_path):
    publish(1)
    running = serve(grpc_max_threads=1)
    gate, unused = tmp_path / "gate", tmp_path / "unused"
    first = running.wait_for(gate)
    until(lambda: begun(gate))
    late = running.wait_for(unused, timeout=1)
    assert refused(late.result)[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    gate.touch()
    first.result()
    np.testing.assert_array_equal(running.multiply(ROWS)[0], ROWS)
    assert not begun(unused)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "No model to serve"),
        ({"model_base_path": "models/x"}, "--model_base_path: .* absolute path"),
        ({"model_base_path": "/missing/x"}, "base path /missing/x"),
        ({"model_config_file": "/missing"}, "/missing: no such file"),
        ({"model_base_path": "/", "rest_api_port": -2}, "--rest_api_port=-2: must be -1 to 65535"),
        ({"model_base_path": "/", "grpc_max_threads": 0}, "--grpc_max_threads=0: must be at least"),
        ({"model_base_path": "/", "volume": ("x",)}, "--volume=x: write HOST:CONTAINER"),
        ({"model_base_path": "/", "volume": ("/no:/models",)}, "/no is no folder"),
        ({"model_base_path": "/", "static_dir": "/missing"}, "--static_dir=/missing: is no folder"),
    ],
)
def test_mistakes_at_the_start_are_one_sentence(given, sentence):
    with pytest.raises(UserError, match=sentence):
        with LocalServer(Options(port=-1, **given)):
            pass


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "model_config_list {\n  config {\n    nam: 'x'\n  }\n}",
            "line 3: is no ModelServerConfig",
        ),
        ('model_config_list { config { name: "x" base_path: "/x" } }', "platform ''"),
        ('model_config_list { config { base_path: "/x" } }', "no name"),
        (
            'model_config_list { config { name: "x" model_platform: "tensorflow" base_path: "/" '
            "model_version_policy { all {} } } }",
            "otherwise than by model_version_policy { latest",
        ),
        ("custom_model_config { }", "custom_model_config is not known"),
    ],
)
def test_mistakes_in_the_models_name_the_file_and_the_line(tmp_path, text, sentence):
    file = tmp_path / "models.config"
    file.write_text(text)
    with pytest.raises(UserError, match=sentence) as caught:
        LocalServer(Options(model_config_file=str(file)))
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("flag", ["port", "rest_api_port"])
def test_a_taken_port_is_reported(publish, tmp_path, flag):
    folder = publish(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        given = {"port": -1, flag: taken.getsockname()[1]}
        with pytest.raises(UserError, match=f"--{flag}: .* cannot be listened on"):
            with LocalServer(Options(model_base_path=str(folder), **given)):
                pass


def test_flags_are_some_of_the_real_server_and_others_are_refused():
    values = flags.FlagValues()
    options.define_flags(Options, values)
    values(
        [
            "server",
            "--port=9000",
            "--rest_api_port=9001",
            "--model_config_file=/config/models.config",
            "--file_system_poll_wait_seconds=5",
            "--volume=/a:/b",
            "--volume=/c:/d",
        ]
    )
    assert options.from_flags(Options, values) == Options(
        port=9000,
        rest_api_port=9001,
        model_config_file="/config/models.config",
        file_system_poll_wait_seconds=5.0,
        volume=("/a:/b", "/c:/d"),
    )
    for refused in (
        "enable_batching",
        "monitoring_config_file=/x",
        "ssl_config_file=/x",
        "use_alts_credentials",
    ):
        with pytest.raises(flags.UnrecognizedFlagError, match=refused.partition("=")[0]):
            values(["server", f"--{refused}"])


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_as_a_program_it_says_what_it_is_and_ends_at_a_signal(
    server_process, publish, predict_request, until, begun, tmp_path, ending
):
    folder = publish(1)
    process = server_process(
        "--port=-1", "--model_name=tiny", f"--model_base_path={folder}", "--rest_api_port=-1"
    )
    assert "for development and tests, not for production" in process.log()
    host, port = process.rest_address.split(":")
    socket.create_connection((host, int(port)), timeout=60).close()
    with grpc.insecure_channel(process.address) as channel:
        # Python itself would wait for the model's end.
        request = predict_request("tiny", {"file": [str(tmp_path / "gate")]}, "wait")
        call = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        waiting = call.future(request, timeout=60)
        until(lambda: begun(tmp_path / "gate"))
        process.send_signal(ending)
        assert process.wait(5) == -ending
        assert waiting.exception(60).code() == grpc.StatusCode.UNAVAILABLE
    assert "Traceback" not in process.log()


def test_as_a_program_it_reports_mistakes_without_a_traceback():
    command = [sys.executable, "-m", "legan_tf.serving.local_server", "--port=x"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
