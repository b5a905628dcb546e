# syntax=docker/dockerfile:1.7
# docker build -f docker/gpu.Dockerfile -t fakesound:gpu [--build-arg MAMBA=1] .
ARG PYTHON_IMAGE=python:3.12.12-slim-trixie
# the CUDA version of the torch build on PyPI
ARG CUDA_IMAGE=nvidia/cuda:13.0.1-devel-ubuntu24.04
# 1 builds mamba-ssm and causal-conv1d, which needs a compiler and half an hour; 0 uses our own kernels
ARG MAMBA=0

# The dependencies are in a separate environment, which is rebuilt only when a version changes.
FROM ${PYTHON_IMAGE} AS packages
ARG TORCH=2.13.0
ARG TORCH_INDEX=https://pypi.org/simple
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/fakesound/bin:$PATH
RUN python -m venv /opt/fakesound
# torch includes CUDA; the host provides only the driver
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --index-url "${TORCH_INDEX}" "torch==${TORCH}"
COPY docker/requirements.txt /tmp/requirements.txt
# the list is complete, so pip must not resolve further packages
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --requirement /tmp/requirements.txt "dumb-init==1.2.5.post1"

# The MAMBA argument selects one of the next two stages; the other one is not built.
FROM ${PYTHON_IMAGE} AS mamba-0
RUN mkdir /wheels

FROM ${CUDA_IMAGE} AS mamba-1
ARG TORCH=2.13.0
ARG TORCH_INDEX=https://pypi.org/simple
ARG MAMBA_SSM=2.3.2.post1
ARG CAUSAL_CONV1D=1.7.0
# Ampere, Ada and Hopper: A100, A10G, L4, L40S, H100
ARG TORCH_CUDA_ARCH_LIST="8.0;8.6;8.9;9.0"
ARG MAX_JOBS=4
# The release of the base image determines these versions, and mirrors delete older builds.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --no-install-recommends --yes g++ ninja-build python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
ENV PATH=/opt/build/bin:$PATH MAMBA_FORCE_BUILD=TRUE CAUSAL_CONV1D_FORCE_BUILD=TRUE
RUN --mount=type=cache,target=/root/.cache/pip python3 -m venv /opt/build \
    && pip install --index-url "${TORCH_INDEX}" "torch==${TORCH}" \
    && pip install "setuptools==80.9.0" "wheel==0.45.1" "packaging==25.0" \
    && mkdir /wheels
# if the build fails, the image works without them
RUN --mount=type=cache,target=/root/.cache/pip \
    pip wheel --no-deps --no-build-isolation --wheel-dir /wheels \
        "causal-conv1d==${CAUSAL_CONV1D}" "mamba-ssm==${MAMBA_SSM}" \
    || { rm -f /wheels/*; echo "mamba-ssm: the build failed; the image does not include it"; }

# hadolint ignore=DL3006
FROM mamba-${MAMBA} AS mamba

FROM ${PYTHON_IMAGE} AS wheel
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN --mount=type=cache,target=/root/.cache/pip pip install "hatchling==1.33.0"
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY conf ./conf
COPY hydra_plugins ./hydra_plugins
COPY training_data ./training_data
COPY fakesound ./fakesound
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . ./training_data

FROM ${PYTHON_IMAGE}
ENV PATH=/opt/fakesound/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    # any user of the container can write to these folders
    LOGNAME=fakesound \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba \
    TRITON_CACHE_DIR=/tmp/triton \
    WANDB_CACHE_DIR=/tmp/wandb
# Triton compiles the launcher of each kernel at run time. Versions: see above.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --no-install-recommends --yes gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 fakesound \
    && install --directory --owner=fakesound --group=fakesound /work
COPY --from=packages /opt/fakesound /opt/fakesound
ARG TORCH=2.13.0
RUN --mount=type=bind,from=mamba,source=/wheels,target=/wheels \
    --mount=type=bind,source=docker/requirements.txt,target=/tmp/requirements.txt \
    --mount=type=cache,target=/root/.cache/pip \
    if ls /wheels/*.whl >/dev/null 2>&1; then \
        pip install --constraint /tmp/requirements.txt "torch==${TORCH}" \
            "transformers==4.57.1" "einops==0.8.2" /wheels/*.whl \
        || echo "mamba-ssm: the installation failed; the image does not include it"; \
    fi
# a code change rebuilds only the layers below
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --no-deps /wheels/*.whl
WORKDIR /work
# root for SageMaker, where only root can write to the job's folders
ARG RUN_AS=fakesound
USER ${RUN_AS}
ENTRYPOINT ["dumb-init", "--single-child", "--"]
CMD ["fakesound", "--help"]
