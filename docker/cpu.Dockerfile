# syntax=docker/dockerfile:1.7
# docker build -f docker/cpu.Dockerfile -t fakesound:cpu .
ARG PYTHON_IMAGE=python:3.12.12-slim-trixie

# The dependencies are in a separate environment, which is rebuilt only when a version changes.
FROM ${PYTHON_IMAGE} AS packages
ARG TORCH=2.13.0
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/fakesound/bin:$PATH
RUN python -m venv /opt/fakesound
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --index-url "${TORCH_INDEX}" "torch==${TORCH}"
COPY docker/requirements.txt /tmp/requirements.txt
# the list is complete, so pip must not resolve further packages
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --requirement /tmp/requirements.txt "dumb-init==1.2.5.post1"

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
    # any user of the container can write to these folders
    LOGNAME=fakesound \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba \
    WANDB_CACHE_DIR=/tmp/wandb
RUN useradd --create-home --uid 1000 fakesound \
    && install --directory --owner=fakesound --group=fakesound /work
COPY --from=packages /opt/fakesound /opt/fakesound
# a code change rebuilds only the layers below
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --no-deps /wheels/*.whl \
    && pip check
WORKDIR /work
# root for SageMaker, where only root can write to the job's folders
ARG RUN_AS=fakesound
USER ${RUN_AS}
ENTRYPOINT ["dumb-init", "--single-child", "--"]
CMD ["fakesound", "--help"]
