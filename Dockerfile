# The server's image. Every step that does something is a script of this
# repository, so that `make docker-steps` can take the same way without Docker.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY scripts/dependencies.sh scripts/
RUN scripts/dependencies.sh run && go mod download
COPY . .
ARG VERSION=
RUN MUSTER_BUILD_VERSION=$VERSION scripts/build.sh /out/muster

FROM debian:12.12-slim
COPY scripts/dependencies.sh scripts/image.sh /tmp/muster/scripts/
RUN /tmp/muster/scripts/dependencies.sh runtime && /tmp/muster/scripts/image.sh && rm -rf /tmp/muster /var/lib/apt/lists/*
COPY --from=build /out/muster /usr/local/bin/muster
# Certificates, the enrol secret, carved files and, without PostgreSQL, the database.
ENV MUSTER_DATA=/data
VOLUME /data
USER muster
EXPOSE 8443
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --start-interval=2s --retries=3 CMD ["muster", "healthcheck"]
ENTRYPOINT ["muster"]
CMD ["serve"]
