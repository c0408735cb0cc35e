"""What the shop can set from outside: one frozen value, read from the environment once."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.errors import SettingsError
from app.payment_settings import PaymentSettings, read_payment_settings
from app.receipt_settings import ReceiptSettings, read_receipt_settings

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("ko", "en")
RUNTIMES = ("auto", "openvino", "torch")
DATABASES = ("sqlite", "postgresql")
IMAGE_SIZES = range(160, 961, 32)
SECRET_MIN_LENGTH = 16


@dataclass(frozen=True)
class Settings:
    """Everything that differs from shop to shop.

    camera: device index, file, folder, URL or "demo"; None: the first webcam, else "demo".
    prices: the price sheet, .xlsx, absolute path.
    weights: the detector's weights, .safetensors, absolute path.
    runtime: what runs the detector: "auto", "openvino" or "torch".
    image_size: side of its input, a multiple of 32, pixels; None: the weights' own.
    database_url: SQLAlchemy URL of the orders and users.
    lane: this counter's name, 1 to 32 printable characters.
    secret_key: signs cookies and forms, at least 16 characters; None: kept in ``instance``.
    host: address to listen on.
    port: TCP port to listen on, 1 to 65535.
    language: the screens' language before anybody chose one: "ko" or "en".
    time_zone: where the shop's days begin, an IANA name ("Asia/Seoul"); None: the machine's own.
    payments: the ways to pay, and what each needs.
    receipts: what stands on a receipt, and where it is printed.
    instance: folder for what this machine writes (database, generated secret), absolute path.
    """

    camera: str | None = None
    prices: Path = ROOT / "prices.xlsx"
    weights: Path = ROOT / "weights" / "default.safetensors"
    runtime: str = "auto"
    image_size: int | None = None
    database_url: str = f"sqlite:///{ROOT / 'instance' / 'checkout.sqlite3'}"
    lane: str = "1"
    secret_key: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    language: str = "ko"
    time_zone: str | None = None
    payments: PaymentSettings = field(default_factory=PaymentSettings)
    receipts: ReceiptSettings = field(default_factory=ReceiptSettings)
    instance: Path = ROOT / "instance"

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read the CHECKOUT_… variables; an empty one counts as not set.

        env: the variables, default this process's own. Raises SettingsError naming the variable.
        """
        given = _given(os.environ if env is None else env)
        default = cls()
        lane = _lane(given.get("LANE", default.lane))
        host, port = given.get("HOST", default.host), _port(given.get("PORT", str(default.port)))
        return cls(
            camera=given.get("CAMERA"),
            prices=_path(given.get("PRICES"), default.prices),
            weights=_path(given.get("WEIGHTS"), default.weights),
            runtime=_choice("RUNTIME", given.get("RUNTIME", default.runtime), RUNTIMES),
            image_size=_image_size(given.get("IMAGE_SIZE")),
            database_url=_database_url(given.get("DATABASE_URL", default.database_url)),
            lane=lane,
            secret_key=_secret_key(given.get("SECRET_KEY")),
            host=host,
            port=port,
            language=_choice("LANGUAGE", given.get("LANGUAGE", default.language), LANGUAGES),
            time_zone=_time_zone(given.get("TIME_ZONE")),
            payments=read_payment_settings(given, lane),
            receipts=read_receipt_settings(given, host, port),
        )


def use_time_zone(settings: Settings) -> None:
    """Let this process live in the shop's time zone; call it before any thread starts.

    From then on ``astimezone()`` gives the shop's time everywhere. The database stays in UTC.
    Raises SettingsError when the machine's own clock does not know the zone.
    """
    if settings.time_zone is None:
        return
    os.environ["TZ"] = settings.time_zone
    time.tzset()
    now = datetime.now().astimezone()
    if now.utcoffset() != now.astimezone(ZoneInfo(settings.time_zone)).utcoffset():
        raise SettingsError(
            f"CHECKOUT_TIME_ZONE={settings.time_zone!r}: install the system's package tzdata"
        )


def load_secret_key(settings: Settings) -> str:
    """The key that signs cookies: the one set, else one made once and kept in ``instance``.

    Writes ``instance/secret_key`` (mode 0600) the first time. Raises SettingsError if it can
    neither be read nor written.
    """
    if settings.secret_key is not None:
        return settings.secret_key
    path = settings.instance / "secret_key"
    try:
        settings.instance.mkdir(parents=True, exist_ok=True)
        _write_once(path, secrets.token_hex(32))
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"cannot keep a secret key in {path} ({error}); set CHECKOUT_SECRET_KEY"
        ) from error
    if len(key) < SECRET_MIN_LENGTH:
        raise SettingsError(f"{path} is too short; delete it and a new one is made")
    return key


def _write_once(path: Path, text: str) -> None:
    """Create the file whole with mode 0600, unless it is there already."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
    try:
        os.link(draft, path)  # fails if another process was first: its key is the one to use
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _given(env: Mapping[str, str]) -> dict[str, str]:
    prefix = "CHECKOUT_"
    stripped = {name: value.strip() for name, value in env.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): value for name, value in stripped.items() if value}


def _path(value: str | None, default: Path) -> Path:
    return default if value is None else Path(value).expanduser().absolute()


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise SettingsError(f"CHECKOUT_{name}={value!r}: use one of {', '.join(allowed)}")
    return value


def _image_size(value: str | None) -> int | None:
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and int(value) in IMAGE_SIZES):
        raise SettingsError(
            f"CHECKOUT_IMAGE_SIZE={value!r}: use a multiple of 32 from {IMAGE_SIZES[0]} to "
            f"{IMAGE_SIZES[-1]}"
        )
    return int(value)


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65535):
        raise SettingsError(f"CHECKOUT_PORT={value!r}: use a number from 1 to 65535")
    return int(value)


def _lane(value: str) -> str:
    if len(value) > 32 or not value.isprintable():
        raise SettingsError(f"CHECKOUT_LANE={value!r}: use 1 to 32 printable characters")
    return value


def _time_zone(value: str | None) -> str | None:
    try:
        return value and ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(
            f"CHECKOUT_TIME_ZONE={value!r}: use a name like Asia/Seoul or Europe/Berlin"
        ) from error


def _secret_key(value: str | None) -> str | None:
    if value is not None and len(value) < SECRET_MIN_LENGTH:
        raise SettingsError(f"CHECKOUT_SECRET_KEY: use at least {SECRET_MIN_LENGTH} characters")
    return value


def _database_url(value: str) -> str:
    scheme = urlsplit(value).scheme.partition("+")[0]
    if scheme not in DATABASES:
        raise SettingsError(
            "CHECKOUT_DATABASE_URL: use an address that begins sqlite:/// or postgresql://"
        )
    return value
