"""The pytest plugin; inert until a board is named."""
