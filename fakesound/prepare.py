"""Write the manifest of a data set, read in its published layout or fetched.

fakesound prepare CORPUS ROOT [--out DIR] [--allow-missing] [--shards]
fakesound prepare --manifest FILE --out DIR
"""

import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fakesound.command_line import Parser, entry_point, parser
from fakesound.corpora import CORPORA, Corpus
from fakesound.errors import InputError
from fakesound.files import write_whole

if TYPE_CHECKING:
    from fakesound.data.manifest import Clip

DESCRIPTION = """\
Read a data set in its published layout, open every audio file, compare it with the lists of the
data set and write OUT/manifest.jsonl. Audio is neither copied nor changed, unless it goes into
shards: a few large tars in OUT/shards, in the WebDataset layout, from which any clip can be read
directly. The folder OUT can then be moved or copied as a whole, also to s3://... The same command
continues after an interruption."""
EPILOG = """\
examples:
  fakesound prepare --list
  fakesound prepare fakesound ~/data/FakeSound --allow-missing
  fakesound prepare folder recordings
  fakesound prepare csv clips.csv --out prepared/mine
  fakesound prepare genuine_recordings --out genuine
  fakesound prepare --manifest prepared/mine/manifest.jsonl --out sharded

use the result:
  fakesound run experiment=mt_vim data.manifest=prepared/mine/manifest.jsonl
  fakesound evaluate --checkpoint default --manifest prepared/mine/manifest.jsonl --out DIR

your own audio, by folder (folder):
  genuine/ (or real, bonafide) and fake/FAMILY/GENERATOR/ (or spoof). Only the folder gives the
  label. Files of equal name, such as genuine/a7.wav and fake/vocoder/world/a7.wav, are twins: one
  source, never split between training and test. NAME.json beside NAME.wav may give
  {"regions": [[0.5, 1.2]], "source_id": ..., "split": ..., "donor_ids": [...], "license": ...}; a
  fake without regions is fake from start to end.

your own audio, by table (csv):
  comma or tab separated, with a header: path, label (genuine, real, bonafide, 0; fake, spoof, 1)
  and, where known, clip_id, source_id, attack (family/generator), regions ("0.5-1.2;3-4"), split,
  corpus, domain, donor_ids ("a;b"), license. Paths are relative to the table.

genuine_recordings downloads about 20 hours of free speech, music and sound from public git
  repositories and Debian packages (by apt-get; no root needed) and writes clips of at most 10 s to
  OUT/train and OUT/heldout, with a manifest in each; OUT/licenses.txt gives the licence of every
  source. Sources in heldout are never used for training: they measure false alarms.

public_generators downloads 20 hours of fakes by about 540 published generators, and genuine
  recordings, from 154 public repositories. The package holds recipes, which point to files, and no
  audio. Clips are 16 kHz WAV of at most 10 s. Fakes have their decoder and, where one is published,
  their genuine twin, aligned in time; copies of one recording are one source. Most repositories
  state no licence: check yourself what you may do with the audio.

exit codes: 0 done; 2 wrong input, explained in one line; 1 anything else
"""
SHARD_SIZE = 256
# corpora that are fetched
RECORDINGS, GENERATORS = "genuine_recordings", "public_generators"
# options that only some commands have; "" reads an unpacked data set
OWNERS = {
    "root": ("",),
    "shards": ("",),
    "shard_size": ("", "manifest"),
    "mirror": (RECORDINGS, GENERATORS),
    "sources": (RECORDINGS,),
    "licenses": (GENERATORS,),
    "without": (GENERATORS,),
    "recipes": (GENERATORS,),
}
# keys of the form key=value, which this release still reads
KEYS = ("corpus", "root", "out", "allow_missing", "manifest", *OWNERS)
LISTS, FLAGS = ("sources", "without"), ("allow_missing", "shards")


def build_parser() -> Parser:
    """Return the parser of the command line."""
    result = parser("prepare", DESCRIPTION, EPILOG)
    add = result.add_argument
    known = [*CORPORA, RECORDINGS, GENERATORS]
    add("corpus", nargs="?", choices=known, metavar="CORPUS", help="a data set; --list shows all")
    add("root", nargs="?", metavar="ROOT", help="folder of the unpacked data set, or a table")
    add("--list", action="store_true", help="show the data sets and their layouts")
    add(
        "--out", metavar="DIR", help="folder to write to (prepared/CORPUS; your own: prepared/ROOT)"
    )
    add(
        "--allow-missing",
        action="store_true",
        help="leave out missing and contradictory rows, listed in OUT/problems.txt",
    )
    add("--shards", action="store_true", help="decode all audio and copy it into shards")
    add("--shard-size", metavar="MIB", help=f"audio in a shard ({SHARD_SIZE})")
    add("--manifest", metavar="FILE", help="put the clips of a manifest into shards")
    add(
        "--mirror",
        metavar="DIR",
        help=f"{RECORDINGS}, {GENERATORS}: clones (OWNER+NAME) and .deb files to use "
        "instead of downloads",
    )
    add(
        "--sources",
        nargs="+",
        metavar="GLOB",
        help=f"{RECORDINGS}: only the sources with these names; --sources list shows all",
    )
    add(
        "--licenses",
        choices=("all", "stated"),
        help=f"{GENERATORS}: stated selects repositories that state a licence (all)",
    )
    add(
        "--without",
        nargs="+",
        metavar="FILE",
        help=f"{GENERATORS}: manifests of test benches whose recordings are dropped",
    )
    add("--recipes", metavar="FILE", help=f"{GENERATORS}: your own recipes, JSON Lines")
    return result


@entry_point
def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_intermixed_args(_current(sys.argv[1:]))
    if options.list:
        _list_corpora()
        return
    kind = "manifest" if options.manifest else ""
    if kind and options.corpus:
        raise InputError(f"{options.corpus}: --manifest needs no data set; remove it")
    if not kind and options.corpus in (RECORDINGS, GENERATORS):
        kind = options.corpus
    for name, owners in OWNERS.items():
        value = getattr(options, name)
        if value and kind not in owners:
            shown = value if name == "root" else f"--{name.replace('_', '-')}"
            allowed = " or ".join(_owner(owner) for owner in owners)
            raise InputError(f"{shown}: only for {allowed}; remove it")
    commands = {
        "": _read_data_set,
        "manifest": _pack_manifest,
        RECORDINGS: _fetch_recordings,
        GENERATORS: _fetch_generators,
    }
    commands[kind](options)


def _owner(kind: str) -> str:
    return {"": "an unpacked data set", "manifest": "--manifest"}.get(kind, kind)


def _current(arguments: Sequence[str]) -> list[str]:
    """Return ``arguments`` with those of the old form key=value replaced; print a hint."""
    current: list[str] = []
    # first, since the values of an option may be several
    named: list[str] = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in KEYS:
            current.append(argument)
        elif key == "corpus":
            named.insert(0, "--list" if value == "list" else value)
        elif key == "root":
            named.append(value)
        elif key in FLAGS:
            current += [f"--{key}".replace("_", "-")] if value == "true" else []
        else:
            values = value.split(",") if key in LISTS else [value]
            current += [f"--{key}".replace("_", "-"), *values]
    current = [*named, *current]
    if current != list(arguments):
        command = shlex.join(["fakesound", "prepare", *current])
        print(f"key=value is now: {command}; the old form works for this release", file=sys.stderr)
    return current


def _pack_manifest(options: Namespace) -> None:
    """Put the clips of a manifest into shards."""
    if options.out is None:
        raise InputError("--out: missing; give the folder of the shards and their manifest")
    out, size = _out(options), _shard_size(options)
    from fakesound.data.location import parse_location
    from fakesound.data.manifest import read_manifest

    location = parse_location(options.manifest)
    path = location.local and location.local.expanduser()
    if path is not None and path.resolve() == (out / "manifest.jsonl").resolve():
        raise InputError(f"--out {out}: holds the manifest itself; name another folder")
    _write_shards(read_manifest(path or location), out, size, options.allow_missing, [])
    print(out / "manifest.jsonl")


def _write_shards(
    clips: Sequence["Clip"], out: Path, size: int, allow_missing: bool, problems: Sequence[str]
) -> None:
    """Write ``clips`` to shards, and ``problems`` with those of skipped clips to problems.txt."""
    from fakesound.data.shards import write_shards
    from fakesound.progress import console, progress_bar

    with progress_bar("shards") as progress:
        wrong = write_shards(clips, out, size * 2**20, allow_missing, progress)
    if wrong:
        write_whole(out / "problems.txt", "\n".join([*problems, *wrong]) + "\n")
        console.print(f"left out: {len(wrong)} clips, listed in {out / 'problems.txt'}")


def _read_data_set(options: Namespace) -> None:
    """Write the manifest of an unpacked data set."""
    corpus, root = _corpus(options)
    own = root.resolve().stem if root.is_file() else root.resolve().name
    out = _out(options, Path("prepared") / (own if corpus.per_folder else corpus.name))
    if options.out is None and corpus.per_folder and root.is_dir():
        _check_own(out, root)
    if options.shard_size and not options.shards:
        raise InputError(f"--shard-size {options.shard_size}: needs --shards")
    shard_size = _shard_size(options) if options.shards else None
    from fakesound.corpora.check import check_rows
    from fakesound.corpora.report import print_report
    from fakesound.data.manifest import write_manifest
    from fakesound.progress import console, progress_bar

    listing = corpus.read(root)
    with progress_bar("audio") as progress:
        checked = check_rows(listing.rows, progress)
    wrong = [*listing.problems, *checked.wrong]
    print_report(
        console, corpus, checked.clips, checked.missing, wrong, [*listing.remarks, *checked.remarks]
    )
    problems = [*checked.missing, *wrong]
    problems_file = out / "problems.txt"
    if problems:
        write_whole(problems_file, "\n".join(problems) + "\n")
    else:
        problems_file.unlink(missing_ok=True)
    if not checked.clips:
        raise InputError(
            f"{root}: no clip of {corpus.name} can be used "
            f"({_counts(checked.missing, wrong) or 'it lists none'}); get it from {corpus.source}"
        )
    if problems and not options.allow_missing:
        raise InputError(
            f"{root}: {_counts(checked.missing, wrong)} (all in {problems_file}), "
            f"first {problems[0]}; correct them, or add --allow-missing to leave them out"
        )
    if problems:
        console.print(f"left out: {len(problems)} rows, listed in {problems_file}")
    if shard_size is not None:
        _write_shards(checked.clips, out, shard_size, options.allow_missing, problems)
    else:
        # resolved, since relative paths must also hold if the folder is a link
        write_manifest(out.resolve() / "manifest.jsonl", checked.clips)
    print(out / "manifest.jsonl")


def _check_own(out: Path, root: Path) -> None:
    """Check that the manifest in ``out``, if there is one, is not that of another folder.

    Raises:
        InputError: if it is.
    """
    manifest = out / "manifest.jsonl"
    if not manifest.is_file():
        return
    from fakesound.data.location import parse_location
    from fakesound.data.manifest import read_manifest

    for clip in read_manifest(manifest, check_files=False):
        path = parse_location(clip.location).local
        # shards are in the folder itself
        places = (root.resolve(), out.resolve())
        if path is not None and not any(path.resolve().is_relative_to(p) for p in places):
            raise InputError(
                f"{manifest}: is the manifest of another folder, with {path}; name another place "
                "with --out"
            )


def _fetch_recordings(options: Namespace) -> None:
    """Fetch genuine recordings and write their manifests."""
    out, mirror = _out(options, Path("prepared") / RECORDINGS), _mirror(options)
    from fakesound.corpora.genuine_recordings import prepare_recordings, read_sources
    from fakesound.files import lock_folder
    from fakesound.progress import print_line, progress_bar

    if options.sources == ["list"]:
        for source in read_sources():
            use = "held out" if source.heldout else "train"
            print(f"{source.name}\t{source.kind}\t{use}\t{source.license}")
        return
    sources = read_sources(options.sources or ["*"])
    lock_folder(out, "--out")
    with progress_bar("sources") as progress:
        prepared, problems = prepare_recordings(out, sources, mirror, progress)
    for source, result in prepared.items():
        left_out = ", ".join(f"{number} {reason}" for reason, number in result.left_out.items())
        print_line(
            f"{source.name} ({source.kind}): {result.hours:.2f} h, {source.license}; left out: "
            f"{left_out or 'nothing'}"
        )
    for problem in problems:
        print_line(f"missing: {problem}")
    if not prepared or (problems and not options.allow_missing):
        raise InputError(
            f"{RECORDINGS}: {len(problems)} of {len(sources)} sources are missing, first "
            f"{problems[0]}; start again to fetch them, or add --allow-missing to leave them out"
        )
    for part in sorted(out.glob("*/manifest.jsonl")):
        print(part)


def _fetch_generators(options: Namespace) -> None:
    """Fetch the published audio of generators and write its manifest."""
    out, mirror = _out(options, Path("prepared") / GENERATORS), _mirror(options)
    from fakesound.corpora.public_generators import prepare_generators, print_summary, read_recipes
    from fakesound.data.manifest import read_manifest
    from fakesound.files import lock_folder
    from fakesound.progress import console

    recipes = read_recipes(Path(options.recipes).expanduser() if options.recipes else None)
    recipes = [recipe for recipe in recipes if options.licenses != "stated" or recipe.is_open]
    bench = [
        clip for name in options.without or () for clip in read_manifest(Path(name).expanduser())
    ]
    out = out.resolve()
    lock_folder(out, "--out")
    print_summary(console, prepare_generators(recipes, out, mirror, bench, options.allow_missing))
    print(out / "manifest.jsonl")


def _corpus(options: Namespace) -> tuple[Corpus, Path]:
    """Return the data set, and the folder or file that holds it."""
    name = options.corpus
    if name is None:
        raise InputError("CORPUS: missing; name a data set, --list shows all")
    kind = "file or folder" if name == "csv" else "folder"
    if options.root is None:
        raise InputError(f"ROOT: missing; give the {kind} of the data set: prepare {name} ROOT")
    root = Path(options.root).expanduser()
    if not (root.is_dir() or (name == "csv" and root.is_file())):
        raise InputError(f"{root}: no such {kind}; give the {kind} of the data set")
    return CORPORA[name], root


def _mirror(options: Namespace) -> Path | None:
    mirror = Path(options.mirror).expanduser() if options.mirror else None
    if mirror is not None and not mirror.is_dir():
        raise InputError(f"--mirror {mirror}: no such folder; give the folder of clones")
    return mirror


def _out(options: Namespace, default: Path = Path()) -> Path:
    out = Path(options.out).expanduser() if options.out else default
    if "://" in (options.out or ""):
        raise InputError(
            f"--out {options.out}: must be a local folder; copy the result there afterwards"
        )
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; name a folder to write to")
    return out


def _shard_size(options: Namespace) -> int:
    text = options.shard_size or str(SHARD_SIZE)
    if not (text.isdecimal() and int(text) > 0):
        raise InputError(f"--shard-size {text}: must be a whole number of MiB above 0")
    return int(text)


def _list_corpora() -> None:
    for corpus in CORPORA.values():
        print(f"{corpus.name}: {corpus.summary}")
        print("  ROOT holds")
        for line in corpus.layout.strip().splitlines():
            print(f"    {line}")
        if not corpus.per_folder:
            print(f"  from {corpus.source}\n  licence: {corpus.card}")
        print()
    print(f"{RECORDINGS}: free recordings of speech, music and sound, all genuine; fetched")
    print("  from public git repositories and Debian packages; --sources list shows them")
    print(f"{GENERATORS}: fakes by some 540 published generators, and genuine recordings; fetched")
    print("  from 154 public repositories, some of which state a licence")


def _counts(missing: Sequence[str], wrong: Sequence[str]) -> str:
    counts = (len(missing), "files are missing"), (len(wrong), "rows cannot be used")
    return ", ".join(f"{number} {what}" for number, what in counts if number)


if __name__ == "__main__":
    main()
