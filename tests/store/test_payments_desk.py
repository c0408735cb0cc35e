"""What a provider tells, on both databases: paid once, or kept with the reason why not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.errors import OrderNotFound, StoreUnavailable
from app.shop.checkout import Checkout
from app.shop.order import Order, OrderStatus
from app.shop.payment import ByClerk, ByTransfer, Cash, Proof, methods_by_name
from app.store.database import Database
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from app.store.payments.desk import PaymentDesk
from app.store.payments.owed import Told
from tests.shop.fakes import CATALOG
from tests.store.selling import at_once

LATE = timedelta(seconds=-1)


class Shop:
    """One lane with a real database."""

    def __init__(self, database: Database, valid_for: timedelta = timedelta(minutes=3)) -> None:
        self.orders = SqlOrderStore(database)
        self.journal = Journal(database)
        methods = methods_by_name(ByClerk(), Cash(), ByTransfer("qr", valid_for))
        self.checkout = Checkout("1", CATALOG, self.orders, methods=methods)
        self.notes: list[tuple[str, str]] = []
        self.desk = self.new_desk()

    def new_desk(self, lane: str = "1") -> PaymentDesk:
        return PaymentDesk(lane, self.checkout, self.orders, self.journal, self.note)

    def note(self, actor: str, event: str, details: object) -> None:
        self.notes.append((actor, event))

    def events(self) -> list[tuple[str, str]]:
        return [(record.actor, record.event) for record in self.journal.records("1")]

    def wait(self, key: str = "key", method: str = "qr") -> Order:
        self.checkout.add_item("pear", 2)
        return self.checkout.pay(self.checkout.snapshot().version, method, key)

    def tries(self, order: Order) -> list[tuple[str, str]]:
        return [(one.outcome, one.reason) for one in self.orders.payments(order.id or 0)]

    def sound(self) -> bool:
        return self.journal.verify() is None


@pytest.fixture
def shop(database):
    return Shop(database)


def told(order: Order, event: str = "evt-1", **changes: object) -> Told:
    said = Told(
        event=event,
        order_number=order.number,
        amount_minor=order.total_minor,
        currency=order.currency,
        paid=True,
        method="qr",
        by="bank",
        reference=f"tx-{event}",
    )
    return replace(said, **changes)


def test_money_that_fits_pays_the_order(shop):
    order = shop.wait()

    taken = shop.desk.take(told(order))

    assert (taken.verdict, taken.repeated) == ("paid", False)
    assert taken.order.status is OrderStatus.PAID
    assert shop.checkout.snapshot().status == "paid"
    [payment] = shop.orders.payments(order.id)
    assert (payment.confirmed_by, payment.provider_reference) == ("bank", "tx-evt-1")
    assert payment.provider_event == "evt-1"
    assert shop.sound()


def test_the_same_message_again_changes_nothing(shop):
    order = shop.wait()
    shop.desk.take(told(order))
    before = [record.number for record in shop.journal.records()]

    again = shop.desk.take(told(order))

    assert (again.verdict, again.repeated) == ("paid", True)
    assert [record.number for record in shop.journal.records()] == before
    assert shop.notes == []


def test_the_same_message_on_many_lines_at_once_pays_once(shop):
    order = shop.wait()

    answers = at_once(8, lambda n: shop.desk.take(told(order)).verdict)

    assert answers == ["paid"] * 8
    assert shop.tries(order) == [("confirmed", "")]
    assert shop.sound()


@pytest.mark.parametrize(
    "changes", [{"amount_minor": 6999}, {"amount_minor": 7001}, {"currency": "USD"}]
)
def test_another_amount_or_currency_pays_nothing_and_is_kept(shop, changes):
    order = shop.wait()

    taken = shop.desk.take(told(order, **changes))

    assert taken.verdict == "differs"
    assert shop.orders.get(order.id).status is OrderStatus.AWAITING_PAYMENT
    [(outcome, reason)] = shop.tries(order)
    assert outcome == "failed"
    assert "is not the total. Give the money back." in reason
    assert shop.desk.take(told(order, **changes)).repeated
    assert shop.desk.take(told(order, "evt-2")).verdict == "paid"
    assert shop.sound()


def test_no_money_is_noted_and_the_order_goes_on_waiting(shop):
    order = shop.wait()

    taken = shop.desk.take(told(order, paid=False, reason="no credit"))

    assert taken.verdict == "noted"
    assert shop.tries(order) == [("failed", "no credit")]
    assert shop.desk.take(told(order, paid=False)).repeated
    assert shop.desk.take(told(order, "evt-2")).verdict == "paid"


def test_money_after_the_time_is_over_is_kept_with_the_order(database):
    shop = Shop(database, valid_for=LATE)
    order = shop.wait()

    taken = shop.desk.take(told(order))

    assert taken.verdict == "late"
    assert shop.tries(order) == [
        ("failed", "The order could no longer be paid. Give the money back.")
    ]
    assert shop.sound()


def test_money_for_a_cancelled_order_is_kept_with_it(shop):
    order = shop.wait()
    shop.checkout.cancel(order.id)

    taken = shop.desk.take(told(order))

    assert (taken.verdict, taken.order.status) == ("late", OrderStatus.CANCELLED)
    assert shop.desk.take(told(order)).verdict == "late"


def test_an_order_paid_in_cash_meanwhile_is_not_paid_twice(shop):
    order = shop.wait()
    shop.checkout.confirm(order.id, "kim", Proof(received_minor=7000), "cash")

    taken = shop.desk.take(told(order))

    assert taken.verdict == "late"
    assert shop.tries(order)[-1] == (
        "failed",
        "The order had been paid otherwise. Give the money back.",
    )


def test_a_message_and_a_clerk_at_the_same_instant_make_one_payment(shop):
    order = shop.wait()

    def take(n: int) -> str:
        if n % 2:
            return shop.desk.take(told(order)).verdict
        shop.checkout.confirm(order.id, "kim", Proof(received_minor=7000), "cash")
        return "cash"

    verdicts = set(at_once(6, take)) - {"cash"}

    [paid] = [one for one in shop.orders.payments(order.id) if one.outcome == "confirmed"]
    assert verdicts == {"paid" if paid.method == "qr" else "late"}
    assert bool(shop.desk.owed()) is (paid.method == "cash")
    assert shop.sound()


def test_two_payments_for_one_order_are_told_apart(shop):
    order = shop.wait()

    assert shop.desk.take(told(order, "evt-1")).verdict == "paid"
    assert shop.desk.take(told(order, "evt-2")).verdict == "late"
    assert shop.desk.take(told(order, "evt-2")).verdict == "late"


def test_a_clerk_who_saw_the_payment_first_and_its_message_agree(shop):
    order = shop.wait()
    shop.checkout.confirm(order.id, "kim")

    taken = shop.desk.take(told(order))

    assert taken.verdict == "paid"
    assert shop.tries(order) == [("confirmed", "")]
    assert shop.events()[-1] == ("bank", "payment_told_again")
    assert shop.new_desk().take(told(order)).verdict == "paid"
    assert len(shop.events()) == 3


def test_a_second_payment_after_a_clerks_word_must_go_back(shop):
    order = shop.wait()
    shop.checkout.confirm(order.id, "kim")
    shop.desk.take(told(order, "evt-1"))

    second = told(order, "evt-2")
    assert shop.new_desk().take(second).verdict == "late"
    assert shop.new_desk().owed() == [second]


@pytest.mark.parametrize("clerk_first", [False, True])
def test_one_payment_told_under_two_numbers_is_one_payment(shop, clerk_first):
    order = shop.wait()
    if clerk_first:
        shop.checkout.confirm(order.id, "kim")

    assert shop.desk.take(told(order, "evt-1", reference="tx")).verdict == "paid"
    assert shop.desk.take(told(order, "evt-2", reference="tx")).verdict == "paid"
    assert shop.desk.owed() == []


def test_payments_without_a_number_of_their_own_are_told_apart_by_their_messages(shop):
    order = shop.wait()
    assert shop.desk.take(told(order, "evt-1", reference="")).verdict == "paid"
    assert shop.desk.take(told(order, "evt-2", reference="")).verdict == "late"


def test_a_message_that_comes_again_is_answered_as_before(shop):
    order = shop.wait()
    messages = [
        told(order, "evt-1", paid=False),
        told(order, "evt-2", amount_minor=1),
        told(order, "evt-3"),
        told(order, "evt-4"),
    ]
    before = [shop.desk.take(message).verdict for message in messages]
    assert before == ["noted", "differs", "paid", "late"]

    again = [shop.desk.take(message) for message in messages]
    assert [taken.verdict for taken in again] == before
    assert all(taken.repeated for taken in again)


def test_money_told_under_the_number_of_another_message_must_go_back(shop):
    first = shop.wait("a")
    shop.desk.take(told(first, "evt-1", paid=False))
    after_all = told(first, "evt-1")
    assert shop.desk.take(after_all).verdict == "late"
    assert shop.desk.owed() == [after_all]

    shop.desk.take(told(first, "evt-2"))
    shop.checkout.counter_cleared()
    stray = told(shop.wait("b"), "evt-2")
    assert [shop.desk.take(stray).verdict for _ in range(2)] == ["late", "late"]
    assert shop.desk.owed() == [after_all, stray]
    assert shop.desk.take(told(first, "evt-2")).verdict == "paid"
    more = told(first, "evt-1", amount_minor=1)
    assert shop.desk.take(more).verdict == "late"
    assert shop.new_desk().owed() == [after_all, stray, more]
    assert shop.sound()


def test_one_payment_does_not_pay_two_orders(shop):
    first = shop.wait("a")
    shop.desk.take(told(first, reference="tx"))
    shop.checkout.counter_cleared()
    second = shop.wait("b")

    taken = shop.desk.take(told(second, "evt-2", reference="tx"))

    assert taken.verdict == "late"
    assert shop.orders.get(second.id).status is OrderStatus.AWAITING_PAYMENT
    assert "already paid another order" in shop.tries(second)[0][1]


def test_money_for_no_order_is_in_the_journal(shop):
    order = shop.wait()
    with pytest.raises(OrderNotFound):
        shop.desk.take(told(order, order_number="1-261122-9999"))
    assert shop.notes == [("bank", "payment_unclaimed")]


def test_another_lanes_order_is_not_ours(shop):
    order = shop.wait()
    with pytest.raises(OrderNotFound):
        (other := shop.new_desk("2")).take(told(order))
    assert other.owed() == []
    assert shop.orders.get(order.id).status is OrderStatus.AWAITING_PAYMENT


def test_a_message_that_could_not_be_kept_may_come_again(shop, monkeypatch):
    order = shop.wait()
    with monkeypatch.context() as broken:
        broken.setattr(shop.orders, "confirm", lambda *_: unavailable())
        with pytest.raises(StoreUnavailable):
            shop.desk.take(told(order))

    assert shop.desk.take(told(order)).verdict == "paid"


def test_what_must_go_back_is_owed_until_somebody_gave_it(shop):
    told_times = []
    shop.desk.subscribe(lambda: told_times.append(len(shop.desk.owed())))
    order = shop.wait()
    wrong = told(order, "evt-1", amount_minor=1)
    shop.desk.take(wrong)
    shop.desk.take(wrong)
    shop.desk.take(told(order, "evt-2", paid=False))
    assert shop.desk.owed() == [wrong]

    shop.desk.given_back(wrong, "kim")

    assert shop.desk.owed() == []
    assert told_times == [1, 0]
    assert shop.events()[-1] == ("kim", "payment_given_back")
    shop.desk.given_back(wrong, "lee")
    assert shop.events()[-1] == ("kim", "payment_given_back")


def test_what_must_go_back_outlasts_a_restart(shop):
    order = shop.wait()
    wrong, stray = told(order, "evt-1", amount_minor=1), told(order, "evt-2", order_number="none")
    shop.desk.take(wrong)
    with pytest.raises(OrderNotFound):
        shop.desk.take(stray)

    assert shop.new_desk().owed() == [wrong, stray]
    assert shop.new_desk("2").owed() == []

    shop.new_desk().given_back(stray, "kim")
    restarted = shop.new_desk()
    with pytest.raises(OrderNotFound):
        restarted.take(stray)  # it comes again: it went back all the same
    assert restarted.owed() == [wrong]
    assert shop.sound()


def test_money_is_not_answered_for_before_it_is_written_down(shop, monkeypatch):
    order = shop.wait()
    with monkeypatch.context() as broken:
        broken.setattr(shop.journal, "record", lambda *_: unavailable())
        with pytest.raises(StoreUnavailable):
            shop.desk.take(told(order, amount_minor=1))

    assert shop.desk.take(told(order, amount_minor=1)).verdict == "differs"
    assert len(shop.desk.owed()) == 1


def unavailable() -> None:
    raise StoreUnavailable("The database does not answer.")
