"""Purchases = charges = Amazon's orders = ledger; where not, a break; and the report for finance."""
