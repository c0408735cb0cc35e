"""What the shop sells, under which names and at which price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


def name_in(language: str, name_ko: str, name_en: str) -> str:
    """Choose the Korean name for "ko", the English one for any other language."""
    return name_ko if language == "ko" else name_en


@dataclass(frozen=True, slots=True)
class Item:
    """One kind of goods as the price sheet describes it.

    key: the detector's class name. price_minor: minor units per ``unit``, over 0 when active.
    plu: produce look-up code, digits, "" when there is none.
    """

    key: str
    name_ko: str
    name_en: str
    price_minor: int
    unit: str = "piece"
    plu: str = ""
    tax: str = "exempt"  # or "standard"
    active: bool = True

    def name(self, language: str) -> str:
        """Name in ``language`` ("ko", else English)."""
        return name_in(language, self.name_ko, self.name_en)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All items of one valid price sheet, in the sheet's order; empty before the first one.

    version: rises with every accepted change of the sheet.
    """

    items: Mapping[str, Item] = field(default_factory=dict)
    currency: str = "KRW"
    version: int = 0

    def get(self, key: str) -> Item | None:
        """Return the item that is for sale under ``key``; None when unknown or inactive."""
        item = self.items.get(key)
        return item if item is not None and item.active else None

    def known(self, key: str) -> Item | None:
        """Return the item under ``key`` whether or not it is for sale, to name it on a screen."""
        return self.items.get(key)

    def sellable(self) -> list[Item]:
        """List the items for sale, in the sheet's order."""
        return [item for item in self.items.values() if item.active]

    def position(self, key: str) -> tuple[int, str]:
        """Sort key that puts lines in the sheet's order, unknown keys last by name."""
        order = list(self.items)
        return (order.index(key) if key in self.items else len(order), key)
