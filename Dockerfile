# ctwml_bids: white matter lesions on head CT, as a BIDS App.
#   docker build -t ctwml_bids .
# A CPU build of torch, unless another version and its index are named:
#   docker build --build-arg TORCH_VERSION=2.13.0+cu130 \
#     --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 -t ctwml_bids .
FROM docker.io/library/debian:bookworm-slim AS build

RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/ctwml
ENV PATH=/opt/ctwml/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
# The whole version with what follows the plus sign: without it, an index out of reach would let
# a build with gigabytes of CUDA in. Settings of pip and a certificate are taken from secrets,
# where a site has its own mirror, and nothing of them stays in the image.
ARG TORCH_VERSION=2.13.0+cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN --mount=type=secret,id=pipconf,target=/etc/pip.conf,required=false \
    --mount=type=secret,id=ca,target=/run/host-ca.crt,required=false \
    pip install --no-compile --no-deps --extra-index-url "$TORCH_INDEX" "torch==$TORCH_VERSION" \
    && rm -r /opt/ctwml/lib/python3*/site-packages/torch/include
WORKDIR /src
COPY constraints.txt pyproject.toml ./
# What the program needs, before the program: a change of code leaves this layer as it is. Headers of
# torch and the packages' own tests are half of all files; nothing is compiled against the ones, and
# no program imports the others. One file is in a later Python.
RUN --mount=type=secret,id=pipconf,target=/etc/pip.conf,required=false \
    --mount=type=secret,id=ca,target=/run/host-ca.crt,required=false \
    python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > requirements.txt \
    && grep -v "^torch==" constraints.txt > versions.txt \
    && echo "torch==$TORCH_VERSION" >> versions.txt \
    && pip install --no-compile --constraint versions.txt --requirement requirements.txt \
        "setuptools>=77" \
    && find /opt/ctwml/lib -depth -type d -name tests -exec rm -r {} + \
    && python3 -m compileall -q -j 0 -x py312_intrinsics /opt/ctwml/lib
COPY README.md LICENSE bids_filter_schema.json ./
COPY ctwml_bids ctwml_bids
RUN pip install --no-deps --no-build-isolation . \
    && pip check \
    && pip uninstall --yes setuptools pip

FROM docker.io/library/debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 ctwml \
    && mkdir /opt/templateflow
COPY --from=build /opt/ctwml /opt/ctwml
COPY run.py /opt/ctwml/run.py
ARG VERSION=0.2.0
ARG REVISION=unknown
# Packages of a user's home folder, which Apptainer mounts, must not take part; nothing is written
# into the image, nor downloaded. Other templates may be mounted at /opt/templateflow.
ENV PATH=/opt/ctwml/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    NO_ET=1 \
    TEMPLATEFLOW_HOME=/opt/templateflow \
    TEMPLATEFLOW_AUTOUPDATE=0 \
    CTWML_CONTAINER_TAG=ctwml_bids:$VERSION
LABEL org.opencontainers.image.title="ctwml_bids" \
      org.opencontainers.image.description="White matter lesions measured on head CT: a BIDS App" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim" \
      org.opencontainers.image.licenses="Apache-2.0"
# By its number, as clusters that refuse root ask for one.
USER 1000:1000
ENTRYPOINT ["/opt/ctwml/bin/python3", "/opt/ctwml/run.py"]
