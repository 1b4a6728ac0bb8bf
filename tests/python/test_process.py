"""The library within a process: beside torch, in threads, in forks, under Ctrl-C, and over time."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import diffit

FAST = dict(steps=2, progress=False)


def python(text, *, env=None, code=0, timeout=120):
    """Runs a script in a new interpreter; its output."""
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=timeout,
                            env={**os.environ, **(env or {})})
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout


SAMPLE = "diffit.load('fashion-mnist', device='cpu').sample(seeds=[3], steps=2, progress=False).sum()"


def test_it_does_not_matter_which_is_imported_first():
    first = python(f"import diffit; s = {SAMPLE}; import torch; print(s, float(torch.ones(3).sum()))")
    last = python(f"import torch; import diffit; print({SAMPLE}, float(torch.ones(3).sum()))")
    alone = python(f"import sys, diffit; print({SAMPLE}, 'torch' in sys.modules)")
    assert first == last and alone.split()[0] == first.split()[0]
    assert alone.split()[1] == "False", "NumPy's arrays need no import of torch"


def test_torch_is_as_it_was():
    python("""
        import os, signal, torch
        torch.set_num_threads(3)
        def state():
            status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
            return dict(threads=torch.get_num_threads(), deterministic=torch.are_deterministic_algorithms_enabled(),
                        grad=torch.is_grad_enabled(), autocast=torch.is_autocast_enabled("cpu"), caught=status["SigCgt"],
                        ignored=status["SigIgn"], blocked=status["SigBlk"], dtype=torch.get_default_dtype(),
                        handler=signal.getsignal(signal.SIGINT), seed=torch.initial_seed(), env=dict(os.environ),
                        folder=os.getcwd(), umask=os.umask(0o22), matmul=torch.get_float32_matmul_precision())
        before = state()
        import diffit
        with diffit.load("fashion-mnist", device="cpu", threads=1) as model:
            model.sample(2, steps=2, progress=False)
            model.denoise(torch.zeros(1, 1, 32, 32), 0.5)
            try:
                model.sample(steps=0)
            except diffit.Error:
                pass
            during = state()
        after = state()
        assert before == during == after, (before, during, after)
        a = torch.randn(4, 4, requires_grad=True)
        (a @ a).sum().backward()
        assert a.grad is not None
    """)


def test_memory_is_flat_over_a_hundred_models():
    out = python("""
        import diffit, resource, numpy as np
        def resident():
            return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
        def once():
            with diffit.load("fashion-mnist", device="cpu") as model:
                model.denoise(np.zeros((1, 1, 32, 32), np.float32), 0.5)
        for _ in range(10):
            once()
        before = resident()
        for _ in range(100):
            once()
        print(resident() - before, len(open("/proc/self/maps").readlines()))
    """)
    assert int(out.split()[0]) < 8 << 20  # each model has 4 MiB of weights


def test_tensors_are_released():
    python("""
        import ctypes, diffit, numpy as np
        class Info(ctypes.Structure):
            _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks",
                                                             "fsmblks", "uordblks", "fordblks", "keepcost")]
        mallinfo = ctypes.CDLL(None).mallinfo2
        mallinfo.restype = Info
        def in_use():  # not the resident memory: that holds what the allocator keeps of freed blocks
            return mallinfo().uordblks + mallinfo().hblkhd
        model = diffit.load("fashion-mnist", device="cpu")
        x = np.zeros((64, 1, 32, 32), np.float32)
        kept = model.denoise(x, 0.5)
        first = kept.copy()
        model.denoise(x, 0.5)
        before = in_use()
        for _ in range(8):
            model.denoise(x, 0.5)
        assert in_use() - before < 1 << 20, in_use() - before  # a result has 256 KiB
        assert (kept == first).all()
        model.close()
        del model
        assert (kept == first).all(), "results outlive their model"
    """, env={"OMP_NUM_THREADS": "1"})


def test_threads_give_the_same_samples():
    with diffit.load("fashion-mnist", device="cpu") as model:
        expected = [model.sample(seeds=[i], **FAST) for i in range(4)]
        got, errors = {}, []

        def work(i):
            try:
                got[i] = model.sample(seeds=[i], **FAST)
                with pytest.raises(diffit.InvalidError) as caught:
                    model.sample(steps=-i - 1)
                assert caught.value.field == "steps"
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors, errors
    for i in range(4):
        np.testing.assert_array_equal(got[i], expected[i])


def test_the_interpreter_runs_on_during_a_call():
    with diffit.load("fashion-mnist", device="cpu") as model:
        ticks, done = [], threading.Event()

        def tick():
            while not done.is_set():
                ticks.append(time.monotonic())
                time.sleep(0.005)

        thread = threading.Thread(target=tick)
        thread.start()
        began = time.monotonic()
        model.sample(64, steps=4, progress=False)
        ended = time.monotonic()
        done.set()
        thread.join()
    within = [t for t in ticks if began < t < ended]
    assert len(within) > (ended - began) / 0.005 / 20, "the GIL is held during the call"


def test_closing_during_a_call_waits_for_nothing_and_breaks_nothing():
    model = diffit.load("fashion-mnist", device="cpu")
    x = np.zeros((16, 1, 32, 32), np.float32)
    expected = model.denoise(x, 0.5)
    outcome = []

    def work():
        for _ in range(200):
            try:
                outcome.append(np.array_equal(model.denoise(x, 0.5), expected))
            except diffit.InvalidError as error:
                outcome.append(str(error))
                return

    thread = threading.Thread(target=work)
    thread.start()
    while not outcome:
        time.sleep(0.001)
    model.close()
    thread.join()
    assert "closed" in outcome[-1] and all(entry is True for entry in outcome[:-1])


def test_a_forked_child_is_told_to_be_spawned():
    python("""
        import os, diffit
        model = diffit.load("fashion-mnist", device="cpu")
        for call in (lambda: model.sample(1, steps=2, progress=False), lambda: diffit.load("fashion-mnist")):
            pid = os.fork()
            if pid == 0:
                try:
                    call()
                except diffit.FailedError as error:
                    os._exit(0 if "spawn" in str(error) else 3)
                os._exit(4)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        model.sample(1, steps=2, progress=False)
    """)


def test_a_child_forked_before_the_first_call_works():
    python("""
        import os, diffit
        pid = os.fork()
        if pid == 0:
            diffit.load("fashion-mnist", device="cpu").sample(1, steps=2, progress=False)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    """)


def test_ctrl_c_saves_a_training(images, tmp_path):
    script = textwrap.dedent(f"""
        import sys, diffit
        try:
            diffit.train("smoke", data={str(images)!r}, out={str(tmp_path / "run")!r}, device="cpu", progress=False,
                         set={{"train.images": 10**6, "train.dtype": "f32"}},
                         callback=lambda event: print(event.images, flush=True) if event.kind == "step" else None)
        except KeyboardInterrupt as interrupt:
            print("interrupted:", interrupt, flush=True)
            sys.exit(7)
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    assert process.stdout.readline().strip().isdigit()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 7 and "checkpoint is saved" in out, out + err
    assert "Traceback" not in err and "Exception ignored" not in err
    assert list((tmp_path / "run").glob("state-*"))


def test_ctrl_c_stops_sampling():
    began = time.monotonic()
    out = python("""
        import os, signal, threading, diffit
        signal.signal(signal.SIGINT, signal.default_int_handler)
        model = diffit.load("fashion-mnist", device="cpu")
        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            model.sample(100000, steps=40, progress=False)
        except KeyboardInterrupt:
            print("stopped")
        print(model.sample(1, steps=2, progress=False).shape)
    """)
    assert out.split("\n")[0] == "stopped" and time.monotonic() - began < 60


def test_no_signal_interrupts_the_thread_of_the_library():
    from diffit import _apart
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    blocked = _apart.Apart()(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []))
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM, signal.SIGWINCH} <= blocked
    assert not blocked & {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    here = threading.get_ident()
    call = _apart.Apart()
    assert call(lambda: call.in_caller(threading.get_ident)) == here, "callbacks run in the thread that called"


def test_a_handler_of_the_program_is_called_and_kept():
    python("""
        import os, signal, diffit
        class Stop(Exception):
            pass
        def handler(number, frame):
            raise Stop("by the program")
        signal.signal(signal.SIGINT, handler)
        model = diffit.load("fashion-mnist", device="cpu")
        calls = []
        class Bar:
            n = 0
            def __init__(self, **_): pass
            def update(self, more):
                calls.append(more)
                if len(calls) == 2:
                    os.kill(os.getpid(), signal.SIGINT)
            def close(self): pass
        try:
            model.sample(100000, steps=40, progress=Bar)
        except Stop:
            pass
        else:
            raise SystemExit("not stopped")
        assert signal.getsignal(signal.SIGINT) is handler
    """)


def test_torch_that_is_missing_or_of_another_version(tmp_path):
    def attempt(folder):
        return python("""
            import diffit
            try:
                diffit.load("fashion-mnist")
            except diffit.LibraryError as error:
                print(error)
        """, env={"DIFFIT_TORCH": str(folder), "DIFFIT_LIBRARY": ""})

    assert "DIFFIT_TORCH" in attempt(tmp_path / "nothing")
    (tmp_path / "torch/lib").mkdir(parents=True)
    (tmp_path / "torch/lib/libtorch_cpu.so").touch()
    assert "version.py" in attempt(tmp_path / "torch")
    (tmp_path / "torch/version.py").write_text("__version__ = '1.13.1+cu117'\n")
    told = attempt(tmp_path / "torch")
    assert "1.13.1+cu117" in told and "built for torch" in told
    # Without torch at all: a Python that finds nothing but this package.
    (tmp_path / "diffit").symlink_to(pathlib.Path(diffit.__file__).parent)
    out = subprocess.run([sys.executable, "-S", "-c", textwrap.dedent(f"""
        import sys; sys.path.append({str(tmp_path)!r})
        import diffit
        sys.path.remove({str(tmp_path)!r})
        try:
            diffit.load("fashion-mnist")
        except diffit.LibraryError as error:
            print(error)
    """)], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "", "DIFFIT_LIBRARY": "", "DIFFIT_TORCH": ""})
    assert "torch is not installed" in out.stdout and "pip install" in out.stdout, out.stdout + out.stderr
