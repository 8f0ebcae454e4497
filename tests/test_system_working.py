"""What a worker reads and writes."""

from __future__ import annotations

import io
import pickle
import signal
import subprocess
import sys

from sessiontail.system.working import read_frame, write_frame


def test_frames_come_out_as_they_went_in_and_a_torn_one_is_none() -> None:
    stream = io.BytesIO()
    for frame in (b"", b"a", b"x" * 100_000):
        write_frame(stream, frame)
    whole = stream.getvalue()

    reader = io.BytesIO(whole[:-1])

    assert [read_frame(reader) for _ in range(4)] == [b"", b"a", None, None]


def test_a_worker_answers_until_its_input_ends_and_minds_no_interrupt() -> None:
    program = "from sessiontail.system.working import serve; serve()"
    calls = io.BytesIO()
    write_frame(calls, pickle.dumps(("os", "kill_nobody", 1)))
    write_frame(calls, pickle.dumps(("signal", "raise_signal", signal.SIGINT)))
    write_frame(calls, pickle.dumps(("math", "sqrt", 16)))

    done = subprocess.run(
        [sys.executable, "-c", program], input=calls.getvalue(), capture_output=True, check=True
    )

    answers = io.BytesIO(done.stdout)
    first, interrupted, second = (read_frame(answers) for _ in range(3))
    assert first is not None
    assert interrupted is not None
    assert second is not None
    worked, error = pickle.loads(first)
    assert (worked, type(error)) == (False, AttributeError)
    assert pickle.loads(interrupted) == (True, None)
    assert pickle.loads(second) == (True, 4.0)
    assert (read_frame(answers), done.stderr) == (None, b"")
