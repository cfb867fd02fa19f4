# Rushes on Debian 13 with the system's FFmpeg 7.1.
#
#   docker build -t rushes .
#   docker run -p 8470:8470 -v rushes-data:/data rushes serve
#
# The packages of each stage are those of .ci/packages: base and system for the first, image for the
# last. cmd/rushes/image_test.go holds this file and compose.yaml against the repository.

FROM golang:1.26.8-trixie AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      gcc libc6-dev make pkg-config \
      libavcodec-dev libavdevice-dev libavfilter-dev libavformat-dev libavutil-dev libswresample-dev libswscale-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=container
RUN go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/rushes ./cmd/rushes

# The S3 server of compose.yaml, for development: the one that the tests run against.
FROM golang:1.26.8-trixie AS s3-build
RUN GOBIN=/out go install github.com/versity/versitygw/cmd/versitygw@v1.8.0

FROM debian:13.2-slim AS s3
COPY --from=s3-build /out/versitygw /usr/local/bin/versitygw
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin s3 \
 && mkdir -p /buckets/rushes /buckets/captures \
 && chown -R 10001:10001 /buckets
USER 10001:10001
VOLUME /buckets
EXPOSE 7070
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7070 && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200'"]
ENTRYPOINT ["versitygw", "--port", ":7070", "--health", "/health", "posix", "/buckets"]

FROM debian:13.2-slim AS rushes
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      ca-certificates fonts-noto-cjk fonts-noto-color-emoji fonts-noto-core \
      libavcodec61 libavdevice61 libavfilter10 libavformat61 libavutil59 libswresample5 libswscale8 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/rushes /usr/local/bin/rushes
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin rushes \
 && mkdir -p /data /backup \
 && chown 10001:10001 /data /backup
USER 10001:10001
WORKDIR /data
ENV RUSHES_DATA=/data RUSHES_LISTEN=0.0.0.0:8470
VOLUME /data
EXPOSE 8470
# For serve and worker; the others are over before it matters.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8470 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200'"]
ENTRYPOINT ["rushes"]
CMD ["serve"]
