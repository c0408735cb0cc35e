"""Random days at one lane: whatever happens in whatever order, these things hold."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.errors import CheckoutError
from app.shop.catalog import Catalog, Item
from app.shop.checkout import Checkout
from app.shop.order import OrderStatus
from tests.shop.fakes import HandClock, MemoryOrders

KEYS = ["apple", "pear", "zebra"]


def catalog(apple: int, pear: int | None) -> Catalog:
    items = {"apple": Item("apple", "사과", "Apple", apple)}
    if pear is not None:
        items["pear"] = Item("pear", "배", "Pear", pear)
    return Catalog(items)


class LaneLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.orders, self.clock = MemoryOrders(), HandClock()
        self.frozen = {}  # idempotency key → the snapshot that the browser paid for
        self.settled, self.camera = False, "down"
        self.told, self.last_version = [], 0
        self.open_lane()

    def open_lane(self) -> None:
        self.checkout = Checkout("1", catalog(1500, 3500), self.orders, self.clock)
        self.checkout.subscribe(lambda cart, _order: self.told.append(cart.version))
        self.settled, self.camera = False, "down"
        self.last_version = self.checkout.snapshot().version

    def attempt(self, act, *arguments):
        """Do it; a refusal must leave everything as it was."""
        before = self.checkout.snapshot(), dict(self.orders.orders)
        try:
            return act(*arguments)
        except CheckoutError:
            assert (self.checkout.snapshot(), self.orders.orders) == before
            return None

    @rule(counts=st.dictionaries(st.sampled_from(KEYS), st.integers(0, 3)), settled=st.booleans())
    def see(self, counts, settled):
        self.settled = settled and self.camera == "ok"
        self.checkout.see(counts, settled)

    @rule()
    def empty_the_counter(self):
        self.see({}, True)

    @rule(state=st.sampled_from(["ok", "ok", "ok", "stale", "down"]))
    def camera_turns(self, state):
        self.camera = state
        self.settled = self.settled and state == "ok"
        self.checkout.camera_state(state)

    @rule(key=st.sampled_from(KEYS), quantity=st.integers(0, 4))
    def add(self, key, quantity):
        self.attempt(self.checkout.add_item, key, quantity)

    @rule(
        source=st.sampled_from(["camera", "manual"]), key=st.sampled_from(KEYS), n=st.integers(0, 4)
    )
    def change(self, source, key, n):
        self.attempt(self.checkout.change_line, f"{source}:{key}", n)

    @rule(apple=st.integers(1, 9000), pear=st.none() | st.integers(1, 9000))
    def prices_change(self, apple, pear):
        self.checkout.replace_catalog(catalog(apple, pear))

    @rule(behind=st.integers(0, 1), key=st.sampled_from("abcdef"))
    def pay(self, behind, key):
        seen, known = self.checkout.snapshot(), key in self.frozen
        order = self.attempt(self.checkout.pay, seen.version - behind, "clerk", key)
        if order is None:
            return
        if not known:
            assert (behind, seen.status, seen.unpriced) == (0, "open", ())
            assert seen.lines
            by_hand_only = all(line.source == "manual" for line in seen.lines)
            assert self.settled or (self.camera != "ok" and by_hand_only)
            self.frozen[key] = seen
        assert order.idempotency_key == key

    @rule(apples=st.integers(1, 3), key=st.sampled_from("abcdefghij"))
    def a_customer_pays_without_ado(self, apples, key):
        self.camera_turns("ok")
        self.see({"apple": apples}, True)
        self.pay(0, key)

    @precondition(lambda self: self.checkout.current_order())
    @rule()
    def the_clerk_takes_the_money(self):
        self.attempt(self.checkout.confirm, self.checkout.current_order().id, "kim")

    @precondition(lambda self: self.orders.orders)
    @rule(data=st.data())
    def confirm(self, data):
        order_id = data.draw(st.sampled_from(sorted(self.orders.orders)))
        self.attempt(self.checkout.confirm, order_id, "kim")

    @precondition(lambda self: self.orders.orders)
    @rule(data=st.data())
    def cancel(self, data):
        order_id = data.draw(st.sampled_from(sorted(self.orders.orders)))
        self.attempt(self.checkout.cancel, order_id)

    @rule()
    def clerk_clears(self):
        self.checkout.counter_cleared()

    @rule(seconds=st.sampled_from([1, 60, 200]))
    def time_passes(self, seconds):
        self.clock.now_s += seconds

    @rule()
    def restart(self):
        before = self.checkout.snapshot()
        self.open_lane()
        after = self.checkout.snapshot()
        if before.status != "open":
            assert (after.lines, after.total, after.status) == (
                before.lines,
                before.total,
                before.status,
            )

    @invariant()
    def each_key_has_one_order_worth_its_frozen_basket(self):
        keys = [order.idempotency_key for order in self.orders.orders.values()]
        assert sorted(keys) == sorted(self.frozen)
        for order in self.orders.orders.values():
            seen = self.frozen[order.idempotency_key]
            assert order.total_minor == seen.total == sum(line.amount for line in seen.lines)
            assert [line.as_cart_line() for line in order.lines] == list(seen.lines)

    @invariant()
    def at_most_one_order_waits_and_it_is_the_one_on_the_screen(self):
        waiting, seen = self.orders.awaiting(), self.checkout.snapshot()
        assert len(waiting) <= 1
        assert [order.id for order in waiting] == (
            [seen.order_id] if seen.status == "awaiting_payment" else []
        )
        if seen.status == "paid":
            assert self.orders.get(seen.order_id).status is OrderStatus.PAID

    @invariant()
    def the_basket_adds_up(self):
        seen = self.checkout.snapshot()
        assert all(line.quantity > 0 for line in seen.lines)
        assert seen.total == sum(line.amount or 0 for line in seen.lines)
        assert set(seen.unpriced) == {line.key for line in seen.lines if line.amount is None}

    @invariant()
    def versions_only_rise_and_everybody_hears(self):
        version = self.checkout.snapshot().version
        assert self.told == list(range(self.last_version + 1, version + 1))
        self.last_version, self.told = version, []


TestLaneLife = LaneLife.TestCase
TestLaneLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
