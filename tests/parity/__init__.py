"""foliot's native module against the float64 oracle, and what the tests share to describe and run layers."""
