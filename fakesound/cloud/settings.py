"""Settings of a launch: from ``conf/launch``, a file of the user's and the command line."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fakesound.config.compose import configuration_folder, keys_of, readable_errors
from fakesound.config.launch import SageMakerConfig
from fakesound.errors import InputError

KEY = "launch"


def read_settings(words: Sequence[str], file: Path | None = None) -> SageMakerConfig:
    """Return the settings: those of ``words`` count most, then ``file``, then ``conf/launch``.

    Args:
        words: ``launch.KEY=VALUE``, values in Hydra's grammar.
        file: YAML file of keys without ``launch.``.

    Raises:
        InputError: in one line, for a key or value that is wrong.
    """
    with readable_errors():
        # one level deeper, so that errors name launch.KEY
        root = OmegaConf.create({KEY: SageMakerConfig})
        root[KEY].merge_with(OmegaConf.load(configuration_folder() / KEY / "sagemaker.yaml"))
    if file is not None:
        try:
            root[KEY].merge_with(OmegaConf.load(file))
        except (YAMLError, OSError, ValueError, OmegaConfBaseException) as error:
            first = str(error).splitlines()[0]
            raise InputError(f"{file}: {first}; see `launch --help` for the keys") from error
    with readable_errors():
        for override in OverridesParser.create().parse_overrides(list(words)):
            if override.is_sweep_override():
                raise InputError(f"{override.key_or_group}: takes one value for all runs")
            OmegaConf.update(root, str(override.key_or_group), override.value())
        found = OmegaConf.to_object(root[KEY])
    assert isinstance(found, SageMakerConfig)
    return found


def keys_help() -> str:
    """Return every key with its default and meaning, a line each."""
    lines = [
        f"  launch.{key}={default}\n      {meaning}"
        for key, default, meaning in keys_of(SageMakerConfig())
    ]
    variables = "role, image and bucket also come from FAKESOUND_ROLE, _IMAGE and _BUCKET"
    return "\n".join(["settings:", *lines, variables])
