# An image with gowsgi and a Python, to build applications' images from:
#
#   FROM gowsgi
#   COPY requirements.txt .
#   RUN pip install --no-cache-dir -r requirements.txt
#   COPY . .
#   CMD ["-w", "4", "myapp:application"]
#
# Both bases can be others of the same C library: PYTHON_IMAGE needs a CPython of
# 3.8 or later with its shared library, and GO_IMAGE a C compiler.
ARG GO_IMAGE=golang:1.26-bookworm
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=1 go build -trimpath -ldflags="-s -w" -o /gowsgi ./cmd/gowsgi

FROM ${PYTHON_IMAGE}
COPY --from=build /gowsgi /usr/local/bin/gowsgi
# A number, so that Kubernetes' runAsNonRoot can see that it is not root.
ARG UID=10001
RUN echo "gowsgi:x:${UID}:${UID}::/app:/usr/sbin/nologin" >> /etc/passwd \
    && echo "gowsgi:x:${UID}:" >> /etc/group \
    && mkdir /app && chown "${UID}:${UID}" /app
WORKDIR /app
USER ${UID}
ENV PORT=8000
EXPOSE 8000
STOPSIGNAL SIGTERM
# A connection that is accepted shows that the master lives, an answer that a worker
# does: any status counts. Orchestrators have probes of their own; this is for
# `docker run`. It runs no shell.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python3", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/'); c.getresponse()"]
# The binary itself is process 1: it reaps orphans and hands signals on.
ENTRYPOINT ["gowsgi"]
CMD ["--help"]
