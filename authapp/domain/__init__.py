"""The rules of accounts and sessions: standard library only, no database, no web."""
