"""The checksum is that of the program of this name."""

from __future__ import annotations

import subprocess

import pytest

from arex.controldir.cksum import Cksum


def number_of(*pieces: bytes) -> int:
    crc = Cksum()
    for piece in pieces:
        crc.update(piece)
    return crc.number()


@pytest.mark.parametrize("data", [b"", b"\0", b"hello", bytes(range(256)) * 5000], ids=["empty", "nul", "word", "long"])
def test_it_is_what_cksum_prints(data: bytes) -> None:
    said = subprocess.run(["cksum"], input=data, capture_output=True, check=True).stdout

    assert int(said.split()[0]) == number_of(data)


def test_pieces_make_the_whole() -> None:
    assert number_of(b"hello") == number_of(b"he", b"", b"llo")
