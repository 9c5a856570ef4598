"""Errors that a person caused or can mend: shown as one line, never as a traceback."""

from __future__ import annotations


class BackroomError(Exception):
    """Says what was wrong, with which id, and what to do. The command line exits with 2."""


class ConfigurationError(BackroomError):
    """A setting is missing, malformed or forbidden here."""


class DatabaseUnreachable(BackroomError):
    """No PostgreSQL answers at the configured URL."""


class SourceFileError(BackroomError):
    """A file that was handed to Backroom is missing or can't be read as what it should be."""
