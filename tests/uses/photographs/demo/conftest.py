from __future__ import annotations

import threading

import pytest

from legan_tf.uses.photographs.demo.server import DemoServer


@pytest.fixture(scope="module")
def server():
    with DemoServer(0, "tflite", "") as started:
        thread = threading.Thread(target=started.serve_forever, daemon=True)
        thread.start()
        yield started
        started.shutdown()
        thread.join()
