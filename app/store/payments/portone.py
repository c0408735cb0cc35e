"""PortOne, the Korean payment gateway (V2), through its own Python library.

Browsers say nothing here that counts: an order is paid only by what PortOne's REST interface
answers about it (https://developers.portone.io/api/rest-v2/payment).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.errors import BadSignature, InvalidInput, ProviderUnavailable, SettingsError
from app.shop.order import Order
from app.store.payments.owed import Told

if TYPE_CHECKING:
    from portone_server_sdk.payment import FailedPayment, PaidPayment

log = logging.getLogger("checkout.payments")
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class PortOneSettings:
    """What PortOne's console shows for this shop.

    api: address of its REST interface. test_channel: whether payments through a test channel
    count; such a payment moves no money.
    """

    store_id: str
    channel_key: str
    api_secret: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    api: str = "https://api.portone.io"
    test_channel: bool = False


class PortOne:
    """One shop's account at PortOne. Safe from any thread."""

    def __init__(self, settings: PortOneSettings) -> None:
        """Load the library; opens no connection. Raises SettingsError when it is not installed."""
        try:
            import httpx
            import portone_server_sdk as sdk
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"PortOne needs {error.name}: pip install -r requirements-portone.txt"
            ) from error
        self.settings = settings
        self._sdk, self._http_error = sdk, httpx.HTTPError
        self._client = sdk.PaymentClient(
            secret=settings.api_secret, base_url=settings.api, store_id=settings.store_id
        )
        self._client._sync_client.timeout = TIMEOUT_S  # the library has no setting for it

    def payment_id(self, order: Order) -> str:
        """The order's id at PortOne: its number, and something that nobody can guess.

        A database begun anew numbers from 1 again; an old payment must not pay a new order.
        """
        secret = hashlib.sha256(order.idempotency_key.encode()).hexdigest()
        return f"{order.number}-{secret[:12]}"

    def announce(self, order: Order) -> None:
        """Tell PortOne the amount, so that a browser cannot ask for another one.

        Harmless once it is paid. Raises ProviderUnavailable.
        """
        with self._answering(), suppress(self._sdk.errors.AlreadyPaidError):
            self._client.pre_register_payment(
                payment_id=self.payment_id(order),
                total_amount=order.total_minor,
                currency=order.currency,
            )

    def look(self, order: Order) -> Told | None:
        """Ask what became of an order; None while nothing is decided, or when it is taken back.

        Raises ProviderUnavailable.
        """
        with self._answering():
            try:
                payment = self._client.get_payment(payment_id=self.payment_id(order))
            except self._sdk.errors.PaymentNotFoundError:
                return None  # nobody has begun to pay
        if isinstance(payment, self._sdk.payment.PaidPayment):
            return self._paid(order, payment)
        if isinstance(payment, self._sdk.payment.FailedPayment):
            return self._failed(order, payment)
        return None

    def give_back(self, order: Order, reason: str) -> None:
        """Cancel a payment as a whole; one that is cancelled already stays so.

        Raises ProviderUnavailable.
        """
        with self._answering():
            try:
                self._client.cancel_payment(payment_id=self.payment_id(order), reason=reason)
            except self._sdk.errors.PaymentAlreadyCancelledError:
                return
        log.warning("payment_given_back number=%s", order.number)

    def order_number_in(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        """Read a webhook (Standard Webhooks): which order it is about; None when about none.

        Raises BadSignature; InvalidInput when the signed body is none that PortOne sends.
        """
        sdk = self._sdk.webhook
        lower = {name.lower(): value for name, value in headers.items()}
        try:
            message = sdk.verify(self.settings.webhook_secret, body.decode(), lower)
        except sdk.WebhookVerificationError as error:
            stale = error.reason.startswith("TIMESTAMP")
            code = "stale_message" if stale else "bad_signature"
            raise BadSignature(f"This is not PortOne's message: {error.reason}", code) from error
        except ValueError as error:
            raise InvalidInput("The body is no message of PortOne's.") from error
        data = getattr(message, "data", None)
        payment_id: str = getattr(data, "payment_id", "")
        return payment_id.rpartition("-")[0] or None

    def _paid(self, order: Order, payment: PaidPayment) -> Told | None:
        if payment.channel.type != "LIVE" and not self.settings.test_channel:
            log.error("portone_test_payment number=%s", order.number)
            return None
        whole = payment.amount.paid + payment.amount.discount == payment.amount.total
        amount_minor = payment.amount.total if whole else payment.amount.paid
        return Told(
            event=f"{payment.transaction_id}:paid",
            order_number=order.number,
            amount_minor=amount_minor,
            currency=payment.currency,
            paid=True,
            method="portone",
            by="portone",
            reference=payment.transaction_id,
        )

    def _failed(self, order: Order, payment: FailedPayment) -> Told:
        return Told(
            event=f"{payment.transaction_id}:failed",
            order_number=order.number,
            amount_minor=payment.amount.total,
            currency=payment.currency,
            paid=False,
            method="portone",
            by="portone",
            reference=payment.transaction_id,
            reason=payment.failure.reason or "no reason given",
        )

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turn every way in which PortOne may fail to answer into ProviderUnavailable."""
        try:
            yield
        except (self._http_error, self._sdk.errors.PortOneError, ValueError) as error:
            log.warning("portone_failed reason=%r", f"{type(error).__name__}: {error}"[:200])
            raise ProviderUnavailable("PortOne does not answer. Please try again.") from error
