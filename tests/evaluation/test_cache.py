from __future__ import annotations

import numpy as np
import pytest

from legan_tf.errors import UserError
from legan_tf.evaluation.cache import Cache


@pytest.fixture
def cache(tmp_path):
    return Cache(str(tmp_path / "cache"))


def counted(value):
    """Something to compute, and how often it was."""
    calls = []

    def compute():
        calls.append(1)
        return {"a": np.arange(value), "b": np.float64(value)}

    return compute, calls


def test_what_was_computed_is_not_computed_again(cache, tmp_path):
    compute, calls = counted(3)
    first = cache.arrays({"network": "n", "images": "i"}, compute)
    again = Cache(str(tmp_path / "cache")).arrays({"images": "i", "network": "n"}, compute)
    assert len(calls) == 1
    np.testing.assert_array_equal(again["a"], first["a"])
    assert again["b"] == 3.0


def test_another_key_is_another_result(cache):
    compute, calls = counted(3)
    other, other_calls = counted(5)
    cache.arrays({"network": "n"}, compute)
    assert cache.arrays({"network": "m"}, other)["b"] == 5.0
    assert len(calls) == len(other_calls) == 1


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short", None])
def test_a_damaged_file_is_computed_anew(cache, tmp_path, damage):
    compute, calls = counted(3)
    cache.arrays({"network": "n"}, compute)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:100] if damage is None else damage)
    assert cache.arrays({"network": "n"}, compute)["b"] == 3.0
    assert len(calls) == 2
    assert cache.arrays({"network": "n"}, compute)["b"] == 3.0
    assert len(calls) == 2


def test_what_fails_leaves_nothing(cache, tmp_path):
    def fail():
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        cache.arrays({"network": "n"}, fail)
    assert not list((tmp_path / "cache").iterdir())


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=f"^--cache={tmp_path}/file/in_it: it cannot be written"):
        Cache(str(tmp_path / "file" / "in_it"))
