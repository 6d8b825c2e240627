"""Work in several processes."""

import functools
import multiprocessing
import os
import time

import pytest

from legan_tf.data import parallel
from legan_tf.errors import UserError


def _slower_first(base, item):
    time.sleep(0.2 if item == 0 else 0)
    return base + item, os.getpid()


def _fail(item):
    if item == 3:
        raise UserError(f"item {item} is bad")
    return item


def _die(item):
    os._exit(1)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers):
    told = []
    results = list(
        parallel.map_in_processes(
            functools.partial(_slower_first, 10), range(12), workers, lambda *p: told.append(p)
        )
    )
    assert [value for value, _ in results] == list(range(10, 22))
    assert told == [(done, 12) for done in range(1, 13)]
    assert (os.getpid() in {process for _, process in results}) == (workers == 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_the_work_reach_the_caller(workers):
    results = parallel.map_in_processes(_fail, range(6), workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(UserError, match="item 3 is bad"):
        next(results)


def test_a_dead_process_is_told():
    with pytest.raises(UserError, match="--workers"):
        list(parallel.map_in_processes(_die, range(4), 2))


def _wait_with(folder):
    open(os.path.join(folder, str(os.getpid())), "w").close()
    time.sleep(0.2)


def test_no_process_outlives_one_that_is_killed(tmp_path):
    started = multiprocessing.get_context("spawn").Process(
        target=_wait_in_processes, args=(str(tmp_path),)
    )
    started.start()
    _until(lambda: len(os.listdir(tmp_path)) == 2)
    started.kill()
    started.join()
    _until(lambda: not any(_lives(int(name)) for name in os.listdir(tmp_path)))


def _wait_in_processes(folder):
    list(parallel.map_in_processes(_wait_with, [folder] * 10_000, 2))


def _until(holds):
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def _lives(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return ") Z " not in file.read()
    except OSError:
        return False


def test_nothing_to_do():
    assert list(parallel.map_in_processes(_die, [], 2)) == []
