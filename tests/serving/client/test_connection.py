"""Clients against gRPC servers that answer what a test tells them to."""

from __future__ import annotations

import contextlib
import pickle
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from legan_tf import optional, serving
from legan_tf.data.conditions import ClassCondition
from legan_tf.errors import UserError
from legan_tf.serving import wire
from legan_tf.serving.client import errors
from legan_tf.serving.labels import EDITOR, Labels

CODE = grpc.StatusCode
CONDITIONS = (ClassCondition("expression", ("a", "b")),)


class Scripted(grpc.GenericRpcHandler):
    """A server on loopback; ``predict(request, attempt)`` returns outputs and a version, or fails.

    To fail, it raises what ``failure`` returns. Labels are those of ``labels`` by version.
    """

    def __init__(self, predict=None, labels=None, credentials=None, port=0):
        self.labels = labels or {1: Labels(EDITOR, "E", 4, CONDITIONS, True)}
        self.version, self.states = max(self.labels), {}
        self.seen, self.metadata, self.peers = [], [], set()
        self.predict = predict or (lambda request, attempt: answer(request, self.version))
        self._server = grpc.server(ThreadPoolExecutor(16))
        self._server.add_generic_rpc_handlers((self,))
        address = f"127.0.0.1:{port}"
        self.port = (
            self._server.add_secure_port(address, credentials)
            if credentials
            else self._server.add_insecure_port(address)
        )
        self.address = f"127.0.0.1:{self.port}"

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(0).wait()

    def service(self, call):
        methods = {wire.PREDICT: self._answer, wire.GET_MODEL_STATUS: self._tell_states}
        return grpc.unary_unary_rpc_method_handler(methods[call.method])

    def _tell_states(self, content, context):
        if not self.states:
            context.abort(CODE.NOT_FOUND, "no versions")
        response = wire.GetModelStatusResponse()
        for version, state in self.states.items():
            response.model_version_status.add(version=version, state=state)
        return response.SerializeToString()

    def _answer(self, content, context):
        request = wire.PredictRequest.FromString(content)
        self.metadata.append(dict(context.invocation_metadata()))
        self.peers.add(context.peer())
        if request.model_spec.signature_name == "labels":
            self.seen.append("labels")
            version = request.model_spec.version.value or self.version
            outputs, version = {"labels": [self.labels[version].to_json().encode()]}, version
        else:
            self.seen.append(request)
            try:
                outputs, version = self.predict(request, len(self.requests))
            except RuntimeError as error:
                context.abort(*error.args)
            if isinstance(outputs, bytes):
                return outputs
        response = wire.PredictResponse()
        response.model_spec.version.value = version
        for name, array in outputs.items():
            if isinstance(array, list):
                array = np.array(array, object)
            response.outputs[name].CopyFrom(wire.to_tensor(array))
        return response.SerializeToString()

    @property
    def requests(self):
        return [seen for seen in self.seen if seen != "labels"]


def answer(request, version):
    """Pictures as they came, with the id of the expression as red."""
    image = wire.from_tensor(request.inputs["image"]).copy()
    ids = wire.from_tensor(request.inputs["expression"])
    image[..., 0] = ids[:, None, None]
    return {"image": image}, version


def fails(code, details="it is so"):
    def predict(request, attempt):
        raise RuntimeError(code, details)

    return predict


def edit(server, count=1, expression="b", **options):
    with serving.Client(server.address, **{"timeout": 20, **options}) as client:
        return client.edit(np.full((count, 4, 4, 3), 9, np.uint8), expression=expression)


@pytest.mark.parametrize(
    ("code", "details", "kind", "told"),
    [
        (CODE.INVALID_ARGUMENT, "Row 0: no.", serving.InvalidRequest, ": Row 0: no.$"),
        (CODE.NOT_FOUND, "gone", serving.ModelNotFound, r"is not served \(gone\)"),
        (CODE.FAILED_PRECONDITION, "no key", serving.SignatureNotFound, "is not offered"),
        (CODE.RESOURCE_EXHAUSTED, "queue full", serving.Overloaded, "overloaded .queue full."),
        (
            CODE.RESOURCE_EXHAUSTED,
            "Received message larger than max (9 vs. 4)",
            serving.MessageTooLarge,
            "lower max_batch",
        ),
        (CODE.UNAUTHENTICATED, "who?", serving.AccessDenied, "check metadata"),
        (CODE.PERMISSION_DENIED, "not you", serving.AccessDenied, "access was denied"),
        (CODE.DEADLINE_EXCEEDED, "too slow", serving.DeadlineExceeded, "within the timeout"),
        (CODE.INTERNAL, "broken", serving.ServerError, "INTERNAL: broken"),
        (CODE.UNIMPLEMENTED, "", serving.ServerError, "UNIMPLEMENTED: no reason given"),
    ],
)
def test_a_status_becomes_an_error_of_its_class_and_is_not_tried_again(code, details, kind, told):
    with Scripted(fails(code, details)) as server:
        with pytest.raises(kind, match=told) as caught:
            edit(server)
        assert len(server.requests) == 1
        assert type(caught.value) is kind and isinstance(caught.value, UserError)
        assert caught.value.address == server.address
        assert (caught.value.model, caught.value.signature) == ("legan", "serving_default")
        again = pickle.loads(pickle.dumps(caught.value))
        assert str(again) == str(caught.value) and again.signature == "serving_default"


FULL = "The batch scheduling queue to which this task was submitted is full"


@pytest.mark.parametrize("details", ["starting", FULL])
def test_a_server_that_cannot_answer_now_is_asked_again(details):
    def predict(request, attempt):
        if attempt <= 3:
            raise RuntimeError(CODE.UNAVAILABLE, details)
        return answer(request, 1)

    with Scripted(predict) as server:
        assert edit(server, 2)[:, 0, 0].tolist() == [[1, 9, 9]] * 2
        first, *later = server.requests
        assert len(later) == 3 and all(request == first for request in later)


def test_large_requests_are_sent_again_too():
    labels = {1: Labels(EDITOR, "E", 640, CONDITIONS, True)}

    def predict(request, attempt):
        assert request.ByteSize() > 3 << 20
        if attempt == 1:
            raise RuntimeError(CODE.UNAVAILABLE, "starting")
        return answer(request, 1)

    with Scripted(predict, labels) as server:
        assert edit(server, 3).shape == (3, 640, 640, 3) and len(server.requests) == 2


@pytest.mark.parametrize(
    ("details", "kind", "told"),
    [
        ("down", serving.ServerUnavailable, r"no server answers \(down\)"),
        # As TensorFlow Serving tells it: by the code of a server that is not there.
        (FULL, serving.Overloaded, r"is overloaded \(.*queue.* is full\)"),
    ],
)
def test_a_server_that_cannot_answer_is_given_up_after_five_attempts(details, kind, told):
    with Scripted(fails(CODE.UNAVAILABLE, details)) as server:
        with pytest.raises(kind, match=told):
            edit(server, timeout=60)
        assert len(server.requests) == 5


def test_calls_at_once_are_all_told_that_no_server_is_there():
    with serving.Client("127.0.0.1:1", timeout=1) as client, ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(client.labels) for _ in range(4)]
        told = [call.exception(30) for call in calls]
    assert {type(error) for error in told} == {serving.ServerUnavailable}
    assert "no server answers (UNKNOWN: ipv4:127.0.0.1:1: Failed to connect" in str(told[0])


def test_the_log_tells_that_a_server_is_waited_for(caplog):
    with serving.Client("127.0.0.1:1", timeout=2) as client:
        with pytest.raises(serving.ServerUnavailable):
            client.labels()
    (told,) = caplog.messages
    assert told.startswith("127.0.0.1:1: no server answers (") and "refused" in told


def test_a_server_that_comes_up_late_is_waited_for():
    with Scripted() as early:
        pass
    with serving.Client(early.address, timeout=60) as client, ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(client.labels)
        time.sleep(1)
        assert not waiting.done()
        with Scripted(port=early.port):
            assert waiting.result(30).image_size == 4


LOADING, AVAILABLE, END = 20, 30, 50


def test_a_model_that_does_not_become_available_is_told_with_its_state():
    with Scripted() as server, serving.Client(server.address) as client:
        server.states = {3: LOADING, 2: END}
        told = "not available yet .version 3: loading; version 2: end."
        with pytest.raises(serving.ServerUnavailable, match=told):
            client.wait_until_available(0.2)
        server.states = {3: AVAILABLE, 2: END}
        client.wait_until_available(0.2)


def test_what_a_server_cannot_mean_is_told():
    for outputs in (
        b"\xff\xff",
        {},
        {"image": np.zeros((2, 4, 4, 3), np.uint8)},
        {"image": np.zeros((1, 4, 4, 1), np.uint8)},
        {"image": np.zeros((1, 4, 4, 3), np.float32)},
        {"image": np.array(1)},
    ):
        with Scripted(lambda request, attempt, outputs=outputs: (outputs, 1)) as server:
            with pytest.raises(serving.ServerError, match="answer cannot be understood"):
                edit(server)


def test_models_that_do_not_tell_their_labels_are_named():
    with Scripted() as server:
        server.labels = {1: Labels("pastry", "E", 4)}
        with pytest.raises(serving.ServerError, match="unknown kind 'pastry'"):
            edit(server)
        for labels in ([b"[]"], [b"\xff"], np.array([1])):
            server._answer = lambda *_, labels=labels: labelled(labels)
            with pytest.raises(serving.ServerError, match="cannot be understood"):
                edit(server)

        def refuse(_, context):
            context.abort(CODE.FAILED_PRECONDITION, 'Serving signature key "labels" not found.')

        server._answer = refuse
        with pytest.raises(serving.SignatureNotFound, match="does not tell its labels; export it"):
            edit(server)


def labelled(labels):
    response = wire.PredictResponse()
    array = np.array(labels, object) if isinstance(labels, list) else labels
    response.outputs["labels"].CopyFrom(wire.to_tensor(array))
    return response.SerializeToString()


def test_many_threads_share_one_channel():
    pictures = np.full((5, 4, 4, 3), 9, np.uint8)
    named = ["a", "b"] * 2 + ["a"]
    with Scripted() as server, ThreadPoolExecutor(8) as threads:
        with serving.Client(server.address, max_batch=2) as client:
            calls = [threads.submit(client.edit, pictures, expression=named) for _ in range(20)]
            for call in calls:
                assert call.result(30)[:, 0, 0, 0].tolist() == [0, 1, 0, 1, 0]
        assert len(server.requests) == 60 and len(server.peers) == 1


def test_chunks_stay_below_the_limit_of_a_message():
    labels = {1: Labels(EDITOR, "E", 640, CONDITIONS, True)}
    with Scripted(labels=labels) as server, serving.Client(server.address) as client:
        pictures = np.zeros((7, 2, 2, 3), np.uint8)
        pictures[..., 1] = np.arange(7)[:, None, None]
        edited = client.edit(pictures, expression="a")
        np.testing.assert_array_equal(edited[:, 300, 300, 1], np.arange(7))
        sizes = sorted(len(wire.from_tensor(r.inputs["expression"])) for r in server.requests)
        assert sizes == [1, 3, 3]
        assert all(r.ByteSize() < 4 << 20 for r in server.requests)


SMALL = Labels(EDITOR, "E", 4, CONDITIONS, True)
LARGE = Labels(EDITOR, "E", 6, (ClassCondition("expression", ("b", "a")),), True)


def test_a_version_that_is_withdrawn_within_a_call_leaves_no_picture_of_it():
    def predict(request, attempt):
        if attempt > 2:
            server.version = 2
        if request.model_spec.version.value != server.version:
            raise RuntimeError(CODE.NOT_FOUND, "Specific(legan, 1)")
        return answer(request, server.version)

    with Scripted(predict, {1: SMALL, 2: LARGE}) as server:
        server.version = 1
        edited = edit(server, 12, ["a", "b"] * 6, max_batch=2)
        # The ids of version 2, at its size, for every picture.
        assert edited.shape == (12, 6, 6, 3)
        assert edited[:, 0, 0, 0].tolist() == [1, 0] * 6


def test_a_version_that_is_published_within_a_call_waits_for_the_next():
    def predict(request, attempt):
        server.version = 2
        return answer(request, request.model_spec.version.value)

    with Scripted(predict, {1: SMALL, 2: LARGE}) as server:
        server.version = 1
        with serving.Client(server.address, max_batch=2) as client:
            pictures = np.full((4, 4, 4, 3), 9, np.uint8)
            for shape, ids in (((4, 4, 4, 3), [1] * 4), ((4, 6, 6, 3), [0] * 4)):
                edited = client.edit(pictures, expression="b")
                assert edited.shape == shape and edited[:, 0, 0, 0].tolist() == ids


def test_another_server_in_the_same_place_is_asked_for_its_labels():
    # Both call their version 1, but mean other classes by it.
    with Scripted(labels={1: SMALL}) as server, serving.Client(server.address) as client:
        picture = np.full((4, 4, 3), 9, np.uint8)
        assert client.edit(picture, expression="b")[0, 0, 0] == 1
        server.__exit__()
        with Scripted(labels={1: LARGE}, port=server.port):
            edited = client.edit(picture, expression="b")
            assert edited.shape == (6, 6, 3) and edited[0, 0, 0] == 0


def test_metadata_goes_with_every_call():
    with Scripted() as server:
        edit(server, metadata={"Authorization": "Bearer x"})
        assert [sent["authorization"] for sent in server.metadata] == ["Bearer x"] * 2


@pytest.mark.parametrize(
    ("address", "options", "told"),
    [
        ("http://localhost:8501", {}, "give HOST:PORT of gRPC"),
        ("localhost", {}, "give HOST:PORT of gRPC"),
        ("a:1", {"timeout": 0}, "timeout must be above 0"),
        ("a:1", {"max_batch": 0}, "max_batch must be at least 1"),
    ],
)
def test_options_that_cannot_be_used_are_told_before_any_call(address, options, told):
    with pytest.raises(UserError, match=told):
        serving.Client(address, **options)


@pytest.mark.parametrize("metadata", [{"no spaces": "x"}, {"key": "two\nlines"}])
def test_metadata_that_cannot_be_sent_is_told_without_its_values(metadata):
    with pytest.raises(UserError, match="in metadata cannot be sent: names are of") as caught:
        serving.Client("a:1", metadata=metadata)
    assert "lines" not in str(caught.value)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A root, and a certificate by it for this machine's loopback; the client shows the same."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        command = ["openssl", *arguments]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)

    new = ("req", "-x509", "-nodes", "-days", "2", "-newkey", "ec")
    curve = ("-pkeyopt", "ec_paramgen_curve:P-256")
    openssl(*new, *curve, "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root")
    by_root = ("-CA", "root.pem", "-CAkey", "root.key", "-addext", "subjectAltName=IP:127.0.0.1")
    openssl(*new, *curve, *by_root, "-keyout", "own.key", "-out", "own.pem", "-subj", "/CN=own")
    return folder


def test_tls_shows_who_is_who(certificates):
    root, own, key = (str(certificates / name) for name in ("root.pem", "own.pem", "own.key"))
    content = {path: open(path, "rb").read() for path in (root, own, key)}
    credentials = grpc.ssl_server_credentials([(content[key], content[own])], content[root], True)
    right = grpc.ssl_channel_credentials(content[root], content[key], content[own])
    with Scripted(credentials=credentials) as server:
        assert edit(server, credentials=right).shape == (1, 4, 4, 3)
        unknown = grpc.ssl_channel_credentials(content[root])
        wrong = (None, grpc.ssl_channel_credentials(), unknown)
        with ThreadPoolExecutor(len(wrong)) as threads:
            calls = [threads.submit(edit, server, credentials=one, timeout=3) for one in wrong]
            for call in calls:
                with pytest.raises(serving.ServerUnavailable, match="no server answers"):
                    call.result(60)
        assert len(server.requests) == 1


class Hanging:
    """Requests that are not answered before the test says so."""

    def __init__(self):
        self.come, self.go = threading.Event(), threading.Event()

    def __call__(self, request, attempt):
        self.come.set()
        self.go.wait(30)
        return answer(request, 1)


@pytest.fixture
def ctrl_c():
    """Ctrl-C interrupts, also where a shell runs the tests in the background and ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def pressed(after):
    """Ctrl-C, half a second after ``after`` is set, has to end what is done inside at once."""
    at = []

    def press():
        after.wait(30)
        time.sleep(0.5)
        at.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        yield
    thread.join()
    assert time.monotonic() - at[0] < 5


def test_ctrl_c_ends_a_call_at_once(ctrl_c):
    hanging = Hanging()
    with Scripted(hanging) as server, serving.Client(server.address, timeout=600) as client:
        with pressed(hanging.come):
            client.edit(np.full((4, 4, 3), 9, np.uint8), expression="a")
        hanging.go.set()


@pytest.mark.parametrize("method", ["labels", "wait_until_available"])
def test_ctrl_c_ends_the_wait_for_a_server_at_once(ctrl_c, method):
    begun = threading.Event()
    begun.set()
    with serving.Client("127.0.0.1:1", timeout=600) as client, pressed(begun):
        getattr(client, method)()


def test_closing_ends_the_calls_of_other_threads_and_refuses_later_ones():
    hanging = Hanging()
    with Scripted(hanging) as server, ThreadPoolExecutor(1) as thread:
        client = serving.Client(server.address, timeout=60)
        picture = np.full((4, 4, 3), 9, np.uint8)
        waiting = thread.submit(client.edit, picture, expression="a")
        assert hanging.come.wait(30)
        client.close()
        with pytest.raises(UserError, match="closed before the answer came"):
            waiting.result(30)
        hanging.go.set()
        with pytest.raises(UserError, match="This client is closed"):
            client.edit(picture, expression="a")
        client.close()


def test_without_grpc_the_extra_is_named(monkeypatch):
    # As if it were not installed: None makes an import fail.
    monkeypatch.setitem(__import__("sys").modules, "grpc", None)
    with pytest.raises(optional.UnavailableError, match=r"The client needs grpcio.*\[serving\]"):
        serving.Client("localhost:8500")


@pytest.mark.parametrize(
    ("details", "sentence"),
    [
        (
            "assertion failed: [Row 1: unknown expression id 7; known are 0 to 2 (a, b).]\n\t "
            "[[{{node Assert/Assert}}]]\n\t [[StatefulPartitionedCall]] [Op:__inference_1]",
            "Row 1: unknown expression id 7; known are 0 to 2 (a, b).",
        ),
        (
            "Graph execution error:\n\nDetected at node Assert defined at (most recent call):\n"
            "assertion failed: [There must be one per image:] [3] [2]\n\t [[{{node Assert}}]]",
            "There must be one per image: 3 2",
        ),
        ("{{function_node __wrapped__X}} Input is [broken]. [Op:X]", "Input is [broken]."),
        ("plain words", "plain words"),
        ("", "no reason given"),
    ],
)
def test_what_tensorflow_wraps_around_a_sentence_is_left_out(details, sentence):
    assert wire.sentence_of(details) == sentence


def test_only_rows_of_the_chunk_are_renamed():
    error = serving.InvalidRequest("Row 0: a. Row 2: b. Row 12: c.", "h:1", "m", "s")
    renamed = errors.with_rows_named(error, 3, lambda row: f"Row {row + 64}")
    assert str(renamed) == "h:1, model m, signature s: Row 64: a. Row 66: b. Row 12: c."
