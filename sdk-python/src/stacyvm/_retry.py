"""When and how often a call that may be repeated is repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Callable, Optional, Union

from stacyvm.exceptions import PASSING


@dataclass(frozen=True)
class Retry:
    """Doubling waits with full jitter, or what Retry-After asks plus a little jitter; bounded in number and length."""

    #: Tries in all, the first one counted; 1 turns retries off.
    attempts: int = 3
    #: The first wait before jitter, seconds; it doubles each time.
    base_delay: float = 0.2
    #: The longest wait, seconds. A Retry-After above it is not waited for.
    max_delay: float = 10.0
    #: From 0 up to 1.
    random: Callable[[], float] = random.random

    @property
    def repeats(self) -> bool:
        return self.attempts > 1

    def delay(self, attempt: int, status: Optional[int], asked: Optional[float]) -> Optional[float]:
        """
        The wait before the next try, seconds; None to give up.

        :param attempt: counts from 1
        :param status: None where no answer came
        :param asked: what Retry-After says, seconds
        """
        if attempt >= self.attempts or (status is not None and status not in PASSING):
            return None
        if asked is not None:
            return None if asked > self.max_delay else asked + self.random() * self.base_delay
        return self.random() * float(min(self.max_delay, self.base_delay * 2 ** (attempt - 1)))


def retry_of(given: Union[Retry, bool, None]) -> Retry:
    if isinstance(given, Retry):
        return given
    return Retry(attempts=1) if given is False else Retry()
