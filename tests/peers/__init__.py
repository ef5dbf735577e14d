"""Live comparisons with other frameworks, for machines that have them installed."""
