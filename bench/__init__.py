"""Benchmarks: programs that measure side by side, each printing one JSON document; `python -m bench` runs them."""
