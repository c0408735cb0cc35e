"""The words of a receipt, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from flask_babel import force_locale
from flask_babel import gettext as _

from app.shop.money import format_minor
from app.shop.order import OrderLine, OrderStatus
from app.shop.payment import Payment
from app.shop.receipt import VAT_PERCENT, Business, Receipt, Taxes
from app.shop.refund import Refund
from app.store.receipt_paper import Pair, ReceiptText, SoldLine
from app.web.texts import way_names

EXEMPT_MARK = "* "  # as Korean receipts mark goods without VAT


def receipt_text(
    receipt: Receipt,
    business: Business,
    language: str,
    url: str | None = None,
    copy: bool = False,
    notes: tuple[str, ...] = (),
) -> ReceiptText:
    """Write a receipt in "ko" or "en"; needs an app context.

    url: where it can be read again. copy: it was given out before. notes: further last lines.
    """
    order = receipt.order
    with force_locale(language):
        return ReceiptText(
            language=language,
            title=_("Receipt (copy)") if copy else _("Receipt"),
            seller=tuple(filter(None, seller(business))),
            facts=tuple(facts(receipt)),
            lines=tuple(sold(line, order.currency, language) for line in order.lines),
            totals=(
                *tax_pairs(receipt.taxes, order.currency, language),
                Pair(_("Total"), format_minor(order.total_minor, order.currency, language), True),
            ),
            payment=tuple(payment_pairs(receipt.payment, order.currency, language)),
            refunds=tuple(map(tuple, refund_groups(receipt, language))),
            notes=(
                _("%(mark)s no VAT on this fruit", mark=EXEMPT_MARK.strip()),
                *notes,
                *([_("Read this receipt again:")] if url else []),
            ),
            url=url,
        )


def seller(business: Business) -> Iterator[str]:
    """Who sells; "" for what is not set."""
    yield business.name
    if business.registration_number:
        yield _("Business number %(number)s", number=business.registration_number)
    if business.representative:
        yield _("Representative %(name)s", name=business.representative)
    yield business.address
    if business.phone:
        yield _("Telephone %(number)s", number=business.phone)


def facts(receipt: Receipt) -> Iterator[Pair]:
    """Which sale, where and when: in the shop's time, and in UTC, which is never ambiguous."""
    order = receipt.order
    paid_at = order.paid_at or receipt.payment.at
    yield Pair(_("Order number"), order.number)
    yield Pair(_("Counter"), order.lane)
    yield Pair(_("Paid on"), when(paid_at))
    yield Pair("UTC", f"{paid_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}")
    if order.status is OrderStatus.PARTLY_REFUNDED:
        yield Pair(_("State"), _("partly refunded"), True)
    if order.status is OrderStatus.REFUNDED:
        yield Pair(_("State"), _("refunded"), True)


def when(at: datetime) -> str:
    """A moment in the shop's time."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def sold(line: OrderLine, currency: str, language: str) -> SoldLine:
    """One line of the order."""
    mark = EXEMPT_MARK if line.tax == "exempt" else ""
    return SoldLine(
        name=f"{mark}{line.name(language)}",
        count=f"{line.quantity} × {format_minor(line.unit_price_minor, currency, language)}",
        amount=format_minor(line.amount_minor, currency, language),
    )


def tax_pairs(taxes: Taxes, currency: str, language: str) -> Iterator[Pair]:
    """Goods without VAT, goods with it, and it."""
    yield Pair(_("Goods without VAT"), format_minor(taxes.exempt_minor, currency, language))
    yield Pair(_("Taxed goods before VAT"), format_minor(taxes.supply_minor, currency, language))
    vat = format_minor(taxes.vat_minor, currency, language)
    yield Pair(_("VAT %(percent)d%%", percent=VAT_PERCENT), vat)


def payment_pairs(payment: Payment, currency: str, language: str) -> Iterator[Pair]:
    """How it was paid."""
    yield Pair(_("Paid by"), way_names().get(payment.method, payment.method))
    if payment.received_minor is not None:
        yield Pair(_("Cash received"), format_minor(payment.received_minor, currency, language))
    if payment.change_minor is not None:
        yield Pair(_("Change"), format_minor(payment.change_minor, currency, language))
    if payment.approval_number:
        yield Pair(_("Approval number"), payment.approval_number)
    if payment.provider_reference:
        yield Pair(_("Payment number"), payment.provider_reference)


def refund_groups(receipt: Receipt, language: str) -> Iterator[Iterator[Pair]]:
    """Each refund, and at the end what is left; the clerk's reason is not the customer's."""
    if not receipt.refunds:
        return
    for refund in receipt.refunds:
        yield refund_pairs(receipt, refund, language)
    yield left_pairs(receipt, language)


def refund_pairs(receipt: Receipt, refund: Refund, language: str) -> Iterator[Pair]:
    """One refund."""
    order = receipt.order
    amount = format_minor(-refund.amount_minor, order.currency, language)
    yield Pair(_("Refund %(number)d", number=refund.number), amount, True)
    yield Pair(_("Refunded on"), when(refund.at))
    for line in refund.lines:
        name = f"{order.lines[line.position].name(language)} × {line.quantity}"
        yield Pair(name, format_minor(-line.amount_minor, order.currency, language))


def left_pairs(receipt: Receipt, language: str) -> Iterator[Pair]:
    """What was paid in the end."""
    currency = receipt.order.currency
    yield from tax_pairs(receipt.taxes_left, currency, language)
    left = format_minor(receipt.left_minor, currency, language)
    yield Pair(_("Total after refunds"), left, True)
