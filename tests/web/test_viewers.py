import pytest

from app.web.viewers import PICTURES, WISHES, Viewers


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_nobody_wants_a_picture_when_nobody_is_there() -> None:
    viewers = Viewers(limit=2)

    assert not viewers.any_ready()
    assert viewers.take_ready(1) == []
    assert len(viewers) == 0


def test_a_browser_has_credit_for_one_picture_at_a_time() -> None:
    viewers = Viewers(limit=2)
    viewers.add("a", "ko")

    assert viewers.any_ready()
    assert viewers.take_ready(7) == ["a"]
    assert not viewers.any_ready()
    assert viewers.take_ready(8) == []
    viewers.shown("a", 7)
    assert viewers.take_ready(9) == ["a"]


def test_only_the_last_picture_gives_credit_and_only_once() -> None:
    viewers = Viewers(limit=2)
    viewers.add("a", "ko")
    viewers.take_ready(7)

    viewers.shown("a", 6)
    viewers.shown("nobody", 7)
    assert not viewers.any_ready()
    viewers.shown("a", 7)
    viewers.shown("a", 7)
    assert viewers.take_ready(8) == ["a"]
    viewers.shown("a", 7)
    assert not viewers.any_ready()


def test_a_stalled_browser_takes_nothing_from_another() -> None:
    viewers = Viewers(limit=2)
    viewers.add("stalled", "ko")
    viewers.add("busy", "en")
    assert viewers.take_ready(1) == ["stalled", "busy"]

    for seq in range(1, 50):
        viewers.shown("busy", seq)
        assert viewers.take_ready(seq + 1) == ["busy"]


def test_a_browser_that_comes_back_has_credit_again() -> None:
    viewers = Viewers(limit=1)
    viewers.add("a", "ko")
    viewers.take_ready(1)
    viewers.remove("a")

    assert viewers.add("a", "ko")
    assert viewers.any_ready()


def test_there_is_room_for_so_many_and_no_more() -> None:
    viewers = Viewers(limit=1)

    assert viewers.add("a", "ko")
    assert not viewers.add("b", "ko")
    viewers.remove("a")
    assert viewers.add("b", "ko")


@pytest.mark.parametrize(("wish", "allowance"), [(False, PICTURES), (True, WISHES)])
def test_asking_is_limited_and_the_allowance_comes_back(wish, allowance) -> None:
    per_s, most = allowance
    clock = Clock()
    viewers = Viewers(limit=1, clock=clock)
    viewers.add("a", "ko")

    assert all(viewers.may_speak("a", wish) for _ in range(int(most)))
    assert not viewers.may_speak("a", wish)
    assert viewers.may_speak("a", not wish)  # each has its own
    clock.now += 1.0
    assert sum(viewers.may_speak("a", wish) for _ in range(1000)) == per_s
    clock.now += 3600.0
    assert sum(viewers.may_speak("a", wish) for _ in range(1000)) == most
    assert not viewers.may_speak("nobody", wish)


def test_who_was_welcomed_is_known_until_gone() -> None:
    viewers = Viewers(limit=1)
    viewers.add("a", "ko")
    assert (viewers.knows("a"), viewers.knows("b")) == (True, False)
    viewers.remove("a")
    assert not viewers.knows("a")


def test_the_pace_is_told_once_a_second() -> None:
    clock = Clock()
    viewers = Viewers(limit=2, clock=clock)
    viewers.add("a", "ko")

    assert viewers.due_for_fps(["a", "gone"]) == ["a"]
    assert viewers.due_for_fps(["a"]) == []
    clock.now += 1.0
    assert viewers.due_for_fps(["a"]) == ["a"]


def test_browsers_are_grouped_by_language() -> None:
    viewers = Viewers(limit=3)
    for sid, language in (("a", "ko"), ("b", "en"), ("c", "ko")):
        viewers.add(sid, language)

    assert viewers.languages() == {"ko": ["a", "c"], "en": ["b"]}
