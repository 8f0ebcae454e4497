"""Jobs beside their rivals: ``python -m benchmarks``."""
