"""The checksum of ``cksum(1)``, used in the size-and-checksum entries of ``.input``."""

from __future__ import annotations

import zlib
from typing import Final

_ALL_ONES: Final = 0xFFFFFFFF
_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Cksum:
    """
    Computes the checksum incrementally with zlib's CRC, by reversing the bits of each input byte and of the result.

    Source: POSIX.1-2017, cksum.
    """

    def __init__(self) -> None:
        self._sum = _ALL_ONES  # zlib's initial value for a CRC register of zeros
        self._length = 0

    def update(self, data: bytes, /) -> None:
        self._sum = zlib.crc32(data.translate(_MIRRORED), self._sum)
        self._length += len(data)

    def number(self) -> int:
        """The checksum of all data so far, which includes its length."""
        length = self._length.to_bytes((self._length.bit_length() + 7) // 8, "little")
        mirrored = zlib.crc32(length.translate(_MIRRORED), self._sum) ^ _ALL_ONES
        return int(f"{mirrored:032b}"[::-1], 2) ^ _ALL_ONES
