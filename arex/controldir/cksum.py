"""The checksum of ``cksum(1)``, which size-and-checksum entries of ``.input`` carry."""

from __future__ import annotations

import zlib
from typing import BinaryIO, Final

_ALL_ONES: Final = 0xFFFFFFFF
_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_PIECE: Final = 1 << 20


class Cksum:
    """
    The CRC piece by piece: that of zlib with the bits of every byte, and of the sum, in the other order.

    Source: POSIX.1-2017, cksum.
    """

    def __init__(self) -> None:
        self._sum = _ALL_ONES  # zlib's name for a register of zeros
        self._length = 0

    def update(self, data: bytes, /) -> None:
        self._sum = zlib.crc32(data.translate(_MIRRORED), self._sum)
        self._length += len(data)

    def number(self) -> int:
        """Of all that came so far, its length included."""
        length = self._length.to_bytes((self._length.bit_length() + 7) // 8, "little")
        mirrored = zlib.crc32(length.translate(_MIRRORED), self._sum) ^ _ALL_ONES
        return int(f"{mirrored:032b}"[::-1], 2) ^ _ALL_ONES


def cksum(stream: BinaryIO) -> int:
    """CRC of a whole stream."""
    crc = Cksum()
    while piece := stream.read(_PIECE):
        crc.update(piece)
    return crc.number()
