"""Measurements: `make bench`. Each prints ratios to a named reference of the same run, not seconds."""
