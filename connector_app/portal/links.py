"""Sends sign-in links beside the calls that ask for them, so that no call takes longer for an address that is known."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import timedelta

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backroom.clock import Clock
from backroom.db.engine import engine
from backroom.languages.words import Showing
from backroom.mailing import Mailer
from backroom.settings import Settings
from backroom.shoppers.sealing import seal_of
from backroom.shoppers.sign_in import LinkRules, send_asked

PATIENCE_SECONDS = 15.0
LONGEST_PATIENCE_SECONDS = 600.0
log = structlog.get_logger("portal")


class LinkSender:
    """A thread of each process, begun with the first link that is asked for; it also takes what others left."""

    def __init__(self, config: Settings, clock: Clock, mailer: Callable[[], Mailer]) -> None:
        self._config, self._clock, self._mailer = config, clock, mailer
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is one to send."""
        self._asked.set()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="links")
                self._thread.start()

    def send(self) -> None:
        """Sends all that were asked for, now."""
        rules = LinkRules(
            timedelta(minutes=self._config.portal_link_minutes),
            lambda token: f"{self._config.portal_public_url.rstrip('/')}/sign-in/{token}",
            compose,
            lambda: secrets.token_urlsafe(32),
        )
        seal = seal_of(self._config)
        counts = send_asked(engine(), seal, self._mailer(), rules, now=self._clock())
        if counts:
            log.info("links", **{str(name).lower(): number for name, number in counts.items()})

    def _run(self) -> None:
        patience = PATIENCE_SECONDS
        while True:
            self._asked.wait(patience)
            self._asked.clear()
            patience = self.send_or_wait(patience)

    def send_or_wait(self, patience: float) -> float:
        """Sends, and says how many seconds to wait for the next: ever longer where it fails again and again."""
        try:
            self.send()
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            log.error("links", database=reason, again_in_seconds=min(2 * patience, LONGEST_PATIENCE_SECONDS))
        except Exception as error:
            log.error("links", exc_info=error)
        else:
            return PATIENCE_SECONDS
        return min(2 * patience, LONGEST_PATIENCE_SECONDS)


def compose(language: str, url: str, minutes: int) -> tuple[str, str]:
    """Subject and text of the message."""
    words = Showing(language).word
    body = words(
        "Open this link to sign in. It is good once, for %(minutes)d minutes:\n\n%(url)s\n\n"
        "If you did not ask for it, do nothing: nobody can sign in without it."
    )
    return words("Your sign-in link"), body % {"minutes": minutes, "url": url}
