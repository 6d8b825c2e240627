from __future__ import annotations

import concurrent.futures
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import threading

import pytest

from legan_tf.errors import UserError
from legan_tf.serving import publishing

ROOT = pathlib.Path(__file__).parents[2]


def publish(folder: pathlib.Path, content: str = "a model") -> str:
    aside = pathlib.Path(publishing.begin(str(folder)))
    (aside / "saved_model.pb").write_text(content)
    (aside / "assets.extra").mkdir()
    (aside / "assets.extra" / "labels.json").write_text("{}")
    publishing.write_sums(str(aside))
    return publishing.publish(str(aside), str(folder))


@pytest.fixture
def folder(tmp_path):
    """A served model with three versions."""
    for number in range(1, 4):
        assert publish(tmp_path / "m", f"model {number}") == str(tmp_path / "m" / str(number))
    return tmp_path / "m"


def names(folder: pathlib.Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_it_needs_no_tensorflow():
    code = "import sys, legan_tf.serving.publishing; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_number_is_never_given_twice(folder):
    assert publishing.roll_back(str(folder)).withdrawn == str(folder / ".withdrawn-3")
    assert publish(folder) == str(folder / "4")
    (folder / "9").mkdir()
    assert publish(folder) == str(folder / "10")
    assert (folder / ".withdrawn-3" / "saved_model.pb").read_text() == "model 3"


def test_many_at_once_each_get_a_number(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda row: publish(tmp_path / "m", str(row)), range(40)))
    assert sorted(map(os.path.basename, made), key=int) == [str(n) for n in range(1, 41)]
    for row, version in enumerate(made):
        assert pathlib.Path(version, "saved_model.pb").read_text() == str(row)
        assert publishing.verify(version) == []


def test_rolling_back_uncovers_the_version_before(folder):
    done = publishing.roll_back(str(folder))
    assert done == publishing.RolledBack(str(folder / ".withdrawn-3"), str(folder / "2"))
    assert publishing.versions(str(folder)) == [1, 2]
    (folder / "7").mkdir()  # Begun by hand, say: no version, and left alone.
    assert publishing.roll_back(str(folder)).newest == str(folder / "1")
    before = names(folder)
    with pytest.raises(UserError, match="version 1 is the only one, so there is none to roll back"):
        publishing.roll_back(str(folder))
    assert names(folder) == before == [".withdrawn-2", ".withdrawn-3", "1", "7"]
    with pytest.raises(UserError, match="cannot be read"):
        publishing.roll_back(str(folder / "absent"))


def test_only_complete_old_versions_are_removed_and_the_oldest_first(folder):
    (folder / "4").mkdir()
    (folder / "notes").write_text("kept")
    publishing.begin(str(folder))
    publish(folder)
    unfinished = [name for name in names(folder) if name.startswith(".unfinished-")]
    assert publishing.remove_old(str(folder), keep=3) == []
    assert publishing.remove_old(str(folder), keep=2) == [str(folder / "1")]
    assert names(folder) == [*unfinished, "2", "3", "4", "5", "notes"]
    assert publishing.remove_old(str(folder), keep=0) == [str(folder / "2"), str(folder / "3")]
    assert names(folder) == [*unfinished, "4", "5", "notes"]
    assert publishing.remove_old(str(folder), keep=0) == []


def test_no_half_of_a_version_is_left_under_its_number(folder, monkeypatch):
    def fail(path):
        os.remove(os.path.join(path, "saved_model.pb"))
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", fail)
    with pytest.raises(UserError, match=r"\.removed-1-\w+: cannot be removed .Permission denied"):
        publishing.remove_old(str(folder), keep=1)
    assert publishing.versions(str(folder)) == [2, 3]
    assert [state for _, state in publishing.describe(str(folder))] == [
        "older",
        "newest",
        "being removed",
    ]
    monkeypatch.undo()
    assert publishing.remove_old(str(folder), keep=1) == []
    assert names(folder) == ["2", "3"]


def test_no_number_is_given_while_another_version_comes_and_goes(folder, monkeypatch):
    """Between the look at the folder and the renaming, another could take the number and go."""
    looked, listed = threading.Event(), os.listdir

    def look(path):
        entries = listed(path)
        if threading.current_thread() is not threading.main_thread():
            looked.set()
            # Not before the others have come to the lock, or through it.
            assert locking.wait(10)
        return entries

    locking, flock = threading.Event(), fcntl.flock

    def lock(*arguments):
        if threading.current_thread() is threading.main_thread():
            locking.set()
        flock(*arguments)

    monkeypatch.setattr(os, "listdir", look)
    monkeypatch.setattr(fcntl, "flock", lock)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        publication = pool.submit(publish, folder)
        assert looked.wait(30)
        assert publish(folder) == str(folder / "5")
        done = publishing.roll_back(str(folder))
    assert publication.result() == str(folder / "4")
    assert done == publishing.RolledBack(str(folder / ".withdrawn-5"), str(folder / "4"))


def test_removing_and_rolling_back_at_once_leave_a_version(tmp_path):
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        for _ in range(3):
            publish(folder)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            removal = pool.submit(publishing.remove_old, str(folder), 0)
            back = pool.submit(publishing.roll_back, str(folder))
        assert len(publishing.versions(str(folder))) == 1
        assert removal.exception() is None
        assert back.exception() is None or "only one" in str(back.exception())


def test_checksums_tell_every_change(folder):
    version = folder / "3"
    assert publishing.verify(str(version)) == []
    (version / "saved_model.pb").write_text("model 4")
    (version / "assets.extra" / "labels.json").unlink()
    (version / "more").write_text("new")
    assert publishing.verify(str(version)) == [
        f"{version}: assets.extra/labels.json is missing.",
        f"{version}: more is not among its checksums.",
        f"{version}: saved_model.pb has changed since it was published.",
    ]
    (version / "more").unlink()
    (version / "more").symlink_to(version / "absent")
    (version / publishing.SUMS_FILE).write_text(f"{'0' * 64}  more\n")
    with pytest.raises(UserError, match="more: no such file"):
        publishing.verify(str(version))
    (version / publishing.SUMS_FILE).write_text("no sums\n")
    with pytest.raises(UserError, match="sha256sums.txt: is damaged"):
        publishing.verify(str(version))
    (version / publishing.SUMS_FILE).unlink()
    with pytest.raises(UserError, match="has no checksums .* export it anew"):
        publishing.verify(str(version))


def test_what_is_there_is_listed(folder):
    (folder / "4").mkdir()
    aside = os.path.basename(publishing.begin(str(folder)))
    publishing.roll_back(str(folder))
    assert publishing.describe(str(folder)) == [
        ("1", "older"),
        ("2", "newest"),
        ("4", "incomplete"),
        (aside, "unfinished"),
        (".withdrawn-3", "withdrawn"),
    ]
    for _ in range(7):
        publish(folder)
    publishing.roll_back(str(folder))
    # In the order of their numbers.
    assert [name for name, state in publishing.describe(str(folder)) if state == "withdrawn"] == [
        ".withdrawn-3",
        ".withdrawn-11",
    ]
    (folder.parent / "empty").mkdir()
    (folder.parent / "file").write_text("")
    publishing.begin(str(folder.parent / "killed"))
    assert publishing.models(str(folder.parent)) == ["m"]
    assert publishing.models(str(folder.parent), incomplete=True) == ["killed", "m"]


def test_what_cannot_be_renamed_is_told(folder):
    with pytest.raises(UserError, match=r"/4: cannot be made .No such file or directory.\.$"):
        publishing.publish(str(folder / ".unfinished-absent"), str(folder))
    with pytest.raises(UserError, match=r"absent: cannot be read"):
        publishing.publish(str(folder / "3"), str(folder / "absent"))
