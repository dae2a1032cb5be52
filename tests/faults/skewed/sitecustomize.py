"""Put on PYTHONPATH: this process's clock is CLOCK_SKEW seconds off, whoever asks it."""

import datetime  # noqa: ICN001  # it is the module itself that changes
import os
import time

SKEW = float(os.environ.get("CLOCK_SKEW", "0"))
_time, _time_ns, _datetime = time.time, time.time_ns, datetime.datetime


class datetime_(_datetime):  # noqa: N801  # it stands in for datetime.datetime
    @classmethod
    def now(cls, tz=None):
        return _datetime.now(tz) + datetime.timedelta(seconds=SKEW)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.UTC).replace(tzinfo=None)


if SKEW:
    time.time = lambda: _time() + SKEW
    time.time_ns = lambda: _time_ns() + int(SKEW * 1e9)
    datetime_.__module__, datetime_.__qualname__, datetime_.__name__ = "datetime", "datetime", "datetime"
    datetime.datetime = datetime_
