"""The command `imr`: read options, call the library, print."""

import click

from imr_rationale.cli import duplicates, letters, review, training

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="imr-rationale")
def main() -> None:
    """Read why medical treatment is refused or granted in Independent Medical Review letters."""


COMMANDS: tuple[click.Command, ...] = (*letters.COMMANDS, *duplicates.COMMANDS, *training.COMMANDS, *review.COMMANDS)
for command in COMMANDS:
    main.add_command(command)
