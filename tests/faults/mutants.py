"""Takes what keeps the promise out of a copy of the project, one thing at a time: each time a fault must turn red.

`python -m tests.faults.mutants [name …]`; exits 1 where a mutant survives, or where the text to take out is gone.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """One thing taken out, and the test that must notice."""

    name: str
    file: str
    old: str
    new: str
    test: str


MUTANTS = [
    Mutant(
        "the claim's condition",
        "src/mailroom/mail/ledger/queries.py",
        """        state = 'queued'
        or (state in ('retrying', 'uncertain', 'scheduled') and nudge_at is not null
            and coalesce(next_attempt_at <= clock_timestamp(), true))
""",
        "        true\n",
        "test_valkey.py::test_every_message_delivered_three_times",
    ),
    Mutant(
        "the sweep",
        "src/mailroom/jobs/sweep.py",
        "            self._publish_mails(due)\n",
        "            pass\n",
        "test_valkey.py::test_messages_deleted_from_the_queue",
    ),
    Mutant(
        "the lease's renewal",
        "src/mailroom/kit/lease_renewal.py",
        "            await self._renew(list(self._held))\n",
        "            pass\n",
        "test_workers.py::test_a_mail_that_takes_longer_than_a_lease_is_sent_once",
    ),
    Mutant(
        "the stage handing over",
        "src/mailroom/mail/ledger/queries.py",
        "update mails set stage = 'handing over', step = 3, changed_at = clock_timestamp(),\n",
        "update mails set step = 3, changed_at = clock_timestamp(),\n",
        "test_workers.py::test_sigkill_after_the_dot",
    ),
    Mutant(
        "the fence at the handing over",
        "src/mailroom/mail/ledger/queries.py",
        """where mails.id = wanted.id and mails.attempt = wanted.attempt and mails.stage = 'claimed'
    and mails.state is not distinct from 'sending' and mails.lease_until > clock_timestamp()
""",
        "where mails.id = wanted.id\n",
        "test_workers.py::test_a_worker_frozen_before_the_dot_hands_nothing_over_when_it_comes_back",
    ),
    Mutant(
        "the look for a restored database",
        "src/mailroom/mail/ledger/identity.py",
        "        return behind or not self.same\n",
        "        return False\n",
        "test_restore.py::test_a_dump_with_mails_in_flight",
    ),
    Mutant(
        "the turns of stalled connections",
        "src/mailroom/mail/smtp/pool.py",
        "        return self.limit + self.stalled\n",
        "        return self.limit\n",
        "test_smtp.py::test_the_network_swallows_old_connections_and_the_next_mails_go_over_new_ones",
    ),
]


def survives(mutant: Mutant) -> bool:
    """Make a copy without the thing, run the test; True where it is green."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / "mailroom"
        shutil.copytree(
            ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", ".mailroom", "*_cache", "__pycache__")
        )
        file = copy / mutant.file
        text = file.read_text()
        if text.count(mutant.old) != 1:
            sys.exit(
                f"{mutant.name}: the text to take out of {mutant.file} is there {text.count(mutant.old)} times"
            )
        file.write_text(text.replace(mutant.old, mutant.new))
        environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "faults", f"tests/faults/{mutant.test}"]
        done = subprocess.run(
            command, cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode not in {0, 1}:
            sys.exit(f"{mutant.name}: pytest did not run:\n{done.stdout.decode(errors='replace')[-3000:]}")
        return done.returncode == 0


def main(names: list[str]) -> int:
    """Try the mutants named (none: all); return the exit status."""
    survivors = []
    for mutant in MUTANTS:
        if names and mutant.name not in names:
            continue
        began = time.monotonic()
        alive = survives(mutant)
        survivors += [mutant.name] if alive else []
        colour = "green: IT SURVIVED" if alive else "red, as it must be"
        print(f"without {mutant.name:32} {mutant.test}: {colour} ({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
