// Keeps the pages in step with the server. It shows what the server sends and never computes
// money; without it every form still works by itself.
"use strict";

const page = document.querySelector("[data-page]");
const texts = JSON.parse(document.getElementById("texts").textContent);
const socket = io({ query: { lang: page.dataset.language } });
const byId = (id) => document.getElementById(id);

document.documentElement.classList.add("scripted");

// ---- The customer's screen ----

let orderId = null;
let payKey = null; // one wish to pay: kept until it is answered, so a resend makes no second order
let pictureUrl = null;
let unshown = null; // the picture that the server waits for, while this page is hidden

function showFrame(frame) {
  const picture = byId("picture");
  const url = URL.createObjectURL(new Blob([frame.jpeg], { type: "image/jpeg" }));
  const done = () => {
    if (pictureUrl) URL.revokeObjectURL(pictureUrl);
    pictureUrl = url;
    if (document.hidden) unshown = frame.seq; // a hidden page needs no pictures
    else socket.emit("frame_shown", { seq: frame.seq });
  };
  picture.onload = picture.onerror = done;
  picture.src = url;
  picture.hidden = false;
}

function showAgain() {
  if (document.hidden || unshown === null) return;
  socket.emit("frame_shown", { seq: unshown });
  unshown = null;
}

function showCart(cart) {
  byId("cart-version").value = cart.version;
  byId("total").textContent = cart.total_text;
  const list = byId("lines");
  const wanted = new Set(cart.lines.map((line) => line.id));
  for (const row of [...list.children]) if (!wanted.has(row.dataset.id)) removeRow(row);
  const known = new Map([...list.children].map((row) => [row.dataset.id, row]));
  cart.lines.forEach((line, at) => {
    const row = known.get(line.id) || newRow();
    fillRow(row, line);
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] || null);
  });
  showQuestions(cart.unsure);
  byId("empty").hidden = cart.lines.length > 0;
  if (!cart.lines.length) byId("expired").hidden = true; // the next customer begins afresh
  const moved = page.dataset.status !== cart.status;
  page.dataset.status = cart.status;
  for (const id of ["shopping", "total-row", "pay-form"]) byId(id).hidden = cart.status !== "open";
  byId("waiting").hidden = cart.status !== "awaiting_payment";
  byId("paid").hidden = cart.status !== "paid";
  if (cart.status !== "open") byId("adder").hidePopover?.();
  if (moved && !document.activeElement.checkVisibility?.()) { // what had the focus is gone
    const now = { open: "shopping", awaiting_payment: "waiting", paid: "paid" }[cart.status];
    byId(now).focus({ preventScroll: true });
  }
  tell(cart.summary_text);
}

function newRow() {
  return byId("line-template").content.firstElementChild.cloneNode(true);
}

let asked = null; // what is asked now: a question is not drawn anew under a finger
function showQuestions(questions) {
  if (asked === (asked = JSON.stringify(questions))) return;
  const focused = document.activeElement?.closest(".question")?.dataset.fruit;
  byId("questions").replaceChildren(...questions.map(newQuestion));
  byId("questions").hidden = questions.length === 0;
  if (focused) (byId("questions").querySelector(`[data-fruit="${focused}"] button`) || byId("open-adder")).focus();
}

function newQuestion(question) {
  const kind = question.choices.length ? "question-template" : "stranger-template";
  const row = byId(kind).content.firstElementChild.cloneNode(true);
  row.dataset.fruit = row.querySelector("[name=fruit]").value = question.fruit;
  if (!question.choices.length) return row;
  row.querySelector("[data-field=name]").textContent = question.choices[0].name;
  const button = row.querySelector("button");
  button.replaceWith(...question.choices.map((choice) => {
    const one = button.cloneNode(true);
    [one.value, one.dataset.name] = [choice.key, choice.name];
    one.querySelector("img").src = choice.picture;
    one.querySelector("span").textContent = choice.name;
    return one;
  }));
  return row;
}

function removeRow(row) {
  const hadFocus = row.contains(document.activeElement);
  row.remove();
  // not to another row's button: a key held down would take that fruit out, too
  if (hadFocus) document.querySelector(".lines-box").focus({ preventScroll: true });
}

function fillRow(row, line) {
  row.dataset.id = line.id;
  row.dataset.source = line.source;
  row.toggleAttribute("data-unpriced", line.amount === null);
  const thumb = row.querySelector(".thumb");
  if (thumb.getAttribute("src") !== line.picture) thumb.src = line.picture;
  row.querySelector("[name=id]").value = line.id;
  row.querySelector("[name=seen]").value = line.quantity;
  for (const field of row.querySelectorAll("[data-field]")) {
    const text = String(line[field.dataset.field]);
    if (field.textContent !== text) field.textContent = text;
  }
  const [less, more, remove] = row.querySelectorAll("button");
  less.value = line.quantity - 1;
  more.value = Math.min(line.quantity + 1, 99);
  more.disabled = line.quantity >= 99;
  less.ariaLabel = texts.one_less.replace("{name}", line.name);
  more.ariaLabel = texts.one_more.replace("{name}", line.name);
  remove.ariaLabel = texts.remove.replace("{name}", line.name);
}

function showLane(lane) {
  byId("picture-box").dataset.camera = lane.camera;
  byId("camera-banner").hidden = lane.camera === "ok";
  byId("pay").disabled = !lane.pay.allowed;
  byId("pay-reason").textContent = lane.pay.message;
}

function showOrder(order) {
  orderId = order.status === "cancelled" ? null : order.id;
  for (const place of document.querySelectorAll("[data-order]")) {
    place.textContent = order[place.dataset.order] ?? "";
  }
  for (const place of document.querySelectorAll("[data-order-value]")) place.value = order.id ?? "";
  if (order.status !== "awaiting_payment") payKey = null; // it is answered, however late
  if (order.status === "paid") {
    for (const way of document.querySelectorAll(".way input")) way.checked = way.defaultChecked;
  }
  showHowToPay(order);
}

function showHowToPay(order) {
  for (const how of document.querySelectorAll("[data-way]")) how.hidden = how.dataset.way !== (order.method ?? "clerk");
  const code = byId("code");
  code.hidden = !order.code_url;
  if (order.code_url && code.getAttribute("src") !== order.code_url) code.src = order.code_url;
  if (order.status === "expired") {
    byId("expired").hidden = false;
    tell(texts.expired);
  } else if (order.status) byId("expired").hidden = true;
  countDown(order.left_s);
}

let ticking = null;
function countDown(leftS) { // the server alone decides when the time is over
  clearInterval(ticking);
  byId("time").hidden = leftS === null;
  if (leftS === null) return;
  const end = performance.now() + leftS * 1000;
  let warned = false;
  const tick = () => {
    const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
    byId("left").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    byId("time").classList.toggle("short", left <= 30);
    if (left <= 30 && !warned) tell(texts.time_short);
    warned ||= left <= 30;
  };
  ticking = setInterval(tick, 250);
  tick();
}

let saying = null;
function tell(text) { // what is said aloud: only what has come to rest
  clearTimeout(saying);
  saying = setTimeout(() => { byId("status").textContent = text; }, 600);
}

let alerting = null;
function alertUser(text) {
  byId("alert").textContent = text;
  clearTimeout(alerting);
  alerting = setTimeout(() => { byId("alert").textContent = standing; }, 8000);
}

let standing = ""; // a problem that lasts
function showProblem(problem) {
  standing = problem.code && problem.code !== "camera_down" ? problem.message : "";
  byId("alert").textContent = standing;
}

// Each form of the customer's page is also an event: what it asks for, from its own fields.
const asks = {
  add_item: (form, button) => ["add_item", { key: button.value, quantity: Number(form.elements.quantity.value) }],
  change_line: (form, button) => "remove" in button.dataset
    ? ["remove_line", { id: form.elements.id.value, seen: Number(form.elements.seen.value) }]
    : ["change_line", {
      id: form.elements.id.value, quantity: Number(button.value), seen: Number(form.elements.seen.value),
    }],
  name_fruit: (form, button) => ["name_fruit", { fruit: Number(form.elements.fruit.value), key: button.value }],
  pay: (form) => ["pay", {
    cart_version: Number(byId("cart-version").value),
    method: form.elements.method.value,
    idempotency_key: (payKey ??= newKey()),
  }],
  cancel: () => ["cancel", { order_id: orderId }],
  more_time: () => ["more_time", { order_id: orderId }],
  call_staff: () => ["call_staff", {}],
};

function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A tap changes what lies under the finger: the second of a double tap must not hit what moved up.
const DOUBLE_TAP_MS = 500;
const DOUBLE_TAP_PX = 40;
let finger = null;
let tapped = null;
function isDoubleTap(button) {
  const before = tapped;
  tapped = finger && { ...finger, button };
  finger = null; // a key has no place
  return before !== null && tapped !== null && before.button !== button
    && tapped.at - before.at < DOUBLE_TAP_MS
    && Math.hypot(tapped.x - before.x, tapped.y - before.y) < DOUBLE_TAP_PX;
}

function submitted(event) {
  const form = event.target;
  const ask = asks[form.dataset.event];
  event.preventDefault();
  if (isDoubleTap(event.submitter)) return;
  if (form.dataset.event === "add_item") byId("adder").hidePopover?.();
  if (!ask || !socket.connected) return send(form, event.submitter);
  const [name, data] = ask(form, event.submitter);
  socket.timeout(5000).emit(name, data, (late, answer) => answered(name, late, answer, event.submitter));
}

async function send(form, button) { // not by leaving the page: a kiosk has no way back to it
  try {
    const body = new FormData(form, button);
    const answer = await fetch(form.action, { method: "POST", body, signal: AbortSignal.timeout(5000) });
    if (answer.ok) return location.assign(answer.url);
    const refusal = new DOMParser().parseFromString(await answer.text(), "text/html");
    const alert = refusal.querySelector("[role=alert]");
    if (alert) alertUser(alert.textContent);
    else location.assign("/"); // this page is too old to be believed
  } catch {
    alertUser(unanswered(form.dataset.event));
  }
}

function unanswered(name) { // all but this can be sent again: twice it is the same wish
  return name === "add_item" ? texts.perhaps_sent : texts.not_sent;
}

function answered(name, late, answer, button) {
  if (late) return alertUser(unanswered(name)); // the key to pay stays
  if (name === "pay" || name === "cancel") payKey = null;
  if (!answer.ok) return alertUser(answer.message);
  byId("alert").textContent = standing;
  if (name === "add_item") tell(texts.added.replace("{name}", button.dataset.name));
  if (name === "name_fruit" && button.dataset.name) tell(texts.named.replace("{name}", button.dataset.name));
  if (name === "more_time") tell(texts.extended);
  if (name === "call_staff") tell(texts.called);
}

// Pages stay open for days: what can be added, and for how much, is asked for when it is looked at.
async function refreshProduce() {
  try {
    const answer = await fetch(byId("produce").dataset.source, { signal: AbortSignal.timeout(5000) });
    if (answer.ok) byId("produce").innerHTML = await answer.text();
  } catch {
    // the connection is away, which the page says already
  }
}

function startCustomer() {
  socket.on("frame", showFrame);
  socket.on("cart", showCart);
  socket.on("lane", showLane);
  socket.on("order", showOrder);
  socket.on("problem", showProblem);
  socket.on("staff_call", (call) => { byId("called").hidden = !call.open; });
  byId("adder").addEventListener("beforetoggle", (event) => { if (event.newState === "open") refreshProduce(); });
  if (byId("left").dataset.leftS) countDown(Number(byId("left").dataset.leftS));
  socket.on("connect", () => offline(false));
  socket.on("disconnect", () => offline(true));
  socket.on("connect_error", () => offline(true));
  document.addEventListener("pointerdown", (event) => {
    finger = { x: event.clientX, y: event.clientY, at: event.timeStamp };
  }, true);
  document.addEventListener("submit", submitted);
  document.addEventListener("visibilitychange", showAgain);
}

function offline(away) {
  document.body.classList.toggle("offline", away);
  byId("connection-banner").hidden = !away;
  if (away) {
    byId("pay").disabled = true;
    byId("pay-reason").textContent = texts.no_connection;
  }
}

// ---- The clerk's screen ----

let fetching = false;
let again = false;

async function refresh() {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const orders = byId("orders");
    const answer = await fetch(orders.dataset.source, { redirect: "manual", signal: AbortSignal.timeout(5000) });
    if (answer.type === "opaqueredirect") return location.reload(); // signed out meanwhile
    if (answer.ok) replaceOrders(orders, await answer.text());
    else again = true;
  } catch {
    again = true; // the connection is away; it is tried again below
  } finally {
    fetching = false;
  }
  if (again) { again = false; setTimeout(refresh, 1000); }
}

function replaceOrders(orders, html) {
  const active = document.activeElement;
  const focused = orders.contains(active) ? placeOf(active) : null;
  const typed = [...orders.querySelectorAll("input[id]")].map((field) => [field.id, field.value]);
  const open = [...orders.querySelectorAll("details[open]")].map((way) => way.id);
  orders.innerHTML = html;
  for (const [id, value] of typed) if (byId(id)) byId(id).value = value;
  for (const id of open) if (byId(id)) byId(id).open = true;
  if (focused) orders.querySelector(focused)?.focus();
  byId("status").textContent = [...orders.querySelectorAll("h2")].map((title) => title.textContent).join(", ");
}

function placeOf(element) { // how to find the same field or button in a newer copy of the page
  if (element.id) return `#${CSS.escape(element.id)}`;
  const form = element.form?.getAttribute("action");
  const way = element.closest("details")?.id;
  const inside = way ? `#${CSS.escape(way)} ` : "";
  if (!form) return inside ? `${inside}summary` : null;
  const value = element.value ? `[value="${CSS.escape(element.value)}"]` : "";
  return `${inside}form[action="${CSS.escape(form)}"] ${element.localName}${value}`;
}

function startClerk() {
  let camera = null;
  for (const event of ["connect", "order", "staff_call", "problem"]) socket.on(event, refresh);
  socket.on("lane", (lane) => { if (camera !== (camera = lane.camera)) refresh(); });
  const alert = byId("alert"); // what the server said about a form stays until the page is left
  socket.on("connect", () => { if (alert.textContent === texts.no_connection) alert.textContent = ""; });
  socket.on("disconnect", () => { alert.textContent = texts.no_connection; });
}

// The server lets in so many at a time: one that is refused does not try again by itself.
socket.on("disconnect", (why) => { if (why === "io server disconnect") setTimeout(() => socket.connect(), 5000); });

({ customer: startCustomer, clerk: startClerk })[page.dataset.page]();
