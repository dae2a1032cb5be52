"""What is wrong with the settings."""


class SettingsError(Exception):
    """The settings cannot be used as they are; `problems` says why, one sentence each, never with a value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
