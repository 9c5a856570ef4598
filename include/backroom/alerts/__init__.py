"""Alerts: a row, de-duplicated by key."""

from backroom.alerts.raising import raise_alert

__all__ = ["raise_alert"]
