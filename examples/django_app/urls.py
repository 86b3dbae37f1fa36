"""The pages of the example."""

import os

from django.contrib import admin
from django.http import JsonResponse, StreamingHttpResponse
from django.urls import path


def index(request):
    return JsonResponse({"message": "Hello from Django", "pid": os.getpid()})


def visits(request):
    """Counts the visits of one browser, in the database (a session)."""
    count = request.session.get("visits", 0) + 1
    request.session["visits"] = count
    return JsonResponse({"visits": count, "pid": os.getpid()})


def stream(request):
    return StreamingHttpResponse("line %d\n" % n for n in range(10))


def error(request):
    raise RuntimeError("this view always fails")


urlpatterns = [
    path("", index),
    path("visits", visits),
    path("stream", stream),
    path("error", error),
    path("admin/", admin.site.urls),
]
