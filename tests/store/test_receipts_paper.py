"""What a receipt looks like on paper and as a PDF."""

import io
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.store import receipt_paper, receipt_pdf
from app.store.receipt_paper import (
    NORMAL,
    WIDTH,
    Pair,
    ReceiptText,
    SoldLine,
    draw_picture,
    lay_out,
    length,
    wrapped,
)
from app.store.receipt_pdf import draw_pdf

URL = "http://192.168.0.10:8000/receipt/NDI.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
TEXT = ReceiptText(
    language="ko",
    title="영수증",
    seller=("싱싱 과일 가게", "사업자등록번호 123-45-67890"),
    facts=(Pair("주문 번호", "1-261122-0042"),),
    lines=(SoldLine("* 사과", "3 × 1,500원", "4,500원"),),
    totals=(Pair("합계", "4,500원", strong=True),),
    payment=(Pair("결제 수단", "현금"),),
    refunds=((Pair("환불 1", "-1,500원"),),),
    notes=("면세",),
)


@pytest.fixture
def no_korean_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(receipt_paper, "FONT_PACKAGE", "a package that is not installed")
    for cached in (receipt_paper.korean_fonts, receipt_paper.letters, receipt_pdf.font_names):
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in (receipt_paper.korean_fonts, receipt_paper.letters, receipt_pdf.font_names):
        cached.cache_clear()


def black(picture: Image.Image) -> np.ndarray:
    return ~np.asarray(picture)


def words_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    try:
        assert len(document) == 1
        return str(document[0].get_textpage().get_text_bounded())
    finally:
        document.close()


def size_mm(pdf: bytes) -> tuple[float, float]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        width_pt, height_pt = document[0].get_size()
        return width_pt / 72 * 25.4, height_pt / 72 * 25.4
    finally:
        document.close()


@pytest.mark.parametrize("dots", [576, 512, 384])
def test_the_picture_is_as_wide_as_the_paper_and_only_black_and_white(dots: int) -> None:
    picture = draw_picture(TEXT, dots)

    assert (picture.mode, picture.width) == ("1", dots)
    assert 0.01 < black(picture).mean() < 0.3


def test_a_total_stands_at_both_ends_of_its_line() -> None:
    sheet = lay_out(TEXT)
    left, right = [words for words in sheet.words if words.text in ("합계", "4,500원")][-2:]

    assert (left.text, left.x, left.anchor) == ("합계", 0, "l")
    assert (right.text, right.x, right.anchor) == ("4,500원", WIDTH, "r")
    assert (left.y, left.bold) == (right.y, right.bold)


def test_two_words_that_do_not_fit_on_one_line_stand_on_two() -> None:
    long = "아주 긴 이름의 결제 수단과 더 긴 설명"
    sheet = lay_out(replace(TEXT, payment=(Pair(long, long),)), 384)
    places = [words.y for words in sheet.words if words.text in long]

    assert len(set(places)) == len(places) >= 2


def test_the_code_on_the_paper_is_read_by_a_phone() -> None:
    picture = draw_picture(replace(TEXT, url=URL))

    read, _, _ = cv2.QRCodeDetector().detectAndDecode(np.asarray(picture, np.uint8) * 255)
    assert read == URL


def test_without_an_address_there_is_no_code() -> None:
    assert lay_out(TEXT).squares == []
    assert len(lay_out(replace(TEXT, url=URL)).squares) > 300


def test_different_receipts_look_different_and_equal_ones_the_same() -> None:
    other = replace(TEXT, lines=(SoldLine("* 사과", "2 × 1,500원", "3,000원"),))

    assert np.array_equal(black(draw_picture(TEXT)), black(draw_picture(TEXT)))
    assert not np.array_equal(black(draw_picture(TEXT)), black(draw_picture(other)))


def test_korean_letters_are_drawn_and_differ() -> None:
    a, b = (black(draw_picture(replace(TEXT, title=title))) for title in ("사과", "참외"))

    assert a.shape == b.shape
    assert not np.array_equal(a, b)


def test_the_pdf_is_eighty_millimetres_wide_and_its_words_can_be_copied() -> None:
    pdf = draw_pdf(replace(TEXT, url=URL))
    width_mm, height_mm = size_mm(pdf)

    assert width_mm == pytest.approx(80, abs=0.1)
    assert 60 < height_mm < 200
    words = words_of(pdf)
    for expected in (
        "싱싱 과일 가게",
        "123-45-67890",
        "* 사과",
        "3 × 1,500원",
        "환불 1",
        "-1,500원",
    ):
        assert expected in words


def test_the_pdf_carries_its_letters_with_it_and_stays_small() -> None:
    pdf = draw_pdf(replace(TEXT, url=URL))

    assert pdf.count(b"/FontFile2") == 2  # regular and bold, embedded
    assert len(pdf) < 150_000


def test_the_same_receipt_gives_the_same_pdf() -> None:
    assert draw_pdf(TEXT) == draw_pdf(TEXT)


def test_the_pdf_looks_like_the_paper() -> None:
    document = pypdfium2.PdfDocument(draw_pdf(TEXT))
    scale = 203.2 / 72  # eight dots to the millimetre
    page = np.asarray(document[0].render(scale=scale).to_pil().convert("L")) < 128
    document.close()
    paper = black(draw_picture(TEXT))
    page = page[32 : 32 + len(paper), 32 : 32 + WIDTH]
    blurred = [cv2.blur(one.astype(np.float32), (15, 15)) for one in (page, paper)]

    assert np.abs(blurred[0] - blurred[1]).mean() < 0.02
    assert np.corrcoef(blurred[0].ravel(), blurred[1].ravel())[0, 1] > 0.9


def test_a_longer_receipt_is_a_longer_page_never_a_second_one() -> None:
    many = replace(TEXT, lines=TEXT.lines * 60)
    pdf = draw_pdf(many)

    assert size_mm(pdf)[1] > 400
    assert words_of(pdf).count("* 사과") == 60


@pytest.mark.usefixtures("no_korean_font")
def test_without_a_korean_font_the_rest_is_still_printed() -> None:
    text = replace(TEXT, title="Receipt", lines=(SoldLine("* Apple", "3 × ₩1,500", "₩4,500"),))

    assert black(draw_picture(text)).any()
    words = words_of(draw_pdf(text))
    assert "* Apple" in words
    assert "KRW 4,500" in words
    assert "?? ?? ??" in words  # the seller's name cannot be written


@given(st.text(max_size=80), st.sampled_from([200, 384, 576]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_wrapped_lines_fit_and_lose_nothing(text: str, room: int, bold: bool) -> None:
    lines = list(wrapped(text, room, NORMAL, bold))

    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(len(line) == 1 or length(line, NORMAL, bold) <= room for line in lines)


def test_an_empty_receipt_is_a_piece_of_paper() -> None:
    empty = ReceiptText("en", "", (), (), (), (), ())
    picture = draw_picture(empty)

    assert picture.height > 0
    assert Image.open(io.BytesIO(_png(picture))).size == picture.size


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
