// Prints the receipt on a page as long as the receipt is.
"use strict";

const PAPER_MM = 80, MARGIN_MM = 4, PX_PER_MM = 96 / 25.4;
const sheet = new CSSStyleSheet();
document.adoptedStyleSheets = [sheet];

function fitPaper() {
  const receipt = document.querySelector(".receipt");
  const measure = receipt.cloneNode(true);
  // As wide and in such letters as on paper; receipt.css says the same for print.
  sheet.replaceSync(`
    .measured { position: absolute; visibility: hidden; padding: 0; font-size: 9pt; width: ${PAPER_MM - 2 * MARGIN_MM}mm; }
    .measured footer img { width: 30mm; height: 30mm; }`);
  measure.classList.add("measured");
  document.body.append(measure);
  const height = Math.ceil(measure.getBoundingClientRect().height / PX_PER_MM) + 2 * MARGIN_MM + 4;
  measure.remove();
  sheet.replaceSync(`@page { size: ${PAPER_MM}mm ${height}mm; margin: ${MARGIN_MM}mm; }`);
}

addEventListener("beforeprint", fitPaper);
const button = document.getElementById("print");
button.hidden = false;
button.addEventListener("click", () => print());
