import threading
import time

import pytest

from fitloop.detection.in_order import in_order


def test_results_come_in_the_order_of_what_was_given():
    def slow_if_even(number: int) -> int:
        time.sleep(0.02 * (number % 2 == 0))
        return number

    assert list(in_order(slow_if_even, range(6), 3)) == list(range(6))


def test_two_are_under_way_at_once():
    both = threading.Barrier(2, timeout=5.0)
    assert list(in_order(lambda number: both.wait() >= 0, range(2), 2)) == [True, True]


def test_no_more_is_taken_than_is_needed():
    taken: list[int] = []

    def numbers():
        for number in range(100):
            taken.append(number)
            yield number

    results = in_order(lambda number: number, numbers(), 2)
    assert next(results) == 0 and len(taken) == 3


def test_as_much_is_begun_ahead_as_the_reader_wants():
    begun: list[int] = []
    results = in_order(begun.append, range(100), 1, ahead=5)
    next(results)
    results.close()
    assert 1 <= len(begun) <= 6


def test_an_error_reaches_the_reader_in_its_place():
    results = in_order(lambda number: 1 // number, [1, 0, 1], 2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_no_threads_are_refused():
    with pytest.raises(ValueError, match="at_once and ahead must be at least 1, got 0"):
        next(in_order(str, [1], 0))
