"""Models: the selective scan, the Mamba mixer, backbones and heads."""
