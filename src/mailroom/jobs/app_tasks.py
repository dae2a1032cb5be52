"""The tasks of apps."""

from celery import Celery, Task

from mailroom.apps.installed import Apps
from mailroom.apps.places import thing_of


def register(app: Celery, apps: Apps) -> None:
    """Give the app the tasks of `apps`, imported. Raises `SettingsError`.

    The object at a task's place may also be a Celery task (`shared_task`) of the same name.
    """
    for installed, kind in apps.task_kinds.values():
        function = thing_of(kind.place, installed.who)
        if not isinstance(function, Task):
            app.task(name=kind.name, cancellable=kind.cancellable, **kind.options)(function)
