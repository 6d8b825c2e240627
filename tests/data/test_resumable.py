from __future__ import annotations

import pytest

from legan_tf.data.resumable import WorkLog
from legan_tf.data.storage import StorageError


def test_a_log_that_cannot_be_written_is_told(tmp_path):
    log = WorkLog(str(tmp_path / "out"), "align", {}, {})
    log.begin()
    (tmp_path / "out" / "align.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"align\.jsonl: cannot be written \(Is a directory"):
        log.add(0, "", [])
