"""Calls of the library in threads that no signal interrupts.

oneDNN's AVX-512 kernels may keep the stack pointer in the heap for a while. A signal handler that runs then, even the
one that Python installs for Ctrl-C, writes into heap data. So the library runs in a thread that blocks signals, and so do
the threads that it starts; meanwhile the thread that called waits, receives signals, and runs callbacks.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import threading

from ._errors import FailedError

_OF_THE_CODE = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGSYS}
_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)


class Apart:
    """One call. Exceptions of Python code that runs meanwhile in the calling thread (a callback, Ctrl-C, a warning that
    is an error) are kept, the first of them in `kept`; they must not get lost in the thread of the library."""

    def __init__(self):
        self.kept: BaseException | None = None
        self._requests: queue.SimpleQueue = queue.SimpleQueue()

    def keep(self, error: BaseException) -> None:
        if self.kept is None:
            self.kept = error

    def guarded(self, function, *arguments):
        """The result, or None if it raised."""
        try:
            return function(*arguments)
        except BaseException as error:
            self.keep(error)
            return None

    def in_caller(self, function, *arguments):
        """For the thread of the library: runs `function` in the thread that called, and waits for it."""
        reply: queue.SimpleQueue = queue.SimpleQueue()
        self._requests.put(lambda: reply.put(self.guarded(function, *arguments)))
        return reply.get()

    def __call__(self, function):
        """Runs `function` apart; returns what it returns and raises what it raises."""
        outcome: list = []

        def work():
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _OF_THE_CODE)
            try:
                outcome.append(function())
            except BaseException as error:
                outcome.extend((None, error))
            self._requests.put(None)

        with self._heeding_signals():
            thread = threading.Thread(target=work, name="diffit", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system starts no more
                raise FailedError(f"a thread for the call cannot be started: {error}") from None
            while (request := self._requests.get()) is not None:
                request()
            thread.join()
        if len(outcome) == 2:
            raise outcome[1]
        return outcome[0]

    @contextlib.contextmanager
    def _heeding_signals(self):
        """Keeps what the program's own signal handlers raise: Python runs them at any place of the main thread, where
        an exception would leave the call unfinished."""
        replaced = []
        if threading.current_thread() is threading.main_thread():
            for number in _ASKING:
                before = signal.getsignal(number)
                if callable(before):
                    replaced.append((number, before))
                    signal.signal(number, self._wrapped(before))
        try:
            yield
        finally:
            for number, before in replaced:
                signal.signal(number, before)

    def _wrapped(self, before):
        own = getattr(before, "_diffit_before", before)  # a call within a callback of another call

        def handler(number, frame):
            self.guarded(own, number, frame)

        handler._diffit_before = own
        return handler
