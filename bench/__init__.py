"""Benchmarks: rivals side by side in one process, on one core; nothing else imports this package."""
