"""A month that is played: the sandbox's trips through every real part of Backroom, with breaks of every kind in it."""

import pytest

pytest.register_assert_rewrite("tests.reconciliation.played.closing", "tests.reconciliation.played.player")
