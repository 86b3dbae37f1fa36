"""A logger class that adds nothing: with it Python writes the log."""

from gunicorn import glogging


class Logger(glogging.Logger):
    pass
