"""Celery's configuration, in one place for workers and publishers."""

from celery import Celery
from kombu.entity import Queue

from mailroom.settings import Settings

QUEUE = "mailroom"
"""Background tasks; and, until the release after this one, mails that older processes published."""
TRANSACTIONAL, BULK = "transactional", "bulk"
"""The queues of mails, one for each stream. A message in `bulk` names no mail: it wakes a worker."""
QUEUES = (TRANSACTIONAL, QUEUE, BULK)
"""The queues that a worker consumes, in this order; `-Q` names others."""
PUBLISH_TIMEOUT = 1.0
"""Seconds a publisher waits for Redis; the sweep publishes again what is lost that way."""

WORKER_SOCKET_TIMEOUT = 5.0
"""Seconds a worker waits for an answer of Redis. Without a limit a connection that a firewall dropped in silence
stops the worker for good; kombu asks again each second, so a live server always answers within this."""


def create_celery(settings: Settings, *, worker: bool, current: bool = False) -> Celery:
    """Return a Celery app for this side of the broker.

    A worker's app has the result backend. A publisher's has none: with one, Celery subscribes to the channel of
    each task that it publishes. The `current` app is the one that `celery.shared_task` uses.
    """
    app = Celery(
        "mailroom",
        broker=settings.broker,
        backend=settings.results if worker else None,
        set_as_current=current,
    )
    patience = 5.0 if worker else PUBLISH_TIMEOUT
    app.conf.update(
        task_default_queue=QUEUE,
        task_routes={
            "mailroom.deliver": {"queue": TRANSACTIONAL},
            "mailroom.send_many": {"queue": TRANSACTIONAL},
            "mailroom.send_bulk": {"queue": BULK},
        },
        task_queues=[Queue(name, routing_key=name) for name in QUEUES],
        task_serializer="json",
        accept_content=["json"],
        result_serializer="json",
        result_expires=settings.results_expire,
        result_extended=False,
        result_backend_thread_safe=True,  # one pool of connections a process, not one for each thread
        enable_utc=True,
        timezone="UTC",
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A server that refuses (its disk is full, or it has just ceased to be the primary) is treated as one that
        # is away; otherwise it would end the worker.
        broker_channel_error_retry=True,
        broker_connection_timeout=patience,
        broker_pool_limit=min(4, settings.redis_connections),
        broker_transport_options={
            "visibility_timeout": settings.visibility_timeout,
            "socket_connect_timeout": patience,
            "socket_timeout": WORKER_SOCKET_TIMEOUT if worker else patience,
            "socket_keepalive": True,
            "health_check_interval": 5,
            # Intervals at which kombu looks for messages whose worker is gone; its defaults take minutes.
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "queue_order_strategy": "priority",  # in the order of QUEUES: mails that somebody waits for come first
        },
        result_backend_transport_options={
            "visibility_timeout": settings.visibility_timeout,
            "retry_policy": {"max_retries": 3, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 1},
        },
        # If a thread finds no connection for its result, Celery takes its task for failed.
        redis_max_connections=max(settings.redis_connections, settings.worker_threads + 4 if worker else 0),
        redis_socket_connect_timeout=5.0,
        redis_socket_timeout=5.0,
        redis_socket_keepalive=True,
        redis_retry_on_timeout=False,
        # The claim of the row decides which worker sends; a task whose connection broke runs to its end.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_prefetch_multiplier=4,
        worker_soft_shutdown_timeout=settings.stop_seconds,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        task_track_started=True,
        worker_consumer="mailroom.jobs.consumer:Consumer",
    )
    return app
