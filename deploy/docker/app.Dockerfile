# An application's image on top of the gowsgi image, in two stages: packages are
# installed in the first, with a compiler if one needs it, and only what they came to is
# copied. Build it in the application's directory, which has a requirements.txt and a
# .dockerignore (.git, .venv, __pycache__):
#
#   docker build -t gowsgi /path/to/gowsgi
#   docker build -f app.Dockerfile -t myapp .

ARG GOWSGI_IMAGE=gowsgi
# The Python that GOWSGI_IMAGE was built on: the environment belongs to it.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
RUN python3 -m venv /venv
COPY requirements.txt .
# pip compiles what it installs.
RUN /venv/bin/pip install --no-cache-dir -r requirements.txt
COPY . /app
RUN python3 -m compileall -q /app

FROM ${GOWSGI_IMAGE}
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV VIRTUAL_ENV=/venv
# User, working directory, port, stop signal and entry point are those of the image below.
CMD ["--workers", "2", "myapp:application"]
