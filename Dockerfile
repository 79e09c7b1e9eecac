# ctwml_bids: white matter lesions on head CT, as a BIDS App.
# CPU build of torch by default; for CUDA: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126
FROM docker.io/library/debian:bookworm-slim AS build

ARG TORCH_VERSION=2.13.0
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/ctwml
ENV PATH=/opt/ctwml/bin:$PATH
# torch first and from its own index: a plain resolve would pull gigabytes of CUDA.
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" "torch==$TORCH_VERSION"
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE bids_filter_schema.json ./
COPY ctwml_bids ctwml_bids
RUN pip install --no-cache-dir --constraint constraints.txt .

FROM docker.io/library/debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 ctwml
COPY --from=build /opt/ctwml /opt/ctwml
COPY run.py /opt/ctwml/run.py
ENV PATH=/opt/ctwml/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    NO_ET=1 \
    CTWML_CONTAINER_TAG=ctwml_bids:0.1.0
LABEL org.opencontainers.image.title="ctwml_bids" \
      org.opencontainers.image.description="White matter lesions measured on head CT: a BIDS App" \
      org.opencontainers.image.licenses="Apache-2.0"
USER ctwml
ENTRYPOINT ["python3", "/opt/ctwml/run.py"]
