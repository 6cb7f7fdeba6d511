"""Sizes that compressors bring standard input to, for `npm run bench -- learn`: one line of JSON for each."""

import bz2
import gzip
import json
import lzma
import sys
import time

import pyppmd
import zstandard

CASES = {
    "gzip -9": lambda data: gzip.compress(data, 9, mtime=0),
    "zstd -19": lambda data: zstandard.ZstdCompressor(level=19).compress(data),
    "xz -9e": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
    "bzip2 -9": lambda data: bz2.compress(data, 9),
    "PPMd -o16 -m1g": lambda data: ppmd(data),
}


def ppmd(data: bytes) -> bytes:
    encoder = pyppmd.Ppmd7Encoder(max_order=16, mem_size=1 << 30)
    return encoder.encode(data) + encoder.flush()


def main() -> None:
    data = sys.stdin.buffer.read()
    for name, compress in CASES.items():
        start = time.perf_counter()
        size = len(compress(data))
        print(json.dumps({"name": name, "bytes": size, "seconds": time.perf_counter() - start}), flush=True)


main()
