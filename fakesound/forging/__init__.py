"""The forge, which makes laundered genuine clips and labelled fakes from genuine recordings."""

from fakesound.forging.corpus import Corpus, resolve_corpus
from fakesound.forging.forge import ForgedClips, forge
from fakesound.forging.plan import ForgeSettings, Job, plan_jobs
from fakesound.forging.sources import embedded_clips, folder_clips

__all__ = [
    "Corpus",
    "ForgeSettings",
    "ForgedClips",
    "Job",
    "embedded_clips",
    "folder_clips",
    "forge",
    "plan_jobs",
    "resolve_corpus",
]
