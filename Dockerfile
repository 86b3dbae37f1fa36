# An image with gowsgi and a Python, to build applications' images from: see
# deploy/docker/app.Dockerfile, or in short
#
#   FROM gowsgi
#   COPY . .
#   CMD ["-w", "4", "myapp:application"]
#
# Both bases can be others of the same C library: PYTHON_IMAGE needs a CPython of
# 3.8 or later, and GO_IMAGE a C compiler. If that CPython has no shared library, as
# Debian's and conda's, build with --target hosted. docs/deploy.md has more; `make
# image-test` builds and runs it on bases it makes itself.
ARG GO_IMAGE=golang:1.26-bookworm
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=1 go build -trimpath -ldflags="-s -w" -o /gowsgi ./cmd/gowsgi

FROM build AS library
RUN CGO_ENABLED=1 go build -buildmode=c-shared -trimpath -ldflags="-s -w" -o /libgowsgi.so ./cmd/libgowsgi

FROM ${PYTHON_IMAGE} AS gowsgi
# Official images come without the standard library's bytecode, and a user who may not
# write would compile it at every start. Where it is there already this does nothing.
RUN python3 -m compileall -q -j 0 -x "/(test|tests|idlelib|lib2to3|turtledemo|site-packages|dist-packages)/" \
    "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
# A number, so that Kubernetes' runAsNonRoot can see that it is not root. What is copied
# to /app belongs to root: the application cannot write to its own code.
ARG UID=10001
RUN echo "gowsgi:x:${UID}:${UID}::/app:/usr/sbin/nologin" >> /etc/passwd \
    && echo "gowsgi:x:${UID}:" >> /etc/group
COPY --from=build /gowsgi /usr/local/bin/gowsgi
WORKDIR /app
USER ${UID}:${UID}
ENV PORT=8000
EXPOSE 8000
STOPSIGNAL SIGTERM
# At least one worker serves, and the last reload succeeded. It runs neither Python nor
# a shell. Orchestrators have probes of their own; this is for `docker run` and compose.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["gowsgi", "status"]
# The binary itself is process 1: it reaps orphans and hands signals on.
ENTRYPOINT ["gowsgi"]
CMD ["--help"]

# What an interpreter without a shared library loads, 7 MB.
FROM gowsgi AS hosted
COPY --from=library /libgowsgi.so /usr/local/lib/gowsgi/libgowsgi.so

FROM gowsgi
