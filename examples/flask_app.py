"""A Flask application with the usual things: JSON, a form, an upload, a
streamed answer and an error.

    gowsgi -w 4 flask_app:flask_app
"""

import hashlib
import os

from flask import Flask, Response, abort, jsonify, render_template_string, request
from flask import stream_with_context

flask_app = Flask(__name__)

FORM = """<!doctype html>
<title>gowsgi and Flask</title>
<h1>Hello{% if name %}, {{ name }}{% endif %}!</h1>
<form method="post"><input name="name"><button>Greet me</button></form>
<p>Served by process {{ pid }}.</p>
"""


@flask_app.route("/")
def index():
    return jsonify(message="Hello from Flask", pid=os.getpid())


@flask_app.route("/form", methods=["GET", "POST"])
def form():
    return render_template_string(FORM, name=request.form.get("name"), pid=os.getpid())


@flask_app.post("/api/sum")
def api_sum():
    numbers = request.get_json()["numbers"]
    return jsonify(sum=sum(numbers), count=len(numbers))


@flask_app.post("/upload")
def upload():
    file = request.files.get("file")
    if file is None:
        abort(400, "no file")
    data = file.read()
    return jsonify(
        name=file.filename, size=len(data), sha256=hashlib.sha256(data).hexdigest()
    )


@flask_app.get("/stream")
def stream():
    lines = request.args.get("lines", default=10, type=int)

    @stream_with_context
    def generate():
        for n in range(lines):
            yield "line %d for %s\n" % (n, request.args.get("who", "you"))

    return Response(generate(), mimetype="text/plain")


@flask_app.get("/error")
def error():
    raise RuntimeError("this view always fails")
