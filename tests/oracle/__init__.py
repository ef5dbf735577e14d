"""float64 NumPy written straight from the equations: what foliot's numbers are judged by.

Nothing here imports foliot or any other framework, and nothing here is fast. Layers, losses and optimizers are
described by the same plain dictionaries that the native module reads as JSON, so one description runs on both sides.
"""
