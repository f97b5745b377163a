"""Adds a user, whose password is asked for, or is the first line of the standard input."""

import argparse
import getpass
import sys

from pyramid.paster import bootstrap, setup_logging

from shop.models import User


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config_uri", help="the ini file, such as development.ini")
    parser.add_argument("name", help="the name of the user")
    args = parser.parse_args()
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")

    setup_logging(args.config_uri)
    user = User(name=args.name)
    user.set_password(password)
    with bootstrap(args.config_uri) as env, env["request"].tm:
        env["request"].dbsession.add(user)
