from __future__ import annotations

import numpy as np
import pytest

from legan_research.benchmarks import load


def test_a_row_tells_the_percentiles_and_the_pictures_of_all_clients():
    latencies = np.arange(1, 201) / 1000
    row = load.Load(clients=4, rows=8, seconds=10.0, latencies_s=latencies).as_row("here")
    assert row == "| here | 4 | 8 | 200 | 100 | 190 | 198 | 160.0 |"
    assert row.count("|") == load.HEAD.splitlines()[0].count("|")


def test_a_client_that_fails_ends_the_load(capfd):
    with pytest.raises(RuntimeError, match="a client failed"):
        load.load("127.0.0.1:9", "nobody", 8, 2, 1, 0.1, "nothing there", timeout=0.5)
    assert "127.0.0.1:9" in capfd.readouterr().err
