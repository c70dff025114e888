"""Codecs: arrays to bytes and back (one file each), and bytes to fewer bytes and back."""

from cvbatch.codecs.array import ARRAY_CODECS, array_codec, codecs_for, parameters_of
from cvbatch.codecs.base import ArrayCodec, ByteCodec, Layout
from cvbatch.codecs.bytes import BYTE_ENCODINGS, byte_codec, decompress, default_compression

__all__ = [
    "ARRAY_CODECS",
    "BYTE_ENCODINGS",
    "ArrayCodec",
    "ByteCodec",
    "Layout",
    "array_codec",
    "byte_codec",
    "codecs_for",
    "decompress",
    "default_compression",
    "parameters_of",
]
