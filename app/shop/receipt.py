"""A receipt: one sold order with its payment, its refunds, and the tax that its prices hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.shop.order import Order, OrderLine
from app.shop.payment import Payment
from app.shop.refund import Refund, quantities_left

VAT_PERCENT = 10  # Korea's Value-Added Tax Act, article 30; raw fruit is exempt by article 26


@dataclass(frozen=True, slots=True)
class Business:
    """Who sells; what is not set is "" and left out of the receipt.

    registration_number: as the tax office wrote it, 123-45-67890 in Korea.
    """

    name: str = ""
    registration_number: str = ""
    representative: str = ""
    address: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Taxes:
    """What a total is made of, in minor units; the three parts are the total exactly.

    exempt_minor: goods without VAT. supply_minor: taxed goods without their VAT. vat_minor: that.
    """

    exempt_minor: int
    supply_minor: int
    vat_minor: int

    @property
    def taxed_minor(self) -> int:
        """Taxed goods with their VAT, as they were paid."""
        return self.supply_minor + self.vat_minor


@dataclass(frozen=True, slots=True)
class Receipt:
    """A sold order and all that belongs to it; payment: the confirmed one."""

    order: Order
    payment: Payment
    refunds: tuple[Refund, ...] = ()

    @property
    def taxes(self) -> Taxes:
        """The taxes in what was sold."""
        return taxes_in((line.tax, line.amount_minor) for line in self.order.lines)

    @property
    def left_minor(self) -> int:
        """What the customer has paid in the end, refunds taken off."""
        return self.order.total_minor - sum(refund.amount_minor for refund in self.refunds)

    @property
    def taxes_left(self) -> Taxes:
        """The taxes in what was sold and not given back; their sum is ``left_minor``."""
        return taxes_in(kept(self.order.lines, quantities_left(self.order, self.refunds)))


def kept(lines: Sequence[OrderLine], left: dict[int, int]) -> Iterable[tuple[str, int]]:
    """The tax class and the amount of what is left of each line."""
    return ((lines[n].tax, quantity * lines[n].unit_price_minor) for n, quantity in left.items())


def taxes_in(amounts: Iterable[tuple[str, int]]) -> Taxes:
    """Take the VAT out of amounts (tax class, minor units) whose prices include it.

    The VAT of the sum is rounded once, to the nearest whole unit, and the supply value is the rest,
    as card terminals do it; so nothing is lost between the lines.
    """
    sums = {"exempt": 0, "standard": 0}
    for tax, amount_minor in amounts:
        sums[tax] += amount_minor
    taxed_minor = sums["standard"]
    whole = 100 + VAT_PERCENT
    vat_minor = (2 * taxed_minor * VAT_PERCENT + whole) // (2 * whole)
    return Taxes(sums["exempt"], taxed_minor - vat_minor, vat_minor)
