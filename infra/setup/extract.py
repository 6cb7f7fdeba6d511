"""Takes TensorFlow's C library and its headers out of a wheel: extract.py WHEEL FOLDER."""

import os
import shutil
import sys
import zipfile

LIBRARIES = ("tensorflow/libtensorflow_cc.", "tensorflow/libtensorflow_framework.")
HEADERS = tuple(
    "tensorflow/include/" + folder
    for folder in ("tensorflow/c/", "tensorflow/core/platform/", "tsl/platform/", "xla/tsl/c/")
)


def target(name):
    if name.startswith(LIBRARIES):
        return "lib/" + name[len("tensorflow/"):]
    if name.startswith(HEADERS) and name.endswith(".h"):
        return name[len("tensorflow/"):]
    return None


def main(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if target(name) is None:
                continue
            path = os.path.join(folder, target(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            # Reading to the end makes zipfile check the CRC.
            with archive.open(name) as packed, open(path, "wb") as plain:
                shutil.copyfileobj(packed, plain, 1 << 20)


main(sys.argv[1], sys.argv[2])
