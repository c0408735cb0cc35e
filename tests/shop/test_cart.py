import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidQuantity, LineNotFound, UnknownItem
from app.shop.cart import Cart, Correction
from tests.shop.fakes import CATALOG


def looking_at(apples: int, settled: bool = True) -> Cart:
    return Cart().see({"apple": apples}, settled)


def quantities(cart: Cart) -> dict[str, int]:
    return {line.id: line.quantity for line in cart.lines(CATALOG)}


def apples(cart: Cart) -> int:
    return sum(line.quantity for line in cart.lines(CATALOG) if line.key == "apple")


# A person's word


@pytest.mark.parametrize(
    ("amount", "baseline", "camera", "owed"),
    [
        (0, 2, 5, 0),
        (1, 2, 2, 1),  # as it was said
        (1, 2, 3, 0),  # the missed one was found
        (1, 2, 4, 0),  # and a further one, which is no business of the word
        (1, 2, 1, 1),
        (3, 0, 2, 1),  # partly found
        (-1, 3, 3, -1),
        (-1, 3, 2, 0),  # the wrong one is gone
        (-1, 3, 1, 0),
        (-1, 3, 4, -1),
        (-2, 2, 1, -1),
    ],
)
def test_a_word_owes_what_the_camera_has_not_caught_up_with(amount, baseline, camera, owed):
    assert Correction(amount, baseline).owed(camera) == owed


@given(st.integers(-9, 9), st.integers(9, 20), st.integers(0, 30))
def test_following_the_camera_never_changes_what_is_owed_now(amount, baseline, camera):
    word = Correction(amount, baseline)
    assert word.follow(camera).owed(camera) == word.owed(camera)


# The rule, scene by scene


def test_a_missed_fruit_added_by_hand_is_not_charged_again_when_the_camera_sees_it():
    cart = looking_at(2).add("apple", 1, CATALOG)
    assert quantities(cart) == {"camera:apple": 2, "manual:apple": 1}
    assert quantities(cart.see({"apple": 3}, True)) == {"camera:apple": 3}


def test_a_manual_line_comes_back_when_the_camera_loses_its_fruit_again():
    cart = looking_at(2).add("apple", 1, CATALOG).see({"apple": 3}, True).see({"apple": 2}, True)
    assert quantities(cart) == {"camera:apple": 2, "manual:apple": 1}


def test_a_fruit_carried_away_and_a_missed_one_found_do_not_add_up():
    cart = looking_at(2).add("apple", 1, CATALOG)  # three lie there
    cart = cart.see({"apple": 1}, True)  # one is carried away
    assert apples(cart) == 2
    assert apples(cart.see({"apple": 2}, True)) == 2  # the missed one is found


def test_a_manual_line_of_another_fruit_is_left_alone():
    cart = looking_at(2).add("pear", 1, CATALOG).see({"apple": 3}, True)
    assert quantities(cart) == {"camera:apple": 3, "manual:pear": 1}


def test_a_refused_fruit_stays_refused_while_the_camera_insists():
    cart = looking_at(3).change("camera:apple", 2)
    assert apples(cart) == 2
    assert apples(cart.see({"apple": 4}, True)) == 3
    assert apples(cart.see({"apple": 4}, True).see({"apple": 3}, True)) == 2


def test_a_refused_fruit_that_the_camera_gives_up_is_not_taken_off_twice():
    assert apples(looking_at(3).change("camera:apple", 2).see({"apple": 2}, True)) == 2


def test_an_empty_counter_ends_a_refusal_so_the_next_customer_gets_nothing_free():
    cart = looking_at(1).change("camera:apple", 0).see({}, True)
    assert apples(cart.see({"apple": 1}, True)) == 1


def test_a_counter_that_only_looks_empty_for_a_moment_ends_nothing():
    cart = looking_at(1).change("camera:apple", 0).see({}, False)
    assert apples(cart.see({"apple": 1}, True)) == 0


def test_a_dip_while_the_scene_moves_leaves_a_manual_line_whole():
    cart = looking_at(2).add("apple", 1, CATALOG).see({"apple": 1}, False)
    assert apples(cart.see({"apple": 2}, True)) == 3


def test_one_found_fruit_is_set_against_one_word_only():
    cart = looking_at(2).change("camera:apple", 3).add("apple", 1, CATALOG)
    assert apples(cart) == 4
    assert quantities(cart.see({"apple": 3}, True)) == {"camera:apple": 3, "manual:apple": 1}
    assert quantities(cart.see({"apple": 4}, True)) == {"camera:apple": 4}
    assert apples(cart.see({"apple": 5}, True)) == 5


def test_a_refused_fruit_that_flickers_does_not_eat_a_manual_line():
    cart = looking_at(3).change("camera:apple", 2).add("apple", 1, CATALOG)
    assert apples(cart.see({"apple": 2}, True).see({"apple": 3}, True)) == 3


def test_changing_one_line_leaves_the_other_as_it_is():
    cart = looking_at(2).change("camera:apple", 3).see({"apple": 3}, True)
    cart = cart.add("apple", 1, CATALOG).change("camera:apple", 4)
    assert quantities(cart) == {"camera:apple": 4, "manual:apple": 1}
    assert quantities(cart.change("manual:apple", 2)) == {"camera:apple": 4, "manual:apple": 2}


def test_adding_to_a_manual_line_adds_to_what_is_still_owed():
    cart = looking_at(0).add("apple", 3, CATALOG).see({"apple": 2}, True).add("apple", 1, CATALOG)
    assert quantities(cart) == {"camera:apple": 2, "manual:apple": 2}


def test_a_removed_line_is_gone_until_the_camera_sees_more():
    cart = looking_at(2).change("camera:apple", 0)
    assert quantities(cart) == {}
    assert quantities(cart.see({"apple": 3}, True)) == {"camera:apple": 1}


# Limits


@pytest.mark.parametrize("quantity", [0, -1, 100, True, 1.0, "1", None, 10**30])
def test_only_whole_numbers_from_1_to_99_can_be_added(quantity):
    with pytest.raises(InvalidQuantity):
        Cart().add("apple", quantity, CATALOG)


@pytest.mark.parametrize("quantity", [-1, 100, False, 2.5, "2", None])
def test_only_whole_numbers_from_0_to_99_can_be_set(quantity):
    with pytest.raises(InvalidQuantity):
        looking_at(1).change("camera:apple", quantity)


def test_a_manual_line_never_grows_over_99():
    cart = Cart().add("apple", 99, CATALOG)
    with pytest.raises(InvalidQuantity):
        cart.add("apple", 1, CATALOG)


@pytest.mark.parametrize("key", ["zebra", "lemon", "", None, 7])
def test_what_is_not_for_sale_cannot_be_added(key):
    with pytest.raises(UnknownItem):
        Cart().add(key, 1, CATALOG)


@pytest.mark.parametrize(
    "line_id", ["manual:apple", "camera:pear", "apple", "", ":", "x:apple", None, 3]
)
def test_a_line_that_is_not_shown_cannot_be_changed(line_id):
    with pytest.raises(LineNotFound):
        looking_at(1).change(line_id, 1)


# Prices


def test_the_total_is_the_sum_of_quantity_times_price():
    snapshot = looking_at(2).add("pear", 3, CATALOG).snapshot("1", 1, CATALOG)
    assert [line.amount for line in snapshot.lines] == [3000, 10500]
    assert (snapshot.total, snapshot.currency, snapshot.unpriced) == (13500, "KRW", ())


def test_an_empty_cart_costs_nothing():
    snapshot = Cart().snapshot("1", 1, CATALOG)
    assert (snapshot.total, snapshot.lines, snapshot.status) == (0, (), "open")


@pytest.mark.parametrize(("key", "name"), [("zebra", "zebra"), ("lemon", "레몬")])
def test_what_has_no_price_is_shown_without_one_and_never_as_free(key, name):
    snapshot = Cart().see({key: 2, "apple": 1}, True).snapshot("1", 1, CATALOG)
    line = snapshot.lines[-1]
    assert (line.name("ko"), line.quantity) == (name, 2)
    assert (line.unit_price, line.amount) == (None, None)
    assert (snapshot.unpriced, snapshot.total) == ((key,), 1500)


# What always holds

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("see"), st.integers(0, 6), st.booleans()),
        st.tuples(st.just("add"), st.integers(1, 4), st.none()),
        st.tuples(st.just("camera"), st.integers(0, 6), st.none()),
        st.tuples(st.just("manual"), st.integers(0, 6), st.none()),
    ),
    max_size=25,
)


def step(cart: Cart, what: str, number: int, settled: bool | None) -> Cart:
    if what == "see":
        return cart.see({"apple": number}, bool(settled))
    if what == "add":
        return cart.add("apple", number, CATALOG)
    shown = quantities(cart)
    return cart.change(f"{what}:apple", number) if f"{what}:apple" in shown else cart


def lived(steps: list) -> Cart:
    cart = Cart()
    for what, number, settled in steps:
        cart = step(cart, what, number, settled)
    return cart


@given(STEPS)
def test_no_quantity_is_ever_negative_and_the_total_is_the_sum(steps):
    snapshot = lived(steps).snapshot("1", 1, CATALOG)
    assert all(line.quantity > 0 for line in snapshot.lines)
    assert snapshot.total == sum(line.quantity * 1500 for line in snapshot.lines)


@given(STEPS, st.integers(0, 6), st.booleans())
def test_seeing_the_same_again_changes_nothing(steps, count, settled):
    once = lived(steps).see({"apple": count}, settled)
    assert quantities(once.see({"apple": count}, settled)) == quantities(once)


@given(STEPS, st.integers(1, 6), st.integers(1, 3), st.booleans())
def test_a_count_that_goes_up_and_comes_back_leaves_the_cart_as_it_was(steps, count, up, settled):
    before = lived(steps).see({"apple": count}, True)
    flicker = before.see({"apple": count + up}, settled).see({"apple": count}, True)
    assert quantities(flicker) == quantities(before)


@given(STEPS, st.integers(1, 6), st.integers(0, 9))
def test_a_change_of_the_count_while_the_scene_moves_leaves_no_trace(steps, count, blink):
    before = lived(steps).see({"apple": count}, True)
    blinked = before.see({"apple": blink}, False).see({"apple": count}, True)
    assert quantities(blinked) == quantities(before)


@given(STEPS, st.integers(0, 6), st.integers(1, 9), st.integers(0, 9))
def test_fruit_added_by_hand_is_never_charged_twice(steps, count, missed, found):
    cart = lived(steps).see({"apple": count}, True).add("apple", missed, CATALOG)
    later = cart.see({"apple": count + found}, True)
    assert apples(later) <= max(apples(cart), count + found)


@given(STEPS, st.integers(1, 6), st.integers(0, 6), st.lists(st.integers(0, 6)))
def test_nobody_pays_for_more_than_was_said_unless_the_camera_sees_more(steps, count, word, later):
    cart = lived(steps).see({"apple": count}, True)
    if "camera:apple" in quantities(cart):
        cart = cart.change("camera:apple", word)
        said = apples(cart)
        for seen in later:
            cart = cart.see({"apple": min(seen, count)}, seen % 2 == 0)
            if not any(cart.counts.values()):
                return  # an empty counter ends what was refused
            assert apples(cart) <= said
