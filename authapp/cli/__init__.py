"""The `authapp` command, for those who operate it."""

from authapp.cli.main import main

__all__ = ["main"]
