"""Shared parts of tests: synthetic inputs, processes, clients, a browser, lints."""
