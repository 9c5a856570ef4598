"""The ledger's tests use the charges' world: a store, trips, a scripted Amazon."""

from tests.charges.conftest import amazon, books

__all__ = ["amazon", "books"]
