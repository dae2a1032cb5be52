"""The door for the shell: `mailroom`, and `python -m mailroom`."""

from mailroom.kit.memory import loading

with loading():
    from mailroom.bootstrap.shell import create_commands


def main() -> None:
    """Run the command that was typed."""
    create_commands()(prog_name="mailroom")


if __name__ == "__main__":
    main()
