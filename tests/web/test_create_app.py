"""The application without a running checkout, and the commands."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from app import create_app
from app.settings import ROOT, Settings
from app.store.database import Database
from app.store.users import SqlUsers
from tests.web.server import PASSWORD, Server

PO = ROOT / "app" / "translations" / "ko" / "LC_MESSAGES" / "messages.po"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        camera="/no/such/device",
        prices=tmp_path / "none.xlsx",
        weights=tmp_path / "none.safetensors",
        database_url=f"sqlite:///{tmp_path / 'new' / 'checkout.sqlite3'}",
        secret_key="a key that only the tests know",
        instance=tmp_path / "instance",
    )


def test_making_the_app_starts_no_thread_and_touches_no_file(
    settings: Settings, tmp_path: Path
) -> None:
    threads = threading.active_count()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))

    create_app(settings)

    assert threading.active_count() == threads
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert list(tmp_path.iterdir()) == []


def test_importing_the_app_loads_neither_camera_nor_detector() -> None:
    code = "import sys, app; print([m for m in ('cv2', 'torch', 'flask') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_without_a_running_checkout_the_screens_say_so(settings: Settings) -> None:
    client = create_app(settings).test_client()

    assert client.get("/healthz").status_code == 200
    assert client.get("/").status_code == 503
    assert client.get("/readyz").status_code == 503


def test_a_page_that_fails_shows_one_sentence(settings: Settings) -> None:
    app = create_app(settings)
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)

    answer = app.test_client().get("/broken", headers={"Accept": "text/html"})

    assert answer.status_code == 500
    assert "문제가 생겼습니다" in answer.text
    assert "ZeroDivisionError" not in answer.text


def test_an_idle_session_is_signed_out(settings: Settings) -> None:
    app = create_app(settings)
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"], session["used_at"] = "1", 0.0

    client.get("/healthz")

    with client.session_transaction() as session:
        assert "_user_id" not in session


def test_an_account_is_made_by_a_command(tmp_path: Path) -> None:
    server = Server(tmp_path, tmp_path / "no-film.avi")
    server.add_user("clara", "owner")

    database = Database(server.env["CHECKOUT_DATABASE_URL"])
    user = SqlUsers(database).verify("clara", PASSWORD)
    database.close()
    assert user is not None
    assert user.role == "owner"


@pytest.mark.parametrize(
    ("arguments", "password", "says"),
    [
        (("clara",), "short", "at least 8 characters"),
        (("",), PASSWORD, "1 to 50"),
        (("clara", "--role", "king"), PASSWORD, "king"),
        ((), PASSWORD, "NAME"),
    ],
)
def test_an_account_that_cannot_be_is_refused_in_words(
    tmp_path: Path, arguments: tuple[str, ...], password: str, says: str
) -> None:
    server = Server(tmp_path, tmp_path / "no-film.avi")
    done = server.command("users", "add", *arguments, "--password-stdin", stdin=password)

    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_same_name_is_not_given_twice(tmp_path: Path) -> None:
    server = Server(tmp_path, tmp_path / "no-film.avi")
    server.add_user("clara")

    again = server.command("users", "add", "clara", "--password-stdin", stdin=PASSWORD)

    assert again.returncode == 2
    assert "already" in again.stderr


def test_a_bad_setting_is_one_line_for_commands_too(tmp_path: Path) -> None:
    server = Server(tmp_path, tmp_path / "no-film.avi")
    server.env["CHECKOUT_LANGUAGE"] = "fr"
    done = server.command("users", "add", "clara", "--password-stdin", stdin=PASSWORD)

    assert done.returncode == 2
    assert "CHECKOUT_LANGUAGE" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_text_has_its_korean_and_nothing_is_left_over() -> None:
    methods = [("app/**.py", "python"), ("templates/**.html", "jinja2")]
    keywords = {"_": None, "_l": None, "gettext": None, "ngettext": (1, 2)}
    found = {
        message[0] if isinstance(message, tuple) else message
        for _, _, message, _, _ in extract_from_dir(ROOT, methods, keywords=keywords)
    }
    with PO.open("rb") as file:
        catalog = read_po(file, locale="ko")
    translated = {
        message.id[0] if isinstance(message.id, tuple) else message.id
        for message in catalog
        if message.id
        and all([message.string] if isinstance(message.string, str) else message.string)
    }

    assert found == translated


def test_the_compiled_texts_are_those_of_the_source() -> None:
    with PO.open("rb") as source, PO.with_suffix(".mo").open("rb") as compiled:
        written, used = [
            {str(list(message.id)): str(list(message.string)) for message in catalog if message.id}
            for catalog in (read_po(source, locale="ko"), read_mo(compiled))
        ]

    assert written == used


def test_every_picture_of_the_price_sheets_fruit_exists() -> None:
    drawn = {path.stem for path in (ROOT / "static" / "fruit").glob("*.svg")}

    assert {"apple", "oriental_melon", "dragon_fruit", "unknown"} <= drawn
