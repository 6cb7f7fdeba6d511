"""Apache Avro's own implementation for Python, asked over standard input: one JSON request a line, one JSON answer a line.

encode: schema, value -> hex.  decode: writer, reader, hex -> value.  can_read: reader, writer -> compatible.
Bytes are strings of latin-1 in JSON.
"""

import io
import json
import sys

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.io import BinaryDecoder, BinaryEncoder, DatumReader, DatumWriter
from avro.schema import parse


def encode(request):
    out = io.BytesIO()
    DatumWriter(parse(request["schema"])).write(request["value"], BinaryEncoder(out))
    return out.getvalue().hex()


def decode(request):
    body = io.BytesIO(bytes.fromhex(request["hex"]))
    return DatumReader(parse(request["writer"]), parse(request["reader"])).read(BinaryDecoder(body))


def can_read(request):
    checker = ReaderWriterCompatibilityChecker()
    outcome = checker.get_compatibility(parse(request["reader"]), parse(request["writer"]))
    return outcome.compatibility is SchemaCompatibilityType.compatible


for line in sys.stdin:
    request = json.loads(line)
    answer = {"encode": encode, "decode": decode, "can_read": can_read}[request["do"]](request)
    print(json.dumps(answer, default=lambda value: value.decode("latin-1")), flush=True)
