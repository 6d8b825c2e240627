"""Work in several processes."""

import functools
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
        parallel.each(
            functools.partial(_slower_first, 10), range(12), workers, lambda *p: told.append(p)
        )
    )
    assert [value for value, _ in results] == list(range(10, 22))
    assert told == [(done, 12) for done in range(1, 13)]
    assert (os.getpid() in {process for _, process in results}) == (workers == 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_the_work_reach_the_caller(workers):
    results = parallel.each(_fail, range(6), workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(UserError, match="item 3 is bad"):
        next(results)


def test_a_dead_process_is_told():
    with pytest.raises(UserError, match="--workers"):
        list(parallel.each(_die, range(4), 2))


def test_nothing_to_do():
    assert list(parallel.each(_die, [], 2)) == []
