"""The forge: genuine recordings in, laundered genuine clips and labelled fakes out."""

from fakesound.forging.forge import forge
from fakesound.forging.plan import ForgeSettings, Job, plan_jobs
from fakesound.forging.sources import embedded_clips, folder_clips

__all__ = ["ForgeSettings", "Job", "embedded_clips", "folder_clips", "forge", "plan_jobs"]
