"""A local server that speaks the part of PortOne's REST interface (V2) that a till needs.

Paths, header, fields and error types are those of
https://developers.portone.io/api/rest-v2/payment.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

API_SECRET = "the api secret of the tests"
WEBHOOK_KEY = b"the webhook key of the tests"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(WEBHOOK_KEY).decode()
STORE_ID = "store-4ff4af41-85e3-4559-8eb8-0d08a2c6ceec"
AT = "2026-11-22T07:00:00Z"


class PortOneServer:
    """Payments by id; ``asked`` remembers every request as (method, path, body)."""

    def __init__(self) -> None:
        self.payments: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.broken: bytes | None = None  # what it answers instead, whatever is asked
        self.refuses_to_cancel = False
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(*server.answer("GET", self.path, None, self.headers))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(*server.answer("POST", self.path, body, self.headers))

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, body: Any, headers: Any) -> tuple[int, bytes]:
        self.asked.append((method, path, body))
        if self.broken is not None:
            return 502, self.broken
        status, said = self._answer(method, path, body, headers)
        return status, json.dumps(said).encode()

    def _answer(self, method: str, path: str, body: Any, headers: Any) -> tuple[int, Any]:
        if headers["Authorization"] != f"PortOne {API_SECRET}":
            return 401, {"type": "UNAUTHORIZED", "message": "wrong secret"}
        asked = urlsplit(path)
        store = body["storeId"] if body else parse_qs(asked.query)["storeId"][0]
        if store != STORE_ID:
            return 403, {"type": "FORBIDDEN"}
        payment_id, *action = [unquote(part) for part in asked.path.split("/")[2:]]
        payment = self.payments.get(payment_id)
        if action == ["pre-register"]:
            paid = payment is not None and payment["status"] == "PAID"
            return (409, {"type": "ALREADY_PAID"}) if paid else (200, {})
        if payment is None:
            return 404, {"type": "PAYMENT_NOT_FOUND"}
        return self._cancel(payment, body) if action == ["cancel"] else (200, payment)

    def _cancel(self, payment: dict[str, Any], body: Any) -> tuple[int, Any]:
        if self.refuses_to_cancel:
            return 502, {"type": "PG_PROVIDER", "pgCode": "1", "pgMessage": "not now"}
        if payment["status"] == "CANCELLED":
            return 409, {"type": "PAYMENT_ALREADY_CANCELLED"}
        cancellation = {
            "status": "SUCCEEDED",
            "id": "cancellation-1",
            "totalAmount": payment["amount"]["total"],
            "taxFreeAmount": 0,
            "vatAmount": 0,
            "reason": body["reason"],
            "requestedAt": AT,
            "cancelledAt": AT,
        }
        payment |= {"status": "CANCELLED", "cancellations": [cancellation], "cancelledAt": AT}
        return 200, {"cancellation": cancellation}

    def pay(self, payment_id: str, total: int, **changes: Any) -> dict[str, Any]:
        """Let somebody pay in the gateway's window."""
        amount = {
            "total": total,
            "taxFree": 0,
            "discount": 0,
            "paid": total,
            "cancelled": 0,
            "cancelledTaxFree": 0,
        }
        payment = {
            "status": "PAID",
            "id": payment_id,
            "transactionId": f"tx-{len(self.payments) + 1}",
            "merchantId": "merchant-1",
            "storeId": STORE_ID,
            "channel": {
                "type": "LIVE",
                "id": "channel-1",
                "key": "channel-key-1",
                "name": "KG",
                "pgProvider": "KPN",
                "pgMerchantId": "M1",
            },
            "version": "V2",
            "requestedAt": AT,
            "updatedAt": AT,
            "statusChangedAt": AT,
            "paidAt": AT,
            "failedAt": AT,
            "orderName": "fruit",
            "amount": amount,
            "currency": "KRW",
            "customer": {},
            "origin": {"platformType": "PC", "ipAddress": "127.0.0.1"},
            "disputes": [],
            "failure": {"reason": "한도 초과"},
        }
        amount.update(changes.pop("amount", {}))
        payment["channel"].update(changes.pop("channel", {}))  # type: ignore[attr-defined]
        self.payments[payment_id] = payment | changes
        return self.payments[payment_id]


def webhook(
    payment_id: str, kind: str = "Transaction.Paid", age_s: float = 0, key: bytes = WEBHOOK_KEY
) -> tuple[bytes, dict[str, str]]:
    """A message as PortOne sends it, signed as Standard Webhooks says: body and headers."""
    data = {"paymentId": payment_id, "storeId": STORE_ID, "transactionId": "tx-1"}
    body = json.dumps({"type": kind, "timestamp": AT, "data": data}).encode()
    sent_at = str(int(time.time() - age_s))
    signed = hmac.digest(key, b"msg-1." + sent_at.encode() + b"." + body, hashlib.sha256)
    return body, {
        "webhook-id": "msg-1",
        "webhook-timestamp": sent_at,
        "webhook-signature": "v1," + base64.b64encode(signed).decode(),
        "Content-Type": "application/json",
    }
