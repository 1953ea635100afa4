"""A SHA-256 that is carried from one process to another gives the digest that one process would have given."""

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.resumable_sha256 import ResumableSha256, restore_sha256, resumable_sha256, saved_state

CONTENT = bytes(range(256)) * 1024


@given(before=st.integers(0, 60), after=st.binary(max_size=300), seed=st.binary(min_size=1, max_size=64))
def test_a_restored_digest_goes_on_as_if_nothing_had_happened(before, after, seed):
    """Whatever the number of whole blocks before the cut, the end is hashlib's digest."""
    first = (seed * 4096)[: before * 64]
    hasher = resumable_sha256()
    hasher.update(first)
    state = saved_state(hasher)
    assert state is not None
    restored = restore_sha256(state, len(first))
    assert restored is not None
    restored.update(after)

    assert restored.hexdigest() == hashlib.sha256(first + after).hexdigest()


def test_taking_the_digest_does_not_end_it():
    """A digest may be asked for in between, and bytes may follow."""
    hasher = resumable_sha256()
    hasher.update(b"abc")
    between = hasher.hexdigest()
    hasher.update(b"def")

    assert between == hashlib.sha256(b"abc").hexdigest()
    assert hasher.hexdigest() == hashlib.sha256(b"abcdef").hexdigest()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(bytearray(data))])
def test_every_kind_of_buffer_is_taken(kind):
    """Read-only and writable memory give the same digest."""
    hasher = resumable_sha256()
    hasher.update(kind(CONTENT))

    assert hasher.hexdigest() == hashlib.sha256(CONTENT).hexdigest()


def test_another_process_goes_on_from_the_state():
    """The state is bytes, not a pointer into the process that saved it."""
    hasher = resumable_sha256()
    hasher.update(CONTENT)
    state = saved_state(hasher)
    assert state is not None
    code = (
        "import sys; from modelfetch.resumable_sha256 import restore_sha256;"
        f"h = restore_sha256(bytes.fromhex('{state.hex()}'), {len(CONTENT)}); h.update(b'tail'); print(h.hexdigest())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert told.stdout.strip() == hashlib.sha256(CONTENT + b"tail").hexdigest()


def test_there_is_no_state_inside_a_block():
    """Only between two blocks of 64 bytes is the state worth keeping: a reader can check it against the length."""
    hasher = resumable_sha256()
    hasher.update(b"x" * 65)

    assert saved_state(hasher) is None


@pytest.mark.parametrize(
    ("state", "size"),
    [(b"", 0), (b"x" * 112, 64), (bytes(112), 64), (bytes(111), 0)],
    ids=["empty", "nonsense", "of another length", "short"],
)
def test_a_state_that_does_not_fit_its_length_is_not_restored(state, size):
    """A damaged or foreign state costs time, never a wrong digest."""
    assert restore_sha256(state, size) is None


def test_python_hashes_have_no_state():
    """Where libcrypto cannot be used, the digest is Python's and there is nothing to save."""
    assert saved_state(hashlib.sha256()) is None


def test_this_machine_can_carry_a_digest_over():
    """The machines that this project supports have a libcrypto: here the fast way is the one that is tested."""
    assert isinstance(resumable_sha256(), ResumableSha256)
