"""`authapp mail`: send what is in the outbox, and look after what could not be sent."""

from dataclasses import asdict

import click

from authapp.cli.context import Context, Group, pass_context


@click.group(cls=Group)
def mail() -> None:
    """Send the letters in the outbox, look after those that could not be sent."""


@mail.command()
@pass_context
def deliver(context: Context) -> None:
    """Send all letters that are due; several may run at once.

    Exit status: 0 all that was due has been sent, 1 something could not be.
    """
    deliveries = context.delivery.deliver()
    context.answer(
        asdict(deliveries),
        f"sent: {deliveries.sent}, nothing to be said any more: {deliveries.dropped}, "
        f"to be tried again: {deliveries.postponed}, given up: {deliveries.given_up}",
    )
    if not deliveries.all_went_well:
        raise click.exceptions.Exit(1)


@mail.command()
@pass_context
def status(context: Context) -> None:
    """Count the letters that wait, and those that were given up."""
    counts = context.outbox.counts()
    context.answer(asdict(counts), f"waiting: {counts.waiting}, given up: {counts.failed}")


@mail.command()
@pass_context
def retry(context: Context) -> None:
    """Put the letters that were given up back, to be sent with the next delivery."""
    count = context.outbox.retry()
    context.answer({"retried": count}, f"put back {count} letters")
