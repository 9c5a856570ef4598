"""The proof by simulation: the real code in real processes, on a moved clock, with faults, kills and freezes.

docs/simulation.md explains it. `run.simulate` runs one; `checks` holds what must be true at its end.
"""
