import threading
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from app.vision.turns import Turns


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_whoever_is_ready_first_hands_in_by_the_numbers_all_the_same(pauses_ms: list[int]) -> None:
    turns, handed_in = Turns(), list[int]()

    def work(number: int, pause_ms: int) -> None:
        time.sleep(pause_ms / 1000)
        turns.wait(number)
        handed_in.append(number)
        turns.end(number)

    numbers = [turns.take() for _ in pauses_ms]
    threads = [
        threading.Thread(target=work, args=each) for each in zip(numbers, pauses_ms, strict=True)
    ]
    for thread in reversed(threads):
        thread.start()
    for thread in threads:
        thread.join(10)

    assert handed_in == numbers


def test_a_turn_that_is_ended_early_waits_for_those_before_it() -> None:
    turns = Turns()
    first, second, third = (turns.take() for _ in range(3))
    gave_up = threading.Thread(target=turns.end, args=(second,))
    gave_up.start()
    gave_up.join(0.05)
    assert gave_up.is_alive()

    turns.end(first)
    gave_up.join(10)
    turns.wait(third)
    assert not gave_up.is_alive()
