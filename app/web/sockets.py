"""Socket.IO: the whole state on connecting, every change after it, and what customers ask for.

The hub is called from three sides: the detect thread (pictures, lane), whoever changes the
checkout (cart, order), and each browser's own thread (its events). None of them waits for a
browser: what is sent is queued, and a browser that lets its queue grow is thrown out.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Flask, request, session
from flask_socketio import ConnectionRefusedError, SocketIO

from app.errors import CheckoutError, InvalidInput
from app.shop.cart import CartSnapshot
from app.shop.checkout import Checkout
from app.shop.order import Order
from app.vision.lane import AnnotatedFrame, LaneState
from app.web.calls import StaffCalls
from app.web.forms import text, whole, whole_or_none
from app.web.gate import Gate
from app.web.language import chosen_language, speaking
from app.web.present import cart_payload, lane_payload, order_payload
from app.web.texts import message_for, refusal
from app.web.viewers import Viewers

log = logging.getLogger("checkout.sockets")
library_log = logging.getLogger("checkout.engineio")

MAX_CONNECTIONS = 24  # of the server's 32 threads; the others serve pages
MAX_MESSAGE_BYTES = 16 * 1024
PING_EVERY_S = PING_ANSWER_S = 10
NO_LANE = LaneState("down", settled=False, fps=0.0, counting=False)  # before the first frame

Payload = Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """All that a screen shows, of one moment."""

    cart: CartSnapshot
    order: Order | None
    lane: LaneState
    problem: str | None  # code of what a customer should know, None when all is well


class Hub:
    """Owns the connections of one lane; ``publish_…`` may be called from any thread."""

    def __init__(
        self, checkout: Checkout, calls: StaffCalls, problem: Callable[[], str | None]
    ) -> None:
        """problem: code of what a customer should know about the lane; must be quick."""
        self._checkout, self._calls, self._problem = checkout, calls, problem
        self._viewers = Viewers(MAX_CONNECTIONS)
        self._gate = Gate(MAX_CONNECTIONS)
        self._sending = threading.RLock()  # one state after the other, in order, to everybody
        self._state = State(checkout.snapshot(), checkout.current_order(), NO_LANE, "camera_down")

    def init_app(self, app: Flask) -> None:
        """Serve /socket.io/ in this app."""
        self._app = app
        self._io = SocketIO(
            app,
            async_mode="threading",
            async_handlers=False,  # a browser's events are handled in its own thread, in order
            always_connect=True,  # the state is sent while connecting
            max_http_buffer_size=MAX_MESSAGE_BYTES,
            http_compression=False,
            ping_interval=PING_EVERY_S,
            ping_timeout=PING_ANSWER_S,
            logger=library_log,
            engineio_logger=library_log,
        )
        app.wsgi_app = self._gate.install(app.wsgi_app, self._io.server.eio)  # type: ignore
        self._io.on_event("connect", self._connect)
        self._io.on_event("disconnect", self._disconnect)
        for name, handle in self._handlers().items():
            self._io.on_event(name, self._answering(handle))
        self._checkout.subscribe(self.publish_sale)

    def close(self) -> None:
        """Say goodbye to every browser and let no other in."""
        self._gate.close()

    @property
    def state(self) -> State:
        """What the screens show now."""
        return self._state

    @property
    def connected(self) -> int:
        """How many browsers are connected."""
        return len(self._viewers)

    # Server → browser

    def wants_frames(self) -> bool:
        """Whether a browser has shown its last picture."""
        return self._viewers.any_ready()

    def publish_frame(self, frame: AnnotatedFrame) -> None:
        """Send a picture to each browser that has shown its last one."""
        ready = self._viewers.take_ready(frame.seq)
        if not ready:
            return
        picture = {"seq": frame.seq, "captured_at": frame.captured_at, "jpeg": frame.jpeg}
        for sid in ready:
            # One by one: a packet keeps its first encoding, and polling browsers need another one
            # than websockets. Under the gate's lock: the two packets of a picture must follow
            # each other.
            with self._gate.sending:
                self._io.emit("frame", picture, to=sid)
        due = self._viewers.due_for_fps(ready)
        if due:
            with self._sending:
                self._send_lane(due)

    def publish_lane(self, lane: LaneState) -> None:
        """Tell everybody when the camera's state, the rest of the scene or the problem changes."""
        with self._sending:
            before = self._state
            self._state = State(before.cart, before.order, lane, self._problem())
            if replace(lane, fps=before.lane.fps) != before.lane:
                self._send_lane(None)
            if self._state.problem != before.problem:
                self._send(None, "problem", lambda _language: self._problem_payload())

    def publish_sale(self, cart: CartSnapshot, order: Order | None) -> None:
        """Tell everybody of a new version of the cart and of a change of the order."""
        with self._sending:
            before = self._state
            self._state = State(cart, order, before.lane, before.problem)
            if (cart.version, cart.status) != (before.cart.version, before.cart.status):
                self._send(None, "cart", lambda language: cart_payload(cart, language))
                self._send_lane(None)  # whether one may pay follows from both
            if order != before.order:
                self._send(None, "order", lambda language: order_payload(order, language))
        self._gate.drop_stalled()

    def announce_call(self) -> None:
        """Tell every screen whether a clerk is called; the clerks' pages look for all else then."""
        self._io.emit("staff_call", self._call_payload())

    def _call_payload(self) -> dict[str, Any]:
        return {"lane": self._state.cart.lane, "open": self._calls.since is not None}

    def _send_lane(self, sids: list[str] | None) -> None:
        state = self._state
        self._send(sids, "lane", lambda _language: lane_payload(state.lane, state.cart))

    def _problem_payload(self) -> dict[str, Any]:
        code = self._state.problem
        return {"code": code, "message": message_for(code) if code else ""}

    def _send(
        self, sids: list[str] | None, event: str, make: Callable[[str], dict[str, Any]]
    ) -> None:
        """Send an event, each browser in its language; sids: None means everybody."""
        for language, members in self._viewers.languages().items():
            to = [sid for sid in members if sids is None or sid in sids]
            if to:
                with speaking(self._app, language):
                    self._io.emit(event, make(language), to=to)

    # Browser → server

    def _connect(self, _auth: object = None) -> None:
        language = session["language"] = chosen_language()
        sid = request.sid  # type: ignore[attr-defined]
        if self._viewers.knows(sid):
            return  # a browser may send an event of this name, too
        if not self._viewers.add(sid, language):
            raise ConnectionRefusedError(message_for("busy"))
        with self._sending:
            state, only = self._state, [sid]
            self._send(only, "cart", lambda language: cart_payload(state.cart, language))
            self._send_lane(only)
            self._send(only, "order", lambda language: order_payload(state.order, language))
            self._send(only, "problem", lambda _language: self._problem_payload())
            self._send(only, "staff_call", lambda _language: self._call_payload())

    def _disconnect(self, _reason: object = None) -> None:
        self._viewers.remove(request.sid)  # type: ignore[attr-defined]

    def _answering(self, handle: Callable[[Payload], Payload | None]) -> Callable[..., Payload]:
        """Wrap a handler: whatever happens, the browser gets an acknowledgement."""

        def answer(*arguments: object) -> Payload:
            try:
                wish = request.event["message"] != "frame_shown"  # type: ignore[attr-defined]
                if not self._viewers.may_speak(request.sid, wish):  # type: ignore[attr-defined]
                    return {"ok": False, "code": "busy", "message": message_for("busy")}
                return {"ok": True, **(handle(only_object(arguments)) or {})}
            except CheckoutError as error:
                log.info("refused event=%s code=%s", request.event["message"], error.code)  # type: ignore[attr-defined]
                return refusal(error)
            except Exception:  # the customer is told, the log has the rest
                log.exception("event_failed event=%s", request.event["message"])  # type: ignore[attr-defined]
                return {"ok": False, "code": "error", "message": message_for("error")}

        return answer

    def _handlers(self) -> dict[str, Callable[[Payload], Payload | None]]:
        return {
            "frame_shown": self._frame_shown,
            "add_item": self._add_item,
            "change_line": self._change_line,
            "remove_line": self._remove_line,
            "name_fruit": self._name_fruit,
            "pay": self._pay,
            "cancel": self._cancel,
            "more_time": self._more_time,
            "call_staff": self._call_staff,
        }

    def _frame_shown(self, data: Payload) -> None:
        self._viewers.shown(request.sid, whole(data, "seq"))  # type: ignore[attr-defined]

    def _add_item(self, data: Payload) -> Payload:
        return versioned(self._checkout.add_item(text(data, "key"), whole(data, "quantity")))

    def _change_line(self, data: Payload) -> Payload:
        wish = text(data, "id"), whole(data, "quantity")
        return versioned(self._checkout.change_line(*wish, seen=whole_or_none(data, "seen")))

    def _remove_line(self, data: Payload) -> Payload:
        seen = whole_or_none(data, "seen")
        return versioned(self._checkout.change_line(text(data, "id"), 0, seen=seen))

    def _name_fruit(self, data: Payload) -> Payload:
        return versioned(self._checkout.name_fruit(whole(data, "fruit"), text(data, "key")))

    def _pay(self, data: Payload) -> Payload:
        order = self._checkout.pay(
            whole(data, "cart_version"), text(data, "method"), text(data, "idempotency_key")
        )
        return {"order": order_payload(order, chosen_language())}

    def _cancel(self, data: Payload) -> Payload:
        order = self._checkout.cancel(whole(data, "order_id"))
        return {"order": order_payload(order, chosen_language())}

    def _more_time(self, data: Payload) -> Payload:
        order = self._checkout.extend(whole(data, "order_id"))
        return {"order": order_payload(order, chosen_language())}

    def _call_staff(self, _data: Payload) -> None:
        self._calls.call()


def versioned(cart: CartSnapshot) -> Payload:
    """What a change of the basket answers: the cart itself comes as its own event."""
    return {"version": cart.version}


def only_object(arguments: tuple[object, ...]) -> Payload:
    """The one JSON object that an event carries; none counts as empty."""
    if not arguments:
        return {}
    if len(arguments) == 1 and isinstance(arguments[0], dict):
        return arguments[0]
    raise InvalidInput("an event carries one JSON object")
