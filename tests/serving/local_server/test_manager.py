"""Versions that come and go while requests are answered."""

from __future__ import annotations

import concurrent.futures
import os
import threading

import grpc
import numpy as np
import pytest

from legan_tf.serving import Client, publishing
from legan_tf.serving.local_server import LocalServer, Options

LOADING, AVAILABLE, END = 20, 30, 50
ROWS = np.float32([[1, 2], [3, 4]])


def test_publishing_and_rolling_back_fail_no_request(publish, serve, until):
    model = publish(1)
    running = serve()
    stop, lock = threading.Event(), threading.Lock()
    versions, wrong = [], []

    def load():
        while not stop.is_set():
            try:
                answer, version = running.multiply(ROWS)
                right = np.array_equal(answer, ROWS * version)
            except grpc.RpcError as error:
                right, version = False, error.code()
            with lock:
                (versions if right else wrong).append(version)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: 1 in versions)
        publish(2)
        until(lambda: versions[-1] == 2)
        publishing.roll_back(str(model))
        until(lambda: versions[-1] == 1)
        until(lambda: running.states()[2].state == END)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert set(versions) == {1, 2}


def test_a_client_gets_only_right_pictures_from_versions_that_come_and_go(paint, until, tmp_path):
    paint(tmp_path, 1, ["neutral", "smile"])
    folder = str(tmp_path / "painter")
    options = Options(
        port=-1,
        model_name="painter",
        model_base_path=folder,
        file_system_poll_wait_seconds=0.05,
    )
    picture = np.full((8, 8, 3), 10, np.uint8)
    stop, colours, sizes = threading.Event(), set(), []

    def load():
        while not stop.is_set():
            edited = client.edit(picture, expression="smile")
            colours.update(map(tuple, edited.reshape(-1, 3).tolist()))
            sizes.append(len(edited))

    with (
        LocalServer(options) as server,
        Client(server.address, editor="painter", timeout=60) as client,
    ):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            loading = pool.submit(load)
            try:
                until(lambda: sizes or loading.done())
                paint(tmp_path, 2, ["smile", "neutral"], 12)  # Another size and another id.
                until(lambda: sizes[-1] == 12 or loading.done())
                publishing.roll_back(folder)
                until(lambda: sizes[-1] == 8 or loading.done())
            finally:
                stop.set()
            loading.result()
    assert colours == {(100, 10, 1)}


def test_a_version_that_is_replaced_answers_its_last_request(
    publish, serve, until, begun, tmp_path
):
    publish(1)
    running = serve()
    waiting = running.wait_for(tmp_path / "gate")
    until(lambda: begun(tmp_path / "gate"))
    publish(2)
    until(lambda: running.multiply(ROWS)[1] == 2)
    until(lambda: running.states()[1].state == END)
    (tmp_path / "gate").touch()
    assert waiting.result().model_spec.version.value == 1


def test_what_is_not_complete_is_not_looked_at(publish, serve):
    model = publish(1)
    (model / ".unfinished-0123").mkdir()
    (model / ".withdrawn-7").mkdir()
    (model / "notes").mkdir()
    (model / "8").write_text("no folder")
    (model / str(2**63)).mkdir()
    (model / ("9" * 20)).mkdir()
    running = serve()
    assert set(running.states()) == {1}
    assert running.multiply(ROWS)[1] == 1


def cut_short(folder):
    graph = folder / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:1000])


def no_weights(folder):
    (folder / "variables" / "variables.index").unlink()


def wrong_warm_up(folder):
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no records" * 9)


@pytest.mark.parametrize("spoil", [cut_short, no_weights, wrong_warm_up])
def test_a_corrupt_version_leaves_the_old_one_and_is_reported(publish, serve, until, spoil):
    publish(1)
    running = serve()
    publish(2, spoil=spoil)
    until(lambda: 2 in running.states() and running.states()[2].state == END)
    status = running.states()[2].status
    assert status.error_code and status.error_message
    assert running.multiply(ROWS)[1] == 1
    publish(3)
    until(lambda: running.multiply(ROWS)[1] == 3)


def test_a_number_that_failed_is_loaded_when_it_comes_back(publish, serve, until):
    model = publish(1)
    running = serve()
    publish(3, spoil=cut_short)
    until(lambda: 3 in running.states() and running.states()[3].state == END)
    os.rename(model / "3", model / ".withdrawn-3")
    publish(2)
    until(lambda: running.multiply(ROWS)[1] == 2)
    publish(3)
    until(lambda: running.multiply(ROWS)[1] == 3)


def test_warm_up_requests_are_answered_before_a_version_is(
    publish, serve, held, until, begun, tmp_path
):
    gate = tmp_path / "gate"
    publish(1)
    running = serve()
    publish(2, spoil=held)
    until(lambda: begun(gate))
    assert running.states()[2].state == LOADING and running.multiply(ROWS)[1] == 1
    gate.touch()
    until(lambda: running.states()[2].state == AVAILABLE)
    assert running.multiply(ROWS)[1] == 2


def config(folder, name="tiny", more=""):
    return (
        f'config {{ name: "{name}" base_path: "{folder}" model_platform: "tensorflow" {more} }}\n'
    )


def write(file, *configs):
    aside = file.with_suffix(".aside")
    aside.write_text(f"model_config_list {{ {''.join(configs)} }}")
    os.rename(aside, file)
    return str(file)


BOTH = "model_version_policy { latest { num_versions: 2 } }"


def label(name, version):
    return f'version_labels {{ key: "{name}" value: {version} }}'


def test_labels_name_versions(publish, serve, tmp_path, refused):
    model = publish(1)
    publish(2)
    labels = f"{BOTH} {label('stable', 1)} {label('next', 3)}"
    file = write(tmp_path / "models.config", config(model, more=labels))
    running = serve(model_config_file=file)
    assert running.multiply(ROWS, label="stable")[1] == 1
    assert running.multiply(ROWS)[1] == 2
    assert running.multiply(ROWS, version=1)[1] == 1
    code, message = refused(running.multiply, ROWS, label="next")
    assert code == grpc.StatusCode.NOT_FOUND and "Specific(tiny, 3)" in message
    code, message = refused(running.multiply, ROWS, label="canary")
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "canary" in message


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", {3}),
        (BOTH, {2, 3}),
    ],
)
def test_the_newest_versions_are_served(publish, serve, tmp_path, policy, served):
    for version in (1, 2, 3):
        model = publish(version)
    file = write(tmp_path / "models.config", config(model, more=policy))
    running = serve(model_config_file=file)
    assert {n for n, s in running.states().items() if s.state == AVAILABLE} == served
    assert running.multiply(ROWS)[1] == max(served)


def test_a_folder_of_the_container_stands_for_one_here(publish, serve, tmp_path):
    publish(1)
    file = write(tmp_path / "models.config", config("/models/tiny"))
    running = serve(model_config_file=file, volume=(f"{tmp_path / 'models'}:/models",))
    assert running.multiply(ROWS)[1] == 1


def test_of_nested_volumes_the_deepest_is_read(publish, serve, tmp_path):
    publish(1)
    publish(2, name="deep")
    file = write(
        tmp_path / "models.config",
        config("/models/tiny"),
        config("/models/more/deep", "deep"),
    )
    folder = tmp_path / "models"
    running = serve(model_config_file=file, volume=(f"{folder}:/models", f"{folder}:/models/more"))
    assert running.multiply(ROWS)[1] == 1
    assert running.multiply(ROWS, name="deep")[1] == 2
