"""What the fault tests stand on, tried with every run: they themselves run apart, by `make faults`."""

from contextlib import closing

import pytest

from mailroom.bootstrap.services import create_services
from mailroom.jobs.publisher import Publisher
from tests.conftest import settings_of
from tests.faults import mutants
from tests.faults.worker_app import with_test_kinds


async def test_services_can_be_made_with_the_kinds_of_mail_that_only_faults_need(
    environment: dict[str, str],
) -> None:
    settings = settings_of(environment)
    with closing(Publisher(settings)) as publisher, with_test_kinds():
        services = create_services(settings, publisher.publish_mails, publisher.publish_task, name="test")
    assert services.outbox.kinds["held"].on_uncertain == "hold"
    await services.database.close()


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_takes_out_is_there_once(mutant: mutants.Mutant) -> None:
    assert (mutants.ROOT / mutant.file).read_text().count(mutant.old) == 1
