from __future__ import annotations

import sys

import pytest

from legan_tf import optional


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("raise ImportError('libGL.so.1: cannot open shared object file\\nmore')", "libGL.so.1: "),
        ("import a_package_that_is_not_there", "No module named 'a_package_that_is_not_there'"),
    ],
)
def test_a_package_that_is_there_and_does_not_load_says_why(tmp_path, monkeypatch, content, told):
    (tmp_path / "mediapipe.py").write_text(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mediapipe", raising=False)
    with pytest.raises(optional.UnavailableError) as raised:
        optional.require("mediapipe", "Finding faces")
    assert f"not usable in this environment ({told}" in str(raised.value)
    assert "more" not in str(raised.value)


def test_a_package_that_is_absent_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "mediapipe", raising=False)
    with pytest.raises(optional.UnavailableError, match="in this environment: on Python before"):
        optional.require("mediapipe", "Finding faces")
