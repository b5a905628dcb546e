"""What stands in the README and in other pages is right: commands, code, numbers, links."""

import contextlib
import importlib
import importlib.util
import io
import json
import re
import shutil
import tomllib

import numpy as np
import pytest
import soundfile
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser

import fakesound
from fakesound.attacks import ATTACKS, BUILT_IN
from fakesound.config.compose import compose_config, run_config
from fakesound.corpora import CORPORA
from fakesound.data.manifest import read_manifest
from fakesound.prepare import _values
from fakesound.run import _first_of_each
from tests.conftest import fakesound as run_verb
from tests.readme import (
    GUIDES,
    OTHERS,
    PAGES,
    PRETRAINED,
    README,
    ROOT,
    anchors,
    commands,
    fences,
    links,
    words,
)

LINES = list(dict.fromkeys(commands(README)))
OTHER_LINES = sorted(
    {line for page in (*OTHERS, PRETRAINED) for line in commands(page) if line[:7] == "python "}
    | {line for page in GUIDES for line in commands(page, with_fences=False)}
)
# of the README, read and checked but not run here, and why
NOT_RUN = {
    "python -m fakesound.listen": "waits for listeners, and is run by other tests",
    "python -m fakesound.launch": "needs an account, and is run by other tests",
    "python -m fakesound.prepare manifest=FILE": "is run by other tests",
    "torchrun": "trains, and is run by other tests",
    "docker": "needs a container engine",
    "python -m fakesound.run": "trains, and is run by other tests",
    "python -m benchmarks": "takes minutes, and is run by other tests",
    "python -m fakesound.compare": "needs finished sweeps, and is run by other tests",
    "python -m fakesound.prepare corpus=fakesound": "needs a download",
    "python -m fakesound.prepare corpus=genuine_recordings": "needs a network",
    "python -m fakesound.prepare corpus=public_generators": "needs a network",
    "make": "is what tests themselves are run by",
    "pip install": "needs a network",
    "wandb sync": "needs an account",
}
# minutes, or much of one
SLOW = ("--robustness", "--to onnx", "fakesound.forge FOLDER OUT")


def verb_of(line):
    first = words(line)[:3]
    if first[:2] == ["python", "-m"] and first[2].startswith("fakesound."):
        return first[2].removeprefix("fakesound.")
    return None


def check_run(arguments):
    if "--reproduce" in arguments:
        assert len(arguments) == 2
        return
    options = get_args_parser().parse_args(arguments)
    if options.help:
        return
    composed = compose_config(_first_of_each(options.overrides), with_hydra=True)
    assert run_config(composed)
    parsed = OverridesParser.create().parse_overrides(options.overrides)
    if any(override.is_sweep_override() for override in parsed):
        assert options.multirun, "several values need -m"


def check_prepare(arguments):
    values = _values(arguments)
    if "manifest" in values:
        assert "out" in values
        return
    assert values["corpus"] in {*CORPORA, "list", "genuine_recordings", "public_generators"}
    fetched = values["corpus"] in ("list", "genuine_recordings", "public_generators")
    assert ("root" in values) != fetched
    assert values.get("allow_missing", "true") in ("true", "false")


def check(line):
    """Check that a command can be read, whatever the files are that it names."""
    verb, (program, *rest) = verb_of(line), words(line)
    if verb == "run":
        check_run(rest[2:])
    elif verb == "prepare":
        check_prepare(rest[2:])
    elif verb == "cloud.container":
        check_run(rest[2:])
    elif verb is not None:
        parser = importlib.import_module(f"fakesound.{verb}")._parser()
        parse(parser.parse_intermixed_args if verb == "launch" else parser.parse_args, rest[2:])
    elif program == "python" and rest[0] == "-m":
        parse(importlib.import_module(rest[1])._parser().parse_args, rest[2:])
    elif program == "torchrun":
        check_run(rest[rest.index("fakesound.run") + 1 :])
    elif program == "docker":
        assert rest[0] in ("build", "run")
        assert rest[0] == "run" or (ROOT / rest[rest.index("-f") + 1]).is_file()
    elif program == "make":
        assert re.search(f"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program == "pip":
        extras = re.findall(r"\[([\w,]+)\]", rest[-1])
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        known = project["optional-dependencies"]
        assert all(extra in known for names in extras for extra in names.split(","))
    elif program == "python" and rest[0] == "-c":
        compile(rest[1], line, "exec")
    elif program == "python" and rest[0].endswith(".py"):
        assert (ROOT / rest[0]).is_file()
    else:
        assert program in ("wandb", "apt"), "what is this?"


def parse(read, arguments):
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            read(arguments)
    except SystemExit as stopped:  # of --help with 0
        if stopped.code:
            pytest.fail(told.getvalue())


def each(lines):
    return pytest.mark.parametrize("line", lines, ids=lambda line: " ".join(words(line)))


@each(LINES)
def test_commands_of_the_readme_can_be_read(line):
    check(line)


@each(OTHER_LINES)
def test_commands_of_other_pages_can_be_read(line):
    check(line)


def not_run(line):
    return any(line.startswith(start) for start in NOT_RUN)


RUN = [
    pytest.param(line, marks=pytest.mark.slow) if any(part in line for part in SLOW) else line
    for line in LINES
    if not not_run(line)
]


def test_nothing_is_left_out_that_the_readme_does_not_have():
    for start in NOT_RUN:
        assert any(line.startswith(start) for line in LINES), start


@pytest.fixture(scope="module")
def place(recordings, tmp_path_factory):
    """Return a folder with the files that commands of the README name."""
    outside = tmp_path_factory.mktemp("readme")
    folder = outside / "checkout"
    folder.mkdir()
    shutil.copytree(recordings, folder / "FOLDER")
    shutil.copy(recordings / "00.wav", folder / "recording.wav")
    shutil.copy(ROOT / "fakesound/pretrained/detector.safetensors", folder / "RUN.safetensors")
    clips, scores = [], {"S": [], "V": [], "OURS": [], "THEIRS": []}
    rng = np.random.default_rng(0)
    for number, path in enumerate(sorted(recordings.glob("*.wav"))):
        fake = number % 2 == 1
        clip = {
            "clip_id": f"c{number}", "path": str(path), "source_id": f"s{number // 2}",
            "label": "fake" if fake else "genuine", "attack": "vocoder/mine" if fake else None,
            "regions": [[0.4, 1.0]] if fake else [], "duration": soundfile.info(path).duration,
            "sample_rate": 16_000, "corpus": "mine", "split": "test",
        }  # fmt: skip
        clips.append(clip)
        for rows in scores.values():
            rows.append(clip | {"score": float(rng.uniform(0.3 * fake, 0.7 + 0.3 * fake))})
    for name, rows in {"M": clips, **scores}.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / (name if name == "M" else f"{name}.jsonl")).write_text(text)
    (folder / "DIR" / "scores").mkdir(parents=True)
    shutil.copy(folder / "M", folder / "DIR" / "clips.jsonl")
    shutil.copy(folder / "THEIRS.jsonl", folder / "DIR" / "scores" / "listeners.jsonl")
    (folder / "MODEL").mkdir()
    shutil.copy(folder / "OURS.jsonl", folder / "MODEL" / "scores.jsonl")
    lines = [f"{clip['clip_id']} {rng.normal()}" for clip in clips]
    (folder / "cm.txt").write_text("\n".join(lines) + "\n")
    return folder


def adapted(line):
    """Return the words of ``line``, with what it leaves to the reader filled in."""
    text = line.replace("outputs/mt_vim/TIME", "RUN.safetensors").replace(" M [M ...]", " M")
    text = re.sub(r"--checkpoint RUN\b", "--checkpoint RUN.safetensors", text)
    if "fakesound.export" in line:
        text = text.partition("#")[0] + f" --out detector.{words(text)[-1]}"
    return words(text)


@each(RUN)
def test_commands_of_the_readme_work(line, place):
    verb = verb_of(line)
    assert verb is not None, "neither run nor excused: see NOT_RUN"
    done = run_verb(verb, *adapted(line)[3:], folder=place)
    assert done.returncode == 0, done.stderr
    for option in ("--html", "--csv", "--json", "--out"):
        if option in words(line):
            named = place / words(line)[words(line).index(option) + 1]
            assert named.stat().st_size > 0


@pytest.fixture
def python_blocks(place, monkeypatch):
    """Return the blocks of Python in the README, to be run where their files are."""
    monkeypatch.chdir(place)
    return [text for language, text in fences(README) if language == "python"]


def test_blocks_of_the_readme_are_of_these_languages(python_blocks):
    assert {language for language, _ in fences(README)} == {"", "python", "json"}
    assert len(python_blocks) == 2


def test_the_detector_is_used_as_the_readme_says(python_blocks):
    names = {"fakesound": fakesound}
    exec(python_blocks[0], names)
    found = names["result"]
    assert found.verdict in ("genuine", "fake", "uncertain")
    assert 0 <= found.score <= 1
    assert len(found.frame_scores) == 80


@pytest.mark.slow
def test_the_exported_file_is_used_as_the_readme_says(python_blocks, place):
    onnxruntime = pytest.importorskip("onnxruntime")
    done = run_verb(
        "export", "RUN.safetensors", "--to", "onnx", "--out", "detector.onnx", folder=place
    )
    assert done.returncode == 0, done.stderr
    audio, _ = soundfile.read("recording.wav", dtype="float32")
    names = {"onnxruntime": onnxruntime, "audio": audio}
    exec(python_blocks[1], names)
    found = fakesound.Detector.from_pretrained().detect("recording.wav")
    assert float(names["score"]) == pytest.approx(found.score, abs=1e-3)
    np.testing.assert_allclose(names["frame_scores"], found.frame_scores, atol=1e-3)


def test_the_row_of_a_manifest_is_one(place, recordings):
    ((_, text),) = [fence for fence in fences(README) if fence[0] == "json"]
    row = json.loads(text)
    (place / "audio").mkdir()
    audio = np.random.default_rng(0).normal(0, 0.1, round(row["duration"] * row["sample_rate"]))
    soundfile.write(place / row["path"], audio, row["sample_rate"])
    (place / "row.jsonl").write_text(json.dumps(row) + "\n")
    (clip,) = read_manifest(place / "row.jsonl")
    assert (clip.clip_id, clip.source_id, clip.split) == ("a1", "speaker7/take3", "test")


def test_attacks_are_as_many_as_the_readme_says():
    families = {ATTACKS[name].family for name in BUILT_IN}
    neural = [name for name in BUILT_IN if "neural" in name]
    said = (
        f"{len(BUILT_IN)} attacks in {number(families)} families, {number(neural)} of them neural"
    )
    assert said in README.read_text()


def number(things):
    return ["none", "one", "two", "three", "four", "five", "six", "seven", "eight"][len(things)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_choice_the_readme_names_has_a_command():
    """A sweep or experiment that nobody can find is none."""
    text = README.read_text()
    for group in ("experiment", "sweep"):
        for path in (ROOT / "conf" / group).glob("*.yaml"):
            # what `make smoke` runs, for developers
            named = path.stem == "smoke" or re.search(rf"\b{path.stem}\b", text)
            assert named, f"{group}={path.stem}"
