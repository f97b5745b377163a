"""Deletes the expired sessions; to be run now and then, on as many machines as one likes."""

import argparse
import sys

from authapp.sessions import purge
from pyramid.paster import bootstrap, setup_logging


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config_uri", help="the ini file, such as development.ini")
    args = parser.parse_args()

    setup_logging(args.config_uri)
    with bootstrap(args.config_uri) as env:
        deleted = sum(purge(env["request"].sessions, exclusive=True))
    sys.stdout.write(f"deleted {deleted} expired sessions\n")
