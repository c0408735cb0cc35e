// The customer's receipt: offered from the payment until the next fruit is laid down. It comes
// after checkout.js and uses its socket.
"use strict";

// The language of this screen, as its address or the shop says: customers change it for one sale.
const home = (sessionStorage.language ??= new URLSearchParams(location.search).get("lang") ?? page.dataset.shopLanguage);
const OFFERED_MS = 30000; // after the counter was cleared: long enough to scan a code

let leaving = null;

function offerReceipt(order) {
  if (!order.receipt) return;
  clearTimeout(leaving);
  leaving = null;
  const code = byId("receipt-code");
  byId("open-receipt").href = order.receipt;
  if (order.receipt_code && code.getAttribute("src") !== order.receipt_code) code.src = order.receipt_code;
  code.hidden = byId("receipt-hint").hidden = !order.receipt_code;
  byId("receipt-link").hidden = false;
}

function withdrawReceipt() {
  clearTimeout(leaving);
  leaving = null;
  byId("receipt").hidePopover?.();
  byId("receipt-body").replaceChildren();
  byId("receipt-link").hidden = true;
  byId("open-receipt").removeAttribute("href");
  byId("receipt-code").removeAttribute("src");
  const back = document.querySelector(`.languages [value="${CSS.escape(home)}"]`); // if it is another now
  if (back) send(back.form, back);
}

function nextBasket(cart) {
  if (cart.status === "paid" || byId("receipt-link").hidden) return;
  if (cart.status !== "open" || cart.lines.length > 0) withdrawReceipt();
  else leaving ??= setTimeout(withdrawReceipt, OFFERED_MS);
}

async function openReceipt(event) {
  event.preventDefault();
  const link = byId("open-receipt");
  const wanted = link.href;
  let body = null;
  try {
    const answer = await fetch(`${wanted}?part=body&lang=${page.dataset.language}`, { signal: AbortSignal.timeout(5000) });
    if (answer.ok) body = await answer.text();
  } catch {
    // the connection is away
  }
  if (link.href !== wanted) return; // the next basket has begun meanwhile
  if (body === null) return alertUser(texts.not_sent);
  byId("receipt-body").innerHTML = body;
  byId("receipt").showPopover();
}

socket.on("order", offerReceipt);
socket.on("cart", nextBasket);
byId("open-receipt").addEventListener("click", openReceipt);
