"""The basket: what the camera sees, put right by what people say. Pure values, no clock, no lock.

The rule
--------
A person's word is a `Correction`: "the camera is wrong by ``amount``", said when it saw
``baseline`` fruits of that kind. Each kind has two words: ``said`` (the quantity of the camera's
line was changed, up or down) and ``manual`` (fruit was added by hand, never negative).

* Up (amount > 0, the camera misses some): fruits that the camera finds later, beyond the baseline,
  are taken for the missed ones and counted against the word until it is used up, so a fruit is
  never charged twice. When the camera loses them again, the word owes them again.
* Down (amount < 0, the camera sees too many): fruits that the camera stops seeing, below the
  baseline, are taken for the wrong ones; further fruits count as usual.
* When the scene is at rest and the camera sees fewer fruits than the baseline, the baseline of a
  word up sinks to that count: fruit was carried away, and what is found after that may be the
  missed fruit. The baseline of a word down stays: were it to rise, a fruit put down and taken away
  again would bring the refused one back onto the bill.
* A counter seen empty, at rest, ends every word down: there is nothing left that it could refuse.

What this gives: while the camera sees no more of a kind than when the person spoke, nobody pays for
more than the person said; a count that goes up and comes back leaves the cart as it was.
What it does not give: it cannot tell which fruit is which. Fruit carried away and laid back, with a
word up standing, uses up that word (in the customer's favour); a real fruit carried away while a
word down stands is taken for the wrong one, and the line must be corrected once more. The new
quantity is on the screen each time, and the version of the cart rises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from app.errors import InvalidQuantity, LineNotFound, UnknownItem
from app.shop.catalog import Catalog, name_in

MAX_QUANTITY = 99
NOTHING_MISSING = "nothing_missing"  # the answer to what lies there and is not recognised

Source = Literal["camera", "manual"]
Status = Literal["open", "awaiting_payment", "paid"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a basket; ``unit_price`` and ``amount`` in minor units, None when unpriced."""

    id: str  # "camera:KEY" or "manual:KEY"
    key: str
    name_ko: str
    name_en: str
    quantity: int
    unit_price: int | None
    amount: int | None
    source: Source

    def name(self, language: str) -> str:
        """Name in ``language`` ("ko", else English)."""
        return name_in(language, self.name_ko, self.name_en)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A fruit that the camera cannot name for sure, or a thing that may be one.

    fruit: its number. choices: keys that it may be, likeliest first; it counts as the first until
    somebody tells. None of a thing that is not recognised: it does not count.
    """

    fruit: int
    choices: tuple[str, ...]

    @property
    def answers(self) -> tuple[str, ...]:
        """What may be said about it."""
        return self.choices or (NOTHING_MISSING,)

    def answered(self, key: str) -> tuple[str, dict[str, object]]:
        """What the journal says of an answer: an event and its details."""
        if not self.choices:
            return NOTHING_MISSING, {"fruit": self.fruit}
        return "fruit_named", {"fruit": self.fruit, "from": self.choices[0], "to": key}


@dataclass(frozen=True, slots=True)
class Question:
    """A doubt as screens show it.

    line_id: the line that the fruit counts in. choices: one fruit of each kind that it may be. None
    and nothing of a thing that is not recognised.
    """

    fruit: int
    line_id: str | None
    choices: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class CartSnapshot:
    """The basket at one version, as every screen shows it.

    total: minor units, the sum of the priced lines. unpriced: keys that block payment. order_id:
    the order being paid or paid, None while open. questions: fruits that somebody has to name
    before they can be paid.
    """

    lane: str
    version: int
    status: Status
    currency: str
    total: int
    lines: tuple[Line, ...]
    unpriced: tuple[str, ...]
    order_id: int | None = None
    questions: tuple[Question, ...] = ()

    def quantity(self, line_id: str) -> int:
        """How many fruits a line has; 0 when it is not there."""
        return sum(line.quantity for line in self.lines if line.id == line_id)


@dataclass(frozen=True, slots=True)
class Correction:
    """A person's word: the camera is wrong by ``amount``, said when it saw ``baseline``."""

    amount: int = 0
    baseline: int = 0

    def owed(self, camera: int) -> int:
        """Return what is still to be added to (or, negative, taken from) ``camera``."""
        if self.amount >= 0:
            return max(0, self.amount - max(0, camera - self.baseline))
        return min(0, self.amount + max(0, self.baseline - camera))

    def follow(self, camera: int) -> Correction:
        """Return the word after a scene at rest with ``camera``; what it owes stays the same."""
        if self.amount > 0 and camera < self.baseline:
            return replace(self, baseline=camera)
        return self


NOTHING = Correction()


@dataclass(frozen=True, slots=True)
class Words:
    """All that people said about one kind of fruit."""

    said: Correction = NOTHING
    manual: Correction = NOTHING

    def camera_quantity(self, camera: int) -> int:
        """Quantity of the camera's line, ≥ 0."""
        return camera + self.said.owed(camera)

    def manual_quantity(self, camera: int) -> int:
        """Quantity of the manual line, ≥ 0."""
        return self.manual.owed(self._unclaimed(camera))

    def _unclaimed(self, camera: int) -> int:
        """Fruits in view that ``said`` does not explain: one find is set against one word."""
        return self.camera_quantity(camera) - max(0, self.said.amount)

    def with_said(self, camera: int, quantity: int) -> Words:
        """Set the camera's line; the manual line stays as it is shown now."""
        changed = Words(said=Correction(quantity - camera, camera))
        return changed.with_manual(camera, self.manual_quantity(camera))

    def with_manual(self, camera: int, quantity: int) -> Words:
        """Set the manual line; the camera's line stays as it is shown now."""
        return replace(self, manual=Correction(quantity, self._unclaimed(camera)))

    def follow(self, camera: int) -> Words:
        """Let both words follow a scene at rest; both lines stay as they are shown now."""
        manual = self.manual.follow(self._unclaimed(camera))
        return Words(self.said.follow(camera), manual)

    def without_down(self) -> Words:
        """Forget a word that the camera sees too many."""
        return replace(self, said=NOTHING) if self.said.amount < 0 else self


@dataclass(frozen=True, slots=True)
class Cart:
    """What the camera sees and what people said, by key; every change is a new cart."""

    counts: Mapping[str, int] = field(default_factory=dict)
    words: Mapping[str, Words] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()

    def see(self, counts: Mapping[str, int], settled: bool, doubts: tuple[Doubt, ...] = ()) -> Cart:
        """Replace what the camera sees; counts of 0 or less mean none."""
        counts = {key: count for key, count in counts.items() if count > 0}
        words = dict(self.words)
        if settled:
            words = {key: word.follow(counts.get(key, 0)) for key, word in words.items()}
        if settled and not counts:
            words = {key: word.without_down() for key, word in words.items()}
        return Cart(counts, words, doubts)

    def doubt(self, fruit: object, key: object) -> Doubt:
        """Find the doubt about a fruit that ``key`` would end.

        Raises LineNotFound when that fruit is not in doubt, UnknownItem for another answer.
        """
        for doubt in self.doubts:
            if doubt.fruit == fruit:
                if key not in doubt.answers:
                    raise UnknownItem("Choose one of the answers that are offered.")
                return doubt
        raise LineNotFound("Nobody doubts any longer what this fruit is.")

    def add(self, key: str, quantity: int, catalog: Catalog) -> Cart:
        """Add fruit by hand.

        Raises InvalidQuantity unless 1…99 (also for the line as a whole), UnknownItem when the key
        is not for sale.
        """
        check_quantity(quantity, 1)
        if not isinstance(key, str) or catalog.get(key) is None:
            raise UnknownItem("This item is not for sale: choose one from the list.")
        camera, words = self._of(key)
        total = check_quantity(words.manual_quantity(camera) + quantity, 1)
        return self._with(key, words.with_manual(camera, total))

    def change(self, line_id: str, quantity: int) -> Cart:
        """Set a line's quantity; 0 removes it.

        Raises InvalidQuantity unless 0…99, LineNotFound when the line is not in the cart.
        """
        check_quantity(quantity, 0)
        source, _, key = line_id.partition(":") if isinstance(line_id, str) else ("", "", "")
        camera, words = self._of(key)
        if source == "camera" and words.camera_quantity(camera) > 0:
            return self._with(key, words.with_said(camera, quantity))
        if source == "manual" and words.manual_quantity(camera) > 0:
            return self._with(key, words.with_manual(camera, quantity))
        raise LineNotFound("This line is no longer in the basket.")

    def lines(self, catalog: Catalog) -> tuple[Line, ...]:
        """Price the basket: the camera's line before the manual one, in the catalog's order."""
        lines = []
        for key in sorted({*self.counts, *self.words}, key=catalog.position):
            camera, words = self._of(key)
            lines.append(price_line(key, words.camera_quantity(camera), "camera", catalog))
            lines.append(price_line(key, words.manual_quantity(camera), "manual", catalog))
        return tuple(line for line in lines if line.quantity > 0)

    def snapshot(self, lane: str, version: int, catalog: Catalog) -> CartSnapshot:
        """Show the open basket at the catalog's prices."""
        lines = self.lines(catalog)
        return CartSnapshot(
            lane=lane,
            version=version,
            status="open",
            currency=catalog.currency,
            total=sum(line.amount for line in lines if line.amount is not None),
            lines=lines,
            unpriced=tuple(dict.fromkeys(line.key for line in lines if line.amount is None)),
            questions=self._questions(lines, catalog),
        )

    def _questions(self, lines: tuple[Line, ...], catalog: Catalog) -> tuple[Question, ...]:
        """The doubts about fruits of the camera's lines; a line taken out by hand asks nothing.

        What is not recognised is asked about whatever the basket holds.
        """
        shown = {line.id for line in lines}
        questions = []
        for doubt in self.doubts:
            choices = tuple(price_line(key, 1, "camera", catalog) for key in doubt.choices)
            line_id = choices[0].id if choices else None
            if line_id is None or line_id in shown:
                questions.append(Question(doubt.fruit, line_id, choices))
        return tuple(questions)

    def _of(self, key: str) -> tuple[int, Words]:
        return self.counts.get(key, 0), self.words.get(key, Words())

    def _with(self, key: str, words: Words) -> Cart:
        return replace(self, words={**self.words, key: words})


def price_line(key: str, quantity: int, source: Source, catalog: Catalog) -> Line:
    """Make one line; a key that is not for sale gets no price, never a price of 0."""
    item, known = catalog.get(key), catalog.known(key)
    return Line(
        id=f"{source}:{key}",
        key=key,
        name_ko=known.name_ko if known else key,
        name_en=known.name_en if known else key,
        quantity=quantity,
        unit_price=item.price_minor if item else None,
        amount=item.price_minor * quantity if item else None,
        source=source,
    )


def check_quantity(quantity: object, lowest: int) -> int:
    """Return ``quantity`` if it is a whole number from ``lowest`` to 99, else InvalidQuantity."""
    if type(quantity) is not int or not lowest <= quantity <= MAX_QUANTITY:
        raise InvalidQuantity(f"The quantity must be a whole number from {lowest} to 99.")
    return quantity
