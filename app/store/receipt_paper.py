"""What a receipt says, laid out once on narrow paper, drawn as a picture or as a PDF.

Lengths are printer dots, eight to the millimetre, as thermal printers have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal

import segno
from PIL import Image, ImageDraw, ImageFont

FONT_PACKAGE = "koreanize-matplotlib"  # Nanum Gothic (SIL OFL 1.1); its code is never imported
FONT_FILES = ("NanumGothic.ttf", "NanumGothicBold.ttf")
WIDTH = 576
SMALL, NORMAL, LARGE = 20, 24, 36
LEADING = 1.45  # distance of the lines, in sizes of the letters
CODE_DOT = 6  # a module of the code: 0.75 mm, which phones read from 30 cm
QUIET = 4  # modules of white around the code (ISO/IEC 18004, 6.3.8)

Anchor = Literal["l", "m", "r"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Something and what it is, at the two ends of a line."""

    left: str
    right: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line of the order: its name, "2 × 3,000원", and the amount."""

    name: str
    count: str
    amount: str


@dataclass(frozen=True, slots=True)
class ReceiptText:
    """All words of one receipt, in one language, top to bottom.

    seller: name first, may be empty. refunds: one group each. url: where it can be read again, to
    be shown as a code; None: nowhere.
    """

    language: str
    title: str
    seller: tuple[str, ...]
    facts: tuple[Pair, ...]
    lines: tuple[SoldLine, ...]
    totals: tuple[Pair, ...]
    payment: tuple[Pair, ...]
    refunds: tuple[tuple[Pair, ...], ...] = ()
    notes: tuple[str, ...] = ()
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """Words on the paper; x: of their left end, middle or right end; y: of their base line."""

    text: str
    x: float
    y: float
    size: int
    bold: bool
    anchor: Anchor


@dataclass(slots=True)
class Sheet:
    """A receipt laid out from top to bottom; squares: black, (x, y, side)."""

    width: int
    height: float = 0.0
    words: list[Words] = field(default_factory=list)
    rules: list[float] = field(default_factory=list)
    squares: list[tuple[float, float, int]] = field(default_factory=list)

    def write(
        self, text: str, size: int = NORMAL, bold: bool = False, anchor: Anchor = "m"
    ) -> None:
        """Add a paragraph."""
        x = {"l": 0.0, "m": self.width / 2, "r": float(self.width)}[anchor]
        for line in wrapped(text, self.width, size, bold):
            self.height += size * LEADING
            self.words.append(Words(line, x, self._base(size), size, bold, anchor))

    def pair(self, left: str, right: str, size: int = NORMAL, bold: bool = False) -> None:
        """Add words at both ends of a line; on two lines when they do not fit on one."""
        room = self.width - size - length(right, size, bold)
        if length(left, size, bold) > room:
            self.write(left, size, bold, "l")
            self.write(right, size, bold, "r")
            return
        self.write(left, size, bold, "l")
        at = self._base(size)
        self.words.append(Words(right, float(self.width), at, size, bold, "r"))

    def rule(self) -> None:
        """Add a line across."""
        self.rules.append(self.height + 14)
        self.height += 20

    def gap(self) -> None:
        """Add some white."""
        self.height += 16

    def code(self, url: str) -> None:
        """Add a QR code."""
        rows = [bytes(row) for row in segno.make_qr(url, error="m").matrix]
        left = (self.width - len(rows) * CODE_DOT) / 2
        top = self.height + QUIET * CODE_DOT
        for n, row in enumerate(rows):
            for m, black in enumerate(row):
                if black:
                    self.squares.append((left + m * CODE_DOT, top + n * CODE_DOT, CODE_DOT))
        self.height = top + (len(rows) + QUIET) * CODE_DOT

    def _base(self, size: int) -> float:
        return self.height - size * (LEADING - 1)


def lay_out(text: ReceiptText, width: int = WIDTH) -> Sheet:
    """Place all words of a receipt on paper ``width`` dots wide."""
    sheet = Sheet(width)
    for n, line in enumerate(map(printable, text.seller)):
        sheet.write(line, SMALL if n else LARGE, bold=n == 0)
    sheet.gap()
    sheet.write(printable(text.title), NORMAL + 4, bold=True)
    _pairs(sheet, text.facts, SMALL)
    sheet.rule()
    for sold in text.lines:
        sheet.write(printable(sold.name), bold=True, anchor="l")
        sheet.pair(printable(sold.count), printable(sold.amount))
    for group in (text.totals, text.payment, *text.refunds):
        sheet.rule()
        _pairs(sheet, group, NORMAL)
    sheet.rule()
    for note in text.notes:
        sheet.write(printable(note), SMALL)
    if text.url:
        sheet.code(text.url)
    sheet.gap()
    return sheet


def _pairs(sheet: Sheet, pairs: tuple[Pair, ...], size: int) -> None:
    for pair in pairs:
        grown = size + 6 if pair.strong else size
        sheet.pair(printable(pair.left), printable(pair.right), grown, pair.strong)


def draw_picture(text: ReceiptText, dots: int = WIDTH) -> Image.Image:
    """Draw a receipt for a printer: mode "1", ``dots`` wide, white paper, black letters."""
    sheet = lay_out(text, dots)
    picture = Image.new("1", (dots, round(sheet.height)), 1)
    draw = ImageDraw.Draw(picture)
    draw.fontmode = "1"
    for words in sheet.words:
        font = letters(words.size, words.bold)
        draw.text((words.x, words.y), words.text, 0, font, anchor=f"{words.anchor}s")
    for y in sheet.rules:
        draw.line([(0, y), (dots, y)], 0, 2)
    for x, y, side in sheet.squares:
        draw.rectangle([x, y, x + side - 1, y + side - 1], 0)
    return picture


def wrapped(text: str, room: float, size: int, bold: bool) -> Iterator[str]:
    """Break a text into lines at its spaces; a word that is too long is broken anywhere."""
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if line and length(joined, size, bold) > room:
            yield line
            joined = word
        while len(joined) > 1 and length(joined, size, bold) > room:
            fitting = (n for n in range(len(joined)) if length(joined[:n], size, bold) <= room)
            end = max(1, *fitting)
            yield joined[:end]
            joined = joined[end:]
        line = joined
    if line:
        yield line


def length(text: str, size: int, bold: bool) -> float:
    """How wide a text is."""
    return float(letters(size, bold).getlength(text))


@cache
def letters(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    """The letters of a size; plain Latin ones when there is no Korean font."""
    files = korean_fonts()
    if files is None:
        return _latin_letters(size)
    return ImageFont.truetype(files[bold], size)


def _latin_letters(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise OSError("this Pillow has no FreeType: install the wheel from PyPI")
    return font


@cache
def korean_fonts() -> tuple[Path, Path] | None:
    """The files of the regular and the bold letters; None when they are not installed."""
    try:
        package = distribution(FONT_PACKAGE)
    except PackageNotFoundError:
        return None
    regular, bold = (
        Path(str(package.locate_file(f"koreanize_matplotlib/fonts/{name}"))) for name in FONT_FILES
    )
    return (regular, bold) if regular.is_file() and bold.is_file() else None


def printable(text: str) -> str:
    """The text as the letters at hand can show it: without a Korean font in Latin-1."""
    if korean_fonts() is not None:
        return text
    return text.replace("₩", "KRW ").encode("latin-1", "replace").decode("latin-1")
