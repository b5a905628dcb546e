"""Readers of published data sets and of the user's own audio; they return clips for a manifest."""

from fakesound.corpora.asvspoof2019_la import ASVSPOOF2019_LA
from fakesound.corpora.envsdd import ENVSDD
from fakesound.corpora.fakemusiccaps import FAKEMUSICCAPS
from fakesound.corpora.fakesound import FAKESOUND
from fakesound.corpora.fakesound2 import FAKESOUND2
from fakesound.corpora.folder import FOLDER
from fakesound.corpora.had import HAD
from fakesound.corpora.listing import Corpus, Listing, Row
from fakesound.corpora.llamapartialspoof import LLAMAPARTIALSPOOF
from fakesound.corpora.partialspoof import PARTIALSPOOF
from fakesound.corpora.table import CSV

CORPORA = {
    corpus.name: corpus
    for corpus in (
        *(FAKESOUND, FAKESOUND2, ASVSPOOF2019_LA, PARTIALSPOOF),
        *(LLAMAPARTIALSPOOF, HAD, ENVSDD, FAKEMUSICCAPS, FOLDER, CSV),
    )
}

__all__ = ["CORPORA", "Corpus", "Listing", "Row"]
