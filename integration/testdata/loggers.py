"""An application that logs as many do: its own logger has the handlers of the
server's."""

import logging

server = logging.getLogger("gunicorn.error")
logger = logging.getLogger("shop")
logger.handlers = server.handlers
logger.setLevel(server.level)
logger.info("imported")


def application(environ, start_response):
    logger.debug("not at info")
    logger.warning("asked for %s", environ["PATH_INFO"])
    start_response("200 OK", [])
    return [logging.getLevelName(logger.level).encode()]
