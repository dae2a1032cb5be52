"""The door for the shell: `mailroom`, and `python -m mailroom`."""

from mailroom import bootstrap


def main() -> None:
    """Run the command that was typed."""
    bootstrap.commands()(prog_name="mailroom")


if __name__ == "__main__":
    main()
