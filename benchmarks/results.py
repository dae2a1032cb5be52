"""`benchmarks/RESULTS.md`: a section for each program that measures, replaced by itself."""

from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
TITLE = "# Results"


def write_section(file: Path, heading: str, lines: Sequence[str]) -> None:
    """Put `lines` under `heading` in `file`, in place of what stood there; other sections stay as they are."""
    sections = _sections(file.read_text() if file.exists() else "")
    sections[heading] = "\n".join(lines).strip()
    parts = [TITLE, *(f"{name}\n\n{text}" for name, text in sections.items())]
    file.write_text("\n\n".join(parts) + "\n")


def _sections(text: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("## "):
            lines = found.setdefault(line, [])
        else:
            lines.append(line)
    return {heading: "\n".join(lines).strip() for heading, lines in found.items()}
