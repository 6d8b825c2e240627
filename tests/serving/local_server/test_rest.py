"""The same models over HTTP, and what else is served there."""

from __future__ import annotations

import base64
import http.client
import json
import types

import numpy as np
import pytest
import tensorflow as tf

from legan_tf.serving.local_server import rest

ROWS = [[1.5, 2], [3, 4]]


@pytest.fixture
def ask():
    """Sends a request on a connection of its own; returns the status, the headers, the content."""

    def ask(address, method, path, body=None, headers=()):
        connection = http.client.HTTPConnection(address, timeout=60)
        try:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, content, dict(headers))
            response = connection.getresponse()
            content = response.read()
            if response.headers["Content-Type"] == "application/json":
                content = json.loads(content)
            return response.status, response.headers, content
        finally:
            connection.close()

    return ask


@pytest.fixture
def post(ask):
    def post(running, body, path="/v1/models/tiny:predict"):
        return ask(running.server.rest_address, "POST", path, body)[::2]

    return post


def test_inputs_are_named_or_bare(tiny_server, post):
    tripled = (3 * np.array(ROWS)).tolist()
    assert post(tiny_server, {"inputs": ROWS}) == (200, {"outputs": tripled})
    assert post(tiny_server, {"inputs": {"x": ROWS}}) == (200, {"outputs": tripled})


def test_bytes_are_base64(tiny_server, post):
    raw = {"b64": base64.b64encode(b"\x00\xffab").decode()}
    back = {"b64": base64.b64encode(b"ba\xff\x00").decode()}
    body = {"signature_name": "reverse", "inputs": {"text_bytes": [raw, "é"]}}
    turned = {"b64": base64.b64encode("é".encode()[::-1]).decode()}
    assert post(tiny_server, body) == (
        200,
        {"outputs": {"text_bytes": [back, turned], "length": [4, 2]}},
    )


def test_pictures_are_the_same_as_over_grpc(serving_root, serve, post, blobs, predict_request):
    running = serve(
        model_name="legan", model_base_path=str(serving_root / "legan"), rest_api_port=-1
    )
    inputs = {
        "image": blobs(9, 7, 2),
        "expression": np.array([2, 0], np.int32),
        "lighting": np.array([-1, 1], np.int32),
    }
    expected = running.prediction.Predict(predict_request("legan", inputs), timeout=60)
    expected = tf.make_ndarray(expected.outputs["image"])
    path = "/v1/models/legan/versions/1:predict"
    columns = {name: value.tolist() for name, value in inputs.items()}
    status, answer = post(running, {"inputs": columns}, path)
    assert status == 200
    np.testing.assert_array_equal(np.array(answer["outputs"]), expected)

    png = base64.b64encode(tf.io.encode_png(inputs["image"][0]).numpy()).decode()
    columns = {"image_bytes": [{"b64": png}], "expression": ["scream"], "lighting": [""]}
    body = {"signature_name": "serving_bytes", "inputs": columns}
    status, answer = post(running, body, path)
    edited = tf.io.decode_png(base64.b64decode(answer["outputs"][0]["b64"]))
    np.testing.assert_array_equal(edited.numpy(), expected[0])


def test_the_requests_of_the_demo_page_are_answered(server, ask, blobs):
    png = {"b64": base64.b64encode(tf.io.encode_png(blobs(16, 16)[0]).numpy()).decode()}
    picture = {"image_bytes": [png]}
    edit = {**picture, "expression": ["smile"], "lighting": [""]}

    def predict(model, signature, inputs):
        body = {"signature_name": signature, "inputs": inputs}
        path = f"/v1/models/{model}:predict"
        status, _, answer = ask(server.rest_address, "POST", path, body)
        assert status == 200, answer
        return answer["outputs"]

    (labels,) = predict("legan", "labels", {"row": [0]})
    expression, _ = json.loads(labels)["conditions"]
    assert expression["names"] == ["neutral", "smile", "scream"]
    masks = predict("legan", "masks_bytes", edit)
    pictures = [*masks["expression_mask_bytes"], *masks["lighting_mask_bytes"]]
    pictures += predict("legan", "serving_bytes", edit)
    pictures += predict("legan_normal", "depth_bytes", picture)
    for encoded in pictures:
        assert tf.io.decode_png(base64.b64decode(encoded["b64"])).shape[:2] == (16, 16)
    assert len(predict("quality", "serving_bytes", {"image_bytes": [png, png]})["rating"]) == 2


def test_status(tiny_server, ask):
    address = tiny_server.server.rest_address
    status, _, answer = ask(address, "GET", "/v1/models/tiny")
    assert status == 200
    assert answer == {
        "model_version_status": [
            {
                "version": "3",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    assert ask(address, "GET", "/v1/models/tiny/versions/3")[::2] == (200, answer)
    assert ask(address, "GET", "/v1/models/nobody")[0] == 404
    assert ask(address, "GET", "/v1/models/tiny/metadata")[0] == 400


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("/v1/models/nobody:predict", {"inputs": ROWS}, 404, "Latest(nobody)"),
        ("/v1/models/tiny/versions/9:predict", {"inputs": ROWS}, 404, "Specific(tiny, 9)"),
        ("/v1/models/tiny/labels/x:predict", {"inputs": ROWS}, 400, "version label: x"),
        ("/v1/models/tiny:guess", {"inputs": ROWS}, 400, "Malformed request: POST"),
        ("/v1/models/tiny:predict", b"{", 400, "no JSON"),
        ("/v1/models/tiny:predict", b"[" * 100_000, 400, "no JSON"),
        ("/v1/models/tiny:predict", b"\xff\xfe\x00", 400, "no JSON"),
        ("/v1/models/tiny:predict", [1], 400, "needs 'inputs'"),
        ("/v1/models/tiny:predict", {}, 400, "needs 'inputs'"),
        ("/v1/models/tiny:predict", {"inputs": [], "instances": []}, 400, "alone"),
        ("/v1/models/tiny:predict", {"instances": [{"x": ROWS[0]}]}, 400, "needs 'inputs'"),
        ("/v1/models/tiny:predict", {"inputs": {"z": ROWS}}, 400, "required: {x}"),
        ("/v1/models/tiny:predict", {"inputs": [[1, 2], [3]]}, 400, "different lengths"),
        ("/v1/models/tiny:predict", {"inputs": [["1", "2"]]}, 400, "no float32"),
        ("/v1/models/tiny:predict", {"inputs": [[1, None]]}, 400, "no float32"),
        ("/v1/models/tiny:predict", {"inputs": [[1, 10**400]]}, 400, "no float32"),
        ("/v1/models/tiny:predict", {"inputs": [1, 2]}, 400, "[?, 2]"),
        ("/v1/models/tiny:predict", {"inputs": ROWS, "signature_name": 1}, 400, "no string"),
        ("/v1/models/tiny:predict", {"inputs": ROWS, "signature_name": "z"}, 400, '"z" not found'),
        ("/v1/models/tiny:predict", {"inputs": [[-1, 2]]}, 400, "negative"),
        (
            "/v1/models/tiny:predict",
            {"signature_name": "reverse", "inputs": [{"b64": "%"}]},
            400,
            "base64",
        ),
        ("/v1/models/tiny:predict", {"signature_name": "reverse", "inputs": [1]}, 400, "no string"),
        ("/v1/models/tiny:predict", {"signature_name": "reverse", "inputs": [["a"]]}, 400, "[?]"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(tiny_server, post, path, body, status, sentence):
    found, answer = post(tiny_server, body, path)
    assert found == status
    assert sentence in answer["error"]


def test_only_what_fits_a_type_is_taken():
    def read(value, dtype):
        signature = types.SimpleNamespace(inputs={"x": tf.TensorSpec(None, dtype)})
        return rest.read_inputs({"x": value}, signature)["x"]

    for dtype, good, bad in (
        (tf.uint8, [[0, 255]], ([[256]], [[-1]], [[1.5]], [[10**30]])),
        (tf.int32, [[-(2**31)]], ([[2**31]], [["1"]])),
        (tf.bool, [[True, False]], ([[0, 1]],)),
    ):
        array = read(good, dtype)
        assert array.dtype == dtype.as_numpy_dtype and array.tolist() == good
        for value in bad:
            with pytest.raises(tf.errors.InvalidArgumentError, match=dtype.name):
                read(value, dtype)
    assert read([[1e300]], tf.float32)[0, 0] == np.inf


def test_other_origins_may_ask_only_where_that_is_allowed(publish, serve, tiny_server, ask):
    publish(1)
    path = "/v1/models/tiny:predict"
    _, headers, _ = ask(tiny_server.server.rest_address, "OPTIONS", path)
    assert "Access-Control-Allow-Origin" not in headers
    open_to_all = serve(rest_api_port=-1, rest_api_enable_cors_support=True)
    status, headers, _ = ask(open_to_all.server.rest_address, "OPTIONS", path)
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert headers["Access-Control-Allow-Headers"] == "Content-Type"
    status, headers, _ = ask(open_to_all.server.rest_address, "POST", path, {"inputs": ROWS})
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")


def test_static_files_are_served_and_nothing_beside_them(publish, serve, ask, tmp_path):
    publish(1)
    pages = tmp_path / "pages"
    (pages / "deep").mkdir(parents=True)
    (pages / "index.html").write_text("<p>hello</p>")
    (pages / "deep" / "page.js").write_text("1;")
    (tmp_path / "secret.txt").write_text("secret")
    (pages / "link.txt").symlink_to(tmp_path / "secret.txt")
    address = serve(rest_api_port=-1, static_dir=str(pages)).server.rest_address
    status, headers, content = ask(address, "GET", "/")
    assert (status, content) == (200, b"<p>hello</p>")
    assert headers["Content-Type"] == "text/html"
    status, headers, content = ask(address, "GET", "/deep/page.js?version=1")
    assert (status, content) == (200, b"1;")
    assert headers["Content-Type"].endswith("/javascript")
    for path in (
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/deep/..%2f..%2fsecret.txt",
        "//secret.txt",
        f"/{tmp_path}/secret.txt",
        "/link.txt",
        "/deep",
        "/%00",
        "/missing",
    ):
        status, _, content = ask(address, "GET", path)
        assert (status, "secret" in str(content)) == (404, False), path
