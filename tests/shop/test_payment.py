from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidPayment
from app.shop.payment import (
    STANDARD_METHODS,
    ByClerk,
    ByTransfer,
    Card,
    Cash,
    Proof,
    check_request,
    failed,
    methods_by_name,
)


@given(total=st.integers(0, 10**9), more=st.integers(0, 10**9))
def test_cash_received_less_change_is_what_was_paid(total, more):
    paid = Cash().accept(total, Proof(received_minor=total + more), "kim")
    assert paid.received_minor - paid.change_minor == paid.amount_minor == total
    assert paid.change_minor == more


@pytest.mark.parametrize("received", [None, 0, 4999, -5000, "5000", 5000.0, True])
def test_cash_that_is_not_enough_or_no_amount_is_refused(received):
    with pytest.raises(InvalidPayment):
        Cash().accept(5000, Proof(received_minor=received), "kim")


@pytest.mark.parametrize("approval", ["1234", "30012345", "AB-12345", "x" * 20])
def test_a_card_is_paid_by_the_terminal_s_approval_number(approval):
    paid = Card().accept(5000, Proof(approval_number=approval), "kim")
    assert (paid.method, paid.approval_number, paid.received_minor) == ("card", approval, None)


@pytest.mark.parametrize("approval", ["", "123", "x" * 21, "1234 5678", "12345\n", "승인12345"])
def test_a_card_without_a_proper_approval_number_is_refused(approval):
    with pytest.raises(InvalidPayment):
        Card().accept(5000, Proof(approval_number=approval), "kim")


def test_a_transfer_keeps_the_provider_s_reference_and_waits_three_minutes():
    paid = ByTransfer().accept(5000, Proof(provider_reference="ref"), "bank")
    assert (paid.method, paid.provider_reference, paid.confirmed_by) == ("qr", "ref", "bank")
    assert ByTransfer().valid_for == timedelta(minutes=3)


def test_a_reference_too_long_to_be_kept_is_refused():
    with pytest.raises(InvalidPayment):
        ByTransfer().accept(5000, Proof(provider_reference="r" * 101), "bank")


def test_a_clerk_s_word_is_enough_where_nothing_else_is_asked():
    paid = ByClerk().accept(5000, Proof(), "kim")
    assert (paid.amount_minor, paid.confirmed_by, paid.outcome) == (5000, "kim", "confirmed")
    assert paid.at.tzinfo is not None


@pytest.mark.parametrize("name", ["clerk", "cash", "card", "qr"])
def test_every_standard_method_is_found_by_its_name(name):
    assert check_request(name, "key", STANDARD_METHODS).name == name


@pytest.mark.parametrize("name", ["", "Cash", "bitcoin", "x" * 33, None, 1, ["cash"]])
def test_a_method_that_the_shop_does_not_take_is_refused(name):
    with pytest.raises(InvalidPayment, match="clerk"):
        check_request(name, "key", methods_by_name(ByClerk()))


def test_a_failed_try_is_cut_to_what_can_be_kept():
    told = failed("portone", 5000, "no " * 100, "r" * 200, "portone")
    assert (len(told.reason), len(told.provider_reference)) == (200, 100)
    assert told.outcome == "failed"
