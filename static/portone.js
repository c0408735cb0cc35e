// Opens the payment gateway's window. What it answers is not believed: the server asks the gateway.
"use strict";

const order = document.getElementById("portone").dataset;
const say = (text) => { document.getElementById("alert").textContent = text; };
const check = () => document.getElementById("check").requestSubmit();

async function pay() {
  say("");
  try {
    const answer = await PortOne.requestPayment({
      storeId: order.store,
      channelKey: order.channel,
      paymentId: order.payment,
      orderName: order.name,
      totalAmount: Number(order.amount),
      currency: order.currency,
      payMethod: "CARD",
      redirectUrl: location.origin + location.pathname,
    });
    if (answer?.code !== undefined) say(answer.message);
    else check();
  } catch {
    say(document.getElementById("no-window").innerHTML);
  }
}

document.getElementById("open").addEventListener("click", pay);
setTimeout(() => location.assign("/"), (Number(order.leftS) + 2) * 1000); // the next customer's screen
pay();
