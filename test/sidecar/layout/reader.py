"""Reads a repository without a key by docs/backup-format.md alone: the program of a stranger.

    reader.py DIRECTORY SNAPSHOT-ID PART > tree    prints the tree's bytes
    reader.py DIRECTORY SNAPSHOT-ID --chunks       prints id and length of each chunk that belongs to the snapshot, all checked

Needs python3 and the zstd program.
"""
import hashlib
import json
import pathlib
import struct
import subprocess
import sys

TYPE = "application/vnd.coracle.backup."
root = pathlib.Path(sys.argv[1])


def blob(descriptor):
    algorithm, digits = descriptor["digest"].split(":")
    content = (root / "blobs" / algorithm / digits).read_bytes()
    if hashlib.sha256(content).hexdigest() != digits or len(content) != descriptor["size"]:
        sys.exit(f"{digits} is damaged")
    return content


def artifacts():
    """Manifests by name."""
    index = json.loads((root / "index.json").read_text())
    for entry in index["manifests"]:
        name = entry.get("annotations", {}).get("org.opencontainers.image.ref.name")
        if name:
            yield name, json.loads(blob(entry))


def decompressed(frame):
    return subprocess.run(["zstd", "-dcq"], input=frame, stdout=subprocess.PIPE, check=True).stdout


class Reading:
    """Fixed numbers, one after the other."""

    def __init__(self, content, magic):
        self.content = content
        self.at = 8
        if content[:8] != magic or self.number() != 1:
            sys.exit("unknown format")

    def take(self, size):
        self.at += size
        return self.content[self.at - size : self.at]

    def number(self):
        return struct.unpack("<I", self.take(4))[0]

    def large_number(self):
        return struct.unpack("<Q", self.take(8))[0]


def read_index(content, chunks, packs):
    """Where each chunk is: pack, frame's offset and bytes, offset and bytes in the frame's content."""
    reading = Reading(content, b"CORACLIX")
    for _ in range(reading.number()):
        pack, size, at, order = reading.take(32).hex(), reading.large_number(), 0, []
        for _ in range(reading.number()):
            stored, plain, offset = reading.number(), reading.number(), 0
            for _ in range(reading.number()):
                identifier, length = reading.take(32), reading.number()
                chunks.setdefault(identifier, (pack, at, stored, offset, length))
                order.append(identifier)
                offset += length
            if offset != plain:
                sys.exit("a frame has another size")
            at += stored
        if at != size:
            sys.exit("a pack has another size")
        packs[pack] = order


def read_uses(content, packs):
    reading = Reading(content, b"CORACLUS")
    for _ in range(reading.number()):
        pack, count = reading.take(32).hex(), reading.number()
        bits = reading.take((count + 7) // 8)
        for number in range(count):
            if bits[number // 8] >> (number % 8) & 1:
                yield packs[pack][number]


def main():
    _, _, wanted, part = sys.argv
    named = dict(artifacts())
    repository = json.loads(blob(named["repository"]["config"]))
    if repository["version"] != 1 or repository["encryption"] != "none":
        sys.exit("this reader has no key")
    manifest = next(each for each in named.values() if each["config"]["digest"] == wanted)
    if manifest["artifactType"] != TYPE + "snapshot.v1":
        sys.exit("no snapshot")
    snapshot = json.loads(blob(manifest["config"]))
    if snapshot["version"] != 1 or snapshot["repository"] != repository["id"]:
        sys.exit("a snapshot of another repository")
    chunks, packs, blobs = {}, {}, {}
    for layer in manifest["layers"]:
        if layer["mediaType"] == TYPE + "index.v1":
            read_index(blob(layer), chunks, packs)
        if layer["mediaType"] == TYPE + "pack.v1":
            blobs[layer["digest"].split(":")[1]] = blob(layer)
    frames = {}

    def chunk(identifier):
        pack, at, stored, offset, length = chunks[identifier]
        if (pack, at) not in frames:
            frames[pack, at] = decompressed(blobs[pack][at : at + stored])
        content = frames[pack, at][offset : offset + length]
        if hashlib.sha256(content).digest() != identifier:
            sys.exit(f"{identifier.hex()} is damaged")
        return content

    if part == "--chunks":
        uses = next(each for each in manifest["layers"] if each["mediaType"] == TYPE + "uses.v1")
        for identifier in read_uses(blob(uses), packs):
            print(identifier.hex(), len(chunk(identifier)))
        return
    tree = next(each["tree"] for each in snapshot["parts"] if each["name"] == part)
    for digits in tree:
        sys.stdout.buffer.write(chunk(bytes.fromhex(digits)))


main()
