"""The checksum of ``cksum(1)``, which size-and-checksum entries of ``.input`` carry."""

from __future__ import annotations

from typing import BinaryIO, Final

_POLYNOMIAL: Final = 0x04C11DB7


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (_POLYNOMIAL if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_TABLE: Final = _table()


def cksum(stream: BinaryIO) -> int:
    """
    CRC of a stream as POSIX defines it, its length included.

    Source: POSIX.1-2017, cksum.
    """
    value = length = 0
    while chunk := stream.read(1 << 16):
        length += len(chunk)
        for byte in chunk:
            value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ byte]
    while length:
        value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ (length & 0xFF)]
        length >>= 8
    return value ^ 0xFFFFFFFF
