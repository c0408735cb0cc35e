import os
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.settings import Settings, load_secret_key, use_time_zone


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = Settings.from_env({})

    assert settings == Settings()
    assert (settings.host, settings.port, settings.language) == ("127.0.0.1", 8000, "ko")
    assert settings.camera is None
    assert settings.prices.is_absolute()
    assert settings.prices.name == "prices.xlsx"
    assert settings.weights.parts[-2:] == ("weights", "default.safetensors")
    assert settings.database_url == f"sqlite:///{settings.instance / 'checkout.sqlite3'}"


def test_every_variable_is_read() -> None:
    settings = Settings.from_env(
        {
            "CHECKOUT_CAMERA": "rtsp://camera/1",
            "CHECKOUT_PRICES": "/shop/p.xlsx",
            "CHECKOUT_WEIGHTS": "/shop/w.safetensors",
            "CHECKOUT_RUNTIME": "torch",
            "CHECKOUT_IMAGE_SIZE": "320",
            "CHECKOUT_DATABASE_URL": "postgresql+psycopg://shop@db/checkout",
            "CHECKOUT_LANE": "왼쪽",
            "CHECKOUT_SECRET_KEY": "0123456789abcdef",
            "CHECKOUT_HOST": "0.0.0.0",
            "CHECKOUT_PORT": "9000",
            "CHECKOUT_LANGUAGE": "en",
            "CHECKOUT_TIME_ZONE": "Asia/Seoul",
        }
    )

    assert settings == Settings(
        camera="rtsp://camera/1",
        prices=Path("/shop/p.xlsx"),
        weights=Path("/shop/w.safetensors"),
        runtime="torch",
        image_size=320,
        database_url="postgresql+psycopg://shop@db/checkout",
        lane="왼쪽",
        secret_key="0123456789abcdef",
        host="0.0.0.0",
        port=9000,
        language="en",
        time_zone="Asia/Seoul",
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.from_env({"CHECKOUT_CAMERA": " ", "CHECKOUT_PORT": ""}) == Settings()


def test_a_relative_path_is_taken_from_where_the_command_runs() -> None:
    assert Settings.from_env({"CHECKOUT_PRICES": "p.xlsx"}).prices == Path.cwd() / "p.xlsx"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHECKOUT_PORT", "0"),
        ("CHECKOUT_PORT", "65536"),
        ("CHECKOUT_PORT", "http"),
        ("CHECKOUT_PORT", "-1"),
        ("CHECKOUT_PORT", "²"),
        ("CHECKOUT_LANGUAGE", "fr"),
        ("CHECKOUT_RUNTIME", "cuda"),
        ("CHECKOUT_IMAGE_SIZE", "300"),
        ("CHECKOUT_IMAGE_SIZE", "0"),
        ("CHECKOUT_IMAGE_SIZE", "9600"),
        ("CHECKOUT_IMAGE_SIZE", "big"),
        ("CHECKOUT_LANE", "x" * 33),
        ("CHECKOUT_LANE", "a\nb"),
        ("CHECKOUT_SECRET_KEY", "short"),
        ("CHECKOUT_DATABASE_URL", "checkout.sqlite3"),
        ("CHECKOUT_DATABASE_URL", "mysql://shop@db/checkout"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({name: value})

    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_secret_is_never_repeated_in_the_message() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"CHECKOUT_SECRET_KEY": "hunter2"})

    assert "hunter2" not in str(refused.value)


def test_a_secret_key_that_is_set_is_used_and_nothing_is_written(tmp_path: Path) -> None:
    settings = Settings(secret_key="0123456789abcdef", instance=tmp_path / "instance")

    assert load_secret_key(settings) == "0123456789abcdef"
    assert not settings.instance.exists()


def test_a_secret_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    settings = Settings(instance=tmp_path / "instance")

    first = load_secret_key(settings)

    assert load_secret_key(settings) == first
    assert len(first) == 64
    assert [path.name for path in settings.instance.iterdir()] == ["secret_key"]
    assert stat.S_IMODE((settings.instance / "secret_key").stat().st_mode) == 0o600


def test_starters_that_come_together_agree_on_one_secret_key(tmp_path: Path) -> None:
    keys: list[str] = []
    settings = Settings(instance=tmp_path)
    threads = [
        threading.Thread(target=lambda: keys.append(load_secret_key(settings))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_a_folder_that_cannot_be_written_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("a file where the folder should be")

    with pytest.raises(SettingsError, match="CHECKOUT_SECRET_KEY"):
        load_secret_key(Settings(instance=tmp_path / "instance"))


def test_a_secret_key_file_that_was_emptied_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()

    with pytest.raises(SettingsError, match="delete it"):
        load_secret_key(Settings(instance=tmp_path))


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CHECKOUT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHECKOUT_PORT", "8123")

    assert Settings.from_env().port == 8123


@pytest.fixture
def own_clock() -> Iterator[None]:
    """A process may move to another time zone; afterwards it is back."""
    before = os.environ.get("TZ")
    yield
    os.environ.pop("TZ", None)
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("own_clock")
def test_days_begin_where_the_shop_is() -> None:
    night = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)

    use_time_zone(Settings(time_zone="Asia/Seoul"))
    assert night.astimezone().isoformat() == "2026-11-23T00:30:00+09:00"

    use_time_zone(Settings(time_zone="America/New_York"))
    assert night.astimezone().isoformat() == "2026-11-22T10:30:00-05:00"


@pytest.mark.usefixtures("own_clock")
def test_without_a_time_zone_the_machine_keeps_its_own() -> None:
    before = time.tzname
    use_time_zone(Settings())

    assert time.tzname == before


@pytest.mark.parametrize("name", ["Asia", "Mars/Olympus", "../passwd", "/etc/localtime"])
def test_a_time_zone_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="CHECKOUT_TIME_ZONE"):
        Settings.from_env({"CHECKOUT_TIME_ZONE": name})
