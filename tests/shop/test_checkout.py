import threading

import pytest

from app.errors import (
    CannotPay,
    CartFrozen,
    IllegalTransition,
    InvalidPayment,
    LineNotFound,
    OrderNotFound,
    StoreUnavailable,
    UnknownItem,
    VersionConflict,
)
from app.shop.cart import NOTHING_MISSING, Doubt
from app.shop.catalog import Catalog, Item
from app.shop.checkout import ABANDONED_AFTER_S, PAID_SHOWN_S, Checkout
from app.shop.order import OrderStatus
from tests.shop.fakes import CATALOG, HandClock, MemoryOrders


class Lane:
    """A checkout with its store and clock, a camera that works and an empty counter."""

    def __init__(self, orders: MemoryOrders | None = None) -> None:
        self.orders = orders or MemoryOrders()
        self.clock = HandClock()
        self.checkout = Checkout("1", CATALOG, self.orders, self.clock)
        self.checkout.camera_state("ok")

    def pay(self, key: str = "key"):
        return self.checkout.pay(self.checkout.snapshot().version, "clerk", key)

    def sell(self):
        """Pay, confirm, and let the customer read the number; the goods still lie there."""
        order = self.checkout.confirm(self.pay().id, "kim")
        self.clock.now_s += PAID_SHOWN_S
        return order

    def shown(self) -> dict[str, int]:
        return {line.id: line.quantity for line in self.checkout.snapshot().lines}


@pytest.fixture
def lane() -> Lane:
    return Lane()


@pytest.fixture
def full(lane: Lane) -> Lane:
    """Two apples lie still."""
    lane.checkout.see({"apple": 2}, True)
    return lane


# The version


def test_the_version_rises_with_every_change_and_only_then(lane):
    see, version = lane.checkout.see, lane.checkout.snapshot().version
    assert see({}, True).version == version
    assert see({"apple": 1}, False).version == version + 1
    assert see({"apple": 1}, True).version == version + 1
    assert see({"apple": 1, "pear": 0}, True).version == version + 1
    assert lane.checkout.add_item("pear", 1).version == version + 2
    assert lane.checkout.change_line("manual:pear", 1).version == version + 2
    assert lane.checkout.change_line("manual:pear", 2).version == version + 3
    assert lane.checkout.remove_line("manual:pear").version == version + 4


@pytest.mark.parametrize(
    ("seen", "quantity", "then"), [(2, 3, 3), (None, 1, 1), (1, 2, 2), (3, 1, None), (1, 0, None)]
)
def test_a_change_counts_when_the_person_saw_what_is_there(full, seen, quantity, then):
    """Two apples lie there: who saw one of them and takes it out does not speak of two."""
    if then is None:
        with pytest.raises(VersionConflict):
            full.checkout.change_line("camera:apple", quantity, seen=seen)
    else:
        full.checkout.change_line("camera:apple", quantity, seen=seen)
    assert full.shown() == {"camera:apple": then or 2}


def test_a_refused_change_leaves_the_version(full):
    before = full.checkout.snapshot()
    with pytest.raises(LineNotFound):
        full.checkout.remove_line("manual:apple")
    assert full.checkout.snapshot() == before


def test_new_prices_apply_to_an_open_basket(full):
    version = full.checkout.snapshot().version
    dearer = full.checkout.replace_catalog(Catalog({"apple": Item("apple", "사과", "Apple", 2000)}))
    assert (dearer.total, dearer.version) == (4000, version + 1)
    assert full.checkout.replace_catalog(CATALOG).total == 3000


def test_the_same_prices_again_change_nothing(full):
    before = full.checkout.snapshot()
    assert full.checkout.replace_catalog(Catalog(dict(CATALOG.items), version=2)) == before


# When nobody may pay


def refusal(lane: Lane) -> str:
    with pytest.raises(CannotPay) as refused:
        lane.pay()
    assert lane.orders.orders == {}
    assert lane.checkout.snapshot().status == "open"
    return refused.value.code


def test_an_empty_basket_cannot_be_paid(lane):
    lane.checkout.see({}, True)
    assert refusal(lane) == "cart_empty"


def test_an_unpriced_fruit_blocks_payment_until_it_is_taken_away(full):
    full.checkout.see({"apple": 2, "zebra": 1}, True)
    assert refusal(full) == "unpriced"
    full.checkout.see({"apple": 2}, True)
    assert full.pay().total_minor == 3000


def test_a_basket_in_motion_cannot_be_paid(full):
    full.checkout.see({"apple": 2}, False)
    assert refusal(full) == "not_settled"


def test_before_the_first_frame_nothing_can_be_paid(lane):
    lane.checkout.add_item("apple", 1)
    assert refusal(lane) == "not_settled"


@pytest.mark.parametrize("state", ["stale", "down"])
def test_what_only_a_dead_camera_saw_cannot_be_paid(full, state):
    full.checkout.camera_state(state)
    assert refusal(full) == "camera_down"


def test_after_an_outage_the_scene_must_come_to_rest_anew(full):
    full.checkout.camera_state("down")
    full.checkout.camera_state("ok")
    assert refusal(full) == "not_settled"
    full.checkout.see({"apple": 2}, True)
    assert full.pay().total_minor == 3000


def test_a_frame_from_an_outage_is_never_at_rest(full):
    full.checkout.camera_state("stale")
    full.checkout.see({"apple": 2}, True)
    full.checkout.camera_state("ok")
    assert refusal(full) == "not_settled"


def test_a_basket_of_manual_lines_can_be_paid_without_a_camera(lane):
    lane.checkout.camera_state("down")
    lane.checkout.add_item("pear", 2)
    assert lane.pay().total_minor == 7000


def test_a_dead_camera_s_lines_can_be_removed_to_pay_by_hand(full):
    full.checkout.camera_state("down")
    full.checkout.add_item("pear", 1)
    full.checkout.remove_line("camera:apple")
    assert full.pay().total_minor == 3500


def test_another_version_than_the_current_one_is_refused(full):
    version = full.checkout.snapshot().version
    full.checkout.see({"apple": 3}, True)
    for stale in (version, version + 2, 0, None, str(version + 1)):
        with pytest.raises(VersionConflict):
            full.checkout.pay(stale, "clerk", "key")
    assert full.orders.orders == {}


@pytest.mark.parametrize("key", ["", "  ", "k" * 101, None, 5, b"key"])
def test_a_malformed_idempotency_key_is_refused(full, key):
    with pytest.raises(InvalidPayment):
        full.pay(key)


@pytest.mark.parametrize("method", ["", "Cash", "a b", "x" * 33, None, "1"])
def test_a_malformed_method_is_refused(full, method):
    with pytest.raises(InvalidPayment):
        full.checkout.pay(full.checkout.snapshot().version, method, "key")


# One wish to pay, one order


def test_paying_freezes_what_the_customer_saw(full):
    before = full.checkout.snapshot()
    order = full.pay()
    frozen = full.checkout.snapshot()
    assert order.number.startswith("1-")
    assert order.number.endswith("-0001")
    assert (order.total_minor, order.lane) == (3000, "1")
    assert (frozen.lines, frozen.total) == (before.lines, before.total)
    assert (frozen.status, frozen.order_id) == ("awaiting_payment", order.id)
    assert frozen.version == before.version + 1
    assert full.checkout.current_order() == order


def test_a_double_click_makes_one_order(full):
    version = full.checkout.snapshot().version
    first = full.checkout.pay(version, "clerk", "key")
    assert full.checkout.pay(version, "clerk", "key") == first
    assert len(full.orders.orders) == 1


def test_the_same_key_returns_its_order_even_after_the_sale(full):
    full.sell()
    full.checkout.see({}, True)
    full.checkout.see({"apple": 5}, True)
    assert full.pay().status is OrderStatus.PAID
    assert full.checkout.snapshot().status == "open"
    assert len(full.orders.orders) == 1


def test_another_key_cannot_pay_a_basket_that_is_being_paid(full):
    full.pay()
    with pytest.raises(CartFrozen):
        full.pay("other")
    assert len(full.orders.orders) == 1


def test_a_key_of_another_lane_is_refused(full):
    full.pay()
    other = Checkout("2", CATALOG, full.orders)
    with pytest.raises(InvalidPayment):
        other.pay(other.snapshot().version, "clerk", "key")


def test_a_hundred_clicks_at_once_make_one_order(full):
    version, got, start = full.checkout.snapshot().version, [], threading.Barrier(8)

    def click():
        start.wait()
        got.append(full.checkout.pay(version, "clerk", "key"))

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [order.id for order in got] == [1] * 8


# While the basket is frozen


@pytest.mark.parametrize(
    "edit",
    [
        lambda checkout: checkout.add_item("apple", 1),
        lambda checkout: checkout.change_line("camera:apple", 1),
        lambda checkout: checkout.remove_line("camera:apple"),
    ],
)
def test_a_frozen_basket_cannot_be_edited(full, edit):
    order = full.pay()
    with pytest.raises(CartFrozen):
        edit(full.checkout)
    full.checkout.confirm(order.id, "kim")
    with pytest.raises(CartFrozen):
        edit(full.checkout)


def test_neither_camera_nor_prices_change_a_frozen_basket(full):
    full.pay()
    frozen = full.checkout.snapshot()
    assert full.checkout.see({"pear": 9}, True) == frozen
    assert full.checkout.camera_state("down") == frozen
    assert full.checkout.replace_catalog(Catalog()) == frozen


def test_an_empty_counter_does_not_end_an_unpaid_order(full):
    full.pay()
    assert full.checkout.see({}, True).status == "awaiting_payment"


# Cancel


def test_cancelling_returns_to_what_lies_there_now_with_its_corrections(full):
    full.checkout.add_item("pear", 1)
    order = full.pay()
    full.checkout.see({"apple": 3}, True)
    assert full.checkout.cancel(order.id).status is OrderStatus.CANCELLED
    assert full.shown() == {"camera:apple": 3, "manual:pear": 1}
    assert full.checkout.current_order() is None
    assert full.pay("next").total_minor == 8000


def test_cancelling_twice_is_as_good_as_once(full):
    order = full.pay()
    first = full.checkout.cancel(order.id)
    assert full.checkout.cancel(order.id) == first


def test_a_cancelled_order_cannot_be_confirmed(full):
    order = full.pay()
    full.checkout.cancel(order.id)
    with pytest.raises(IllegalTransition):
        full.checkout.confirm(order.id, "kim")


# Paid


def test_confirming_makes_the_sale(full):
    paid = full.checkout.confirm(full.pay().id, "kim")
    assert (paid.status, paid.changed_by) == (OrderStatus.PAID, "kim")
    assert full.checkout.snapshot().status == "paid"


def test_confirming_twice_returns_the_same_sale(full):
    order = full.pay()
    first = full.checkout.confirm(order.id, "kim")
    assert full.checkout.confirm(order.id, "lee") == first


def test_a_paid_order_cannot_be_cancelled(full):
    order = full.pay()
    full.checkout.confirm(order.id, "kim")
    with pytest.raises(IllegalTransition):
        full.checkout.cancel(order.id)
    assert full.checkout.snapshot().status == "paid"


def test_an_order_that_does_not_exist_is_not_found(full):
    with pytest.raises(OrderNotFound):
        full.checkout.confirm(99, "kim")


def test_an_order_of_another_lane_is_not_found(full):
    order = full.pay()
    other = Checkout("2", CATALOG, full.orders)
    with pytest.raises(OrderNotFound):
        other.confirm(order.id, "kim")


def test_the_next_basket_begins_when_the_counter_was_seen_empty_at_rest(full):
    full.checkout.add_item("pear", 1)
    full.sell()
    version = full.checkout.snapshot().version
    assert full.checkout.see({"apple": 1}, True).status == "paid"
    assert full.checkout.see({}, False).status == "paid"
    fresh = full.checkout.see({}, True)
    assert (fresh.status, fresh.lines, fresh.order_id) == ("open", (), None)
    assert fresh.version == version + 1
    assert full.checkout.current_order() is None


def test_a_dead_camera_does_not_see_an_empty_counter(full):
    full.sell()
    full.checkout.camera_state("stale")
    assert full.checkout.see({}, True).status == "paid"
    assert full.checkout.camera_state("ok").status == "paid"
    assert full.checkout.see({}, True).status == "open"


def test_without_a_camera_the_clerk_s_word_ends_a_sale(lane):
    lane.checkout.camera_state("down")
    lane.checkout.add_item("pear", 1)
    lane.sell()
    assert lane.checkout.counter_cleared().status == "open"
    assert lane.orders.unfinished("1") is None


def test_the_clerk_s_word_ends_a_sale_though_the_camera_sees_what_is_not_there(full):
    full.checkout.confirm(full.pay().id, "kim")
    assert full.checkout.counter_cleared().status == "open"
    assert full.shown() == {"camera:apple": 2}


def test_goods_that_have_left_a_dead_camera_do_not_come_back(full):
    full.checkout.confirm(full.pay().id, "kim")
    full.checkout.camera_state("down")
    assert full.checkout.counter_cleared().lines == ()
    assert full.checkout.see({"apple": 2}, False).lines == ()  # what it saw last, told again
    full.checkout.add_item("pear", 1)
    full.checkout.camera_state("ok")
    full.checkout.see({"apple": 1}, True)
    assert full.shown() == {"camera:apple": 1, "manual:pear": 1}


def test_the_clerk_s_word_about_another_sale_ends_none(full):
    order = full.checkout.confirm(full.pay().id, "kim")
    assert full.checkout.counter_cleared(order.id + 1).status == "paid"
    assert full.checkout.counter_cleared(order.id).status == "open"


def test_the_clerk_s_word_ends_no_unpaid_order(full):
    assert full.checkout.counter_cleared().status == "open"
    assert full.shown() == {"camera:apple": 2}
    full.pay()
    assert full.checkout.counter_cleared().status == "awaiting_payment"


def test_a_paid_number_stays_long_enough_to_be_read(full):
    full.checkout.confirm(full.pay().id, "kim")
    assert full.checkout.see({}, True).status == "paid"
    full.clock.now_s += PAID_SHOWN_S - 0.1
    assert full.checkout.see({}, True).status == "paid"
    full.clock.now_s += 0.1
    assert full.checkout.see({}, True).status == "open"


def test_goods_laid_down_after_the_counter_was_empty_are_the_next_basket(full):
    full.checkout.confirm(full.pay().id, "kim")
    full.checkout.see({}, True)
    assert full.checkout.see({"pear": 1}, False).status == "paid"
    full.checkout.confirm(1, "lee")
    full.clock.now_s += PAID_SHOWN_S
    assert full.checkout.see({"pear": 1}, True).status == "open"
    assert full.shown() == {"camera:pear": 1}


# The next customer


def leave_behind(lane: Lane) -> None:
    lane.checkout.see({"apple": 1}, True)
    lane.checkout.add_item("pear", 1)
    lane.checkout.see({}, True)


def test_nobody_pays_for_the_last_customer_s_manual_line(lane):
    leave_behind(lane)
    lane.clock.now_s += ABANDONED_AFTER_S - 1
    assert lane.checkout.see({}, True).total == 3500
    lane.clock.now_s += 1
    assert lane.checkout.see({}, True).total == 0


@pytest.mark.parametrize(
    "sign_of_life",
    [
        lambda checkout: checkout.see({"apple": 1}, True),
        lambda checkout: checkout.see({}, False),
        lambda checkout: checkout.add_item("apple", 1),
        lambda checkout: checkout.camera_state("stale") and checkout.see({}, True),
    ],
)
def test_a_basket_with_somebody_at_it_is_not_abandoned(lane, sign_of_life):
    leave_behind(lane)
    lane.clock.now_s += ABANDONED_AFTER_S - 1
    sign_of_life(lane.checkout)
    lane.checkout.camera_state("ok")
    lane.clock.now_s += 2
    assert "manual:pear" in {line.id for line in lane.checkout.see({}, True).lines}


# When the store fails


@pytest.mark.parametrize("act", ["pay", "confirm", "cancel"])
def test_when_the_store_fails_nothing_has_happened(full, act):
    if act != "pay":
        full.pay()
    before, full.orders.broken = full.checkout.snapshot(), True
    calls = {
        "pay": full.pay,
        "confirm": lambda: full.checkout.confirm(1, "kim"),
        "cancel": lambda: full.checkout.cancel(1),
    }
    with pytest.raises(StoreUnavailable):
        calls[act]()
    assert full.checkout.snapshot() == before


def test_a_resent_key_takes_up_the_order_whose_answer_got_lost(full):
    create = full.orders.create

    def keep_but_fail(order):
        create(order)
        raise StoreUnavailable("The database does not answer.")

    full.orders.create = keep_but_fail
    version = full.checkout.snapshot().version
    with pytest.raises(StoreUnavailable):
        full.checkout.pay(version, "clerk", "key")
    assert full.checkout.snapshot().status == "open"
    order = full.checkout.pay(version, "clerk", "key")
    assert full.checkout.snapshot().order_id == order.id == 1


def test_a_sale_ends_even_if_the_store_cannot_note_it(full, caplog):
    number = full.sell().number
    full.orders.broken = True
    assert full.checkout.see({}, True).status == "open"
    assert number in caplog.text


# A restart


def test_a_restart_takes_up_the_order_that_was_waiting(full):
    full.checkout.add_item("pear", 1)
    before, order = full.checkout.snapshot(), full.pay()
    again = Lane(full.orders)
    after = again.checkout.snapshot()
    assert (after.lines, after.total) == (before.lines, before.total)
    assert (after.status, after.order_id) == ("awaiting_payment", order.id)
    assert after.version > before.version
    assert again.pay() == order
    again.checkout.cancel(order.id)
    assert again.shown() == full.shown()


def test_a_restart_does_not_sell_paid_goods_a_second_time(full):
    full.checkout.confirm(full.pay().id, "kim")
    again = Lane(full.orders)
    assert again.checkout.see({"apple": 2}, True).status == "paid"
    again.clock.now_s += PAID_SHOWN_S
    assert again.checkout.see({}, True).status == "open"


def test_a_restart_after_a_finished_sale_begins_a_new_basket(full):
    full.sell()
    full.checkout.see({}, True)
    snapshot = Lane(full.orders).checkout.snapshot()
    assert (snapshot.status, snapshot.lines) == ("open", ())


# Who is told


def test_subscribers_hear_of_each_change_once_and_in_order(full):
    heard = []
    full.checkout.subscribe(lambda cart, order: heard.append((cart.status, order and order.status)))
    order = full.pay()
    full.checkout.see({"apple": 2}, True)
    full.checkout.cancel(order.id)
    full.checkout.confirm(full.pay("second").id, "kim")
    full.clock.now_s += PAID_SHOWN_S
    full.checkout.see({}, True)
    assert heard == [
        ("awaiting_payment", "awaiting_payment"),
        ("open", "cancelled"),
        ("awaiting_payment", "awaiting_payment"),
        ("paid", "paid"),
        ("open", None),
    ]


def test_a_subscriber_may_call_back_and_order_is_kept(lane):
    heard = []

    def echo(cart, _order):
        heard.append(cart.total)
        if cart.total == 1500:
            lane.checkout.add_item("pear", 1)

    lane.checkout.subscribe(echo)
    lane.checkout.subscribe(lambda cart, _order: heard.append(cart.total))
    lane.checkout.see({"apple": 1}, True)
    assert heard == [1500, 1500, 5000, 5000]


def test_a_failing_subscriber_stops_neither_the_sale_nor_the_others(full, caplog):
    heard = []
    full.checkout.subscribe(lambda _cart, _order: 1 / 0)
    full.checkout.subscribe(lambda cart, _order: heard.append(cart.status))
    full.checkout.confirm(full.pay().id, "kim")
    assert heard == ["awaiting_payment", "paid"]
    assert "ZeroDivisionError" in caplog.text
    assert full.checkout.listener_failures > 0


def test_versions_arrive_in_order_from_many_threads(lane):
    versions = []
    lane.checkout.subscribe(lambda cart, _order: versions.append(cart.version))

    def work():
        for _ in range(50):
            lane.checkout.see({"apple": 1}, True)
            lane.checkout.see({"apple": 2}, True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions == sorted(set(versions))
    assert versions[-1] == lane.checkout.snapshot().version


# Fruit that somebody has to name

DOUBT = (Doubt(7, ("apple", "pear")),)


def test_a_fruit_in_doubt_must_be_named_before_anything_is_paid(full):
    full.checkout.see({"apple": 2}, True, DOUBT)
    [question] = full.checkout.snapshot().questions
    assert (question.fruit, question.line_id) == (7, "camera:apple")
    assert [choice.key for choice in question.choices] == ["apple", "pear"]
    assert refusal(full) == "unsure"

    full.checkout.name_fruit(7, "pear")

    assert full.checkout.take_names() == {7: "pear"}
    assert full.checkout.take_names() == {}
    assert refusal(full) == "unsure"  # until the camera's basket has followed
    full.checkout.see({"apple": 1, "pear": 1}, True)
    assert full.checkout.snapshot().questions == ()
    assert full.pay().lines


@pytest.mark.parametrize(
    ("fruit", "key", "error"), [(8, "pear", LineNotFound), (7, "lemon", UnknownItem)]
)
def test_only_what_is_asked_can_be_answered(full, fruit, key, error):
    full.checkout.see({"apple": 2}, True, DOUBT)
    with pytest.raises(error):
        full.checkout.name_fruit(fruit, key)
    assert full.checkout.take_names() == {}


def test_a_frozen_basket_asks_nothing(full):
    full.pay()
    full.checkout.see({"apple": 2}, True, DOUBT)
    assert full.checkout.snapshot().questions == ()
    with pytest.raises(CartFrozen):
        full.checkout.name_fruit(7, "pear")


def test_a_line_that_was_taken_out_by_hand_asks_nothing(full):
    full.checkout.see({"apple": 2, "pear": 1}, True, DOUBT)
    full.checkout.remove_line("camera:apple")
    assert full.checkout.snapshot().questions == ()
    assert full.pay().total_minor == 3500


def test_a_new_doubt_is_a_new_version(full):
    version = full.checkout.snapshot().version
    full.checkout.see({"apple": 2}, True, DOUBT)
    assert full.checkout.snapshot().version == version + 1
    full.checkout.see({"apple": 2}, True, DOUBT)
    assert full.checkout.snapshot().version == version + 1


# A thing that is not recognised

STRANGER = (Doubt(9, ()),)


def test_a_thing_that_is_not_recognised_is_asked_about_before_anything_is_paid(full):
    full.checkout.see({"apple": 2}, True, STRANGER)
    [question] = full.checkout.snapshot().questions
    assert (question.fruit, question.line_id, question.choices) == (9, None, ())
    assert refusal(full) == "not_recognised"
    with pytest.raises(UnknownItem):
        full.checkout.name_fruit(9, "apple")  # what is missing is added by hand

    full.checkout.add_item("pear", 1)
    full.checkout.name_fruit(9, NOTHING_MISSING)

    assert full.checkout.take_names() == {9: NOTHING_MISSING}
    full.checkout.see({"apple": 2}, True)
    assert [(line.key, line.quantity) for line in full.pay().lines] == [("apple", 2), ("pear", 1)]


def test_a_basket_that_was_left_behind_takes_no_question_with_it(lane):
    leave_behind(lane)
    lane.checkout.see({}, True, STRANGER)
    lane.clock.now_s += ABANDONED_AFTER_S
    snapshot = lane.checkout.see({}, True, STRANGER)
    assert (snapshot.lines, [q.fruit for q in snapshot.questions]) == ((), [9])
    lane.checkout.name_fruit(9, NOTHING_MISSING)
    assert lane.checkout.take_names() == {9: NOTHING_MISSING}


def test_the_basket_after_a_sale_asks_from_its_first_moment(full):
    full.checkout.confirm(full.pay().id, "kim")
    full.checkout.see({}, True)
    full.clock.now_s += PAID_SHOWN_S
    snapshot = full.checkout.see({"apple": 1}, True, DOUBT)
    assert (snapshot.status, [q.fruit for q in snapshot.questions]) == ("open", [7])


def test_a_fruit_without_a_name_is_asked_about_first(full):
    full.checkout.see({"apple": 2}, True, (*STRANGER, *DOUBT))
    assert refusal(full) == "unsure"
    with pytest.raises(UnknownItem):
        full.checkout.name_fruit(7, NOTHING_MISSING)
