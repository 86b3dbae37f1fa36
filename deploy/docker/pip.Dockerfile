# An application's image from a wheel of gowsgi, which is in requirements.txt like any
# other package, or lies beside it as here (make wheel). In two stages, so that pip and
# what it needs for building are not in what runs. Build it in the application's
# directory, which has a requirements.txt and a .dockerignore (.git, .venv, __pycache__):
#
#   cp /path/to/gowsgi/dist/gowsgi-*.whl .
#   docker build -f pip.Dockerfile -t myapp .

ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
RUN python3 -m venv /venv
COPY requirements.txt gowsgi-*.whl ./
# pip compiles what it installs.
RUN /venv/bin/pip install --no-cache-dir -r requirements.txt ./gowsgi-*.whl
COPY . /app
RUN rm -f /app/gowsgi-*.whl && python3 -m compileall -q /app

FROM ${PYTHON_IMAGE}
# Official images come without the standard library's bytecode, and a user who may not
# write would compile it at every start.
RUN python3 -m compileall -q -j 0 -x "/(test|tests|idlelib|lib2to3|turtledemo|site-packages|dist-packages)/" \
    "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
# Any number but 0 will do: no user of that name is needed.
USER 10001:10001
ENV PATH=/venv/bin:$PATH PORT=8000
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["gowsgi", "status"]
ENTRYPOINT ["gowsgi"]
CMD ["--workers", "2", "myapp:application"]
