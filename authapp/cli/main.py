"""`authapp -c INI …`: reads the ini file that the application is served with."""

import click

from authapp.cli.context import Context
from authapp.cli.mail import mail
from authapp.cli.sessions import sessions
from authapp.cli.users import users


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    "ini",
    required=True,
    envvar="AUTHAPP_CONFIG",
    type=click.Path(exists=True, dir_okay=False),
    help="The ini file that the application is served with.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")
@click.pass_context
def main(click_context: click.Context, ini: str, as_json: bool) -> None:
    """Operates an installation of authapp.

    Exit status: 0 done, 1 refused or failed, 2 wrong usage.
    """
    click_context.obj = Context(ini, as_json)


main.add_command(mail)
main.add_command(sessions)
main.add_command(users)
