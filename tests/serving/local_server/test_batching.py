"""Requests that are merged: same answers, and refusals instead of queues without end."""

from __future__ import annotations

import concurrent.futures

import grpc
import numpy as np
import pytest
import tensorflow as tf

from legan_tf.errors import UserError
from legan_tf.serving.local_server import LocalServer, Options, batching

ROWS = np.float32([[1, 2], [3, 4]])


@pytest.fixture
def parameters(tmp_path):
    """Writes a file of batching parameters."""

    def write(**values):
        file = tmp_path / "batching_parameters.txt"
        sizes = values.pop("allowed_batch_sizes", ())
        lines = [f"{name} {{ value: {value} }}" for name, value in values.items()]
        file.write_text("\n".join(lines + [f"allowed_batch_sizes: {size}" for size in sizes]))
        return str(file)

    return write


def metric(running, name):
    lines = running.server.metrics().decode().splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), 0)


BATCHING = ":tensorflow:serving:batching_session"


def test_a_full_queue_refuses_at_once_and_recovers(
    publish, serve, parameters, until, begun, refused, tmp_path
):
    publish(1)
    running = serve(
        enable_batching=True,
        batching_parameters_file=parameters(
            max_batch_size=2, max_enqueued_batches=2, num_batch_threads=1
        ),
        grpc_max_threads=16,
    )
    gate = tmp_path / "gate"
    running_now = running.wait_for(gate, gate)
    until(lambda: begun(gate))
    queued = [running.wait_for(gate, gate) for _ in range(2)]
    until(lambda: metric(running, "local_server_queued_requests") == 2)
    call = running.wait_for(gate)
    assert refused(call.result) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "The batch scheduling queue to which this task was submitted is full",
    )
    gate.touch()
    for call in (running_now, *queued):
        assert tf.make_ndarray(call.result().outputs["there"]).all()
    np.testing.assert_array_equal(running.multiply(ROWS)[0], ROWS)


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


def test_what_waits_past_its_deadline_is_not_run(
    publish, serve, parameters, until, begun, refused, tmp_path
):
    publish(1)
    running = serve(
        enable_batching=True,
        batching_parameters_file=parameters(num_batch_threads=1),
        grpc_max_threads=16,
    )
    gate, unused = tmp_path / "gate", tmp_path / "unused"
    first = running.wait_for(gate)
    until(lambda: begun(gate))
    late = running.wait_for(unused, timeout=2)
    until(lambda: metric(running, "local_server_queued_requests") == 1)
    assert refused(late.result)[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    count = ":tensorflow:serving:request_count"
    labels = 'model_name="tiny",signature="wait",status="DEADLINE_EXCEEDED"'
    # The server's clock for it began a little later than the client's.
    until(lambda: metric(running, f"{count}{{{labels}}}") == 1)
    gate.touch()
    first.result()
    np.testing.assert_array_equal(running.multiply(ROWS)[0], ROWS)
    assert not begun(unused)


@pytest.fixture
def merged(until, begun, tmp_path):
    """Sends requests while the one batch thread is held, so that they meet in the queue."""

    def send(running, requests):
        gate = tmp_path / "gate"
        held = running.wait_for(gate)
        until(lambda: begun(gate))
        calls = [running.prediction.Predict.future(request, timeout=60) for request in requests]
        until(lambda: metric(running, "local_server_queued_requests") == len(requests))
        gate.touch()
        held.result()
        return calls

    return send


def test_merged_requests_are_padded_and_get_their_own_rows(
    publish, serve, parameters, merged, predict_request
):
    publish(2)
    running = serve(
        enable_batching=True,
        batching_parameters_file=parameters(
            max_batch_size=16, num_batch_threads=1, allowed_batch_sizes=(1, 8, 16)
        ),
        grpc_max_threads=16,
    )
    inputs = [np.random.default_rng(n).uniform(0, 1, (n, 2)).astype(np.float32) for n in (1, 2, 3)]
    requests = [predict_request("tiny", {"x": x}) for x in inputs]
    calls = merged(running, requests)
    for x, call in zip(inputs, calls):
        np.testing.assert_array_equal(tf.make_ndarray(call.result().outputs["y"]), 2 * x)
    # The held one was a batch of one; the three were one of 6, padded to 8.
    assert metric(running, f"{BATCHING}:processed_batch_size_count") == 2
    assert metric(running, f"{BATCHING}:processed_batch_size_sum") == 9
    assert metric(running, f"{BATCHING}:padding_size_sum") == 2


def test_an_answer_without_rows_is_refused_alone_and_among_others(
    publish, serve, parameters, merged, refused, predict_request
):
    publish(1)
    running = serve(
        enable_batching=True,
        batching_parameters_file=parameters(num_batch_threads=1),
        grpc_max_threads=16,
    )
    request = predict_request("tiny", {"x": ROWS}, "total")
    alone = refused(running.prediction.Predict, request, timeout=60)
    assert alone[0] == grpc.StatusCode.FAILED_PRECONDITION and "one row for each row" in alone[1]
    for call in merged(running, [request, request]):
        assert refused(call.result) == alone


def test_one_bad_request_of_a_batch_fails_alone(
    publish, serve, parameters, merged, refused, predict_request
):
    publish(1)
    running = serve(
        enable_batching=True,
        batching_parameters_file=parameters(num_batch_threads=1),
        grpc_max_threads=16,
    )
    bad = np.float32([[1, 1], [1, -1]])
    requests = [predict_request("tiny", {"x": x}) for x in (ROWS, bad, ROWS)]
    calls = merged(running, requests)
    code, message = refused(calls[1].result)
    # Its own second row, not the fourth of the batch.
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "Row [1]" in message
    for call in (calls[0], calls[2]):
        np.testing.assert_array_equal(tf.make_ndarray(call.result().outputs["y"]), ROWS)


def test_rows_that_no_batch_can_take_are_refused(
    publish, serve, parameters, refused, predict_request
):
    publish(1)
    running = serve(
        enable_batching=True,
        batching_parameters_file=parameters(max_batch_size=4, num_batch_threads=1),
    )
    code, message = refused(running.multiply, np.ones((5, 2), np.float32))
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "maximum input batch size 4" in message
    assert running.multiply(np.ones((0, 2), np.float32))[0].shape == (0, 2)


def test_pictures_are_the_same_with_batching(serving_root, parameters, blobs, predict_request):
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    options = Options(
        port=-1,
        model_name="legan",
        model_base_path=str(serving_root / "legan"),
        enable_batching=True,
        batching_parameters_file=parameters(
            max_batch_size=8, batch_timeout_micros=50_000, num_batch_threads=1
        ),
        grpc_max_threads=16,
    )
    images = blobs(24, 20, 8)
    ids = np.arange(8, dtype=np.int32) % 3
    light = np.full(8, -1, np.int32)
    loaded = tf.saved_model.load(str(serving_root / "legan" / "1"))
    expected = loaded.signatures["serving_default"](
        image=tf.constant(images), expression=tf.constant(ids), lighting=tf.constant(light)
    )["image"].numpy()
    with LocalServer(options) as server, grpc.insecure_channel(server.address) as channel:
        assert server.wait_until_settled(60)
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict

        def ask(n):
            rows = slice(n, n + 1)
            inputs = {"image": images[rows], "expression": ids[rows], "lighting": light[rows]}
            answer = predict(predict_request("legan", inputs), timeout=60)
            return tf.make_ndarray(answer.outputs["image"])[0]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = np.stack(list(pool.map(ask, range(8))))
    # Another batch size may round a half to the other side.
    assert np.abs(answers.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("max_batch_size { value: 0 }", "max_batch_size must be at least 1"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros is below 0"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: 4", "end with max_batch_size, 8"),
        ("max_batch_size { value: 8 }\nmax_size: 4", "line 2"),
        ("allowed_batch_sizes: [8, 4]", "must ascend"),
    ],
)
def test_parameters_that_cannot_be_are_refused_with_the_file(tmp_path, text, sentence):
    file = tmp_path / "batching.txt"
    file.write_text(text)
    with pytest.raises(UserError, match=sentence) as caught:
        batching.read_parameters(str(file))
    assert "--batching_parameters_file" in str(caught.value) and str(file) in str(caught.value)


def test_parameters_are_read_as_tensorflow_serving_writes_them(tmp_path):
    file = tmp_path / "batching.txt"
    file.write_text(
        "max_batch_size { value: 32 } batch_timeout_micros { value: 1500 }\n"
        "max_enqueued_batches { value: 7 } num_batch_threads { value: 3 }\n"
        "allowed_batch_sizes: 8 allowed_batch_sizes: 32 # a comment\n"
    )
    assert batching.read_parameters(str(file)) == batching.Parameters(
        max_batch_size=32,
        batch_timeout_s=0.0015,
        max_enqueued_batches=7,
        num_batch_threads=3,
        allowed_batch_sizes=(8, 32),
    )
