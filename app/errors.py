"""The domain's exceptions, one tree.

Every error carries a ``code`` (stable, for programs) and a message (one sentence that says what
to do, for people). The web layer turns ``http_status`` and ``code`` into an answer; nothing else
decides how an error looks.
"""


class CheckoutError(Exception):
    """Anything this project refuses to do, with the reason."""

    code = "error"
    http_status = 400


class SettingsError(CheckoutError):
    """A setting that cannot be used."""

    code = "bad_setting"


class SourceError(CheckoutError):
    """A camera, file, folder or address that cannot be opened or read."""

    code = "bad_source"


class PriceSheetError(CheckoutError):
    """A price sheet that does not validate; ``cell`` is its address ("C4"), or None."""

    code = "bad_price_sheet"

    def __init__(self, reason: str, cell: str | None = None) -> None:
        super().__init__(f"{cell}: {reason}" if cell else reason)
        self.reason = reason
        self.cell = cell


class InvalidQuantity(CheckoutError):
    """A quantity outside 0…99 (for a new line 1…99)."""

    code = "invalid_quantity"


class UnknownItem(CheckoutError):
    """A key that the price sheet does not offer."""

    code = "unknown_item"


class LineNotFound(CheckoutError):
    """A line that is no longer in the cart."""

    code = "line_not_found"
    http_status = 404


class CartFrozen(CheckoutError):
    """A change to a cart that is being paid or has been paid."""

    code = "cart_frozen"
    http_status = 409


class VersionConflict(CheckoutError):
    """The cart changed after the browser saw it."""

    code = "version_conflict"
    http_status = 409


class CannotPay(CheckoutError):
    """A cart that must not become money; ``code`` says why: ``cart_empty``, ``unpriced``,
    ``unsure``, ``not_settled`` or ``camera_down``."""

    http_status = 409

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidPayment(CheckoutError):
    """A wish to pay that is malformed, or a proof that does not do; ``code`` says which:
    ``invalid_payment``, ``cash_missing``, ``cash_short``, ``approval_missing``,
    ``reference_missing``, ``reference_used`` or ``amount_differs``."""

    def __init__(self, message: str, code: str = "invalid_payment") -> None:
        super().__init__(message)
        self.code = code
        self.http_status = {"reference_used": 409, "amount_differs": 422}.get(code, 400)


class BadSignature(CheckoutError):
    """A provider's message that it did not sign (``bad_signature``) or not just now
    (``stale_message``)."""

    http_status = 401

    def __init__(self, message: str, code: str = "bad_signature") -> None:
        super().__init__(message)
        self.code = code


class ProviderUnavailable(CheckoutError):
    """A payment provider that does not answer, or not as agreed; nothing has changed."""

    code = "provider_unavailable"
    http_status = 503


class InvalidRefund(CheckoutError):
    """A refund that must not be; ``code`` says why: ``refund_choice``, ``refund_too_much``,
    ``refund_nothing_left``, ``refund_reason`` or ``refund_meanwhile``."""

    code = "invalid_refund"
    http_status = 409

    def __init__(self, message: str, code: str = code) -> None:
        super().__init__(message)
        self.code = code


class InvalidPeriod(CheckoutError):
    """Days that are none, are too many, end before they begin, or hold too much to export."""

    code = "invalid_period"

    def __init__(self, message: str, code: str = code) -> None:
        super().__init__(message)
        self.code = code


class OrderNotFound(CheckoutError):
    """No order has this id."""

    code = "order_not_found"
    http_status = 404


class IllegalTransition(CheckoutError):
    """An order cannot go from its status to the one asked for."""

    code = "illegal_transition"
    http_status = 409


class StoreUnavailable(CheckoutError):
    """The database cannot be written; sales stop until it can."""

    code = "store_unavailable"
    http_status = 503


class BackupFailed(CheckoutError):
    """A copy of the database that could not be made, or is not as the database was."""

    code = "backup_failed"


class InvalidUser(CheckoutError):
    """A name, password or role that an account cannot have."""

    code = "invalid_user"


class InvalidInput(CheckoutError):
    """A request that is not as agreed: a field missing or of the wrong kind."""

    code = "bad_request"
