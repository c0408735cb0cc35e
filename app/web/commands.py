"""Commands for the shop: ``flask --app app …``."""

from __future__ import annotations

import sys

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from app.errors import SettingsError
from app.settings import Settings, use_time_zone
from app.store.database import Database
from app.store.journal import Journal
from app.store.users import ROLES, SqlUsers, User
from app.web.backup_command import backup
from app.web.command_line import shop_database
from app.web.journal_commands import journal
from app.web.sales_commands import sales

users = AppGroup("users", help="The people who work here.")


def init_commands(app: Flask) -> None:
    """Add the commands to this app."""
    app.cli.add_command(users)
    app.cli.add_command(journal)
    app.cli.add_command(sales)
    app.cli.add_command(backup)


def settings_of_command() -> Settings:
    """The settings from the environment, in force; a bad one ends the command with exit code 2."""
    try:
        settings = Settings.from_env()
        use_time_zone(settings)
        return settings
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


@users.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="clerk", show_default=True)
@click.option("--password-stdin", is_flag=True, help="Read the password's line from stdin.")
def add_user(name: str, role: str, password_stdin: bool) -> None:
    """Make an account for NAME; the password is asked for twice."""
    password = sys.stdin.readline().rstrip("\n") if password_stdin else ask_password()
    with shop_database(make=True) as database:
        user = SqlUsers(database).add(name, password, role)
        note(database, "user_added", user)
    click.echo(f"{user.role} {user.name} can sign in now.")


@users.command("password")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password's line from stdin.")
def change_password(name: str, password_stdin: bool) -> None:
    """Give NAME another password; whoever is signed in with the old one is signed out."""
    password = sys.stdin.readline().rstrip("\n") if password_stdin else ask_password()
    with shop_database() as database:
        user = SqlUsers(database).change_password(name, password)
        note(database, "user_password_changed", user)
    click.echo(f"{user.role} {user.name} has a new password.")


@users.command("remove")
@click.argument("name")
def remove_user(name: str) -> None:
    """Take NAME's account away, and sign NAME out; the records keep the name."""
    with shop_database() as database:
        user = SqlUsers(database).remove(name)
        note(database, "user_removed", user)
    click.echo(f"{user.role} {user.name} can no longer sign in.")


@users.command("list")
def list_users() -> None:
    """Say who can sign in."""
    with shop_database() as database:
        for user in SqlUsers(database).all():
            click.echo(f"{user.role} {user.name}")


def note(database: Database, event: str, user: User) -> None:
    """Write down in the journal what a command did to an account."""
    details = {"user": user.name, "role": user.role}
    Journal(database).record(current_app.config["LANE"], "command", event, details)


def ask_password() -> str:
    """Ask twice, without showing it."""
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer
