"""The examples inside wsgiref's validator, which raises AssertionError for
every departure from PEP 3333, on either side."""

import warnings
from wsgiref.validate import WSGIWarning, validator

warnings.simplefilter("error", WSGIWarning)


def validated(application):
    return validator(application)


def function():
    import function_app

    return validated(function_app.application)


def instance():
    import class_app

    return validated(class_app.application)


def isolation():
    import isolation_app

    return validated(isolation_app.application)


def flask():
    import flask_app

    return validated(flask_app.flask_app)


def django():
    from django_app.wsgi import application

    return validated(application)
