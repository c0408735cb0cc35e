"""A receipt as a PDF: 80 mm wide, as long as it needs, real text in embedded letters."""

from __future__ import annotations

from functools import cache
from io import BytesIO

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from app.store.receipt_paper import ReceiptText, korean_fonts, lay_out

DOT_PT = 72 / 25.4 / 8  # eight dots to the millimetre
MARGIN_DOTS = 32
KOREAN = ("Receipt", "Receipt-Bold")
LATIN = ("Helvetica", "Helvetica-Bold")


def draw_pdf(text: ReceiptText) -> bytes:
    """Draw a receipt; the same receipt gives the same bytes."""
    sheet = lay_out(text)
    names = font_names()
    width = (sheet.width + 2 * MARGIN_DOTS) * DOT_PT
    height = (sheet.height + 2 * MARGIN_DOTS) * DOT_PT
    buffer = BytesIO()
    canvas = Canvas(buffer, (width, height), pageCompression=1, invariant=1, lang=text.language)
    canvas.setTitle(text.title)
    canvas.translate(MARGIN_DOTS * DOT_PT, height - MARGIN_DOTS * DOT_PT)
    canvas.scale(DOT_PT, DOT_PT)
    draw = {"l": canvas.drawString, "m": canvas.drawCentredString, "r": canvas.drawRightString}
    for words in sheet.words:
        canvas.setFont(names[words.bold], words.size)
        draw[words.anchor](words.x, -words.y, words.text)
    canvas.setLineWidth(1.5)
    for y in sheet.rules:
        canvas.line(0, -y, sheet.width, -y)
    for x, y, side in sheet.squares:
        canvas.rect(x, -y - side, side, side, stroke=0, fill=1)
    canvas.save()
    return buffer.getvalue()


@cache
def font_names() -> tuple[str, str]:
    """The names of the regular and the bold letters, loaded the first time."""
    files = korean_fonts()
    if files is None:
        return LATIN
    for name, file in zip(KOREAN, files, strict=True):
        pdfmetrics.registerFont(TTFont(name, str(file)))
    return KOREAN
