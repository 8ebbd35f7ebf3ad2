"""Shared by all tests of this project."""

pytest_plugins = ["pytester"]
